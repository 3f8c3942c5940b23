//! Users' programs log in, over STARTTLS and over TLS from the first octet; none sends anything
//! with a wrong password.

use std::process::Command;

use crate::programs::{program, run};
use crate::users::{PASSWORD, Server, USUAL, WRONG};

/// swaks against `submission` or `submissions`, with this mechanism and password.
fn swaks(server: &Server, mode: &str, mechanism: &str, password: &str) -> Command {
    let mut swaks = program("swaks");
    swaks.args(["--server", "127.0.0.1", "--port", &server.port(mode)]);
    swaks.arg(if mode == "submissions" { "--tls-on-connect" } else { "--tls" });
    swaks.args(["--tls-verify", "--tls-ca-path"]).arg(server.file("ca.pem"));
    swaks.args(["--ehlo", "client.sender.test", "--from", "anna@example.test", "--to", "bert@example.test"]);
    swaks.args(["--header", "Subject: by swaks", "--body", "first\\n.second\\n"]);
    swaks.args(["--auth", mechanism, "--auth-user", "anna", "--auth-password", password]);
    swaks
}

#[test]
fn swaks_with_each_mechanism_that_is_offered() {
    let server = Server::start("\"PLAIN\", \"LOGIN\", \"SCRAM-SHA-256\"");
    for mode in ["submission", "submissions"] {
        for mechanism in ["PLAIN", "LOGIN"] {
            let message = server.sends("password", &mut swaks(&server, mode, mechanism, PASSWORD));
            assert!(
                message.contains("\nSubject: by swaks\n") && message.ends_with("\n\nfirst\n.second\n\n\n"),
                "{message}"
            );
            server.refuses("password", &mut swaks(&server, mode, mechanism, WRONG));
        }
    }
    server.stop();
}

/// What is not offered is not tried: LOGIN must be switched on, and there are no secrets in the
/// clear for CRAM.
#[test]
fn swaks_with_mechanisms_that_are_not_offered() {
    let server = Server::start(USUAL);
    for mechanism in ["LOGIN", "CRAM-MD5", "CRAM-SHA1"] {
        let (code, said) = run(&mut swaks(&server, "submission", mechanism, PASSWORD));
        assert_eq!(code, 28, "{said}");
        assert!(said.contains("*** Auth not attempted, requested type not available"), "{said}");
    }
    assert_eq!(server.events("authentication"), 0);
    server.stop();
}

/// Before TLS there is no AUTH, and without AUTH there is no mail.
#[test]
fn swaks_without_tls_and_without_auth() {
    let server = Server::start(USUAL);
    let mut clear = program("swaks");
    clear.args(["--server", "127.0.0.1", "--port", &server.port("submission"), "--ehlo", "client.sender.test"]);
    clear.args(["--from", "anna@example.test", "--to", "bert@example.test"]);
    let (code, said) = run(&mut clear);
    assert_ne!(code, 0, "{said}");
    assert!(said.contains("250-STARTTLS") || said.contains("250 STARTTLS"), "{said}");
    assert!(!said.contains(" AUTH ") && !said.contains("250-AUTH"), "{said}");
    assert!(said.contains("530 5.7.0 "), "{said}");
    clear.args(["--auth", "PLAIN", "--auth-user", "anna", "--auth-password", PASSWORD]);
    let (code, said) = run(&mut clear);
    assert_eq!(code, 28, "{said}");
    let mut unknown = swaks(&server, "submission", "PLAIN", PASSWORD);
    unknown.args(["--auth-user", "nobody"]);
    server.refuses("password", &mut unknown);
    server.stop();
}

/// D49, C1.31: who has logged in sends in no other name.
#[test]
fn swaks_in_the_name_of_others() {
    let server = Server::start(USUAL);
    let mut envelope = swaks(&server, "submissions", "PLAIN", PASSWORD);
    envelope.args(["--from", "bert@example.test", "--h-From", "anna@example.test"]);
    let (code, said) = run(&mut envelope);
    assert_eq!(code, 23, "{said}");
    assert!(said.contains("553 5.7.1 "), "{said}");
    let mut header = swaks(&server, "submissions", "PLAIN", PASSWORD);
    header.args(["--h-From", "anna@example.test, bert@example.test"]);
    let (code, said) = run(&mut header);
    assert_eq!(code, 26, "{said}");
    assert!(said.contains("550 5.7.1 "), "{said}");
    server.stop();
}

/// A client that shows a certificate may still log in with a password.
#[test]
fn swaks_with_a_certificate() {
    let server = Server::start(&format!("{USUAL}, \"EXTERNAL\""));
    let mut command = swaks(&server, "submission", "PLAIN", PASSWORD);
    command.arg("--tls-cert").arg(server.file("client.pem")).arg("--tls-key").arg(server.file("client.key"));
    server.sends("password", &mut command);
    server.stop();
}

/// curl with a mechanism; what it sends has neither Date nor Message-ID.
fn curl(server: &Server, mode: &str, mechanism: &str, password: &str) -> Command {
    let file = server.file("mail.txt");
    std::fs::write(&file, "From: anna@example.test\nSubject: by curl\n\n.dot\n").unwrap();
    let scheme = if mode == "submissions" { "smtps" } else { "smtp" };
    let mut curl = program("curl");
    curl.args(["--silent", "--show-error", "--verbose", "--crlf", "--ssl-reqd", "--cacert"]).arg(server.file("ca.pem"));
    curl.arg(format!("{scheme}://{}/client.sender.test", server.address(mode)));
    curl.args(["--login-options", &format!("AUTH={mechanism}"), "--user", &format!("anna:{password}")]);
    curl.args(["--mail-from", "anna@example.test", "--mail-rcpt", "bert@example.test", "--upload-file"]).arg(file);
    curl
}

#[test]
fn curl_with_each_mechanism() {
    let server = Server::start("\"PLAIN\", \"LOGIN\", \"EXTERNAL\"");
    for mode in ["submission", "submissions"] {
        for mechanism in ["PLAIN", "LOGIN"] {
            let message = server.sends("password", &mut curl(&server, mode, mechanism, PASSWORD));
            // RFC 6409 §8: what is missing is added, and nothing else changes.
            let lines: Vec<&str> = message.lines().collect();
            assert!(lines[0].starts_with("Date: ") && lines[1].starts_with("Message-ID: <"), "{message}");
            assert!(lines[1].ends_with("@mx.example.test>"), "{message}");
            assert_eq!(lines[2..], ["From: anna@example.test", "Subject: by curl", "", ".dot"]);
            server.refuses("password", &mut curl(&server, mode, mechanism, WRONG));
        }
        let external = || {
            let mut external = curl(&server, mode, "EXTERNAL", "");
            external.arg("--cert").arg(server.file("client.pem"));
            external
        };
        server.sends("certificate", external().arg("--key").arg(server.file("client.key")));
        // Without the certificate EXTERNAL is not there.
        let (code, said) = run(&mut curl(&server, mode, "EXTERNAL", ""));
        assert_ne!(code, 0, "{said}");
    }
    server.stop();
}

/// The library's own login and one with EXTERNAL; arguments: port, `starttls` or `implicit`, folder, password.
const SMTPLIB: &str = r#"
import smtplib, ssl, sys
from email.message import EmailMessage
port, how, folder, password, mechanism = sys.argv[1:6]
context = ssl.create_default_context(cafile=folder + "/ca.pem")
if mechanism == "EXTERNAL":
    context.load_cert_chain(folder + "/client.pem", folder + "/client.key")
message = EmailMessage()
message["From"], message["To"], message["Subject"] = "anna@example.test", "bert@example.test", "by smtplib"
message.set_content("first\n.second\n..\n")
if how == "implicit":
    server = smtplib.SMTP_SSL("localhost", int(port), local_hostname="client.sender.test", context=context)
else:
    server = smtplib.SMTP("localhost", int(port), local_hostname="client.sender.test")
    server.ehlo()
    assert server.has_extn("starttls") and not server.has_extn("auth"), server.esmtp_features
    server.starttls(context=context)
server.ehlo()
assert not server.has_extn("starttls")
if mechanism == "EXTERNAL":
    server.auth("EXTERNAL", lambda challenge=None: "")
elif mechanism == "LIBRARY":
    server.login("anna", password)
else:
    server.user, server.password = "anna", password
    server.auth(mechanism, getattr(server, "auth_" + mechanism.lower()))
assert server.send_message(message) == {}
server.quit()
"#;

fn smtplib(server: &Server, mode: &str, mechanism: &str, password: &str) -> Command {
    let how = if mode == "submissions" { "implicit" } else { "starttls" };
    let mut python = program("python3");
    python.args(["-c", SMTPLIB, &server.port(mode), how]).arg(server.file("")).args([password, mechanism]);
    python
}

#[test]
fn python_smtplib() {
    let server = Server::start("\"PLAIN\", \"LOGIN\", \"EXTERNAL\"");
    for mode in ["submission", "submissions"] {
        for mechanism in ["LIBRARY", "PLAIN", "LOGIN"] {
            let message = server.sends("password", &mut smtplib(&server, mode, mechanism, PASSWORD));
            assert!(
                message.contains("\nSubject: by smtplib\n") && message.ends_with("\n\nfirst\n.second\n..\n"),
                "{message}"
            );
            server.refuses("password", &mut smtplib(&server, mode, mechanism, WRONG));
        }
        server.sends("certificate", &mut smtplib(&server, mode, "EXTERNAL", ""));
    }
    server.stop();
}

/// Messages that are no more than a header section; arguments: port, folder, password.
const HEADER_ONLY: &str = r#"
import smtplib, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[2] + "/ca.pem")
server = smtplib.SMTP_SSL("localhost", int(sys.argv[1]), local_hostname="client.sender.test", context=context)
server.login("anna", sys.argv[3])
for text, code in [
    (b"From: bert@example.test\r\n", 550), (b"Subject: x\r\n", 550), (b"", 550), (b"Subject", 554),
    (b"From: anna@example.test\r\n", 250),
]:
    server.mail("anna@example.test")
    server.rcpt("bert@example.test")
    reply = server.data(text)
    assert reply[0] == code, (text, reply)
server.quit()
"#;

/// D52: whose header section ends with the message is refused too, and not logged as queued.
#[test]
fn d52_header_sections_that_end_with_the_message() {
    let server = Server::start(USUAL);
    let mut python = program("python3");
    python.args(["-c", HEADER_ONLY, &server.port("submissions")]).arg(server.file("")).arg(PASSWORD);
    let message = server.sends("password", &mut python);
    assert!(
        message.starts_with("Date: ") && message.ends_with("@mx.example.test>\nFrom: anna@example.test\n"),
        "{message}"
    );
    assert_eq!(server.events("queued"), 1);
    server.stop();
}

/// msmtp reads the message from its standard input.
fn msmtp(server: &Server, mode: &str, mechanism: &str, password: &str) -> Command {
    let file = server.file("mail.txt");
    std::fs::write(&file, "From: anna@example.test\nTo: bert@example.test\nSubject: by msmtp\n\n.dot\n").unwrap();
    let starttls = if mode == "submissions" { "off" } else { "on" };
    let mut msmtp = program("msmtp");
    msmtp.args(["--file=/dev/null", "--host=127.0.0.1", &format!("--port={}", server.port(mode))]);
    msmtp.args(["--tls=on", &format!("--tls-starttls={starttls}"), "--domain=client.sender.test"]);
    msmtp.arg(format!("--tls-trust-file={}", server.file("ca.pem").display()));
    msmtp.args([&format!("--auth={mechanism}"), "--user=anna"]);
    if !password.is_empty() {
        msmtp.arg(format!("--passwordeval=printf %s '{password}'"));
    }
    msmtp.args(["--from=anna@example.test", "bert@example.test"]);
    msmtp.stdin(std::fs::File::open(file).unwrap());
    msmtp
}

#[test]
fn msmtp_with_each_mechanism() {
    let server = Server::start(&format!("{USUAL}, \"LOGIN\", \"EXTERNAL\""));
    for mode in ["submission", "submissions"] {
        // The last is what it finds best by itself, under TLS.
        for (mechanism, proof) in
            [("plain", "password"), ("login", "password"), ("scram-sha-256", "scram"), ("on", "password")]
        {
            let message = server.sends(proof, &mut msmtp(&server, mode, mechanism, PASSWORD));
            assert!(message.contains("\nSubject: by msmtp\n") && message.ends_with("\n\n.dot\n"), "{message}");
            server.refuses(proof, &mut msmtp(&server, mode, mechanism, WRONG));
        }
        let mut external = msmtp(&server, mode, "external", "");
        external.arg(format!("--tls-cert-file={}", server.file("client.pem").display()));
        external.arg(format!("--tls-key-file={}", server.file("client.key").display()));
        server.sends("certificate", &mut external);
    }
    // The users file knows no tokens.
    let before = server.events("authentication");
    for mechanism in ["oauthbearer", "xoauth2", "cram-md5", "external"] {
        let (code, said) = run(&mut msmtp(&server, "submission", mechanism, PASSWORD));
        assert_ne!(code, 0, "{said}");
    }
    assert_eq!(server.events("authentication"), before);
    server.stop();
}

/// Only TLS 1.2 and 1.3, on both kinds of listener and on that for other servers.
#[test]
fn sslscan() {
    let server = Server::start(USUAL);
    for mode in ["submission", "submissions", "mx"] {
        let mut sslscan = program("sslscan");
        sslscan.args(["--no-colour", "--xml=-"]);
        if mode != "submissions" {
            sslscan.arg("--starttls-smtp");
        }
        let (code, said) = run(sslscan.arg(server.address(mode).to_string()));
        assert_eq!(code, 0, "{said}");
        let enabled: Vec<&str> = said
            .lines()
            .filter_map(|line| line.trim().strip_prefix("<protocol type="))
            .filter(|line| line.contains("enabled=\"1\""))
            .map(|line| line.split("\" enabled").next().unwrap())
            .collect();
        assert_eq!(enabled, ["\"tls\" version=\"1.2", "\"tls\" version=\"1.3"], "{said}");
        let protocols = said.matches("<protocol type=").count();
        assert_eq!(protocols, 6, "SSL 2 and 3, TLS 1.0 to 1.3: {said}");
        let ciphers: Vec<&str> = said.lines().filter(|line| line.contains("<cipher status=")).collect();
        assert!(!ciphers.is_empty(), "{said}");
        for weak in ["CBC", "SHA\"", "RC4", "DES", "NULL", "EXP", "ADH", "AECDH"] {
            assert!(!ciphers.iter().any(|line| line.contains(weak)), "{weak}: {ciphers:?}");
        }
    }
    server.stop();
}
