//! The sweeps: dimensions of numbers, of addresses, of hosts and mailboxes.

use std::collections::BTreeSet;

use hikyaku_wire::Domain;

use super::{
    build::{Asked, Builder},
    credentials::{Client, client, list as networks_of, networks},
    cuts::Cuts,
    dimension::Values,
    keys::{Key, Kind, empty_span, mailbox_span},
    line::Line,
    space::{Fact, Regions},
};
use crate::{Action, DomainRole, HostSet, Members, NetworkSet, Rate, Test};

/// Pleasant values, the first of a class is taken.
const CLIENTS: [&str; 6] = ["198.51.100.7", "203.0.113.9", "192.0.2.33", "2001:db8:bad::7", "8.8.8.8", "2600::7"];
const HOSTS: [&str; 4] = ["mail.sender.example", "mail.stranger.example", "mail.other.example", "[198.51.100.7]"];
const SENDERS: [&str; 3] = ["spam@sender.example", "spam@other.example", "spam@[198.51.100.7]"];
const RECIPIENTS: [&str; 3] = ["victim@stranger.example", "victim@elsewhere.example", "victim@[203.0.113.9]"];

impl<'p> Builder<'_, 'p> {
    /// The dimensions of numbers: those above or below a bound are one class.
    pub(super) fn numbers(&mut self) {
        let asked = self.asked;
        let above = |most: i128| Cuts::span(most + 1, None);
        let mut zones: BTreeSet<&Domain> = BTreeSet::new();
        for (_, test) in asked {
            if let Test::Listed { zone, .. } = test {
                zones.insert(zone);
            }
        }
        let rates = self.rates();
        for zone in zones {
            self.number(Fact::Listed(zone.clone()), (i32::MIN.into(), i32::MAX.into()), 0, |test| match test {
                Test::Listed { zone: listed, at_least } if listed == zone => Some(Cuts::span((*at_least).into(), None)),
                _ => None,
            });
        }
        self.number(Fact::Recipients, (0, u32::MAX.into()), 1, |test| match test {
            Test::Recipients(most) => Some(above((*most).into())),
            _ => None,
        });
        for window in rates.iter().map(|rate| rate.window).collect::<BTreeSet<_>>() {
            let of_window: Vec<_> = rates.iter().filter(|rate| rate.window == window).collect();
            let mut sets: Vec<_> = of_window.iter().map(|rate| Cuts::span(0, Some(rate.limit.into()))).collect();
            // Nothing that is counted is none: the axioms name that class.
            sets.push(Cuts::span(1, None));
            let line = Line::new(&sets, 0, number_between(u64::MAX.into()));
            let (classes, plain) = (line.sets.clone(), line.class_of(&0));
            let dimension = self.add(Fact::Rate(window), Values::Numbers(line), plain);
            for (rate, is_true) in of_window.into_iter().zip(classes) {
                let classes = self.of_bits(dimension, is_true);
                self.rates.push((*rate, vec![classes]));
            }
        }
        self.number(Fact::Size, (0, u64::MAX.into()), 2000, |test| match test {
            Test::Size(most) => Some(above((*most).into())),
            _ => None,
        });
        self.number(Fact::Hops, (0, u32::MAX.into()), 1, |test| match test {
            Test::Hops(most) => Some(above((*most).into())),
            _ => None,
        });
        self.number(Fact::Minute, (0, 1439), 720, |test| match test {
            Test::Hours(hours) => {
                let (from, until) = (i128::from(hours.from), i128::from(hours.until));
                Some(match from <= until {
                    true => Cuts::span(from, Some(until)),
                    false => Cuts::span(until, Some(from)).not(),
                })
            }
            _ => None,
        });
    }

    /// The rates of tests and of limits, each once.
    fn rates(&self) -> BTreeSet<Rate> {
        let tests = self.asked.iter().filter_map(|(_, test)| match test {
            Test::Rate(rate) => Some(*rate),
            _ => None,
        });
        let rules = self.policies.iter().flat_map(|policy| &policy.rules);
        let limits = rules.filter_map(|rule| match rule.action {
            Action::Limit(rate) => Some(rate),
            _ => None,
        });
        tests.chain(limits).collect()
    }

    fn number(&mut self, fact: Fact, ends: (i128, i128), plain: i128, of: impl Fn(&Test) -> Option<Cuts<i128>>) {
        let asked: Vec<_> = self.asked.iter().filter_map(|one| Some((*one, of(one.1)?))).collect();
        if asked.is_empty() {
            return;
        }
        let mut sets: Vec<_> = asked.iter().map(|(_, set)| set.clone()).collect();
        // Nothing that is counted from one is none: the axioms name that class.
        sets.push(Cuts::span(1, None));
        let mut line = Line::new(&sets, ends.0, number_between(ends.1));
        line.prefer([plain]);
        let plain = line.class_of(&plain);
        let classes = line.sets.clone();
        let dimension = self.add(fact, Values::Numbers(line), plain);
        for ((one, _), is_true) in asked.into_iter().zip(classes) {
            self.put_bits(one, dimension, is_true);
        }
    }

    /// The dimensions of addresses, hosts and mailboxes.
    pub(super) fn lines(&mut self) -> Vec<Regions> {
        let mut regions: Vec<_> = self.policies.iter().map(|_| Regions::default()).collect();
        self.clients(&mut regions);
        self.hosts(Fact::Helo, Kind::Host, &HOSTS, &mut regions);
        self.hosts(Fact::Name, Kind::Name, &HOSTS, &mut regions);
        self.hosts(Fact::Sender, Kind::Mailbox, &SENDERS, &mut regions);
        self.hosts(Fact::Recipient, Kind::Mailbox, &RECIPIENTS, &mut regions);
        regions
    }

    fn clients(&mut self, regions: &mut [Regions]) {
        let of = |(owner, test): &Asked<'p>| match test {
            Test::From(NetworkSet::Network(network)) => Some(networks([network])),
            Test::From(NetworkSet::List(name)) => match self.list(*owner, name).map(|list| &list.members) {
                Some(Members::Networks(_, list)) => Some(networks_of(list)),
                _ => Some(Cuts::empty()),
            },
            _ => None,
        };
        let asked: Vec<_> = self.asked.iter().filter_map(|one| Some((*one, of(one)?))).collect();
        let (asked, mut sets): (Vec<_>, Vec<Cuts<Client>>) = asked.into_iter().unzip();
        sets.extend(self.credentials.iter().map(|credentials| credentials.strangers.clone()));
        sets.push(Cuts::span(Some(0), None));
        let mut line = Line::new(&sets, None, |from, _| Some(*from));
        let pleasant = |text: &&str| text.parse().ok().map(|address| client(Some(address)));
        line.prefer(CLIENTS.iter().filter_map(pleasant));
        let plain = CLIENTS.iter().find_map(pleasant).map_or(0, |point| line.class_of(&point));
        let mut classes = std::mem::take(&mut line.sets).into_iter();
        let dimension = self.add(Fact::Client, Values::Clients(line), plain);
        for one in asked {
            let is_true = classes.next().unwrap_or_default();
            self.put_bits(one, dimension, is_true);
        }
        for (regions, classes) in regions.iter_mut().zip(classes) {
            regions.strangers = classes;
        }
    }

    fn hosts(&mut self, fact: Fact, kind: Kind, pleasant: &[&str], regions: &mut [Regions]) {
        let asked: Vec<Asked<'p>> =
            self.asked.iter().filter(|(_, test)| asks_hosts(test) == Some(&fact)).copied().collect();
        let always = matches!(fact, Fact::Sender | Fact::Recipient) || (fact == Fact::Name && self.by_name());
        if asked.is_empty() && !always {
            return;
        }
        let mut sets: Vec<Cuts<Key>> = asked.iter().map(|(owner, test)| self.host_cuts(*owner, test, kind)).collect();
        for credentials in self.credentials {
            match fact {
                Fact::Name => sets.push(credentials.names.clone()),
                Fact::Recipient => sets.extend([credentials.local.clone(), credentials.relay.clone()]),
                _ => {}
            }
        }
        sets.push(Cuts::union(vec![empty_span()]));
        let local = if fact == Fact::Recipient { "victim" } else { "spam" };
        let between = |from: &Key, until: Option<&Key>| kind.between(from, until.map(|until| &**until), local);
        let mut line = Line::new(&sets, Key::default(), between);
        let points: Vec<Key> = pleasant.iter().filter_map(|text| kind.key(text)).collect();
        // What has no host has no other value.
        let plain = match (fact == Fact::Name, points.first()) {
            (false, Some(point)) => line.class_of(point),
            _ => line.class_of(&Key::default()),
        };
        line.prefer(std::iter::once(Key::default()).chain(points));
        let mut classes = std::mem::take(&mut line.sets).into_iter();
        let dimension = self.add(fact.clone(), Values::Names(kind, line), plain);
        for one in asked {
            let is_true = classes.next().unwrap_or_default();
            self.put_bits(one, dimension, is_true);
        }
        for regions in regions {
            match fact {
                Fact::Name => regions.names = classes.next().unwrap_or_default(),
                Fact::Recipient => {
                    regions.local = classes.next().unwrap_or_default();
                    regions.relay = classes.next().unwrap_or_default();
                }
                _ => {}
            }
        }
    }

    pub(super) fn by_name(&self) -> bool {
        self.asks(|test| matches!(test, Test::Name(_) | Test::Iprev(_)))
    }

    fn host_cuts(&self, owner: usize, test: &Test, kind: Kind) -> Cuts<Key> {
        let set = match test {
            Test::SenderNull => return Cuts::union(vec![empty_span()]),
            Test::Helo(set) | Test::Name(set) | Test::Sender(set) | Test::To(set) => set,
            _ => return Cuts::empty(),
        };
        match set {
            HostSet::Pattern(pattern) => Cuts::union(vec![kind.span(pattern)]),
            HostSet::Mailbox(mailbox) if kind == Kind::Mailbox => Cuts::union(vec![mailbox_span(mailbox)]),
            HostSet::Mailbox(_) => Cuts::empty(),
            HostSet::List(name) => {
                let list = self.list(owner, name);
                let mut spans = match list.map(|list| &list.members) {
                    Some(Members::Domains(_, domains) | Members::Names(_, domains)) => kind.spans(domains),
                    _ => Vec::new(),
                };
                let is_local = matches!(list.map(|list| &list.members), Some(Members::Domains(DomainRole::Local, _)));
                spans.extend((is_local && matches!(test, Test::To(_))).then(empty_span));
                Cuts::union(spans)
            }
        }
    }
}

/// The fact that a test of hosts looks at.
fn asks_hosts(test: &Test) -> Option<&'static Fact> {
    match test {
        Test::Helo(_) => Some(&Fact::Helo),
        Test::Name(_) => Some(&Fact::Name),
        Test::Sender(_) | Test::SenderNull => Some(&Fact::Sender),
        Test::To(_) => Some(&Fact::Recipient),
        _ => None,
    }
}

fn number_between(most: i128) -> impl FnMut(&i128, Option<&i128>) -> Option<i128> {
    move |from, _| (*from <= most).then_some(*from)
}
