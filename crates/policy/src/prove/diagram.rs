//! Decision diagrams over the classes of a space.

use crate::{
    Condition, Identifier, Limits, TooComplex, Verb,
    prove::space::{Path, Space},
};

/// A diagram: a set of facts, or a ruling for each of the facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ref(u32);

impl Ref {
    /// No facts at all.
    pub(crate) const NONE: Self = Self(1 << 31);
    /// All facts.
    pub(crate) const ALL: Self = Self(1 << 31 | 1);
}

type Made = Result<Ref, TooComplex>;

/// What a policy does, without the rule that does it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ruling {
    pub(crate) verb: Verb,
    /// The reply as it is written; empty where it is permitted.
    pub(crate) reply: String,
    pub(crate) route: Option<Identifier>,
    /// `quarantine REASON` at most once, and `tag TEXT`; only where it is permitted.
    pub(crate) marks: Vec<String>,
}

/// Diagrams, each made once, and the work that making them has cost.
#[derive(Debug)]
pub(crate) struct Diagrams<'s> {
    space: &'s Space<'s>,
}

impl<'s> Diagrams<'s> {
    pub(crate) fn new(space: &'s Space<'s>, limits: &Limits) -> Self {
        let _ = limits;
        Self { space }
    }

    pub(crate) fn and(&mut self, a: Ref, b: Ref) -> Made {
        let _ = (a, b);
        unimplemented!("owner: c")
    }

    pub(crate) fn or(&mut self, a: Ref, b: Ref) -> Made {
        let _ = (a, b);
        unimplemented!("owner: c")
    }

    pub(crate) fn minus(&mut self, a: Ref, b: Ref) -> Made {
        let _ = (a, b);
        unimplemented!("owner: c")
    }

    pub(crate) fn not(&mut self, a: Ref) -> Made {
        self.minus(Ref::ALL, a)
    }

    /// The facts whose class in a dimension is one of these.
    pub(crate) fn within(&mut self, dimension: usize, classes: &[u64]) -> Ref {
        let _ = (dimension, classes);
        unimplemented!("owner: c")
    }

    /// Where a condition of a policy of the space is true, and where it is unknown.
    pub(crate) fn condition(&mut self, policy: usize, condition: &Condition) -> Result<(Ref, Ref), TooComplex> {
        let _ = (policy, condition);
        unimplemented!("owner: c")
    }

    /// The same for a whole rule: a limit matches where its rate is reached, too.
    pub(crate) fn rule(&mut self, policy: usize, rule: usize) -> Result<(Ref, Ref), TooComplex> {
        let _ = (policy, rule);
        unimplemented!("owner: c")
    }

    /// Facts that can be: what a listener offers, what follows from what.
    pub(crate) fn feasible(&mut self) -> Made {
        unimplemented!("owner: c")
    }

    /// Facts of one who has no credential of this policy.
    pub(crate) fn stranger(&mut self, policy: usize) -> Made {
        let _ = policy;
        unimplemented!("owner: c")
    }

    /// Recipients in local domains of this policy; the bare postmaster is one.
    pub(crate) fn ours(&mut self, policy: usize) -> Made {
        let _ = policy;
        unimplemented!("owner: c")
    }

    /// Recipients in relay domains that are not local.
    pub(crate) fn relay(&mut self, policy: usize) -> Made {
        let _ = policy;
        unimplemented!("owner: c")
    }

    /// All other recipients.
    pub(crate) fn foreign(&mut self, policy: usize) -> Made {
        let _ = policy;
        unimplemented!("owner: c")
    }

    /// Where a policy permits, of the facts of a region.
    pub(crate) fn permits(&mut self, policy: usize, region: Ref) -> Made {
        let _ = (policy, region);
        unimplemented!("owner: c")
    }

    /// What a policy does with each of the facts of a region.
    pub(crate) fn rulings(&mut self, policy: usize, region: Ref) -> Made {
        let _ = (policy, region);
        unimplemented!("owner: c")
    }

    /// The facts of two diagrams of rulings of which one says something else than the other.
    pub(crate) fn differs(&mut self, a: Ref, b: Ref) -> Made {
        let _ = (a, b);
        unimplemented!("owner: c")
    }

    /// The facts whose ruling is one of some.
    pub(crate) fn where_ruled(&mut self, rulings: Ref, is: &dyn Fn(&Ruling) -> bool) -> Made {
        let _ = (rulings, is);
        unimplemented!("owner: c")
    }

    /// The ruling for one path.
    pub(crate) fn ruling(&self, rulings: Ref, path: &[usize]) -> Option<&Ruling> {
        let _ = (rulings, path);
        unimplemented!("owner: c")
    }

    /// Whether a set holds facts of these classes.
    pub(crate) fn holds(&self, set: Ref, path: &[usize]) -> bool {
        let _ = (set, path);
        unimplemented!("owner: c")
    }

    /// The cheapest path of a set; `None` if it is empty. Each class that a path takes costs
    /// something; of equally cheap paths the first.
    pub(crate) fn cheapest(&self, set: Ref, cost: &dyn Fn(usize, usize) -> u64) -> Option<Path> {
        let _ = (set, cost);
        unimplemented!("owner: c")
    }

    /// The cheapest path with the plainest values.
    pub(crate) fn plainest(&self, set: Ref) -> Option<Path> {
        let _ = set;
        unimplemented!("owner: c")
    }
}
