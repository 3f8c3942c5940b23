//! Decisions, beside what nobody can go below: the look-ups of the same facts in one table each.

use std::collections::HashMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv6Addr};

use hikyaku_message::results::Spf;
use hikyaku_policy::{DomainPattern, Facts, Finding, Listener, Members, Policy};

use super::Numbers;
use super::real::{self, LARGE, Size};
use crate::measure::{self, Measured, Sides};
use crate::rows::{NOTHING, Per, Row};
use crate::task::Task;

/// One row.
pub struct Decide {
    /// One word, for programs.
    pub name: &'static str,
    /// What is decided, for people.
    pub what: &'static str,
    size: Size,
    whom: Whom,
    /// Nanoseconds that one decision may take; 0 asks for nothing.
    pub most_ns: u64,
}

/// About whom is decided.
#[derive(Clone, Copy)]
enum Whom {
    /// Some from the policy's networks, some to its domains, some neither.
    Mixed,
    /// Those whom only the last rule matches.
    Last,
}

const TEN: Size = Size { rules: 10, ..LARGE };
const HUNDRED: Size = Size { rules: 100, ..LARGE };

/// Every row, in the order of the table.
pub const ALL: &[Decide] = &[
    Decide { name: "decide_10", what: "10 rules", size: TEN, whom: Whom::Mixed, most_ns: 1000 },
    Decide { name: "decide_100", what: "100 rules", size: HUNDRED, whom: Whom::Mixed, most_ns: 1000 },
    Decide { name: "decide_100_last", what: "the last of 100 rules", size: HUNDRED, whom: Whom::Last, most_ns: 1000 },
    Decide { name: "decide_1000", what: "1,000 rules", size: LARGE, whom: Whom::Mixed, most_ns: 0 },
    Decide { name: "decide_1000_last", what: "the last of 1,000 rules", size: LARGE, whom: Whom::Last, most_ns: 0 },
];

impl Decide {
    /// Measures one decision.
    pub fn measure(&self, rounds: usize) -> Measured {
        let row = Row { name: self.name, what: self.what, work: || (), per: Per::Each(1), asked: NOTHING };
        let (policy, facts) = self.made();
        let sides =
            || Sides { ours: self.task(), peer: None, limits: vec![("one table each", limit(&policy, facts.clone()))] };
        measure::sides_of(&row, 0, rounds, (0, None), sides)
    }

    /// Decides about one after the other.
    pub fn task(&self) -> Task {
        let (policy, facts) = self.made();
        let mut next = (0..facts.len()).cycle();
        Task::plain(move || {
            let facts = &facts[next.next().unwrap_or_default()];
            black_box(policy.decide(black_box(facts)));
        })
    }

    fn made(&self) -> (Policy, Vec<Facts>) {
        let policy = real::policy(self.size).build().expect("a policy of the benches is well formed");
        let facts = facts(&policy);
        let last = policy.line(policy.rules().len() - 1);
        let is_meant = |facts: &Facts| match self.whom {
            Whom::Mixed => true,
            Whom::Last => policy.decide(facts).line == Some(last),
        };
        let facts: Vec<_> = facts.into_iter().filter(is_meant).take(64).collect();
        assert_eq!(facts.len(), 64);
        (policy, facts)
    }
}

/// Recipients of this policy, and others.
fn facts(policy: &Policy) -> Vec<Facts> {
    let mut numbers = Numbers::new(7);
    let (mut clients, mut domains) = (Vec::new(), Vec::new());
    for list in policy.lists() {
        match &list.members {
            Members::Networks(_, networks) => clients.extend(networks.iter().map(|network| network.address())),
            Members::Domains(_, all) => domains.extend(all.iter().filter_map(|pattern| match pattern {
                DomainPattern::Exactly(name) => Some(name.to_string()),
                DomainPattern::Below(name) => Some(format!("mail.{name}")),
                DomainPattern::All | DomainPattern::Address(_) => None,
            })),
            _ => {}
        }
    }
    let mut one = |index: usize| {
        let stranger = Ipv6Addr::from_bits((0x2a00_u128 << 112) | numbers.below(1 << 30) as u128);
        let client = if index % 4 == 0 { clients[numbers.below(clients.len())] } else { IpAddr::V6(stranger) };
        let mut host = |known: bool| match known {
            true => domains[numbers.below(domains.len())].clone(),
            false => format!("mail.stranger{}.example", numbers.below(1000)),
        };
        let mut facts = Facts::new(Some(client), Listener::Mx);
        facts.listed = vec![("zen.example".parse().expect("a name"), Finding::Is(0))];
        (facts.known, facts.spf) = (Finding::Is(true), Finding::Is(Spf::Pass));
        facts.tls = true;
        facts.hello = Some("mail.client.example".parse().expect("a name"));
        facts.sender = Some(format!("<sender@{}>", host(index % 3 == 0)).parse().expect("a path"));
        facts.recipient = Some(format!("<recipient@{}>", host(index % 2 == 0)).parse().expect("a path"));
        facts
    };
    (0..2000).map(&mut one).collect()
}

/// One hash table of names, asked for each end of the recipient's and of the sender's, and one
/// sorted list of networks.
fn limit(policy: &Policy, facts: Vec<Facts>) -> Task {
    let mut names: HashMap<String, usize> = HashMap::new();
    let mut networks = Vec::new();
    for (index, list) in policy.lists().iter().enumerate() {
        match &list.members {
            Members::Networks(_, all) => {
                networks.extend(all.iter().map(|network| bits(network.address())));
            }
            Members::Domains(_, all) => names.extend(all.iter().filter_map(|pattern| match pattern {
                DomainPattern::Exactly(name) | DomainPattern::Below(name) => Some((name.to_lowercase(), index)),
                DomainPattern::All | DomainPattern::Address(_) => None,
            })),
            _ => {}
        }
    }
    networks.sort_unstable();
    let asked: Vec<(u128, [String; 2])> = facts
        .iter()
        .map(|facts| {
            let sender =
                facts.sender.as_ref().and_then(|path| path.mailbox()).map(|mailbox| mailbox.host().to_string());
            let recipient = facts.recipient.as_ref().and_then(|path| path.mailbox());
            let recipient = recipient.map(|mailbox| mailbox.host().to_string());
            let client = facts.client.map(bits).unwrap_or_default();
            (client, [recipient.unwrap_or_default(), sender.unwrap_or_default()])
        })
        .collect();
    let mut next = (0..asked.len()).cycle();
    Task::plain(move || {
        let (client, hosts) = &asked[next.next().unwrap_or_default()];
        black_box(networks.partition_point(|first| first <= black_box(client)));
        for host in hosts {
            let mut rest = black_box(host.as_str());
            loop {
                black_box(names.get(rest));
                match rest.split_once('.') {
                    Some((_, parent)) => rest = parent,
                    None => break,
                }
            }
        }
    })
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}
