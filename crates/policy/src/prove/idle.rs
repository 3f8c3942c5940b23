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

/// What no rule above decides of the feasible facts that each rule of the first policy of a space
/// may match; nothing for shadow rules.
pub(super) fn lefts(policy: &Policy, reaches: &[Reach], diagrams: &mut Diagrams<'_>) -> Result<Vec<Ref>, TooComplex> {
    let feasible = diagrams.feasible()?;
    let mut lefts = Vec::with_capacity(reaches.len());
    // One cover that grows: to restrict all rules to each one would be quadratic.
    let mut covered = Ref::NONE;
    for (rule, reach) in policy.rules().iter().zip(reaches) {
        let left = diagrams.minus(reach.may_be, covered)?;
        lefts.push(diagrams.and(left, feasible)?);
        if class(&rule.action).is_some() && left != Ref::NONE {
            covered = diagrams.or(covered, reach.is_so)?;
        }
    }
    Ok(lefts)
}

/// The idle rules of the first policy of a space, in order.
pub(super) fn idle(
    policy: &Policy,
    reaches: &[Reach],
    lefts: &[Ref],
    diagrams: &mut Diagrams<'_>,
) -> Result<Vec<Idle>, TooComplex> {
    let feasible = diagrams.feasible()?;
    let mut idle = Vec::new();
    let rules = policy.rules();
    for (index, left) in lefts.iter().enumerate().filter(|(index, _)| !rules[*index].shadow) {
        let line = policy.line(index);
        let can_match = diagrams.meet(reaches[index].may_be, feasible)?;
        if !can_match {
            idle.push(Idle { line, why: Why::Contradictory });
        } else if *left == Ref::NONE {
            let matched = diagrams.and(reaches[index].may_be, feasible)?;
            let covers = covers(policy, &reaches[..index], matched, diagrams)?;
            idle.push(Idle { line, why: Why::NeverReached(covers) });
        } else if rules.len() <= LEFT_OUT
            && !is_closing(policy, index)
            && is_redundant(policy, reaches, index, *left, diagrams)?
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

/// The lines that decide some of these facts, which the rules together decide all.
fn covers(
    policy: &Policy,
    before: &[Reach],
    facts: Ref,
    diagrams: &mut Diagrams<'_>,
) -> Result<Vec<usize>, TooComplex> {
    let mut left = facts;
    let mut lines = Vec::new();
    for (index, reach) in before.iter().enumerate().filter(|(index, _)| class(&policy.rules()[*index].action).is_some())
    {
        let rest = diagrams.minus(left, reach.is_so)?;
        if rest != left {
            lines.push(policy.line(index));
            left = rest;
        }
        if left == Ref::NONE {
            break;
        }
    }
    Ok(lines)
}

/// Whether all of these facts, which are those that it may decide, would be decided alike without
/// the rule.
fn is_redundant(
    policy: &Policy,
    reaches: &[Reach],
    rule: usize,
    left: Ref,
    diagrams: &mut Diagrams<'_>,
) -> Result<bool, TooComplex> {
    let with = parts(policy, reaches, None, left, diagrams)?;
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
    let without = parts(policy, reaches, Some(rule), left, diagrams)?;
    for (a, facts) in &with {
        for (b, others) in &without {
            if !agree(policy, *a, *b) && diagrams.and(*facts, *others)? != Ref::NONE {
                return Ok(false);
            }
        }
    }
    Ok(true)
}
