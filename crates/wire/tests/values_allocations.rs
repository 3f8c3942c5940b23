//! Reading the small nouns takes nothing from the heap, whether it succeeds or fails.

use allocation_counter::{AllocationInfo, measure};
use hikyaku_wire::{
    DeliverBy, EnvelopeId, HoldFor, HoldUntil, Notify, OriginalRecipient, Priority, ProxyHeader, Ret, Utf8Address,
    XClient, Xtext,
};

fn allocations(run: impl FnOnce()) -> u64 {
    let info: AllocationInfo = measure(run);
    info.count_total
}

/// Each text is read well and badly (with a control character behind it).
fn none_for<V, E>(name: &str, text: &str, parse: impl Fn(&str) -> Result<V, E>) {
    let broken = format!("{text}\r");
    assert_eq!(allocations(|| assert!(parse(text).is_ok(), "{name}: {text}")), 0, "{name}: {text}");
    assert_eq!(allocations(|| assert!(parse(&broken).is_err(), "{name}: {broken}")), 0, "{name}: {broken}");
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Xtext::encode("a+b =")))), 1);
    assert_eq!(allocations(|| assert_eq!(std::hint::black_box(Xtext::parse("a+2Bb").unwrap().decode()).len(), 3)), 1);
}

#[test]
fn parameter_values() {
    none_for("xtext", "a+2Bb@example.org", |t| Xtext::parse(t).map(drop));
    none_for("utf-8 address", "j\\x{FC}rg@exämple.org", |t| Utf8Address::parse(t).map(drop));
    none_for("RET", "HDRS", Ret::parse);
    none_for("ENVID", "QQ+2B314159", |t| EnvelopeId::parse(t).map(drop));
    none_for("NOTIFY", "SUCCESS,FAILURE,DELAY", Notify::parse);
    none_for("ORCPT", "rfc822;a+2Bb@example.org", |t| OriginalRecipient::parse(t).map(drop));
    none_for("ORCPT", "utf-8;j\\x{FC}rg@exämple.org", |t| OriginalRecipient::parse(t).map(drop));
    none_for("HOLDFOR", "3600", HoldFor::parse);
    none_for("HOLDUNTIL", "2026-11-24T06:52:00.5+01:00", |t| HoldUntil::parse(t).map(drop));
    none_for("BY", "-120;NT", DeliverBy::parse);
    none_for("MT-PRIORITY", "-9", Priority::parse);
}

#[test]
fn what_is_not_escaped_is_not_copied() {
    let id = EnvelopeId::parse("QQ314159").unwrap();
    let original = OriginalRecipient::parse("rfc822;bob@example.org").unwrap();
    let unitext = OriginalRecipient::parse("utf-8;jürg@exämple.org").unwrap();
    let decode = || {
        assert_eq!(id.decode(), "QQ314159");
        assert_eq!(original.decode(), "bob@example.org");
        assert_eq!(unitext.decode(), "jürg@exämple.org");
    };
    assert_eq!(allocations(decode), 0);
}

#[test]
fn xclient() {
    let text = "NAME=spike.porcupine.org ADDR=IPV6+3A2001:db8::1 PORT=+325 PROTO=ESMTP HELO=a+20b LOGIN=[UNAVAILABLE] \
                DESTADDR=192.0.2.1 DESTPORT=25 X-NEW=1";
    none_for("XCLIENT", text, |t| XClient::parse(t).map(|client| assert_eq!(client.attributes().count(), 9)));
}

#[test]
fn proxy() {
    let mut checked = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x54\xac\x1f\x07\x71\xac\x1f\x0a\x1f\xc8\xf2\x00\x50\x03\x00\x04\xe8\xd6\x89\x2d\xea\x00\x17\x01vpce-08d2bf15fac5001c9\x04\x00\x24".to_vec();
    checked.resize(100, 0);
    let line = b"PROXY TCP6 2001:db8::1 ::1 56324 25\r\n".to_vec();
    for (input, tlvs) in [(checked, 3), (line, 0)] {
        let read = || {
            for end in 0..input.len() {
                assert_eq!(ProxyHeader::parse(&input[..end], ProxyHeader::LIMIT), Ok(None));
            }
            let (header, length) = ProxyHeader::parse(&input, ProxyHeader::LIMIT).unwrap().unwrap();
            assert_eq!((length, header.tlvs().count()), (input.len(), tlvs));
        };
        assert_eq!(allocations(read), 0);
    }
}

#[cfg(feature = "sasl")]
#[test]
fn sasl() {
    use hikyaku_wire::{AuthResponse, Base64, Challenge, InitialResponse};
    none_for("AUTH", "AGEAYg==", |t| InitialResponse::parse(t).map(drop));
    none_for("response", "AGEAYg==", |t| AuthResponse::parse(t).map(drop));
    none_for("334", "334 AGEAYg==", |t| Challenge::parse(t).map(drop));
    let base64 = Base64::parse("AGEAYg==").unwrap();
    assert_eq!(allocations(|| assert_eq!(base64.decode_into(&mut [0; 4]), Some(&b"\0a\0b"[..]))), 0);
    assert_eq!(allocations(|| assert_eq!(std::hint::black_box(base64.decode()).len(), 4)), 1);
}
