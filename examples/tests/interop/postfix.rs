//! Postfix sends through the relay as through the server of a provider: STARTTLS and AUTH.
//!
//! It runs from the folder that its package is unpacked into, with a configuration and a queue of
//! the test's own, and takes mail from its `sendmail` only.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::programs::{postfix, postfix_folder, run};
use crate::support::eventually;
use crate::users::{PASSWORD, Server, USUAL, WRONG};

/// Accounts that each Debian has, and that own nothing else here.
const OWNER: &str = "daemon";
const GROUP: &str = "games";

const SERVICES: &str = "\
pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
postlog unix-dgram n - n - 1 postlogd
";

/// A running Postfix; it is stopped when it is dropped.
struct Postfix {
    folder: tempfile::TempDir,
    master: Child,
}

impl Postfix {
    /// Sends everything to `server` with this mechanism and password.
    fn start(server: &Server, mechanism: &str, password: &str) -> Self {
        assert_eq!(run(Command::new("id").arg("-u")).1.trim(), "0", "only root can start Postfix");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let mode = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        mode(path, 0o755);
        let own = ["active", "bounce", "corrupt", "defer", "deferred", "hold", "incoming", "private", "saved", "trace"];
        for name in own.into_iter().chain(["maildrop", "public", "pid"]) {
            std::fs::create_dir_all(path.join("spool").join(name)).unwrap();
        }
        let spool = |name: &str| path.join("spool").join(name);
        for (name, access) in own.into_iter().map(|name| (name, 0o700)).chain([("maildrop", 0o730), ("public", 0o710)])
        {
            mode(&spool(name), access);
        }
        std::fs::create_dir(path.join("data")).unwrap();
        let folders: Vec<PathBuf> = own.into_iter().chain(["maildrop", "public"]).map(spool).collect();
        let owned = |owner: &str, paths: &[PathBuf]| {
            let (code, said) = run(Command::new("chown").arg(owner).args(paths));
            assert_eq!(code, 0, "{said}");
        };
        owned(OWNER, &folders);
        owned(&format!("{OWNER}:{GROUP}"), &[spool("maildrop"), spool("public")]);
        owned(OWNER, &[path.join("data")]);

        let config = path.join("etc");
        std::fs::create_dir(&config).unwrap();
        std::fs::write(config.join("dynamicmaps.cf"), "").unwrap();
        std::fs::write(config.join("master.cf"), SERVICES).unwrap();
        let (usr, here, port) = (postfix_folder(), path.display(), server.port("submission"));
        let usr = usr.display();
        let text = format!(
            "compatibility_level = 3.6\n\
             queue_directory = {here}/spool\n\
             data_directory = {here}/data\n\
             command_directory = {usr}/sbin\n\
             daemon_directory = {usr}/lib/postfix/sbin\n\
             shlib_directory = {usr}/lib/postfix\n\
             meta_directory = {here}/etc\n\
             sendmail_path = {usr}/sbin/sendmail\n\
             mail_owner = {OWNER}\n\
             setgid_group = {GROUP}\n\
             default_privs = nobody\n\
             import_environment = MAIL_CONFIG LD_LIBRARY_PATH\n\
             export_environment = MAIL_CONFIG LD_LIBRARY_PATH\n\
             inet_interfaces = 127.0.0.1\n\
             inet_protocols = ipv4\n\
             myhostname = client.sender.test\n\
             mydestination =\n\
             alias_maps =\n\
             alias_database =\n\
             maillog_file = {here}/maillog\n\
             maillog_file_prefixes = {here}\n\
             relayhost = [127.0.0.1]:{port}\n\
             smtp_tls_security_level = encrypt\n\
             smtp_tls_loglevel = 1\n\
             smtp_sasl_auth_enable = yes\n\
             smtp_sasl_security_options = noanonymous\n\
             smtp_sasl_mechanism_filter = {mechanism}\n\
             smtp_sasl_password_maps = inline:{{ {{ [127.0.0.1]:{port} = anna:{password} }} }}\n"
        );
        std::fs::write(config.join("main.cf"), text).unwrap();
        let mut master = postfix("lib/postfix/sbin/master");
        master.arg("-d").arg("-c").arg(&config).env("MAIL_CONFIG", &config);
        // It ends the processes of its group, which must be its own.
        let master = master.process_group(0).stdin(Stdio::null()).spawn().unwrap();
        let postfix = Self { folder, master };
        eventually("Postfix to start", || postfix.log().contains("daemon started").then_some(()));
        postfix
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("maillog")).unwrap_or_default()
    }

    /// Waits for the line that says what became of the message; returns it.
    fn send(&self, message: &str) -> String {
        let config = self.folder.path().join("etc");
        let mut sendmail = postfix("sbin/sendmail");
        sendmail.env("MAIL_CONFIG", &config).arg("-C").arg(&config);
        sendmail.args(["-i", "-f", "anna@example.test", "bert@example.test"]).stdin(Stdio::piped());
        let mut child = sendmail.spawn().unwrap();
        child.stdin.take().unwrap().write_all(message.as_bytes()).unwrap();
        let status = child.wait().unwrap();
        assert!(status.success(), "{status}: {}", self.log());
        eventually("Postfix to have tried", || {
            self.log().lines().find(|line| line.contains(" status=")).map(str::to_owned)
        })
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        // SIGTERM ends its processes too; the shell's own `kill` is everywhere.
        let _ = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.master.id())]).status();
        let _ = self.master.wait();
        if std::thread::panicking() {
            eprintln!("the log of Postfix:\n{}", self.log());
        }
    }
}

const MESSAGE: &str = "From: anna@example.test\nTo: bert@example.test\nSubject: by Postfix\n\nfirst\n.second\n..\n";

#[test]
fn postfix_sends_with_starttls_and_auth() {
    let server = Server::start(&format!("{USUAL}, \"LOGIN\""));
    for (mechanism, proof) in [("plain", "password"), ("login", "password"), ("scram-sha-256", "scram")] {
        let postfix = Postfix::start(&server, mechanism, PASSWORD);
        let line = postfix.send(MESSAGE);
        assert!(line.contains("dsn=2.0.0, status=sent (250 2.0.0 queued as "), "{line}\n{}", postfix.log());
        assert!(postfix.log().contains("TLS connection established to 127.0.0.1"), "{}", postfix.log());
        let message = server.arrives(proof);
        assert!(
            message.contains("\nSubject: by Postfix\n") && message.ends_with("\n\nfirst\n.second\n..\n"),
            "{message}"
        );
    }
    server.stop();
}

/// It keeps the message and says why; the user can correct the password.
#[test]
fn postfix_with_a_wrong_password_keeps_its_mail() {
    let server = Server::start(USUAL);
    let postfix = Postfix::start(&server, "plain", WRONG);
    let line = postfix.send(MESSAGE);
    assert!(line.contains("status=deferred") && line.contains("535 5.7.8 "), "{line}");
    assert!(server.last_login().0.starts_with("535 5.7.8 "));
    server.stop();
}
