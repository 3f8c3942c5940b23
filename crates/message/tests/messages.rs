//! Real and broken messages: their header sections, and the fields that have a grammar.
//!
//! The data is the folder `messages` that `HIKYAKU_CONFORMANCE` names; without that variable
//! nothing is run, and the test command says so.

use std::collections::BTreeMap;
use std::path::Path;

use hikyaku_message::{
    AddressList, Date, DateError, Field, FieldError, Header, HeaderLimits, HeaderScan, MessageId, ReceivedClauses,
    ReturnPath,
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

fn header<'a>(name: &str, message: &'a [u8]) -> Header<'a> {
    Header::parse(message, HeaderLimits::default()).unwrap_or_else(|error| panic!("{name}: {error}"))
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
                let mut scan = HeaderScan::new(HeaderLimits::default());
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
        malformed.extend(header.malformed().map(|malformed| format!("{name}: {malformed}")));
    }
    println!("{}", malformed.join("\n"));
    assert_eq!((fields, malformed.len()), (0, 0));
}

/// What is wrong in a field of a message, if it is listed here.
const MALFORMED: [(&str, &str, &str); 0] = [];

#[test]
fn fields_with_a_grammar() {
    let Some(messages) = messages() else { return };
    let of_field = |error: FieldError| error.to_string();
    let of_date = |error: DateError| error.to_string();
    let (mut seen, mut refused) = (BTreeMap::new(), Vec::new());
    for (name, stored) in &messages {
        let message = with_crlf(stored);
        for field in header(name, &message).fields() {
            let key = String::from_utf8_lossy(field.name()).to_ascii_lowercase();
            let value = field.raw_value();
            let result = match key.as_str() {
                "date" | "resent-date" => Date::parse(value).map(|_| ()).map_err(of_date),
                "from" | "to" | "cc" | "bcc" | "sender" | "reply-to" => {
                    AddressList::parse(value).map(|_| ()).map_err(of_field)
                }
                "message-id" => MessageId::parse(value).map(|_| ()).map_err(of_field),
                "in-reply-to" | "references" => {
                    MessageId::list(value).try_for_each(|id| id.map(|_| ())).map_err(of_field)
                }
                "received" => ReceivedClauses::parse(value).map(|_| ()).map_err(of_field),
                "return-path" => ReturnPath::parse(value).map(|_| ()).map_err(of_field),
                _ => continue,
            };
            *seen.entry(key.clone()).or_insert(0) += 1;
            if let Err(error) = result {
                refused.push((name.clone(), key, format!("{error}: {}", value.escape_ascii())));
            }
        }
    }
    let listed = |(name, key, _): &&(String, String, String)| {
        !MALFORMED.iter().any(|(file, field, _)| file == name && field == key)
    };
    let unlisted: Vec<String> = refused.iter().filter(listed).map(|row| format!("{row:?}")).collect();
    println!("{seen:#?}");
    assert_eq!(unlisted, [""; 0], "{}", unlisted.join("\n"));
    assert_eq!(refused.len(), MALFORMED.len(), "a field is listed that reads well");
}
