//! What a policy looks like to one who decides by it: names resolved, each test once, and one
//! table for each fact that lists are about, so that a fact is looked up once for all of them.

mod classes;
mod clients;
mod filter;
mod hosts;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    hash::{BuildHasherDefault, DefaultHasher},
};

use hikyaku_wire::Domain;

pub(crate) use self::{
    classes::{Class, Classes},
    filter::{By, Filter},
};
use self::{clients::Clients, hosts::Hosts};
use crate::{
    Action, CertificatePattern, CertificateSet, Claim, Condition, DomainPattern, DomainRole, HostSet, Identifier,
    Members, NetworkSet, Rule, Stage, Test, Window, list::Lists,
};

/// A map whose keys are of the policy: nobody else chooses what is in it.
type Map<K, V> = HashMap<K, V, BuildHasherDefault<DefaultHasher>>;

/// A policy as it is decided by.
#[derive(Default)]
pub(crate) struct Index {
    /// The tests, each once: those of rules, then those that only claims make.
    pub(crate) tests: Vec<Test>,
    /// How many of them are of rules.
    pub(crate) asked: usize,
    /// Where to look for each test.
    pub(crate) probes: Vec<Probe>,
    /// The conditions, each node before what is in it.
    pub(crate) nodes: Vec<Node>,
    /// The rules.
    pub(crate) rules: Vec<Entry>,
    /// The conditions of the claims: their first nodes.
    pub(crate) claims: Vec<u32>,
    /// The windows in which the rules count.
    pub(crate) windows: Vec<Window>,
    pub(crate) clients: Clients,
    pub(crate) hosts: Hosts,
    /// The bare postmaster: every list of local domains holds it.
    pub(crate) postmaster: Class,
    pub(crate) users: BTreeMap<Box<str>, Class>,
    pub(crate) user_lists: Classes,
    pub(crate) pins: BTreeMap<[u8; 32], Class>,
    pub(crate) names: BTreeMap<Domain, Class>,
    pub(crate) certificate_lists: Classes,
    /// Which rules need not be asked.
    pub(crate) filter: Filter,
}

/// One rule.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    /// The first node of its condition.
    pub(crate) node: u32,
    pub(crate) does: Does,
    pub(crate) at: Option<Stage>,
    pub(crate) shadow: bool,
}

/// What a rule does, as far as rules must agree that cannot be known to match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    Refuse,
    Defer,
    /// It permits, by a route that has this number; 0 is none.
    Permit(u32),
    /// It marks, and decides nothing.
    Mark,
}

/// A part of a condition.
#[derive(Clone, Copy)]
pub(crate) struct Node {
    pub(crate) what: What,
    /// The node after all that is in it.
    pub(crate) end: u32,
}

#[derive(Clone, Copy)]
pub(crate) enum What {
    Always,
    /// A test, and what it counts as where its fact could not be found out.
    Test(u32, Option<bool>),
    Not,
    All,
    Any,
}

/// Where to look for a test: in which fact's class, for which bit.
#[derive(Clone, Copy)]
pub(crate) enum Probe {
    From(u32),
    To(u32),
    Sender(u32),
    Helo(u32),
    Name(u32),
    User(u32),
    Certificate(u32),
    /// In the fact itself.
    Fact,
}

impl Index {
    pub(crate) fn new(lists: &Lists, rules: &[Rule], claims: &[Claim]) -> Self {
        let mut builder = Builder::default();
        let mut index = Self::default();
        let mut routes: Vec<&Identifier> = Vec::new();
        for rule in rules {
            let does = match &rule.action {
                Action::Permit(None) => Does::Permit(0),
                Action::Permit(Some(route)) => {
                    let number = routes.iter().position(|known| *known == route).unwrap_or_else(|| {
                        routes.push(route);
                        routes.len() - 1
                    });
                    Does::Permit(number as u32 + 1)
                }
                Action::Refuse(_) => Does::Refuse,
                Action::Defer(_) | Action::Limit(_) => Does::Defer,
                Action::Quarantine(_) | Action::Tag(_) => Does::Mark,
            };
            let node = match &rule.action {
                Action::Limit(rate) => {
                    let reached = !Condition::Test(Test::Rate(*rate));
                    builder.condition(&Condition::All(vec![rule.when.clone(), reached]))
                }
                _ => builder.condition(&rule.when),
            };
            index.rules.push(Entry { node, does, at: rule.at, shadow: rule.shadow });
        }
        index.asked = builder.tests.len();
        index.claims = claims.iter().map(|claim| builder.condition(&claim.when)).collect();
        for test in &builder.tests[..index.asked] {
            if let Test::Rate(rate) = test
                && !index.windows.contains(&rate.window)
            {
                index.windows.push(rate.window);
            }
        }
        builder.probes(lists, &mut index);
        let classes = [&index.clients.classes, &index.hosts.classes, &index.user_lists];
        index.filter = Filter::new(&index.rules, &builder.nodes, &index.probes, classes);
        Self { tests: builder.tests, nodes: builder.nodes, ..index }
    }
}

#[derive(Default)]
struct Builder {
    tests: Vec<Test>,
    numbers: Map<Test, u32>,
    nodes: Vec<Node>,
}

impl Builder {
    fn condition(&mut self, condition: &Condition) -> u32 {
        let at = self.nodes.len();
        self.nodes.push(Node { what: What::Always, end: 0 });
        let what = match condition {
            Condition::Always => What::Always,
            Condition::Test(test) => What::Test(self.test(test), test.unless_known()),
            Condition::Assuming(test, value) => What::Test(self.test(test), Some(*value)),
            Condition::Not(inner) => {
                self.condition(inner);
                What::Not
            }
            Condition::All(inner) => {
                for one in inner {
                    self.condition(one);
                }
                What::All
            }
            Condition::Any(inner) => {
                for one in inner {
                    self.condition(one);
                }
                What::Any
            }
        };
        self.nodes[at] = Node { what, end: self.nodes.len() as u32 };
        at as u32
    }

    fn test(&mut self, test: &Test) -> u32 {
        let next = self.tests.len() as u32;
        *self.numbers.entry(test.clone()).or_insert_with(|| {
            self.tests.push(test.clone());
            next
        })
    }

    /// Gives each set that is asked for a bit, and makes the tables.
    fn probes(&self, lists: &Lists, index: &mut Index) {
        let members = |name: &Identifier| lists.get(name).map(|list| &list.members);
        let (mut networks, mut hosts) = (Bits::default(), Bits::default());
        let (mut users, mut certificates) = (Bits::default(), Bits::default());
        for test in &self.tests {
            let probe = match test {
                Test::From(set) => Probe::From(networks.of(set)),
                Test::To(HostSet::Mailbox(_)) | Test::Sender(HostSet::Mailbox(_)) => Probe::Fact,
                Test::To(set) => Probe::To(hosts.of(set)),
                Test::Sender(set) => Probe::Sender(hosts.of(set)),
                Test::Helo(set) => Probe::Helo(hosts.of(set)),
                Test::Name(set) => Probe::Name(hosts.of(set)),
                Test::Authenticated(Some(list)) => Probe::User(users.of(list)),
                Test::Certificate(CertificateSet::List(list)) => Probe::Certificate(certificates.of(list)),
                _ => Probe::Fact,
            };
            index.probes.push(probe);
        }

        index.clients = Clients::new(networks.sets.len(), |add| {
            for (bit, set) in networks.sets.iter().enumerate() {
                match set {
                    NetworkSet::Network(network) => add(network, bit),
                    NetworkSet::List(name) => {
                        if let Some(Members::Networks(_, members)) = members(name) {
                            members.iter().for_each(|network| add(network, bit));
                        }
                    }
                }
            }
        });

        let mut local = Vec::new();
        index.hosts = Hosts::new(hosts.sets.len(), |add| {
            for (bit, set) in hosts.sets.iter().enumerate() {
                match set {
                    HostSet::Pattern(pattern) => add(pattern, bit),
                    HostSet::Mailbox(_) => {}
                    HostSet::List(name) => match members(name) {
                        Some(Members::Domains(role, members)) => {
                            local.extend((*role == DomainRole::Local).then_some(bit));
                            members.iter().for_each(|pattern: DomainPattern| add(&pattern, bit));
                        }
                        Some(Members::Names(_, members)) => members.iter().for_each(|pattern| add(&pattern, bit)),
                        _ => {}
                    },
                }
            }
        });
        index.postmaster = index.hosts.classes.of_bits(local);

        index.user_lists = Classes::new(users.sets.len());
        let mut holders: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (bit, list) in users.sets.iter().enumerate() {
            if let Some(Members::Users(users)) = members(list) {
                users.iter().for_each(|user| holders.entry(user).or_default().push(bit));
            }
        }
        let class = |(user, bits): (&str, _)| (user.into(), index.user_lists.of_bits(bits));
        index.users = holders.into_iter().map(class).collect();

        index.certificate_lists = Classes::new(certificates.sets.len());
        let mut pins: BTreeMap<[u8; 32], Vec<usize>> = BTreeMap::new();
        let mut names: BTreeMap<Domain, Vec<usize>> = BTreeMap::new();
        for (bit, list) in certificates.sets.iter().enumerate() {
            let Some(Members::Certificates(patterns)) = members(list) else { continue };
            for pattern in patterns {
                match pattern {
                    CertificatePattern::Spki(pin) => pins.entry(*pin).or_default().push(bit),
                    CertificatePattern::Named(name) => names.entry(name.clone()).or_default().push(bit),
                }
            }
        }
        let classes = &mut index.certificate_lists;
        index.pins = pins.into_iter().map(|(pin, bits)| (pin, classes.of_bits(bits))).collect();
        index.names = names.into_iter().map(|(name, bits)| (name, classes.of_bits(bits))).collect();
    }
}

/// Sets of one kind, each of which has a bit.
struct Bits<S> {
    sets: Vec<S>,
    numbers: Map<S, u32>,
}

impl<S> Default for Bits<S> {
    fn default() -> Self {
        Self { sets: Vec::new(), numbers: Map::default() }
    }
}

impl<S: Clone + Eq + std::hash::Hash> Bits<S> {
    fn of(&mut self, set: &S) -> u32 {
        let next = self.sets.len() as u32;
        *self.numbers.entry(set.clone()).or_insert_with(|| {
            self.sets.push(set.clone());
            next
        })
    }
}

/// It is made of what the policy shows anyway.
impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").finish_non_exhaustive()
    }
}
