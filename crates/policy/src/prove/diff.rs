//! What two policies do differently.

use super::{
    Change, Limits, Outcome, TooComplex,
    diagram::{Diagrams, Ref},
    parts::{parts, reaches},
    space::Space,
};
use crate::{Action, Condition, Decision, Policy, Rule, Test};

/// So many pairs of rules are compared to find those that both policies have in the same order;
/// of more, only those at the beginning and at the end are found.
const PAIRS: usize = 4_000_000;

pub(super) fn diff(old: &Policy, new: &Policy, limits: &Limits) -> Result<Vec<Change>, TooComplex> {
    let common = common(old.rules(), new.rules());
    if common.len() == old.rules().len() && common.len() == new.rules().len() && old.lists() == new.lists() {
        return Ok(Vec::new());
    }
    let space = Space::new(&[old, new]);
    let diagrams = &mut Diagrams::new(&space, limits)?;
    let guard = guard(old, new, &common, diagrams)?;
    let before = diagrams.rulings(0, guard)?;
    let after = diagrams.rulings(1, guard)?;
    let different = diagrams.differs(before, after)?;
    let different = diagrams.and(different, guard)?;
    let mut changes = Vec::new();
    if different == Ref::NONE {
        return Ok(changes);
    }
    let (of_old, of_new) = (reaches(0, old, diagrams)?, reaches(1, new, diagrams)?);
    for facts in parts(old, &of_old, None, different, diagrams)?.into_values() {
        for facts in parts(new, &of_new, None, facts, diagrams)?.into_values() {
            let Some(path) = diagrams.plainest(facts) else { continue };
            let witness = space.facts(&path);
            let before = outcome(old, &old.decide(&witness));
            let after = outcome(new, &new.decide(&witness));
            changes.push(Change { witness, before, after });
        }
    }
    Ok(changes)
}

/// Facts outside of which the two decide alike: every rule that only one of them has does not
/// match there, and no list holds what it did not hold before.
fn guard(
    old: &Policy,
    new: &Policy,
    common: &[(usize, usize)],
    diagrams: &mut Diagrams<'_>,
) -> Result<Ref, TooComplex> {
    let mut guard = Vec::new();
    let only = |index: usize, policy: &Policy, diagrams: &mut Diagrams<'_>, guard: &mut Vec<Ref>| {
        for (rule, is) in policy.rules().iter().enumerate().filter(|(_, is)| !is.shadow) {
            let is_common = common.iter().any(|pair| [pair.0, pair.1][index] == rule);
            if !is_common && !is.shadow {
                let (is_so, unknown) = diagrams.rule(index, rule)?;
                guard.extend([is_so, unknown]);
            }
        }
        Ok(())
    };
    only(0, old, diagrams, &mut guard)?;
    only(1, new, diagrams, &mut guard)?;
    if old.lists() != new.lists() {
        let mut tests: Vec<&Test> = Vec::new();
        for (rule, _) in common {
            for test in old.rules()[*rule].when.tests() {
                if !tests.contains(&test) {
                    tests.push(test);
                }
            }
        }
        for test in tests {
            let condition = Condition::Test(test.clone());
            let (before, after) = (diagrams.condition(0, &condition)?, diagrams.condition(1, &condition)?);
            for (before, after) in [(before.0, after.0), (before.1, after.1)] {
                guard.push(diagrams.minus(before, after)?);
                guard.push(diagrams.minus(after, before)?);
            }
        }
    }
    let mut all = Ref::NONE;
    for facts in guard {
        all = diagrams.or(all, facts)?;
    }
    let feasible = diagrams.feasible()?;
    diagrams.and(all, feasible)
}

/// The longest list of rules that both have in the same order, as pairs of indices.
fn common(old: &[Rule], new: &[Rule]) -> Vec<(usize, usize)> {
    let alike = |a: &Rule, b: &Rule| (&a.action, &a.when, a.shadow) == (&b.action, &b.when, b.shadow);
    let head = old.iter().zip(new).take_while(|(a, b)| alike(a, b)).count();
    let (old_rest, new_rest) = (&old[head..], &new[head..]);
    let tail = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(a, b)| alike(a, b)).count();
    let (rows, columns) = (old_rest.len() - tail, new_rest.len() - tail);
    let mut pairs: Vec<_> = (0..head).map(|index| (index, index)).collect();
    if rows * columns <= PAIRS {
        // The length of the longest common list of what is left from each pair on.
        let mut longest = vec![0_u32; (rows + 1) * (columns + 1)];
        let at = |row: usize, column: usize| row * (columns + 1) + column;
        for row in (0..rows).rev() {
            for column in (0..columns).rev() {
                longest[at(row, column)] = match alike(&old_rest[row], &new_rest[column]) {
                    true => longest[at(row + 1, column + 1)] + 1,
                    false => longest[at(row + 1, column)].max(longest[at(row, column + 1)]),
                };
            }
        }
        let (mut row, mut column) = (0, 0);
        while row < rows && column < columns {
            if alike(&old_rest[row], &new_rest[column]) {
                pairs.push((head + row, head + column));
                (row, column) = (row + 1, column + 1);
            } else if longest[at(row + 1, column)] >= longest[at(row, column + 1)] {
                row += 1;
            } else {
                column += 1;
            }
        }
    }
    pairs.extend((1..=tail).rev().map(|back| (old.len() - back, new.len() - back)));
    pairs
}

/// What is decided, with the reply as the policy writes it.
fn outcome(policy: &Policy, decision: &Decision<'_>) -> Outcome {
    let rule = policy.rules().iter().enumerate().find(|(index, _)| Some(policy.line(*index)) == decision.line);
    let written = match rule.map(|(_, rule)| &rule.action) {
        Some(Action::Refuse(reply) | Action::Defer(reply)) if reply.code() == decision.reply.code() => reply,
        _ => &decision.reply,
    };
    let mut marks = Vec::new();
    if decision.is_permitted() {
        let reason = |reason: &str| if reason.is_empty() { String::new() } else { format!(" {reason:?}") };
        marks.extend(decision.quarantine.map(|why| format!("quarantine{}", reason(why))));
        marks.extend(decision.tags.iter().map(|tag| format!("tag {tag:?}")));
    }
    Outcome {
        verb: verb(decision),
        reply: written.to_string(),
        route: decision.route.map(str::to_owned),
        rule: decision.rule.to_owned(),
        line: decision.line,
        marks,
    }
}

/// What the reply of a decision means.
pub(super) fn verb(decision: &Decision<'_>) -> crate::Verb {
    match &decision.reply {
        reply if reply.is_positive() => crate::Verb::Permit,
        reply if reply.is_transient() => crate::Verb::Defer,
        _ => crate::Verb::Refuse,
    }
}
