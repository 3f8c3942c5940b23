//! smtp-source -> relay -> smtp-sink, and a bounce that another program reads.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::programs::{postfix, program, run};
use crate::support::client::Client;
use crate::support::relay::Site;
use crate::support::sink::Sink;
use crate::support::{delivered, eventually, files};

/// A running smtp-sink that writes each message to a file; killed when dropped.
struct SmtpSink {
    child: Child,
    address: SocketAddr,
}

impl SmtpSink {
    fn start(folder: &Path) -> Self {
        // It cannot say which port it was given: one that was free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).unwrap();
        let mut command = postfix("sbin/smtp-sink");
        if run(Command::new("id").arg("-u")).1.trim() == "0" {
            command.args(["-u", "root"]);
        }
        command.arg("-d").arg(folder.join("%M.")).args([&address.to_string(), "128"]);
        let child = command.stdin(Stdio::null()).spawn().unwrap();
        let sink = Self { child, address };
        eventually("smtp-sink to listen", || TcpStream::connect(address).ok());
        sink
    }
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_thousand_messages_from_twenty_sessions_arrive_once_each() {
    let folder = tempfile::tempdir().unwrap();
    let sink = SmtpSink::start(folder.path());
    let site = Site::to_smart_host(sink.address);
    let relay = site.start();
    let mut source = postfix("sbin/smtp-source");
    // -N numbers the recipients, so that each message is another one.
    source.args(["-s", "20", "-m", "1000", "-N", "-M", "source.test"]);
    source.args(["-f", "anna@sender.test", "-t", "bert@sink.test", &relay.address().to_string()]);
    let (code, said) = run(&mut source);
    assert_eq!(code, 0, "{said}");

    // A message whose file is being written has no end yet.
    let recipients = || -> Vec<String> {
        let recipient = |path: &std::path::PathBuf| {
            let text = std::fs::read_to_string(path).ok()?;
            let whole = text.contains("\nLa de da de da 4.\n");
            text.lines().find_map(|line| line.strip_prefix("X-Rcpt-Args: ")).filter(|_| whole).map(str::to_owned)
        };
        files(folder.path()).iter().filter_map(recipient).collect()
    };
    eventually("1,000 messages at the sink", || (recipients().len() >= 1000).then_some(()));
    relay.stop();
    // What is still queued would come now.
    site.start().stop();

    let arrived = recipients();
    assert_eq!(arrived.len(), 1000, "each once");
    let different: BTreeSet<&String> = arrived.iter().collect();
    assert_eq!(different.len(), 1000, "none twice");
    let expected = |to: &String| to.starts_with('<') && to.ends_with("bert@sink.test>");
    assert!(arrived.iter().all(expected), "{arrived:?}");
}

/// Parses standard input, and prints what a mail program would make of it.
const READ_BOUNCE: &str = r#"
import sys, email, email.policy
message = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.default)
parts = list(message.walk())
assert not any(part.defects for part in parts), [part.defects for part in parts]
assert message.get_content_type() == "multipart/report", message.get_content_type()
assert message.get_param("report-type") == "delivery-status"
assert message["Auto-Submitted"] == "auto-replied" and message["Message-ID"] and message["Date"].datetime
assert [a.addr_spec for a in message["To"].addresses] == ["anna@example.test"], message["To"]
assert len(message["From"].addresses) == 1
text, status, original = message.get_payload()
assert text.get_content_type() == "text/plain" and "gone@far.test" in text.get_content()
assert status.get_content_type() == "message/delivery-status"
about, recipient = status.get_payload()
assert about["Reporting-MTA"] == "dns; mx.example.test", about["Reporting-MTA"]
assert recipient["Final-Recipient"].replace(" ", "") == "rfc822;gone@far.test"
assert recipient["Action"] == "failed" and recipient["Status"] == "5.1.1"
assert recipient["Diagnostic-Code"].startswith("smtp; 550"), recipient["Diagnostic-Code"]
assert original.get_content_type() in ("message/rfc822", "text/rfc822-headers")
assert "Subject: the original" in original.as_string()
"#;

#[test]
fn python_reads_the_bounce() {
    let sink = Sink::with_rule(|line| line.contains("<gone@").then_some("550-5.1.1 no such\r\n550 5.1.1 user here"));
    let site = Site::to_smart_host(sink.address());
    let relay = site.start();
    let mut client = Client::hello(relay.address()).unwrap();
    let message = b"From: anna@example.test\r\nSubject: the original\r\n\r\nbody\r\n";
    let reply = client.transaction("anna@example.test", &["gone@far.test"], message).unwrap();
    assert_eq!(reply.code, 250, "{reply:?}");
    let bounce = delivered(&site.mail(), 1).remove(0);
    relay.stop();
    let file = site.path().join("bounce");
    std::fs::write(&file, &bounce).unwrap();
    let input = std::fs::File::open(file).unwrap();
    let (code, said) = run(program("python3").args(["-c", READ_BOUNCE]).stdin(input));
    assert_eq!(code, 0, "{said}\n{}", String::from_utf8_lossy(&bounce));
}
