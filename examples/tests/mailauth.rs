//! The program `mailauth`: what it prints for programs and for people, and when it cannot.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

const MESSAGE: &str =
    "From: Anna <anna@author.test>\r\nTo: b@example.test\r\nSubject: A letter\r\n\r\nHello,\r\n\r\nBert.\r\n";
const ZONE: &str = "$ORIGIN author.test.\n@ TXT \"v=spf1 a:mx.author.test -all exp=why.author.test\"\n\
                    mx A 192.0.2.7\nwhy TXT \"%{i} is not ours\"\n_dmarc TXT \"v=DMARC1; p=quarantine\"\n";

/// A folder with a zone and a message in it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        folder.write("zone", ZONE);
        folder.write("mail", MESSAGE);
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file");
    }

    fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mailauth"));
        command.args(arguments).current_dir(self.0.path());
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("mailauth");
        // It may end without reading.
        let _ = process.stdin.take().expect("its input").write_all(input.as_bytes());
        process.wait_with_output().expect("its end")
    }

    /// What it prints for people.
    fn text(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments, "");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// The object on its last line.
    fn json(&self, arguments: &[&str], input: &str) -> Value {
        let output = self.run(&[&["--json"], arguments].concat(), input);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("text");
        serde_json::from_str(text.lines().last().expect("a line")).expect("an object")
    }

    /// What it says where it cannot.
    fn problem(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments, "");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        String::from_utf8(output.stderr).expect("text")
    }
}

fn envelope<'a>(ip: &'a str, from: &'a str) -> Vec<&'a str> {
    vec!["--zone", "zone", "--ip", ip, "--helo", "mx.author.test", "--mail-from", from]
}

#[test]
fn spf_and_what_the_domain_says() {
    let folder = Folder::new();
    let spf = |ip, from| folder.json(&[&["spf"], &envelope(ip, from)[..]].concat(), "");
    let pass = spf("192.0.2.7", "anna@author.test");
    assert_eq!((&pass["result"], &pass["explanation"]), (&json!("pass"), &Value::Null));
    assert_eq!(pass["mechanism"], "a:mx.author.test");
    assert_eq!(pass["lookups"], json!(["author.test TXT", "mx.author.test A"]));
    let fail = spf("192.0.2.8", "<-anna@author.test>");
    assert_eq!((&fail["result"], &fail["explanation"]), (&json!("fail"), &json!("192.0.2.8 is not ours")));
    assert_eq!(fail["domain"], "author.test");
    // A term of an included record gives no result of its own.
    folder.write("inner", "a.test. TXT \"v=spf1 include:b.test\"\nb.test. TXT \"v=spf1 -all\"\n");
    let inner = ["spf", "--zone", "inner", "--ip", "192.0.2.7", "--helo", "x.test", "--mail-from", "anna@a.test"];
    let neutral = folder.json(&inner, "");
    assert_eq!((&neutral["result"], &neutral["mechanism"]), (&json!("neutral"), &Value::Null));
    // The null path is the name of HELO.
    let none = spf("192.0.2.8", "");
    assert_eq!((&none["result"], &none["domain"]), (&json!("none"), &json!("mx.author.test")));
    let told = folder.text(&[&["spf"], &envelope("192.0.2.8", "anna@author.test")[..]].concat());
    assert!(told.starts_with("spf: fail for author.test, client 192.0.2.8\n"), "{told}");
    assert!(told.contains("a:mx.author.test"), "{told}");
}

/// From a new key to a message that passes everywhere.
#[test]
fn a_key_is_made_published_and_used() {
    let folder = Folder::new();
    let keygen = ["dkim", "keygen", "--selector", "s1", "--domain", "author.test", "--out", "key.pem"];
    let made = folder.json(&keygen, "");
    assert_eq!((&made["algorithm"], &made["private_key"]), (&json!("ed25519-sha256"), &Value::Null));
    let pem = fs::read_to_string(folder.path("key.pem")).expect("the key");
    assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    let mode = fs::metadata(folder.path("key.pem")).expect("the key").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Never over a key that is there.
    assert!(folder.problem(&keygen).contains("key.pem: File exists"));
    assert_eq!(fs::read_to_string(folder.path("key.pem")).expect("the key"), pem);
    // The record is that of the key, whoever asks; and no secret is in it.
    let again = folder.json(&["dkim", "keygen", "--selector", "s1", "--domain", "author.test", "--key", "key.pem"], "");
    assert_eq!(made["master_file"], again["master_file"]);
    let record = made["master_file"].as_str().expect("a line");
    assert!(record.starts_with("s1._domainkey.author.test. "), "{record}");
    assert!(!record.contains(pem.lines().nth(1).expect("base64")));

    let sign =
        ["dkim", "sign", "--key", "key.pem", "--domain", "author.test", "--selector", "s1", "--now", "1780000000"];
    let signed = folder.text(&[&sign[..], &["mail"]].concat());
    assert!(signed.starts_with("DKIM-Signature:") && signed.ends_with(MESSAGE), "{signed}");
    assert!(signed.contains("t=1780000000"));
    folder.write("signed", &signed);
    let verify =
        |more: &[&str], file| folder.json(&[&["dkim", "verify", "--zone", "zone"], more, &[file]].concat(), "");
    let missing = verify(&[], "signed");
    assert_eq!((&missing["result"], &missing["signatures"][0]["domain"]), (&json!("permerror"), &json!("author.test")));
    assert!(missing["signatures"][0]["reason"].is_string());
    // A second file adds what it holds.
    folder.write("key.zone", record);
    let good = verify(&["--zone", "key.zone"], "signed");
    assert_eq!((&good["result"], &good["signatures"][0]["selector"]), (&json!("pass"), &json!("s1")));
    folder.write("changed", &signed.replace("Bert", "Bart"));
    assert_eq!(verify(&["--zone", "key.zone"], "changed")["result"], "fail");
    assert_eq!(verify(&[], "mail"), json!({ "result": "none", "signatures": [], "reason": null }));

    // A stranger's client, but a good signature: DMARC passes by it alone.
    let stranger = [&envelope("198.51.100.1", "x@other.test")[..], &["--zone", "key.zone", "signed"]].concat();
    let dmarc = folder.json(&[&["dmarc"], &stranger[..]].concat(), "");
    assert_eq!((&dmarc["result"], &dmarc["policy"]), (&json!("pass"), &json!("quarantine")));
    assert_eq!((&dmarc["disposition"], &dmarc["dkim_aligned"]), (&json!("none"), &json!(true)));
    let check = folder.json(&[&["check", "--receiver", "mx.hik.test"], &stranger[..]].concat(), "");
    let field = check["field"].as_str().expect("a field");
    assert!(field.starts_with("Authentication-Results: mx.hik.test;\r\n"), "{field}");
    let read = folder.json(&["authres"], field);
    assert_eq!(read["authserv_id"], "mx.hik.test");
    let words: Vec<_> = read["results"].as_array().expect("results").iter().map(|one| &one["method"]).collect();
    assert_eq!(words, ["iprev", "spf", "spf", "dkim", "arc", "dmarc"]);
    assert_eq!(read["results"][3]["properties"]["header.d"], "author.test");
    let told = folder.text(&[&["check"], &stranger[..]].concat());
    for line in
        ["spf of MAIL FROM: none", "dkim: pass", "arc: none", "dmarc: pass", "Authentication-Results: localhost;"]
    {
        assert!(told.contains(line), "{line} is not in\n{told}");
    }
}

#[test]
fn two_keys_make_two_signatures() {
    let folder = Folder::new();
    for selector in ["a", "b"] {
        let made = folder.text(&["dkim", "keygen", "--selector", selector, "--domain", "author.test"]);
        let (pem, record) = made.split_once("\n\n").expect("a key and a record");
        folder.write(&format!("{selector}.pem"), pem);
        folder.write(&format!("{selector}.zone"), record);
    }
    let keys = ["--key", "a.pem", "--selector", "a", "--key", "b.pem", "--selector", "b", "--domain", "author.test"];
    let signed =
        folder.text(&[&["dkim", "sign", "--header", "simple", "--body", "simple"], &keys[..], &["mail"]].concat());
    assert_eq!(signed.matches("DKIM-Signature:").count(), 2);
    folder.write("signed", &signed);
    let verified = folder.json(&["dkim", "verify", "--zone", "a.zone", "--zone", "b.zone", "signed"], "");
    let results: Vec<_> = verified["signatures"].as_array().expect("two").iter().map(|one| &one["result"]).collect();
    assert_eq!(results, ["pass", "pass"]);
    let problem = folder.problem(&[
        "dkim",
        "sign",
        "--key",
        "a.pem",
        "--key",
        "b.pem",
        "--selector",
        "a",
        "--domain",
        "x.test",
        "mail",
    ]);
    assert!(problem.contains("each --key needs a --selector"), "{problem}");
}

#[test]
fn a_file_of_unix_is_read_as_it_goes_over_the_wire() {
    let folder = Folder::new();
    folder.text(&["dkim", "keygen", "--selector", "s", "--domain", "author.test", "--out", "key.pem"]);
    folder.write("unix", &MESSAGE.replace("\r\n", "\n"));
    let sign =
        ["dkim", "sign", "--key", "key.pem", "--domain", "author.test", "--selector", "s", "--now", "1780000000"];
    let output = folder.run(&[&sign[..], &["unix"]].concat(), "");
    assert!(String::from_utf8_lossy(&output.stderr).contains("unix: the lines end in LF; read as CR LF"));
    assert_eq!(String::from_utf8_lossy(&output.stdout), folder.text(&[&sign[..], &["mail"]].concat()));
    // One CR LF, and each octet counts as it is.
    let mixed = MESSAGE.replacen("Hello,\r\n", "Hello,\n", 1);
    folder.write("mixed", &mixed);
    let output = folder.run(&[&sign[..], &["mixed"]].concat(), "");
    assert!(String::from_utf8_lossy(&output.stdout).ends_with(&mixed));
    // From standard input.
    let output = folder.run(&[&sign[..], &["-"]].concat(), MESSAGE);
    assert!(String::from_utf8_lossy(&output.stdout).ends_with(MESSAGE));
}

#[test]
fn dmarc_of_a_forged_author() {
    let folder = Folder::new();
    let forged = folder.json(&[&["dmarc"], &envelope("198.51.100.1", "x@other.test")[..], &["mail"]].concat(), "");
    assert_eq!((&forged["result"], &forged["policy"]), (&json!("fail"), &json!("quarantine")));
    assert_eq!((&forged["disposition"], &forged["found_at"]), (&json!("quarantine"), &json!("author.test")));
    folder.write("two", &format!("From: b@other.test\r\n{MESSAGE}"));
    let two = folder.json(&[&["dmarc"], &envelope("192.0.2.7", "anna@author.test")[..], &["two"]].concat(), "");
    assert_eq!((&two["result"], &two["policy"]), (&json!("permerror"), &Value::Null));
    assert_eq!(two["reason"], "the message has more than one From field");
    let arc = folder.json(&["arc", "verify", "--zone", "zone", "mail"], "");
    assert_eq!(arc["cv"], "none");
}

/// JSON can say what a master file cannot.
#[test]
fn a_zone_may_be_json() {
    let folder = Folder::new();
    folder.write("json", "\n {\"author.test\": [{\"type\": \"TXT\", \"error\": \"TIMEOUT\"}]}");
    let spf = ["spf", "--zone", "json", "--ip", "192.0.2.7", "--helo", "x.test", "--mail-from", "anna@author.test"];
    assert_eq!(folder.json(&spf, "")["result"], "temperror");
}

#[test]
fn addresses_and_fields() {
    let folder = Folder::new();
    for (address, valid) in [
        ("a@b.test", true),
        ("-a@b.test", true),
        ("\"a b\"@[192.0.2.1]", true),
        ("a b@c", false),
        ("", false),
        ("a@b.123", true),
        ("a@b.123 ", false),
        ("a@b", true),
        ("a@b.", false),
        ("a@", false),
    ] {
        assert_eq!(folder.json(&["address", "--", address], "")["valid"], valid, "{address}");
    }
    let text =
        "x.test 1; spf=fail reason=\"not (ours)\" smtp.mailfrom=a@b.test; dkim=pass header.d=b.test header.d=c.test";
    let expected = json!({ "authserv_id": "x.test", "results": [
        { "method": "spf", "result": "fail", "reason": "not (ours)", "properties": { "smtp.mailfrom": "a@b.test" } },
        { "method": "dkim", "result": "pass", "reason": null, "properties": { "header.d": "b.test" } },
    ] });
    for name in ["", "Authentication-Results: ", "authentication-results :"] {
        assert_eq!(folder.json(&["authres"], &format!("{name}{text}\r\n")), expected, "{name}");
    }
    assert_eq!(folder.json(&["authres"], "x.test;\r\n none\r\n")["results"], json!([]));
    // Evaluated, and found to say nothing.
    let malformed = folder.json(&["authres"], "x.test; spf=pass; \"");
    assert_eq!((&malformed["authserv_id"], &malformed["results"]), (&json!(""), &json!([])));
    assert!(malformed["error"].is_string());
}

#[test]
fn what_cannot_be_done_is_said_with_its_place() {
    let folder = Folder::new();
    folder.write("bad.zone", "a.test. TXT \"x\"\nb.test. A 192.0.2\n");
    folder.write("bad.json", "{\"a.test\": [{\"type\": \"A\", \"data\": \"192.0.2\"}]}");
    folder.write("not.pem", "secret");
    let spf =
        |zone| folder.problem(&["spf", "--zone", zone, "--ip", "192.0.2.7", "--helo", "x.test", "--mail-from", ""]);
    assert!(spf("no.zone").starts_with("mailauth: no.zone: No such file"));
    let told = spf("bad.zone");
    assert!(told.starts_with("mailauth: bad.zone: ") && told.contains("line 2"), "{told}");
    let told = spf("bad.json");
    assert!(told.starts_with("mailauth: bad.json: ") && told.contains("a.test"), "{told}");
    assert!(folder.problem(&["dkim", "verify", "--zone", "zone", "none"]).starts_with("mailauth: none: No such file"));
    let sign = ["dkim", "sign", "--key", "not.pem", "--domain", "author.test", "--selector", "s", "mail"];
    let told = folder.problem(&sign);
    assert!(told.starts_with("mailauth: not.pem: ") && !told.contains("secret"), "{told}");
    assert!(folder.problem(&["spf", "--ip", "192.0.2.300"]).contains("192.0.2.300"));
    // For programs too.
    let output = folder.run(&["--json", "dkim", "verify", "--zone", "zone", "none"], "");
    let text = String::from_utf8(output.stdout).expect("text");
    let object: Value = serde_json::from_str(text.lines().last().expect("a line")).expect("an object");
    assert!(object["error"].as_str().expect("a text").starts_with("none: No such file"));
}

/// For a person who is about to publish records.
#[test]
fn records_that_nobody_can_use_are_told() {
    let folder = Folder::new();
    let zone = "$ORIGIN a.test.\n@ TXT \"v=spf1 ip4:192.0.2 -all\"\n_dmarc TXT \"v=DMARC1; p=nothing\"\n\
                s._domainkey TXT \"v=DKIM1; p=AAAA\"\nx._domainkey TXT v=DKIM1; k=rsa; p=AAAA\n\
                b TXT \"v=spf1 -all\"\nb TXT \"v=spf1 +all\"\n\
                _dmarc.c TXT \"v=DMARC1; p=nothing; rua=mailto:a@a.test\"\n_dmarc.d TXT \"v=dmarc1; p=none\"\n";
    folder.write("draft", zone);
    let output = folder.run(&["dkim", "verify", "--zone", "draft", "mail"], "");
    assert_eq!(output.status.code(), Some(0));
    let told = String::from_utf8(output.stderr).expect("text");
    for word in [
        "draft: a.test TXT: SPF: ",
        "draft: _dmarc.a.test TXT: DMARC: without a valid p= or rua=",
        "draft: s._domainkey.a.test TXT: DKIM: ",
        "draft: b.a.test TXT: 2 SPF records",
        "draft: line 5",
        "draft: _dmarc.c.a.test TXT: DMARC: without a valid p= the policy is none",
        "draft: _dmarc.d.a.test TXT: no DMARC record",
    ] {
        assert!(told.contains(word), "{word} is not in\n{told}");
    }
    // Nothing is said of good ones.
    let output = folder.run(&["dkim", "verify", "--zone", "zone", "mail"], "");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn an_rsa_key_is_made_by_openssl() {
    let folder = Folder::new();
    let told = folder.text(&["dkim", "keygen", "--rsa", "--selector", "s", "--domain", "author.test"]);
    assert!(told.contains("openssl genrsa -out s.pem 2048"), "{told}");
    assert!(!Path::new(&folder.path("s.pem")).exists());
}
