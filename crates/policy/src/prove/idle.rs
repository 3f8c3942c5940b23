//! Rules that do nothing, or nothing of their own.

use super::{
    Idle, TooComplex, Why,
    diagram::{Diagrams, Ref},
    parts::{Decider, Reach, agree, class, parts},
};
use crate::{Action, Condition, Policy};

/// So many rules are each left out and the rest compared with the whole; in a longer policy only
/// what cannot hold or is never reached is found.
const LEFT_OUT: usize = 64;

/// Some of the facts that no rule in front decides, or none if there are none; and rules that
/// decide others of them.
///
/// It asks of one fact after the other which rule decides it, and takes out what else that rule
/// decides. What all rules in front decide together would be much larger.
pub(super) fn left(
    policy: &Policy,
    before: &[Reach],
    facts: Ref,
    diagrams: &mut Diagrams<'_>,
) -> Result<(Ref, Vec<usize>), TooComplex> {
    let (mut left, mut deciders) = (facts, Vec::new());
    let classes: usize = diagrams.space.dimensions.iter().map(|dimension| dimension.classes).sum();
    while let Some(path) = diagrams.plainest(left) {
        diagrams.charge(before.len() / 2 + classes / 4)?;
        let decides = |(rule, reach): (usize, &Reach)| {
            class(&policy.rules()[rule].action).is_some() && diagrams.holds(reach.is_so, &path)
        };
        let Some(decider) = before.iter().enumerate().position(decides) else { break };
        left = diagrams.minus(left, before[decider].is_so)?;
        deciders.push(decider);
    }
    deciders.sort_unstable();
    Ok((left, deciders))
}

/// The idle rules of the first policy of a space, in order.
pub(super) fn idle(policy: &Policy, reaches: &[Reach], diagrams: &mut Diagrams<'_>) -> Result<Vec<Idle>, TooComplex> {
    let feasible = diagrams.feasible()?;
    let mut idle = Vec::new();
    let rules = policy.rules();
    for index in (0..rules.len()).filter(|index| !rules[*index].shadow) {
        let line = policy.line(index);
        let matched = diagrams.and(reaches[index].may_be, feasible)?;
        if matched == Ref::NONE {
            idle.push(Idle { line, why: Why::Contradictory });
            continue;
        }
        let (rest, deciders) = left(policy, &reaches[..index], matched, diagrams)?;
        if rest == Ref::NONE {
            let lines = deciders.iter().map(|rule| policy.line(*rule)).collect();
            idle.push(Idle { line, why: Why::NeverReached(lines) });
        } else if rules.len() <= LEFT_OUT
            && !is_closing(policy, index)
            && is_redundant(policy, reaches, index, matched, diagrams)?
        {
            idle.push(Idle { line, why: Why::Redundant });
        }
    }
    Ok(idle)
}

/// The refusal of all that is left, which many write in so many words.
fn is_closing(policy: &Policy, index: usize) -> bool {
    let rule = &policy.rules()[index];
    let is_last = policy.rules()[index + 1..].iter().all(|rule| rule.shadow);
    is_last && matches!(rule.action, Action::Refuse(_)) && rule.when == Condition::Always
}

/// Whether all of these facts, which are those that it may match, would be decided alike without
/// the rule.
fn is_redundant(
    policy: &Policy,
    reaches: &[Reach],
    rule: usize,
    matched: Ref,
    diagrams: &mut Diagrams<'_>,
) -> Result<bool, TooComplex> {
    let with = parts(policy, reaches, None, matched, diagrams)?;
    if class(&policy.rules()[rule].action).is_none() {
        // A mark counts where it is true and the message is permitted.
        let permits = |index: usize| matches!(policy.rules()[index].action, Action::Permit(_));
        for (decider, facts) in with {
            let marked = diagrams.and(facts, reaches[rule].is_so)?;
            if matches!(decider, Decider::Rule(index) if index > rule && permits(index)) && marked != Ref::NONE {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    let without = parts(policy, reaches, Some(rule), matched, diagrams)?;
    for (a, facts) in &with {
        for (b, others) in &without {
            let facts = diagrams.and(*facts, *others)?;
            if facts == Ref::NONE {
                continue;
            }
            if !agree(policy, *a, *b) || marked_between(policy, reaches, (*a, *b), facts, diagrams)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Whether some of these facts are marked behind the first and before the second of two rules that
/// permit them: by the first one they get through without the mark.
fn marked_between(
    policy: &Policy,
    reaches: &[Reach],
    deciders: (Decider, Decider),
    facts: Ref,
    diagrams: &mut Diagrams<'_>,
) -> Result<bool, TooComplex> {
    let rules = policy.rules();
    let (Decider::Rule(first), Decider::Rule(second)) = deciders else { return Ok(false) };
    if !matches!(rules[first].action, Action::Permit(_)) {
        return Ok(false);
    }
    for between in first..second {
        if class(&rules[between].action).is_none() && diagrams.and(facts, reaches[between].is_so)? != Ref::NONE {
            return Ok(true);
        }
    }
    Ok(false)
}
