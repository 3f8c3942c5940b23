//! What deciding and counting take of memory.

use std::time::Duration;

use hikyaku_policy::{
    Condition, DomainRole, Facts, Finding, HostSet, Identifier, List, Listener, Members, Message, NetworkSet, Per,
    Period, Policy, PolicyBuilder, Rate, Rates, Rule, Stage, Test, Triplets, Trust, Window,
};
use hikyaku_wire::{Reply, Timestamp};

fn name(kind: &str, number: usize) -> Identifier {
    format!("{kind}{number}").parse().unwrap()
}

/// 100 rules with lists, and every kind of test in one of them.
fn policy() -> Policy {
    let mut builder = PolicyBuilder::default();
    for n in 0..50 {
        let networks = format!("10.{n}.0.0/16, 2001:db8:{n:x}::/48").parse().unwrap();
        builder.lists.push(List::new(name("net", n), Members::Networks(Trust::Trusted, networks)));
        let domains = format!("d{n}.test, *.w{n}.test, [192.0.2.{n}]").parse().unwrap();
        builder.lists.push(List::new(name("dom", n), Members::Domains(DomainRole::Local, domains)));
        builder.lists.push(List::new(name("users", n), Members::Users(vec![format!("user{n}")])));
    }
    let window = Window { period: Period::Hour, per: Per::Ip };
    let unlikely = [
        Test::Listed { zone: "zen.example".parse().unwrap(), at_least: 3 },
        Test::Custom("odd".parse().unwrap()),
        Test::Spf(vec![hikyaku_message::results::Spf::Fail]),
        Test::Name(HostSet::List(name("dom", 1))),
        Test::Helo(HostSet::List(name("dom", 1))),
        Test::Authenticated(Some(name("users", 1))),
        Test::To(HostSet::Mailbox("abuse@example.org".parse().unwrap())),
        Test::Size(1_000_000),
    ];
    builder.rules.extend(unlikely.map(|test| Rule::refuse(Reply::RELAY_DENIED_550, test)));
    let below = Condition::from(Test::Rate(Rate { limit: 100, window }));
    builder.rules.push(Rule::defer(Reply::LOCAL_ERROR_451, !below));
    for n in 0..50 {
        let from = Condition::from(Test::From(NetworkSet::List(name("net", n))));
        builder.rules.push(Rule::permit_via("inside".parse().unwrap(), from.and(Test::Tls.into())));
        builder.rules.push(Rule::permit(Test::To(HostSet::List(name("dom", n)))));
    }
    builder.build().unwrap()
}

#[test]
fn a_permit_allocates_nothing() {
    let policy = policy();
    let mut facts = Facts::new(Some("198.51.100.7".parse().unwrap()), Listener::Mx);
    facts.listed = vec![("zen.example".parse().unwrap(), Finding::Is(0))];
    facts.name = Finding::Is(Some("client.example".parse().unwrap()));
    facts.custom = vec![("odd".parse().unwrap(), Finding::Is(false))];
    facts.spf = Finding::Unknown;
    let mut permits = 0;
    let mut decide = |facts: &Facts| {
        let mut permitted = false;
        let counted = allocation_counter::measure(|| permitted = policy.decide(facts).is_permitted());
        assert!(permitted, "{}", policy.explain(facts));
        assert_eq!(counted.count_total, 0, "{}", policy.explain(facts));
        permits += 1;
    };
    decide(&facts);
    facts.hello = Some("[192.0.2.99]".parse().unwrap());
    decide(&facts);
    facts.hello = Some("client.example".parse().unwrap());
    facts.tls = true;
    decide(&facts);
    facts.spf = Finding::Is(hikyaku_message::results::Spf::Pass);
    facts.sender = Some("<\"bob smith\"@sender.example>".parse().unwrap());
    decide(&facts);
    facts.rates = vec![(Window { period: Period::Hour, per: Per::Ip }, 3)];
    for recipient in ["<alice@D49.test>", "<alice@a.b.c.w48.test>", "<alice@[192.0.2.7]>", "<postmaster>"] {
        facts.recipient = Some(recipient.parse().unwrap());
        facts.message = None;
        assert_eq!((facts.stage(), policy.decide(&facts).provisional), (Stage::Recipient, true));
        decide(&facts);
        facts.message = Some(Message::new(1000));
        assert!(!policy.decide(&facts).provisional);
        decide(&facts);
    }
    facts.client = Some("10.49.1.1".parse().unwrap());
    facts.recipient = Some("<eve@elsewhere.example>".parse().unwrap());
    decide(&facts);
    assert_eq!((permits, policy.decide(&facts).route), (13, Some("inside")));
}

/// A million senders from a million addresses: what is held stays the same.
#[test]
fn tables_hold_no_more_than_they_may() {
    const ENTRIES: usize = 5000;
    const KEYS: u32 = 1_000_000;
    let windows = [Per::Ip, Per::Sender].map(|per| Window { period: Period::Hour, per });
    let rule = |window| Rule::permit(Test::Rate(Rate { limit: 5, window }));
    let policy = PolicyBuilder { rules: windows.map(rule).into(), ..PolicyBuilder::default() }.build().unwrap();
    let now = Timestamp::from_civil(2026, 11, 24, 0, 0, 0).unwrap();
    let mut facts = Facts::new(None, Listener::Mx);
    facts.recipient = Some("<alice@example.org>".parse().unwrap());
    let mut change = |n: u32| {
        facts.client = Some(std::net::Ipv4Addr::from_bits(n.wrapping_mul(0x9e37_79b9)).into());
        let letters: String = n.to_string().bytes().map(|digit| char::from(digit + b'a' - b'0')).collect();
        facts.sender = Some(format!("<{letters}@sender.example>").parse().unwrap());
        facts.clone()
    };
    let (mut rates, mut triplets) =
        (Rates::new(ENTRIES), Triplets::new(ENTRIES, Duration::from_secs(300), Duration::from_secs(3000)));
    let counted = allocation_counter::measure(|| {
        for n in 0..KEYS {
            let facts = change(n);
            rates.charge(&policy, &facts, now);
            triplets.see(&facts, now);
        }
    });
    assert_eq!((rates.len(), triplets.len()), (2 * ENTRIES, ENTRIES / 2));
    let most = (2 * ENTRIES + ENTRIES / 2) as u64 * 300;
    assert!(counted.bytes_max < most, "{} octets, at most {most}", counted.bytes_max);
}
