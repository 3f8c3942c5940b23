//! Regions of the space: where conditions hold, who is a stranger, what a policy says there.

use super::{
    axioms::{AXIOMS, Literal},
    diagram::{Diagrams, Made, Op, Ref},
    dimension::YES,
    line::{Bits, bits},
    rulings::{Mark, Ruling, State, States},
    space::{Fact, Path},
};
use crate::{Action, Condition, Test, TooComplex, Verb, decide::limited, policy::IMPLICIT};

/// How much rulings tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// Whether it is permitted, by which route.
    Permits,
    /// All of it.
    Replies,
}

/// Where something is true, and where it is true or unknown.
type Parts = (Ref, Ref);

impl Diagrams<'_> {
    /// Where a condition of a policy of the space is true, and where it is unknown.
    pub(crate) fn condition(&mut self, policy: usize, condition: &Condition) -> Result<(Ref, Ref), TooComplex> {
        let (is_true, may_be) = self.parts(policy, condition, Ref::ALL)?;
        Ok((is_true, self.minus(may_be, is_true)?))
    }

    /// The same for a whole rule: a limit matches where its rate is reached, too.
    pub(crate) fn rule(&mut self, policy: usize, rule: usize) -> Result<(Ref, Ref), TooComplex> {
        let (is_true, may_be) = self.rule_parts(policy, rule, Ref::ALL)?;
        Ok((is_true, self.minus(may_be, is_true)?))
    }

    pub(super) fn rule_parts(&mut self, policy: usize, rule: usize, region: Ref) -> Result<Parts, TooComplex> {
        let space = self.space;
        let rule = &space.policies[policy].rules[rule];
        match &rule.action {
            Action::Limit(rate) => {
                let reached = Condition::Not(Box::new(Condition::Test(Test::Rate(*rate))));
                let (is_true, may_be) = self.parts(policy, &rule.when, region)?;
                let (reached, may_be_reached) = self.parts(policy, &reached, region)?;
                Ok((self.and(is_true, reached)?, self.and(may_be, may_be_reached)?))
            }
            _ => self.parts(policy, &rule.when, region),
        }
    }

    /// Both parts within a region. What is unknown stays so through `not`, and matters in `and`
    /// only where nothing is false, in `or` only where nothing is true.
    pub(super) fn parts(&mut self, policy: usize, condition: &Condition, region: Ref) -> Result<Parts, TooComplex> {
        match condition {
            Condition::Always => Ok((region, region)),
            Condition::Test(test) => self.test(policy, test, test.unless_known(), region),
            Condition::Assuming(test, unless_known) => self.test(policy, test, Some(*unless_known), region),
            Condition::Not(inner) => {
                let (is_true, may_be) = self.parts(policy, inner, region)?;
                Ok((self.minus(region, may_be)?, self.minus(region, is_true)?))
            }
            Condition::All(inner) => {
                let (mut is_true, mut may_be) = (region, region);
                for one in inner {
                    let (one_is, one_may) = self.parts(policy, one, may_be)?;
                    is_true = self.and(is_true, one_is)?;
                    may_be = one_may;
                }
                Ok((is_true, may_be))
            }
            Condition::Any(inner) => {
                let (mut is_true, mut may_be) = (Ref::NONE, Ref::NONE);
                for one in inner {
                    let (one_is, one_may) = self.parts(policy, one, region)?;
                    is_true = self.or(is_true, one_is)?;
                    may_be = self.or(may_be, one_may)?;
                }
                Ok((is_true, may_be))
            }
        }
    }

    fn test(
        &mut self,
        policy: usize,
        test: &Test,
        unless_known: Option<bool>,
        region: Ref,
    ) -> Result<Parts, TooComplex> {
        let space = self.space;
        let (mut is_true, mut may_be) = (Ref::NONE, Ref::NONE);
        for classes in space.classes(policy, test) {
            let union = |a: &Bits, b: &Bits| a.iter().zip(b).map(|(a, b)| a | b).collect::<Bits>();
            let known = self.within(classes.dimension, &classes.is_true);
            let all = self.within(classes.dimension, &union(&classes.is_true, &classes.is_unknown));
            let (known, all) = match unless_known {
                None => (known, all),
                Some(false) => (known, known),
                Some(true) => (all, all),
            };
            is_true = self.or(is_true, known)?;
            may_be = self.or(may_be, all)?;
        }
        Ok((self.and(region, is_true)?, self.and(region, may_be)?))
    }

    /// Facts that can be: what listeners offer, and what follows from what.
    pub(crate) fn feasible(&mut self) -> Made {
        let mut feasible = Ref::ALL;
        let space = self.space;
        for axiom in AXIOMS {
            let (Literal::Is(bounded, _) | Literal::IsNot(bounded, _)) = axiom[0];
            for (dimension, _) in space.dimensions.iter().enumerate().filter(|(_, of)| bounded.is(&of.fact)) {
                let mut clause = self.literal(dimension, &axiom[0]);
                for literal in &axiom[1..] {
                    let (Literal::Is(kind, _) | Literal::IsNot(kind, _)) = literal;
                    if let Some(dimension) = space.dimensions.iter().position(|of| kind.is(&of.fact)) {
                        let literal = self.literal(dimension, literal);
                        clause = self.or(clause, literal)?;
                    }
                }
                feasible = self.and(feasible, clause)?;
            }
        }
        Ok(feasible)
    }

    fn literal(&mut self, dimension: usize, literal: &Literal) -> Ref {
        let of = &self.space.dimensions[dimension];
        let (Literal::Is(_, words) | Literal::IsNot(_, words)) = literal;
        let meant: Vec<_> = words.iter().filter_map(|word| of.class_of_word(word)).collect();
        let is = matches!(literal, Literal::Is(..));
        let classes = bits(of.classes, (0..of.classes).filter(|class| meant.contains(class) == is));
        self.within(dimension, &classes)
    }

    /// Facts of one who has no credential of this policy.
    pub(crate) fn stranger(&mut self, policy: usize) -> Made {
        let space = self.space;
        let credentials = &space.credentials[policy];
        let mut stranger = Ref::ALL;
        for (dimension, of) in space.dimensions.iter().enumerate() {
            let classes: Bits = match &of.fact {
                Fact::User if !credentials.accounts_open => bits(of.classes, [0]),
                // Without a certificate, or with one whose key no rule names.
                Fact::Key => bits(of.classes, [0, of.classes - 1]),
                Fact::Vouched => bits(of.classes, [0]),
                Fact::Custom(name) if credentials.customs.contains(name) => {
                    bits(of.classes, (0..of.classes).filter(|class| *class != YES))
                }
                Fact::Client => space.regions[policy].strangers.clone(),
                Fact::Name => {
                    let trusted = &space.regions[policy].names;
                    bits(of.classes, (0..of.classes).filter(|class| !has_bit(trusted, *class)))
                }
                _ => continue,
            };
            let within = self.within(dimension, &classes);
            stranger = self.and(stranger, within)?;
        }
        Ok(stranger)
    }

    /// Recipients in local domains of this policy; the bare postmaster is one.
    pub(crate) fn ours(&mut self, policy: usize) -> Made {
        let local = self.space.regions[policy].local.clone();
        Ok(self.recipients(&local))
    }

    /// Recipients in relay domains that are not local.
    pub(crate) fn relay(&mut self, policy: usize) -> Made {
        let relay = self.space.regions[policy].relay.clone();
        let (relay, ours) = (self.recipients(&relay), self.ours(policy)?);
        self.minus(relay, ours)
    }

    /// All other recipients.
    pub(crate) fn foreign(&mut self, policy: usize) -> Made {
        let (ours, relay) = (self.ours(policy)?, self.relay(policy)?);
        let known = self.or(ours, relay)?;
        self.not(known)
    }

    fn recipients(&mut self, classes: &[u64]) -> Ref {
        match self.space.dimension(&Fact::Recipient) {
            Some(dimension) => self.within(dimension, classes),
            None => Ref::NONE,
        }
    }

    /// Where a policy permits, of the facts of a region.
    pub(crate) fn permits(&mut self, policy: usize, region: Ref) -> Made {
        let rulings = self.ruled(policy, region, Detail::Permits)?;
        self.where_ruled(rulings, &|ruling| ruling.verb == Verb::Permit)
    }

    /// What a policy does with each of the facts of a region.
    pub(crate) fn rulings(&mut self, policy: usize, region: Ref) -> Made {
        self.ruled(policy, region, Detail::Replies)
    }

    /// The facts of two diagrams of rulings of which one says something else than the other.
    pub(crate) fn differs(&mut self, a: Ref, b: Ref) -> Made {
        self.make(Op::Differ, a, b)
    }

    /// The facts whose ruling is one of some.
    pub(crate) fn where_ruled(&mut self, rulings: Ref, is: &dyn Fn(&Ruling) -> bool) -> Made {
        self.map_ends(rulings, &mut |states, end| match end.state().map(|state| states.get(state)) {
            Some(State::Final(ruling)) if is(ruling) => Ref::ALL,
            _ => Ref::NONE,
        })
    }

    /// The ruling for one path; `None` outside of the region.
    #[cfg(test)]
    pub(crate) fn ruling(&self, rulings: Ref, path: &[usize]) -> Option<&Ruling> {
        match self.states.get(self.end_of(rulings, path).state()?) {
            State::Final(ruling) => Some(ruling),
            _ => None,
        }
    }

    fn ruled(&mut self, policy: usize, region: Ref, detail: Detail) -> Made {
        let space = self.space;
        let undecided = self.undecided(region)?;
        let mut layers = Vec::new();
        let rules = &space.policies[policy].rules;
        for (index, rule) in rules.iter().enumerate().filter(|(_, rule)| !rule.shadow) {
            let parts = self.rule_parts(policy, index, region)?;
            if parts.1 == Ref::NONE {
                continue;
            }
            layers.extend(self.layer(&rule.action, parts, undecided, detail)?);
            // What nothing comes through to need not be read.
            if parts.0 == region && !matches!(rule.action, Action::Quarantine(_) | Action::Tag(_)) {
                break;
            }
        }
        let refused = Action::Refuse(IMPLICIT);
        layers.extend(self.layer(&refused, (region, region), undecided, detail)?);
        // A balanced tree: most merges are of few rules.
        while layers.len() > 1 {
            let mut merged = Vec::with_capacity(layers.len().div_ceil(2));
            for pair in layers.chunks(2) {
                merged.push(match pair {
                    [first, then] => self.make(Op::Merge, *first, *then)?,
                    _ => pair[0],
                });
            }
            layers = merged;
        }
        Ok(layers.pop().unwrap_or(undecided))
    }

    /// What no rule says of the facts of a region.
    pub(super) fn undecided(&mut self, region: Ref) -> Made {
        self.make(Op::Cover(Ref::end(States::UNDECIDED)), region, Ref::end(States::OUTSIDE))
    }

    /// What one rule says where it is true and where it may be.
    pub(super) fn layer(
        &mut self,
        action: &Action,
        (is_true, may_be): Parts,
        undecided: Ref,
        detail: Detail,
    ) -> Result<Option<Ref>, TooComplex> {
        let marks = |mark: Mark| (State::Open(vec![mark]), None);
        let (certain, pending) = match (action, detail) {
            (Action::Quarantine(_) | Action::Tag(_), Detail::Permits) => return Ok(None),
            (Action::Quarantine(why), _) => marks(Mark::Quarantine(why.clone().unwrap_or_default())),
            (Action::Tag(tag), _) => marks(Mark::Tag(tag.clone())),
            (action, detail) => {
                let (ruling, pending) = ruling(action, detail);
                (State::Final(ruling), Some(pending))
            }
        };
        let mut layer = undecided;
        if let Some(pending) = pending.filter(|_| may_be != is_true) {
            let pending = Ref::end(self.states.number(pending));
            layer = self.make(Op::Cover(pending), may_be, layer)?;
        }
        let certain = Ref::end(self.states.number(certain));
        self.make(Op::Cover(certain), is_true, layer).map(Some)
    }

    /// The cheapest path with the plainest values.
    pub(crate) fn plainest(&self, set: Ref) -> Option<Path> {
        let dimensions = &self.space.dimensions;
        self.cheapest(set, &|dimension, class| {
            let of = &dimensions[dimension];
            match class {
                _ if class == of.plain => 0,
                _ if of.unknown == Some(class) => 2 * of.fact.weight() + 1,
                _ => of.fact.weight(),
            }
        })
    }
}

/// What an action does where its rule matches, and where it may match.
fn ruling(action: &Action, detail: Detail) -> (Ruling, State) {
    let (verb, route, reply) = match action {
        Action::Permit(route) => (Verb::Permit, route.clone(), String::new()),
        Action::Defer(reply) => (Verb::Defer, None, reply.to_string()),
        Action::Limit(_) => (Verb::Defer, None, limited().to_string()),
        Action::Refuse(reply) => (Verb::Refuse, None, reply.to_string()),
        Action::Quarantine(_) | Action::Tag(_) => (Verb::Refuse, None, String::new()),
    };
    // Where only permits count, all else is alike.
    let (verb, reply) = match (detail, verb) {
        (Detail::Permits, Verb::Defer | Verb::Refuse) => (Verb::Refuse, String::new()),
        _ => (verb, reply),
    };
    let pending = State::Pending(Vec::new(), verb, route.clone());
    (Ruling { verb, reply, route, marks: Vec::new() }, pending)
}

fn has_bit(bits: &[u64], bit: usize) -> bool {
    bits.get(bit / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)
}

impl Fact {
    /// How unusual it is that a fact has not its plain value.
    fn weight(&self) -> u64 {
        match self {
            Self::Client | Self::Recipient => 20,
            Self::Tls => 30,
            Self::Listener | Self::Helo | Self::Sender => 40,
            Self::Known | Self::Exists | Self::Aligned | Self::Size | Self::Hops | Self::Recipients => 50,
            Self::Spf | Self::Dkim | Self::Dmarc | Self::Arc | Self::Listed(_) => 60,
            Self::Iprev | Self::Name => 70,
            Self::Minute | Self::Rate(_) => 80,
            Self::Key | Self::User | Self::Owned => 100,
            Self::Vouched | Self::VouchedName(_) => 120,
            Self::Custom(_) => 400,
        }
    }
}
