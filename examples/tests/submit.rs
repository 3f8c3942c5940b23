//! The program `submit` against the relay: ports for submission, TLS of both kinds, a user.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

/// A relay with a user, killed when it is dropped.
struct Relay {
    process: Child,
    /// The ports with STARTTLS and with implicit TLS.
    ports: [u16; 2],
    folder: tempfile::TempDir,
}

impl Relay {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let text = format!(
            "hostname = \"mx.example.test\"\ndata_dir = {:?}\nlocal_domains = [\"example.test\"]\n\n\
             [[listener]]\naddress = \"127.0.0.1:0\"\nmode = \"submission\"\n\n\
             [[listener]]\naddress = \"127.0.0.1:0\"\nmode = \"submissions\"\n\n[auth]\nusers = {:?}\n",
            path("data"),
            path("users"),
        );
        fs::write(path("relay.toml"), text).expect("a configuration");
        let relay = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_relay"));
            command.arg("--config").arg(path("relay.toml")).stdin(Stdio::piped()).stdout(Stdio::piped());
            command
        };
        let add = ["user", "add", "alice", "--sender", "alice@example.test"];
        let mut add = relay().args(add).spawn().expect("the relay");
        add.stdin.take().expect("its input").write_all(b"open sesame\n").expect("a password");
        assert!(add.wait().expect("its end").success());

        let mut process = relay().spawn().expect("the relay");
        let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let mut port = |mode: &str| loop {
            let line = lines.next().expect("the relay listens").expect("its output");
            if let Some(address) = line.strip_prefix("listening on ").and_then(|line| line.strip_suffix(mode)) {
                break address.trim().rsplit(':').next().expect("a port").parse().expect("a port");
            }
        };
        let ports = [port("(submission)"), port("(submissions)")];
        Self { process, ports, folder }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// What `submit` says to this: nothing, if it succeeds.
    fn submit(&self, server: &str, from: &str, password: &str, options: &[&str]) -> String {
        fs::write(self.path("text"), format!("From: {from}\nSubject: x\n\n.dot\n")).expect("a message");
        let output = Command::new(env!("CARGO_BIN_EXE_submit"))
            .args([server, from, "bob@example.test"])
            .arg(self.path("text"))
            .args(options)
            .env("SUBMIT_PASSWORD", password)
            .output()
            .expect("submit");
        let said = String::from_utf8(output.stderr).expect("a text");
        assert_eq!(output.status.success(), said.is_empty(), "{said}");
        said
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_user_submits_under_tls_and_nobody_else() {
    let relay = Relay::start();
    let certificate = relay.path("data/tls/cert.pem");
    let certificate = certificate.to_str().expect("a path");
    let [starttls, implicit] = relay.ports.map(|port| format!("localhost:{port}"));
    let user = |tls: &'static str| ["--tls", tls, "--authorities", certificate, "--user", "alice"];
    let (me, password) = ("alice@example.test", "open sesame");
    assert_eq!(relay.submit(&starttls, me, password, &user("starttls")), "");
    assert_eq!(relay.submit(&implicit, me, password, &user("implicit")), "");

    for (server, from, password, options, refusal) in [
        (&starttls, me, "open", &user("starttls")[..], "submit: 535 5.7.8"),
        (&implicit, "eve@example.test", password, &user("implicit")[..], "submit: 553 5.7.1"),
        (&starttls, me, password, &[][..], "submit: 530 5.7.0"),
        (&starttls, me, password, &user("starttls")[..4], "submit: 530 5.7.0"),
        (&starttls, me, password, &user("implicit")[..], "submit: 454 4.7.5 TLS handshake failed"),
        (&implicit.replace("localhost", "127.0.0.1"), me, password, &user("implicit")[..], "submit: 454 4.7.5"),
    ] {
        let said = relay.submit(server, from, password, options);
        assert!(said.starts_with(refusal), "{said}");
    }

    // What was taken is delivered, and nothing else.
    let mailbox = relay.path("data/mail/bob/new");
    let mails = |folder: &Path| fs::read_dir(folder).map_or(0, Iterator::count);
    for _ in 0..600 {
        if mails(&mailbox) == 2 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(mails(&mailbox), 2);
    let first = fs::read_dir(&mailbox).expect("mails").next().expect("a mail").expect("a mail").path();
    let text = fs::read_to_string(first).expect("a text");
    assert!(text.contains(" with ESMTPSA ") && text.ends_with("\n\n.dot\n"), "{text}");
}
