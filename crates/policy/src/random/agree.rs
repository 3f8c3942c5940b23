//! What must hold of a policy, its proof, and any facts.

use super::{feasible, foreign, marks_by_hand, stranger, verb_by_hand};
use crate::{Facts, Policy, Stage, Verb, Verdict, Witness};

pub(crate) fn verb(policy: &Policy, facts: &Facts) -> Verb {
    match policy.decide(facts).reply.code().as_u16() / 100 {
        2 => Verb::Permit,
        4 => Verb::Defer,
        _ => Verb::Refuse,
    }
}

/// The decision on the facts of a whole transaction is what the rules say.
pub(crate) fn decided(policy: &Policy, facts: &Facts) -> Verb {
    let decision = policy.decide(facts);
    let (expected, route) = verb_by_hand(policy, facts);
    assert_eq!(verb(policy, facts), expected, "{policy}\n{facts:#?}");
    assert_eq!(decision.route.map(str::to_owned), route, "{policy}\n{facts:#?}");
    assert!(!decision.provisional, "{policy}\n{facts:#?}");
    if let (Verb::Permit, Some(marks)) = (expected, marks_by_hand(policy, facts)) {
        let quarantine = marks.iter().find_map(|mark| mark.strip_prefix("quarantine "));
        assert_eq!(decision.quarantine, quarantine, "{policy}\n{facts:#?}");
        let tags: Vec<_> = marks.iter().filter(|mark| !mark.starts_with("quarantine ")).collect();
        assert_eq!(decision.tags, tags, "{policy}\n{facts:#?}");
    }
    expected
}

/// No stranger's mail for elsewhere is permitted by a policy that is proved closed.
pub(crate) fn closed(policy: &Policy, verdict: &Verdict, facts: &Facts) {
    let shows = stranger(policy, facts) == Some(true) && foreign(policy, facts) && verb(policy, facts) == Verb::Permit;
    if shows {
        assert_ne!(*verdict, Verdict::Closed, "{policy}\nis proved closed, and permits {facts:#?}");
    }
}

/// A witness that a policy is open can be, is a stranger whose mail is for elsewhere, and is permitted.
pub(crate) fn open(policy: &Policy, verdict: &Verdict) {
    if let Verdict::Open(witness) = verdict {
        decides(policy, witness, Verb::Permit);
        let facts = &witness.facts;
        assert_ne!(stranger(policy, facts), Some(false), "no stranger: {policy}\n{facts:#?}");
        assert!(foreign(policy, facts), "not elsewhere: {policy}\n{facts:#?}");
    }
}

/// A witness can be, and is decided so, by the rule that it names.
pub(crate) fn decides(policy: &Policy, witness: &Witness, expected: Verb) {
    let facts = &witness.facts;
    assert_eq!(feasible(facts), Ok(()), "{policy}\n{facts:#?}");
    assert_eq!(decided(policy, facts), expected, "{policy}\n{facts:#?}");
    let decision = policy.decide(facts);
    assert_eq!((decision.rule, decision.line), (witness.rule.as_str(), witness.line), "{policy}\n{facts:#?}");
    // What is final at RCPT is told as it is said there.
    let there = Facts { message: facts.message.clone().filter(|_| witness.at == Stage::Message), ..facts.clone() };
    let decision = policy.decide(&there);
    assert!(!decision.provisional, "{policy}\n{facts:#?}");
    assert_eq!(decision.reply, witness.reply, "{policy}\n{facts:#?}");
}
