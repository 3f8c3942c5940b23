//! Checks against zones in memory.

use std::time::Instant;

use hikyaku_dns::Zone;

use super::*;
use crate::now::now;
use crate::{Budget, Records};

mod bounds;
mod checks;
mod grammar;
mod macros;
mod traces;

/// The beginning of a message; when that is does not matter.
#[allow(clippy::disallowed_methods, reason = "nothing is measured with it")]
fn instant() -> Instant {
    Instant::now()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// Below the name of each line, what stands behind it: a TXT record, or one of another type.
fn zone(lines: &[(&str, &str)]) -> Zone {
    let mut zone = Zone::default();
    for (owner, data) in lines {
        let typed = ["A ", "AAAA ", "MX ", "PTR ", "CNAME "].iter().any(|word| data.starts_with(word));
        if !typed {
            zone.add(name(owner), 60, hikyaku_dns::Data::Txt(Txt::from(*data)));
            continue;
        }
        let read = Zone::read(format!("{owner} 60 {data}").as_bytes(), &Name::root()).unwrap();
        for (owner, records) in read.records {
            records.into_iter().for_each(|record| zone.add(owner.clone(), record.ttl, record.data));
        }
    }
    zone
}

fn question<'a>(client: &str, hello: &'a str, sender: &'a str) -> Question<'a> {
    let now = Timestamp::from_millis(1_795_499_520_250);
    Question { client: client.parse().unwrap(), hello, sender, receiver: "mx.receiver.test", now }
}

/// The path of MAIL is checked, and how many lookups that made.
fn counted(zone: &Zone, question: &Question<'_>, budget: Budget) -> (Trace, u32) {
    let records = Records::new(zone);
    let lookups = records.lookups(instant(), budget);
    let trace = now(explain(&lookups, question, Identity::MailFrom));
    // The plain check says the same and asks the same.
    let plain = records.lookups(instant(), budget);
    assert_eq!(now(check(&plain, question, Identity::MailFrom)), trace.outcome);
    assert_eq!(plain.asked(), lookups.asked());
    (trace, lookups.asked())
}

fn checked(zone: &Zone, client: &str, sender: &str) -> Outcome {
    counted(zone, &question(client, "mail.client.test", sender), Budget::default()).0.outcome
}

/// The result for a client of 192.0.2.1 that sends for a user of `a.test`.
fn result(lines: &[(&str, &str)]) -> results::Spf {
    checked(&zone(lines), "192.0.2.1", "user@a.test").result
}

fn reason(lines: &[(&str, &str)]) -> Reason {
    checked(&zone(lines), "192.0.2.1", "user@a.test").reason.unwrap()
}
