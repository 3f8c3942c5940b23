//! A relay with a user who may log in, and what the user's programs need.

use std::cell::Cell;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

use crate::programs::run;
use crate::support::message::added;
use crate::support::relay::{Relay, Site};
use crate::support::{delivered, maildir};

/// The password of `anna`, with what forms of its own use between values.
pub(crate) const PASSWORD: &str = "correct-horse=battery,staple";
pub(crate) const WRONG: &str = "correct-horse=battery,stapler";

/// What is offered if nothing else is said.
pub(crate) const USUAL: &str = "\"SCRAM-SHA-256-PLUS\", \"SCRAM-SHA-256\", \"PLAIN\"";

/// A relay for `example.test` with the listeners `submission` and `submissions`.
pub(crate) struct Server {
    site: Site,
    relay: Relay,
    keys: tempfile::TempDir,
    /// Messages that have been sent with success.
    sent: Cell<usize>,
}

impl Server {
    /// `mechanisms` are those that it offers; the certificate for `anna.client.test` is anna's
    /// where EXTERNAL is one of them.
    pub(crate) fn start(mechanisms: &str) -> Self {
        let keys = tempfile::tempdir().expect("make a temporary folder");
        certificates(keys.path());
        let path = |name: &str| format!("{:?}", keys.path().join(name));
        let external = if mechanisms.contains("EXTERNAL") {
            "[[auth.certificate]]\nname = \"anna.client.test\"\nuser = \"anna\"\n"
        } else {
            ""
        };
        let site = Site::new(
            "local_domains = [\"example.test\"]",
            &format!(
                "[[listener]]\naddress = \"127.0.0.1:0\"\nmode = \"submission\"\n\
                 [[listener]]\naddress = \"127.0.0.1:0\"\nmode = \"submissions\"\n\
                 [tls]\ncert = {}\nkey = {}\nclient_ca = {}\n\
                 [auth]\nusers = {}\nmechanisms = [{mechanisms}]\n{external}",
                path("server.pem"),
                path("server.key"),
                path("clients.pem"),
                path("users.toml"),
            ),
        );
        let config = site.config().display().to_string();
        let output = site.run_with_input(&["user", "add", "anna", "--config", &config], &format!("{PASSWORD}\n"));
        assert!(output.status.success(), "{output:?}");
        let relay = site.start();
        Self { site, relay, keys, sent: Cell::new(0) }
    }

    pub(crate) fn address(&self, mode: &str) -> SocketAddr {
        self.relay.listener(mode)
    }

    pub(crate) fn port(&self, mode: &str) -> String {
        self.address(mode).port().to_string()
    }

    /// A file for the clients: `ca.pem`, `client.pem` or `client.key`; or one to be written.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.keys.path().join(name)
    }

    /// Runs a client that must log in with `proof` and send one message; returns the message.
    pub(crate) fn sends(&self, proof: &str, client: &mut Command) -> String {
        let (code, said) = run(client);
        assert_eq!(code, 0, "{said}");
        self.arrives(proof)
    }

    /// Waits for the message that was sent; returns it.
    pub(crate) fn arrives(&self, proof: &str) -> String {
        let before = self.sent.replace(self.sent.get() + 1);
        let last = |mut found: Vec<(std::time::SystemTime, Vec<u8>)>| {
            found.sort();
            found.pop().expect("a message").1
        };
        delivered(&self.site.mail(), before + 1);
        let found = maildir(&self.site.mail()).into_iter();
        let dated = found.map(|(path, content)| (path.metadata().unwrap().modified().unwrap(), content)).collect();
        let added = added(&last(dated));
        assert_eq!(added.return_path.as_deref(), Some("<anna@example.test>"));
        assert!(added.received.contains(" with ESMTPSA "), "RFC 3848: {}", added.received);
        let (reply, with) = self.last_login();
        assert!(reply.starts_with("235 ") && with == proof, "{reply} by {with}");
        String::from_utf8(added.message).unwrap()
    }

    /// Runs a client with a wrong password: it says so, and nothing is sent.
    pub(crate) fn refuses(&self, proof: &str, client: &mut Command) {
        let (code, said) = run(client);
        assert_ne!(code, 0, "{said}");
        assert!(said.contains("535"), "{said}");
        let (reply, with) = self.last_login();
        assert!(reply.starts_with("535 5.7.8 ") && with == proof, "{reply} by {with}");
    }

    /// Reply and kind of proof of the last AUTH.
    pub(crate) fn last_login(&self) -> (String, String) {
        let audit = self.site.audit();
        let login = audit.iter().rfind(|line| line["event"] == "authentication").expect("an AUTH in the audit log");
        let text = |key: &str| login[key].as_str().unwrap_or_default().to_owned();
        (text("reply"), text("proof"))
    }

    /// How many events of this name there were.
    pub(crate) fn events(&self, name: &str) -> usize {
        self.site.audit().iter().filter(|line| line["event"] == name).count()
    }

    /// The relay must end well, and no more has come than was sent.
    pub(crate) fn stop(self) {
        self.relay.stop();
        assert_eq!(maildir(&self.site.mail()).len(), self.sent.get(), "what was refused has come");
    }
}

/// Certificates of two authorities, one for the server and one for the client.
fn certificates(folder: &Path) {
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text).expect("write a certificate");
    let authority = |name: &str| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    let leaf = |names: &[&str], usage, authority: &CertifiedIssuer<'static, KeyPair>| {
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name.push(DnType::CommonName, names[0]);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, authority).unwrap().pem(), key.serialize_pem())
    };
    let servers = authority("authority of servers");
    let (certificate, key) =
        leaf(&["mx.example.test", "localhost", "127.0.0.1"], ExtendedKeyUsagePurpose::ServerAuth, &servers);
    write("ca.pem", servers.pem());
    write("server.pem", certificate);
    write("server.key", key);
    let clients = authority("authority of clients");
    let (certificate, key) = leaf(&["anna.client.test"], ExtendedKeyUsagePurpose::ClientAuth, &clients);
    write("clients.pem", clients.pem());
    write("client.pem", certificate);
    write("client.key", key);
}
