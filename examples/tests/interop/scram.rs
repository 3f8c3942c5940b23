//! SCRAM-SHA-256 (RFC 5802, RFC 7677) as another program computes it.

use std::process::Command;

use crate::programs::program;
use crate::users::{PASSWORD, Server, USUAL, WRONG};

/// A client of its own, on Python's hashes; arguments: port, folder, password, and a fault.
const CLIENT: &str = r#"
import base64, hashlib, hmac, os, smtplib, ssl, sys
port, folder, password, fault = sys.argv[1:5]
context = ssl.create_default_context(cafile=folder + "/ca.pem")
server = smtplib.SMTP("localhost", int(port), local_hostname="client.sender.test")
server.starttls(context=context)
server.ehlo()
mechanisms = server.esmtp_features["auth"].split()
assert mechanisms.index("SCRAM-SHA-256") >= 0, mechanisms

def mac(key, text): return hmac.new(key, text, "sha256").digest()
def say(text):
    code, answer = server.docmd(base64.b64encode(text).decode())
    return code, answer
def fields(text): return dict(part.split(b"=", 1) for part in text.split(b","))

flag = {"downgrade": b"y,,", "authzid": b"n,a=bert,"}.get(fault, b"n,,")
nonce = base64.b64encode(os.urandom(18))
bare = b"n=anna,r=" + nonce
code, answer = server.docmd("AUTH SCRAM-SHA-256 " + base64.b64encode(flag + bare).decode())
if code != 334:
    print(code, answer.decode())
    sys.exit(1)
first = base64.b64decode(answer)
got = fields(first)
assert got[b"r"].startswith(nonce) and len(got[b"r"]) >= len(nonce) + 16, first
rounds = int(got[b"i"])
assert rounds >= 4096, "RFC 7677 §4"
salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(got[b"s"]), rounds)
key = mac(salted, b"Client Key")
stored = hashlib.sha256(key).digest()
nonce = got[b"r"][:-1] + b"?" if fault == "nonce" else got[b"r"]
binding = b"biws" if fault == "binding" and flag != b"n,," else base64.b64encode(flag)
if fault == "binding": binding = base64.b64encode(b"y,,")
without = b"c=" + binding + b",r=" + nonce
signed = bare + b"," + first + b"," + without
proof = bytes(a ^ b for a, b in zip(key, mac(stored, signed)))
if fault == "proof": proof = proof[:-1] + bytes([proof[-1] ^ 1])
code, answer = say(without + b",p=" + base64.b64encode(proof))
if code == 334:
    final = base64.b64decode(answer)
    got = fields(final)
    expected = base64.b64encode(mac(mac(salted, b"Server Key"), signed))
    assert got.get(b"v") == expected, final
    code, answer = server.docmd("")
print(code, answer.decode())
if code != 235: sys.exit(1)
text = b"From: anna@example.test\r\nSubject: by SCRAM\r\n\r\nbody\r\n"
assert server.sendmail("anna@example.test", ["bert@example.test"], text) == {}
server.quit()
"#;

fn client(server: &Server, password: &str, fault: &str) -> Command {
    let mut python = program("python3");
    python.args(["-c", CLIENT, &server.port("submission")]).arg(server.file("")).args([password, fault]);
    python
}

#[test]
fn python_computes_the_same() {
    let server = Server::start(USUAL);
    let message = server.sends("scram", &mut client(&server, PASSWORD, "none"));
    assert!(message.contains("\nSubject: by SCRAM\n"), "{message}");
    server.refuses("scram", &mut client(&server, WRONG, "none"));
    // One bit of the proof, another nonce, another binding, and another user's rights.
    for fault in ["proof", "nonce", "binding", "authzid"] {
        let (code, said) = crate::programs::run(&mut client(&server, PASSWORD, fault));
        assert_eq!(code, 1, "{fault}: {said}");
        assert!(said.starts_with("535 ") || said.starts_with("501 "), "{fault}: {said}");
    }
    server.stop();
}

/// RFC 5802 §6: who could bind to the channel, and thinks that the server cannot, has been lied to.
#[test]
fn a_downgrade_is_refused_where_plus_is_offered() {
    let server = Server::start(USUAL);
    let (code, said) = crate::programs::run(&mut client(&server, PASSWORD, "downgrade"));
    assert_eq!(code, 1, "{said}");
    assert!(said.starts_with("535 "), "{said}");
    server.stop();
    let server = Server::start("\"SCRAM-SHA-256\"");
    server.sends("scram", &mut client(&server, PASSWORD, "downgrade"));
    server.stop();
}
