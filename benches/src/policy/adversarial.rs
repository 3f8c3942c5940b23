//! Policies that are made to be hard: every rule has lists of its own that cut across the others.

use std::net::{IpAddr, Ipv4Addr};

use hikyaku_policy::{
    Condition, DomainPattern, DomainRole, Domains, HostSet, List, Members, Network, NetworkSet, PolicyBuilder, Rule,
    Test, Trust,
};

use super::Numbers;
use super::real::{name, refuse};

/// How its rules are made.
#[derive(Clone, Copy)]
pub struct Shape {
    /// How many facts each rule asks about: client and recipient, sender, HELO, confirmed name.
    pub facts: usize,
    /// How many of a hundred tests are negated.
    pub negated: usize,
}

/// Networks that are nested in those of other rules.
fn networks(numbers: &mut Numbers) -> Vec<Network> {
    let one = |numbers: &mut Numbers| {
        let prefix = 9 + numbers.below(14) as u8;
        let address = 0x5000_0000 | (numbers.below(1 << 24) as u32);
        let address = Ipv4Addr::from_bits(address >> (32 - prefix) << (32 - prefix));
        Network::new(IpAddr::V4(address), prefix).expect("no bits after the prefix")
    };
    (0..3).map(|_| one(numbers)).collect()
}

/// Names at three depths, half of them with all below them.
fn domains(numbers: &mut Numbers) -> Domains {
    let one = |numbers: &mut Numbers| -> DomainPattern {
        let (a, b, c) = (numbers.below(30), numbers.below(30), numbers.below(30));
        let name = match numbers.below(3) {
            0 => format!("a{a}.example"),
            1 => format!("b{b}.a{a}.example"),
            _ => format!("c{c}.b{b}.a{a}.example"),
        };
        let text = if numbers.below(2) == 0 { format!("*.{name}") } else { name };
        text.parse().expect("a domain")
    };
    (0..4).map(|_| one(numbers)).collect()
}

/// The policy: permits and refusals in turns. It says nothing of local domains, and is open.
pub fn policy(rules: usize, shape: Shape) -> PolicyBuilder {
    let mut numbers = Numbers::new((rules * 100 + shape.facts * 10 + shape.negated) as u64);
    let mut builder = PolicyBuilder::default();
    for index in 0..rules {
        let mut all = Vec::new();
        for fact in 0..shape.facts {
            let list = name(format!("list{index}_{fact}"));
            let members = match fact {
                0 => Members::Networks(Trust::Plain, networks(&mut numbers).into_iter().collect()),
                _ => Members::Domains(DomainRole::Plain, domains(&mut numbers)),
            };
            builder.lists.push(List::new(list.clone(), members));
            let test = match fact {
                0 => Test::From(NetworkSet::List(list)),
                1 => Test::To(HostSet::List(list)),
                2 => Test::Sender(HostSet::List(list)),
                3 => Test::Helo(HostSet::List(list)),
                _ => Test::Name(HostSet::List(list)),
            };
            let test = Condition::from(test);
            all.push(if numbers.below(100) < shape.negated { !test } else { test });
        }
        let when = Condition::All(all);
        builder.rules.push(if index % 2 == 0 { Rule::permit(when) } else { refuse(when) });
    }
    builder
}

/// The same without a way in: what a permit asks for must be a user's, too.
pub fn closed(rules: usize, shape: Shape) -> PolicyBuilder {
    let mut builder = policy(rules, shape);
    for rule in builder.rules.iter_mut().step_by(2) {
        rule.when = rule.when.clone().and(Test::Authenticated(None).into());
    }
    builder
}
