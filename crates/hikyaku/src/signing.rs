//! The keys that sign what users send (RFC 6376).

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use hikyaku_dns::Name;
use hikyaku_mailauth::{
    SigningKey, SigningKeyError,
    dkim::{Signer, Signing},
};
use hikyaku_wire::Timestamp;
use zeroize::Zeroizing;

/// A key that signs the mail of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DkimKey {
    /// The domain that signs: mail whose author's address is in it, or in a domain below it that
    /// has no key of its own.
    pub domain: Name,
    /// The selector: the public half is published under `SELECTOR._domainkey.DOMAIN`.
    pub selector: Name,
    /// The file of the private key, as PEM.
    pub file: PathBuf,
}

impl DkimKey {
    /// Where the public half is published (RFC 6376 §3.6.2.1); `None` if that is too long for a
    /// DNS name.
    pub fn record(&self) -> Option<Name> {
        let label = Name::from_labels([&b"_domainkey"[..]]).ok()?;
        self.selector.join(&label.join(&self.domain).ok()?).ok()
    }

    /// What is wrong with the file although the key can be used, in words for the operator.
    pub fn doubt(&self) -> Option<String> {
        let mode = fs::metadata(&self.file).ok()?.permissions().mode();
        let file = self.file.display();
        (mode & 0o004 != 0).then(|| format!("everybody on this host can read the key in {file}: chmod o-r {file}"))
    }

    fn read(&self) -> Result<Signer, SigningKeysError> {
        let failed = |why| SigningKeysError { file: self.file.clone(), why };
        let pem = fs::read_to_string(&self.file).map(Zeroizing::new).map_err(|error| failed(error.into()))?;
        let key = SigningKey::from_pem(&pem).map_err(|error| failed(error.into()))?;
        Ok(Signer::new(self.domain.clone(), self.selector.clone(), Arc::new(key)))
    }
}

/// A file that holds no key to sign with.
#[derive(Debug, thiserror::Error)]
#[error("the DKIM key {}: {why}", file.display())]
pub struct SigningKeysError {
    file: PathBuf,
    why: Why,
}

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Key(#[from] SigningKeyError),
}

/// The keys of all domains; they can be read anew while messages are signed.
#[derive(Debug)]
pub struct SigningKeys {
    listed: Vec<DkimKey>,
    keys: RwLock<Arc<Keys>>,
}

/// The keys as they were read.
#[derive(Debug)]
pub(crate) struct Keys(Vec<Signer>);

impl SigningKeys {
    /// Reads the files.
    ///
    /// # Errors
    /// The first that cannot be read, or that holds no key to sign with.
    pub fn load(listed: Vec<DkimKey>) -> Result<Self, SigningKeysError> {
        let keys = RwLock::new(Arc::new(Keys::read(&listed)?));
        Ok(Self { listed, keys })
    }

    /// Reads the files anew; if one is wrong everything stays.
    ///
    /// # Errors
    /// As of [`load`](Self::load).
    pub fn reload(&self) -> Result<(), SigningKeysError> {
        let keys = Arc::new(Keys::read(&self.listed)?);
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// The fields that sign a message of this host itself; none if there is no key for its author, or
    /// if it does not sign: such a message must go out all the same.
    pub(crate) fn sign(&self, author: &Name, message: &[u8], now: Timestamp) -> String {
        let signers = self.any().map(|keys| keys.signers(author)).unwrap_or_default();
        if signers.is_empty() {
            return String::new();
        }
        let mut signing = Signing::new(signers);
        signing.push(message);
        signing.finish("", now).unwrap_or_default()
    }

    /// The keys as they are now, if there are some.
    pub(crate) fn any(&self) -> Option<Arc<Keys>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        (!keys.0.is_empty()).then(|| keys.clone())
    }
}

impl Keys {
    fn read(listed: &[DkimKey]) -> Result<Self, SigningKeysError> {
        listed.iter().map(DkimKey::read).collect::<Result<_, _>>().map(Self)
    }

    /// All keys of the author's domain, or else of the next domain above it that has some.
    pub(crate) fn signers(&self, author: &Name) -> Vec<Signer> {
        let above = self.0.iter().map(|signer| &signer.domain).filter(|domain| author.is_within(domain));
        let Some(nearest) = above.max_by_key(|domain| domain.labels().count()).cloned() else { return Vec::new() };
        self.0.iter().filter(|signer| signer.domain == nearest).cloned().collect()
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Files of new Ed25519 keys.
    pub(crate) struct Folder(tempfile::TempDir);

    impl Folder {
        pub(crate) fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        pub(crate) fn key(&self, domain: &str, selector: &str) -> DkimKey {
            let file = self.0.path().join(format!("{selector}.{domain}.pem"));
            let key = DkimKey { domain: domain.parse().unwrap(), selector: selector.parse().unwrap(), file };
            renew(&key);
            key
        }
    }

    /// Puts a new key into the file.
    pub(crate) fn renew(key: &DkimKey) {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        fs::write(&key.file, pair.serialize_pem()).unwrap();
    }

    /// The line of a zone file for one of the keys.
    pub(crate) fn record(keys: &SigningKeys, index: usize) -> String {
        let key = &keys.any().unwrap().0[index];
        format!("{}. 300 TXT \"{}\"\n", keys.listed[index].record().unwrap(), key.key.record())
    }
}

#[cfg(test)]
mod tests {
    use super::{testing::*, *};

    #[test]
    fn the_nearest_domain_signs_with_all_its_keys() {
        let folder = Folder::new();
        let listed = [("hik.test", "a"), ("sub.hik.test", "b"), ("hik.test", "c"), ("other.test", "d")];
        let listed = listed.map(|(domain, selector)| folder.key(domain, selector));
        let keys = SigningKeys::load(listed.into()).unwrap().any().unwrap();
        for (author, selectors) in [
            ("hik.test", &["a", "c"][..]),
            ("x.hik.test", &["a", "c"]),
            ("sub.hik.test", &["b"]),
            ("y.x.sub.hik.test", &["b"]),
            ("other.test", &["d"]),
            ("evilhik.test", &[]),
            ("test", &[]),
        ] {
            let signers = keys.signers(&author.parse().unwrap());
            let found: Vec<_> = signers.iter().map(|signer| signer.selector.to_string()).collect();
            assert_eq!(found, selectors, "{author}");
        }
        assert!(SigningKeys::load(Vec::new()).unwrap().any().is_none());
        assert!(SigningKeys::load(Vec::new()).unwrap().is_empty());
    }

    #[test]
    fn keys_are_read_anew_and_a_bad_file_changes_nothing() {
        let folder = Folder::new();
        let key = folder.key("hik.test", "a");
        let keys = SigningKeys::load(vec![key.clone()]).unwrap();
        assert!(!keys.is_empty());
        let first = record(&keys, 0);
        renew(&key);
        assert_eq!(record(&keys, 0), first);
        keys.reload().unwrap();
        let second = record(&keys, 0);
        assert_ne!(second, first);
        for (text, why) in [
            (Some("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"), "private key"),
            (Some("secret"), "PEM"),
            (None, "No such file"),
        ] {
            match text {
                Some(text) => fs::write(&key.file, text).unwrap(),
                None => fs::remove_file(&key.file).unwrap(),
            }
            let error = keys.reload().unwrap_err().to_string();
            assert!(error.starts_with(&format!("the DKIM key {}: ", key.file.display())), "{error}");
            assert!(error.contains(why) && !error.contains("c2VjcmV0") && !error.contains("secret"), "{error}");
            assert_eq!(record(&keys, 0), second);
            assert!(SigningKeys::load(vec![key.clone()]).is_err());
        }
    }

    #[test]
    fn a_key_that_everybody_can_read_is_told() {
        let folder = Folder::new();
        let key = folder.key("hik.test", "a");
        for (mode, told) in [(0o600, false), (0o640, false), (0o644, true), (0o604, true)] {
            fs::set_permissions(&key.file, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(key.doubt().is_some(), told, "{mode:o}");
        }
        fs::remove_file(&key.file).unwrap();
        assert_eq!(key.doubt(), None);
    }

    #[test]
    fn where_the_public_half_stands() {
        let key = |selector: &str| DkimKey {
            domain: "hik.test".parse().unwrap(),
            selector: selector.parse().unwrap(),
            file: PathBuf::new(),
        };
        assert_eq!(key("s.x").record(), Some("s.x._domainkey.hik.test".parse().unwrap()));
        assert_eq!(key(&"x.".repeat(120)).record(), None);
    }
}
