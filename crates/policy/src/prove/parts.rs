//! Which rule decides which facts.

use std::collections::BTreeMap;

use super::{
    TooComplex,
    diagram::{Diagrams, Ref},
    line::bits,
};
use crate::{Action, Identifier, Policy, Verb, policy::IMPLICIT};

/// Where a rule matches, whether or not there can be such facts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    /// Where it is true.
    pub(super) is_so: Ref,
    /// Where it is true or cannot be told.
    pub(super) may_be: Ref,
}

/// What decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Decider {
    /// This rule.
    Rule(usize),
    /// This rule cannot be told to match, and what else would decide differs.
    Torn(usize),
    /// No rule.
    Implicit,
}

/// The facts of one class of a dimension.
pub(super) fn only(dimension: usize, class: usize, diagrams: &mut Diagrams<'_>) -> Ref {
    let classes = bits(diagrams.space.dimensions[dimension].classes, [class]);
    diagrams.within(dimension, &classes)
}

/// Where a rule of a policy of the space matches.
fn reach(policy: usize, rule: usize, diagrams: &mut Diagrams<'_>) -> Result<Reach, TooComplex> {
    let (is_so, unknown) = diagrams.rule(policy, rule)?;
    Ok(Reach { is_so, may_be: diagrams.or(is_so, unknown)? })
}

/// Where each rule of a policy of the space matches, in order; shadow rules nowhere.
pub(super) fn reaches(index: usize, policy: &Policy, diagrams: &mut Diagrams<'_>) -> Result<Vec<Reach>, TooComplex> {
    let nowhere = Reach { is_so: Ref::NONE, may_be: Ref::NONE };
    let rules = policy.rules().iter().enumerate();
    rules.map(|(rule, is)| if is.shadow { Ok(nowhere) } else { reach(index, rule, diagrams) }).collect()
}

/// What a rule does: rules that do the same need not wait for each other.
pub(super) fn class(action: &Action) -> Option<(Verb, Option<&Identifier>)> {
    match action {
        Action::Permit(route) => Some((Verb::Permit, route.as_ref())),
        Action::Refuse(_) => Some((Verb::Refuse, None)),
        Action::Defer(_) | Action::Limit(_) => Some((Verb::Defer, None)),
        Action::Quarantine(_) | Action::Tag(_) => None,
    }
}

/// The facts of a region by what decides them, without the rule `without`.
pub(super) fn parts(
    policy: &Policy,
    reaches: &[Reach],
    without: Option<usize>,
    region: Ref,
    diagrams: &mut Diagrams<'_>,
) -> Result<BTreeMap<Decider, Ref>, TooComplex> {
    let mut parts = Parts { diagrams, parts: BTreeMap::new() };
    let mut free = region;
    let mut pending = Vec::new();
    for (index, (rule, reach)) in policy.rules().iter().zip(reaches).enumerate() {
        let Some(does) = class(&rule.action).filter(|_| Some(index) != without && reach.may_be != Ref::NONE) else {
            continue;
        };
        for (first, class, facts) in &mut pending {
            *facts = match *class == does {
                true => parts.take(Decider::Rule(index), *facts, reach.is_so)?,
                false => parts.take(Decider::Torn(*first), *facts, reach.may_be)?,
            };
        }
        free = parts.take(Decider::Rule(index), free, reach.is_so)?;
        let unknown = parts.diagrams.and(free, reach.may_be)?;
        free = parts.diagrams.minus(free, reach.may_be)?;
        pending.push((index, does, unknown));
        pending.retain(|(.., facts)| *facts != Ref::NONE);
        if free == Ref::NONE && pending.is_empty() {
            break;
        }
    }
    parts.take(Decider::Implicit, free, free)?;
    for (first, (verb, _), facts) in pending {
        let decider = if verb == Verb::Refuse { Decider::Implicit } else { Decider::Torn(first) };
        parts.take(decider, facts, facts)?;
    }
    Ok(parts.parts)
}

struct Parts<'d, 's> {
    diagrams: &'d mut Diagrams<'s>,
    parts: BTreeMap<Decider, Ref>,
}

impl Parts<'_, '_> {
    /// Notes what decides those of the facts that it matches, and gives the others.
    fn take(&mut self, decider: Decider, facts: Ref, matched: Ref) -> Result<Ref, TooComplex> {
        let taken = self.diagrams.and(facts, matched)?;
        if taken == Ref::NONE {
            return Ok(facts);
        }
        let part = self.parts.entry(decider).or_insert(Ref::NONE);
        *part = self.diagrams.or(*part, taken)?;
        self.diagrams.minus(facts, matched)
    }
}

/// Whether two deciders do the same: verb, reply and route.
pub(super) fn agree(policy: &Policy, a: Decider, b: Decider) -> bool {
    let does = |decider| match decider {
        Decider::Rule(rule) => match &policy.rules()[rule].action {
            Action::Permit(route) => Does::Permit(route.as_ref()),
            Action::Refuse(reply) | Action::Defer(reply) => Does::Answer(reply.clone()),
            _ => Does::Limit,
        },
        Decider::Torn(_) => Does::Torn,
        Decider::Implicit => Does::Answer(IMPLICIT),
    };
    does(a) == does(b)
}

#[derive(PartialEq)]
enum Does<'p> {
    Permit(Option<&'p Identifier>),
    Answer(hikyaku_wire::Reply),
    Limit,
    Torn,
}
