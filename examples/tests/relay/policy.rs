//! The policy in a file of its own: each stage asks it, the log says what it has decided and why,
//! and one that must not be used is not.

use serde_json::Value;

use crate::support::client::{Client, Reply};
use crate::support::relay::{Relay, Site};
use crate::support::sink::Sink;
use crate::support::tls::{Identity, Trust};
use crate::support::{delivered, eventually, maildir};

/// Clients come from 127.0.0.1.
const ZONE: &str = r#"
good.test. 300 TXT "v=spf1 ip4:127.0.0.1 -all"
reject.test. 300 TXT "v=spf1 -all"
_dmarc.reject.test. 300 TXT "v=DMARC1; p=reject"
_dmarc.quarantine.test. 300 TXT "v=DMARC1; p=quarantine"
"#;

impl Site {
    /// The lines of the audit log that say what was decided at a stage.
    fn decisions(&self, stage: &str) -> Vec<Value> {
        self.events("decision").into_iter().filter(|line| line["stage"] == stage).collect()
    }

    /// Has the policy read anew, and gives the line that says so.
    fn reloads(&self, relay: &Relay) -> Value {
        let lines = || self.events("reloaded").into_iter().filter(|line| line["what"] == "policy").collect::<Vec<_>>();
        let before = lines().len();
        relay.hang_up();
        eventually("the policy to be read", || lines().into_iter().nth(before))
    }
}

/// A relay with this policy, and `tables` behind its listener.
fn site(policy: &str, tables: &str) -> Site {
    let site = Site::with_policy(policy, tables);
    std::fs::write(site.zone(), ZONE).expect("write the zone");
    site
}

fn said(reply: &Reply) -> String {
    format!("{} {}", reply.code, reply.text())
}

fn message(author: &str) -> Vec<u8> {
    format!("From: {author}\r\nSubject: x\r\n\r\nbody\r\n").into_bytes()
}

fn send(relay: &Relay, sender: &str, to: &[&str]) -> Reply {
    Client::hello(relay.address()).unwrap().transaction(sender, to, &message(sender)).unwrap()
}

/// The facts of a line, as text.
fn facts(line: &Value) -> Vec<&str> {
    line["facts"].as_array().expect("facts").iter().filter_map(Value::as_str).collect()
}

#[test]
fn every_stage_asks_the_policy() {
    let policy = "local domains ours = example.test\n\
                  refuse 550 5.7.1 \"hello %{helo}\" when helo bad.client.test\n\
                  refuse 550 5.7.1 \"sender\" when sender blocked.test\n\
                  refuse 552 5.3.4 \"large\" when size > 100\n\
                  refuse 550 5.7.1 \"DMARC\" when dmarc reject\n\
                  permit when to ours\n";
    let site = site(policy, "");
    let relay = site.start();
    let mut client = Client::connect(relay.address()).unwrap();
    assert!(said(&client.command("EHLO bad.client.test").unwrap()).starts_with("550 5.7.1 hello bad.client.test"));
    assert_eq!(client.command("EHLO client.test").unwrap().code, 250);
    assert!(said(&client.command("MAIL FROM:<a@blocked.test>").unwrap()).starts_with("550 5.7.1 sender"));
    let reply = client.transaction("a@good.test", &["x@third.test"], b"").unwrap();
    assert!(said(&reply).starts_with("550 5.7.1 "), "{reply:?}");
    assert_eq!(client.command("RSET").unwrap().code, 250);
    let reply = client.transaction("a@good.test", &["bert@example.test"], &message(&"x".repeat(100))).unwrap();
    assert!(said(&reply).starts_with("552 5.3.4 large"), "{reply:?}");
    let reply = client.transaction("a@reject.test", &["bert@example.test"], &message("a@reject.test")).unwrap();
    assert!(said(&reply).starts_with("550 5.7.1 DMARC"), "{reply:?}");
    let reply = client.transaction("a@good.test", &["bert@example.test"], &message("a@good.test")).unwrap();
    assert_eq!(reply.code, 250, "{reply:?}");
    delivered(&site.mail(), 1);
    let output = relay.stop();
    assert!(output.contains("closed"), "the verdict is printed: {output}");

    let lines: Vec<_> =
        ["hello", "mail", "recipient", "message"].iter().flat_map(|stage| site.decisions(stage)).collect();
    let told: Vec<_> = lines.iter().map(|line| (line["stage"].as_str().unwrap(), line["line"].as_u64())).collect();
    assert_eq!(told[..3], [("hello", Some(2)), ("mail", Some(3)), ("recipient", None)]);
    let provisional: Vec<_> =
        site.decisions("recipient").into_iter().filter(|line| line["until"] == "message").collect();
    assert_eq!(provisional.len(), 3, "{provisional:?}");
    let at_end = site.decisions("message");
    assert_eq!(at_end.iter().map(|line| line["line"].as_u64().unwrap()).collect::<Vec<_>>(), [4, 5, 6]);
    assert!(facts(&at_end[1]).contains(&"dmarc=reject"), "{at_end:?}");
    assert!(at_end.iter().all(|line| line["until"].is_null() && line["message"].is_string()), "{at_end:?}");
}

#[test]
fn who_is_not_wanted_is_told_in_the_greeting() {
    let site = site(
        "local domains ours = example.test\nrefuse 550 5.7.1 \"go away\" when from 127.0.0.0/8\npermit when to ours\n",
        "",
    );
    let relay = site.start();
    let mut client = Client::open(relay.address()).unwrap();
    let greeting = client.reply().unwrap();
    assert!((500..600).contains(&greeting.code), "{greeting:?}");
    relay.stop();
    assert_eq!(site.decisions("connect")[0]["line"], 2);
}

#[test]
fn who_is_new_is_deferred_and_welcome_after_the_wait() {
    let policy = "local domains ours = example.test\n\
                  defer 450 4.7.1 \"greylisted\" when not known\npermit when to ours\n";
    let site = site(policy, "[greylist]\nwait = 1");
    let relay = site.start();
    assert!(said(&send(&relay, "a@good.test", &["bert@example.test"])).starts_with("450 4.7.1 greylisted"));
    assert_eq!(facts(&site.decisions("recipient")[0]), ["listener=mx", "known=no"]);
    // Who was seen is remembered over a restart.
    relay.stop();
    let relay = site.start();
    eventually("the wait to be over", || {
        let reply = send(&relay, "a@good.test", &["bert@example.test"]);
        assert!(reply.code == 250 || reply.code == 450, "{reply:?}");
        (reply.code == 250).then_some(())
    });
    assert_eq!(send(&relay, "b@good.test", &["bert@example.test"]).code, 450, "another sender");
    relay.stop();
}

#[test]
fn a_rate_holds_and_a_route_is_taken() {
    let sink = Sink::start();
    let policy = "local domains ours = example.test\nrelay domains theirs = customer.test\n\
                  limit 3/h per sender\npermit via customer when to theirs\npermit when to ours\n";
    let routes = format!("[delivery.routes]\ncustomer = \"{}\"\n", sink.address());
    let site = site(policy, &routes);
    let relay = site.start();
    assert_eq!(send(&relay, "a@good.test", &["x@customer.test", "bert@example.test"]).code, 250);
    assert_eq!(sink.wait(1)[0].to, ["<x@customer.test>"]);
    delivered(&site.mail(), 1);
    assert_eq!(send(&relay, "a@good.test", &["x@customer.test"]).code, 250);
    let reply = send(&relay, "a@good.test", &["x@customer.test"]);
    assert!(said(&reply).starts_with("450 4.7.1 "), "{reply:?}");
    assert_eq!(send(&relay, "b@good.test", &["x@customer.test"]).code, 250);
    relay.stop();
    let last = site.decisions("recipient").pop().unwrap();
    assert_eq!(
        (last["rule"].as_str(), facts(&last)),
        (Some("permit via customer when to theirs"), vec!["listener=mx", "rate=h per sender=0"])
    );
}

#[test]
fn marks_lead_to_junk_and_shadows_are_told() {
    let policy = "local domains ours = example.test\n\
                  quarantine \"DMARC\" when dmarc quarantine\n\
                  tag \"unsigned\" when dkim none\n\
                  shadow refuse 550 5.7.1 \"SPF\" when spf none\n\
                  permit when to ours\n";
    let site = site(policy, "");
    let relay = site.start();
    assert_eq!(send(&relay, "a@quarantine.test", &["bert@example.test"]).code, 250);
    let content = String::from_utf8(delivered(&site.mail(), 1).remove(0)).unwrap();
    assert!(content.contains("\nX-Spam-Flag: YES\nX-Hikyaku-Tag: unsigned\nReceived: "), "{content}");
    let (path, _) = maildir(&site.mail()).remove(0);
    assert!(path.components().any(|part| part.as_os_str() == ".Junk"), "{}", path.display());
    relay.stop();
    assert_eq!(site.events("verified")[0]["quarantine"], "policy");
    let at_rcpt = &site.decisions("recipient")[0];
    assert_eq!(at_rcpt["shadows"][0], "shadow refuse 550 5.7.1 \"SPF\" when spf none");
    assert_eq!(at_rcpt["until"], "message");
}

#[test]
fn by_lmtp_each_recipient_has_its_own_end() {
    let policy = "local domains ours = example.test\n\
                  refuse 550 5.7.1 \"sign it\" when to mailbox \"bert@example.test\" and dkim none\n\
                  permit when to ours\n";
    let site = site(policy, "[[listener]]\naddress = \"127.0.0.1:0\"\nmode = \"lmtp\"\n");
    let relay = site.start();
    let to = ["anna@example.test", "bert@example.test"];
    let reply = send(&relay, "a@good.test", &to);
    assert!(said(&reply).starts_with("550 5.7.1 sign it"), "one reply, the strictest: {reply:?}");
    let mut client = Client::connect(relay.listener("lmtp")).unwrap();
    assert_eq!(client.command("LHLO client.test").unwrap().code, 250);
    assert_eq!(client.transaction("a@good.test", &to, &message("a@good.test")).unwrap().code, 250);
    assert!(said(&client.reply().unwrap()).starts_with("550 5.7.1 sign it"));
    delivered(&site.mail(), 1);
    relay.stop();
    let taken = maildir(&site.mail());
    assert_eq!(taken.len(), 1, "nothing came by SMTP: {taken:?}");
    assert!(taken[0].0.starts_with(site.mail().join("anna")), "{taken:?}");
}

#[test]
fn a_certificate_that_the_policy_names_is_a_credential() {
    let identity = Identity::new("client.test");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("client.pem"), &identity.pem).unwrap();
    let pin = hikyaku::SpkiPin::of_file(&folder.path().join("client.pem")).unwrap().to_string();
    // One slash in a policy, as in RFC 7469 one follows the name of the digest.
    let pin = pin.replace("sha256//", "sha256/");
    let policy = format!("certificates servers = spki \"{pin}\"\npermit when certificate servers\n");
    let site = site(&policy, "");
    let sink = Sink::start();
    let text = std::fs::read_to_string(site.config()).unwrap();
    let route = format!("{text}\n[delivery]\nroute = \"smarthost\"\nsmarthost = \"{}\"\n", sink.address());
    std::fs::write(site.config(), route).unwrap();
    let relay = site.start();
    let send = |trust: &Trust| {
        let mut client = Client::start_tls(relay.address(), trust)?;
        client.transaction("a@good.test", &["x@third.test"], &message("a@good.test"))
    };
    assert_eq!(send(&site.trust(Some(&identity))).unwrap().code, 250);
    assert_eq!(sink.wait(1)[0].to, ["<x@third.test>"]);
    assert_eq!(send(&site.trust(Some(&Identity::new("client.test")))).unwrap().code, 550);
    assert_eq!(send(&site.trust(None)).unwrap().code, 550);
    relay.stop();
    let accepted = site.decisions("recipient").remove(0);
    assert!(facts(&accepted).iter().any(|fact| fact.starts_with("certificate=sha256/")), "{accepted}");
}

const CLOSED: &str = "local domains ours = example.test\npermit when to ours\n";

#[test]
fn sighup_reads_it_anew_unless_it_must_not_be_used() {
    let site = site(CLOSED, "");
    let relay = site.start();
    let mut running = Client::hello(relay.address()).unwrap();
    assert_eq!(running.command("MAIL FROM:<a@good.test>").unwrap().code, 250);
    assert_eq!(send(&relay, "a@good.test", &["bert@new.test"]).code, 550);

    site.write_policy("local domains ours = example.test, new.test\npermit when to ours\n");
    let line = site.reloads(&relay);
    assert!(line["error"].is_null(), "{line}");
    let changes: Vec<_> = line["changes"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(changes[0], "1 kind of mail is decided differently");
    assert!(changes[1].contains("new.test") && changes[1].contains("550 5.7.1"), "{changes:?}");
    assert_eq!(send(&relay, "a@good.test", &["bert@new.test"]).code, 250);
    delivered(&site.mail(), 1);
    // What has begun goes on as it has begun.
    assert_eq!(running.command("RCPT TO:<bert@new.test>").unwrap().code, 550);
    assert_eq!(running.command("RSET").unwrap().code, 250);
    let reply = running.transaction("a@good.test", &["bert@new.test"], &message("a@good.test")).unwrap();
    assert_eq!(reply.code, 250, "{reply:?}");

    for (text, why) in [
        ("local domains ours = example.test\npermit\n", "open"),
        ("local domains ours = example.test\npermit when to our\n", "line 2, column 16: no list is named `our`"),
        ("local domains ours = example.test\npermit via inner when to ours\n", "no route is named `inner`"),
        ("local domains ours = example.test\npermit when to ours\nnever permit when to ours\n", "line 3"),
    ] {
        site.write_policy(text);
        let line = site.reloads(&relay);
        let error = line["error"].as_str().unwrap_or_else(|| panic!("{text} is taken: {line}"));
        assert!(error.to_lowercase().contains(&why.to_lowercase()), "{error}");
        assert_eq!(send(&relay, "a@good.test", &["victim@third.test"]).code, 550, "{text}");
        assert_eq!(send(&relay, "a@good.test", &["bert@new.test"]).code, 250, "{text}");
    }
    std::fs::remove_file(site.policy()).unwrap();
    assert!(site.reloads(&relay)["error"].as_str().unwrap().contains("relay.policy"));

    // What is declared may be open, and is not taken in silence.
    site.write_policy("open\npermit\n");
    let line = site.reloads(&relay);
    assert_eq!(line["changes"][1], "it is an OPEN relay, as its first line says", "{line}");
    let pin = "A".repeat(43);
    site.write_policy(&format!("{CLOSED}permit when certificate spki \"sha256//{pin}=\"\n"));
    let line = site.reloads(&relay);
    assert!(line["error"].is_null() && !line.to_string().contains("OPEN"), "{line}");
    site.write_policy("permi\n");
    assert!(site.reloads(&relay)["error"].is_string());
    let output = relay.stop();
    assert!(output.contains("policy: 1 kind of mail is decided differently"), "{output}");
    let errors = std::fs::read_to_string(site.path().join("stderr")).unwrap();
    for told in ["keys of certificates that are not believed before", "the policy stays as it was: "] {
        assert!(errors.contains(told), "{told}: {errors}");
    }
}

#[test]
fn one_that_must_not_be_used_does_not_start() {
    let refused = |policy: &str, tables: &str| {
        let site = site(policy, tables);
        let output = site.run(&["--check", "--config", "relay.toml"]);
        assert!(!output.status.success(), "{policy}");
        String::from_utf8(output.stderr).unwrap()
    };
    let open = refused("local domains ours = example.test\npermit when to ours\npermit when tls\n", "");
    for part in ["relay.policy", "line 3", "RCPT TO:"] {
        assert!(open.contains(part), "{part} in {open}");
    }
    assert!(refused("permit whe tls\n", "").contains("relay.policy, line 1, column 8: "));
    let enforced = refused(CLOSED, "[verify]\nspf = \"enforce\"\n");
    assert!(enforced.contains("verify.spf: the policy decides"), "{enforced}");
    let both = Site::new("policy = \"p\"\nlocal_domains = [\"example.test\"]", "");
    let output = both.run(&["--check", "--config", "relay.toml"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("local_domains: the policy declares them: write `local domains NAME = …` there"), "{said}");
    let missing = Site::new("policy = \"/nonexistent/relay.policy\"", "");
    let output = missing.run(&["--check", "--config", "relay.toml"]);
    assert!(
        String::from_utf8(output.stderr).unwrap().contains("/nonexistent/relay.policy: the policy cannot be read: ")
    );
    let declared = site("open\npermit\n", "");
    let output = declared.run(&["--check", "--config", "relay.toml"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("the policy is an OPEN relay"), "{said}");
}

#[test]
fn a_policy_in_vain_is_doubted() {
    let site = site(CLOSED, "[[list]]\nzone = \"zen.test\"\n");
    let output = site.run(&["--check", "--config", "relay.toml"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("the policy does not ask for DMARC"), "{said}");
    assert!(said.contains("[[list]] zen.test is not asked: no rule says `listed zen.test`"), "{said}");
    assert!(!said.contains("OPEN"), "{said}");

    let rules = [("zen.test", 3), ("zen.test", 5), ("other.test", 1), ("other.test", 2)]
        .map(|(zone, score)| format!("refuse 550 5.7.1 \"listed\" when listed {zone} >= {score}\n"));
    let policy = format!("local domains ours = example.test\n{}permit when to ours\n", rules.concat());
    let lists = ["weight = 4", "weight = -9"].map(|weight| format!("[[list]]\nzone = \"zen.test\"\n{weight}\n"));
    let site = self::site(&policy, &lists.concat());
    let output = site.run(&["--check", "--config", "relay.toml"]);
    let said = String::from_utf8(output.stderr).unwrap();
    let vain: Vec<_> = said.lines().filter(|line| line.contains("no client can reach")).collect();
    assert_eq!(vain.len(), 2, "{said}");
    assert!(vain[0].contains("`listed zen.test >= 5`: its score is 4 at the most"), "{said}");
    assert!(vain[1].contains("`listed other.test >= 2`: its score is 1 at the most"), "{said}");
}

/// The example in this repository, as it stands.
#[test]
fn the_example_is_a_good_policy() {
    let text = include_str!("../../relay.policy");
    let list =
        "[[list]]\nzone = \"zen.example\"\nweight = 3\nanswers = \"127.0.0.[2..11]\"\n\n[greylist]\nwait = 300\n";
    let site = site(text, list);
    let output = site.run(&["--check", "--config", "relay.toml"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "nothing is in vain");
    let relay = site.start();
    // SPF passes: greylisting does not hold it up. The client has no name, which is only told.
    assert_eq!(send(&relay, "a@good.test", &["bert@example.test"]).code, 250);
    let content = String::from_utf8(delivered(&site.mail(), 1).remove(0)).unwrap();
    assert!(content.contains("\nX-Hikyaku-Tag: no-name\n"), "{content}");
    assert_eq!(send(&relay, "a@nothing.test", &["bert@example.test"]).code, 450);
    assert!(
        said(&send(&relay, "a@reject.test", &["bert@example.test"]))
            .starts_with("550 5.7.23 SPF of a@reject.test does not name 127.0.0.1")
    );
    assert_eq!(send(&relay, "a@good.test", &["victim@third.test"]).code, 550);
    relay.stop();
    let shadows: Vec<_> =
        site.decisions("recipient").iter().map(|line| line["shadows"].as_array().unwrap().len()).collect();
    assert!(shadows[0] == 1, "{shadows:?}");
}
