//! A condition in three columns: who, to whom, and when.

use crate::{Condition, Test};

/// Who, to whom and when, in words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) who: String,
    pub(super) to: String,
    pub(super) when: String,
}

/// The column of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Who,
    To,
    When,
}

impl Columns {
    pub(super) fn of(condition: &Condition) -> Self {
        let (mut who, mut to, mut when) = (Vec::new(), Vec::new(), Vec::new());
        let parts = match condition {
            Condition::All(parts) => parts.as_slice(),
            one => std::slice::from_ref(one),
        };
        for part in parts.iter().filter(|part| **part != Condition::Always) {
            match column(part) {
                Column::Who => who.push(part),
                Column::To => to.push(part),
                Column::When => when.push(part),
            }
        }
        let when: Vec<_> = when.iter().map(|part| in_parentheses(part, parts.len() > 1)).collect();
        Self { who: who_text(&who), to: to_text(&to), when: or_else(when.join(" and "), "always") }
    }
}

fn or_else(text: String, otherwise: &str) -> String {
    if text.is_empty() { otherwise.to_owned() } else { text }
}

fn in_parentheses(part: &Condition, several: bool) -> String {
    match part {
        Condition::Any(_) if several => format!("({part})"),
        _ => part.to_string(),
    }
}

/// The column in which a part of a condition stands: that of its tests, if they all have the
/// same.
fn column(part: &Condition) -> Column {
    let tests = part.tests();
    let of = |test: &Test| match test {
        Test::From(_) | Test::Authenticated(_) | Test::Certificate(_) | Test::Name(_) => Column::Who,
        Test::To(_) => Column::To,
        _ => Column::When,
    };
    let first = tests.first().map_or(Column::When, |test| of(test));
    let is_plain = !matches!(part, Condition::Assuming(..));
    if is_plain && tests.iter().all(|test| of(test) == first) { first } else { Column::When }
}

fn who_text(parts: &[&Condition]) -> String {
    let texts: Vec<_> = parts.iter().map(|part| in_parentheses(part, parts.len() > 1)).collect();
    or_else(texts.join(" and "), "anyone")
}

/// The recipients: `ours`, `ours or partners`, `ours except noise`, `anywhere except noise`.
fn to_text(parts: &[&Condition]) -> String {
    let is_not = |part: &&&Condition| matches!(part, Condition::Not(_));
    let wanted: Vec<_> = parts.iter().filter(|part| !is_not(part)).map(|part| bare(part)).collect();
    let not: Vec<_> = parts.iter().filter(is_not).map(|part| bare(part)).collect();
    let base = or_else(wanted.join(" and "), "anywhere");
    if not.is_empty() { base } else { format!("{base} except {}", not.join(" and ")) }
}

/// Without the word `to`, and without `not` in front.
fn bare(part: &Condition) -> String {
    match part {
        Condition::Not(inner) => bare(inner),
        Condition::Any(any) if any.iter().all(|one| matches!(one, Condition::Test(_))) => {
            any.iter().map(bare).collect::<Vec<_>>().join(" or ")
        }
        Condition::Any(_) | Condition::All(_) => format!("({part})"),
        _ => {
            let text = part.to_string();
            text.strip_prefix("to ").map_or(text.clone(), str::to_owned)
        }
    }
}
