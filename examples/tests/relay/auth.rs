//! Users: who they are, what they may send as, and what the log says of it.

use std::io;

use hikyaku::session::sasl::{Mechanism, Password, client};

use crate::support::client::{Client, Reply, base64};
use crate::support::message::added;
use crate::support::relay::Site;
use crate::support::tls::Trust;
use crate::support::users::{SECRET, site, user};
use crate::support::{delivered, eventually, maildir};

/// Runs an exchange to its end, and says what the server said last.
fn exchange(client: &mut Client, mechanism: Mechanism, user: &str, password: &str) -> io::Result<Reply> {
    let credentials = client::Credentials::Password { user: user.into(), password: Password::new(password) };
    let begun = client::start(mechanism, &credentials, client.exporter, true, *b"0123456789abcdefgh");
    let (initial, mut exchange) = begun.expect("credentials that fit");
    let initial = initial.map(|octets| format!(" {}", base64(&octets))).unwrap_or_default();
    let mut reply = client.command(format!("AUTH {mechanism}{initial}"))?;
    while reply.code == 334 {
        let challenge = reply.text().parse::<hikyaku::wire::Base64>().expect("a challenge is base64").decode();
        let response = exchange.respond(&challenge).map(|octets| base64(&octets)).unwrap_or_else(|_| "*".into());
        reply = client.command(response)?;
    }
    if reply.code == 235 {
        exchange.accepted().expect("the server has proved who it is");
    }
    Ok(reply)
}

/// Waits for the names of the limits that were reached.
fn reached(site: &Site, expected: &[&str]) {
    eventually(&format!("limits {expected:?}"), || {
        let names: Vec<_> = site.events("limit").iter().map(|line| line["name"].as_str().unwrap().to_owned()).collect();
        (names == expected).then_some(())
    });
}

const FROM_ALICE: &[u8] = b"From: alice@example.test\r\nSubject: x\r\n\r\nHello.\r\n";

#[test]
fn a_password_opens_both_listeners() {
    let site = site("", "", &user("alice", ""));
    let relay = site.start();
    let (submission, submissions) = (relay.listener("submission"), relay.listener("submissions"));
    let trust = site.trust(None);
    assert_eq!(Client::hello(submission).unwrap().plain("alice", "secret").unwrap().code, 538, "not in clear text");
    assert_eq!(Client::hello(submission).unwrap().command("MAIL FROM:<alice@example.test>").unwrap().code, 530);
    let mechanisms = [Mechanism::Plain, Mechanism::ScramSha256Plus];
    for (mut client, mechanism) in
        [Client::start_tls(submission, &trust), Client::implicit_tls(submissions, &trust)].into_iter().zip(mechanisms)
    {
        let client = client.as_mut().unwrap();
        assert_eq!(client.command("MAIL FROM:<alice@example.test>").unwrap().code, 530);
        assert_eq!(client.command("AUTH LOGIN").unwrap().code, 504, "only if it is configured");
        let reply = exchange(client, mechanism, "Alice", "secret").unwrap();
        assert_eq!((reply.code, reply.text().as_str()), (235, "2.7.0 authenticated"));
        let reply = client.transaction("alice@example.test", &["bert@example.test"], FROM_ALICE).unwrap();
        assert_eq!(reply.code, 250, "{reply:?}");
        assert_eq!(client.command("QUIT").unwrap().code, 221);
    }
    // Mail servers do not log in, here.
    let mut mx = Client::start_tls(relay.address(), &trust).unwrap();
    assert_eq!(mx.plain("alice", "secret").unwrap().code, 502);
    for content in delivered(&site.mail(), 2) {
        let added = added(&content);
        assert!(added.received.contains(" with ESMTPSA "), "{}", added.received);
        let message = String::from_utf8(added.message).unwrap();
        assert!(message.starts_with("Date: ") && message.contains("\nMessage-ID: <"), "{message}");
    }
    relay.stop();
    let log = std::fs::read_to_string(site.data().join("audit.jsonl")).unwrap();
    assert!(!log.contains("secret") && !log.contains("argon2") && !log.contains("AHNlY3JldA"), "{log}");
    let logins = site.events("authentication");
    let proofs: Vec<_> = logins.iter().map(|line| (line["user"].as_str(), line["proof"].as_str())).collect();
    assert_eq!(proofs, [(Some("alice"), Some("password")), (Some("alice"), Some("scram"))]);
    assert!(logins.iter().all(|line| line["reply"] == "235 2.7.0 authenticated"));
    let tls = site.events("tls");
    assert_eq!(tls.len(), 3);
    assert!(tls.iter().all(|line| line["version"] == "TLSv1.3" && line["server_name"] == "localhost"), "{tls:?}");
    let decisions = site.events("decision");
    let permitted = decisions.iter().filter(|line| line["user"] == "alice" && line["stage"] == "recipient");
    assert_eq!(permitted.count(), 2);
}

#[test]
fn c1_22_who_is_not_known_is_told_what_a_wrong_password_is_told() {
    let users = [user("alice", ""), user("bob", "disabled = true")].concat();
    let site = site("", "", &users);
    let relay = site.start();
    let trust = site.trust(None);
    let try_to = |mechanism, user: &str, password: &str| {
        let mut client = Client::start_tls(relay.listener("submission"), &trust).unwrap();
        let reply = exchange(&mut client, mechanism, user, password).unwrap();
        // The id of the connection stands in brackets.
        (reply.code, reply.text().split(" (").next().unwrap().to_owned())
    };
    let failed = (535, "5.7.8 authentication failed".to_owned());
    for mechanism in [Mechanism::Plain, Mechanism::ScramSha256] {
        for (user, password) in [("alice", "wrong"), ("mallory", "secret"), ("*)(uid=*", "secret"), ("bob", "wrong")] {
            assert_eq!(try_to(mechanism, user, password), failed, "{mechanism} {user}");
        }
    }
    assert_eq!(try_to(Mechanism::Plain, "bob", "secret"), (525, "5.7.13 account disabled".to_owned()));
    assert_eq!(try_to(Mechanism::ScramSha256, "bob", "secret"), failed);
    relay.stop();
    let claimed: Vec<_> = site.events("authentication").iter().map(|line| line["user"].clone()).collect();
    assert_eq!(claimed.len(), 10, "{:?}", site.audit());
    assert_eq!(claimed[..4], ["alice", "mallory", "*)(uid=*", "bob"]);
    assert!(site.audit().iter().all(|line| line["user"].is_null() || line["event"] == "authentication"));
}

#[test]
fn d49_c1_31_users_send_as_themselves_only() {
    let users = [user("alice", ""), user("bob", "senders = [\"bob@example.test\", \"*@lists.example.test\"]")].concat();
    let site = site("", "", &users);
    let relay = site.start();
    let trust = site.trust(None);
    let send = |user: &str, sender: &str, from: &str| {
        let mut client = Client::start_tls(relay.listener("submission"), &trust).unwrap();
        assert_eq!(client.plain(user, "secret").unwrap().code, 235);
        let message = format!("From: {from}\r\nSubject: x\r\n\r\nHello.\r\n");
        let reply = client.transaction(sender, &["bert@example.test"], message.as_bytes()).unwrap();
        (reply.code, reply.text().split(' ').next().unwrap().to_owned())
    };
    for (user, sender, from, expected) in [
        ("alice", "alice@example.test", "Alice <ALICE@example.test>", (250, "2.0.0")),
        ("alice", "bob@example.test", "alice@example.test", (553, "5.7.1")),
        ("alice", "alice@elsewhere.test", "alice@example.test", (553, "5.7.1")),
        ("alice", "alice@example.test", "bob@example.test", (550, "5.7.1")),
        ("alice", "alice@example.test", "alice@example.test, bob@example.test", (550, "5.7.1")),
        // Nobody's: a receipt, for example. The author is still looked at.
        ("alice", "", "alice@example.test", (250, "2.0.0")),
        ("alice", "", "bob@example.test", (550, "5.7.1")),
        ("bob", "news@lists.example.test", "bob@example.test", (250, "2.0.0")),
        ("bob", "bob@other.example.test", "bob@example.test", (553, "5.7.1")),
    ] {
        assert_eq!(send(user, sender, from), (expected.0, expected.1.to_owned()), "{user} {sender} {from}");
    }
    relay.stop();
    assert_eq!(maildir(&site.mail()).len(), 3);
    let rules: Vec<_> = site.events("decision").iter().filter(|line| line["stage"] == "mail").cloned().collect();
    assert_eq!(rules.len(), 3);
    assert!(
        rules.iter().all(|line| line["rule"].as_str().is_some_and(|rule| rule.starts_with("refuse 553 5.7.1 "))
            && line["line"].is_u64()
            && !line["user"].is_null()),
        "{rules:?}"
    );
}

#[test]
fn a_trusted_network_submits_without_a_password() {
    let site = site("trusted_networks = [\"127.0.0.0/8\"]", "", &user("alice", ""));
    let relay = site.start();
    let mut client = Client::hello(relay.listener("submission")).unwrap();
    let message = b"From: scanner@example.test\r\n\r\nHello.\r\n";
    assert_eq!(client.transaction("scanner@example.test", &["bert@example.test"], message).unwrap().code, 250);
    let content = delivered(&site.mail(), 1).remove(0);
    let message = String::from_utf8(added(&content).message).unwrap();
    assert!(message.starts_with("Date: ") && message.contains("\nMessage-ID: <"), "{message}");
    // A user of such a network is still bound to its addresses.
    let mut client = Client::start_tls(relay.listener("submission"), &site.trust(None)).unwrap();
    assert_eq!(client.plain("alice", "secret").unwrap().code, 235);
    assert_eq!(client.command("MAIL FROM:<scanner@example.test>").unwrap().code, 553);
    relay.stop();
}

#[test]
fn users_and_certificates_are_read_anew_on_sighup() {
    let site = site("", "", &user("alice", ""));
    let relay = site.start();
    let (address, trust) = (relay.listener("submission"), site.trust(None));
    let mut old = Client::start_tls(address, &trust).unwrap();
    let add = ["--config", "relay.toml", "user", "add", "carl"];
    let added = site.run_with_input(&add, "secret\n");
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    assert_eq!(Client::start_tls(address, &trust).unwrap().plain("carl", "secret").unwrap().code, 535, "not yet");
    let reloaded = |count| {
        relay.hang_up();
        eventually("the files to be read", || Some(site.events("reloaded")).filter(|lines| lines.len() == count))
    };
    let lines = reloaded(2);
    assert!(lines.iter().all(|line| line["error"].is_null()), "{lines:?}");
    assert_eq!(old.plain("carl", "secret").unwrap().code, 235, "on a connection that was there before");

    // What is wrong changes nothing.
    std::fs::write(site.users(), "[[user]]\nname = \"alice\"\npasword = \"\"\n").unwrap();
    let certificate = site.data().join("tls/cert.pem");
    let pem = std::fs::read(&certificate).unwrap();
    std::fs::write(&certificate, "nothing").unwrap();
    let lines = reloaded(4);
    let what: Vec<_> = lines[2..].iter().map(|line| (line["what"].as_str(), line["error"].is_string())).collect();
    assert_eq!(what, [(Some("certificates"), true), (Some("users"), true)]);
    assert!(lines[3]["error"].as_str().unwrap().contains("users.toml, line 3, column 1: user.pasword: "), "{lines:?}");
    let errors = std::fs::read_to_string(site.path().join("stderr")).unwrap();
    assert!(
        errors.contains("the users stay as they were: ") && errors.contains("the certificates stay as they were: ")
    );
    assert_eq!(Client::start_tls(address, &trust).unwrap().plain("carl", "secret").unwrap().code, 235);
    assert_eq!(old.command("NOOP").unwrap().code, 250);

    // Another certificate is shown to those who come from now on.
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(site.data().join("tls/key.pem"), other.signing_key.serialize_pem()).unwrap();
    std::fs::write(&certificate, other.cert.pem()).unwrap();
    std::fs::write(site.users(), user("dora", "")).unwrap();
    let lines = reloaded(6);
    assert!(lines[4..].iter().all(|line| line["error"].is_null()), "{lines:?}");
    let former = site.path().join("former.pem");
    std::fs::write(&former, pem).unwrap();
    // Not a session that goes on: there no certificate is shown.
    assert!(Client::start_tls(address, &Trust::file(&former, None)).is_err(), "the old one is not shown any more");
    let mut new = Client::start_tls(address, &site.trust(None)).unwrap();
    assert_eq!(new.plain("carl", "secret").unwrap().code, 535);
    assert_eq!(new.plain("dora", "secret").unwrap().code, 235);
    // Who is gone from the file owns no address any more.
    assert_eq!(old.command("MAIL FROM:<carl@example.test>").unwrap().code, 553);
    relay.stop();
}

#[test]
fn a_certificate_and_a_secret_are_made_once() {
    let site = site("", "", &user("alice", ""));
    let octets = |file: &str| std::fs::read(site.data().join(file)).unwrap();
    let said = site.start().stop();
    assert!(said.contains("self-signed") && said.contains("sha256//"), "{said}");
    let before = (octets("tls/cert.pem"), octets("tls/key.pem"), octets("secret"));
    assert_eq!(before.2.len(), 32);
    use std::os::unix::fs::PermissionsExt as _;
    for file in ["tls/key.pem", "secret"] {
        let mode = std::fs::metadata(site.data().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    site.start().stop();
    assert_eq!((octets("tls/cert.pem"), octets("tls/key.pem"), octets("secret")), before);
    std::fs::write(site.data().join("secret"), "short").unwrap();
    let output = site.run(&["--config", "relay.toml"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("secret: expected 32 octets"), "{said}");

    let plain = Site::new("local_domains = [\"example.test\"]", "");
    let text =
        std::fs::read_to_string(plain.config()).unwrap().replace("mode = \"mx\"", "mode = \"mx\"\ntls = \"off\"");
    std::fs::write(plain.config(), text).unwrap();
    let relay = plain.start();
    let mut client = Client::connect(relay.address()).unwrap();
    assert!(!client.command("EHLO client.sender.test").unwrap().text().contains("STARTTLS"));
    relay.stop();
    assert!(!plain.data().join("tls").exists() && !plain.data().join("secret").exists());
}

#[test]
fn a_listener_may_ask_for_tls() {
    let site = Site::new("local_domains = [\"example.test\"]", "");
    let text = std::fs::read_to_string(site.config()).unwrap();
    std::fs::write(site.config(), text.replace("mode = \"mx\"", "mode = \"mx\"\ntls = \"required\"")).unwrap();
    let relay = site.start();
    let mut client = Client::hello(relay.address()).unwrap();
    assert_eq!(client.command("MAIL FROM:<a@sender.test>").unwrap().code, 530);
    let mut client = Client::start_tls(relay.address(), &site.trust(None)).unwrap();
    assert_eq!(
        client
            .transaction("a@sender.test", &["b@example.test"], b"From: a@sender.test\r\nx: y\r\n\r\nz\r\n")
            .unwrap()
            .code,
        250
    );
    let content = delivered(&site.mail(), 1).remove(0);
    assert!(added(&content).received.contains(" with ESMTPS "));
    assert!(!relay.stop().contains("first mail"), "curl would not be let in like that");
}

#[test]
fn users_are_added_from_standard_input() {
    let site = site("", "", "");
    std::fs::remove_file(site.users()).unwrap();
    let run = |arguments: &[&str], input: &str| {
        let output = site.run_with_input(arguments, input);
        let text = |octets| String::from_utf8(octets).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    let (ok, said, wrong) = run(&["--config", "relay.toml", "user", "add", "Alice"], "secret\r\nignored\n");
    assert!(ok && said.contains("SIGHUP") && wrong.is_empty(), "{said} {wrong}");
    let senders = ["--sender", "bob@example.test", "--sender", "*@lists.example.test"];
    let add = [&["user", "add", "bob"], &senders[..], &["--config", "relay.toml"]].concat();
    assert!(run(&add, "secret").0);
    let text = std::fs::read_to_string(site.users()).unwrap();
    assert!(text.contains("\nsenders = [\"bob@example.test\", \"*@lists.example.test\"]\n"), "{text}");
    assert!(!text.contains("secret"), "{text}");
    for (arguments, input, expected) in [
        (&["--config", "relay.toml", "user", "add", "alice"][..], "x\n", "users.toml: alice is there already"),
        (&["--config", "relay.toml", "user", "add", "carl"], "", "the password: "),
        (&["--config", "relay.toml", "user", "add", "carl"], "\n", "a password has 1 to 255 octets"),
        (&["--config", "relay.toml", "user", "add", "carl", "--sender", "carl"], "x\n", "expected an address"),
        (&["--config", "relay.toml", "user", "add", ""], "x\n", "expected a name"),
        (&["user", "add", "carl"], "x\n", "names no file of users"),
        (&["--config", "missing.toml", "user", "add", "carl"], "x\n", "missing.toml"),
    ] {
        let (ok, said, wrong) = run(arguments, input);
        assert!(!ok && said.is_empty() && wrong.contains(expected), "{arguments:?}: {said} {wrong}");
    }
    assert_eq!(std::fs::read_to_string(site.users()).unwrap(), text);
    assert!(!site.data().exists(), "nothing else is made");

    let relay = site.start();
    let mut client = Client::start_tls(relay.listener("submission"), &site.trust(None)).unwrap();
    assert_eq!(exchange(&mut client, Mechanism::ScramSha256Plus, "alice", "secret").unwrap().code, 235);
    let mut client = Client::start_tls(relay.listener("submission"), &site.trust(None)).unwrap();
    assert_eq!(client.plain("bob", "secret").unwrap().code, 235);
    relay.stop();
}

#[test]
fn a_relay_without_its_users_does_not_start() {
    let site = site("", "", "[[user]]\nname = \"alice\"\npassword = \"secret\"\n");
    let refused = || {
        let output = site.run(&["--config", "relay.toml"]);
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let said = refused();
    assert!(said.contains("users.toml, line 3, column 12: user.password: expected an argon2id hash"), "{said}");
    assert!(!said.contains("\"secret\"") && !said.contains(SECRET), "{said}");
    std::fs::remove_file(site.users()).unwrap();
    let said = refused();
    assert!(said.contains("users.toml: No such file"), "{said}");
}

#[test]
fn d39_failed_logins() {
    let tables = "[limits]\nloopback = true\nauth_attempts = 1\nauth_attempts_per_user = 3\n";
    let site = site("", tables, &[user("alice", ""), user("bob", "")].concat());
    let relay = site.start();
    let trust = site.trust(None);
    let client = || Client::start_tls(relay.listener("submission"), &trust).unwrap();
    let mut first = client();
    assert_eq!(first.plain("alice", "wrong").unwrap().code, 535);
    assert_eq!(first.plain("alice", "wrong").unwrap().code, 421);
    assert!(first.is_closed());
    reached(&site, &["auth_attempts"]);
    assert_eq!(client().plain("alice", "wrong").unwrap().code, 535);
    // Even with the right password now: nobody is asked.
    assert_eq!(client().plain("alice", "secret").unwrap().code, 454);
    reached(&site, &["auth_attempts", "auth_attempts_per_user"]);
    let mut other = client();
    assert_eq!(other.plain("bob", "secret").unwrap().code, 235);
    let message = b"From: bob@example.test\r\n\r\nx\r\n";
    assert_eq!(other.transaction("bob@example.test", &["bert@example.test"], message).unwrap().code, 250);
    delivered(&site.mail(), 1);
    relay.stop();
}
