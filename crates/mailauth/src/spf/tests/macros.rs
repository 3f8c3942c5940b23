use std::borrow::Cow;

use proptest::prelude::*;

use super::super::macros::Values;
use super::*;

fn values<'a>(client: &str, sender: &'a str, hello: &'a str) -> Values<'a> {
    let (local_part, domain) = sender.rsplit_once('@').unwrap();
    Values {
        local_part,
        sender_domain: domain.to_owned(),
        sender: sender.to_owned(),
        domain: domain.to_owned(),
        client: client.parse().unwrap(),
        hello: Cow::Borrowed(hello),
        validated: "mx.example.org".to_owned(),
        receiver: "mx.receiver.test",
        now: Timestamp::from_millis(1_795_499_520_999),
    }
}

fn example() -> Values<'static> {
    values("192.0.2.3", "strong-bad@email.example.com", "mail.client.test")
}

fn expanded(text: &str, values: &Values<'_>) -> Option<String> {
    let macros: MacroString = text.parse().unwrap();
    macros.name(values).map(|name| name.to_string())
}

/// The table of RFC 7208 §7.4.
#[test]
fn the_examples_of_the_rfc() {
    for (text, name) in [
        ("%{s}", r"strong-bad\@email.example.com"),
        ("%{o}", "email.example.com"),
        ("%{d}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d3}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d1}", "com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{l}", "strong-bad"),
        ("%{l-}", "strong.bad"),
        ("%{lr}", "strong-bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
        ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
        ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
        ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
        ("%{h}.%{p}", "mail.client.test.mx.example.org"),
    ] {
        assert_eq!(expanded(text, &example()).as_deref(), Some(name), "{text}");
    }
    let six = values("2001:db8::cb01", "strong-bad@email.example.com", "h");
    assert_eq!(
        expanded("%{ir}.%{v}._spf.%{d2}", &six).as_deref(),
        Some("1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com")
    );
}

#[test]
fn explanations_hold_more_letters() {
    let text =
        |text: &str, values: &Values<'_>| MacroString::parse_explanation(text.as_bytes()).unwrap().explanation(values);
    assert_eq!(text("%{c} at %{t}, %{r}%%%_%-", &example()), "192.0.2.3 at 1795499520, mx.receiver.test% %20");
    let mut six = values("2001:DB8::CB01", "jack&jill=up@d.test", "h");
    assert_eq!(text("%{c} %{L} %{S} %{i1}", &six), "2001:db8::cb01 jack%26jill%3Dup jack%26jill%3Dup%40d.test 1");
    six.receiver = "";
    assert_eq!(text("%{r}", &six), "unknown");
    assert_eq!(MacroString::parse_explanation(b"a\tb"), Err(MacroError::Octet));
    assert_eq!(MacroString::parse_explanation(b"\xff"), Err(MacroError::Octet));
}

#[test]
fn an_explanation_is_clean_and_400_octets_long_at_most() {
    let dirty = values("192.0.2.3", "a\r\n\u{7f}\u{0}\u{85}b\u{e9}\u{200b}@d.test", "h");
    let text = MacroString::parse_explanation(b"<%{l}>").unwrap();
    assert_eq!(text.explanation(&dirty), "<ab??>");
    for length in [399, 400, 401, 60_000] {
        let text = MacroString::parse_explanation("x".repeat(length).as_bytes()).unwrap();
        assert_eq!(text.explanation(&dirty).len(), length.min(400));
    }
    let text = MacroString::parse_explanation("%{d}".repeat(255).as_bytes()).unwrap();
    assert_eq!(text.explanation(&dirty).len(), 400);
}

#[test]
fn names_that_are_too_long_lose_labels_on_the_left() {
    let long = "a".repeat(59) + ".test";
    let long = format!("l@{long}");
    let values = values("192.0.2.3", &long, "h");
    // 65 octets with their dot each: three of them and 58 are 253, with one more it is cut.
    let exact = format!("%{{d}}.%{{d}}.%{{d}}.{}", "b".repeat(61));
    let domain = "a".repeat(59) + ".test";
    for (text, cut) in [
        (exact.replace(&"b".repeat(61), &"b".repeat(58)), 0),
        (exact.replace(&"b".repeat(61), &"b".repeat(59)), 60),
        (exact.clone(), 60),
    ] {
        let whole = text.replace("%{d}", &domain);
        assert_eq!(whole.len() <= 253, cut == 0);
        assert_eq!(expanded(&text, &values).unwrap(), whole[cut..], "{text}");
    }
    // What is left of it is a name as ever.
    assert_eq!(expanded(&"%{d}.".repeat(255), &values).unwrap().len(), 3 * 65 - 1 + 5);
    // So does a name without macros: it is printed as it was, and cut when it is looked up.
    let (fits, long) = ("b.".repeat(125) + "c.d", "b.".repeat(125) + "c.dd");
    let name_of = |text: &str| text.parse::<DomainSpec>().unwrap().name().map(|name| name.to_string());
    assert_eq!(
        (fits.len(), name_of(&fits), name_of(&(fits.clone() + "."))),
        (253, Some(fits.clone()), Some(fits.clone()))
    );
    assert_eq!((name_of(&long), long.parse::<DomainSpec>().unwrap().to_string()), (None, long.clone()));
    assert_eq!(expanded(&long, &values).unwrap(), long[2..]);
    assert_eq!(expanded(&"x".repeat(300), &values), None);
    assert_eq!(expanded(&("x".repeat(300) + ".y"), &values).as_deref(), Some("y"));
}

#[test]
fn what_makes_no_name_makes_none() {
    let label = "x".repeat(64) + "@d.test";
    for sender in ["a..b@d.test", ".a@d.test", "a.@d.test", &label] {
        let values = values("192.0.2.3", sender, "h");
        assert_eq!(expanded("%{l}.x.test", &values), None, "{sender}");
    }
    let odd = values("192.0.2.3", "\"a b%c\\/\u{0}\"@d.test", "");
    assert_eq!(expanded("%{l}.test", &odd).as_deref(), Some(r#"\"a\032b%c\\/\000\".test"#));
    assert_eq!(expanded("%{h}", &odd), None);
    assert_eq!(expanded("%{h}.test", &odd), None);
    assert_eq!(expanded("a.test.", &odd).as_deref(), Some("a.test"));
    assert_eq!(expanded("a.test..", &odd), None);
}

#[test]
fn a_local_part_outside_ascii_is_in_no_name() {
    let values = values("192.0.2.3", "j\u{fc}rgen.x@d.test", "h\u{fc}.test");
    for text in ["%{l}.test", "%{L}.test", "%{l1}.test", "%{s}.test", "%{S2}.test", "%{h}.test", "%{h1}.test"] {
        assert_eq!(expanded(text, &values), None, "{text}");
    }
    // It stands where the name is cut off, and matches nothing all the same.
    assert_eq!(expanded(&format!("%{{l}}{}", ".%{d}".repeat(60)), &values), None);
    assert_eq!(expanded("%{d}.%{o}", &values).as_deref(), Some("d.test.d.test"));
}

proptest! {
    #[test]
    fn expansion_is_that_of_a_slow_reading(
        client in "192\\.0\\.2\\.3|2001:db8::cb01",
        hello in "[a-c.\u{e9}-]{0,9}",
        local_part in "([a-c.+,/_=% \u{e9}-]{0,9}|[a-c.]{60,200})",
        domain in "[a-c]{1,4}(\\.[a-c]{1,62}){1,5}",
        text in "([a-z.]|%\\{[slodipvhSLODIPVH][0-9]{0,2}[rR]?[-.+,/_=]{0,3}\\}|%[%_-]){1,12}",
    ) {
        fuzzing::spf_macro([client, hello, local_part, domain, text].join("\n").as_bytes());
    }
}
