//! A dialogue read back: its facts, where what it does not tell is plain for the policy.

use std::net::IpAddr;

use hikyaku_message::results;
use hikyaku_wire::Command;

use super::words::{PLAIN_HOPS, PLAIN_MINUTE, PLAIN_SIZE};
use crate::{Certificate, Dmarc, Facts, Finding, Listener, Message, Policy, Test};

/// What a dialogue leaves out: every zone, window and custom condition of the policy is there.
fn plain(policy: &Policy) -> Facts {
    let mut facts = Facts::new(None, Listener::Mx);
    facts.minute = Finding::Is(PLAIN_MINUTE);
    facts.iprev = Finding::Is(results::Iprev::PermError);
    facts.name = Finding::Is(None);
    facts.owned = Finding::Is(false);
    facts.spf = Finding::Is(results::Spf::None);
    facts.exists = Finding::Is(true);
    facts.known = Finding::Is(false);
    let mut message = Message::new(PLAIN_SIZE);
    message.hops = PLAIN_HOPS;
    message.aligned = Finding::Is(true);
    message.dkim = Finding::Is(results::Dkim::None);
    message.arc = Finding::Is(results::Arc::None);
    message.dmarc = Finding::Is(Dmarc::None);
    facts.message = Some(message);
    for rule in policy.rules() {
        if let crate::Action::Limit(rate) = &rule.action {
            set(&mut facts.rates, rate.window, 0);
        }
    }
    let conditions =
        policy.rules().iter().map(|rule| &rule.when).chain(policy.claims().iter().map(|claim| &claim.when));
    for test in conditions.flat_map(|when| when.tests()) {
        match test {
            Test::Rate(rate) => set(&mut facts.rates, rate.window, 0),
            Test::Listed { zone, .. } => set(&mut facts.listed, zone.clone(), Finding::Is(0)),
            Test::Custom(name) => set(&mut facts.custom, name.clone(), Finding::Is(false)),
            _ => {}
        }
    }
    facts
}

fn set<K: PartialEq, V>(list: &mut Vec<(K, V)>, key: K, value: V) {
    list.retain(|(old, _)| *old != key);
    list.push((key, value));
}

/// # Panics
/// On what is no such dialogue.
pub(crate) fn facts(dialogue: &str, policy: &Policy) -> Facts {
    let mut facts = plain(policy);
    let mut lines = dialogue.lines().peekable();
    let mut first = lines.next().expect("a first line").strip_prefix("# ").expect("a comment").to_owned();
    while let Some(more) = lines.next_if(|line| line.starts_with("#   ")) {
        first += &more[3..];
    }
    let mut parts = first.split(", ");
    let connects = parts.next().expect("who connects").trim_end_matches(',');
    let (client, listener) = connects.split_once(" connects").expect("connects");
    facts.client = client.parse::<IpAddr>().ok();
    facts.listener = match listener.trim_start_matches(" to the ").trim_end_matches(" listener") {
        "" => Listener::Mx,
        word => *Listener::ALL.iter().find(|listener| listener.to_string() == word).expect("a listener"),
    };
    facts.tls = dialogue.lines().any(|line| line == "# TLS" || line == "# TLS from the first octet");
    for part in parts {
        let (name, value) = part.split_once('=').expect("a value");
        told(&mut facts, name, value);
    }
    let mut in_body = false;
    for line in lines {
        if let Some(user) = line.strip_prefix("# the password of \"").and_then(|line| line.strip_suffix('"')) {
            facts.user = Some(user.replace("\\\"", "\"").replace("\\\\", "\\"));
        }
        let Some(line) = line.strip_prefix("C: ") else { continue };
        if in_body {
            continue;
        }
        match Command::parse(line.as_bytes()).map(Command::into_owned) {
            Ok(Command::Ehlo(hello) | Command::Lhlo(hello)) => facts.hello = Some(hello),
            Ok(Command::Mail(mail)) => facts.sender = Some(mail.from),
            Ok(Command::Rcpt(recipient)) => facts.recipient = Some(recipient.to),
            Ok(Command::StartTls | Command::Quit | Command::Auth(_)) => {}
            Ok(Command::Data) => in_body = true,
            _ if line == "AUTH PLAIN ..." => {}
            other => panic!("{line}: {other:?}"),
        }
    }
    facts
}

fn told(facts: &mut Facts, name: &str, value: &str) {
    fn word<T: Copy>(all: &[T], text: impl Fn(&T) -> String, value: &str) -> Finding<T> {
        match value {
            "unknown" => Finding::Unknown,
            _ => Finding::Is(*all.iter().find(|word| text(word) == value).expect(value)),
        }
    }
    let flag = |value: &str| word(&[true, false], |flag| (if *flag { "yes" } else { "no" }).to_owned(), value);
    let number = |value: &str| value.parse::<u64>().expect("a number");
    let message = facts.message.as_mut().expect("a message");
    match name {
        "time" if value == "unknown" => facts.minute = Finding::Unknown,
        "time" => {
            let (hour, minute) = value.split_once(':').expect("a time");
            facts.minute = Finding::Is((number(hour) * 60 + number(minute)) as u16);
        }
        "iprev" => facts.iprev = word(results::Iprev::ALL, results::Iprev::to_string, value),
        "name" if value == "unknown" => facts.name = Finding::Unknown,
        "name" => facts.name = Finding::Is(Some(value.parse().expect("a name"))),
        "certificate" => {
            let mut words = value.split(' ');
            let pin = words.next().expect("a pin").strip_prefix("sha256/").expect("a digest");
            let names = words.map(|name| name.parse().expect("a name")).collect();
            facts.certificate = Some(Certificate { spki: digest(pin), names });
        }
        "owned" => facts.owned = flag(value),
        "spf" => facts.spf = word(results::Spf::ALL, results::Spf::to_string, value),
        "exists" => facts.exists = flag(value),
        "known" => facts.known = flag(value),
        "recipients" => facts.recipients = number(value) as u32,
        "size" => message.size = number(value),
        "hops" => message.hops = number(value) as u32,
        "aligned" => message.aligned = flag(value),
        "dkim" => message.dkim = word(results::Dkim::ALL, results::Dkim::to_string, value),
        "arc" => message.arc = word(results::Arc::ALL, results::Arc::to_string, value),
        "dmarc" => message.dmarc = word(&DMARC, Dmarc::to_string, value),
        _ => {
            let (kind, name) = name.split_once(' ').expect("a kind of fact");
            match kind {
                "listed" => {
                    let score = if value == "unknown" {
                        Finding::Unknown
                    } else {
                        Finding::Is(value.parse().expect("a score"))
                    };
                    set(&mut facts.listed, name.parse().expect("a zone"), score);
                }
                "custom" => set(&mut facts.custom, name.parse().expect("a name"), flag(value)),
                "rate" => {
                    let window =
                        facts.rates.iter().map(|(window, _)| *window).find(|window| window.to_string() == name);
                    set(&mut facts.rates, window.expect("a window of the policy"), number(value));
                }
                _ => panic!("{kind}"),
            }
        }
    }
}

const DMARC: [Dmarc; 6] = [Dmarc::Pass, Dmarc::None, Dmarc::Fail, Dmarc::Quarantine, Dmarc::Reject, Dmarc::PermError];

fn digest(base64: &str) -> [u8; 32] {
    let value = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut digest = [0; 32];
    let (mut bits, mut held, mut at) = (0_u32, 0, 0);
    for c in base64.bytes().filter(|c| *c != b'=') {
        bits = bits << 6 | u32::from(value(c));
        held += 6;
        if held >= 8 && at < 32 {
            held -= 8;
            digest[at] = (bits >> held) as u8;
            at += 1;
        }
    }
    digest
}
