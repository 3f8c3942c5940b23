use hikyaku_dns::{Error, RecordType};
use results::Spf;

use super::*;

#[test]
fn the_identities() {
    let zone = zone(&[("a.test", "v=spf1 ip4:192.0.2.1 -all"), ("h.test", "v=spf1 ip4:192.0.2.2 ~all")]);
    let records = Records::new(&zone);
    let ask = |identity, hello, sender| {
        let lookups = records.lookups(instant(), Budget::default());
        let outcome = now(check(&lookups, &question("192.0.2.1", hello, sender), identity));
        assert_eq!(outcome.identity, identity);
        (outcome.result, outcome.domain.map(|domain| domain.to_string()))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(ask(Identity::Helo, "H.test", "u@a.test"), (Spf::SoftFail, some("h.test")));
    assert_eq!(ask(Identity::Helo, "a.test.", ""), (Spf::Pass, some("a.test")));
    assert_eq!(ask(Identity::MailFrom, "h.test", "u@A.test"), (Spf::Pass, some("a.test")));
    assert_eq!(ask(Identity::MailFrom, "h.test", ""), (Spf::SoftFail, some("h.test")));
    assert_eq!(ask(Identity::MailFrom, "h.test", "\"a@b\"@a.test"), (Spf::Pass, some("a.test")));
    assert_eq!(ask(Identity::MailFrom, "h.test", "@a.test"), (Spf::Pass, some("a.test")));
    assert_eq!(ask(Identity::MailFrom, "h.test", "u@b.test"), (Spf::None, some("b.test")));
}

/// RFC 7208 §2.4, §4.3.
#[test]
fn who_names_no_user_is_the_postmaster() {
    let zone = zone(&[("a.test", "v=spf1 -all exp=e.test"), ("e.test", "%{s} %{l} %{o} %{h}")]);
    let records = Records::new(&zone);
    for (identity, hello, sender, says) in [
        (Identity::Helo, "a.test", "u@b.test", "postmaster@a.test postmaster a.test a.test"),
        (Identity::MailFrom, "a.test", "", "postmaster@a.test postmaster a.test a.test"),
        (Identity::MailFrom, "h", "@a.test", "postmaster@a.test postmaster a.test h"),
        (Identity::MailFrom, "h", "a.test", "postmaster@a.test postmaster a.test h"),
        (Identity::MailFrom, "h", "U@A.test", "U@a.test U a.test h"),
    ] {
        let lookups = records.lookups(instant(), Budget::default());
        let outcome = now(check(&lookups, &question("192.0.2.1", hello, sender), identity));
        assert_eq!(outcome.explanation.as_deref(), Some(says), "{sender}");
    }
}

#[test]
fn a_claim_without_a_domain_is_none_without_lookups() {
    let zone = Zone::default();
    let records = Records::new(&zone);
    let label = "a".repeat(64) + ".test";
    let name = "abc.".repeat(64) + "test";
    let hellos =
        ["", ".", "localhost", "localhost.", "[192.0.2.1]", "[IPv6:::1]", "192.0.2.1", "::1", "a..test", ".test"];
    for hello in hellos.into_iter().chain([&*label, &name, "a b.test", "a\0.test", "a.test..", "a\u{fc}_.test"]) {
        let lookups = records.lookups(instant(), Budget::default());
        let outcome = now(check(&lookups, &question("192.0.2.1", hello, ""), Identity::Helo));
        assert_eq!(
            (outcome.result, outcome.domain, outcome.reason),
            (Spf::None, None, Some(Reason::NoDomain)),
            "{hello}"
        );
        assert_eq!(lookups.asked(), 0);
    }
}

#[test]
fn u_labels_are_looked_up_as_a_labels() {
    let zone = zone(&[
        ("xn--bcher-kva.test", "v=spf1 exists:%{l}.l.test exists:%{l1}.l.test ?exists:%{h}.h.test -exists:%{o}.o.test"),
        ("*.l.test", "A 127.0.0.2"),
        ("xn--hlo-bma.test.h.test", "A 127.0.0.2"),
        ("xn--bcher-kva.test.o.test", "A 127.0.0.2"),
    ]);
    let ask = |hello, sender| {
        let (trace, _) = counted(&zone, &question("192.0.2.1", hello, sender), Budget::default());
        trace.outcome.result
    };
    assert_eq!(ask("x.test", "u@b\u{fc}cher.test"), Spf::Pass);
    assert_eq!(ask("x.test", "\u{fc}@b\u{fc}cher.test"), Spf::Fail);
    assert_eq!(ask("h\u{e9}lo.test", "\u{fc}@b\u{fc}cher.test"), Spf::Neutral);
}

#[test]
fn mapped_addresses_are_ipv4() {
    let zone = zone(&[("a.test", "v=spf1 -ip6:::/0 -a//0 ip4:192.0.2.1 -all"), ("a.test", "AAAA ::1")]);
    assert_eq!(checked(&zone, "::ffff:192.0.2.1", "u@a.test").result, Spf::Pass);
    assert_eq!(checked(&zone, "2001:db8::1", "u@a.test").result, Spf::Fail);
}

#[test]
fn prefixes_are_compared_to_the_bit() {
    for (term, client, inside) in [
        ("ip4:192.0.2.0/24", "192.0.2.255", true),
        ("ip4:192.0.2.0/24", "192.0.3.0", false),
        ("ip4:192.0.2.4/31", "192.0.2.5", true),
        ("ip4:192.0.2.4/31", "192.0.2.6", false),
        ("ip4:192.0.2.4", "192.0.2.5", false),
        ("ip4:1.2.3.4/0", "255.255.255.255", true),
        ("ip4:128.0.0.0/1", "255.0.0.0", true),
        ("ip4:128.0.0.0/1", "127.0.0.0", false),
        ("ip6:2001:db8::/32", "2001:db8:ffff::1", true),
        ("ip6:2001:db8::/32", "2001:db9::1", false),
        ("ip6:2001:db8::1", "2001:db8::1", true),
        ("ip6:2001:db8::/127", "2001:db8::1", true),
        ("ip6:2001:db8::/127", "2001:db8::2", false),
        ("ip6:2001:db8::1", "2001:db8::", false),
        ("ip6:::/0", "ffff::1", true),
        ("ip6:8000::/1", "7fff::", false),
        ("a:h.test/24", "192.0.2.200", true),
        ("a:h.test/25", "192.0.2.200", false),
        ("a:h.test", "192.0.2.7", true),
        ("a:h.test//64", "192.0.2.8", false),
        ("a:h.test//64", "2001:db8::9", true),
        ("a:h.test/0", "2001:db8::9", false),
        ("mx:m.test/24", "192.0.2.200", true),
        ("mx:m.test", "192.0.2.200", false),
        ("mx:m.test//64", "2001:db8::9", true),
        ("mx:m.test//128", "2001:db8::7", true),
        ("a/0", "192.0.2.1", false),
    ] {
        let zone = zone(&[
            ("a.test", &format!("v=spf1 {term} -all")),
            ("h.test", "A 192.0.2.7"),
            ("h.test", "AAAA 2001:db8::7"),
            ("m.test", "MX 10 h.test"),
        ]);
        let expected = if inside { Spf::Pass } else { Spf::Fail };
        assert_eq!(checked(&zone, client, "u@a.test").result, expected, "{term} {client}");
    }
}

#[test]
fn qualifiers_and_the_order_of_directives() {
    assert_eq!(result(&[("a.test", "v=spf1 ip4:192.0.2.1 -all")]), Spf::Pass);
    assert_eq!(result(&[("a.test", "v=spf1 -ip4:192.0.2.0/24 +all")]), Spf::Fail);
    assert_eq!(result(&[("a.test", "v=spf1 ~all +all")]), Spf::SoftFail);
    assert_eq!(result(&[("a.test", "v=spf1 ?all -all")]), Spf::Neutral);
    assert_eq!(result(&[("a.test", "v=spf1 ip4:192.0.2.2")]), Spf::Neutral);
    assert_eq!(result(&[("a.test", "v=spf1")]), Spf::Neutral);
    assert_eq!(result(&[("a.test", "v=spf1 redirect=b.test ~all"), ("b.test", "v=spf1 -all")]), Spf::SoftFail);
}

/// RFC 7208 §5.2.
#[test]
fn what_include_makes_of_a_result() {
    let with = |included: &str| {
        let lines = [("a.test", "v=spf1 ~include:b.test -all"), ("b.test", included), ("e.test", "v=spf1 foo")];
        let outcome = checked(&zone(&lines), "192.0.2.1", "u@a.test");
        (outcome.result, outcome.reason.is_some())
    };
    assert_eq!(with("v=spf1 +all"), (Spf::SoftFail, false));
    assert_eq!(with("v=spf1 -all"), (Spf::Fail, false));
    assert_eq!(with("v=spf1 ~all"), (Spf::Fail, false));
    assert_eq!(with("v=spf1 ?all"), (Spf::Fail, false));
    assert_eq!(with("v=spf1"), (Spf::Fail, false));
    assert_eq!(with("nothing"), (Spf::PermError, true));
    assert_eq!(with("v=spf1 all bar"), (Spf::PermError, true));
    assert_eq!(with("v=spf1 redirect=c.test"), (Spf::PermError, true));
    assert_eq!(with("v=spf1 include:e.test"), (Spf::PermError, true));
    // A match before it is enough.
    assert_eq!(result(&[("a.test", "v=spf1 ip4:192.0.2.1 include:nowhere.test")]), Spf::Pass);
}

#[test]
fn reasons_name_what_is_wrong() {
    let by = name("a.test");
    let gone = name("gone.test");
    assert_eq!(reason(&[("b.test", "v=spf1")]), Reason::NoRecord { domain: by.clone() });
    let referred = Reason::NoRecordReferredTo { domain: gone, by: by.clone() };
    assert_eq!(reason(&[("a.test", "v=spf1 include:gone.test")]), referred);
    assert_eq!(reason(&[("a.test", "v=spf1 redirect=gone.test")]), referred);
    assert_eq!(
        reason(&[("a.test", "v=spf1 include:%{h1}")]),
        Reason::NoTarget { domain: by.clone(), target: "%{h1}".to_owned() }
    );
    assert_eq!(
        reason(&[("a.test", "v=spf1 redirect=%{l}..test")]),
        Reason::NoTarget { domain: by.clone(), target: "%{l}..test".to_owned() }
    );
    let error = "v=spf1 a foo".parse::<Record>().unwrap_err();
    assert_eq!(
        reason(&[("a.test", "v=spf1 include:b.test"), ("b.test", "v=spf1 a foo")]),
        Reason::Syntax { domain: name("b.test"), error }
    );
    let mut zone = zone(&[("a.test", "v=spf1 mx:b.test -all"), ("b.test", "MX 0 c.test")]);
    zone.failures.insert((name("c.test"), RecordType::A), Error::Timeout.into());
    let outcome = checked(&zone, "192.0.2.1", "u@a.test");
    let dns = Reason::Dns { name: name("c.test"), record_type: RecordType::A, error: Error::Timeout };
    assert_eq!((outcome.result, outcome.reason), (Spf::TempError, Some(dns)));
    // The same name is not needed for this client.
    assert_eq!(checked(&zone, "2001:db8::1", "u@a.test").result, Spf::Fail);
}

#[test]
fn a_failing_lookup_is_temporary_wherever_it_is_needed() {
    let lines = [("a.test", ""), ("m.test", "MX 0 f.test")];
    for (record, result) in [
        ("v=spf1 a:f.test all", Spf::TempError),
        ("v=spf1 mx:f.test all", Spf::TempError),
        ("v=spf1 mx:m.test all", Spf::TempError),
        ("v=spf1 exists:f.test all", Spf::TempError),
        ("v=spf1 include:f.test all", Spf::TempError),
        ("v=spf1 redirect=f.test", Spf::TempError),
        ("v=spf1 include:i.test all", Spf::TempError),
        ("v=spf1 all a:f.test", Spf::Pass),
        // Those of `ptr` and of the explanation find nothing (RFC 7208 §5.5, §6.2).
        ("v=spf1 ptr -all", Spf::Fail),
        ("v=spf1 -all exp=f.test", Spf::Fail),
        ("v=spf1 -all exp=%{p}.f.test", Spf::Fail),
        ("v=spf1 exists:%{p}.test -all", Spf::Fail),
    ] {
        let mut zone = zone(&[(lines[0].0, record), lines[1], ("i.test", "v=spf1 a:f.test")]);
        for failing in [name("f.test"), Name::reverse([192, 0, 2, 1].into())] {
            for record_type in [RecordType::A, RecordType::MX, RecordType::TXT, RecordType::PTR] {
                zone.failures.insert((failing.clone(), record_type), Error::ServerFailure.into());
            }
        }
        let outcome = checked(&zone, "192.0.2.1", "u@a.test");
        assert_eq!((outcome.result, outcome.explanation), (result, None), "{record}");
    }
    let mut zone = Zone::default();
    zone.failures.insert((name("a.test"), RecordType::TXT), Error::Bogus.into());
    assert_eq!(checked(&zone, "192.0.2.1", "u@a.test").result, Spf::TempError);
}

/// RFC 7208 §5.7: addresses of IPv4 are asked for, whatever the client has.
#[test]
fn exists_asks_for_ipv4() {
    let zone = zone(&[
        ("a.test", "v=spf1 exists:%{i}.b.test -exists:c.test"),
        ("*.b.test", "AAAA ::1"),
        ("c.test", "A 127.0.0.2"),
    ]);
    assert_eq!(checked(&zone, "2001:db8::1", "u@a.test").result, Spf::Fail);
    assert_eq!(checked(&zone, "192.0.2.1", "u@a.test").result, Spf::Fail);
}

/// RFC 7208 §5.5.
#[test]
fn ptr_matches_names_that_lead_back() {
    let with = |target: &str, names: &[&str]| {
        let mut lines = vec![("a.test".to_owned(), format!("v=spf1 ptr{target} -all"))];
        for name in names {
            lines.push(("1.2.0.192.in-addr.arpa".to_owned(), format!("PTR {name}")));
            let address = if name.contains("liar") { "A 192.0.2.9" } else { "A 192.0.2.1" };
            lines.push(((*name).to_owned(), address.to_owned()));
        }
        let lines: Vec<_> = lines.iter().map(|(owner, data)| (owner.as_str(), data.as_str())).collect();
        result(&lines)
    };
    assert_eq!(with("", &["a.test"]), Spf::Pass);
    assert_eq!(with("", &["x.A.test"]), Spf::Pass);
    assert_eq!(with("", &["xa.test"]), Spf::Fail);
    assert_eq!(with("", &["test"]), Spf::Fail);
    assert_eq!(with("", &["liar.a.test"]), Spf::Fail);
    assert_eq!(with("", &["liar.a.test", "honest.a.test"]), Spf::Pass);
    assert_eq!(with(":b.test", &["x.a.test"]), Spf::Fail);
    assert_eq!(with(":b.test", &["x.a.test", "b.test"]), Spf::Pass);
    assert_eq!(with("", &[]), Spf::Fail);

    // A name whose address is not known is passed over.
    let names = [("a.test", "v=spf1 ptr -all"), ("1.2.0.192.in-addr.arpa", "PTR f.a.test")];
    for (second, result) in [("PTR g.a.test", Spf::Pass), ("PTR f.a.test", Spf::Fail)] {
        let lines = [&names[..], &[("1.2.0.192.in-addr.arpa", second), ("g.a.test", "A 192.0.2.1")]].concat();
        let mut zone = zone(&lines);
        zone.failures.insert((name("f.a.test"), RecordType::A), Error::Timeout.into());
        assert_eq!(checked(&zone, "192.0.2.1", "u@a.test").result, result);
    }
}

/// RFC 7208 §7.3: the name itself, else one below it, else any.
#[test]
fn the_macro_p_takes_the_closest_name() {
    let reverse = "1.2.0.192.in-addr.arpa";
    let says = |names: &[&str]| {
        let mut lines = vec![("a.test", "v=spf1 -all exp=e.test"), ("e.test", "%{p}")];
        let names: Vec<_> = names.iter().map(|name| (*name, format!("PTR {name}"))).collect();
        for (name, ptr) in &names {
            lines.push((reverse, ptr));
            if !name.contains("liar") {
                lines.push((name, "A 192.0.2.1"));
            }
        }
        checked(&zone(&lines), "192.0.2.1", "u@a.test").explanation.unwrap()
    };
    assert_eq!(says(&["b.test", "x.a.test", "a.test"]), "a.test");
    assert_eq!(says(&["b.test", "x.a.test", "y.a.test"]), "x.a.test");
    assert_eq!(says(&["liar.a.test", "b.test"]), "b.test");
    assert_eq!(says(&["liar.a.test"]), "unknown");
    assert_eq!(says(&[]), "unknown");
}

/// RFC 7208 §6.2.
#[test]
fn explanations() {
    let says = |lines: &[(&str, &str)]| checked(&zone(lines), "192.0.2.1", "u@a.test").explanation;
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(says(&[("a.test", "v=spf1 -all exp=e.test"), ("e.test", "No %{i}.")]), text("No 192.0.2.1."));
    assert_eq!(says(&[("a.test", "v=spf1 ~all exp=e.test"), ("e.test", "No.")]), None);
    // Strings are put together with nothing between them.
    let long = "ab ".repeat(100);
    assert_eq!(says(&[("a.test", "v=spf1 -all exp=e.test"), ("e.test", &long)]), text(&long));
    for texts in [&[][..], &["No.", "Never."], &["%{x}"], &["100%"], &["N\u{e9}"], &["\u{200b}"], &[""], &["a\tb"]] {
        let mut lines = vec![("a.test", "v=spf1 -all exp=e.test")];
        lines.extend(texts.iter().map(|text| ("e.test", *text)));
        assert_eq!(says(&lines), None, "{texts:?}");
    }
    // That of an include means nothing, that of a redirection takes the place of the first.
    let include = [("a.test", "v=spf1 include:b.test -all"), ("b.test", "v=spf1 -all exp=e.test"), ("e.test", "No.")];
    assert_eq!(says(&include), None);
    let redirect = [("a.test", "v=spf1 redirect=b.test exp=f.test"), ("b.test", "v=spf1 -all exp=%{d1r}.e.test")];
    assert_eq!(
        says(&[&redirect[..], &[("f.test", "F"), ("b.e.test", "%{d} of %{o}")]].concat()),
        text("b.test of a.test")
    );
    let without = [("a.test", "v=spf1 redirect=b.test exp=e.test"), ("b.test", "v=spf1 -all"), ("e.test", "No.")];
    assert_eq!(says(&without), None);
}

#[test]
fn d56_several_records_and_other_versions() {
    assert_eq!(
        reason(&[("a.test", "v=spf1 -all"), ("a.test", "V=SPF1"), ("a.test", "x")]),
        Reason::SeveralRecords { domain: name("a.test"), count: 2 }
    );
    assert_eq!(result(&[("a.test", "v=spf1 +all"), ("a.test", "v=spf1 foo")]), Spf::PermError);
    assert_eq!(result(&[("a.test", "v=spf10 -all")]), Spf::None);
    assert_eq!(result(&[("a.test", "v=spf10 -all"), ("a.test", "v=spf1 -all")]), Spf::Fail);
    assert_eq!(result(&[("a.test", " v=spf1 -all")]), Spf::None);
}

#[test]
fn d56_ten_terms_and_not_eleven() {
    let includes = |count: usize| {
        let mut lines: Vec<_> =
            (0..count).map(|at| (format!("i{at}.test"), "v=spf1 ip4:192.0.2.9".to_owned())).collect();
        let terms: Vec<_> = (0..count).map(|at| format!("include:i{at}.test")).collect();
        lines.push(("a.test".to_owned(), format!("v=spf1 {} -all", terms.join(" "))));
        let lines: Vec<_> = lines.iter().map(|(owner, data)| (owner.as_str(), data.as_str())).collect();
        checked(&zone(&lines), "192.0.2.1", "u@a.test")
    };
    assert_eq!(includes(10).result, Spf::Fail);
    let reason = Reason::TooManyTerms { domain: name("a.test"), term: "include:i10.test".to_owned() };
    assert_eq!(includes(11).reason, Some(reason));
    // Each kind counts, and those that need no lookup do not.
    for term in ["a:h.test", "mx:h.test", "ptr:h.test", "exists:x%{i}.h.test", "include:n.test"] {
        let zone = |count: usize| {
            zone(&[
                (
                    "a.test",
                    &format!("v=spf1 ip4:9.9.9.9 ip6:::1 {}?all exp=h.test x=y", format!("{term} ").repeat(count)),
                ),
                ("h.test", "A 192.0.2.7"),
                ("h.test", "MX 0 h.test"),
                ("n.test", "v=spf1"),
                ("*.h.test", "MX 0 h.test"),
                ("1.2.0.192.in-addr.arpa", "PTR h.test"),
            ])
        };
        if !term.starts_with("exists") {
            assert_eq!(checked(&zone(10), "192.0.2.1", "u@a.test").result, Spf::Neutral, "{term}");
        }
        let eleven = checked(&zone(11), "192.0.2.1", "u@a.test");
        assert_eq!(eleven.result, Spf::PermError, "{term}");
    }
    // The redirection is the eleventh.
    let redirect = |count: usize| {
        result(&[
            ("a.test", &format!("v=spf1 {}redirect=b.test", "a:h.test ".repeat(count))),
            ("h.test", "A 192.0.2.7"),
            ("b.test", "v=spf1 -all"),
        ])
    };
    assert_eq!((redirect(9), redirect(10)), (Spf::Fail, Spf::PermError));
}

#[test]
fn d56_two_void_lookups_and_not_three() {
    let with = |terms: &str| {
        result(&[("a.test", &format!("v=spf1 {terms} ?all")), ("d.test", "A 192.0.2.9"), ("v.test", "MX 0 d.test")])
    };
    for term in ["a:n.test", "mx:n.test", "exists:n.test", "ptr:n.test", "a:v.test", "mx:d.test"] {
        assert_eq!(with(&format!("{term} {term}")), Spf::Neutral, "{term}");
        assert_eq!(with(&format!("{term} a:d.test {term} {term}")), Spf::PermError, "{term}");
    }
    let text = "a:n.test mx:n.test exists:n.test";
    assert_eq!(
        reason(&[("a.test", &format!("v=spf1 {text}"))]),
        Reason::TooManyVoidLookups { domain: name("a.test"), term: "exists:n.test".to_owned() }
    );
    // Not counted are a name that is none, hosts of an exchange, and what the macro p looks for.
    assert_eq!(with("a:%{l}..test a:%{l}..test a:%{l}..test a:n.test a:n.test"), Spf::Neutral);
    assert_eq!(with("mx:v.test mx:v.test mx:v.test"), Spf::Neutral);
    assert_eq!(with("exists:%{p}.n.test a:n.test"), Spf::Neutral);
    // Counted over all records.
    let nested = [("a.test", "v=spf1 a:n.test include:b.test a:n.test ?all"), ("b.test", "v=spf1 a:n.test")];
    assert_eq!(result(&nested), Spf::PermError);
    let explanation = [("a.test", "v=spf1 a:n.test a:n.test -all exp=n.test")];
    assert_eq!(result(&explanation), Spf::Fail);
}

#[test]
fn d56_ten_exchanges_and_not_eleven() {
    let with = |count: usize| {
        let mut lines = vec![("a.test".to_owned(), "v=spf1 mx -all".to_owned())];
        for at in 0..count {
            lines.push(("a.test".to_owned(), format!("MX {} m{at}.test", 100 - at)));
            lines.push((format!("m{at}.test"), format!("A 192.0.2.{}", at + 1)));
        }
        let lines: Vec<_> = lines.iter().map(|(owner, data)| (owner.as_str(), data.as_str())).collect();
        counted(&zone(&lines), &question("192.0.2.1", "h.test", "u@a.test"), Budget::default())
    };
    let (trace, asked) = with(10);
    // The host of the client has the worst preference: it is asked for last.
    assert_eq!((trace.outcome.result, asked), (Spf::Pass, 12));
    let (trace, asked) = with(11);
    let reason = Reason::TooManyExchanges { name: name("a.test"), count: 11 };
    assert_eq!((trace.outcome.reason, asked), (Some(reason), 2));
    // A domain without mail.
    let (trace, asked) = counted(
        &zone(&[("a.test", "v=spf1 mx -all"), ("a.test", "MX 0 .")]),
        &question("192.0.2.1", "h.test", "u@a.test"),
        Budget::default(),
    );
    assert_eq!((trace.outcome.result, asked), (Spf::Fail, 2));
}

#[test]
fn d56_loops_end() {
    let own = |record: &str| {
        counted(&zone(&[("a.test", record)]), &question("192.0.2.1", "h.test", "u@a.test"), Budget::default())
    };
    for record in ["v=spf1 include:a.test", "v=spf1 redirect=a.test", "v=spf1 ?include:a.test redirect=a.test"] {
        let (trace, asked) = own(record);
        assert!(matches!(trace.outcome.reason, Some(Reason::TooManyTerms { .. })), "{trace}");
        assert_eq!((trace.outcome.result, trace.terms, asked), (Spf::PermError, 10, 11), "{record}");
    }
    let both = [("a.test", "v=spf1 include:b.test"), ("b.test", "v=spf1 redirect=a.test")];
    assert_eq!(result(&both), Spf::PermError);
}

#[test]
fn d56_the_macro_p_without_a_name_is_unknown() {
    assert_eq!(result(&[("a.test", "v=spf1 exists:%{p}.x.test -all"), ("unknown.x.test", "A 127.0.0.2")]), Spf::Pass);
}
