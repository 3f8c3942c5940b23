//! A policy such as a provider with many customers has one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hikyaku_message::results::Spf;
use hikyaku_policy::{
    Condition, DomainPattern, DomainRole, HostSet, Identifier, List, Members, Network, NetworkSet, PolicyBuilder, Rule,
    Test, Trust,
};
use hikyaku_wire::{Code, EnhancedCode, Reply};

use super::Numbers;

/// How large it is.
#[derive(Clone, Copy)]
pub struct Size {
    /// Rules.
    pub rules: usize,
    /// Members of all lists of domains together.
    pub domains: usize,
    /// Networks in all lists together.
    pub networks: usize,
}

/// 1,000 rules, 10,000 domains and 1,000 networks.
pub const LARGE: Size = Size { rules: 1000, domains: 10_000, networks: 1000 };

pub(super) fn name(text: String) -> Identifier {
    text.parse().expect("a letter, digits and underscores")
}

pub(super) fn refuse(when: impl Into<Condition>) -> Rule {
    Rule::refuse(Reply::new(Code::MAILBOX_UNAVAILABLE_550, EnhancedCode::new(5, 7, 1), "not this way"), when)
}

fn defer(when: impl Into<Condition>) -> Rule {
    let code = Code::new(450).expect("three digits");
    Rule::defer(Reply::new(code, EnhancedCode::new(4, 7, 1), "come again"), when)
}

/// One network of a customer: of four, three are /24 and smaller of IPv4, one is a /48 of IPv6.
fn network(numbers: &mut Numbers, index: usize) -> Network {
    if index % 4 == 3 {
        let site = (0x2001_0db8_u128 << 96) | ((numbers.below(1 << 16) as u128) << 80);
        return Network::new(IpAddr::V6(Ipv6Addr::from_bits(site)), 48).expect("no bits after /48");
    }
    let prefix = 24 + numbers.below(5) as u8;
    let address = 0x5000_0000 | (numbers.below(1 << 24) as u32);
    let address = Ipv4Addr::from_bits(address >> (32 - prefix) << (32 - prefix));
    Network::new(IpAddr::V4(address), prefix).expect("no bits after the prefix")
}

/// A domain of a customer, of ten one with all below it.
fn domain(numbers: &mut Numbers, domains: usize) -> DomainPattern {
    let number = numbers.below(domains * 2);
    let name = format!("customer{number}.{}.example", ["de", "net", "org", "jp"][number % 4]);
    let text = if numbers.below(10) == 0 { format!("*.{name}") } else { name };
    text.parse().expect("a domain")
}

/// The policy: it is closed.
pub fn policy(size: Size) -> PolicyBuilder {
    let mut numbers = Numbers::new(size.rules as u64);
    let tables = (size.rules / 4).max(1);
    let mut lists = Vec::new();
    for table in 0..tables {
        let range = |all: usize| all * table / tables..all * (table + 1) / tables;
        let networks = range(size.networks).map(|index| network(&mut numbers, index)).collect();
        lists.push(List::new(name(format!("net{table}")), Members::Networks(Trust::Trusted, networks)));
        let (mine, senders): (Vec<_>, Vec<_>) = range(size.domains).partition(|index| index % 4 != 3);
        // What a customer has, its neighbours have in part.
        let ours = mine.iter().map(|_| domain(&mut numbers, size.domains)).collect();
        let role = if table % 2 == 0 { DomainRole::Local } else { DomainRole::Relay };
        lists.push(List::new(name(format!("dom{table}")), Members::Domains(role, ours)));
        let senders = senders.iter().map(|_| domain(&mut numbers, size.domains)).collect();
        lists.push(List::new(name(format!("from{table}")), Members::Domains(DomainRole::Plain, senders)));
    }
    let zone = "zen.example".parse().expect("a domain");
    let mut rules = vec![
        refuse(Test::Listed { zone, at_least: 3 }),
        defer(!Condition::from(Test::Known)),
        refuse(Test::Spf(vec![Spf::Fail])),
    ];
    while rules.len() + 1 < size.rules {
        let mut table = |kind: &str| name(format!("{kind}{}", numbers.below(tables)));
        let from = |list| Condition::from(Test::From(NetworkSet::List(list)));
        let to = |list| Condition::from(Test::To(HostSet::List(list)));
        let sender = |list| Condition::from(Test::Sender(HostSet::List(list)));
        rules.push(match rules.len() % 8 {
            0 => Rule::permit(to(table("dom"))),
            1 => Rule::permit(from(table("net"))),
            2 => refuse(sender(table("from")).and(!from(table("net")))),
            3 => Rule::permit_via(name("inside".to_owned()), from(table("net")).and(to(table("dom")))),
            4 => Rule::permit(Condition::from(Test::Authenticated(None)).and(sender(table("from")))),
            5 => defer(to(table("dom")).and(!Condition::from(Test::Tls))),
            6 => refuse(from(table("net")).and(to(table("dom"))).and(sender(table("from")))),
            _ => Rule::permit(to(table("dom")).and(sender(table("from")).or(from(table("net"))))),
        });
    }
    rules.push(refuse(Condition::Always));
    PolicyBuilder { lists, rules, ..PolicyBuilder::default() }
}

/// The same with a hole before its end: who calls himself a certain name may do anything.
pub fn open(size: Size) -> PolicyBuilder {
    let mut builder = policy(size);
    let hole = Test::Helo(HostSet::Pattern("mail.friend.example".parse().expect("a domain")));
    builder.rules.insert(builder.rules.len() - 1, Rule::permit(hole));
    builder
}

/// The same with one rule in the middle the other way round.
pub fn changed(size: Size) -> PolicyBuilder {
    let mut builder = policy(size);
    let middle = builder.rules.len() / 2;
    let when = builder.rules[middle].when.clone();
    builder.rules[middle] = refuse(when.and(Condition::from(Test::Tls)));
    builder
}
