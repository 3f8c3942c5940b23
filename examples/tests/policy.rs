//! The program `policy`: what each command prints, for people and for programs, and its exit status.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

const CLOSED: &str = "\
# The mail of example.org.
trusted networks office = 10.0.0.0/8
local domains ours = file \"ours.txt\"

refuse 550 5.7.1 \"listed\" when listed zen.example >= 3
defer 450 4.7.1 \"come again\" when not known and not from office
permit when to ours
permit via smarthost when from office and rate < 100/h per ip
";
const OPEN: &str = "local domains ours = example.org\n\npermit when helo mail.partner.example\npermit when to ours\n";

/// A folder with policies in it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        folder.write("closed.policy", CLOSED);
        folder.write("ours.txt", "example.org\n*.example.org\n");
        folder.write("open.policy", OPEN);
        folder.write("declared.policy", &format!("open\n{OPEN}"));
        folder.write("wrong.policy", "local domains ours = example.org\npermit when to our\n");
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_policy"));
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().expect("policy");
        let text = |octets| String::from_utf8(octets).expect("text");
        (status.code().expect("an exit status"), text(stdout), text(stderr))
    }

    /// The exit status, and the object on the last line.
    fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let (code, text, said) = self.run(&[arguments, &["--json"]].concat());
        let last = text.lines().last().unwrap_or_else(|| panic!("no line, and {said}"));
        (code, serde_json::from_str(last).expect("an object"))
    }
}

#[test]
fn a_policy_is_checked() {
    let folder = Folder::new();
    let (code, text, _) = folder.run(&["check", "closed.policy"]);
    assert_eq!(code, 0);
    assert!(text.starts_with("closed.policy: good, closed; 4 rules, 2 lists\n"), "{text}");
    let (code, text, said) = folder.run(&["check", "open.policy"]);
    assert_eq!((code, &*text), (1, ""));
    assert!(
        said.starts_with("policy: open.policy: an open relay by line 3: permit when helo mail.partner.example\n"),
        "{said}"
    );
    assert!(said.contains("C: RCPT TO:<victim@"), "{said}");
    let (code, json) = folder.json(&["check", "open.policy"]);
    assert_eq!((code, &json["good"], &json["reason"]), (1, &json!(false), &json!("open")));
    assert_eq!(json["witness"]["line"], 3);
    let (code, json) = folder.json(&["check", "declared.policy"]);
    assert_eq!((code, &json["good"], &json["open"]), (0, &json!(true), &json!(true)));
    // A claim that does not hold.
    folder.write("claim.policy", &format!("{CLOSED}never permit when to ours\n"));
    let (code, json) = folder.json(&["check", "claim.policy"]);
    assert_eq!((code, &json["reason"]), (1, &json!("claim")));
    assert!(json["error"].as_str().is_some_and(|error| error.starts_with("claim.policy:9: ")), "{json}");
}

#[test]
fn what_cannot_be_read_says_where() {
    let folder = Folder::new();
    for command in ["check", "prove"] {
        let (code, text, said) = folder.run(&[command, "wrong.policy"]);
        assert_eq!((code, &*text), (2, ""));
        let expected = "policy: wrong.policy:2:16: no list is named `our`; did you mean `ours`?\n  \
                        permit when to our\n                 ^\n";
        assert_eq!(said, expected);
    }
    let (code, json) = folder.json(&["prove", "missing.policy"]);
    assert_eq!(code, 2);
    assert!(json["error"].as_str().is_some_and(|error| error.starts_with("missing.policy: ")), "{json}");
    // A file that is named is read from the folder of the policy, and so are its errors.
    let closed = folder.path("closed.policy").display().to_string();
    let elsewhere = tempfile::tempdir().expect("a folder");
    let mut command = folder.command(&["check", &closed]);
    assert!(command.current_dir(elsewhere.path()).output().expect("policy").status.success());
    folder.write("ours.txt", "example.org\nfoo*.example\n");
    let (code, _, said) = folder.run(&["check", "closed.policy"]);
    assert!(code == 2 && said.starts_with("policy: ours.txt:2:"), "{said}");
    fs::remove_file(folder.path("ours.txt")).expect("it is there");
    let (code, _, said) = folder.run(&["check", "closed.policy"]);
    assert!(code == 2 && said.contains("ours.txt"), "{said}");
}

#[test]
fn a_policy_is_proved() {
    let folder = Folder::new();
    let (code, text, _) = folder.run(&["prove", "closed.policy"]);
    assert!(code == 0 && text.starts_with("CLOSED: "), "{text}");
    let grid: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(grid.contains(&vec!["stranger", "depends", "never", "<-", "closed"]), "{text}");
    let (code, closed) = folder.json(&["prove", "closed.policy"]);
    assert_eq!((code, &closed["verdict"], &closed["declared"]), (0, &json!("closed"), &json!(false)));
    assert_eq!((&closed["witness"], &closed["grid"]["columns"]), (&Value::Null, &json!(["ours", "foreign"])));
    assert_eq!(closed["grid"]["rows"][0], json!({ "who": "stranger", "cells": ["depends", "never"] }));
    assert!(closed["rows"].as_array().is_some_and(|rows| !rows.is_empty()));

    let (code, text, _) = folder.run(&["prove", "open.policy"]);
    assert!(code == 1 && text.starts_with("OPEN: "), "{text}");
    assert!(text.contains("-> line 3: yes      permit when helo mail.partner.example"), "{text}");
    for (file, declared) in [("open.policy", false), ("declared.policy", true)] {
        let (code, open) = folder.json(&["prove", file]);
        assert_eq!((code, &open["verdict"], &open["declared"]), (1, &json!("open"), &json!(declared)));
        let facts = &open["witness"]["facts"];
        assert_eq!((&facts["helo"], &facts["user"]), (&json!("mail.partner.example"), &Value::Null));
        // What the witness says is what `explain` says of its facts.
        let said = |name: &str| facts[name].as_str().expect("a text").to_owned();
        let (peer, to, helo) = (said("client"), said("to"), said("helo"));
        let (code, json) = folder.json(&["explain", file, "--peer", &peer, "--to", &to, "--helo", &helo]);
        assert_eq!((code, &json["permitted"], &json["line"]), (0, &json!(true), &open["witness"]["line"]));
        assert!(
            open["witness"]["dialogue"].as_str().is_some_and(|text| text.contains("C: EHLO mail.partner.example\n"))
        );
    }
    // Twice the same, to the octet.
    assert_eq!(folder.run(&["prove", "closed.policy"]), folder.run(&["prove", "closed.policy"]));
}

#[test]
fn a_decision_is_explained() {
    let folder = Folder::new();
    let explain =
        |more: &[&str]| folder.json(&[&["explain", "closed.policy", "--peer", "198.51.100.7"], more].concat());
    let (code, denied) = explain(&["--to", "victim@third.example", "--known", "yes"]);
    assert_eq!(code, 0);
    assert_eq!((&denied["reply"], &denied["permitted"]), (&json!("550 5.7.1 relaying denied"), &json!(false)));
    assert_eq!((&denied["rule"], &denied["line"]), (&json!("implicit refusal"), &Value::Null));
    let lines: Vec<&Value> = denied["trace"].as_array().expect("rules").iter().map(|step| &step["line"]).collect();
    assert_eq!(lines, [5, 6, 7, 8]);
    let listed = json!({ "test": "listed zen.example >= 3", "value": "no", "fact": "score 0" });
    assert_eq!(denied["trace"][0]["tests"], json!([listed]));
    assert_eq!(
        denied["assumed"],
        json!([
            { "fact": "listed zen.example", "taken": "0", "other": "3", "then": "550 5.7.1 listed" },
        ])
    );
    assert!(
        denied["flips"].as_array().is_some_and(|flips| flips.iter().all(|flip| flip["verb"] != "refuse")),
        "{denied}"
    );

    let (_, listed) = explain(&["--to", "anna@example.org", "--listed", "zen.example=4"]);
    assert_eq!((&listed["line"], &listed["reply"]), (&json!(5), &json!("550 5.7.1 listed")));
    let (_, inside) =
        explain(&["--to", "anna@mail.example.org", "--known", "yes", "--from", "<>", "--helo", "[192.0.2.1]"]);
    assert_eq!((&inside["line"], &inside["facts"]["sender"]), (&json!(7), &json!("<>")));
    let office = ["explain", "closed.policy", "--peer", "10.1.2.3", "--to", "b@third.example"];
    let with = |more: &[&str]| folder.json(&[&office, more].concat()).1;
    assert_eq!(with(&[])["route"], "smarthost");
    assert_eq!(with(&["--rate", "h per ip=99"])["line"], 8);
    assert_eq!(with(&["--rate", "h per ip=100"])["line"], Value::Null);
    assert_eq!(with(&["--user", "anna"])["facts"]["listener"], "submission");
    assert_eq!(with(&["--listener", "submissions"])["facts"]["tls"], true);
    let early = with(&["--stage", "mail"]);
    assert_eq!((&early["provisional"], &early["facts"]["to"]), (&json!(true), &json!("none")));

    let (code, text, _) =
        folder.run(&["explain", "closed.policy", "--peer", "198.51.100.7", "--to", "anna@example.org"]);
    assert_eq!(code, 0);
    let expected = "198.51.100.7 to anna@example.org\n\n   \
        line 5: no       refuse 550 5.7.1 \"listed\" when listed zen.example >= 3\n            \
        no       listed zen.example >= 3    score 0\n\
        -> line 6: yes      defer 450 4.7.1 \"come again\" when not known and not from office\n            \
        no       known                      new\n            \
        no       from office                client 198.51.100.7\n\
        450 4.7.1 come again, by line 6\n\n\
        Not given, and it matters\n\
        fact                taken as  but with  it is\n\
        ------------------  --------  --------  ----------------\n\
        known               no        yes       permit\n\
        listed zen.example  0         3         550 5.7.1 listed\n\n\
        The nearest that is decided differently\n";
    assert!(text.starts_with(expected), "{text}");
    // Facts that are none.
    for wrong in [
        ["--peer", "198.51.100"],
        ["--to", "anna"],
        ["--spf", "maybe"],
        ["--rate", "h=3"],
        ["--time", "24:00"],
        ["--listener", "smtp"],
        ["--listed", "zen=x"],
        ["--custom", "when=yes"],
        ["--size", "-1"],
        ["--recipients", "0"],
    ] {
        let given = [["--peer", "192.0.2.1"], ["--to", "a@b.example"], wrong];
        let given = given.iter().enumerate().filter(|(at, pair)| *at == 2 || pair[0] != wrong[0]);
        let arguments: Vec<&str> = given.flat_map(|(_, pair)| *pair).collect();
        let (code, _, said) = folder.run(&[&["explain", "closed.policy"], &arguments[..]].concat());
        assert_eq!(code, 2, "{wrong:?}: {said}");
        assert!(said.contains(&format!("`{}`", &wrong[0][2..])), "{wrong:?}: {said}");
    }
}

#[test]
fn decisions_are_compared_with_files() {
    let folder = Folder::new();
    let good = "policy closed.policy  # beside this file\n\n\
        # a comment\n\
        198.51.100.7 known -> anna@example.org                  = permit line 7\n\
        198.51.100.7 -> anna@example.org                        = defer 450 4.7.1 \"come again\" line 6\n\
        198.51.100.7 -> anna@example.org known=yes              = permit\n\
        198.51.100.7 known listed=zen.example=3 -> a@example.org = refuse 550 line 5\n\
        198.51.100.7 known from=<> -> victim@third.example      = refuse 550 5.7.1 line none\n\
        10.1.2.3 rate=\"h per ip=99\" -> victim@third.example    = permit via smarthost line 8\n\
        none stage=hello -> anna@example.org                    = permit provisional\n\
        policy open.policy\n\
        198.51.100.7 helo=mail.partner.example -> v@third.example = permit line 3\n";
    folder.write("good.test", good);
    let (code, text, said) = folder.run(&["test", "good.test"]);
    assert_eq!((code, &*text), (0, "good.test: 8 as expected, 0 not\n"), "{said}");
    folder.write("bad.test", &good.replace("permit line 7", "permit line 8").replace(" via smarthost", ""));
    let (code, text, _) = folder.run(&["test", "good.test", "bad.test"]);
    assert_eq!(code, 1);
    let first = "good.test: 8 as expected, 0 not\nbad.test:4: 198.51.100.7 known -> anna@example.org\n  \
        expected  permit line 8\n  came      permit line 7\n";
    assert!(text.starts_with(first), "{text}");
    assert!(text.contains("\n    -> line 7: yes      permit when to ours\n"), "{text}");
    assert!(text.contains("\n  expected  permit line 8\n  came      permit via smarthost line 8\n"), "{text}");
    assert!(text.ends_with("\nbad.test: 6 as expected, 2 not\n"), "{text}");
    let (code, json) = folder.json(&["test", "bad.test"]);
    assert_eq!((code, &json["passed"], &json["failed"]), (1, &json!(6), &json!(2)));
    assert_eq!(json["files"][0]["failed"][0]["came"], "permit line 7");
    // Each part of what is expected counts.
    let one = |expected: &str| {
        folder.write("one.test", &format!("policy closed.policy\n198.51.100.7 -> anna@example.org = {expected}\n"));
        folder.run(&["test", "one.test"])
    };
    assert_eq!(one("defer").0, 0);
    let not = [
        "permit",
        "refuse",
        "defer 451",
        "defer 4.7.2",
        "defer \"other\"",
        "defer line 5",
        "defer line none",
        "defer via smarthost",
        "defer quarantine",
        "defer tag \"x\"",
        "defer provisional",
    ];
    for expected in not {
        let (code, text, said) = one(expected);
        assert_eq!(code, 1, "{expected}: {said}");
        assert!(text.contains(&format!("\n  expected  {expected}\n")), "{text}");
    }
    for wrong in ["", "accept", "defer twice", "defer line", "defer line x", "defer \"open"] {
        let (code, text, said) = one(wrong);
        assert_eq!((code, &*text), (2, ""), "{wrong}");
        assert!(said.starts_with("policy: one.test:2: "), "{said}");
    }
    for wrong in [
        "198.51.100.7 -> anna@example.org = permit\n",
        "policy closed.policy\n",
        "policy nothing\n",
        "policy closed.policy\nanna@example.org = permit\n",
        "policy closed.policy\n-> anna@example.org = permit\n",
        "policy closed.policy\n10.0.0.1 colour=red -> anna@example.org = permit\n",
    ] {
        folder.write("one.test", wrong);
        assert_eq!(folder.run(&["test", "one.test"]).0, 2, "{wrong}");
    }
}

#[test]
fn two_policies_are_compared() {
    let folder = Folder::new();
    let (code, text, _) = folder.run(&["diff", "closed.policy", "closed.policy"]);
    assert_eq!((code, &*text), (0, "equivalent: every mail is decided alike\n"));
    folder.write("new.policy", &CLOSED.replace("10.0.0.0/8", "10.0.0.0/9").replace("# The", "# A new"));
    let (code, json) = folder.json(&["diff", "closed.policy", "new.policy"]);
    assert_eq!((code, &json["equivalent"]), (1, &json!(false)));
    for change in json["changes"].as_array().expect("changes") {
        let client = change["witness"]["client"].as_str().expect("an address");
        let second: u8 = client.split('.').nth(1).and_then(|octet| octet.parse().ok()).expect("an octet");
        assert!(client.starts_with("10.") && second >= 128, "{change}");
        assert_ne!(change["before"], change["after"]);
    }
    let (code, text, _) = folder.run(&["diff", "closed.policy", "new.policy"]);
    assert!(code == 1 && text.contains("permit via smarthost (line 8)"), "{text}");
    assert_eq!(folder.run(&["diff", "closed.policy", "wrong.policy"]).0, 2);
    assert_eq!(folder.json(&["diff", "closed.policy", "missing"]).0, 2);
}

/// `policy serve`; it is stopped when it is dropped.
struct Server {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
    address: String,
}

impl Server {
    fn start(folder: &Folder, more: &[&str]) -> Self {
        let arguments = [&["serve", "--policy", "closed.policy", "--listen", "127.0.0.1:0"], more].concat();
        let mut child =
            folder.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("policy");
        let mut server =
            Self { out: BufReader::new(child.stdout.take().expect("its output")), child, address: String::new() };
        server.address = server.line("listening on ").trim_start_matches("listening on ").to_owned();
        server
    }

    /// The next line that begins so.
    fn line(&mut self, start: &str) -> String {
        let mut said = String::new();
        loop {
            let mut line = String::new();
            assert!(self.out.read_line(&mut line).expect("a line") > 0, "no line `{start}` in\n{said}");
            if line.starts_with(start) {
                return line.trim_end().to_owned();
            }
            said += &line;
        }
    }

    fn signal(&self, name: &str) {
        let status = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status();
        assert!(status.expect("sh").success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks as Postfix does, again and again on one connection.
fn ask(stream: &mut TcpStream, client: &str, recipient: &str) -> String {
    let text = format!(
        "request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address={client}\nhelo_name=client.test\n\
         sender=bob@sender.test\nrecipient={recipient}\n\n"
    );
    stream.write_all(text.as_bytes()).expect("it listens");
    answer(stream)
}

fn answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(b"\n\n") {
        let mut octet = [0];
        if stream.read(&mut octet).expect("an answer") == 0 {
            break;
        }
        answer.push(octet[0]);
    }
    String::from_utf8(answer).expect("text")
}

#[test]
fn postfix_is_answered() {
    let folder = Folder::new();
    let mut server = Server::start(&folder, &["--grant", "--wait", "1", "--json"]);
    let mut stream = TcpStream::connect(&server.address).expect("it listens");
    assert_eq!(ask(&mut stream, "198.51.100.7", "anna@example.org"), "action=450 4.7.1 come again\n\n");
    while ask(&mut stream, "198.51.100.7", "anna@example.org") != "action=OK\n\n" {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(ask(&mut stream, "10.1.2.3", "bert@third.example"), "action=OK\n\n");
    let told: Value = serde_json::from_str(&server.line("{")).expect("an object");
    assert_eq!((&told["line"], &told["facts"]["to"]), (&json!(6), &json!("anna@example.org")));
    // What is no question ends its own connection only.
    let mut other = TcpStream::connect(&server.address).expect("it listens");
    other.write_all(b"GET / HTTP/1.1\n\n").expect("it listens");
    assert_eq!(answer(&mut other), "");
    // Another policy takes its place while connections stay; one that is wrong, or open, does not.
    folder
        .write("closed.policy", &CLOSED.replace("permit via smarthost when", "defer 454 4.7.1 \"closed today\" when"));
    server.signal("HUP");
    server.line("reloaded: ");
    assert_eq!(ask(&mut stream, "10.1.2.3", "bert@third.example"), "action=454 4.7.1 closed today\n\n");
    for wrong in [OPEN, "permit whenever\n"] {
        folder.write("closed.policy", wrong);
        server.signal("HUP");
        let mut told = String::new();
        let mut errors = BufReader::new(server.child.stderr.as_mut().expect("its errors"));
        while !told.ends_with("policy: the policy stays as it was\n") {
            assert!(errors.read_line(&mut told).expect("a line") > 0, "{told}");
        }
        assert_eq!(ask(&mut stream, "198.51.100.7", "x@third.example"), "action=450 4.7.1 come again\n\n");
    }
    server.signal("TERM");
    assert_eq!(server.child.wait().expect("its end").code(), Some(0));
}

#[test]
fn a_server_does_not_start_with_an_open_policy() {
    let folder = Folder::new();
    let serve = |file| folder.run(&["serve", "--policy", file, "--listen", "127.0.0.1:0"]);
    for (file, reason) in
        [("open.policy", "open.policy: an open relay by line 3"), ("wrong.policy", "wrong.policy:2:16: ")]
    {
        let (code, text, said) = serve(file);
        assert_eq!((code, &*text), (2, ""));
        assert!(said.contains(reason), "{said}");
    }
}
