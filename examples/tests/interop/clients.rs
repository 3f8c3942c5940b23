//! Clients that people use, against a closed relay: a mail for a local user
//! arrives, a mail for a foreign domain is refused where the client shows it.

use std::net::SocketAddr;
use std::process::Command;

use crate::programs::{program, run};
use crate::support::message::added;
use crate::support::relay::Site;
use crate::support::{delivered, maildir};

/// Sends to `to` with the client that `command` makes; the mail must arrive and its
/// foreign twin must not. Returns what arrived.
fn arrives(command: impl Fn(&Site, SocketAddr, &str) -> Command, refused: &[&str]) -> String {
    let site = Site::closed();
    let relay = site.start();
    let (code, said) = run(&mut command(&site, relay.address(), "bert@example.test"));
    assert_eq!(code, 0, "{said}");
    let found = delivered(&site.mail(), 1);

    let (code, said) = run(&mut command(&site, relay.address(), "carl@elsewhere.test"));
    assert_ne!(code, 0, "{said}");
    for part in refused {
        assert!(said.contains(part), "{part:?} in {said}");
    }
    relay.stop();
    assert_eq!(maildir(&site.mail()).len(), 1);
    let added = added(&found[0]);
    assert_eq!(added.return_path.as_deref(), Some("<anna@sender.test>"));
    String::from_utf8(added.message).unwrap()
}

#[test]
fn swaks() {
    let message = arrives(
        |_, address, to| {
            let mut swaks = program("swaks");
            swaks.args(["--server", &address.ip().to_string(), "--port", &address.port().to_string()]);
            swaks.args(["--ehlo", "client.sender.test", "--from", "anna@sender.test", "--to", to]);
            swaks.args(["--header", "Subject: by swaks", "--body", "first\\n.second\\n..\\n"]);
            swaks
        },
        &["550 5.7.1 "],
    );
    assert!(message.contains("\nSubject: by swaks\n"), "{message}");
    assert!(message.contains("\n\nfirst\n.second\n..\n"), "{message}");
}

#[test]
fn swaks_pipelined() {
    let message = arrives(
        |_, address, to| {
            let mut swaks = program("swaks");
            swaks.args(["--server", &address.ip().to_string(), "--port", &address.port().to_string(), "--pipeline"]);
            swaks.args(["--ehlo", "client.sender.test", "--from", "anna@sender.test", "--to", to]);
            swaks
        },
        &["550 5.7.1 "],
    );
    assert!(message.contains("\nTo: bert@example.test\n"), "{message}");
}

#[test]
fn curl() {
    let message = arrives(
        |site, address, to| {
            let file = site.path().join("mail.txt");
            std::fs::write(&file, "From: anna@sender.test\nSubject: by curl\n\n.dot\nlast\n").unwrap();
            let mut curl = program("curl");
            curl.args(["--silent", "--show-error", "--crlf", &format!("smtp://{address}/client.sender.test")]);
            curl.args(["--mail-from", "anna@sender.test", "--mail-rcpt", to, "--upload-file"]).arg(file);
            curl
        },
        &["550"],
    );
    assert_eq!(message, "From: anna@sender.test\nSubject: by curl\n\n.dot\nlast\n");
}

/// Two messages over one connection, the second with 8-bit text and SMTPUTF8.
const SMTPLIB: &str = r#"
import smtplib, sys
from email.message import EmailMessage
host, port, to = sys.argv[1], int(sys.argv[2]), sys.argv[3]
message = EmailMessage()
message["From"], message["To"], message["Subject"] = "anna@sender.test", to, "by smtplib"
message.set_content("first\n.second\n..\n")
with smtplib.SMTP(host, port, local_hostname="client.sender.test") as server:
    server.ehlo()
    for keyword in ["pipelining", "size", "8bitmime", "smtputf8", "enhancedstatuscodes"]:
        assert server.has_extn(keyword), keyword
    assert server.verify("bert")[0] == 252
    assert server.send_message(message) == {}
"#;

#[test]
fn python_smtplib() {
    let message = arrives(
        |_, address, to| {
            let mut python = program("python3");
            python.args(["-c", SMTPLIB, &address.ip().to_string(), &address.port().to_string(), to]);
            python
        },
        &["SMTPRecipientsRefused", "5.7.1 "],
    );
    assert!(message.contains("\nSubject: by smtplib\n"), "{message}");
    assert!(message.ends_with("\n\nfirst\n.second\n..\n"), "{message}");
}

const SMTPLIB_UTF8: &str = r#"
import smtplib, sys
text = "From: Jürgen <jürgen@sender.test>\r\nSubject: Grüße\r\n\r\nschön\r\n".encode()
with smtplib.SMTP(sys.argv[1], int(sys.argv[2]), local_hostname="client.sender.test") as server:
    for to in ["bert@example.test", "jürgen@example.test"]:
        assert server.sendmail("jürgen@sender.test", [to], text, ["SMTPUTF8", "BODY=8BITMIME"]) == {}
    # The library goes on in UTF-8 on this connection, also without the parameter.
    try:
        server.sendmail("jürgen@sender.test", ["bert@example.test"], text)
        raise SystemExit("non-ASCII without SMTPUTF8 was accepted")
    except smtplib.SMTPSenderRefused as error:
        assert error.smtp_code == 550 and error.smtp_error.startswith(b"5.6.7 "), error
"#;

#[test]
fn python_smtplib_with_smtputf8() {
    let site = Site::closed();
    let relay = site.start();
    let (ip, port) = (relay.address().ip().to_string(), relay.address().port().to_string());
    let (code, said) = run(program("python3").args(["-c", SMTPLIB_UTF8, &ip, &port]));
    assert_eq!(code, 0, "{said}");
    for content in delivered(&site.mail(), 2) {
        let added = added(&content);
        assert_eq!(added.return_path.as_deref(), Some("<jürgen@sender.test>"));
        assert!(added.received.contains(" with UTF8SMTP "), "RFC 6531 §4.3: {}", added.received);
        let text = String::from_utf8(added.message).unwrap();
        assert_eq!(text, "From: Jürgen <jürgen@sender.test>\nSubject: Grüße\n\nschön\n");
    }
    relay.stop();
}
