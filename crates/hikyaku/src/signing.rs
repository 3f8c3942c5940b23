//! The keys that sign what users send (RFC 6376).

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use hikyaku_dns::Name;
use hikyaku_mailauth::{SigningKey, SigningKeyError, dkim::Signer};
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
