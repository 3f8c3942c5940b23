use super::*;
use FieldErrorKind::*;
use proptest::prelude::*;

fn one(text: &str) -> Result<String, FieldError> {
    MessageId::parse(text.as_bytes()).map(|id| id.as_str().to_owned())
}

fn list(text: &str) -> (Vec<String>, Option<FieldError>) {
    let (mut ids, mut error) = (Vec::new(), None);
    for id in MessageId::list(text.as_bytes()) {
        assert_eq!(error, None, "the list goes on behind its error");
        match id {
            Ok(id) => ids.push(id.as_str().to_owned()),
            Err(found) => error = Some(found),
        }
    }
    (ids, error)
}

#[test]
fn one_identifier() {
    for (text, id) in [
        ("<1234@local.machine.example>", "1234@local.machine.example"),
        // RFC 5322 appendix A.5 and A.6.
        (" <testabcd.1234@silly.test>", "testabcd.1234@silly.test"),
        ("<testabcd.1234@silly.example> (x)", "testabcd.1234@silly.example"),
        ("\r\n\t<a@[192.0.2.1]>\r\n", "a@[192.0.2.1]"),
        // Obsolete: white space and comments around each word.
        ("< a . b @ c . d >", "a.b@c.d"),
        ("<a(x)@\r\n c>", "a@c"),
        // Faults of the wild.
        ("<no-at-sign>", "no-at-sign"),
        ("<a@b@c>", "a@b@c"),
        ("<a..b@[x,y;z:\"]>", "a..b@[x,y;z:\"]"),
        ("<\u{fc}@\u{f6}>", "\u{fc}@\u{f6}"),
    ] {
        assert_eq!(one(text).as_deref(), Ok(id), "{text}");
        let id = MessageId::parse(text.as_bytes()).unwrap();
        assert_eq!(id.clone().into_owned(), id);
        assert_eq!(MessageId::parse(id.to_string().as_bytes()), Ok(id.clone()));
    }
    let id = MessageId::parse(b" <a@b>").unwrap();
    assert!(matches!(id.0, Cow::Borrowed("a@b")));
}

#[test]
fn what_is_no_identifier() {
    for (text, kind, at) in [
        ("", Missing, 0),
        (" ", Missing, 1),
        ("a@b", Unexpected, 0),
        ("<>", Missing, 1),
        ("< >", Missing, 2),
        ("<a@b", Missing, 4),
        ("<a@b>>", Unexpected, 5),
        ("<<a@b>", Unexpected, 1),
        ("<a@b> <c@d>", Unexpected, 6),
        ("<a@b>, x", Unexpected, 5),
        ("x <a@b>", Unexpected, 0),
        ("<a b@c>", Unexpected, 3),
        ("<a(x)b@c>", Unexpected, 5),
        ("<\"a b\"@c>", Unexpected, 4),
        ("<a)@b>", Unexpected, 2),
        ("<a\0@b>", Control, 2),
        ("<a@b\r\nx>", Control, 4),
        ("<a@b\u{85}>", Control, 4),
        ("<a@b> (", OpenComment, 6),
    ] {
        let error = one(text).unwrap_err();
        assert_eq!((error.kind, error.at), (kind, at), "{text:?}");
    }
    assert_eq!(MessageId::parse(b"<\xff@b>").unwrap_err(), NotUtf8.at(1));
    assert_eq!(MessageId::parse(b"<a.\xff @b>").unwrap_err().kind, NotUtf8);
    assert!(one(&format!("<{}>", "x".repeat(995))).is_ok());
    assert_eq!(one(&format!("<{}>", "x".repeat(996))).unwrap_err(), LineTooLong.at(996));
}

#[test]
fn lists() {
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    for (text, expected, error) in [
        ("", &[][..], None),
        ("<a@b>", &["a@b"], None),
        ("<a@b>\r\n\t<c@d>(x)<e@f>", &["a@b", "c@d", "e@f"], None),
        ("<a@b>,<c@d>, <e@f>", &["a@b", "c@d", "e@f"], None),
        ("Your letter of \"1 < 2\" <a@b> again. <c@d>", &["a@b", "c@d"], None),
        ("<a@b> c@d <e@f>", &["a@b"], Some(Unexpected.at(7))),
        ("<a@b> <c", &["a@b"], Some(Missing.at(8))),
        ("<a@b> \"c", &["a@b"], Some(OpenQuote.at(6))),
        ("<a@b> (", &[], Some(OpenComment.at(6))),
        ("<a@b>\n<c@d>", &["a@b"], Some(Control.at(5))),
    ] {
        assert_eq!(list(text), (ids(expected), error), "{text:?}");
    }
}

/// C1.34: each octet is looked at a few times at most.
#[test]
fn c1_34_linear_work() {
    for unit in [
        "(", "()", "a ", "<", "\"", "\"\\\"", "\"\" ", "<a@b>", "<a", "<a ", "<a.(x)", "<\"", "<\"a\\\"", ",", ".",
        "(\\", "a. ",
    ] {
        for before in ["", "<", "<a@b> ", "\""] {
            let text = format!("{before}{}", unit.repeat(65_536 / unit.len()));
            let mut ids = MessageId::list(text.as_bytes());
            while ids.next().is_some() {}
            let steps = ids.lexer.steps.get();
            assert!(steps <= 4 * text.len(), "{steps} steps for {} octets of {before}{unit:?}", text.len());
        }
    }
}

#[test]
fn new_identifiers_are_strict() {
    for text in ["a@b", "1.2-3@mx.example.org", "a@[192.0.2.1]", "a@[]", "\u{fc}@b"] {
        assert_eq!(MessageId::new(text).unwrap().to_string(), format!("<{text}>"));
        assert_eq!(one(&format!("<{text}>")).as_deref(), Ok(text));
    }
    for (text, kind, at) in [
        ("", NoDomain, 0),
        ("a", NoDomain, 1),
        ("@b", Missing, 0),
        ("a@", Missing, 2),
        ("a@b@c", Unexpected, 3),
        ("a..b@c", Unexpected, 2),
        (".a@c", Unexpected, 0),
        ("a.@c", Missing, 2),
        ("a@b.", Missing, 4),
        ("a b@c", Unexpected, 1),
        ("<a@b>", Unexpected, 0),
        ("a@b>\r\nBcc: c", Unexpected, 3),
        ("a\r\n@b", Unexpected, 1),
        ("a\0@b", Unexpected, 1),
        ("a@[b>]", Unexpected, 4),
        ("a@[(b]", Unexpected, 3),
        ("a@[b\\]", Unexpected, 4),
        ("a@[b", Unexpected, 2),
        ("a\u{85}@b", Control, 1),
    ] {
        let error = MessageId::new(text).unwrap_err();
        assert_eq!((error.kind, error.at), (kind, at), "{text:?}");
    }
    let long = |n: usize| format!("{}@b", "a".repeat(n - 2));
    assert!(MessageId::new(long(995)).is_ok());
    assert_eq!(MessageId::new(long(996)).unwrap_err(), LineTooLong.at(995));
}

proptest! {
    #[test]
    fn what_is_made_is_read(text in "[a-z.@\\[\\]()<>\" \u{e9}]{0,12}") {
        if let Ok(id) = MessageId::new(text.as_str()) {
            let printed = id.to_string();
            prop_assert_eq!(MessageId::parse(printed.as_bytes()), Ok(id));
        }
    }

    #[test]
    fn what_is_read_prints_the_same(text in "([ab@.<>(), \t\"\\\\\0\u{e9}\u{85}]|<a@b>|\r\n ){0,14}") {
        crate::fuzzing::ids(text.as_bytes());
    }
}
