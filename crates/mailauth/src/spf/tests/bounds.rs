//! What records of strangers can cost, counted in lookups.

use std::net::Ipv4Addr;

use hikyaku_dns::{Data, Mx};
use results::Spf;

use super::*;

const ENOUGH: Budget = Budget { queries: 10_000 };

fn ask(zone: &Zone, budget: Budget) -> (Trace, u32) {
    counted(zone, &question("192.0.2.1", "h.test", "u@a.test"), budget)
}

fn text(zone: &mut Zone, owner: &str, record: &str) {
    zone.add(name(owner), 60, Data::Txt(Txt::from(record)));
}

#[test]
fn records_that_include_ten_that_include_ten() {
    let mut zone = Zone::default();
    let ten = |below: &str| (0..10).map(|at| format!("include:i{at}.{below}")).collect::<Vec<_>>().join(" ");
    text(&mut zone, "a.test", &format!("v=spf1 {} -all", ten("test")));
    for first in 0..10 {
        text(&mut zone, &format!("i{first}.test"), &format!("v=spf1 {}", ten(&format!("i{first}.test"))));
        for second in 0..10 {
            let owner = format!("i{second}.i{first}.test");
            text(&mut zone, &owner, &format!("v=spf1 {}", ten(&owner)));
            (0..10).for_each(|third| text(&mut zone, &format!("i{third}.{owner}"), "v=spf1 ip4:192.0.2.9"));
        }
    }
    let (trace, asked) = ask(&zone, ENOUGH);
    assert_eq!((trace.outcome.result, trace.terms, asked), (Spf::PermError, 10, 11));
}

/// Ten terms of `mx`, each with ten hosts, each with ten addresses.
fn mx_tree(terms: usize) -> Zone {
    let mut zone = Zone::default();
    let all: Vec<_> = (0..terms).map(|at| format!("mx:m{at}.test")).collect();
    text(&mut zone, "a.test", &format!("v=spf1 {} -all", all.join(" ")));
    for at in 0..terms {
        for host in 0..10 {
            let exchange = name(&format!("h{host}.m{at}.test"));
            zone.add(name(&format!("m{at}.test")), 60, Data::Mx(Mx { preference: 0, exchange: exchange.clone() }));
            (0..10).for_each(|last| zone.add(exchange.clone(), 60, Data::A(Ipv4Addr::new(198, 51, 100, last))));
        }
    }
    zone
}

#[test]
fn ten_mx_of_ten_hosts_are_what_the_rfc_allows_and_the_budget_does_not() {
    let (trace, asked) = ask(&mx_tree(10), ENOUGH);
    assert_eq!((trace.outcome.result, trace.terms, asked), (Spf::Fail, 10, 111));
    let (trace, asked) = ask(&mx_tree(11), ENOUGH);
    assert_eq!((trace.outcome.result, asked), (Spf::PermError, 111));

    // With the budget of a message it is temporary, and the fifty-first question is not asked.
    let (trace, _) = ask(&mx_tree(10), Budget::default());
    assert_eq!(trace.outcome.result, Spf::TempError);
    assert!(matches!(trace.outcome.reason, Some(Reason::Budget { .. })), "{trace}");
    let lookups = trace.steps.iter().filter(|step| match &step.event {
        Event::Lookup { answer, .. } => !matches!(answer, Looked::Failed(_)),
        Event::Record { .. } => true,
        _ => false,
    });
    assert_eq!(lookups.count(), 50);
    assert!(trace.to_string().contains("too many DNS lookups"), "{trace}");
}

#[test]
fn only_ten_names_of_an_address_are_tried() {
    let mut zone = Zone::default();
    text(&mut zone, "a.test", "v=spf1 ptr ptr:b.test -exists:%{p}.c.test -all");
    for at in 0..5000 {
        let client = name(&format!("p{at}.a.test"));
        zone.add(Name::reverse([192, 0, 2, 1].into()), 60, Data::Ptr(client.clone()));
        // The eleventh and those behind it would lead back.
        let address = if at < 10 { [192, 0, 2, 2] } else { [192, 0, 2, 1] };
        zone.add(client, 60, Data::A(address.into()));
    }
    let (trace, asked) = ask(&zone, ENOUGH);
    // The record, the names, ten addresses once for all three terms, and the name of `exists`.
    assert_eq!((trace.outcome.result, asked), (Spf::Fail, 13));
}

#[test]
fn a_name_may_have_any_number_of_addresses() {
    let mut zone = Zone::default();
    text(&mut zone, "a.test", "v=spf1 a -all");
    (0..5000_u32).for_each(|at| zone.add(name("a.test"), 60, Data::A(Ipv4Addr::from_bits(0xC000_1000 + at))));
    zone.add(name("a.test"), 60, Data::A([192, 0, 2, 1].into()));
    assert_eq!(ask(&zone, ENOUGH).0.outcome.result, Spf::Pass);
}

#[test]
fn records_of_64_kib() {
    for (term, result) in [
        ("ip4:198.51.100.1 ", Spf::Neutral),
        ("x=%{d}%{h}%{l} ", Spf::Neutral),
        ("a ", Spf::PermError),
        ("include:a.test ", Spf::PermError),
        ("all:", Spf::PermError),
        ("%", Spf::PermError),
        ("%{", Spf::PermError),
    ] {
        let mut zone = Zone::default();
        text(&mut zone, "a.test", &format!("v=spf1 {}", term.repeat(65_000 / term.len())));
        let (trace, asked) = ask(&zone, ENOUGH);
        assert_eq!(trace.outcome.result, result, "{term}");
        assert!(asked <= 12, "{term} {asked}");
    }
    // A name of 16,000 macros is one lookup.
    let mut zone = Zone::default();
    text(&mut zone, "a.test", &format!("v=spf1 exists:{}.b.test -all", "%{d}".repeat(16_000)));
    let (trace, asked) = ask(&zone, ENOUGH);
    assert_eq!((trace.outcome.result, asked), (Spf::Fail, 2));
    let looked = trace.steps.iter().find_map(|step| match &step.event {
        Event::Lookup { name, .. } => Some(name.to_string().len()),
        _ => None,
    });
    assert!(looked.is_some_and(|length| (240..=253).contains(&length)), "{looked:?}");
}

#[test]
fn a_long_claim_costs_no_lookup_more() {
    let mut zone = Zone::default();
    text(&mut zone, "a.test", "v=spf1 exists:%{h}.x.test exists:%{l}.x.test -all exp=e.test");
    text(&mut zone, "e.test", "%{s} %{h}");
    let (hello, sender) = ("h.".repeat(30_000) + "h", format!("{}@a.test", "u".repeat(60_000)));
    let (trace, asked) = counted(&zone, &question("192.0.2.1", &hello, &sender), ENOUGH);
    assert_eq!(trace.outcome.result, Spf::Fail);
    assert_eq!(trace.outcome.explanation.map(|text| text.len()), Some(400));
    // The name that is looked up lost its left side, with the local part all of it.
    let names = trace.steps.iter().filter_map(|step| match &step.event {
        Event::Lookup { name, .. } => Some(name.to_string().len()),
        _ => None,
    });
    assert_eq!((names.collect::<Vec<_>>(), asked), (vec![252, 6, 6], 4));
}

/// A text that is short enough to keep may take much more when it is read.
#[test]
fn what_is_large_when_read_is_not_kept() {
    let spec = "b.test".parse::<Name>().unwrap();
    for (term, more) in [
        ("a ", 0),
        ("ip4:192.0.2.1 ", 0),
        ("a:b.test ", size_of_val(&spec) + 7),
        ("exists:%{d}%{h}%{s} ", 3 * 8),
        ("x=%{d} ", 8),
    ] {
        let terms = 16_000 / term.len();
        let answer = |terms| {
            let mut zone = Zone::default();
            text(&mut zone, "a.test", &format!("v=spf1 {}", term.repeat(terms)));
            zone
        };
        let sizes = [terms, 1].map(|terms| {
            let zone = answer(terms);
            let records = Records::new(&zone);
            let lookups = records.lookups(instant(), ENOUGH);
            let read = now(lookups.published::<Publication>(&name("a.test"))).unwrap();
            assert!(matches!(*read, Publication::Record(_)), "{term}");
            assert_eq!(records.len(), usize::from(terms == 1), "{term}");
            read.size()
        });
        let item = if term.starts_with("x=") { size_of::<Modifier>() } else { size_of::<Directive>() };
        assert!(sizes[0] >= terms * (item + more), "{term} {sizes:?}");
        assert!(sizes[1] >= size_of::<Publication>() + size_of::<Record>() + item + more, "{term} {sizes:?}");
    }
}
