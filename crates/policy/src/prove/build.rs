//! Building a space: which dimensions there are, and the sweep over each of them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use hikyaku_message::results;
use hikyaku_wire::Domain;

use super::{
    credentials::{Client, Credentials, client, list as networks_of, networks},
    cuts::Cuts,
    dimension::{
        ARC_WORDS, ARCS, DKIM_WORDS, DKIMS, DMARC_WORDS, DMARCS, Dimension, IPREV_WORDS, IPREVS, LISTENER_WORDS,
        LISTENERS, SPF_WORDS, SPFS, Things, Values, YES,
    },
    keys::{Key, Kind, empty_span, mailbox_span},
    line::{Bits, Line, bits, words},
    space::{Classes, Fact, Regions, Space},
};
use crate::{
    Action, CertificatePattern, CertificateSet, DomainRole, HostSet, Identifier, List, Members, NetworkSet, Policy,
    Rate, Test, list::Lists,
};

/// The span of the keys of address literals.
const LITERALS: (&str, &str) = ("\u{1}", "\u{2}");

/// Pleasant values, the first of a class is taken.
const CLIENTS: [&str; 6] = ["198.51.100.7", "203.0.113.9", "192.0.2.33", "2001:db8:bad::7", "8.8.8.8", "2600::7"];
const HOSTS: [&str; 4] = ["mail.sender.example", "mail.stranger.example", "mail.other.example", "[198.51.100.7]"];
const SENDERS: [&str; 3] = ["spam@sender.example", "spam@other.example", "spam@[198.51.100.7]"];
const RECIPIENTS: [&str; 3] = ["victim@stranger.example", "victim@elsewhere.example", "victim@[203.0.113.9]"];

/// A test, and the policy whose lists it asks.
type Asked<'p> = (usize, &'p Test);

pub(super) fn space<'p>(policies: &[&'p Policy]) -> Space<'p> {
    let asked = asked(policies);
    let credentials: Vec<_> = policies.iter().map(|policy| Credentials::of(policy)).collect();
    let mut builder = Builder {
        policies,
        asked: &asked,
        credentials: &credentials,
        dimensions: Vec::new(),
        tests: Vec::new(),
        rates: Vec::new(),
    };
    builder.few();
    builder.numbers();
    let regions = builder.lines();
    let Builder { dimensions, tests, rates, .. } = builder;
    let mut space = Space::of_parts(policies.to_vec(), dimensions, credentials, regions);
    for ((owner, test), classes) in tests {
        space.put(owner, test, classes);
    }
    for (rate, classes) in rates {
        space.put_rate(rate, classes);
    }
    space
}

/// Every test once: where two policies mean the same by it, it is the first one's.
fn asked<'p>(policies: &[&'p Policy]) -> Vec<Asked<'p>> {
    let (mut asked, mut seen) = (Vec::new(), HashSet::new());
    for (index, policy) in policies.iter().enumerate() {
        for test in Space::tests_of(policy) {
            let same = |owner: &usize| {
                seen.contains(&(*owner, test)) && means_alike(test, &policies[*owner].lists, &policy.lists)
            };
            if (0..index).find(same).is_none() && seen.insert((index, test)) {
                asked.push((index, test));
            }
        }
    }
    asked
}

fn means_alike(test: &Test, one: &Lists, other: &Lists) -> bool {
    let name = match test {
        Test::From(NetworkSet::List(name)) | Test::Authenticated(Some(name)) => name,
        Test::Helo(HostSet::List(name)) | Test::Name(HostSet::List(name)) => name,
        Test::Sender(HostSet::List(name)) | Test::To(HostSet::List(name)) => name,
        Test::Certificate(CertificateSet::List(name)) => name,
        _ => return true,
    };
    let members = |lists: &Lists| lists.get(name).map(|list| list.members.clone());
    members(one) == members(other)
}

struct Builder<'b, 'p> {
    policies: &'b [&'p Policy],
    asked: &'b [Asked<'p>],
    credentials: &'b [Credentials],
    dimensions: Vec<Dimension>,
    tests: Vec<(Asked<'p>, Vec<Classes>)>,
    rates: Vec<(Rate, Vec<Classes>)>,
}

impl<'p> Builder<'_, 'p> {
    fn add(&mut self, fact: Fact, values: Values, plain: usize) -> usize {
        self.dimensions.push(Dimension::new(fact, values, plain));
        self.dimensions.len() - 1
    }

    fn asks(&self, is: impl Fn(&Test) -> bool) -> bool {
        self.asked.iter().any(|(_, test)| is(test))
    }

    /// What a test of one dimension is: true in these classes, unknown in that of the unknown.
    fn put(&mut self, asked: Asked<'p>, dimension: usize, is_true: impl IntoIterator<Item = usize>) {
        let width = self.dimensions[dimension].classes;
        self.put_bits(asked, dimension, bits(width, is_true));
    }

    fn put_bits(&mut self, asked: Asked<'p>, dimension: usize, is_true: Bits) {
        let classes = self.of_bits(dimension, is_true);
        self.tests.push((asked, vec![classes]));
    }

    fn of_bits(&self, dimension: usize, mut is_true: Bits) -> Classes {
        let Dimension { classes, unknown, .. } = self.dimensions[dimension];
        is_true.resize(words(classes), 0);
        Classes { dimension, is_true, is_unknown: bits(classes, unknown) }
    }

    /// The dimensions of few values.
    fn few(&mut self) {
        let asked = self.asked;
        let listener = self.add(Fact::Listener, Values::Words(LISTENER_WORDS), 0);
        let tls = self.add(Fact::Tls, Values::BOOL, 0);
        for one in asked {
            match one.1 {
                Test::On(on) => self.put(*one, listener, (0..4).filter(|index| LISTENERS[*index] == *on)),
                Test::Tls => self.put(*one, tls, [YES]),
                _ => {}
            }
        }
        self.users();
        self.certificates();
        self.truths();
        self.results();
    }

    fn list(&self, owner: usize, name: &Identifier) -> Option<&'p List> {
        self.policies[owner].lists.get(name)
    }

    fn users(&mut self) {
        let asked = self.asked;
        let mut of_user: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for (index, (owner, test)) in asked.iter().enumerate() {
            let Test::Authenticated(Some(name)) = test else { continue };
            if let Some(List { members: Members::Users(users), .. }) = self.list(*owner, name) {
                for user in users {
                    of_user.entry(user).or_default().insert(index);
                }
            }
        }
        let (users, groups) = grouped(of_user);
        let users = users.into_iter().map(|group| group.into_iter().map(str::to_owned).collect()).collect();
        let others = groups.len() + 1;
        let dimension = self.add(Fact::User, Values::Users(Things::new(users)), 0);
        for (index, one) in asked.iter().enumerate() {
            match one.1 {
                Test::Authenticated(None) => self.put(*one, dimension, 1..=others),
                Test::Authenticated(Some(_)) => {
                    let classes = groups.iter().enumerate().filter(|(_, group)| group.contains(&index));
                    self.put(*one, dimension, classes.map(|(class, _)| class + 1).collect::<Vec<_>>());
                }
                _ => {}
            }
        }
    }

    fn certificates(&mut self) {
        let asked = self.asked;
        if !self.asks(|test| matches!(test, Test::Certificate(_))) {
            return;
        }
        let mut of_key: BTreeMap<[u8; 32], BTreeSet<usize>> = BTreeMap::new();
        let mut of_name: BTreeMap<&Domain, BTreeSet<usize>> = BTreeMap::new();
        for (index, (owner, test)) in asked.iter().enumerate() {
            match test {
                Test::Certificate(CertificateSet::Spki(key)) => {
                    of_key.entry(*key).or_default().insert(index);
                }
                Test::Certificate(CertificateSet::List(name)) => {
                    let Some(List { members: Members::Certificates(patterns), .. }) = self.list(*owner, name) else {
                        continue;
                    };
                    for pattern in patterns {
                        let tests = match pattern {
                            CertificatePattern::Spki(key) => of_key.entry(*key).or_default(),
                            CertificatePattern::Named(name) => of_name.entry(name).or_default(),
                        };
                        tests.insert(index);
                    }
                }
                _ => {}
            }
        }
        let (keys, key_groups) = grouped(of_key);
        let (names, name_groups) = grouped(of_name);
        let key = self.add(Fact::Key, Values::Keys(Things::new(keys)), 0);
        let vouched = self.add(Fact::Vouched, Values::BOOL, 0);
        let first = self.dimensions.len();
        for (class, names) in names.into_iter().enumerate() {
            self.add(Fact::VouchedName(class), Values::Named(names.into_iter().cloned().collect()), 0);
        }
        for (index, one) in asked.iter().enumerate() {
            let Test::Certificate(set) = one.1 else { continue };
            let mut classes = Vec::new();
            if *set == CertificateSet::Trusted {
                classes.push((vouched, bits(2, [YES])));
            } else {
                let held = key_groups.iter().enumerate().filter(|(_, group)| group.contains(&index));
                classes.push((key, bits(self.dimensions[key].classes, held.map(|(class, _)| class + 1))));
                let held = name_groups.iter().enumerate().filter(|(_, group)| group.contains(&index));
                classes.extend(held.map(|(class, _)| (first + class, bits(2, [YES]))));
            }
            let classes = classes.into_iter().map(|(dimension, is_true)| {
                let is_unknown = vec![0; is_true.len()];
                Classes { dimension, is_true, is_unknown }
            });
            self.tests.push((*one, classes.collect()));
        }
    }

    /// What is so, is not so, or is unknown.
    fn truths(&mut self) {
        let asked = self.asked;
        let mut dimensions: Vec<(Test, usize)> = Vec::new();
        let simple = [
            (Test::SenderOwned, Fact::Owned, 0),
            (Test::RecipientExists, Fact::Exists, YES),
            (Test::Known, Fact::Known, 0),
            (Test::AuthorAligned, Fact::Aligned, YES),
        ];
        for (test, fact, plain) in simple {
            if self.asks(|asked| *asked == test) {
                let dimension = self.add(fact, Values::BOOL, plain);
                dimensions.push((test, dimension));
            }
        }
        let customs: BTreeSet<_> = asked
            .iter()
            .filter_map(|(_, test)| match test {
                Test::Custom(name) => Some(name),
                _ => None,
            })
            .collect();
        for name in customs {
            let dimension = self.add(Fact::Custom(name.clone()), Values::BOOL, 0);
            dimensions.push((Test::Custom(name.clone()), dimension));
        }
        for one in asked {
            if let Some((_, dimension)) = dimensions.iter().find(|(test, _)| test == one.1) {
                self.put(*one, *dimension, [YES]);
            }
        }
    }

    /// The results of checks.
    fn results(&mut self) {
        let asked = self.asked;
        let by_name = self.by_name();
        let by_dmarc = self.asks(|test| matches!(test, Test::Dmarc(_)));
        if by_name {
            let dimension = self.add(Fact::Iprev, Values::Words(IPREV_WORDS), 0);
            self.put_results(dimension, &IPREVS, |test| match test {
                Test::Iprev(results) => Some(results),
                _ => None,
            });
        }
        if by_dmarc || self.asks(|test| matches!(test, Test::Spf(_))) {
            let dimension = self.add(Fact::Spf, Values::Words(SPF_WORDS), 0);
            self.put_results::<results::Spf>(dimension, &SPFS, |test| match test {
                Test::Spf(results) => Some(results),
                _ => None,
            });
        }
        if by_dmarc || self.asks(|test| matches!(test, Test::Dkim(_))) {
            let dimension = self.add(Fact::Dkim, Values::Words(DKIM_WORDS), 0);
            self.put_results(dimension, &DKIMS, |test| match test {
                Test::Dkim(results) => Some(results),
                _ => None,
            });
        }
        if self.asks(|test| matches!(test, Test::Arc(_))) {
            let dimension = self.add(Fact::Arc, Values::Words(ARC_WORDS), 0);
            self.put_results(dimension, &ARCS, |test| match test {
                Test::Arc(results) => Some(results),
                _ => None,
            });
        }
        if by_dmarc {
            let dimension = self.add(Fact::Dmarc, Values::Words(DMARC_WORDS), 0);
            for one in asked {
                if let Test::Dmarc(results) = one.1 {
                    let meant = |index: &usize| results.iter().any(|result| result.means(DMARCS[*index]));
                    self.put(*one, dimension, (0..DMARCS.len()).filter(meant));
                }
            }
        }
    }

    fn put_results<R: PartialEq>(&mut self, dimension: usize, all: &[R], of: impl Fn(&Test) -> Option<&Vec<R>>) {
        for one in self.asked {
            if let Some(results) = of(one.1) {
                self.put(*one, dimension, (0..all.len()).filter(|index| results.contains(&all[*index])));
            }
        }
    }

    /// The dimensions of numbers: those above or below a bound are one class.
    fn numbers(&mut self) {
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
            let sets: Vec<_> = of_window.iter().map(|rate| Cuts::span(0, Some(rate.limit.into()))).collect();
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
    fn lines(&mut self) -> Vec<Regions> {
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
        // A confirmed name is no address literal, and what no name has is no class.
        let literals = (fact == Fact::Name).then(|| Cuts::span(Key::from(LITERALS.0), Some(LITERALS.1.into())));
        if let Some(literals) = &literals {
            sets.iter_mut().for_each(|set| *set = set.minus(literals));
        }
        let local = if fact == Fact::Recipient { "victim" } else { "spam" };
        let between = |from: &Key, until: Option<&Key>| {
            let is_literal = literals.as_ref().is_some_and(|literals| literals.contains(from));
            let from = if is_literal { LITERALS.1 } else { &**from };
            let is_empty = until.is_some_and(|until| **until <= *from);
            if is_empty { None } else { kind.between(from, until.map(|until| &**until), local) }
        };
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

    fn by_name(&self) -> bool {
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
                let members = self.list(owner, name).map(|list| &list.members);
                let mut spans = match members {
                    Some(Members::Domains(_, domains) | Members::Names(_, domains)) => kind.spans(domains),
                    _ => Vec::new(),
                };
                let is_local = matches!(members, Some(Members::Domains(DomainRole::Local, _)));
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

/// Things that are in the same sets are one class: the things of each, and the sets.
fn grouped<T: Ord>(of: BTreeMap<T, BTreeSet<usize>>) -> (Vec<Vec<T>>, Vec<BTreeSet<usize>>) {
    let mut groups: BTreeMap<BTreeSet<usize>, Vec<T>> = BTreeMap::new();
    for (thing, sets) in of {
        groups.entry(sets).or_default().push(thing);
    }
    let mut pairs: Vec<_> = groups.into_iter().map(|(sets, things)| (things, sets)).collect();
    pairs.sort();
    pairs.into_iter().unzip()
}
