//! Zones of JSON that are read, and those that are not.

use super::*;
use crate::{Answer, Presence};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn look(zone: &Zone, of: &str, record_type: RecordType) -> Result<(Presence, Vec<Data>), Error> {
    let Answer { presence, records, .. } = zone.lookup(&name(of), record_type)?;
    Ok((presence, records))
}

#[test]
fn each_type_is_read() {
    let zone = Zone::from_json(
        r#"{"all.test": [
            {"type": "A", "data": "192.0.2.1"},
            {"type": "AAAA", "data": "2001:db8::1"},
            {"type": "MX", "data": [65535, "MX.example.com."]},
            {"type": "MX", "data": [0, ""]},
            {"type": "NS", "data": "ns.test"},
            {"type": "PTR", "data": "host.test"},
            {"type": "SPF", "data": ["v=spf1 ", "-all"]},
            {"type": "SPF", "data": "v=spf1"},
            {"type": "SPF", "data": []},
            {"type": "TXT", "data": ["a\u0000\u00ff", ""]}
        ],
        "alias.test": [{"type": "CNAME", "data": "all.test"}]}"#,
    )
    .unwrap();
    assert_eq!(
        zone.to_string(),
        "alias.test. 3600 IN CNAME all.test.\n\
         all.test. 3600 IN A 192.0.2.1\n\
         all.test. 3600 IN AAAA 2001:db8::1\n\
         all.test. 3600 IN MX 65535 mx.example.com.\n\
         all.test. 3600 IN MX 0 .\n\
         all.test. 3600 IN NS ns.test.\n\
         all.test. 3600 IN PTR host.test.\n\
         all.test. 3600 IN SPF \"v=spf1 \" \"-all\"\n\
         all.test. 3600 IN SPF \"v=spf1\"\n\
         all.test. 3600 IN SPF \"\"\n\
         all.test. 3600 IN TXT \"a\\000\\255\" \"\"\n"
    );
    assert_eq!(zone.to_string().parse(), Ok(zone.clone()));
    let (_, texts) = look(&zone, "alias.test", RecordType::TXT).unwrap();
    assert_eq!(texts.len(), 1, "SPF is no answer to TXT");
}

#[test]
fn a_name_that_is_listed_exists() {
    let zone = r#"{
        "empty.test": [],
        "below.only.test": [{"type": "A", "data": "192.0.2.1"}],
        "spf.test": [{"type": "SPF", "data": "v=spf1"}]
    }"#;
    let zone = Zone::from_json(zone).unwrap();
    for (of, presence) in [
        ("empty.test", Presence::NoData),
        ("only.test", Presence::NoData),
        ("spf.test", Presence::NoData),
        ("absent.test", Presence::NoName),
        ("x.empty.test", Presence::NoName),
    ] {
        assert_eq!(look(&zone, of, RecordType::TXT), Ok((presence, vec![])), "{of}");
    }
}

#[test]
fn failures_are_those_of_a_type_or_of_all_that_are_not_listed() {
    let zone = r#"{
        "slow.test": [{"type": "*", "error": "TIMEOUT"}, {"type": "TXT", "data": ["x"]},
                      {"type": "MX", "error": "NXDOMAIN"}, {"type": "AAAA", "error": "SERVFAIL"}],
        "gone.test": [{"type": "*", "error": "NXDOMAIN"}],
        "one.test": [{"type": "TXT", "error": "TIMEOUT"}],
        "alias.test": [{"type": "CNAME", "data": "slow.test"}],
        "other.test": [{"type": "CNAME", "data": "slow.test"}, {"type": "*", "error": "SERVFAIL"}]
    }"#;
    let zone = Zone::from_json(zone.as_bytes()).unwrap();
    let txt = || (Presence::Found, vec![Data::Txt("x".into())]);
    let without = |presence| (presence, vec![]);
    for (of, record_type, expected) in [
        ("slow.test", RecordType::TXT, Ok(txt())),
        ("slow.test", RecordType::A, Err(Error::Timeout)),
        ("slow.test", RecordType::AAAA, Err(Error::ServerFailure)),
        ("slow.test", RecordType::MX, Ok(without(Presence::NoName))),
        ("gone.test", RecordType::MX, Ok(without(Presence::NoName))),
        ("one.test", RecordType::TXT, Err(Error::Timeout)),
        ("one.test", RecordType::A, Ok(without(Presence::NoData))),
        ("alias.test", RecordType::TXT, Ok(txt())),
        ("alias.test", RecordType::A, Err(Error::Timeout)),
        ("other.test", RecordType::TXT, Err(Error::ServerFailure)),
    ] {
        assert_eq!(look(&zone, of, record_type), expected, "{of} {record_type}");
    }
}

/// What no server can answer is no reason to answer nothing at all.
#[test]
fn names_that_cannot_be_asked_for_are_left_out() {
    let (label, long) = ("x".repeat(64), ["x".repeat(63).as_str(); 4].join("."));
    let (fits, longest) = ("x".repeat(63), format!("{}.y", &long[..251]));
    let zone = format!(
        r#"{{
        "{label}.test": [{{"nothing": "of this is looked at"}}],
        "a..test": [], ".test": [], "..": [], "{long}": [], "{longest}": [], "{fits}.test": [],
        "": [{{"type": "A", "data": "192.0.2.1"}}],
        "space and%.A.test": [{{"type": "A", "data": "192.0.2.2"}}],
        "_dmarc.b\u00fccher.test": [{{"type": "A", "data": "192.0.2.3"}}],
        "\u2f24.test": [], "a\u3002b.test": [],
        "to.test": [{{"type": "CNAME", "data": "a..b"}}, {{"type": "MX", "data": [1, "{label}"]}}]
    }}"#
    );
    let zone = Zone::from_json(zone).unwrap();
    let mut names: Vec<String> = zone.records.keys().map(Name::to_string).collect();
    names.sort();
    let mut expected =
        [".", r"space\032and%.a.test", "_dmarc.xn--bcher-kva.test", "to.test"].map(str::to_owned).to_vec();
    expected.push(Name::from_domain("\u{5927}.test").unwrap().to_string());
    expected.extend([longest, format!("{fits}.test")]);
    expected.sort();
    assert_eq!(names, expected);
    assert_eq!(look(&zone, "to.test", RecordType::MX), Ok((Presence::NoData, vec![])));
}

#[test]
fn names_that_differ_in_case_are_one_name() {
    let zone = r#"{"A.test": [{"type": "A", "data": "192.0.2.1"}], "a.TEST.": [{"type": "A", "data": "192.0.2.2"}]}"#;
    let zone = Zone::from_json(zone).unwrap();
    assert_eq!(look(&zone, "a.test", RecordType::A).unwrap().1.len(), 2);
}

#[test]
fn long_strings_are_cut() {
    for (length, strings) in [(255, vec![255]), (256, vec![255, 1]), (600, vec![255, 255, 90])] {
        let zone = format!(r#"{{"k.test": [{{"type": "TXT", "data": ["{}"]}}]}}"#, "\u{e9}".repeat(length));
        let zone = Zone::from_json(zone).unwrap();
        let Data::Txt(txt) = &zone.records[&name("k.test")][0].data else { panic!("no text") };
        assert_eq!(txt.strings.iter().map(Vec::len).collect::<Vec<_>>(), strings);
        assert!(txt.concat().iter().all(|octet| *octet == 0xe9));
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let record = |record: &str| format!("{{\n\"x.test\": [{{\"type\":\"A\",\"data\":\"192.0.2.1\"}},\n{record}]}}");
    for (text, line, column, reason) in [
        ("", 1, 0, "EOF while parsing a value"),
        ("{\"a\":\n[}", 2, 2, "expected value"),
        ("{} x", 1, 4, "trailing characters"),
        ("[]", 1, 0, "invalid type: sequence, expected an object with a list of records for each name"),
        ("{\n\"a\": {}}", 2, 5, "invalid type: map, expected the list of the records of \"a\""),
        (&*record("7"), 3, 2, "\"x.test\", record 2: no \"type\", which is a text"),
        (&*record("{\"type\":\"A\"}"), 3, 13, "\"x.test\", record 2: neither \"data\" nor \"error\""),
        (
            &*record("{\"type\":\"A\",\"data\":\"x\",\"error\":\"TIMEOUT\"}"),
            3,
            42,
            "\"x.test\", record 2: both \"data\" and \"error\"",
        ),
    ] {
        let expected = ZoneJsonError { line, column, reason: reason.to_owned() };
        assert_eq!(Zone::from_json(text), Err(expected), "{text}");
    }
    for (text, reason) in [
        (r#""type":"A","data":"192.0.2""#, "\"data\" is not an IPv4 address"),
        (r#""type":"A","data":7"#, "\"data\" is not an IPv4 address"),
        (r#""type":"AAAA","data":"192.0.2.1""#, "\"data\" is not an IPv6 address"),
        (r#""type":"CNAME","data":["a"]"#, "\"data\" is not a name"),
        (r#""type":"MX","data":"mx.test""#, "\"data\" is not [preference, \"host\"]"),
        (r#""type":"MX","data":[65536,"mx.test"]"#, "\"data\" is not [preference, \"host\"]"),
        (r#""type":"MX","data":[-1,"mx.test"]"#, "\"data\" is not [preference, \"host\"]"),
        (r#""type":"MX","data":[1,"mx.test",2]"#, "\"data\" is not [preference, \"host\"]"),
        (r#""type":"TXT","data":["a",1]"#, "\"data\" is not a list of texts"),
        (r#""type":"TXT","data":["\u0100"]"#, "\"data\" holds a character that is no octet (above U+00FF)"),
        (r#""type":"CAA","data":"x""#, "\"type\" is none of A, AAAA, CNAME, MX, NS, PTR, SPF, TXT"),
        (r#""type":"CAA","error":"TIMEOUT""#, "\"type\" is neither * nor a record type"),
        (r#""type":"A","error":"REFUSED""#, "\"error\" is none of TIMEOUT, SERVFAIL, NXDOMAIN"),
        (r#""type":"A","error":1"#, "\"error\" is none of TIMEOUT, SERVFAIL, NXDOMAIN"),
    ] {
        let error = Zone::from_json(record(&format!("{{{text}}}"))).unwrap_err();
        assert_eq!((error.line, &*error.reason), (3, &*format!("\"x.test\", record 2: {reason}")), "{text}");
    }
    let error = Zone::from_json("{").unwrap_err();
    assert_eq!(error.to_string(), "line 1, column 1: EOF while parsing an object");
}
