//! What is permitted, row by row.

use super::{
    Row, TooComplex,
    columns::Columns,
    diagram::{Diagrams, Ref},
    idle::left,
    literals::{Literal, literals},
    parts::{Reach, class},
};
use crate::{Action, Condition, Policy};

/// A policy of at most so many rules gets a cover: rows that stand for themselves, whatever rule
/// they come from. A longer one gets one row a rule.
pub(super) const COVERED: usize = 16;
/// A cover of more rows than this is no easier to read than the rules.
const COVER: usize = 16;

/// The rows of the first policy of a space, where its rules match as in `reaches`. Each is true,
/// and together they are all that is permitted.
pub(super) fn rows(policy: &Policy, reaches: &[Reach], diagrams: &mut Diagrams<'_>) -> Result<Vec<Row>, TooComplex> {
    if policy.rules().len() <= COVERED
        && let Some(rows) = cover(policy, diagrams)?
    {
        return Ok(rows);
    }
    by_rule(policy, reaches, diagrams)
}

/// One row for each permit that matches anything, with the lines above it that take something
/// away from it.
pub(super) fn by_rule(policy: &Policy, reaches: &[Reach], diagrams: &mut Diagrams<'_>) -> Result<Vec<Row>, TooComplex> {
    let feasible = diagrams.feasible()?;
    let mut rows = Vec::new();
    for (index, rule) in policy.rules().iter().enumerate() {
        if rule.shadow || !matches!(rule.action, Action::Permit(_)) {
            continue;
        }
        let permitted = diagrams.and(reaches[index].is_so, feasible)?;
        if left(policy, &reaches[..index], permitted, diagrams)?.0 == Ref::NONE {
            continue;
        }
        let mut except = Vec::new();
        for (other, above) in policy.rules().iter().enumerate().take(index) {
            if takes_from(&above.action, &rule.action) && diagrams.meet(permitted, reaches[other].may_be)? {
                except.push(policy.line(other));
            }
        }
        rows.push(row(rule.when.clone(), Some(policy.line(index)), except));
    }
    Ok(rows)
}

/// Whether what the one decides, or may decide, is not permitted as the other permits it.
fn takes_from(above: &Action, permit: &Action) -> bool {
    class(above).is_some_and(|above| Some(above) != class(permit))
}

fn row(condition: Condition, line: Option<usize>, except: Vec<usize>) -> Row {
    let Columns { who, to, when } = Columns::of(&condition);
    Row { who, to, when, line, except, condition }
}

/// Rows of which each says as little as it can: what is left out of it would not change that it
/// is permitted. `None` if they are too many to be read.
pub(super) fn cover(policy: &Policy, diagrams: &mut Diagrams<'_>) -> Result<Option<Vec<Row>>, TooComplex> {
    let feasible = diagrams.feasible()?;
    let permitted = diagrams.permits(0, feasible)?;
    let refused = diagrams.minus(feasible, permitted)?;
    let (stranger, foreign) = (diagrams.stranger(0)?, diagrams.foreign(0)?);
    let literals = literals(policy, diagrams)?;
    let mut left = permitted;
    let mut rows: Vec<(Condition, Ref)> = Vec::new();
    while left != Ref::NONE {
        if rows.len() == COVER {
            return Ok(None);
        }
        // What strangers can do, and what goes to foreign domains, is told first.
        let by_strangers = diagrams.and(left, stranger)?;
        let foreign_by_strangers = diagrams.and(by_strangers, foreign)?;
        let to_foreign = diagrams.and(left, foreign)?;
        let first = [foreign_by_strangers, by_strangers, to_foreign, left].into_iter().find(|set| *set != Ref::NONE);
        let Some(path) = first.and_then(|set| diagrams.plainest(set)) else { break };
        let (condition, facts) = widest(&literals, &path, refused, feasible, diagrams)?;
        let rest = diagrams.minus(left, facts)?;
        if rest == left {
            // Only if the literals cannot tell what the classes can.
            return Ok(None);
        }
        left = rest;
        rows.push((condition, facts));
    }
    without_needless(&mut rows, permitted, diagrams)?;
    Ok(Some(rows.into_iter().map(|(condition, _)| row(condition, None, Vec::new())).collect()))
}

/// Leaves out rows whose facts the others hold.
fn without_needless(
    rows: &mut Vec<(Condition, Ref)>,
    permitted: Ref,
    diagrams: &mut Diagrams<'_>,
) -> Result<(), TooComplex> {
    for index in (0..rows.len()).rev() {
        let mut left = permitted;
        for (_, facts) in rows.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, row)| row) {
            left = diagrams.minus(left, *facts)?;
        }
        if left == Ref::NONE {
            rows.remove(index);
        }
    }
    Ok(())
}

/// A condition that holds on the path, of which no part can be left out, and its facts.
fn widest(
    literals: &[Literal],
    path: &[usize],
    refused: Ref,
    feasible: Ref,
    diagrams: &mut Diagrams<'_>,
) -> Result<(Condition, Ref), TooComplex> {
    // For each literal what it says of the path: the strongest first, then what is weaker.
    let mut kept: Vec<Vec<&(Condition, Ref)>> = Vec::new();
    for literal in literals {
        kept.push(literal.says.iter().filter(|(_, facts)| diagrams.holds(*facts, path)).collect());
    }
    let is_negative = |says: &Vec<&(Condition, Ref)>| says.first().is_some_and(|says| !is_positive(&says.0));
    let mut order: Vec<_> = (0..literals.len()).collect();
    order.sort_by_key(|index| literals[*index].order(is_negative(&kept[*index])));
    for index in order {
        let mut others = feasible;
        for says in kept.iter().enumerate().filter(|(other, _)| *other != index).filter_map(|(_, says)| says.first()) {
            others = diagrams.and(others, says.1)?;
        }
        let choices: Vec<_> = std::mem::take(&mut kept[index]);
        let implied = match choices.first() {
            Some((_, facts)) => diagrams.minus(others, *facts)? == Ref::NONE,
            None => false,
        };
        let mut without = choices.len();
        if diagrams.and(others, refused)? != Ref::NONE {
            // It cannot be left out: the weakest that does.
            without = 0;
            for (weaker, (_, facts)) in choices.iter().enumerate().rev() {
                let wide = diagrams.and(others, *facts)?;
                if diagrams.and(wide, refused)? == Ref::NONE {
                    without = weaker;
                    break;
                }
            }
        } else if implied && literals[index].is_credential && choices.first().is_some_and(|says| is_positive(&says.0)) {
            // Who it is is said even if the rest of the row says it, too.
            without = 0;
        }
        kept[index] = choices.into_iter().skip(without).collect();
    }
    let mut facts = feasible;
    let mut said = Vec::new();
    for (condition, holds) in kept.iter().filter_map(|says| says.first()) {
        facts = diagrams.and(facts, *holds)?;
        said.push(condition.clone());
    }
    let parts = |condition| match condition {
        Condition::All(parts) => parts,
        one => vec![one],
    };
    let mut said: Vec<_> = said.into_iter().flat_map(parts).collect();
    let condition = match said.len() {
        0 => Condition::Always,
        1 => said.remove(0),
        _ => Condition::All(said),
    };
    Ok((condition, facts))
}

fn is_positive(condition: &Condition) -> bool {
    !matches!(condition, Condition::Not(_))
}
