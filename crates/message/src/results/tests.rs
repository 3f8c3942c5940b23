use super::*;
use crate::{HeaderLimits, HeaderScan};
use proptest::prelude::*;

fn read(text: &str) -> Result<AuthenticationResults, ResultsError> {
    text.parse()
}

fn printed(text: &str) -> String {
    read(text).unwrap_or_else(|error| panic!("{text:?}: {error}")).to_string()
}

/// The field, read again, is what was printed: one field, with the lines that RFC 5322 allows.
fn assert_field(field: &str, results: &AuthenticationResults) {
    let mut scan = HeaderScan::new(HeaderLimits::default());
    scan.push(field.as_bytes());
    assert_eq!((scan.fields(), scan.malformed(), scan.is_done()), (1, None, false), "{field:?}");
    assert!(field.ends_with("\r\n") && field.split("\r\n").all(|line| line.len() <= 998), "{field:?}");
    let value = field.strip_prefix("Authentication-Results:").unwrap();
    assert_eq!(read(value).as_ref(), Ok(results), "{field:?}");
}

#[test]
fn forms_that_are_read() {
    let cases = [
        ("example.org; none", "example.org; none"),
        (" example.org 1 ; NONE (nothing) ;\r\n", "example.org 1; none"),
        ("\"example org\"; none", "\"example org\"; none"),
        ("(a (b) \\) c) example.org\t(d)12(e);none", "example.org 12; none"),
        ("example.com; dkim=none ", "example.com; dkim=none"),
        ("example.com; spf=pass smtp.mailfrom=example.net;", "example.com; spf=pass smtp.mailfrom=example.net"),
        (
            "example.com;\r\n\tdkim/1 = pass (good) reason = \"because (so)\" header.d\r\n =\r\n a.test header . i=@a.test",
            "example.com; dkim/1=pass reason=\"because (so)\" header.d=a.test header.i=@a.test",
        ),
        ("a.test; spf=pass smtp.mailfrom=\"a b\"@c.test", "a.test; spf=pass smtp.mailfrom=\"\\\"a b\\\"@c.test\""),
        (
            "a.test; spf=pass smtp.mailfrom=\"a\\\"\r\n b\"@c.test",
            "a.test; spf=pass smtp.mailfrom=\"\\\"a\\\\\\\" b\\\"@c.test\"",
        ),
        ("a.test; x=y p.q=\"a\\\\b\r\n\tc\"", "a.test; x=y p.q=\"a\\\\b\tc\""),
        ("a.test; iprev=pass policy.iprev=2001:db8::1", "a.test; iprev=pass policy.iprev=\"2001:db8::1\""),
        (
            "a.test; dmarc=pass (p=none) action=none header.from=b.test",
            "a.test; dmarc=pass action=none header.from=b.test",
        ),
        ("a.test; compauth=pass reason=109", "a.test; compauth=pass reason=109"),
        ("a.test; dkim=fail header.d=b.test reason=\"bad\"", "a.test; dkim=fail reason=bad header.d=b.test"),
        ("a.test; dkim=perm_fail header.b=\"AB/c+=\"", "a.test; dkim=perm_fail header.b=\"AB/c+=\""),
        ("a.test; dmarc=pass(x)header.from=b", "a.test; dmarc=pass header.from=b"),
        ("ü.test; spf=pass smtp.mailfrom=ü@ü.test", "\"ü.test\"; spf=pass smtp.mailfrom=\"ü@ü.test\""),
        ("a.test; new-method/7=odd new.thing=\"\"", "a.test; new-method/7=odd new.thing=\"\""),
        ("a.test; none=pass", "a.test; none=pass"),
    ];
    for (text, expected) in cases {
        assert_eq!(printed(text), expected, "{text:?}");
        assert_eq!(printed(expected), expected);
    }
}

#[test]
fn forms_that_are_refused() {
    use ResultsErrorKind as Kind;
    let deep = format!("{}a{}a.test; none", "(".repeat(33), ")".repeat(33));
    let long = format!("a.test; {}=pass", "m".repeat(65));
    let wide = format!("a.test; spf=pass p.q={}", "v".repeat(799));
    let huge = format!("a.test; none{}", " ".repeat(64 * 1024));
    let cases = [
        ("", Kind::Value, 0),
        ("; none", Kind::Value, 0),
        ("\"\"; none", Kind::Value, 0),
        ("a.test", Kind::NoResult, 6),
        ("a.test;", Kind::Keyword, 7),
        ("a.test;;none", Kind::Keyword, 7),
        ("a.test none", Kind::Unexpected, 7),
        ("a.test 1x; none", Kind::Unexpected, 8),
        ("a.test 1234567890; none", Kind::Version, 7),
        ("\"a.test\"1; none", Kind::Unexpected, 8),
        ("spf=pass; none", Kind::Unexpected, 3),
        ("a.test; none; none", Kind::Unexpected, 14),
        ("a.test; none; spf=pass", Kind::Unexpected, 14),
        ("a.test; spf=pass; none", Kind::Unexpected, 18),
        ("a.test; none x", Kind::Unexpected, 13),
        ("a.test; spf", Kind::Unexpected, 11),
        ("a.test; spf=", Kind::Keyword, 12),
        ("a.test; spf-=pass", Kind::Keyword, 12),
        ("a.test; spf/=pass", Kind::Version, 12),
        ("a.test; spf=pass x", Kind::Unexpected, 18),
        ("a.test; spf=pass x.=y", Kind::Keyword, 19),
        ("a.test; spf=pass x.y=", Kind::Value, 21),
        ("a.test; spf=pass x.y=a\"b\"", Kind::Unexpected, 22),
        ("a.test; spf=pass x.y=a\\b", Kind::Unexpected, 22),
        ("a.test; spf=pass reason=a reason=b", Kind::Unexpected, 26),
        ("a.test; spf=pass (x", Kind::Unterminated, 19),
        ("a.test; spf=pass (\\", Kind::Unterminated, 19),
        ("a.test; spf=pass reason=\"x", Kind::Unterminated, 26),
        ("a.test; spf=pass reason=\"x\\", Kind::Unterminated, 27),
        ("a.test; spf=pass\r\nreason=x", Kind::Control, 16),
        ("a.test; spf=pass\n reason=x", Kind::Unexpected, 16),
        ("a.test; spf=pass (\0)", Kind::Control, 18),
        ("a.test; spf=pass p.q=\"\0\"", Kind::Control, 22),
        ("a.test; spf=pass p.q=\"\r\"", Kind::Control, 22),
        ("a.test; spf=pass p.q=\"\u{85}\"", Kind::Control, 22),
        ("a.test; spf=pass p.q=x\u{85}y", Kind::Control, 22),
        (&deep, Kind::Nesting, 32),
        (&long, Kind::TooLong, 8 + 64),
        (&wide, Kind::TooLong, 21),
        (&huge, Kind::TooLong, 64 * 1024),
    ];
    for (text, kind, at) in cases {
        let shown = &text[..text.len().min(60)];
        assert_eq!(read(text), Err(ResultsError { kind, at }), "{shown:?}");
    }
    let not_utf8 = AuthenticationResults::parse(b"a.test; spf=pass (\xff)").unwrap_err();
    assert_eq!(not_utf8, ResultsError { kind: Kind::NotUtf8, at: 18 });
    assert_eq!(not_utf8.to_string(), "text that is not UTF-8, at octet 18 of the authentication results");
}

/// The limits themselves are within them.
#[test]
fn limits_are_reached() {
    let deep = format!("{}a{}a.test; none", "(".repeat(32), ")".repeat(32));
    let long = format!("a.test; {}=pass", "m".repeat(64));
    let wide = format!("a.test; spf=pass p.q={}", "v".repeat(798));
    let mut huge = String::from("a.test; none");
    huge.push_str(&" ".repeat(64 * 1024 - huge.len()));
    for text in [&deep, &long, &wide, &huge] {
        assert!(read(text).is_ok(), "{:?}", &text[..60]);
    }
    assert!(read(&format!("a.test; spf=pass p.q=\"{}\"", "\\\"".repeat(399))).is_ok());
    assert!(read(&format!("a.test; spf=pass p.q=\"{}\"", "\\\"".repeat(400))).is_err());
    assert!(Keyword::new(&"m".repeat(64)).is_ok() && Keyword::new(&"m".repeat(65)).is_err());
}

/// C1.34: twice the text is twice the work, also for what does not parse.
#[test]
fn c1_34_the_work_is_linear() {
    let heads = ["", "a.test; ", "a.test; spf=pass ", "a.test; spf=pass reason=\"", "a.test; spf=pass p.q=\"\"@"];
    let bodies = [
        "(",
        "()",
        "((((a))))",
        "(\\)",
        " ",
        "a ",
        "a",
        "x=y ",
        ";",
        "; x=y",
        "\"",
        "\"\"",
        "\\\"",
        "p.q=\"r\" ",
        "\r\n ",
        "ü",
    ];
    for head in heads {
        for body in bodies {
            let text = format!("{head}{}", body.repeat((60 * 1024) / body.len()));
            crate::work::take();
            let _ = AuthenticationResults::parse(text.as_bytes());
            assert!(crate::work::take() <= 3 * text.len(), "{head}{body}");
            let _ = must_remove(b"Authentication-Results", text.as_bytes(), "a.test");
            assert!(crate::work::take() <= 3 * text.len(), "{head}{body}");
        }
    }
}

#[test]
fn what_is_asked_of_a_result() {
    let results = read("a.test; SPF=SoftFail SMTP.MailFrom=b.test smtp.helo=c; spf/2=pass; dkim=new").unwrap();
    let [spf, second, dkim] = results.results() else { panic!("{results}") };
    assert_eq!((Spf::of(spf), Dkim::of(spf)), (Some(Spf::SoftFail), None));
    assert_eq!(spf.property("smtp", "mailfrom").map(Value::as_str), Some("b.test"));
    assert_eq!(spf.property("smtp", "helo").map(Value::as_str), Some("c"));
    assert_eq!((spf.property("header", "helo"), spf.property("smtp", "from")), (None, None));
    // Another version of the method may mean something else, and so may another word.
    assert_eq!((Spf::of(second), second.version()), (None, Some(2)));
    assert_eq!((Dkim::of(dkim), dkim.result().as_str()), (None, "new"));
}

/// Forms differ in who owns the text, and in nothing else.
#[test]
fn borrowed_and_owned_are_equal() {
    let text = "a.test 1; spf=pass reason=r smtp.mailfrom=b.test; x=y";
    let borrowed = AuthenticationResults::parse(text.as_bytes()).unwrap();
    let owned = borrowed.clone().into_owned();
    assert_eq!(borrowed, owned);
    assert_eq!(owned.to_string(), text);
    for other in [
        "b.test 1; spf=pass reason=r smtp.mailfrom=b.test; x=y",
        "a.test; spf=pass reason=r smtp.mailfrom=b.test; x=y",
        "a.test 1; dkim=pass reason=r smtp.mailfrom=b.test; x=y",
        "a.test 1; spf/1=pass reason=r smtp.mailfrom=b.test; x=y",
        "a.test 1; spf=fail reason=r smtp.mailfrom=b.test; x=y",
        "a.test 1; spf=pass smtp.mailfrom=b.test; x=y",
        "a.test 1; spf=pass reason=r mailfrom=b.test; x=y",
        "a.test 1; spf=pass reason=r smtp.mailfrom=c.test; x=y",
        "a.test 1; spf=pass reason=r smtp.helo=b.test; x=y",
        "a.test 1; spf=pass reason=r smtp.mailfrom=b.test",
    ] {
        assert_ne!(borrowed, read(other).unwrap(), "{other}");
    }
}

#[test]
fn the_field_is_folded() {
    let value = |text: &str| Value::new(text).unwrap();
    let results = AuthenticationResults::new(value("mx.example.net")).unwrap();
    assert_eq!(results.field(), "Authentication-Results: mx.example.net; none\r\n");
    let dkim = ResultInfo::from(Dkim::Fail).because(value("the body hash does not match what was signed"));
    let dkim = dkim.with("header", "d", value("example.org")).unwrap();
    let results = results.with(Iprev::Pass.into()).with(dkim);
    let expected = "Authentication-Results: mx.example.net;\r\n\
                    \tiprev=pass;\r\n\
                    \tdkim=fail reason=\"the body hash does not match what was signed\"\r\n\
                    \theader.d=example.org\r\n";
    assert_eq!(results.field(), expected);
    assert_field(expected, &results);
    // A line of 78 octets with the `;` is not broken, one of 79 is.
    for (length, broken) in [(53, false), (54, true)] {
        let id = AuthenticationResults::new(value(&"x".repeat(length))).unwrap().with(Iprev::Pass.into());
        let field = id.field();
        assert_eq!(field.starts_with("Authentication-Results:\r\n\t"), broken, "{field}");
        assert_eq!(field.split("\r\n").map(str::len).max(), Some(if broken { 56 } else { 78 }));
    }
    let long = ResultInfo::from(Auth::Pass).with("smtp", "auth", value(&"\\".repeat(399))).unwrap();
    assert_field(&results.clone().with(long.clone()).field(), &results.with(long));
    let id = AuthenticationResults::new(value(&"x".repeat(798))).unwrap();
    assert_field(&id.field(), &id);
}

/// C1.25, D63: what a peer says stays one value of one field.
#[test]
fn c1_25_no_injection_through_values() {
    let hostile = [
        "a;dkim=pass",
        "\"x\t;spf=pass\"@d.test",
        "a\r\nX-Injected: yes",
        "a\r\n\r\nbody",
        "a\rb\nc\0d",
        "a(b",
        "a)b",
        "a\"b",
        "a'b",
        "a\\",
        "\\\"; dkim=pass",
        " a ",
        "",
        "none",
        "ü\u{85}\u{2028}",
        "a.test header.d=b.test",
        "=?utf-8?q?a?=",
    ];
    for text in hostile {
        let value = Value::lossy(text);
        let info = ResultInfo::from(Spf::Fail).because(value.clone());
        let info = info.with("smtp", "helo", value.clone()).unwrap().with("smtp", "mailfrom", value.clone()).unwrap();
        let results = AuthenticationResults::new(Value::new("mx.example.net").unwrap()).unwrap().with(info);
        assert_field(&results.field(), &results);
        let again = read(&results.to_string()).unwrap();
        assert_eq!(again, results, "{text:?}");
        let [info] = again.results() else { panic!("{again}") };
        assert_eq!(info.properties().len(), 2, "{again}");
        assert_eq!(info.property("smtp", "helo").unwrap().as_str(), value.as_str());
        // What had to be changed is refused where nothing may be.
        assert_eq!(Value::new(text).is_ok(), value.as_str() == text, "{text:?}");
        assert!(Keyword::new(text).is_err() || text == "none");
    }
    assert_eq!(Value::lossy("a\r\nb\0\u{7f}").as_str(), "a??b??");
    assert_eq!(Value::new("a'b").unwrap().to_string(), "\"a'b\"");
    assert_eq!(Value::lossy(&"x".repeat(900)).as_str().len(), 798);
    assert_eq!(Value::lossy(&"\"".repeat(900)).to_string().len(), 800);
    assert_eq!(Value::new("a\u{b}").unwrap_err(), ResultsError { kind: ResultsErrorKind::Control, at: 1 });
    assert!(AuthenticationResults::new(Value::lossy("")).is_err());
}

/// What is printed without quotes is a word for every reader.
#[test]
fn words_and_quoted_strings() {
    for word in ["a", "a.b-c_d+e", "a@b.test", "@b.test", "192.0.2.1", "1"] {
        assert_eq!(Value::new(word).unwrap().to_string(), word);
    }
    for text in ["", ".", "a.", "a..b", "a@", "@", "a@b@c", "a@.b", "a b", "a;", "a=b", "a/b", "[1]", "a,b", "ü", "a:b"]
    {
        assert_eq!(Value::new(text).unwrap().to_string(), format!("\"{text}\""));
    }
    // Only a property may be an address.
    let address = Value::new("a@b.test").unwrap();
    let info = ResultInfo::from(Spf::Pass).because(address.clone()).with("smtp", "mailfrom", address.clone()).unwrap();
    let results = AuthenticationResults::new(address).unwrap().with(info);
    let text = "\"a@b.test\"; spf=pass reason=\"a@b.test\" smtp.mailfrom=a@b.test";
    assert_eq!((results.to_string().as_str(), read(text)), (text, Ok(results.clone())));
    assert_field(&results.field(), &results);
}

#[test]
fn arc_fields() {
    let read = |text: &str| text.parse::<ArcAuthenticationResults>();
    let results = read(" i = 12 (x);\r\n a.test; arc=pass").unwrap();
    assert_eq!((results.instance(), results.to_string().as_str()), (12, "i=12; a.test; arc=pass"));
    assert_eq!(Arc::of(&results.results().results()[0]), Some(Arc::Pass));
    let field = "ARC-Authentication-Results: i=12; a.test;\r\n\tarc=pass\r\n";
    assert_eq!(results.field(), field);
    assert_eq!(read(&field["ARC-Authentication-Results:".len()..]), Ok(results.clone()));
    assert_ne!(read("i=1; a.test; arc=pass").unwrap(), results);
    assert_ne!(read("i=12; b.test; arc=pass").unwrap(), results);
    for text in
        ["i=0; a; none", "i=51; a; none", "i=; a; none", "i=001; a; none", "I=1; a; none", "1; a; none", "a; none"]
    {
        assert_eq!(read(text), Err(ResultsError { kind: ResultsErrorKind::Instance, at: 0 }), "{text}");
    }
    assert_eq!(read("i=50; a; none").unwrap().instance(), 50);
    assert_eq!(read("i=01; a; none").unwrap().instance(), 1);
    assert!(read("i=1 a; none").is_err() && read("i=1; none").is_err());
    for (instance, valid) in [(0, false), (1, true), (50, true), (51, false)] {
        assert_eq!(ArcAuthenticationResults::new(instance, results.results().clone()).is_ok(), valid);
    }
}

/// RFC 8601 §2.7, RFC 8617 §10.1, RFC 6541, RFC 6212, RFC 7293, RFC 7281, RFC 8904.
#[test]
fn the_words_of_the_methods() {
    macro_rules! words {
        ($($name:ident)+) => {
            [$(($name::METHOD, $name::ALL.iter().map(|word| {
                assert_eq!($name::parse(&word.as_str().to_ascii_uppercase()), Some(*word));
                let info = ResultInfo::from(*word);
                assert_eq!($name::of(&info), Some(*word));
                assert_eq!(info.to_string(), format!("{}={word}", $name::METHOD));
                word.as_str()
            }).collect::<Vec<_>>().join(" "))),+]
        };
    }
    let expected = [
        ("spf", "none neutral pass fail softfail policy temperror permerror"),
        ("dkim", "none pass fail policy neutral temperror permerror"),
        ("dmarc", "none pass fail temperror permerror"),
        ("arc", "none pass fail"),
        ("iprev", "pass fail temperror permerror"),
        ("auth", "none pass fail temperror permerror"),
        ("dkim-atps", "none pass fail temperror permerror"),
        ("vbr", "none pass fail temperror permerror"),
        ("rrvs", "pass fail unknown temperror permerror"),
        ("smime", "none pass fail policy neutral temperror permerror"),
        ("dnswl", "none pass temperror permerror"),
    ];
    let words = words!(Spf Dkim Dmarc Arc Iprev Auth Atps Vbr Rrvs Smime Dnswl);
    for ((method, words), (expected_method, expected)) in words.iter().zip(expected) {
        assert_eq!((*method, words.as_str()), (expected_method, expected));
    }
    assert_eq!(Spf::parse("hardfail"), None);
}

/// RFC 7372 §3.
#[test]
fn codes_of_refusals() {
    let spf: Vec<_> = Spf::ALL.iter().map(|word| word.refusal().map(|code| code.to_string())).collect();
    let some = |code: &str| Some(code.to_owned());
    assert_eq!(spf, [None, None, None, some("5.7.23"), None, None, some("4.7.24"), some("5.7.24")]);
    let iprev: Vec<_> = Iprev::ALL.iter().map(|word| word.refusal().map(|code| code.to_string())).collect();
    assert_eq!(iprev, [None, some("5.7.25"), some("4.7.25"), some("5.7.25")]);
}

/// C1.26, D53: whatever might be read as ours goes, in all its forms.
#[test]
fn c1_26_d53_forged_fields_are_removed() {
    let ours = "mx.hik.test";
    let name = b"Authentication-Results";
    let forged: [&[u8]; 38] = [
        b" \"mx.hik.test;x\"; dkim=pass",
        b" \"x mx.hik.test\"; dkim=pass",
        b" mx.hik.test; dkim=pass",
        b"mx.hik.test;none",
        b" MX.hik.TEST (c) 1; dkim=pass",
        b"\r\n\tMx.Hik.Test\r\n (c (d))\r\n 1\r\n ; dkim=pass\r\n",
        b" (c) \"mx.hik.test\" 99; dkim=pass",
        b" \"mx\\.hik.test\"; dkim=pass",
        b" \"mx.hik\r\n .test\"; dkim=pass",
        b" mx.hik.test.; dkim=pass",
        b" mx.hik.test",
        b" mx.hik.test; !!! what is this",
        b" mx.hik.test 1.0; dkim=pass",
        b" mx.hik.test dkim=pass",
        b" mx.hik.test/1; dkim=pass",
        b" mx.(c)hik.test; dkim=pass",
        b" mx. hik .test; dkim=pass",
        b" (mx.hik.test; dkim=pass",
        b" (c mx.hik.test; dkim=pass",
        b" c) mx.hik.test; dkim=pass",
        b" (c)) mx.hik.test; dkim=pass",
        b" \"mx.hik.test; dkim=pass",
        b" other.test mx.hik.test; dkim=pass",
        b" other.test, mx.hik.test; dkim=pass",
        b" <mx.hik.test>; dkim=pass",
        b" mx.hik.test\0; dkim=pass",
        b" \0mx.hik.test; dkim=pass",
        b" mx.hik\x7f.test; dkim=pass",
        b" mx.hik\n.test; dkim=pass",
        b" x\rmx.hik.test; dkim=pass",
        b" mx.hik.test\xff; dkim=pass",
        b" \xff mx.hik.test; dkim=pass",
        b" =?utf-8?q?mx.hik.test?=; dkim=pass",
        b" \"a\" \"mx.hik.test\"; dkim=pass",
        b" \"a;mx.hik.test",
        b" (a;b)mx.hik.test x; dkim=pass",
        "mx.hik\u{ff0e}test; dkim=pass".as_bytes(),
        b" (((((((((((((((((((((((((((((((((a)))))))))))))))))))))))))))))))))mx.hik.test; none",
    ];
    for value in forged {
        assert!(must_remove(name, value, ours), "{:?}", String::from_utf8_lossy(value));
        assert!(must_remove(b"AUTHENTICATION-results \t", value, "MX.HIK.TEST."));
        // It is not ours for another host, unless nobody can tell.
        if value.is_ascii() {
            assert!(!must_remove(name, value, "mx.example.net"), "{:?}", String::from_utf8_lossy(value));
        }
    }
    let kept: [&[u8]; 14] = [
        b" other.test (\\(); spf=pass smtp.mailfrom=mx.hik.test",
        b" \"other\\\".test\"; spf=pass reason=\"mx.hik.test\"",
        b" other.test; dkim=pass",
        b" other.test 1; dkim=pass reason=\"mx.hik.test; dkim=pass\"",
        b" other.test; spf=pass smtp.mailfrom=mx.hik.test",
        b" other.test; mx.hik.test; dkim=pass",
        b" (for mx.hik.test) other.test; dkim=pass",
        b" mx.hik.test.example.org; dkim=pass",
        b" a.mx.hik.test; dkim=pass",
        b" hik.test; dkim=pass",
        b" spf=pass smtp.mailfrom=mx.hik.test; dkim=none",
        b"",
        b" none",
        b" \xff; dkim=pass",
    ];
    for value in &kept[..10] {
        assert!(!must_remove(name, value, ours), "{:?}", String::from_utf8_lossy(value));
    }
    // Microsoft's form without an identifier is malformed, and does name us.
    assert!(must_remove(name, kept[10], ours));
    for value in &kept[11..] {
        assert!(!must_remove(name, value, ours), "{:?}", String::from_utf8_lossy(value));
    }
    for other in
        [&b"ARC-Authentication-Results"[..], b"Authentication-Results-Original", b"X-Authentication-Results", b""]
    {
        assert!(!must_remove(other, forged[0], ours));
    }
    // Two back to back: each is judged by itself.
    let section =
        [(&name[..], forged[0]), (b"Received", forged[0]), (name, forged[1]), (name, kept[0]), (name, forged[0])];
    let left: Vec<_> = section.iter().filter(|(name, value)| !must_remove(name, value, ours)).collect();
    assert_eq!(left, [&section[1], &section[3]]);
}

proptest! {
    /// parse(print(x)) for values of all kinds.
    #[test]
    fn printed_results_are_read(
        values in proptest::collection::vec("[ -~\té\r\n\0]{0,12}|[a-z@.]{0,9}|\"[a-z]\"@[a-z]", 5),
        words in proptest::collection::vec("[a-z0-9_-]{0,6}[a-z0-9]", 6),
        version in proptest::option::of(0_u32..1_000_000_000),
        shape in 0_u8..16,
    ) {
        let value = |index: usize| Value::lossy(&values[index]);
        let word = |index: usize| Keyword::new(&words[index]).unwrap();
        let mut id = value(0);
        if id.as_str().is_empty() {
            id = Value::lossy("id");
        }
        let mut results = AuthenticationResults::new(id).unwrap();
        if shape & 1 > 0 {
            let text = format!("{results}").replacen("; none", &version.map(|v| format!(" {v}; none")).unwrap_or("; none".into()), 1);
            results = text.parse().unwrap();
        }
        if shape & 2 > 0 {
            let info = ResultInfo::new(word(0), word(1)).because(value(1));
            results = results.with(info.with(&words[2], &words[3], value(2)).unwrap());
        }
        if shape & 4 > 0 {
            let info = ResultInfo::new(word(4), word(5)).with(&words[1], &words[2], value(3)).unwrap();
            results = results.with(info.with(&words[1], &words[2], value(4)).unwrap());
        }
        prop_assert_eq!(read(&results.to_string()), Ok(results.clone()));
        assert_field(&results.field(), &results);
        let instance = 1 + shape * 3;
        let arc = ArcAuthenticationResults::new(instance, results).unwrap();
        prop_assert_eq!(arc.to_string().parse::<ArcAuthenticationResults>(), Ok(arc));
    }

    /// Any text: an error inside of it, or a value that prints as it reads.
    #[test]
    fn any_text_is_read(text in "([a-z.=;() \"\\\\/@1ü]|\r\n |\r|\n|a.test; |spf=pass |smtp.mailfrom=|reason=){0,24}") {
        crate::fuzzing::results(text.as_bytes());
    }
}
