//! The engine against the slow reading.

mod changes;
mod proof;

use super::{Choices, Edges, agree, feasible, policy, until, verb_by_hand};
use crate::{Stage, Verb};

/// How many times as much is tried; `HIKYAKU_LONG=20` makes a long run of the suites.
pub(crate) fn times() -> u64 {
    std::env::var("HIKYAKU_LONG").ok().and_then(|times| times.parse().ok()).unwrap_or(1)
}

#[test]
fn decide_means_what_the_rules_say() {
    let (mut pairs, mut permitted, mut deferred) = (0, 0, 0);
    for seed in 0..500 * times() {
        let mut choices = Choices::seeded(seed);
        let policy = policy(&mut choices);
        let edges = Edges::new(&[&policy]);
        for _ in 0..200 {
            let facts = edges.facts(&mut choices);
            assert_eq!(feasible(&facts), Ok(()), "{facts:?}");
            let expected = agree::decided(&policy, &facts);
            pairs += 1;
            permitted += u64::from(expected == Verb::Permit);
            deferred += u64::from(expected == Verb::Defer);
        }
    }
    assert!(pairs >= 100_000 && permitted > pairs / 8 && deferred > pairs / 20, "{pairs} {permitted} {deferred}");
}

/// Stage by stage it comes to the same: what is said for good early is never taken back, and the
/// end is the verdict on all facts at once.
#[test]
fn early_answers_are_those_of_the_end() {
    let (mut early, mut provisional) = (0, 0);
    for seed in 0..400 * times() {
        let mut choices = Choices::seeded(!seed);
        let policy = policy(&mut choices);
        let edges = Edges::new(&[&policy]);
        for _ in 0..25 {
            let facts = edges.facts(&mut choices);
            let (end, _) = verb_by_hand(&policy, &facts);
            for stage in [Stage::Connect, Stage::Hello, Stage::Mail, Stage::Recipient, Stage::Message] {
                let known = until(&facts, stage);
                let decision = policy.decide(&known);
                assert_eq!(known.stage(), stage);
                assert!(decision.is_permitted() || !decision.provisional, "seed {seed}\n{policy}\n{known:#?}");
                if decision.provisional {
                    provisional += 1;
                    continue;
                }
                let kept = decision.is_permitted() == (end == Verb::Permit);
                assert!(kept, "seed {seed} at {stage}: {decision:?}, in the end {end}\n{policy}\n{facts:#?}");
                early += u64::from(stage < Stage::Message);
            }
        }
    }
    assert!(early > 10_000 && provisional > 5_000, "{early} {provisional}");
}
