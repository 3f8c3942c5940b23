//! What the fuzz targets of SPF assert.

use std::borrow::Cow;
use std::net::IpAddr;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use hikyaku_dns::{Data, Error, Mx, Name, RecordType, Txt, Zone};
use hikyaku_message::results;
use hikyaku_wire::Timestamp;

use super::macros::Values;
use super::{DomainSpec, Identity, MacroString, Question, Record, check, explain};
use crate::{Budget, Records};

/// A record that is read, printed and read again is the same; an error points into its input.
pub fn spf_record(data: &[u8]) {
    let record = match Record::parse(data) {
        Ok(record) => record,
        Err(error) => {
            assert!(error.offset <= data.len() && error.term.len() <= 80);
            assert!(error.to_string().bytes().all(|octet| (b' '..=b'~').contains(&octet)), "{error}");
            return;
        }
    };
    let printed = record.to_string();
    assert!(printed.bytes().all(|octet| (b' '..=b'~').contains(&octet)), "{printed:?}");
    let again: Record = printed.parse().unwrap_or_else(|error| panic!("{printed}: {error}"));
    assert_eq!(again, record);
    assert_eq!(again.to_string(), printed);
}

/// A macro string expands to the name, and to the text, that a slow and obvious reading of RFC 7208
/// §7.3 gives. The lines of the input are client, HELO name, local part, domain and macro string.
pub fn spf_macro(data: &[u8]) {
    let mut lines = data.splitn(5, |octet| *octet == b'\n');
    let mut line = || String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let (client, hello, local_part, domain, text) = (line(), line(), line(), line(), line());
    // Names come as A-labels.
    let domain = domain.replace(|character: char| !character.is_ascii(), "");
    let client = client.parse().unwrap_or(IpAddr::from([192, 0, 2, 3]));
    let values = Values {
        sender: format!("{local_part}@{domain}"),
        local_part: &local_part,
        sender_domain: domain.clone(),
        domain: domain.clone(),
        client,
        hello: Cow::Borrowed(&hello),
        validated: "unknown".to_owned(),
        receiver: "mx.test",
        now: Timestamp::from_millis(1_795_499_520_250),
    };
    if let Ok(macros) = MacroString::parse(text.as_bytes()) {
        let again = MacroString::parse(macros.to_string().as_bytes());
        assert_eq!(again.as_ref(), Ok(&macros), "{macros}");
        assert_eq!(macros.name(&values), slow_name(&text, &values), "{text}");
    }
    if let Ok(spec) = DomainSpec::parse(text.as_bytes()) {
        assert_eq!(spec.to_string().parse(), Ok(spec.clone()), "{spec}");
        if let Some(name) = spec.name() {
            assert_eq!(Some(name), slow_name(&text, &values).as_ref());
        }
    }
    if let Ok(explanation) = MacroString::parse_explanation(text.as_bytes()) {
        let text = explanation.explanation(&values);
        assert!(text.len() <= 400 && text.bytes().all(|octet| (b' '..=b'~').contains(&octet)), "{text:?}");
    }
}

/// Reads the text octet by octet, expands all of it, and drops labels from a copy.
fn slow_name(text: &str, values: &Values<'_>) -> Option<Name> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        if character != '%' {
            expanded.push(character);
            continue;
        }
        let kind = rest.chars().next()?;
        rest = &rest[1..];
        match kind {
            '%' => expanded.push('%'),
            '_' => expanded.push(' '),
            '-' => expanded.push_str("%20"),
            _ => {
                let (inside, after) = rest.split_once('}')?;
                rest = after;
                expanded.push_str(&slow_macro(inside, values)?);
            }
        }
    }
    let mut kept = expanded.strip_suffix('.').unwrap_or(&expanded);
    while kept.len() > 253 {
        kept = kept.split_once('.')?.1;
    }
    if expanded.is_ascii() { Name::from_labels(kept.split('.').map(str::as_bytes)).ok() } else { None }
}

fn slow_macro(inside: &str, values: &Values<'_>) -> Option<String> {
    let (letter, transformers) = inside.split_at(1);
    let value = match &*letter.to_ascii_lowercase() {
        "s" if values.local_part.is_ascii() => values.sender.clone(),
        "l" if values.local_part.is_ascii() => values.local_part.to_owned(),
        "o" => values.sender_domain.clone(),
        "d" => values.domain.clone(),
        "i" => match values.client {
            IpAddr::V4(client) => client.to_string(),
            IpAddr::V6(client) => {
                let hex = format!("{:032x}", client.to_bits());
                hex.chars().map(String::from).collect::<Vec<_>>().join(".")
            }
        },
        "p" => values.validated.clone(),
        "v" => if values.client.is_ipv4() { "in-addr" } else { "ip6" }.to_owned(),
        "h" if values.hello.is_ascii() => values.hello.clone().into_owned(),
        _ => return None,
    };
    let digits: String = transformers.chars().take_while(char::is_ascii_digit).collect();
    let rest = &transformers[digits.len()..];
    let reverse = rest.starts_with(['r', 'R']);
    let delimiters = if reverse { &rest[1..] } else { rest };
    let delimiters = if delimiters.is_empty() { "." } else { delimiters };
    let mut parts = vec![String::new()];
    for character in value.chars() {
        if delimiters.contains(character) {
            parts.push(String::new());
        } else {
            parts.last_mut()?.push(character);
        }
    }
    if reverse {
        parts.reverse();
    }
    let keep = digits.parse().unwrap_or(usize::MAX);
    while parts.len() > keep {
        parts.remove(0);
    }
    let value = parts.join(".");
    if letter.chars().all(|letter| letter.is_ascii_lowercase()) {
        return Some(value);
    }
    let escaped = value.bytes().map(|octet| match octet {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(octet).to_string(),
        _ => format!("%{octet:02X}"),
    });
    Some(escaped.collect())
}

/// A check against any records ends within its lookups, twice with the same outcome, and says why.
///
/// The first line of the input is client, HELO name and path of MAIL, with spaces between. In each
/// other line the first two characters are the labels of a name below `test` (`-` for none) and the
/// third says what is there: `=` an address, `>` a mail exchange, `<` a name of the client, `!` a
/// lookup of any type that fails; otherwise a text.
pub fn spf_check(data: &[u8]) {
    let mut lines = data.split(|octet| *octet == b'\n');
    let first = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let mut words = first.splitn(3, ' ');
    let client = words.next().and_then(|word| word.parse().ok()).unwrap_or(IpAddr::from([192, 0, 2, 1]));
    let (hello, sender) = (words.next().unwrap_or("a.test"), words.next().unwrap_or("user@a.test"));
    let mut zone = Zone::default();
    for line in lines {
        let [label, below, kind, rest @ ..] = line else {
            continue;
        };
        let Some(name) = name_below_test(&[*label, *below]) else {
            continue;
        };
        let address = std::str::from_utf8(rest).ok().and_then(|text| text.parse().ok());
        match (kind, address) {
            (b'=', Some(IpAddr::V4(address))) => zone.add(name, 60, Data::A(address)),
            (b'=', Some(IpAddr::V6(address))) => zone.add(name, 60, Data::Aaaa(address)),
            (b'=', None) => {}
            (b'>', _) => {
                let exchange = name_below_test(rest).unwrap_or_else(Name::root);
                let preference = u16::try_from(rest.len()).unwrap_or(u16::MAX);
                zone.add(name, 60, Data::Mx(Mx { preference, exchange }));
            }
            (b'<', _) => zone.add(Name::reverse(client), 60, Data::Ptr(name)),
            (b'!', _) => {
                for record_type in [RecordType::A, RecordType::AAAA, RecordType::MX, RecordType::PTR, RecordType::TXT] {
                    zone.failures.insert((name.clone(), record_type), Error::Timeout.into());
                }
            }
            _ => {
                let strings = rest.chunks(255).map(<[u8]>::to_vec).collect();
                zone.add(name, 60, Data::Txt(Txt { strings }));
            }
        }
    }
    let question =
        Question { client, hello, sender, receiver: "mx.test", now: Timestamp::from_millis(1_795_499_520_250) };
    #[allow(clippy::disallowed_methods, reason = "any moment will do: nothing is kept beyond this call")]
    let instant = Instant::now();
    for identity in [Identity::Helo, Identity::MailFrom] {
        // The first record, ten terms of `mx` with ten hosts, and the names of the client and its
        // explanation beside them.
        let most = 1 + 10 * 11 + 11 + 1;
        let records = Records::new(&zone);
        let lookups = records.lookups(instant, Budget { queries: 1000 });
        let trace = ready(explain(&lookups, &question, identity));
        let outcome = &trace.outcome;
        assert!(lookups.asked() <= most, "{} lookups\n{trace}", lookups.asked());
        assert!(trace.terms <= 10 && trace.void_lookups <= 3);
        assert!(trace.steps.iter().all(|step| step.depth <= 10));
        let plain = matches!(
            outcome.result,
            results::Spf::Pass | results::Spf::Fail | results::Spf::SoftFail | results::Spf::Neutral
        );
        assert_eq!(plain, outcome.reason.is_none(), "{trace}");
        assert!(outcome.explanation.is_none() || outcome.result == results::Spf::Fail);
        assert!(trace.to_string().chars().all(|character| character == '\n' || matches!(character, ' '..='~')));

        // What is kept, and who watches, changes nothing.
        let again = records.lookups(instant, Budget { queries: 1000 });
        assert_eq!(&ready(check(&again, &question, identity)), outcome);
        assert_eq!(again.asked(), lookups.asked());

        // A budget ends it, and never makes another result of it than temperror.
        let budget = Budget { queries: lookups.asked() / 2 };
        let cut = ready(check(&records.lookups(instant, budget), &question, identity));
        assert!(cut.result == outcome.result || cut.result == results::Spf::TempError, "{cut:?}\n{trace}");
    }
}

/// The name of these labels of one character each below `test`.
fn name_below_test(labels: &[u8]) -> Option<Name> {
    let labels = labels.iter().filter(|label| **label != b'-').map(std::slice::from_ref);
    Name::from_labels(labels.chain([&b"test"[..]])).ok()
}

/// All answers are there, so that every future is ready at once.
fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a zone never waits"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn the_corpora_are_replayed() {
        type Target = fn(&[u8]);
        let targets: [(&str, Target); 3] = [
            ("mailauth_spf_record", super::spf_record),
            ("mailauth_spf_macro", super::spf_macro),
            ("mailauth_spf_check", super::spf_check),
        ];
        for (name, target) in targets {
            let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
            let seeds: Vec<_> = corpus.read_dir().expect("the corpus").collect();
            assert!(seeds.len() >= 10, "{name}");
            for seed in seeds {
                target(&std::fs::read(seed.expect("a seed").path()).expect("a file"));
            }
        }
    }
}
