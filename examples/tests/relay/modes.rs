//! The other kinds of listener, and what the session refuses by itself.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::support::client::Client;
use crate::support::delivered;
use crate::support::relay::Site;

/// Says each line and gives the codes of the replies; a line ends with how many it expects.
fn talk(socket: &Path, script: &[(&str, usize)]) -> Vec<String> {
    let stream = UnixStream::connect(socket).expect("connect to the listener");
    let (mut writer, mut reader) = (stream.try_clone().expect("a second handle"), BufReader::new(stream));
    let mut codes = Vec::new();
    for (said, replies) in script {
        writer.write_all(said.as_bytes()).expect("the relay listens");
        for _ in 0..*replies {
            let mut line = String::new();
            while !line.is_char_boundary(3) || line.get(3..4).is_none_or(|c| c == "-") {
                line.clear();
                assert!(reader.read_line(&mut line).expect("a reply") > 0, "the relay hung up");
            }
            codes.push(line[..3].to_owned());
        }
    }
    codes
}

#[test]
fn lmtp_and_submission_over_unix_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let (lmtp, submission) = (folder.path().join("lmtp"), folder.path().join("submission"));
    let listeners = format!(
        "[[listener]]\naddress = \"unix:{}\"\nmode = \"lmtp\"\n\n[[listener]]\naddress = \"unix:{}\"\nmode = \"submission\"\n",
        lmtp.display(),
        submission.display()
    );
    let site = Site::new("local_domains = [\"example.test\"]", &listeners);
    let relay = site.start();
    let codes = talk(
        &lmtp,
        &[
            ("", 1),
            ("EHLO x.test\r\n", 1),
            ("LHLO x.test\r\n", 1),
            ("MAIL FROM:<a@sender.test>\r\n", 1),
            ("RCPT TO:<bert@example.test>\r\nRCPT TO:<x@third.test>\r\nRCPT TO:<carl@example.test>\r\nDATA\r\n", 4),
            ("Subject: x\r\n\r\nHello.\r\n.\r\n", 2),
            ("QUIT\r\n", 1),
        ],
    );
    assert_eq!(codes, ["220", "500", "250", "250", "250", "550", "250", "354", "250", "250", "221"]);
    assert_eq!(delivered(&site.mail(), 2).len(), 2);
    let script = [
        ("", 1),
        ("EHLO x.test\r\n", 1),
        ("MAIL FROM:<a@example.test>\r\n", 1),
        ("RCPT TO:<bert@example.test>\r\n", 1),
    ];
    assert_eq!(talk(&submission, &script), ["220", "250", "530", "503"]);
    relay.stop();
    assert!(!lmtp.exists() && !submission.exists(), "the sockets are removed");
}

#[test]
fn every_refusal_stands_in_the_audit_log() {
    let site = Site::closed();
    let relay = site.start();
    let mut client = Client::hello(relay.address()).unwrap();
    for (line, code) in [
        ("RCPT TO:<bert@example.test>", 503),
        ("BOGUS", 500),
        ("EXPN all", 502),
        ("MAIL FROM:<a..b@c.test>", 501),
        ("MAIL FROM:<a@sender.test>", 250),
        ("RCPT TO:<x@third.test>", 550),
        ("RCPT TO:<bert@example.test>", 250),
        ("DATA", 354),
    ] {
        assert_eq!(client.command(line).unwrap().code, code, "{line}");
    }
    client.send(b"Subject: x\r\n\r\nbare\nline\r\n.\r\n").unwrap();
    assert_eq!(client.reply().unwrap().code, 550);
    let _idle = Client::hello(relay.address()).unwrap();
    let mut client = Client::hello(relay.address()).unwrap();
    let reply = client.transaction("a@sender.test", &["bert@example.test"], b" for <x@y.test>\r\n\r\nx\r\n").unwrap();
    assert_eq!(reply.code, 554, "{reply:?}");
    assert_eq!(client.command("QUIT").unwrap().code, 221);
    relay.stop();
    let refusals: Vec<String> = site
        .audit()
        .iter()
        .filter(|line| line["event"] == "decision")
        .filter_map(|line| Some(format!("{} {}", line["rule"].as_str()?, line["reply"].as_str()?.get(..9)?)))
        .filter(|line| !line.contains(" 250 "))
        .collect();
    assert_eq!(
        refusals,
        [
            "protocol 503 5.5.1",
            "protocol 500 5.5.1",
            "protocol 502 5.5.1",
            "protocol 501 5.1.7",
            "implicit refusal 550 5.7.1",
            "protocol 550 5.5.2",
            "intake 554 5.6.0",
            "protocol 421 4.3.2"
        ]
    );
    let reasons: Vec<_> = site.audit().iter().filter_map(|line| line["reason"].as_str().map(str::to_owned)).collect();
    assert_eq!(reasons.iter().filter(|reason| reason.starts_with("421 4.3.2")).count(), 1, "{reasons:?}");
}
