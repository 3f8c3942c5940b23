//! Signatures and seals of ours verified by dkimpy and opendkim, and theirs by us. Nothing is
//! asked of the DNS: each is given the keys.

use std::future::Future;
use std::io::Write;
use std::path::Path;
use std::pin::pin;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use hikyaku::message::results::{self, AuthenticationResults, Value};
use hikyaku::message::{Header, HeaderLimits};
use hikyaku::wire::Timestamp;
use hikyaku_dns::{Data, Zone};
use hikyaku_mailauth::Canonicalization::{self, Relaxed, Simple};
use hikyaku_mailauth::{BodyHashes, Budget, Records, SigningKey, arc, dkim};
use serde_json::json;

use crate::programs::{program, run, unpacked};

const RSA: &str = include_str!("../../../crates/mailauth/src/crypto/keys/rsa2048-pkcs8.pem");
const ED25519: &str = include_str!("../../../crates/mailauth/src/crypto/keys/ed25519.pem");
const DOMAIN: &str = "football.example.com";

/// White space where the canonical forms differ, a field twice, and lines that end in spaces.
const MESSAGE: &str = "Received: from x\r\nFrom: Joe <joe@football.example.com>\r\nTo:a@b.example\r\n\
    Subject:  Is   dinner\r\n\tready? \r\nDate: Tue, 24 Nov 2026 18:00:00 +0000\r\n\
    Message-ID: <1@football.example.com>\r\nList-Id: one\r\nlist-id:\ttwo\r\n\r\n\
    Hi.\r\n \r\nWe lost \t the game. \r\n\r\n\r\n";

const FORMS: [(Canonicalization, Canonicalization); 4] =
    [(Simple, Simple), (Simple, Relaxed), (Relaxed, Simple), (Relaxed, Relaxed)];

/// What dkimpy says to a request on its standard input: a list of results, or a message.
const SCRIPT: &str = r#"
import json, sys, dkim
ask = json.load(sys.stdin)
message = ask["message"].encode("latin-1")
keys = {(name + ".").encode(): text.encode() for name, text in ask["keys"].items()}
def text_of(name, timeout=5):
    return keys.get(name if isinstance(name, bytes) else name.encode())
def verify(at):
    try:
        return dkim.DKIM(message).verify(idx=at, dnsfunc=text_of)
    except dkim.ValidationError:
        return False
if ask["do"] == "verify":
    print(json.dumps([verify(at) for at in range(ask["count"])]))
elif ask["do"] == "verify chain":
    cv, results, reason = dkim.ARC(message).verify(dnsfunc=text_of)
    print(json.dumps([cv.decode(), str(reason)]))
elif ask["do"] == "sign":
    one = dkim.DKIM(message, signature_algorithm=ask["algorithm"].encode())
    forms = tuple(form.encode() for form in ask["forms"])
    field = one.sign(ask["selector"].encode(), ask["domain"].encode(), ask["key"].encode(), canonicalize=forms)
    print(json.dumps(field.decode("latin-1")))
else:
    fields = dkim.ARC(message).sign(ask["selector"].encode(), ask["domain"].encode(), ask["key"].encode(),
        b"mx.example.net", [b"from", b"to", b"subject", b"date"], timestamp=1700000000)
    print(json.dumps(b"".join(fields).decode("latin-1")))
"#;

fn dkimpy(request: serde_json::Value) -> serde_json::Value {
    let mut child = program("python3")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 starts");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(request.to_string().as_bytes()).expect("it reads");
    drop(input);
    let done = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "dkimpy (is python3-dkim installed? `cargo xtask test --setup`): {said}");
    serde_json::from_slice(&done.stdout).expect("JSON")
}

fn signer(selector: &str, pem: &str, (header, body): (Canonicalization, Canonicalization)) -> dkim::Signer {
    let key = Arc::new(SigningKey::from_pem(pem).expect("a key"));
    let signer = dkim::Signer::new(DOMAIN.parse().expect("a name"), selector.parse().expect("a name"), key);
    dkim::Signer { header, body, ..signer }
}

/// The records of both keys, by their names.
fn keys() -> Vec<(String, String)> {
    let record = |selector: &str, pem| {
        let key = SigningKey::from_pem(pem).expect("a key");
        (format!("{selector}._domainkey.{DOMAIN}"), key.record())
    };
    vec![record("rsa", RSA), record("ed", ED25519)]
}

fn keys_as_json() -> serde_json::Value {
    keys().into_iter().map(|(name, record)| (name, record.into())).collect::<serde_json::Map<_, _>>().into()
}

fn records() -> Records<Zone> {
    let mut zone = Zone::default();
    for (name, record) in keys() {
        zone.add(name.parse().expect("a name"), 60, Data::Txt(record.as_str().into()));
    }
    Records::new(zone)
}

fn today() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is after 1970");
    Timestamp::from_millis(i64::try_from(since.as_millis()).expect("it is before the end of time"))
}

/// Signs a message.
fn sign(signers: Vec<dkim::Signer>, message: &str) -> String {
    let mut signing = dkim::Signing::new(signers);
    message.as_bytes().chunks(13).for_each(|piece| signing.push(piece));
    signing.finish("", today()).expect("signed")
}

/// What we make of the signatures of a message, and of its chain.
fn verify(message: &str) -> (Vec<results::Dkim>, arc::Outcome) {
    let header = Header::parse(message.as_bytes(), HeaderLimits::default()).expect("a header");
    let mut bodies = BodyHashes::default();
    let rules = dkim::Rules::default();
    let signatures = dkim::Signatures::find(&header, &rules, &mut bodies);
    let chain = arc::Chain::find(&header, &rules, &mut bodies);
    bodies.push(&message.as_bytes()[header.octets().len()..]);
    let digests = bodies.finish();
    let records = records();
    let lookups = records.lookups(Instant::now(), Budget::default());
    let verified = now(signatures.verify(&header, &digests, &lookups, today()));
    let chain = now(chain.verify(&header, &digests, &lookups, today()));
    (verified.iter().map(|one| one.result).collect(), chain)
}

/// The output of a future that has nothing to wait for.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a zone in memory never waits"),
    }
}

#[test]
fn dkimpy_verifies_ours() {
    let signers = |pem, selector| FORMS.map(|forms| signer(selector, pem, forms));
    // All in one message, which dual signing makes as well.
    let fields = sign(signers(RSA, "rsa").into_iter().chain(signers(ED25519, "ed")).collect(), MESSAGE);
    let ask = |message: &str| json!({"do": "verify", "count": 8, "message": message, "keys": keys_as_json()});
    let good = format!("{fields}{MESSAGE}");
    assert_eq!(dkimpy(ask(&good)), json!(vec![true; 8]), "{fields}");
    assert_eq!(dkimpy(ask(&good.replace("the game", "a game"))), json!(vec![false; 8]), "it is not always true");
    assert_eq!(dkimpy(ask(&format!("Subject: more\r\n{good}"))), json!(vec![false; 8]), "over-signed");
}

#[test]
fn we_verify_those_of_dkimpy() {
    for (pem, selector, algorithm) in [(RSA, "rsa", "rsa-sha256"), (ED25519, "ed", "ed25519-sha256")] {
        // It takes Ed25519 keys as their bare seed: the last 32 octets of the PKCS#8 form.
        let key = if selector == "ed" {
            let der = pem.lines().nth(1).expect("base64");
            let tail = Command::new("sh").args(["-c", "echo \"$0\" | base64 -d | tail -c 32 | base64", der]).output();
            String::from_utf8(tail.expect("a shell").stdout).expect("base64").trim().to_owned()
        } else {
            pem.to_owned()
        };
        for (header, body) in FORMS {
            let forms = [header.as_str(), body.as_str()];
            let field = dkimpy(json!({
                "do": "sign", "message": MESSAGE, "keys": {}, "forms": forms, "algorithm": algorithm,
                "selector": selector, "domain": DOMAIN, "key": key,
            }));
            let field = field.as_str().expect("a field");
            assert!(field.contains(algorithm), "{field}");
            let signed = format!("{field}{MESSAGE}");
            assert_eq!(verify(&signed).0, [results::Dkim::Pass], "{field}");
            assert_eq!(verify(&signed.replace("the game", "a game")).0, [results::Dkim::Fail], "{field}");
        }
    }
}

/// The message as opendkim sees it: one space behind each colon, as milters have it.
fn spaced() -> String {
    MESSAGE.replace("To:a", "To: a").replace("list-id:\t", "list-id: ").replace("Subject:  ", "Subject: ")
}

/// Runs opendkim on one message, in a folder, where no service is started: it prints what it
/// would add, and ends.
fn opendkim(folder: &Path, configuration: &str, message: &str) -> String {
    let (file, conf) = (folder.join("message"), folder.join("conf"));
    std::fs::write(&file, message).expect("a file");
    std::fs::write(&conf, format!("Syslog no\nRequireSafeKeys no\n{configuration}")).expect("a file");
    let mut command = Command::new(unpacked("opendkim", "usr/sbin/opendkim"));
    let (_, said) = run(command.arg("-t").arg(&file).arg("-x").arg(&conf).arg("-vv"));
    said
}

#[test]
fn opendkim_verifies_ours() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys");
    let lines: String = keys().iter().map(|(name, record)| format!("{name} {record}\n")).collect();
    std::fs::write(&file, lines).expect("a file");
    let conf = format!("Mode v\nTestPublicKeys {}\n", file.display());
    for (pem, selector, algorithm) in [(RSA, "rsa", "rsa-sha256"), (ED25519, "ed", "ed25519-sha256")] {
        for forms in FORMS {
            let fields = sign(vec![signer(selector, pem, forms)], &spaced());
            let good = format!("{fields}{}", spaced());
            let said = opendkim(folder.path(), &conf, &good);
            let pass = format!("header.a={algorithm} header.s={selector}");
            assert!(said.contains("dkim=pass") && said.contains(&pass), "{said}");
            let said = opendkim(folder.path(), &conf, &good.replace("the game", "a game"));
            assert!(!said.contains("dkim=pass") && said.contains("dkim=fail"), "{said}");
        }
    }
}

#[test]
fn we_verify_those_of_opendkim() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("key");
    for (pem, selector, algorithm) in [(RSA, "rsa", "rsa-sha256"), (ED25519, "ed", "ed25519-sha256")] {
        std::fs::write(&key, pem).expect("a file");
        for (header, body) in FORMS {
            if (algorithm, header) == ("ed25519-sha256", Simple) {
                // What opendkim 2.11 signs so it does not verify itself.
                continue;
            }
            let conf = format!(
                "Mode s\nDomain {DOMAIN}\nSelector {selector}\nKeyFile {}\nCanonicalization {}/{}\n\
                 SignatureAlgorithm {algorithm}\nOversignHeaders From\n",
                key.display(),
                header.as_str(),
                body.as_str()
            );
            let said = opendkim(folder.path(), &conf, &spaced());
            let start = "hname='DKIM-Signature' hvalue='";
            let at = said.find(start).unwrap_or_else(|| panic!("it has not signed: {said}")) + start.len();
            let value = said[at..].split('\'').next().expect("it ends").replace('\n', "\r\n");
            let field = format!("DKIM-Signature: {value}\r\n");
            assert!(field.contains(algorithm), "{field}");
            assert_eq!(verify(&format!("{field}{}", spaced())).0, [results::Dkim::Pass], "{field}");
        }
    }
}

#[test]
fn dkimpy_verifies_our_seals_and_we_its() {
    let ask = |message: &str| json!({"do": "verify chain", "message": message, "keys": keys_as_json()});
    let found = AuthenticationResults::new(Value::new("mx.example.net").expect("a value")).expect("an identifier");
    let found = found.with(results::Arc::None.into()).with(results::Spf::Pass.into());
    // It takes what it says of the chain from the field of its own host, which we do not cover.
    let mut message = format!("{}{MESSAGE}", found.field().replace("arc=none", "arc=pass"));
    for instance in 1..=4 {
        let chain = verify(&message).1;
        // We and it in turns, each on top of the other's.
        let set = if instance % 2 == 1 {
            let mut sealing = arc::Sealing::new(signer("rsa", RSA, (Relaxed, Relaxed)), HeaderLimits::default());
            sealing.push(message.as_bytes());
            sealing.finish(&chain, &found, today()).expect("sealed")
        } else {
            let request = json!({
                "do": "seal", "message": message, "keys": {}, "selector": "rsa", "domain": DOMAIN, "key": RSA,
            });
            dkimpy(request).as_str().expect("fields").to_owned()
        };
        message = format!("{set}{message}");
        let ours = verify(&message).1;
        assert_eq!((ours.result, ours.sealers.len()), (results::Arc::Pass, instance), "{ours:?} {message}");
        let theirs = dkimpy(ask(&message));
        assert_eq!(theirs[0], "pass", "{instance}: {theirs} {message}");
    }
    let broken = message.replace("the game", "a game");
    assert_eq!(dkimpy(ask(&broken))[0], "fail");
    assert_eq!(verify(&broken).1.result, results::Arc::Fail);
}
