//! Of a whole message.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use hikyaku_dns::{Error, Name, RecordType, Zone};
use hikyaku_message::results::{AuthenticationResults, Dmarc, Value};
use hikyaku_message::{Header, HeaderLimits};
use hikyaku_wire::Timestamp;

use crate::{Authentication, Budget, Client, ClientResults, Records, Rules, Verifier, dmarc};

/// A script of one delivery, a move a line: what stands in the DNS, who the client is and what it
/// says, in which pieces the message comes; after an empty line the message. In any pieces the same
/// comes out, no lookup is made beyond the budget, and the field reads as it was meant.
pub fn message(data: &[u8]) {
    let at = data.windows(2).position(|two| two == b"\n\n");
    let Some((script, message)) = at.map(|at| (&data[..at], &data[at + 2..])) else { return };
    let mut zone = String::new();
    let mut failures = Vec::new();
    let (mut address, mut hello, mut sender) = ([192, 0, 2, 7].into(), String::new(), String::new());
    let mut rules = Rules::default();
    let mut size = 7;
    for line in String::from_utf8_lossy(script).lines().take(64) {
        let (key, rest) = line.split_once(' ').unwrap_or((line, ""));
        match key {
            "zone" => zone.push_str(&format!("{rest}\n")),
            "fails" => failures.extend(rest.parse::<Name>()),
            "ip" => address = rest.parse().unwrap_or(address),
            "helo" => rest.clone_into(&mut hello),
            "from" => rest.clone_into(&mut sender),
            "pieces" => size = rest.parse().unwrap_or(size).clamp(1, 1000),
            "trust" => rules.trusted_sealers.extend(rest.parse::<Name>()),
            "fields" => rules.header.fields = rest.parse().unwrap_or(rules.header.fields),
            "without" => match rest {
                "iprev" => rules.iprev = false,
                "spf" => rules.spf = false,
                "dkim" => rules.dkim = None,
                "arc" => rules.arc = false,
                _ => rules.dmarc = false,
            },
            _ => {}
        }
    }
    let mut zone: Zone = zone.parse().unwrap_or_default();
    zone.failures.extend(failures.into_iter().map(|name| ((name, RecordType::TXT), Error::ServerFailure.into())));
    let records = Records::new(zone);
    let client = Client { address, hello: &hello, sender: &sender, receiver: "mx.hik.test" };
    let judge = |size: usize| {
        let lookups = records.lookups(Instant::now(), Budget::default());
        let time = Timestamp::from_millis(1_780_000_000_000);
        let results = now(ClientResults::check(&rules, &lookups, &client, time));
        let mut verifier = Verifier::new(&rules);
        message.chunks(size).for_each(|piece| verifier.push(piece));
        let done = now(verifier.finish(&lookups, results, time));
        assert!(lookups.asked() <= 50);
        done
    };
    let whole = judge(message.len().max(1));
    assert_eq!(judge(1), whole);
    assert_eq!(judge(size), whole);
    assert_eq!(whole.dmarc.is_some(), rules.dmarc);
    if let Some(outcome) = &whole.dmarc {
        assert!(outcome.result == Dmarc::Fail || outcome.disposition == dmarc::Policy::None);
        let trusting = !rules.trusted_sealers.is_empty();
        let excused = outcome.overrides.iter().any(|one| one.reason == dmarc::OverrideReason::TrustedForwarder);
        assert!(trusting || !excused);
    }
    field(&whole);
}

/// It is one field, and reads as what it was made of.
fn field(done: &Authentication) {
    let results = done.results(Value::lossy("mx.hik.test"));
    let field = results.field();
    let header = Header::parse(field.as_bytes(), HeaderLimits::default()).expect("a field");
    assert_eq!((header.fields().count(), header.malformed()), (1, None), "{field}");
    let value = header.first("Authentication-Results").expect("the field");
    let read = AuthenticationResults::parse(value.raw_value()).expect("what we print");
    assert!(read == results, "{field}");
}

fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a zone in memory never waits"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    #[test]
    fn corpus_of_mailauth_message() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/mailauth_message");
        let files: Vec<_> = fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() >= 10);
        for file in files {
            super::message(&fs::read(file).unwrap());
        }
    }
}
