use super::*;
use FieldErrorKind::*;
use proptest::prelude::*;

fn parse(text: &str) -> AddressList<'_> {
    AddressList::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Each mailbox as `name|local|domain`; a group as `name: members;`.
fn told(text: &str) -> String {
    fn mailbox(mailbox: &NameAddr<'_>) -> String {
        let address = mailbox.address();
        format!("{}|{}|{}", mailbox.name().unwrap_or("-"), address.local(), address.domain())
    }
    let told = |address: &Address<'_>| match address {
        Address::Mailbox(one) => mailbox(one),
        Address::Group(group) => {
            let members: Vec<String> = group.members().iter().map(mailbox).collect();
            format!("{}: {};", group.name(), members.join(" "))
        }
    };
    parse(text).addresses().iter().map(told).collect::<Vec<_>>().join(" ")
}

#[test]
fn current_forms() {
    for (text, expected) in [
        // RFC 5322 appendix A.
        ("John Doe <jdoe@machine.example>", "John Doe|jdoe|machine.example"),
        (
            "Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
            "Mary Smith|mary|x.test -|jdoe|example.org Who?|one|y.test",
        ),
        (
            "<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
            "-|boss|nil.test Giant; \"Big\" Box|sysservices|example.net",
        ),
        (
            "A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
            "A Group: Ed Jones|c|a.test -|joe|where.test John|jdoe|one.test;",
        ),
        ("Undisclosed recipients:;", "Undisclosed recipients: ;"),
        ("\"Joe Q. Public\" <john.q.public@example.com>", "Joe Q. Public|john.q.public|example.com"),
        ("a@[192.0.2.1]", "-|a|[192.0.2.1]"),
        ("a@[IPv6:2001:db8::1]", "-|a|[IPv6:2001:db8::1]"),
        ("\"a b\"@c.test", "-|a b|c.test"),
        // RFC 6532.
        ("J\u{f6}rg <j\u{f6}rg@m\u{fc}ller.test>", "J\u{f6}rg|j\u{f6}rg|m\u{fc}ller.test"),
        // Names.
        ("\"\" <a@b.c>", "|a|b.c"),
        ("a  \t b\r\n c <a@b.c>", "a b c|a|b.c"),
        ("a (x) \"b  c\"\r\n d(y) <a@b.c> (z)", "a b  c d|a|b.c"),
        ("\"a\r\n b\tc\" <a@b.c>", "a b c|a|b.c"),
        ("a\"b\" <a@b.c>", "ab|a|b.c"),
        ("=?utf-8?q?=C3=A9?= x <a@b.c>", "=?utf-8?q?=C3=A9?= x|a|b.c"),
        ("(a) b@c (d)", "-|b|c"),
        ("< b@c >", "-|b|c"),
    ] {
        assert_eq!(told(text), expected, "{text}");
        assert_eq!(parse(text).ambiguity().filter(|_| !text.contains("\"@")), None, "{text}");
    }
}

#[test]
fn obsolete_forms() {
    use Ambiguity::*;
    for (text, expected, ambiguity) in [
        // RFC 5322 appendix A.5 and A.6.
        ("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", "Pete|pete|silly.test", Some(Comment)),
        ("Chris Jones <c@(Chris's host.)public.example>", "Chris Jones|c|public.example", Some(Comment)),
        ("(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;", "Hidden recipients: ;", None),
        ("Joe Q. Public <john.q.public@example.com>", "Joe Q. Public|john.q.public|example.com", None),
        (
            "Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
            "Mary Smith|mary|example.net -|jdoe|test.example",
            Some(Route),
        ),
        ("John Doe <jdoe@machine(comment).  example>", "John Doe|jdoe|machine.example", Some(Comment)),
        // Each form of section 4.4.
        ("<@a.test , (x) @b.test,,: c@d.test>", "-|c|d.test", Some(Route)),
        ("<,@a.test:c@d.test>", "-|c|d.test", Some(Route)),
        (",, a@b , ,c@d,", "-|a|b -|c|d", None),
        ("g:,a@b,,;", "g: -|a|b;", None),
        ("a . b @ c . d", "-|a.b|c.d", Some(Space)),
        ("a.b@ c", "-|a.b|c", Some(Space)),
        ("a.\"b c\".d@e", "-|a.b c.d|e", Some(QuotedLocalPart)),
        ("a.\"b\"@c", "-|a.b|c", None),
        ("a.b. <c@d>", "a.b.|c|d", None),
        // Dots where none should be.
        ("a..b@c", "-|a..b|c", None),
        (".a.@c.", "-|.a.|c.", None),
        ("", "", None),
        (" (nobody) ,", "", None),
    ] {
        assert_eq!(told(text), expected, "{text}");
        assert_eq!(parse(text).ambiguity(), ambiguity, "{text}");
    }
}

/// C1.26: what another program may read as another author.
#[test]
fn c1_26_two_readings_are_told() {
    use Ambiguity::*;
    for (text, expected, ambiguity) in [
        ("<@good.test:a@evil.test>", "-|a|evil.test", Route),
        ("a@evil.test (b@good.test)", "-|a|evil.test", Comment),
        ("a@evil.test (<x>)", "-|a|evil.test", Comment),
        ("(a,b) c@d", "-|c|d", Comment),
        ("a(x)@evil.test", "-|a|evil.test", Comment),
        ("a@evil(x).test", "-|a|evil.test", Comment),
        ("a @evil.test", "-|a|evil.test", Space),
        ("a@evil .test", "-|a|evil.test", Space),
        ("\"a@good.test\"@evil.test", "-|a@good.test|evil.test", QuotedLocalPart),
        ("\"<b@good.test>,\"@evil.test", "-|<b@good.test>,|evil.test", QuotedLocalPart),
        ("\"\"@evil.test", "-||evil.test", QuotedLocalPart),
        ("\"a..b\"@evil.test", "-|a..b|evil.test", QuotedLocalPart),
        ("a@good.test <b@evil.test>", "a@good.test|b|evil.test", UnquotedName),
        ("[x] a <b@evil.test>", "[x] a|b|evil.test", UnquotedName),
        ("[a,\"b] (c) <b@evil.test>", "[a,\"b]|b|evil.test", UnquotedName),
        ("=?utf-8?q?a=40good.test=3E?=@evil.test", "-|=?utf-8?q?a=40good.test=3E?=|evil.test", EncodedWord),
        ("a@=?utf-8?q?x?=.test", "-|a|=?utf-8?q?x?=.test", EncodedWord),
        ("\"=?utf-8?q?x?=\" <a@b>", "=?utf-8?q?x?=|a|b", EncodedWord),
        ("friends: a@good.test", "friends: -|a|good.test;", OpenGroup),
    ] {
        assert_eq!(told(text), expected, "{text}");
        assert_eq!(parse(text).ambiguity(), Some(ambiguity), "{text}");
        assert_eq!(parse(text).author_domain(), Err(AuthorError::Ambiguous(ambiguity)));
    }
}

#[test]
fn what_is_no_list() {
    for (text, kind, at) in [
        ("a", NoDomain, 0),
        ("b@c, Anna B", NoDomain, 5),
        ("a; b@c", NoDomain, 0),
        ("a@b; c@d", Unexpected, 3),
        ("a@b c@d", Unexpected, 4),
        ("a b@c", Unexpected, 2),
        ("a@b@c", Unexpected, 3),
        ("a@b \"c\"", Unexpected, 4),
        ("\"a\"\"b\"@c", Unexpected, 3),
        ("\"a\"b@c", Unexpected, 3),
        ("a\"b\"@c", Unexpected, 1),
        ("@c", Unexpected, 0),
        ("a@", Missing, 2),
        ("a@,b@c", Unexpected, 2),
        ("<a@b", Missing, 4),
        ("<a>", NoDomain, 1),
        ("<>", Unexpected, 1),
        ("x <>", Unexpected, 3),
        ("<<a@b>>", Unexpected, 1),
        ("<a@b> <c@d>", Unexpected, 6),
        ("<a@b> x", Unexpected, 6),
        ("<@a b@c>", Unexpected, 4),
        ("<@a>", Unexpected, 3),
        ("<@:b@c>", Unexpected, 2),
        ("<a@b c>", Unexpected, 5),
        ("a@b>", Unexpected, 3),
        ("a) <b@c>", Unexpected, 1),
        (":a@b;", Unexpected, 0),
        ("g:a@b;;", Unexpected, 6),
        ("g:a@b; c@d", Unexpected, 7),
        ("g:h:a@b;;", Unexpected, 3),
        ("g:a;", NoDomain, 2),
        ("a@b:c@d;", Unexpected, 3),
        ("a\\@b", Unexpected, 1),
        ("a@[b", Missing, 4),
        ("a@[b c]", Unexpected, 4),
        ("a@[b\\]]", Unexpected, 4),
        ("[a]", Unexpected, 0),
        ("a [b]", Unexpected, 2),
        ("\"a@b", OpenQuote, 0),
        ("a@b (c", OpenComment, 4),
        ("a@b\0", Control, 3),
        ("a@b\r\nBcc: c", Control, 3),
        ("a@b\nc@d", Control, 3),
        ("\"a\0\" <a@b>", Control, 2),
        ("a\u{7f}@b", Control, 1),
    ] {
        let error = AddressList::parse(text.as_bytes()).map(|list| list.to_string()).unwrap_err();
        assert_eq!((error.kind, error.at), (kind, at), "{text}");
    }
}

#[test]
fn octets_that_are_not_utf8() {
    let list = AddressList::parse(b"J\xf6rg <a@b>, \"J\xf6\" <c@d>, x (\xff)\t\xff <e@f>").unwrap();
    let names: Vec<_> = list.mailboxes().map(|mailbox| mailbox.name().unwrap()).collect();
    assert_eq!(names, ["J\u{fffd}rg", "J\u{fffd}", "x \u{fffd}"]);
    for (text, at) in [(&b"a\xf6@b"[..], 1), (b"<a@b\xf6>", 4), (b"x <a.\"\xf6\"@b>", 5)] {
        assert_eq!(AddressList::parse(text).unwrap_err().kind, NotUtf8);
        assert_eq!(AddressList::parse(text).unwrap_err().at, at, "{}", text.escape_ascii());
    }
    // Controls that are no ASCII do not reach a name.
    assert_eq!(told("\"a\u{9b}b\tc\" <a@b>"), "a\u{fffd}b c|a|b");
}

#[test]
fn texts_are_borrowed_where_they_stand() {
    let list = parse("Anna B. <anna@b.test>, \"C, D\" <\"x y\"@z.test>, (c) e@f, g h: i@j;");
    let borrowed = |text: &Cow<'_, str>| matches!(text, Cow::Borrowed(_));
    for mailbox in list.mailboxes() {
        assert!(mailbox.name.as_ref().is_none_or(borrowed), "{mailbox}");
        assert!(borrowed(&mailbox.address.local) && borrowed(&mailbox.address.domain), "{mailbox}");
    }
    let Some(Address::Group(group)) = list.addresses().last() else { panic!("no group") };
    assert!(borrowed(&group.name));
    assert_eq!(list.clone().into_owned(), list);
}

#[test]
fn one_domain_of_the_authors() {
    use AuthorError::*;
    let of = |text: &str| parse(text).author_domain().map(|domain| domain.to_string());
    assert_eq!(of("a@b.test"), Ok("b.test".into()));
    assert_eq!(of("A <a@b.test>, c@B.TEST"), Ok("b.test".into()));
    assert_eq!(of("g: a@b.test;"), Ok("b.test".into()));
    assert_eq!(of("a@b.test, c@d.test"), Err(Several));
    assert_eq!(of("a@b.test, g: c@d.test;"), Err(Several));
    assert_eq!(of("g:;"), Err(Nobody));
    assert_eq!(of(""), Err(Nobody));
    assert_eq!(of("a@[192.0.2.1]"), Err(Literal));
    assert!(matches!(of("a@b_c.test"), Err(Domain(_))));
    assert!(matches!(of("a@b.test, c@d..test"), Err(Domain(_))));
}

#[test]
fn mailboxes_of_smtp() {
    let of = |text: &str| parse(text).mailboxes().next().unwrap().address().mailbox();
    for text in ["a@b.test", "\"a b\"@c.test", "a@[192.0.2.1]", "\u{f6}@\u{fc}.test"] {
        assert_eq!(of(text), Ok(text.parse().unwrap()));
        let mailbox = of(text).unwrap();
        assert_eq!(AddrSpec::from(&mailbox).to_string(), mailbox.to_string());
    }
    for text in ["a@b.test.", "a@x_y.test", "a@[x]", "a@123", "\"a\tb\"@c.test", "a@-b.test"] {
        assert!(of(text).is_err(), "{text}");
    }
    assert!(of(&format!("{}@b.test", "a".repeat(65))).is_err());
}

#[test]
fn one_address() {
    let parse = |text: &'static str| AddrSpec::parse(text.as_bytes()).map(|address| address.to_string());
    assert_eq!(parse(" (x) a@b (y)"), Ok("a@b".into()));
    assert_eq!(parse("a@b, c@d"), Err(Unexpected.at(3)));
    assert_eq!(parse("A <a@b>"), Err(Unexpected.at(2)));
    assert_eq!(parse("a"), Err(NoDomain.at(0)));
    assert_eq!(parse(""), Err(Missing.at(0)));
}

#[test]
fn printing_quotes_what_it_must() {
    let address = || AddrSpec::parse(b"a@b").unwrap();
    for (name, printed) in [
        ("Anna B", "Anna B <a@b>"),
        ("Anna B.", "\"Anna B.\" <a@b>"),
        ("", "\"\" <a@b>"),
        (" x", "\" x\" <a@b>"),
        ("x  y", "\"x  y\" <a@b>"),
        ("<evil@c>, x", "\"<evil@c>, x\" <a@b>"),
        ("say \"\\\"", "\"say \\\"\\\\\\\"\" <a@b>"),
        ("J\u{f6}rg", "J\u{f6}rg <a@b>"),
        ("(x)", "\"(x)\" <a@b>"),
    ] {
        assert_eq!(NameAddr::new(name, address()).unwrap().to_string(), printed);
        assert_eq!(parse(printed).mailboxes().next().unwrap().name(), Some(name));
        let group = Group::new(name, vec![address().into(), address().into()]).unwrap();
        let start = printed.strip_suffix(" <a@b>").unwrap();
        assert_eq!(group.to_string(), format!("{start}: a@b, a@b;"));
    }
    for name in ["a\r\nb", "a\nb", "a\rb", "a\0b", "a\tb", "a\u{85}b"] {
        assert_eq!(NameAddr::new(name, address()).unwrap_err(), Control.at(1));
        assert_eq!(Group::new(name, Vec::new()).unwrap_err(), Control.at(1));
    }
    let empty = Group::new("g", Vec::new()).unwrap();
    let list = AddressList::from(vec![Address::Group(empty), Address::Mailbox(address().into())]);
    assert_eq!(list.to_string(), "g:;, a@b");
}

/// C1.34: each octet is looked at a few times at most, whatever the value.
#[test]
fn c1_34_linear_work() {
    const SIZE: usize = 64 * 1024;
    for unit in [
        "(",
        "()",
        "((((x))))",
        "(\\",
        "a ",
        "a.",
        ".",
        "<",
        ",",
        "\"",
        "\"\\\"",
        "\"\" ",
        "\"a\" ",
        "@",
        "a@",
        "a@b,",
        "a@b ",
        ":",
        "a:",
        "a:;",
        "a:b@c",
        "[",
        "[]",
        "[x] ",
        "<@",
        "<@a,",
        "<@a:",
        "<a@b>",
        "<a@b>,",
        "\\",
        "a(",
        " ",
        "\t",
        "\r\n ",
        "a\r\n ",
        ">",
        ";",
        "a;",
        "a <",
        "=?",
        "\u{e9}",
        "a@b.(x)",
        "a (x) ",
        "\"\r\n ",
        "a@[b]",
        "\"x\".",
        ". \"x\" ",
    ] {
        for (before, after) in [
            ("", ""),
            ("x ", " <a@b>"),
            ("<", "@b>"),
            ("a@", ""),
            ("\"", "\"@b"),
            ("g:", ";"),
            ("<@a:", "b@c>"),
            ("(", ")a@b"),
        ] {
            let text = format!("{before}{}{after}", unit.repeat(SIZE / unit.len()));
            let steps = parse::steps(text.as_bytes());
            assert!(steps <= 8 * text.len(), "{steps} steps for {} octets of {before}{unit:?}{after}", text.len());
        }
    }
}

#[test]
fn lists_are_bounded() {
    let list = |count: usize| "a@b,".repeat(count);
    assert_eq!(parse(&list(10_000)).mailboxes().count(), 10_000);
    let long = list(10_001);
    assert_eq!(AddressList::parse(long.as_bytes()).unwrap_err(), TooMany.at(40_000));
    let groups = format!("g:{};", list(10_000));
    assert_eq!(AddressList::parse(groups.as_bytes()).unwrap_err().kind, TooMany);
}

fn name() -> impl Strategy<Value = String> {
    "[ -~\u{e9}\u{fffd}]{0,12}|[a-z]{1,5}( [a-z]{1,5}){0,2}"
}

fn address() -> impl Strategy<Value = NameAddr<'static>> {
    let local = "[a-z]{1,5}(\\.[a-z]{1,5})?|[ -~]{1,10}|\u{fc}";
    let domain = "[a-z]{1,5}(\\.[a-z]{1,5}){0,2}|\\[[!-Z^-~]{0,9}\\]|\u{fc}\\.test";
    (proptest::option::of(name()), local, domain).prop_map(|(name, local, domain)| {
        let address = AddrSpec { local: Cow::Owned(local), domain: Cow::Owned(domain) };
        match name {
            Some(name) => NameAddr::new(name, address).unwrap(),
            None => address.into(),
        }
    })
}

proptest! {
    #[test]
    fn what_is_printed_reads_the_same(
        addresses in proptest::collection::vec(prop_oneof![
            address().prop_map(Address::Mailbox),
            (name(), proptest::collection::vec(address(), 0..3))
                .prop_map(|(name, members)| Address::Group(Group::new(name, members).unwrap())),
        ], 0..5),
    ) {
        let list = AddressList::from(addresses);
        let printed = list.to_string();
        let read = AddressList::parse(printed.as_bytes()).unwrap();
        prop_assert_eq!(read.addresses(), list.addresses(), "{}", printed);
    }

    #[test]
    fn what_is_read_prints_the_same(text in "([ab@<>:;,.\"\\\\()\\[\\]\t=?\u{e9}\u{85}\0]| |\r\n |a@b|<a@b>|@c:|\\(x\\)){0,14}") {
        crate::fuzzing::addresses(text.as_bytes());
    }

    #[test]
    fn every_mailbox_of_smtp_is_an_address(text in "([a-z.!]{1,5}|\"[ -~]{0,8}\")@([a-z.-]{1,6}|\\[[0-9.]{7}\\])") {
        if let Ok(mailbox) = text.parse::<Mailbox>() {
            prop_assert_eq!(AddrSpec::from(&mailbox).mailbox(), Ok(mailbox));
        }
    }
}
