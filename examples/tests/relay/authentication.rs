//! What the relay finds out about the mail of other servers, and what follows.

use std::path::PathBuf;

use hikyaku::message::results::AuthenticationResults;

use crate::support::client::{Client, Reply};
use crate::support::message::{Added, added, with_lf};
use crate::support::relay::{Relay, Site};
use crate::support::{delivered, eventually, maildir};

/// Clients come from 127.0.0.1: the first four domains differ in what they say of that and in what
/// they ask for.
const ZONE: &str = r#"
good.test. 300 TXT "v=spf1 ip4:127.0.0.1 -all"
_dmarc.good.test. 300 TXT "v=DMARC1; p=reject"
reject.test. 300 TXT "v=spf1 -all"
_dmarc.reject.test. 300 TXT "v=DMARC1; p=reject"
quarantine.test. 300 TXT "v=spf1 -all"
_dmarc.quarantine.test. 300 TXT "v=DMARC1; p=quarantine"
none.test. 300 TXT "v=spf1 -all"
_dmarc.none.test. 300 TXT "v=DMARC1; p=none"
client.sender.test. 300 A 127.0.0.1
1.0.0.127.in-addr.arpa. 300 PTR client.sender.test.
"#;

fn site(top: &str, verify: &str) -> Site {
    let site = Site::new(&format!("local_domains = [\"example.test\"]\n{top}"), &format!("[verify]\n{verify}\n"));
    std::fs::write(site.zone(), ZONE).unwrap();
    site
}

/// A message of somebody at the domain.
fn message(domain: &str) -> Vec<u8> {
    format!("From: Anna <anna@{domain}>\r\nSubject: x\r\n\r\nbody\r\n").into_bytes()
}

fn send(relay: &Relay, domain: &str, message: &[u8]) -> Reply {
    let mut client = Client::hello(relay.address()).unwrap();
    client.transaction(&format!("anna@{domain}"), &["bert@example.test"], message).unwrap()
}

/// The code and the enhanced code.
fn said(reply: &Reply) -> String {
    format!("{} {}", reply.code, reply.text().split(' ').next().unwrap_or_default())
}

/// The next message that comes in: where it is, and what was added to it.
fn next(site: &Site, seen: &mut Vec<PathBuf>) -> (PathBuf, Added) {
    eventually("the next message", || {
        let (path, content) = maildir(&site.mail()).into_iter().find(|(path, _)| !seen.contains(path))?;
        seen.push(path.clone());
        Some((path, added(&content)))
    })
}

/// `method=result` of each, as another program reads them.
fn words(results: &str) -> Vec<String> {
    let results = AuthenticationResults::parse(results.as_bytes()).unwrap();
    results.results().iter().map(|info| format!("{}={}", info.method(), info.result())).collect()
}

#[test]
fn d53_results_stand_on_top_and_forged_ones_are_gone() {
    let site = site("authserv_id = \"example.test\"", "");
    let relay = site.start();
    let forged = "Authentication-Results: EXAMPLE.test (c) 1; dmarc=pass\r\n";
    let folded = "AUTHENTICATION-results:\r\n\texample.test;\r\n dkim=pass header.d=bank.test\r\n";
    let others = "Authentication-Results: elsewhere.test; dkim=pass\r\n";
    let rest = String::from_utf8(message("good.test")).unwrap();
    let text = format!("{forged}{forged}X: y\r\n{folded}{others}{rest}");
    let reply = send(&relay, "good.test", text.as_bytes());
    assert_eq!(reply.code, 250, "{reply:?}");
    let (_, added) = next(&site, &mut Vec::new());
    let results = added.results.expect("results");
    assert!(results.starts_with("example.test; "), "{results}");
    assert_eq!(words(&results), ["spf=none", "spf=pass", "dkim=none", "arc=none", "dmarc=pass"]);
    assert_eq!(added.message, with_lf(format!("X: y\r\n{others}{rest}").as_bytes()));
    relay.stop();
    let audit = site.audit();
    let verified = audit.iter().find(|line| line["event"] == "verified").expect("a line of the log");
    assert_eq!((&verified["spf"], &verified["dmarc"]), (&"pass good.test".into(), &"pass good.test".into()));
    let queued = audit.iter().find(|line| line["event"] == "queued").unwrap();
    assert_eq!((&queued["message"], &queued["session"]), (&verified["message"], &verified["session"]));
}

#[test]
fn what_the_authors_domain_asks_for_is_done() {
    let site = site("", "");
    let relay = site.start();
    let mut seen = Vec::new();
    let reply = send(&relay, "reject.test", &message("reject.test"));
    assert_eq!(said(&reply), "550 5.7.1", "{reply:?}");
    assert!(reply.text().contains("DMARC policy of reject.test"), "{reply:?}");
    for (domain, is_marked) in [("quarantine.test", true), ("none.test", false), ("nothing.test", false)] {
        let reply = send(&relay, domain, &message(domain));
        assert_eq!(reply.code, 250, "{domain}: {reply:?}");
        let (path, added) = next(&site, &mut seen);
        assert_eq!(added.marked, is_marked, "{domain}");
        assert_eq!(path.components().any(|part| part.as_os_str() == ".Junk"), is_marked, "{}", path.display());
        let result = if domain == "nothing.test" { "dmarc=none" } else { "dmarc=fail" };
        assert!(words(&added.results.unwrap()).contains(&result.to_owned()), "{domain}");
    }
    relay.stop();
    assert_eq!(maildir(&site.mail()).len(), 3);
    let audit = site.audit();
    let refusal = audit.iter().find(|line| line["event"] == "decision" && line["stage"] == "message").unwrap();
    assert_eq!(refusal["rule"], "dmarc");
    let verified: Vec<_> = audit.iter().filter(|line| line["event"] == "verified").collect();
    let marked: Vec<_> = verified.iter().filter(|line| line["quarantine"] == "dmarc").collect();
    assert_eq!((verified.len(), marked.len()), (4, 1));
}

#[test]
fn a_word_says_whether_a_check_is_made_and_enforced() {
    let all = |word: &str| ["spf", "dkim", "dmarc", "arc"].map(|check| format!("{check} = {word:?}")).join("\n");
    // What is set, from which domain, what the client is told, and at which command.
    for (verify, domain, told) in [
        (all("off"), "reject.test", Ok(None)),
        (all("report"), "reject.test", Ok(Some("spf=none spf=fail dkim=none arc=none dmarc=fail"))),
        (all("off") + "\niprev = \"report\"", "good.test", Ok(Some("iprev=pass"))),
        (all("off") + "\nspf = \"report\"".replace("spf", "iprev").as_str(), "none.test", Ok(Some("iprev=pass"))),
        (all("report").replace("spf = \"report\"", "spf = \"enforce\""), "none.test", Err("RCPT 550 5.7.23")),
        (
            all("report").replace("spf = \"report\"", "spf = \"enforce\""),
            "good.test",
            Ok(Some("spf=none spf=pass dkim=none arc=none dmarc=pass")),
        ),
        (all("off").replace("dkim = \"off\"", "dkim = \"enforce\""), "good.test", Err("DATA 550 5.7.20")),
        (all("off").replace("dmarc = \"off\"", "dmarc = \"enforce\""), "reject.test", Err("DATA 550 5.7.1")),
        (
            all("off").replace("dmarc = \"off\"", "dmarc = \"report\""),
            "reject.test",
            Ok(Some("spf=none spf=fail dkim=none dmarc=fail")),
        ),
    ] {
        let site = site("", &verify);
        let relay = site.start();
        let mut client = Client::hello(relay.address()).unwrap();
        assert_eq!(client.command(format!("MAIL FROM:<anna@{domain}>")).unwrap().code, 250, "{verify}");
        let reply = client.command("RCPT TO:<bert@example.test>").unwrap();
        let refused = match reply.code {
            250 => {
                let reply = client.data(&message(domain)).unwrap();
                (reply.code != 250).then(|| format!("DATA {}", said(&reply)))
            }
            _ => Some(format!("RCPT {}", said(&reply))),
        };
        drop(client);
        match told {
            Ok(expected) => {
                assert_eq!(refused, None, "{verify}");
                let results = added(&delivered(&site.mail(), 1)[0]).results.map(|results| words(&results).join(" "));
                assert_eq!(results.as_deref(), expected, "{verify}");
            }
            Err(expected) => assert_eq!(refused.as_deref(), Some(expected), "{verify}"),
        }
        relay.stop();
    }
}

/// Who may send like a user is not judged like a server; but nobody may speak for this host.
#[test]
fn trusted_networks_are_not_judged() {
    let site = site("trusted_networks = [\"127.0.0.0/8\"]", "spf = \"enforce\"\ndkim = \"enforce\"");
    let relay = site.start();
    let rest = message("reject.test");
    let text = [b"Authentication-Results: mx.example.test; dmarc=pass\r\n", &rest[..]].concat();
    assert_eq!(send(&relay, "reject.test", &text).code, 250);
    let added = added(&delivered(&site.mail(), 1)[0]);
    assert_eq!((added.results, added.message), (None, with_lf(&rest)));
    relay.stop();
    assert!(site.audit().iter().all(|line| line["event"] != "verified"));
}
