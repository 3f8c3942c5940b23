//! What rules say, one after the other: the ends of diagrams of rulings.
//!
//! A rule that may match and cannot be known to stays pending: what comes after it decides if it
//! says the same, and else nobody can (the recipient is deferred). So the rulings of rules can be
//! merged in any grouping, which is what makes a balanced tree of them possible.

use std::collections::BTreeMap;

use crate::{Identifier, Verb, decide};

/// What a policy does, without the rule that does it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ruling {
    pub(crate) verb: Verb,
    /// The reply as it is written; empty where it is permitted.
    pub(crate) reply: String,
    pub(crate) route: Option<Identifier>,
    /// `quarantine` with its reason at most once, and each `tag`; only where it is permitted.
    pub(crate) marks: Vec<Mark>,
}

/// What is marked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Mark {
    /// The message is put aside, for this reason.
    Quarantine(String),
    /// The message gets this mark.
    Tag(String),
}

/// What some rules say of facts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// Nothing; what a later rule permits is marked.
    Open(Vec<Mark>),
    /// A rule that does this may match.
    Pending(Vec<Mark>, Verb, Option<Identifier>),
    /// This.
    Final(Ruling),
    /// Nobody has asked.
    Outside,
}

/// The states that occur, by number.
#[derive(Debug)]
pub(crate) struct States {
    states: Vec<State>,
    numbers: BTreeMap<State, u32>,
    merged: BTreeMap<(u32, u32), u32>,
}

impl Default for States {
    fn default() -> Self {
        let mut states = Self { states: Vec::new(), numbers: BTreeMap::new(), merged: BTreeMap::new() };
        states.number(State::Open(Vec::new()));
        states.number(State::Outside);
        states
    }
}

impl States {
    /// No rule has said anything.
    pub(super) const UNDECIDED: u32 = 0;
    /// The facts are none that were asked about.
    pub(super) const OUTSIDE: u32 = 1;

    pub(super) fn number(&mut self, state: State) -> u32 {
        if let Some(number) = self.numbers.get(&state) {
            return *number;
        }
        let number = u32::try_from(self.states.len()).expect("fewer states than steps");
        self.states.push(state.clone());
        self.numbers.insert(state, number);
        number
    }

    pub(super) fn get(&self, number: u32) -> &State {
        &self.states[number as usize]
    }

    pub(super) fn is_final(&self, number: u32) -> bool {
        matches!(self.get(number), State::Final(_) | State::Outside)
    }

    pub(super) fn merge(&mut self, first: u32, then: u32) -> u32 {
        if let Some(merged) = self.merged.get(&(first, then)) {
            return *merged;
        }
        let merged = merge(self.get(first), self.get(then));
        let number = self.number(merged);
        self.merged.insert((first, then), number);
        number
    }
}

fn merge(first: &State, then: &State) -> State {
    match (first, then) {
        (State::Final(_) | State::Outside, _) => first.clone(),
        (_, State::Outside) => State::Outside,
        (State::Open(marks), State::Open(more)) => State::Open(join(marks, more)),
        (State::Open(marks), State::Pending(more, verb, route)) => {
            State::Pending(join(marks, more), *verb, route.clone())
        }
        (State::Open(marks), State::Final(ruling)) => State::Final(marked(marks, ruling)),
        (State::Pending(marks, verb, route), State::Open(more)) => {
            State::Pending(join(marks, more), *verb, route.clone())
        }
        (State::Pending(marks, verb, route), State::Pending(more, then, their)) => {
            if (verb, route) == (then, their) {
                State::Pending(join(marks, more), *verb, route.clone())
            } else {
                State::Final(torn())
            }
        }
        (State::Pending(marks, verb, route), State::Final(ruling)) => {
            if (verb, route) == (&ruling.verb, &ruling.route) {
                State::Final(marked(marks, ruling))
            } else {
                State::Final(torn())
            }
        }
    }
}

/// The ruling where two disagree of which nobody knows which is right.
pub(super) fn torn() -> Ruling {
    Ruling { verb: Verb::Defer, reply: decide::torn().to_string(), route: None, marks: Vec::new() }
}

fn marked(marks: &[Mark], ruling: &Ruling) -> Ruling {
    let mut ruling = ruling.clone();
    if ruling.verb == Verb::Permit {
        ruling.marks = join(marks, &ruling.marks);
    }
    ruling
}

/// A message is put aside once, for the first reason, and a tag that is there is not made twice.
/// The reason comes first: where it stands among the tags nobody can notice.
fn join(marks: &[Mark], more: &[Mark]) -> Vec<Mark> {
    let all = || marks.iter().chain(more);
    let aside = all().find(|mark| matches!(mark, Mark::Quarantine(_)));
    let mut joined: Vec<Mark> = aside.cloned().into_iter().collect();
    for mark in all() {
        if matches!(mark, Mark::Tag(_)) && !joined.contains(mark) {
            joined.push(mark.clone());
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states() -> Vec<State> {
        let tag = |text: &str| Mark::Tag(text.to_owned());
        let aside = |text: &str| Mark::Quarantine(text.to_owned());
        let marks = [vec![], vec![tag("a")], vec![tag("b"), aside("c")], vec![aside("d")]];
        let rulings = [
            (Verb::Permit, "", None),
            (Verb::Permit, "", Some("smarthost")),
            (Verb::Refuse, "550 one", None),
            (Verb::Refuse, "550 other", None),
            (Verb::Defer, "450 one", None),
        ];
        let mut states = Vec::new();
        for (verb, reply, route) in rulings {
            let route: Option<Identifier> = route.map(|route| route.parse().unwrap());
            let permits = verb == Verb::Permit;
            for marks in &marks[..if permits { 4 } else { 1 }] {
                let (reply, route, marks) = (reply.to_owned(), route.clone(), marks.clone());
                states.push(State::Final(Ruling { verb, reply, route, marks }));
            }
            states.extend(marks.iter().map(|marks| State::Pending(marks.clone(), verb, route.clone())));
        }
        states.extend(marks.into_iter().map(State::Open));
        states.push(State::Final(torn()));
        states
    }

    #[test]
    fn rules_can_be_merged_in_any_grouping() {
        let states = states();
        // Facts that nobody asks about are so for all rules.
        assert_eq!(merge(&State::Outside, &State::Outside), State::Outside);
        for a in &states {
            for b in &states {
                let ab = merge(a, b);
                for c in &states {
                    assert_eq!(merge(&ab, c), merge(a, &merge(b, c)), "{a:?} {b:?} {c:?}");
                }
            }
        }
    }
}
