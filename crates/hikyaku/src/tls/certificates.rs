//! The certificates of this host: read from PEM files, chosen by the name that a client asks for.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    Error, InconsistentKeys,
    crypto::CryptoProvider,
    pki_types::{DnsName, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::{TlsError, provider, read_certificates};

/// A certificate chain and its key, as PEM files; without names it is the one for clients that
/// name no host, or one that is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The host names (RFC 6066 §3) that it is for, in any case; `*.example.org` stands for one
    /// label before `example.org`.
    pub names: Vec<Box<str>>,
    /// The chain, the host's own certificate first.
    pub cert: PathBuf,
    /// The private key: PKCS#8, PKCS#1 or SEC1, not encrypted.
    pub key: PathBuf,
}

/// The certificates of all listeners; they can be read anew while connections run.
///
/// If all of them have names, the first is also for clients that name no host, or one that is
/// unknown: mail servers seldom name one, and a handshake that fails makes them speak plaintext.
pub struct Certificates {
    files: Vec<CertificateFiles>,
    table: RwLock<Arc<Table>>,
}

#[derive(Debug)]
struct Table {
    named: HashMap<Box<str>, Arc<CertifiedKey>>,
    default: Arc<CertifiedKey>,
}

impl Certificates {
    /// Reads the files.
    ///
    /// # Errors
    /// What is wrong with which file: it cannot be read, the key is not that of the chain's first
    /// certificate, two certificates are for the same name. No files at all are an error, too.
    pub fn load(files: Vec<CertificateFiles>) -> Result<Arc<Self>, TlsError> {
        let table = RwLock::new(Arc::new(Table::read(&files)?));
        Ok(Arc::new(Self { files, table }))
    }

    /// Reads the files anew; what runs keeps what it has, and if a file is wrong everything stays.
    ///
    /// # Errors
    /// As of [`load`](Self::load).
    pub fn reload(&self) -> Result<(), TlsError> {
        let table = Arc::new(Table::read(&self.files)?);
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = table;
        Ok(())
    }

    fn table(&self) -> Arc<Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("files", &self.files).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.table().choose(hello.server_name()))
    }
}

impl Table {
    fn read(files: &[CertificateFiles]) -> Result<Self, TlsError> {
        let provider = provider();
        let mut named = HashMap::new();
        let (mut first, mut unnamed) = (None, None);
        for file in files {
            let certified = Arc::new(read(file, &provider)?);
            if file.names.is_empty() && unnamed.replace(certified.clone()).is_some() {
                return Err(TlsError::new(&file.cert, "there is another certificate without names; give it some"));
            }
            for name in &file.names {
                let name = name.to_ascii_lowercase().into_boxed_str();
                if !is_host_name(name.strip_prefix("*.").unwrap_or(&name)) {
                    return Err(TlsError::new(&file.cert, format_args!("`{name}` is no host name")));
                }
                match named.entry(name) {
                    Entry::Vacant(entry) => entry.insert(certified.clone()),
                    Entry::Occupied(entry) => {
                        let what = format!("`{}` has another certificate already", entry.key());
                        return Err(TlsError::new(&file.cert, what));
                    }
                };
            }
            first.get_or_insert(certified);
        }
        match unnamed.or(first) {
            Some(default) => Ok(Self { named, default }),
            None => Err(TlsError::new(Path::new("TLS"), "it needs a certificate and its key")),
        }
    }

    fn choose(&self, server_name: Option<&str>) -> Arc<CertifiedKey> {
        let by_name = server_name.and_then(|name| {
            let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
            self.named.get(name.as_str()).or_else(|| {
                let (_, parent) = name.split_once('.')?;
                self.named.get(format!("*.{parent}").as_str())
            })
        });
        by_name.unwrap_or(&self.default).clone()
    }
}

fn is_host_name(name: &str) -> bool {
    !name.ends_with('.') && DnsName::try_from(name).is_ok()
}

pub(crate) fn read(files: &CertificateFiles, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let chain = read_certificates(&files.cert)?;
    let pem = std::fs::read(&files.key).map_err(|error| TlsError::new(&files.key, error))?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        TlsError::new(&files.key, "there is no private key in it (PEM; an encrypted one must be decrypted first)")
    })?;
    // What the key's parser says is left out: no part of a key may get into a log.
    let key = provider.key_provider.load_private_key(key).map_err(|_| {
        TlsError::new(&files.key, "the key cannot be used; RSA from 2048 bits, ECDSA P-256 or P-384 and Ed25519 can")
    })?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(Error::InconsistentKeys(_)) => Err(TlsError::new(
            &files.key,
            format_args!("it is not the key of the first certificate in {}", files.cert.display()),
        )),
        Err(error) => Err(TlsError::new(&files.cert, format_args!("the first certificate cannot be used: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::{
        ClientCertificates, ServerTls,
        tls::testing::{Connected, Folder, Identity, client, connect, params},
    };

    fn problem(files: Vec<CertificateFiles>) -> String {
        Certificates::load(files).unwrap_err().to_string()
    }

    fn files(names: &[&str], (cert, key): (PathBuf, PathBuf)) -> CertificateFiles {
        CertificateFiles { names: names.iter().map(|name| Box::from(*name)).collect(), cert, key }
    }

    #[tokio::test]
    async fn the_name_chooses_the_certificate() {
        let folder = Folder::new();
        let (exact, exact_files) = folder.certificate(&["Mail.example.ORG", "other.example"]);
        let (wild, wild_files) = folder.certificate(&["*.example.org"]);
        let (default, mut default_files) = folder.certificate(&["example.test"]);
        default_files.names.clear();
        let certificates = Certificates::load(vec![exact_files, wild_files, default_files]).unwrap();
        let server = ServerTls::new(certificates.clone(), &ClientCertificates::default()).unwrap();
        for (name, expected) in [
            ("mail.example.org", &exact),
            ("MAIL.EXAMPLE.ORG", &exact),
            ("mail.example.org.", &exact),
            ("other.example", &exact),
            ("mx1.example.org", &wild),
            ("MX1.Example.Org", &wild),
            ("a.mx1.example.org", &default),
            ("example.org", &default),
            ("example.test", &default),
            ("unknown.test", &default),
            // An address is no name, so none is sent.
            ("192.0.2.1", &default),
        ] {
            let connected = connect(&server, client(), name).await;
            assert!(connected.server_certificate() == &expected.certificate, "{name}");
            let sent = name.to_ascii_lowercase().trim_end_matches('.').to_owned();
            let sent = Some(sent).filter(|name| name != "192.0.2.1");
            assert_eq!(connected.tls.server_name.as_deref(), sent.as_deref());
        }
        // The client of rustls leaves the last dot out; others may not.
        assert!(certificates.table().choose(Some("mail.example.org.")).cert[0] == exact.certificate);
    }

    #[tokio::test]
    async fn without_one_for_all_the_first_is_it() {
        let folder = Folder::new();
        let (first, first_files) = folder.certificate(&["one.example"]);
        let (_, second_files) = folder.certificate(&["two.example"]);
        let certificates = Certificates::load(vec![first_files, second_files]).unwrap();
        let server = ServerTls::new(certificates, &ClientCertificates::default()).unwrap();
        let connected = connect(&server, client(), "three.example").await;
        assert!(connected.server_certificate() == &first.certificate);
    }

    #[tokio::test]
    async fn what_runs_keeps_its_certificate_when_files_are_read_anew() {
        let folder = Folder::new();
        let (old, files) = folder.certificate(&["mx.example.org"]);
        let certificates = Certificates::load(vec![files]).unwrap();
        let server = ServerTls::new(certificates.clone(), &ClientCertificates::default()).unwrap();
        let mut running = connect(&server, client(), "mx.example.org").await;

        let new = Identity::self_signed(params(&["mx.example.org"]));
        new.write(&folder, "mx.example.org");
        assert!(connect(&server, client(), "mx.example.org").await.server_certificate() == &old.certificate);
        certificates.reload().unwrap();
        assert!(connect(&server, client(), "mx.example.org").await.server_certificate() == &new.certificate);

        let Connected { client, server, .. } = &mut running;
        client.write_all(b"NOOP\r\n").await.unwrap();
        client.flush().await.unwrap();
        let mut line = [0; 6];
        server.read_exact(&mut line).await.unwrap();
        assert_eq!(&line, b"NOOP\r\n");
        assert!(running.server_certificate() == &old.certificate);
    }

    #[tokio::test]
    async fn a_wrong_file_leaves_everything_as_it_was() {
        let folder = Folder::new();
        let (first, first_files) = folder.certificate(&["one.example"]);
        let (second, second_files) = folder.certificate(&["two.example"]);
        let certificates = Certificates::load(vec![first_files, second_files.clone()]).unwrap();
        let server = ServerTls::new(certificates.clone(), &ClientCertificates::default()).unwrap();

        Identity::self_signed(params(&["one.example"])).write(&folder, "one.example");
        std::fs::write(&second_files.key, "gone").unwrap();
        let error = certificates.reload().unwrap_err();
        assert_eq!(error.path, second_files.key.display().to_string());
        assert!(connect(&server, client(), "one.example").await.server_certificate() == &first.certificate);
        assert!(connect(&server, client(), "two.example").await.server_certificate() == &second.certificate);
    }

    #[test]
    fn keys_of_every_form_and_kind() {
        let folder = Folder::new();
        for algorithm in [&PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let certificate = params(&["mx.example.org"]).self_signed(&key).unwrap();
            let cert = folder.write("cert.pem", &certificate.pem());
            let key = folder.write("key.pem", &key.serialize_pem());
            Certificates::load(vec![files(&[], (cert, key))]).unwrap();
        }
        for (cert, key) in [
            (include_str!("testdata/rsa.cert.pem"), include_str!("testdata/rsa.pkcs1.pem")),
            (include_str!("testdata/rsa.cert.pem"), include_str!("testdata/rsa.pkcs8.pem")),
            (include_str!("testdata/ec.cert.pem"), include_str!("testdata/ec.sec1.pem")),
        ] {
            let cert = folder.write("cert.pem", cert);
            let key = folder.write("key.pem", key);
            Certificates::load(vec![files(&[], (cert, key))]).unwrap();
        }
        // Both in one file, with text around them.
        let both = format!(
            "the key\n{}\nthe chain\n{}\n{}",
            include_str!("testdata/ec.sec1.pem"),
            include_str!("testdata/ec.cert.pem"),
            include_str!("testdata/rsa.cert.pem"),
        );
        let both = folder.write("both.pem", &both);
        Certificates::load(vec![files(&[], (both.clone(), both))]).unwrap();
    }

    #[test]
    fn errors_name_the_file_and_what_is_wrong() {
        let folder = Folder::new();
        let mine = Identity::self_signed(params(&["mx.example.org"]));
        let other = Identity::self_signed(params(&["mx.example.org"]));
        let (cert, key) = mine.write(&folder, "mine");
        let (other_cert, other_key) = other.write(&folder, "other");
        let (cert_text, key_text) = (cert.display().to_string(), key.display().to_string());
        let pair = |cert: &PathBuf, key: &PathBuf| vec![files(&[], (cert.clone(), key.clone()))];

        assert_eq!(problem(Vec::new()), "TLS: it needs a certificate and its key");
        let missing = folder.path("missing");
        let expected = format!("{}: No such file or directory (os error 2)", missing.display());
        assert_eq!(problem(pair(&missing, &key)), expected);
        assert_eq!(problem(pair(&cert, &missing)), expected);
        assert_eq!(
            problem(pair(&key, &key)),
            format!("{key_text}: there is no certificate in it (`-----BEGIN CERTIFICATE-----`)"),
        );
        assert_eq!(
            problem(pair(&cert, &cert)),
            format!("{cert_text}: there is no private key in it (PEM; an encrypted one must be decrypted first)"),
        );
        assert_eq!(
            problem(pair(&cert, &other_key)),
            format!("{}: it is not the key of the first certificate in {cert_text}", other_key.display()),
        );
        // The chain upside down.
        let chain = folder.write("chain.pem", &[other.pem.as_str(), &mine.pem].concat());
        assert_eq!(
            problem(pair(&chain, &key)),
            format!("{key_text}: it is not the key of the first certificate in {}", chain.display()),
        );
        let broken = folder.write("broken.pem", &mine.pem.replace("-----END", "-----AND"));
        let text = problem(pair(&broken, &key));
        assert!(text.starts_with(&format!("{}: it is no PEM file: ", broken.display())), "{text}");
        let garbled = folder.write("garbled.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        let text = problem(pair(&garbled, &key));
        assert!(text.starts_with(&format!("{}: the first certificate cannot be used: ", garbled.display())), "{text}");
        let unusable = folder.write("unusable.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
        assert_eq!(
            problem(pair(&cert, &unusable)),
            format!(
                "{}: the key cannot be used; RSA from 2048 bits, ECDSA P-256 or P-384 and Ed25519 can",
                unusable.display()
            ),
        );

        let twice = [pair(&cert, &key), pair(&other_cert, &other_key)].concat();
        assert_eq!(
            problem(twice),
            format!("{}: there is another certificate without names; give it some", other_cert.display()),
        );
        let same = vec![
            files(&["a.example", "b.example"], (cert.clone(), key.clone())),
            files(&["B.example"], (other_cert.clone(), other_key)),
        ];
        assert_eq!(problem(same), format!("{}: `b.example` has another certificate already", other_cert.display()));
        for name in
            ["", "*", "*.", "a..b", "mx.*.example", "**.example", "a b", "192.0.2.1", "example.org.", "é.example"]
        {
            let named = vec![files(&[name], (cert.clone(), key.clone()))];
            assert_eq!(problem(named), format!("{cert_text}: `{}` is no host name", name));
        }
    }

    #[test]
    fn debug_shows_files_only() {
        let folder = Folder::new();
        let (_, files) = folder.certificate(&["mx.example.org"]);
        let certificates = Certificates::load(vec![files.clone()]).unwrap();
        assert_eq!(format!("{certificates:?}"), format!("Certificates {{ files: [{files:?}], .. }}"));
    }
}
