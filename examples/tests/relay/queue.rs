//! `relay queue`: what waits is shown and changed while the relay runs, over its control socket,
//! and while it does not.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use serde_json::Value;

use crate::support::client::Client;
use crate::support::eventually;
use crate::support::relay::Site;
use crate::support::sink::Sink;

const MESSAGE: &[u8] = b"From: a@sender.test\r\nSubject: \x1b]0;evil\x07 \xff\r\n\r\nbody \x1b[2J\r\n";

/// A site whose smart host refuses connections until somebody listens on its port.
fn site_to_nowhere() -> Site {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    Site::to_smart_host(listener.local_addr().unwrap())
}

fn queue(site: &Site, arguments: &[&str]) -> Output {
    let config = site.config();
    let mut all = vec!["queue", "--config", config.to_str().unwrap()];
    all.extend(arguments);
    site.run(&all)
}

/// What was said, and the exit status.
fn said(output: &Output) -> (String, i32) {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    (String::from_utf8(text).expect("the output is UTF-8"), output.status.code().expect("it ended by itself"))
}

fn ask(site: &Site, arguments: &[&str]) -> (String, i32) {
    said(&queue(site, arguments))
}

fn json(site: &Site, arguments: &[&str]) -> Vec<Value> {
    let output = queue(site, arguments);
    assert!(output.status.code() != Some(2), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let value = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    text.lines().map(value).collect()
}

/// Puts messages to `count` recipients into the queue, each to its own.
fn put(site: &Site, relay: &crate::support::relay::Relay, names: &[&str]) -> Vec<String> {
    let mut client = Client::hello(relay.address()).unwrap();
    for name in names {
        let reply = client.transaction("a@sender.test", &[&format!("{name}@far.test")], MESSAGE).unwrap();
        assert_eq!(reply.code, 250, "{reply:?}");
    }
    let ids: Vec<_> =
        json(site, &["list", "--json"]).iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), names.len());
    ids
}

/// Waits until a delivery was tried and the destination closed.
fn closed(site: &Site) -> Value {
    eventually("the smart host to be closed", || {
        let lines = json(site, &["summary", "--json"]);
        lines.into_iter().find(|line| line["gate"] == "closed" && line["leased"] == 0)
    })
}

#[test]
fn a_running_relay_is_asked_over_its_socket_and_a_stopped_one_in_its_files() {
    let site = site_to_nowhere();
    let (nothing, code) = ask(&site, &["list"]);
    assert!(code == 2 && nothing.contains("no relay has run"), "{nothing}");
    let relay = site.start();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let socket = site.data().join("control/socket");
    assert_eq!((mode(&socket), mode(socket.parent().unwrap())), (0o600, 0o700));
    assert_eq!(ask(&site, &["list"]), ("nothing matches\n".to_owned(), 1));
    assert_eq!(ask(&site, &["summary"]), ("the queue is empty\n".to_owned(), 1));
    let ids = put(&site, &relay, &["one", "two", "three"]);
    let summary = closed(&site);
    assert_eq!((&summary["ready"], &summary["held"]), (&Value::from(3), &Value::from(0)));

    // The same words whether it runs or not.
    let asked = || {
        let (list, listed) = ask(&site, &["list", "--to", "two@far.test"]);
        assert_eq!(listed, 0);
        assert!(list.starts_with("UNIT ") && list.lines().count() == 2, "{list}");
        assert!(list.contains(" ready ") && list.contains("<a@sender.test> -> <two@far.test>"), "{list}");
        for held in ["held", "released"] {
            let action = if held == "held" { "hold" } else { "release" };
            assert_eq!(ask(&site, &[action, "--to", "two@far.test"]), (format!("1 unit {held}\n"), 0));
            assert_eq!(ask(&site, &[action, "--to", "nobody@far.test"]), ("nothing matches\n".to_owned(), 1));
            let lines = json(&site, &["list", "--json", "--state", if held == "held" { "held" } else { "ready" }]);
            assert_eq!(lines.len(), if held == "held" { 1 } else { 3 });
        }
        let (shown, code) = ask(&site, &["show", ids[0].split('.').next().unwrap(), "--text", "whole"]);
        assert_eq!(code, 0);
        for part in ["from     <a@sender.test>", "to     <one@far.test>", "Received: from", "body \\u{1b}[2J"] {
            assert!(shown.contains(part), "{part:?} in {shown}");
        }
    };
    asked();
    let (second, code) = said(&site.run(&["--config", site.config().to_str().unwrap()]));
    assert!(code == 1 && second.contains("in use"), "{second}");
    relay.stop();
    assert!(!socket.exists());
    asked();
    assert_eq!(ask(&site, &["remove", &ids[2]]), ("1 unit removed\n".to_owned(), 0));
    assert_eq!(ask(&site, &["remove", &ids[2]]), ("nothing matches\n".to_owned(), 1));
    let relay = site.start();
    assert_eq!(ask(&site, &["remove", "--all"]), ("2 units removed\n".to_owned(), 0));
    assert_eq!(ask(&site, &["list"]).1, 1);
    relay.stop();
    let told: Vec<_> = site.audit().into_iter().filter(|line| line["event"] == "queue_changed").collect();
    let units: u64 = told.iter().map(|line| line["units"].as_u64().unwrap()).sum();
    assert_eq!(units, 7, "each change is in the log: {told:?}");
    assert!(told.iter().all(|line| line["by"].as_str().unwrap().starts_with("uid ")), "{told:?}");
}

#[test]
fn retry_opens_what_was_closed_and_mail_goes_out() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let site = Site::to_smart_host(free);
    let relay = site.start();
    put(&site, &relay, &["one", "two"]);
    let key = closed(&site)["key"].as_str().unwrap().to_owned();
    assert_eq!(ask(&site, &["gate", &key, "pause"]).1, 0);
    let (said, code) = ask(&site, &["retry", "--all"]);
    assert!(code == 0 && said.starts_with("2 units") && said.contains("is paused"), "{said}");
    assert!(ask(&site, &["list"]).0.contains(" paused "));
    assert_eq!(ask(&site, &["gate", &key, "2h"]).1, 0);
    let (summary, _) = ask(&site, &["summary"]);
    assert!(summary.contains("opens in 119 min") || summary.contains("opens in 2 h"), "{summary}");
    let sink = Sink::start();
    let to = sink.address().to_string();
    assert_eq!(ask(&site, &["rekey", "--all", "--into", &to]).0, format!("2 units rekeyed to {to}\n"));
    let (said, _) = ask(&site, &["retry", "--all"]);
    assert!(!said.contains("open again"), "another destination was closed: {said}");
    assert_eq!(sink.wait(2).len(), 2);
    eventually("an empty queue", || (ask(&site, &["list"]).1 == 1).then_some(()));
    relay.stop();
}

#[test]
fn a_person_opens_a_closed_destination() {
    let site = site_to_nowhere();
    let relay = site.start();
    put(&site, &relay, &["one"]);
    closed(&site);
    relay.stop();
    let (said, code) = ask(&site, &["retry", "--key", closed(&site)["key"].as_str().unwrap()]);
    assert!(code == 0 && said.contains("is open again"), "{said}");
    assert_eq!(json(&site, &["summary", "--json"])[0]["gate"], "open");
    let attempts = || site.audit().iter().filter(|line| line["event"] == "attempt").count();
    let before = attempts();
    let relay = site.start();
    eventually("one more attempt", || (attempts() > before).then_some(()));
    relay.stop();
}

#[test]
fn nothing_from_a_mail_acts_on_the_terminal() {
    let site = site_to_nowhere();
    let relay = site.start();
    let mut client = Client::hello(relay.address()).unwrap();
    let from = "\"a\\ \u{7f}b\"@sender.test";
    let mut taken = client.transaction(from, &["one@far.test"], MESSAGE).unwrap();
    if taken.code != 250 {
        taken = client.transaction("plain@sender.test", &["one@far.test"], MESSAGE).unwrap();
    }
    assert_eq!(taken.code, 250);
    let line = json(&site, &["list", "--json"]).remove(0);
    let id = line["message"].as_str().unwrap();
    assert_eq!(ask(&site, &["hold", id, "--why", "look\u{1b}[31m\r\nhere\u{202e}"]).1, 0);
    let outputs = [
        queue(&site, &["list"]),
        queue(&site, &["list", "--json"]),
        queue(&site, &["summary"]),
        queue(&site, &["show", id, "--text", "whole"]),
        queue(&site, &["show", id, "--text", "header"]),
        queue(&site, &["show", id, "--text", "whole", "--json"]),
        queue(&site, &["gate", "\u{1b}[2Jkey", "open"]),
    ];
    for output in &outputs {
        let text = std::str::from_utf8(&output.stdout).expect("UTF-8");
        assert!(output.status.success() && !text.is_empty(), "{output:?}");
        let acts = |c: char| (c.is_control() && c != '\n' && c != '\t') || c == '\u{202e}';
        assert!(!text.contains(acts), "{text:?}");
    }
    let whole = String::from_utf8(outputs[3].stdout.clone()).unwrap();
    assert!(whole.contains("Subject: \\u{1b}]0;evil\\u{7} \\xff\n\nbody \\u{1b}[2J\n"), "{whole}");
    assert!(whole.contains("held: look\\u{1b}[31m\\u{d}\\u{a}here\\u{202e}"), "{whole}");
    let header = String::from_utf8(outputs[4].stdout.clone()).unwrap();
    assert!(header.contains("Subject: ") && !header.contains("body"), "{header}");
    let shown: Value = serde_json::from_slice(&outputs[5].stdout).unwrap();
    assert_eq!((&shown["id"], &shown["units"][0]["state"]), (&line["message"], &Value::from("held")));
    assert!(shown["text"].as_str().unwrap().ends_with("\r\n\r\nbody \u{1b}[2J\r\n"), "{shown}");
    relay.stop();
}

#[test]
fn what_cannot_be_done_says_why() {
    let site = site_to_nowhere();
    for (arguments, why) in [
        (&["hold"][..], "say which units"),
        (&["remove", "--all", "--key", "x"], "`--all` means everything"),
        (&["list", "not-an-id"], "not an id"),
        (&["list", "--from", "no address"], "not an address"),
        (&["list", "--older", "2y"], "not a time"),
        (&["rekey", "--all", "--into", "nowhere"], "not a route"),
        (&["gate", "k", "shut"], "not `open`"),
        (&["show", "01kb2q8a9jf4wr9v0s1rx5h7nd"], "no relay has run"),
    ] {
        let (said, code) = ask(&site, arguments);
        assert!(code == 2 && said.contains(why), "{arguments:?}: {code} {said}");
    }
    let missing = site.run(&["queue", "--config", "/nowhere.toml", "list"]);
    assert_eq!(said(&missing).1, 2);
    let relay = site.start();
    assert_eq!(ask(&site, &["show", "01kb2q8a9jf4wr9v0s1rx5h7nd"]).1, 1);
    // A relay whose socket is gone still has the spool.
    std::fs::remove_file(site.data().join("control/socket")).unwrap();
    let (said, code) = ask(&site, &["list"]);
    assert!(code == 2 && said.contains("does not answer on"), "{said}");
    relay.stop();
    let memory = Site::new("local_domains = [\"example.test\"]", "[queue]\nstore = \"memory\"");
    let (said, code) = ask(&memory, &["list"]);
    assert!(code == 2 && said.contains("in memory"), "{said}");
    let relay = memory.start();
    assert_eq!(ask(&memory, &["list"]).1, 1);
    // A socket that a dead process left behind is in nobody's way.
    relay.kill();
    assert!(memory.data().join("control/socket").exists());
    let relay = memory.start();
    assert_eq!(ask(&memory, &["summary"]).1, 1);
    relay.stop();
}

#[test]
fn long_queues_come_in_pages() {
    let site = site_to_nowhere();
    let relay = site.start();
    let mut client = Client::hello(relay.address()).unwrap();
    for number in 0..1100 {
        let reply = client.transaction("a@sender.test", &[&format!("r{number}@far.test")], b"x: y\r\n\r\n").unwrap();
        assert_eq!(reply.code, 250, "{reply:?}");
    }
    let ids = |arguments: &[&str]| -> BTreeSet<String> {
        json(&site, arguments).iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&["list", "--json"]).len(), 1100);
    assert_eq!(ids(&["list", "--json", "--max", "501"]).len(), 501);
    let (text, _) = ask(&site, &["list", "--max", "2"]);
    assert!(text.lines().count() == 4 && text.contains("only 2 were asked for"), "{text}");
    assert_eq!(ask(&site, &["remove", "--from-domain", "sender.test"]), ("1100 units removed\n".to_owned(), 0));
    relay.stop();
}
