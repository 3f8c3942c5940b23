//! Targets of the small nouns: encodings, parameter values, XCLIENT, AUTH's lines, PROXY.

use std::fmt::Debug;

use bytes::BytesMut;

use crate::{
    AuthParam, ByMode, DeliverBy, EnvelopeId, HoldFor, HoldUntil, Mailbox, Notify, OriginalRecipient, Priority,
    ProxyHeader, Ret, Timestamp, Utf8Address, ValueError, XClient, Xtext,
};

/// Any text, as encoded and as content, in both encodings: what parses prints the same and stands
/// for nothing that could end a line; what can be encoded decodes to the same.
pub fn xtext(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Xtext::parse(text) {
        Ok(xtext) => {
            let content = xtext.decode();
            assert!(content.bytes().all(|b| (32..=126).contains(&b)), "{text}");
            assert_eq!(xtext.to_string(), text);
            assert_eq!(Xtext::encode(&content).map(|again| again.decode().into_owned()), Ok(content.into_owned()));
        }
        Err(error) => assert!(error.at <= text.len()),
    }
    match Utf8Address::parse(text) {
        Ok(address) => {
            let content = address.decode();
            assert!(!content.is_empty() && !content.contains(char::is_control), "{text}");
            assert_eq!((address.to_string().as_str(), address.is_xtext()), (text, text.is_ascii()));
            let ascii = Utf8Address::encode_xtext(&content).expect("what was decoded has no control character");
            let unitext = Utf8Address::encode_unitext(&content).expect("what was decoded has no control character");
            assert!(ascii.is_xtext() && ascii.decode() == content && unitext.decode() == content);
        }
        Err(error) => assert!(error.at <= text.len()),
    }
    if let Ok(xtext) = Xtext::encode(text) {
        assert_eq!(Xtext::parse(xtext.as_str()).map(|again| again.decode() == text), Ok(true));
    }
    for address in [Utf8Address::encode_xtext(text), Utf8Address::encode_unitext(text)].into_iter().flatten() {
        assert_eq!(Utf8Address::parse(address.as_str()).map(|again| again.decode() == text), Ok(true));
    }
}

/// Any text as the value of each parameter: what parses prints to what parses to the same, and
/// nothing of it could end a line. Then the octets as a value that is made, printed and parsed.
pub fn esmtp(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        reads(text, Ret::parse, |value: &Ret| value.to_string());
        reads(text, str::parse, EnvelopeId::to_string);
        reads(text, Notify::parse, Notify::to_string);
        reads(text, str::parse, OriginalRecipient::to_string);
        reads(text, str::parse, AuthParam::to_string);
        reads(text, HoldFor::parse, HoldFor::to_string);
        reads(text, str::parse, HoldUntil::to_string);
        reads(text, DeliverBy::parse, DeliverBy::to_string);
        reads(text, Priority::parse, Priority::to_string);
        if let Ok(original) = OriginalRecipient::parse(text) {
            assert!(!original.decode().contains(char::is_control));
            if let Ok(ascii) = original.to_ascii() {
                assert!(ascii.is_ascii() && ascii.decode() == original.decode());
            }
        }
    }
    structured(data);
}

fn reads<V: PartialEq + Debug>(
    text: &str,
    parse: impl Fn(&str) -> Result<V, ValueError>,
    print: impl Fn(&V) -> String,
) {
    match parse(text) {
        Ok(value) => {
            let printed = print(&value);
            assert!(!printed.contains(|c: char| c.is_control() || c == ' ' || c == '='), "{printed}");
            assert_eq!(parse(&printed), Ok(value), "{printed}");
        }
        Err(error) => {
            assert!(error.at <= text.len(), "{error:?}");
            assert!(error.reply().is_permanent());
        }
    }
}

fn structured(data: &[u8]) {
    let Some((&[a, b, c, d, e, f, g, h], rest)) = data.split_first_chunk() else { return };
    let bit = |n: u8| a & n != 0;
    if let Some(notify) = Notify::new(bit(1), bit(2), bit(4)) {
        assert_eq!(Notify::parse(&notify.to_string()), Ok(notify));
    }
    let mode = if bit(8) { ByMode::Return } else { ByMode::Notify };
    if let Some(by) = DeliverBy::new(i32::from_be_bytes([b, c, d, e]), mode, bit(16)) {
        assert_eq!(DeliverBy::parse(&by.to_string()), Ok(by));
    }
    if let Some(hold) = HoldFor::new(u32::from_be_bytes([b, c, d, e])) {
        assert_eq!(HoldFor::parse(&hold.to_string()), Ok(hold));
    }
    if let Some(priority) = Priority::new(b.cast_signed()) {
        assert_eq!(Priority::parse(&priority.to_string()), Ok(priority));
    }
    let moment = Timestamp::from_millis(i64::from_be_bytes([0, b, c, d, e, f, g, h]) >> (a & 7));
    if let Some(until) = HoldUntil::new(moment) {
        assert_eq!(HoldUntil::parse(until.as_str()).map(|again| again.timestamp()), Ok(moment));
    }
    let Ok(text) = std::str::from_utf8(rest) else { return };
    if let Ok(id) = EnvelopeId::encode(text) {
        assert_eq!(EnvelopeId::parse(id.as_str()).map(|again| again.decode() == text), Ok(true));
    }
    let (kind, content) = text.split_once(';').unwrap_or(("utf-8", text));
    let encoded = [OriginalRecipient::encode(kind, content), OriginalRecipient::encode_unitext(content)];
    for original in encoded.into_iter().flatten() {
        assert_eq!(OriginalRecipient::parse(original.as_str()).map(|again| again.decode() == content), Ok(true));
    }
    if let Ok(mailbox) = text.parse::<Mailbox>()
        && let Ok(auth) = AuthParam::encode(&mailbox)
    {
        assert_eq!(AuthParam::parse(auth.as_str()).map(|again| again == auth), Ok(true));
        assert_eq!(auth.mailbox().map(|content| content.parse()), Some(Ok(mailbox)));
    }
}

/// Any text as the argument of XCLIENT: what parses prints the same, and its attributes put
/// together mean the same.
pub fn xclient(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match XClient::parse(text) {
        Ok(client) => {
            assert_eq!(client.to_string(), text);
            assert!(!text.contains(char::is_control));
            let attributes: Vec<_> = client.attributes().collect();
            assert_eq!(attributes.len(), text.split(' ').count());
            let made = XClient::new(&attributes).expect("attributes that were read can be put together");
            assert_eq!(made.attributes().collect::<Vec<_>>(), attributes);
        }
        Err(error) => {
            assert!(error.at <= text.len());
            assert!(error.reply().is_permanent());
        }
    }
}

/// Any text as each line of AUTH, and any octets encoded: one text for the same octets, both ways,
/// and nothing of it is printed by `Debug`.
#[cfg(feature = "sasl")]
pub fn sasl(data: &[u8]) {
    use crate::{AuthResponse, Base64, Challenge, InitialResponse};
    if let Ok(base64) = Base64::encode(data) {
        assert_eq!(Base64::parse(base64.as_str()).map(|again| again.decode() == data), Ok(true));
        assert_eq!(base64.decoded_len(), data.len());
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Base64::parse(text) {
        Ok(base64) => {
            let octets = base64.decode();
            assert_eq!(Base64::encode(&octets).map(|again| again == base64), Ok(true));
            let mut buffer = vec![0; octets.len()];
            assert_eq!(base64.decode_into(&mut buffer), Some(&octets[..]));
            assert!(octets.is_empty() || base64.decode_into(&mut buffer[1..]).is_none());
            assert_eq!(format!("{base64:?}"), "Base64 { .. }");
        }
        Err(error) => assert!(error.at <= text.len() && error.reply().is_permanent()),
    }
    if let Ok(response) = InitialResponse::parse(text) {
        assert_eq!(response.to_string(), text);
    }
    if let Ok(response) = AuthResponse::parse(text) {
        assert_eq!(response.to_string(), text);
    }
    if let Ok(challenge) = Challenge::parse(text) {
        assert_eq!(Challenge::parse(&challenge.to_string()), Ok(challenge));
        assert_eq!(challenge.to_string().trim_end(), text.trim_end());
    }
}

/// Any octets at the start of a connection: the same answer at every split, and what is read is
/// written, in both versions, as what reads the same.
pub fn proxy(data: &[u8]) {
    let whole = ProxyHeader::parse(data, ProxyHeader::LIMIT);
    if let Err(error) = whole {
        assert!(error.at <= data.len());
    }
    let mut decided = false;
    for end in 0..=data.len().min(ProxyHeader::LIMIT + 1) {
        let part = ProxyHeader::parse(&data[..end], ProxyHeader::LIMIT);
        assert!(part == whole || (part == Ok(None) && !decided), "{end}");
        decided |= part != Ok(None);
    }
    let Ok(Some((header, length))) = whole else { return };
    assert!(length <= data.len() && length <= ProxyHeader::LIMIT);
    let mut written = BytesMut::new();
    header.write_v2(&mut written);
    assert_eq!(ProxyHeader::parse(&written, ProxyHeader::LIMIT), Ok(Some((header, written.len()))));
    written.clear();
    header.write_v1(&mut written);
    let line = ProxyHeader::parse(&written, ProxyHeader::LIMIT);
    let client = line.map(|read| read.map(|(again, length)| (again.client(), length)));
    assert_eq!(client, Ok(Some((header.client(), written.len()))));
}
