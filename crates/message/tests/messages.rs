//! Real and broken messages: their header sections, and the fields that have a grammar.
//!
//! The data is the folder `messages` that `HIKYAKU_CONFORMANCE` names; without that variable
//! nothing is run, and the test command says so.

use std::collections::BTreeMap;
use std::path::Path;

use hikyaku_message::{
    AddressList, Ambiguity, Date, DateError, Field, FieldError, Header, HeaderLimits, HeaderScan, Malformed, MessageId,
    ReceivedClauses, ReturnPath,
};

/// Name and octets of each message, as stored.
fn messages() -> Option<Vec<(String, Vec<u8>)>> {
    let Some(folder) = std::env::var_os("HIKYAKU_CONFORMANCE") else {
        println!("the suite `messages` was not run: HIKYAKU_CONFORMANCE is not set");
        return None;
    };
    let folder = Path::new(&folder);
    let list = folder.join("messages/messages.jsonl");
    let text = std::fs::read_to_string(&list).unwrap_or_else(|error| panic!("{}: {error}", list.display()));
    let message = |line: &str| {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let name = row["file"].as_str().unwrap();
        let file = folder.join(name);
        let content = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert_eq!(row["bytes"], content.len(), "{name}");
        (name.strip_prefix("messages/files/").unwrap().to_owned(), content)
    };
    Some(text.lines().map(message).collect())
}

/// The line ends as a client sends them: each LF becomes CR LF.
fn with_crlf(stored: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(stored.len());
    for &octet in stored {
        if octet == b'\n' && message.last() != Some(&b'\r') {
            message.push(b'\r');
        }
        message.push(octet);
    }
    message
}

/// Without CR LF, as many are stored, a whole message may be one field.
const LIMITS: HeaderLimits = HeaderLimits { octets: u64::MAX, fields: 1000, hops: 100 };

fn header<'a>(name: &str, message: &'a [u8]) -> Header<'a> {
    Header::parse(message, LIMITS).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn fields_are_the_octets_for_every_split() {
    let Some(messages) = messages() else { return };
    assert_eq!(messages.len(), 120);
    let (mut fields, mut malformed) = (0, Vec::new());
    for (name, stored) in &messages {
        for message in [stored.clone(), with_crlf(stored)] {
            let header = header(name, &message);
            let found: Vec<Field<'_>> = header.fields().collect();
            let octets = header.octets();
            let span = header.span();
            let inside: Vec<u8> = found.iter().flat_map(|field| field.octets().to_vec()).collect();
            assert_eq!([&octets[..span.start], &inside, &octets[span.end..]].concat(), octets, "{name}");
            assert_eq!(octets, &message[..octets.len()], "{name}");
            let mut from_below: Vec<Field<'_>> = header.fields().rev().collect();
            from_below.reverse();
            assert_eq!(from_below, found, "{name}");
            for step in [1, 2, 3, 7, 64, 1000] {
                let mut scan = HeaderScan::new(LIMITS);
                let mut spans = Vec::new();
                for piece in message.chunks(step) {
                    scan.push_each(piece, |span| spans.push(span));
                }
                spans.extend(scan.finish());
                let split: Vec<_> = spans.iter().map(|span| span.field(octets).unwrap()).collect();
                assert_eq!(split, found, "{name} in pieces of {step}");
                assert_eq!(scan.malformed(), header.malformed(), "{name} in pieces of {step}");
                assert_eq!(scan.octets(), octets.len() as u64, "{name} in pieces of {step}");
            }
        }
        let message = with_crlf(stored);
        let header = header(name, &message);
        fields += header.fields().count();
        if let Some(found) = header.malformed() {
            println!("{name}: {found}");
            malformed.push((name.as_str(), found));
        }
    }
    assert_eq!(fields, 840);
    assert_eq!(malformed, MALFORMED);
}

/// The sections in which two readers may see different fields (RFC 5322 §2.2).
const MALFORMED: [(&str, Malformed); 7] = [
    ("mail-parser-crate/malformed__023.eml", Malformed::NoColon),
    ("mail-parser-crate/regressions__header-block-edge-cases.eml", Malformed::BadName),
    ("mail-parser-crate/regressions__header-name-blanks-before-colon.eml", Malformed::SpaceBeforeColon),
    ("mail-parser-crate/regressions__header-name-colons-and-blanks.eml", Malformed::EmptyName),
    ("mail-parser-crate/regressions__header-name-leading-colon.eml", Malformed::EmptyName),
    ("mail-parser-crate/regressions__header-name-nul.eml", Malformed::BadName),
    ("pypi-mail-parser/mail_outlook_1", Malformed::NoColon),
];

/// The fields that are refused: the message, the field, and what is wrong there.
const REFUSED: [(&str, &str, &str); 4] = [
    // A group is followed by a mailbox without a comma: `address-list = (address *("," address))`.
    ("mail-parser-crate/issues__98-group-first.eml", "to", "Unexpected at 22"),
    // An address without a domain: `addr-spec = local-part "@" domain`.
    ("mail-parser-crate/thirdparty__007.eml", "from", "NoDomain at 20"),
    // An address without brackets: `path = angle-addr / ([CFWS] "<" [CFWS] ">" [CFWS])`.
    ("pypi-mail-parser/mail_test_17", "return-path", "Unexpected at 1"),
    // Two semicolons: `received = "Received:" [1*received-token / CFWS] ";" date-time CRLF`.
    ("pypi-mail-parser/mail_test_8", "received", "Date at 152"),
];

#[test]
fn fields_with_a_grammar() {
    let Some(messages) = messages() else { return };
    let of_field = |error: FieldError| format!("{:?} at {}", error.kind, error.at);
    let of_date = |error: DateError| format!("Date at {}", error.at);
    let mut seen = BTreeMap::<&str, usize>::new();
    let (mut refused, mut ambiguous) = (Vec::new(), Vec::new());
    for (name, stored) in &messages {
        let message = with_crlf(stored);
        for field in header(name, &message).fields() {
            let Some(key) = KEYS.into_iter().find(|key| field.is(key)) else { continue };
            let value = field.raw_value();
            let result = match key {
                "date" => Date::parse(value).map(|_| ()).map_err(of_date),
                "from" | "to" | "cc" | "sender" | "reply-to" => {
                    let list = AddressList::parse(value);
                    let found = list.as_ref().ok().and_then(AddressList::ambiguity);
                    ambiguous.extend(found.map(|ambiguity| (name.as_str(), key, ambiguity)));
                    list.map(|_| ()).map_err(of_field)
                }
                "message-id" => MessageId::parse(value).map(|_| ()).map_err(of_field),
                "in-reply-to" => MessageId::list(value).try_for_each(|id| id.map(|_| ())).map_err(of_field),
                "received" => ReceivedClauses::parse(value).map(|_| ()).map_err(of_field),
                _ => ReturnPath::parse(value).map(|_| ()).map_err(of_field),
            };
            *seen.entry(key).or_default() += 1;
            if let Err(error) = result {
                println!("{name}: {key}: {error}: {}", value.escape_ascii());
                refused.push((name.as_str(), key, error));
            }
        }
    }
    let expected = [2, 56, 74, 1, 45, 76, 8, 19, 1, 61];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), KEYS.into_iter().zip(expected).collect::<Vec<_>>());
    let refused: Vec<_> = refused.iter().map(|(name, key, error)| (*name, *key, error.as_str())).collect();
    assert_eq!(refused, REFUSED);
    assert_eq!(ambiguous, AMBIGUOUS);
}

/// The address lists that another program may read in another way.
const AMBIGUOUS: [(&str, &str, Ambiguity); 4] = [
    ("pypi-mail-parser/mail_test_15", "from", Ambiguity::UnquotedName),
    ("pypi-mail-parser/mail_test_19", "from", Ambiguity::UnquotedName),
    ("pypi-mail-parser/mail_test_19", "cc", Ambiguity::UnquotedName),
    ("pypi-mail-parser/mail_test_19", "reply-to", Ambiguity::UnquotedName),
];

/// The fields that have a grammar, in order.
const KEYS: [&str; 10] =
    ["cc", "date", "from", "in-reply-to", "message-id", "received", "reply-to", "return-path", "sender", "to"];
