use super::*;

fn report(lines: &[(&str, &str)], client: &str) -> String {
    let zone = zone(lines);
    counted(&zone, &question(client, "mail.client.test", "user@a.test"), Budget::default()).0.to_string()
}

#[test]
fn a_report_says_what_was_asked_and_why_it_did_not_match() {
    let lines = [
        (
            "a.test",
            "v=spf1 ip4:198.51.100.0/24 ip6:2001:db8::/32 include:_spf.b.test mx exists:%{i}.x.test a:%{l}..test ptr -all exp=e.a.test",
        ),
        ("a.test", "MX 10 mx.a.test"),
        ("mx.a.test", "A 198.51.100.9"),
        ("_spf.b.test", "v=spf1 include:c.b.test ~all"),
        ("c.b.test", "v=spf1 a:gone.test"),
        ("1.2.0.192.in-addr.arpa", "PTR liar.a.test"),
        ("e.a.test", "%{i} is not ours"),
    ];
    let expected = "\
a.test: v=spf1 ip4:198.51.100.0/24 ip6:2001:db8::/32 include:_spf.b.test mx exists:%{i}.x.test a:%{l}..test ptr -all exp=e.a.test
  ip4:198.51.100.0/24: no match
  ip6:2001:db8::/32: no match, the client's address is of the other family
  include:_spf.b.test: asked
    _spf.b.test: v=spf1 include:c.b.test ~all
      include:c.b.test: asked
        c.b.test: v=spf1 a:gone.test
            A gone.test: no such name
          a:gone.test: no match, nothing is published there
        c.b.test: neutral
      include:c.b.test: no match, the included record says neutral
      ~all: matches, softfail
    _spf.b.test: softfail
  include:_spf.b.test: no match, the included record says softfail
    MX a.test: 10 mx.a.test.
    A mx.a.test: 198.51.100.9
  mx: no match
    A 192.0.2.1.x.test: no such name
  exists:%{i}.x.test (192.0.2.1.x.test): no match, nothing is published there
  a:%{l}..test: no match, this makes no name
    PTR 1.2.0.192.in-addr.arpa: liar.a.test.
    A liar.a.test: no such name
  ptr: no match, no name of the client leads back to it
  -all: matches, fail
a.test: fail
    TXT e.a.test: \"%{i} is not ours\"
  exp=e.a.test
terms with lookups: 7 of 10, without an answer: 2 of 2
fail
the domain says: 192.0.2.1 is not ours";
    let found = report(&lines, "192.0.2.1");
    assert_eq!(found, expected, "\n{found}");
}

#[test]
fn a_report_ends_with_the_reason() {
    let lines = [("a.test", "v=spf1 redirect=%{d1r}.b.test"), ("a.b.test", "v=spf1 include:c.test"), ("c.test", "x")];
    let expected = "\
a.test: v=spf1 redirect=%{d1r}.b.test
  redirect=%{d1r}.b.test (a.b.test)
a.b.test: v=spf1 include:c.test
  include:c.test: asked
    c.test: no record
terms with lookups: 2 of 10, without an answer: 0 of 2
permerror: c.test publishes no SPF record, but a.b.test refers to it";
    assert_eq!(report(&lines, "192.0.2.1"), expected);
    for (lines, end) in [
        (
            &[][..],
            "a.test: no record, there is no such name\nterms with lookups: 0 of 10, without an answer: 0 of 2\nnone: a.test publishes no SPF record",
        ),
        (
            &[("a.test", "v=spf1 all"), ("a.test", "v=spf1 all")],
            "permerror: a.test publishes 2 SPF records instead of one",
        ),
        (
            &[("a.test", "v=spf1 a mxx -all")],
            "permerror: the SPF record of a.test is wrong: there is no such mechanism: \"mxx\" at octet 9",
        ),
        (
            &[("a.test", "v=spf1 -all exp=e.test")],
            "    TXT e.test: no such name\n  exp=e.test: no text is published there\nterms with lookups: 0 of 10, without an answer: 0 of 2\nfail",
        ),
    ] {
        let found = report(lines, "192.0.2.1");
        assert!(found.ends_with(end), "{found}");
    }
}

#[test]
fn a_trace_is_data_with_the_outcome_of_each_step() {
    let zone = zone(&[("a.test", "v=spf1 a:b.test//64 ?all"), ("b.test", "A 192.0.2.9"), ("b.test", "A 192.0.2.1")]);
    let (trace, _) = counted(&zone, &question("192.0.2.1", "h.test", "u@a.test"), Budget::default());
    let record: Record = "v=spf1 a:b.test//64 ?all".parse().unwrap();
    let directive = record.directives[0].clone();
    let events: Vec<_> = trace.steps.iter().map(|step| (step.depth, &step.event)).collect();
    let addresses = [[192, 0, 2, 9], [192, 0, 2, 1]].map(|address| hikyaku_dns::Data::A(address.into())).to_vec();
    assert_eq!(
        events,
        [
            (0, &Event::Record { domain: name("a.test"), found: Found::Record(record) }),
            (
                0,
                &Event::Lookup {
                    name: name("b.test"),
                    record_type: hikyaku_dns::RecordType::A,
                    answer: Looked::Found(addresses)
                }
            ),
            (0, &Event::Directive { directive, expanded: None, verdict: Verdict::Matched }),
            (0, &Event::End { domain: name("a.test"), result: results::Spf::Pass }),
        ]
    );
    assert_eq!((trace.terms, trace.void_lookups), (1, 0));
}
