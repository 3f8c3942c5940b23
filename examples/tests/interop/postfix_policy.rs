//! Postfix's smtpd asks the program `policy` about each recipient, and says what it answers.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::programs::{postfix, postfix_folder, run};
use crate::support::client::Client;
use crate::support::eventually;

/// Accounts that each Debian has, and that own nothing else here.
const OWNER: &str = "daemon";
const GROUP: &str = "games";

const POLICY: &str = "local domains ours = example.org\n\n\
    refuse 554 5.7.9 \"not from %{sender}\" when sender blocked.test\n\
    refuse 552 5.3.4 \"too much\" when size > 1000\n\
    permit when to ours\n\
    refuse 550 5.7.1 \"we are no relay, says line 6\"\n";

/// The program `policy`, answering; it is stopped when it is dropped.
struct Engine {
    child: Child,
    out: BufReader<ChildStdout>,
    address: String,
}

impl Engine {
    fn start(folder: &Path) -> Self {
        std::fs::write(folder.join("relay.policy"), POLICY).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_policy"));
        command.args(["serve", "--policy", "relay.policy", "--listen", "127.0.0.1:0", "--end-of-data"]);
        let mut child = command.current_dir(folder).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut engine = Self { child, out, address: String::new() };
        engine.address = engine.line("listening on ");
        engine
    }

    /// What stands behind these words in the next line that begins with them.
    fn line(&mut self, start: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.out.read_line(&mut line).unwrap() > 0, "no line `{start}`");
            if let Some(rest) = line.strip_prefix(start) {
                return rest.trim_end().to_owned();
            }
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Postfix that takes mail on one port of the loopback; it is stopped when it is dropped.
struct Smtpd {
    folder: tempfile::TempDir,
    master: Child,
    address: SocketAddr,
}

impl Smtpd {
    fn start(engine: &str) -> Self {
        assert_eq!(run(Command::new("id").arg("-u")).1.trim(), "0", "only root can start Postfix");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let mode = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        mode(path, 0o755);
        let spool = |name: &str| path.join("spool").join(name);
        let own = ["active", "bounce", "corrupt", "defer", "deferred", "hold", "incoming", "private", "saved", "trace"];
        let owned = own.into_iter().map(|name| (name, 0o700, OWNER.to_owned()));
        let shared = [("maildrop", 0o730), ("public", 0o710)];
        let shared = shared.map(|(name, access)| (name, access, format!("{OWNER}:{GROUP}")));
        for (name, access, owner) in owned.chain(shared) {
            std::fs::create_dir_all(spool(name)).unwrap();
            mode(&spool(name), access);
            assert_eq!(run(Command::new("chown").arg(owner).arg(spool(name))).0, 0);
        }
        std::fs::create_dir(spool("pid")).unwrap();
        std::fs::create_dir(path.join("data")).unwrap();
        assert_eq!(run(Command::new("chown").arg(OWNER).arg(path.join("data"))).0, 0);
        // It cannot say which port it was given: one that was free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).unwrap();
        let config = path.join("etc");
        std::fs::create_dir(&config).unwrap();
        std::fs::write(config.join("dynamicmaps.cf"), "").unwrap();
        let services = format!(
            "{address} inet n - n - - smtpd\ncleanup unix n - n - 0 cleanup\nrewrite unix - - n - - trivial-rewrite\n\
             qmgr unix n - n 1 1 qmgr\nbounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\n\
             anvil unix - - n - 1 anvil\ndiscard unix - - n - - discard\npostlog unix-dgram n - n - 1 postlogd\n"
        );
        std::fs::write(config.join("master.cf"), services).unwrap();
        let (usr, here) = (postfix_folder(), path.display());
        let usr = usr.display();
        let text = format!(
            "compatibility_level = 3.6\nqueue_directory = {here}/spool\ndata_directory = {here}/data\n\
             command_directory = {usr}/sbin\ndaemon_directory = {usr}/lib/postfix/sbin\n\
             shlib_directory = {usr}/lib/postfix\nmeta_directory = {here}/etc\nmail_owner = {OWNER}\n\
             setgid_group = {GROUP}\ndefault_privs = nobody\n\
             import_environment = MAIL_CONFIG LD_LIBRARY_PATH\nexport_environment = MAIL_CONFIG LD_LIBRARY_PATH\n\
             inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmyhostname = mx.example.org\nmydestination =\n\
             relay_domains = example.org\nalias_maps =\nalias_database =\nlocal_recipient_maps =\nmynetworks =\n\
             maillog_file = {here}/maillog\nmaillog_file_prefixes = {here}\ndefault_transport = discard\n\
             relay_transport = discard\n\
             smtpd_relay_restrictions = check_policy_service inet:{engine}, reject_unauth_destination\n\
             smtpd_recipient_restrictions =\n\
             smtpd_end_of_data_restrictions = check_policy_service inet:{engine}\n"
        );
        std::fs::write(config.join("main.cf"), text).unwrap();
        let mut master = postfix("lib/postfix/sbin/master");
        master.arg("-d").arg("-c").arg(&config).env("MAIL_CONFIG", &config);
        // It ends the processes of its group, which must be its own.
        let master = master.process_group(0).stdin(Stdio::null()).spawn().unwrap();
        let smtpd = Self { folder, master, address };
        eventually("Postfix to start", || smtpd.log().contains("daemon started").then_some(()));
        smtpd
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("maillog")).unwrap_or_default()
    }
}

impl Drop for Smtpd {
    fn drop(&mut self) {
        // SIGTERM ends its processes too; the shell's own `kill` is everywhere.
        let _ = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.master.id())]).status();
        let _ = self.master.wait();
        if std::thread::panicking() {
            eprintln!("the log of Postfix:\n{}", self.log());
        }
    }
}

#[test]
fn postfix_says_what_the_policy_decides() {
    let folder = tempfile::tempdir().unwrap();
    let mut engine = Engine::start(folder.path());
    let smtpd = Smtpd::start(&engine.address);
    let mut client = Client::hello(smtpd.address).unwrap();
    let mut say = |line: &str| {
        let reply = client.command(line).unwrap();
        (reply.code, reply.text())
    };
    assert_eq!(say("MAIL FROM:<bob@sender.test>").0, 250);
    let (code, text) = say("RCPT TO:<victim@third.test>");
    assert_eq!(code, 550, "{text}");
    assert!(text.contains("5.7.1 <victim@third.test>: ") && text.contains("we are no relay, says line 6"), "{text}");
    assert_eq!(say("RCPT TO:<anna@example.org>").0, 250);
    assert_eq!(say("RCPT TO:<bert@example.org>").0, 250);
    assert_eq!(say("DATA").0, 354);
    // At the end Postfix names no recipient: the engine remembers them.
    let (code, text) = say(&format!("Subject: large\r\n\r\n{}\r\n.", "0123456789\r\n".repeat(200)));
    assert!(code == 552 && text.contains("too much"), "{code} {text}");
    // For Postfix the transaction goes on.
    assert_eq!(say("RSET").0, 250);
    assert_eq!(say("MAIL FROM:<bob@sender.test>").0, 250);
    assert_eq!(say("RCPT TO:<anna@example.org>").0, 250);
    assert_eq!(say("DATA").0, 354);
    assert_eq!(say("Subject: small\r\n\r\nbody\r\n.").0, 250);
    assert_eq!(say("MAIL FROM:<eve@blocked.test>").0, 250);
    let (code, text) = say("RCPT TO:<anna@example.org>");
    assert!(code == 554 && text.contains("not from eve@blocked.test"), "{code} {text}");

    let changed = POLICY.replace("permit when to ours", "defer 450 4.2.1 \"closed on Tuesdays\" when to ours");
    std::fs::write(folder.path().join("relay.policy"), changed).unwrap();
    let hangup = Command::new("sh").args(["-c", &format!("kill -HUP {}", engine.child.id())]).status();
    assert!(hangup.unwrap().success());
    engine.line("reloaded: ");
    assert_eq!(say("RSET").0, 250);
    assert_eq!(say("MAIL FROM:<bob@sender.test>").0, 250);
    let (code, text) = say("RCPT TO:<anna@example.org>");
    assert!(code == 450 && text.contains("closed on Tuesdays"), "{code} {text}");
}
