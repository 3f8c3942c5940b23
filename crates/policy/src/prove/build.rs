//! Building a space: which dimensions there are, and the sweep over each of them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use hikyaku_message::results;
use hikyaku_wire::Domain;

use super::{
    credentials::Credentials,
    dimension::{
        ARC_WORDS, ARCS, DKIM_WORDS, DKIMS, DMARC_WORDS, DMARCS, Dimension, IPREV_WORDS, IPREVS, LISTENER_WORDS,
        LISTENERS, SPF_WORDS, SPFS, Things, Values, YES,
    },
    line::{Bits, bits, words},
    space::{Classes, Fact, Space},
};
use crate::{
    CertificatePattern, CertificateSet, HostSet, Identifier, List, Members, NetworkSet, Policy, Rate, Test, list::Lists,
};

/// A test, and the policy whose lists it asks.
pub(super) type Asked<'p> = (usize, &'p Test);

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

pub(super) struct Builder<'b, 'p> {
    pub(super) policies: &'b [&'p Policy],
    pub(super) asked: &'b [Asked<'p>],
    pub(super) credentials: &'b [Credentials],
    dimensions: Vec<Dimension>,
    tests: Vec<(Asked<'p>, Vec<Classes>)>,
    pub(super) rates: Vec<(Rate, Vec<Classes>)>,
}

impl<'p> Builder<'_, 'p> {
    pub(super) fn add(&mut self, fact: Fact, values: Values, plain: usize) -> usize {
        self.dimensions.push(Dimension::new(fact, values, plain));
        self.dimensions.len() - 1
    }

    pub(super) fn asks(&self, is: impl Fn(&Test) -> bool) -> bool {
        self.asked.iter().any(|(_, test)| is(test))
    }

    /// What a test of one dimension is: true in these classes, unknown in that of the unknown.
    fn put(&mut self, asked: Asked<'p>, dimension: usize, is_true: impl IntoIterator<Item = usize>) {
        let width = self.dimensions[dimension].classes;
        self.put_bits(asked, dimension, bits(width, is_true));
    }

    pub(super) fn put_bits(&mut self, asked: Asked<'p>, dimension: usize, is_true: Bits) {
        let classes = self.of_bits(dimension, is_true);
        self.tests.push((asked, vec![classes]));
    }

    pub(super) fn of_bits(&self, dimension: usize, mut is_true: Bits) -> Classes {
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

    pub(super) fn list(&self, owner: usize, name: &Identifier) -> Option<&'p List> {
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
