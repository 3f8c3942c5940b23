//! The space of facts: its dimensions, and the classes of values that policies can tell apart.

use std::collections::HashMap;

use hikyaku_wire::Domain;

use super::{
    credentials::Credentials,
    dimension::Dimension,
    line::{Bits, ones},
};
use crate::{Condition, Identifier, Policy, Rate, Rule, Test, TooComplex, Window};

/// One kind of fact.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fact {
    Listener,
    Tls,
    /// No user, one that is in certain lists, one that is in none.
    User,
    /// No certificate, one with a certain key, one with another key.
    Key,
    /// Whether a trusted authority vouches for the certificate.
    Vouched,
    /// Whether it vouches for a name of this class: names that are in the same lists are one.
    VouchedName(usize),
    Owned,
    Exists,
    Known,
    Custom(Identifier),
    Iprev,
    Spf,
    Dkim,
    Arc,
    Dmarc,
    Aligned,
    Listed(Domain),
    Recipients,
    Rate(Window),
    Size,
    Hops,
    Minute,
    Client,
    Helo,
    Name,
    Sender,
    Recipient,
}

/// A class of each dimension, in their order.
pub(crate) type Path = Vec<usize>;

/// The classes in which a test is true, and in which it is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Classes {
    pub(crate) dimension: usize,
    pub(crate) is_true: Bits,
    pub(crate) is_unknown: Bits,
}

/// The dimensions of one policy or of several, in the order in which diagrams ask for them: what
/// has few values first, and the recipient last.
#[derive(Debug)]
pub(crate) struct Space<'p> {
    pub(crate) policies: Vec<&'p Policy>,
    pub(crate) dimensions: Vec<Dimension>,
    pub(crate) credentials: Vec<Credentials>,
    /// Of each test its classes; a test that looks at several dimensions is true in any of them.
    tests: HashMap<(usize, &'p Test), Vec<Classes>>,
    /// What else the regions of each policy are made of.
    pub(crate) regions: Vec<Regions>,
    /// The same of rates, which limits ask for too.
    rates: HashMap<Rate, Vec<Classes>>,
}

/// Classes that no test names.
#[derive(Debug, Default)]
pub(crate) struct Regions {
    pub(crate) strangers: Bits,
    pub(crate) names: Bits,
    pub(crate) local: Bits,
    pub(crate) relay: Bits,
}

impl<'p> Space<'p> {
    pub(crate) fn new(policies: &[&'p Policy]) -> Self {
        super::build::space(policies)
    }

    pub(super) fn of_parts(
        policies: Vec<&'p Policy>,
        dimensions: Vec<Dimension>,
        credentials: Vec<Credentials>,
        regions: Vec<Regions>,
    ) -> Self {
        Self { policies, dimensions, credentials, tests: HashMap::new(), regions, rates: HashMap::new() }
    }

    pub(super) fn put(&mut self, owner: usize, test: &'p Test, classes: Vec<Classes>) {
        self.tests.insert((owner, test), classes);
    }

    pub(super) fn put_rate(&mut self, rate: Rate, classes: Vec<Classes>) {
        self.rates.insert(rate, classes);
    }

    /// The index of the dimension of a fact, if the policies ask for it.
    pub(crate) fn dimension(&self, fact: &Fact) -> Option<usize> {
        self.dimensions.iter().position(|dimension| dimension.fact == *fact)
    }

    /// The value of a class in words: `198.51.100.7`, `yes`, `pass`, `unknown`, and of hosts and
    /// mailboxes one that is in the class.
    pub(crate) fn value(&self, dimension: usize, class: usize) -> String {
        self.dimensions[dimension].word(class)
    }

    /// Where a test of a policy is true and where it is unknown, for each dimension that it looks
    /// at; it is true if it is so in one of them. Only tests of certificates look at several.
    pub(crate) fn classes<'a>(&'a self, policy: usize, test: &'a Test) -> &'a [Classes] {
        match test {
            Test::Rate(rate) => self.rates.get(rate),
            _ => (0..=policy).rev().find_map(|owner| self.tests.get(&(owner, test))),
        }
        .map_or(&[], Vec::as_slice)
    }

    /// The tests of a policy's rules and claims, in order.
    pub(crate) fn tests_of(policy: &Policy) -> impl Iterator<Item = &Test> {
        let rules = policy.rules.iter().map(|rule| &rule.when);
        let claims = policy.claims.iter().map(|claim| &claim.when);
        rules.chain(claims).flat_map(Condition::tests)
    }

    /// The class of the plainest value of each dimension.
    #[cfg(test)]
    pub(crate) fn plain(&self) -> Path {
        self.dimensions.iter().map(|dimension| dimension.plain).collect()
    }

    /// What is said when a proof gives up.
    pub(super) fn too_complex(&self, steps: u64) -> TooComplex {
        let widest = self.dimensions.iter().enumerate().max_by_key(|(index, of)| (of.classes, usize::MAX - index));
        let (widest, classes) = widest.map_or((0, 0), |(index, of)| (index, of.classes));
        let cuts = |policy: usize, condition: &Condition| -> usize {
            let tests = condition.tests();
            let classes = tests.iter().flat_map(|test| self.classes(policy, test));
            classes.filter(|of| of.dimension == widest).map(|of| ones(&of.is_true).count().max(1)).sum()
        };
        let mut rules: Vec<(usize, usize)> = Vec::new();
        for (index, policy) in self.policies.iter().enumerate().rev().take(1) {
            let of_rule = |(rule, of): (usize, &Rule)| (cuts(index, &of.when), policy.line(rule));
            rules.extend(policy.rules.iter().enumerate().map(of_rule).filter(|(cuts, _)| *cuts > 0));
        }
        rules.sort_by_key(|(cuts, line)| (usize::MAX - cuts, *line));
        let mut lines: Vec<_> = rules.into_iter().take(10).map(|(_, line)| line).collect();
        lines.sort_unstable();
        let dimension = self.dimensions.get(widest).map_or("facts", |of| of.fact.name());
        TooComplex { steps, dimension, classes, lines }
    }
}

impl Fact {
    /// What it is called in reports.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Listener => "listener",
            Self::Tls => "tls",
            Self::User => "user",
            Self::Key => "certificate",
            Self::Vouched | Self::VouchedName(_) => "certificate name",
            Self::Owned => "sender owned",
            Self::Exists => "recipient exists",
            Self::Known => "known",
            Self::Custom(_) => "custom",
            Self::Iprev => "iprev",
            Self::Spf => "spf",
            Self::Dkim => "dkim",
            Self::Arc => "arc",
            Self::Dmarc => "dmarc",
            Self::Aligned => "author aligned",
            Self::Listed(_) => "listed",
            Self::Recipients => "recipients",
            Self::Rate(_) => "rate",
            Self::Size => "size",
            Self::Hops => "hops",
            Self::Minute => "hours",
            Self::Client => "client",
            Self::Helo => "helo",
            Self::Name => "name",
            Self::Sender => "sender",
            Self::Recipient => "recipient",
        }
    }
}
