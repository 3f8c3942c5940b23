use proptest::prelude::*;

use super::*;

fn problem(text: &str) -> (usize, RecordProblem) {
    let error = text.parse::<Record>().expect_err(text);
    (error.offset, error.problem)
}

#[test]
fn records_are_read_and_printed() {
    for (text, printed) in [
        ("v=spf1", "v=spf1"),
        ("V=sPf1  +A   -ALL ", "v=spf1 a -all"),
        ("v=spf1 a/24 a//64 a/24//64 a/0 a//0", "v=spf1 a/24 a//64 a/24//64 a/0 a//0"),
        ("v=spf1 a/32//128", "v=spf1 a"),
        ("v=spf1 mx:Foo.Example.com./8", "v=spf1 mx:foo.example.com/8"),
        ("v=spf1 a:foo:bar/baz.example.com//7", "v=spf1 a:foo:bar/baz.example.com//7"),
        ("v=spf1 a:1/24.example.com", "v=spf1 a:1/24.example.com"),
        ("v=spf1 a:%{d/}/24", "v=spf1 a:%{d/}/24"),
        ("v=spf1 ?ptr ~ptr:a.b", "v=spf1 ?ptr ~ptr:a.b"),
        ("v=spf1 ip4:1.2.3.4/0 ip4:1.2.3.4/32", "v=spf1 ip4:1.2.3.4/0 ip4:1.2.3.4"),
        ("v=spf1 ip6:::1.1.1.1/0 ip6:CAFE::/128", "v=spf1 ip6:::101:101/0 ip6:cafe::"),
        ("v=spf1 exists:%{L1R+-}.%{d}.a%%b%_c%-.%{i}", "v=spf1 exists:%{L1r-+}.%{d}.a%%b%_c%-.%{i}"),
        ("v=spf1 redirect=a.b exp=c.d all", "v=spf1 all redirect=a.b exp=c.d"),
        ("v=spf1 moo.cow-far_out=man:dog/cat x=", "v=spf1 moo.cow-far_out=man:dog/cat x="),
        ("v=spf1 ip4=1.2.3.4 all=%{d}", "v=spf1 ip4=1.2.3.4 all=%{d}"),
        ("v=spf1 a:foo.xn--zckzah a:a.1-2", "v=spf1 a:foo.xn--zckzah a:a.1-2"),
        (r"v=spf1 a:a\.b\065.test", r"v=spf1 a:a\.b\065.test"),
        ("v=spf1 include:%{d0001}", "v=spf1 include:%{d1}"),
    ] {
        let record: Record = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(record.to_string(), printed);
        assert_eq!(printed.parse(), Ok(record), "{text}");
    }
    // Nothing is escaped in the names of a record: this one has three labels, with backslashes.
    let Mechanism::A { domain: Some(domain), .. } =
        &r"v=spf1 a:a\.b\065.test".parse::<Record>().unwrap().directives[0].mechanism
    else {
        panic!("a");
    };
    assert_eq!(domain.name().unwrap().labels().collect::<Vec<_>>(), [&br"a\"[..], br"b\065", b"test"]);
}

#[test]
fn what_is_no_record_is_refused_with_its_place() {
    use MacroError as M;
    use RecordProblem as P;
    for (text, offset, problem_expected) in [
        ("", 0, P::Version),
        ("v=spf", 0, P::Version),
        ("v=spf10 -all", 0, P::Version),
        ("v=spf1\t-all", 0, P::Version),
        ("v=spf1 ip4:1.2.3.4 -all moo", 24, P::Mechanism),
        ("v=spf1  +", 8, P::Mechanism),
        ("v=spf1 ++all", 7, P::Mechanism),
        ("v=spf1 all. ", 7, P::Mechanism),
        ("v=spf1 all:foo", 7, P::Value),
        ("v=spf1 all/8", 7, P::Value),
        ("v=spf1 include", 7, P::NoValue),
        ("v=spf1 include:", 7, P::NoValue),
        ("v=spf1 include/24", 7, P::Value),
        ("v=spf1 exists", 7, P::NoValue),
        ("v=spf1 exists:a.test/24", 7, P::Macro(M::TopLabel)),
        ("v=spf1 include:a.test/24", 7, P::Macro(M::TopLabel)),
        ("v=spf1 ptr:", 7, P::NoValue),
        ("v=spf1 ptr/0", 7, P::Value),
        ("v=spf1 a:", 7, P::NoValue),
        ("v=spf1 a:/24", 7, P::NoValue),
        ("v=spf1 a/33", 7, P::Prefix),
        ("v=spf1 a//129", 7, P::Prefix),
        ("v=spf1 a/24//129", 7, P::Prefix),
        ("v=spf1 a/33//64", 7, P::Prefix),
        ("v=spf1 a/024", 7, P::Prefix),
        ("v=spf1 a/256", 7, P::Prefix),
        ("v=spf1 a/24/64", 7, P::Prefix),
        ("v=spf1 a///64", 7, P::Value),
        ("v=spf1 a/", 7, P::Value),
        ("v=spf1 a:a.test/", 7, P::Macro(M::TopLabel)),
        ("v=spf1 a:a.test:8080", 7, P::Macro(M::TopLabel)),
        ("v=spf1 a:test", 7, P::Macro(M::TopLabel)),
        ("v=spf1 a:test.", 7, P::Macro(M::TopLabel)),
        ("v=spf1 a:a.123", 7, P::Macro(M::TopLabel)),
        ("v=spf1 a:a.-com", 7, P::Macro(M::TopLabel)),
        ("v=spf1 a:a.com-", 7, P::Macro(M::TopLabel)),
        ("v=spf1 a:a.c_m", 7, P::Macro(M::TopLabel)),
        ("v=spf1 a:a.test..", 7, P::Macro(M::TopLabel)),
        ("v=spf1 a:%{d}test", 7, P::Macro(M::TopLabel)),
        ("v=spf1 a:.test", 7, P::Macro(M::Name(hikyaku_dns::NameError::EmptyLabel(0)))),
        ("v=spf1 a:a..test", 7, P::Macro(M::Name(hikyaku_dns::NameError::EmptyLabel(1)))),
        ("v=spf1 ip4", 7, P::NoValue),
        ("v=spf1 ip4:1.2.3", 7, P::Ipv4),
        ("v=spf1 ip4:1.2.3.04", 7, P::Ipv4),
        ("v=spf1 ip4:1.2.3.4:8080", 7, P::Ipv4),
        ("v=spf1 ip4:::1", 7, P::Ipv4),
        ("v=spf1 ip4:1.2.3.4/33", 7, P::Prefix),
        ("v=spf1 ip4:1.2.3.4/032", 7, P::Prefix),
        ("v=spf1 ip4:1.2.3.4//32", 7, P::Prefix),
        ("v=spf1 ip4:1.2.3.4/", 7, P::Prefix),
        ("v=spf1 ip4:1.2.3.4/+8", 7, P::Prefix),
        ("v=spf1 ip6:1.2.3.4", 7, P::Ipv6),
        ("v=spf1 ip6::CAFE::BABE", 7, P::Ipv6),
        ("v=spf1 ip6:fe80::1%eth0", 7, P::Ipv6),
        ("v=spf1 ip6:::1/129", 7, P::Prefix),
        ("v=spf1 ip6:::1//33", 7, P::Prefix),
        ("v=spf1 redirect:a.test", 7, P::Mechanism),
        ("v=spf1 -redirect=a.test", 7, P::QualifiedModifier),
        ("v=spf1 +x=y", 7, P::QualifiedModifier),
        ("v=spf1 =all", 7, P::ModifierName),
        ("v=spf1 1up=foo", 7, P::ModifierName),
        ("v=spf1 moo,cow=x", 7, P::ModifierName),
        ("v=spf1 moo.cow:far_out=man:dog/cat", 7, P::Mechanism),
        ("v=spf1 redirect=", 7, P::Macro(M::TopLabel)),
        ("v=spf1 exp= -all", 7, P::Macro(M::TopLabel)),
        ("v=spf1 exp=-all", 7, P::Macro(M::TopLabel)),
        ("v=spf1 redirect=a.test all REDIRECT=b.test", 27, P::Twice),
        ("v=spf1 exp=a.test exp=a.test", 18, P::Twice),
        ("v=spf1 foo=%abc", 7, P::Macro(M::Percent)),
        ("v=spf1 exists:a%.test", 7, P::Macro(M::Percent)),
        ("v=spf1 exists:a.%", 7, P::Macro(M::Percent)),
        ("v=spf1 exists:%(ir).test", 7, P::Macro(M::Percent)),
        ("v=spf1 a:%{a}.test", 7, P::Macro(M::Letter)),
        ("v=spf1 a:%{", 7, P::Macro(M::Form)),
        ("v=spf1 a:%{d", 7, P::Macro(M::Form)),
        ("v=spf1 a:%{dr2}", 7, P::Macro(M::Form)),
        ("v=spf1 a:%{d:}", 7, P::Macro(M::Form)),
        ("v=spf1 a:%{d0}", 7, P::Macro(M::Zero)),
        ("v=spf1 a:%{d00r}", 7, P::Macro(M::Zero)),
        ("v=spf1 exp=%{r}.test", 7, P::Macro(M::OnlyInExplanation)),
        ("v=spf1 exists:%{C}.test", 7, P::Macro(M::OnlyInExplanation)),
        ("v=spf1 x=%{t}", 7, P::Macro(M::OnlyInExplanation)),
        ("v=spf1 x=a\tb", 7, P::Macro(M::Octet)),
        ("v=spf1 a:foo.test\0", 7, P::Macro(M::TopLabel)),
        ("v=spf1 a:foo.test\rptr -all", 7, P::Macro(M::TopLabel)),
        ("v=spf1 ip4:192.0.2.5\n all", 7, P::Ipv4),
        ("v=spf1 a:\u{ef}\u{bb}\u{bf}x.test", 7, P::Macro(M::Octet)),
        ("v=spf1 \u{80}a:example.net -all", 7, P::Mechanism),
    ] {
        // A top label or a name of the DNS is asked for last, an octet that cannot be is worse.
        let found = problem(text);
        let octet = text.bytes().any(|octet| !(b' '..=b'~').contains(&octet));
        assert!(
            found == (offset, problem_expected) || (octet && found == (offset, P::Macro(M::Octet))),
            "{text:?}: {found:?}"
        );
    }
}

#[test]
fn u200b_in_a_record_is_an_error_and_no_crash() {
    let error = "v=spf1 ip4:192.0.2.1\u{200b} -all".parse::<Record>().unwrap_err();
    assert_eq!(error.to_string(), "not an IPv4 address: \"ip4:192.0.2.1???\" at octet 7");
    for text in
        ["v=spf1 a:\u{200b}.test", "v=spf1 \u{200b}", "v=spf1\u{200b}", "v=spf1 x=%\u{200b}", "v=spf1 x=%{\u{200b}}"]
    {
        assert!(text.parse::<Record>().is_err(), "{text}");
    }
}

#[test]
fn an_error_repeats_only_so_much_of_a_term() {
    let error = format!("v=spf1 all {}", "x".repeat(60_000)).parse::<Record>().unwrap_err();
    assert_eq!((error.offset, error.term.len()), (11, 80));
}

fn spec() -> impl Strategy<Value = DomainSpec> {
    let label = "[a-z0-9_/:\\\\][a-z0-9_/:\\\\\"]{0,6}";
    let piece = prop_oneof![
        label.prop_map(String::from),
        "%\\{[slodipvhSLODIPVH](12|3|120)?[rR]?[-.+,/_=]{0,3}\\}".prop_map(String::from),
        Just("%%".to_owned()),
        Just("%_".to_owned()),
        Just("%-".to_owned()),
    ];
    (prop::collection::vec(piece, 1..5), "[.](com|x-1|a1[.])|[.]%\\{d\\}")
        .prop_filter_map("no name", |(pieces, end)| (pieces.concat() + &end).parse().ok())
}

fn record() -> impl Strategy<Value = Record> {
    let qualifier =
        prop_oneof![Just(Qualifier::Pass), Just(Qualifier::Fail), Just(Qualifier::SoftFail), Just(Qualifier::Neutral)];
    let prefixes = (0..=32_u8, 0..=128_u8).prop_map(|(v4, v6)| Prefixes { v4, v6 });
    let mechanism = prop_oneof![
        Just(Mechanism::All),
        spec().prop_map(Mechanism::Include),
        (prop::option::of(spec()), prefixes.clone()).prop_map(|(domain, prefixes)| Mechanism::A { domain, prefixes }),
        (prop::option::of(spec()), prefixes).prop_map(|(domain, prefixes)| Mechanism::Mx { domain, prefixes }),
        prop::option::of(spec()).prop_map(Mechanism::Ptr),
        (any::<[u8; 4]>(), 0..=32_u8).prop_map(|(network, prefix)| Mechanism::Ip4 { network: network.into(), prefix }),
        (any::<[u8; 16]>(), 0..=128_u8)
            .prop_map(|(network, prefix)| Mechanism::Ip6 { network: network.into(), prefix }),
        spec().prop_map(Mechanism::Exists),
    ];
    let directive = (qualifier, mechanism).prop_map(|(qualifier, mechanism)| Directive { qualifier, mechanism });
    let modifier = ("[a-z][a-z0-9._-]{0,8}", "[!-$&-~]{0,9}(%\\{i\\})?")
        .prop_filter("has a meaning", |(name, _)| name != "exp" && name != "redirect")
        .prop_map(|(name, value)| Modifier { name, value: value.parse().unwrap() });
    let directives = prop::collection::vec(directive, 0..6);
    (directives, prop::option::of(spec()), prop::option::of(spec()), prop::collection::vec(modifier, 0..3))
        .prop_map(|(directives, redirect, explanation, others)| Record { directives, redirect, explanation, others })
}

proptest! {
    #[test]
    fn what_is_printed_is_read_as_the_same(record in record()) {
        prop_assert_eq!(record.to_string().parse(), Ok(record));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(?i:v=spf1)( [-+~?]?(all|a|mx|ptr|ip4:1\\.2\\.3\\.4|ip6:::|exists:|include:|exp=|redirect=|x=)[ -~]{0,12}){0,4}") {
        fuzzing::spf_record(text.as_bytes());
    }
}
