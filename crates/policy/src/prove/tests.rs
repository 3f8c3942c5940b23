//! The diagrams against the decision.

use std::collections::BTreeSet;

use super::{
    Rejection,
    diagram::{Diagrams, Ref},
    rulings::Mark,
    space::{Fact, Space},
};
use crate::{
    Action, Limits, Policy, Rule, Stage, Verb,
    random::{Choices, Edges, agree, foreign, policy, stranger, until},
};

/// The ruling of each of many random facts is the one of `decide`.
#[test]
fn rulings_are_what_is_decided() {
    let mut counts = [0; 3];
    for seed in 0..300 {
        let mut choices = Choices::seeded(0x1000 + seed);
        let policy = policy(&mut choices);
        let space = Space::new(&[&policy]);
        let mut diagrams = Diagrams::new(&space, &Limits::default()).unwrap();
        let feasible = diagrams.feasible().unwrap();
        let rulings = diagrams.rulings(0, feasible).unwrap();
        let permits = diagrams.permits(0, feasible).unwrap();
        let edges = Edges::new(&[&policy]);
        for _ in 0..100 {
            let facts = edges.facts(&mut choices);
            let path = space.classes_of(&facts);
            assert!(diagrams.holds(feasible, &path), "{facts:#?}");
            let ruling = diagrams.ruling(rulings, &path).unwrap();
            let decision = policy.decide(&facts);
            let verb = agree::verb(&policy, &facts);
            assert_eq!(ruling.verb, verb, "{policy}\n{facts:#?}");
            assert_eq!(diagrams.holds(permits, &path), verb == Verb::Permit);
            if verb == Verb::Permit {
                assert_eq!(ruling.route.as_ref().map(|route| route.as_str()), decision.route, "{policy}\n{facts:#?}");
                let aside = decision.quarantine.map(|why| Mark::Quarantine(why.to_owned()));
                let tags = decision.tags.iter().map(|tag| Mark::Tag((*tag).to_owned()));
                let marks: BTreeSet<_> = aside.into_iter().chain(tags).collect();
                assert_eq!(ruling.marks.iter().cloned().collect::<BTreeSet<_>>(), marks, "{policy}\n{facts:#?}");
            }
            counts[verb as usize] += 1;
        }
    }
    assert!(counts.iter().all(|count| *count > 1000), "{counts:?}");
}

/// Each class of each dimension has a value, and the value is of that class.
#[test]
fn every_class_has_a_value() {
    for seed in 0..300 {
        let mut choices = Choices::seeded(0x2000 + seed);
        let policy = policy(&mut choices);
        let space = Space::new(&[&policy]);
        for (dimension, of) in space.dimensions.iter().enumerate() {
            for class in 0..of.classes {
                let mut path = space.plain();
                path[dimension] = class;
                // What a certificate, and what a user's sender is, needs a certificate or a user.
                if matches!(of.fact, Fact::Vouched | Fact::VouchedName(_) | Fact::Owned) {
                    continue;
                }
                let facts = space.facts(&path);
                assert_eq!(space.classes_of(&facts)[dimension], class, "{policy}\n{:?} {facts:#?}", of.fact);
            }
        }
    }
}

/// A verdict is closed only if no stranger's foreign facts are permitted, and a witness is one.
#[test]
fn verdicts_hold() {
    let (mut open, mut closed) = (0, 0);
    for seed in 0..400 {
        let mut choices = Choices::seeded(0x3000 + seed);
        let policy = policy(&mut choices);
        let verdict = policy.verdict(&Limits::default()).unwrap();
        match &verdict {
            super::Verdict::Closed => closed += 1,
            super::Verdict::Open(_) => open += 1,
        }
        agree::open(&policy, &verdict);
        let edges = Edges::new(&[&policy]);
        for _ in 0..100 {
            agree::closed(&policy, &verdict, &edges.facts(&mut choices));
        }
    }
    assert!(open > 40 && closed > 40, "{open} {closed}");
}

/// Taken rule by rule, something is permitted where it is permitted by all rules together, and
/// only there.
#[test]
fn rules_one_by_one_permit_what_all_of_them_do() {
    let (mut some, mut none) = (0, 0);
    for seed in 0..400 {
        let mut choices = Choices::seeded(0x4000 + seed);
        let policy = policy(&mut choices);
        let space = Space::new(&[&policy]);
        let mut diagrams = Diagrams::new(&space, &Limits::default()).unwrap();
        for region in [diagrams.strange_and_foreign(0).unwrap(), diagrams.feasible().unwrap()] {
            let permits = diagrams.permits(0, region).unwrap();
            let first = diagrams.first_permits(0, region).unwrap();
            assert_eq!(first == Ref::NONE, permits == Ref::NONE, "{policy}");
            assert_eq!(diagrams.minus(first, permits).unwrap(), Ref::NONE, "{policy}");
            *if first == Ref::NONE { &mut none } else { &mut some } += 1;
        }
    }
    assert!(some > 100 && none > 40, "{some} {none}");
}

/// What strangers' mail for elsewhere would be accepted until the message is there.
#[test]
fn who_would_be_taken_provisionally() {
    let start = "local domains ours = example.org\ntrusted networks office = 192.0.2.0/24\ncredential custom vpn\n";
    for (rules, expected) in [
        ("permit when to ours", None),
        ("permit when to ours and not dmarc reject", None),
        ("refuse when not to ours\npermit when size > 100", None),
        ("refuse when not to ours and size > 0\npermit when to ours or size > 100", Some(5)),
        ("refuse when not to ours and size > 0\npermit at message when to ours or size > 100", None),
        ("refuse when not to ours and size > 0\npermit when (to ours or size > 100) and from office", None),
        ("refuse when not to ours and size > 0\npermit when to ours or (size > 100 and not from office)", Some(5)),
        // Where the credential is unknown it may still be there.
        ("permit when custom vpn and dkim pass", Some(4)),
        ("permit when custom vpn (unknown means no) and dkim pass", None),
        ("shadow permit when custom vpn and dkim pass", None),
        ("defer when not custom vpn (unknown means no)\npermit when custom vpn and dkim pass", None),
        (
            "limit 5/h per ip when size > 5\nrefuse when not to ours and size > 0\npermit when to ours or (hops > 3 and size > 9)",
            Some(6),
        ),
    ] {
        let text = format!("{start}{rules}");
        let policy = Policy::parse(&text, &mut |_| Err(String::new())).unwrap_or_else(|error| panic!("{error}"));
        let space = Space::new(&[&policy]);
        let mut diagrams = Diagrams::new(&space, &Limits::default()).unwrap();
        assert_eq!(diagrams.verdict(0).unwrap(), super::Verdict::Closed, "{rules}");
        let found = diagrams.provisional(0).unwrap();
        assert_eq!(found.as_ref().map(|(line, _)| *line), expected, "{rules}");
        if let Some((line, witness)) = found {
            let decision = policy.decide(&witness.facts);
            assert!(decision.provisional && stranger(&policy, &witness.facts) != Some(false), "{rules}");
            let rejected = policy.admit(&Limits::default());
            assert!(matches!(rejected, Err(Rejection::Provisional { line: told, .. }) if told == line), "{rejected:?}");
        }
    }
}

/// A closed policy takes no stranger's mail for elsewhere provisionally unless that is told, or a
/// rule says that it is meant.
#[test]
fn nobody_is_taken_provisionally_untold() {
    let mut tried = 0;
    for seed in 0..600 {
        let mut choices = Choices::seeded(0x5000 + seed);
        let policy = policy(&mut choices);
        let space = Space::new(&[&policy]);
        let mut diagrams = Diagrams::new(&space, &Limits::default()).unwrap();
        if diagrams.verdict(0).unwrap() != super::Verdict::Closed {
            continue;
        }
        if let Some((_, witness)) = diagrams.provisional(0).unwrap() {
            assert!(policy.decide(&witness.facts).provisional, "{policy}\n{:#?}", witness.facts);
            continue;
        }
        let meant = |rule: &Rule| matches!(rule.action, Action::Permit(_)) && rule.at == Some(Stage::Message);
        if policy.rules().iter().any(meant) {
            continue;
        }
        let edges = Edges::new(&[&policy]);
        for _ in 0..100 {
            let facts = edges.facts(&mut choices);
            if stranger(&policy, &facts) == Some(true) && foreign(&policy, &facts) {
                let early = until(&facts, Stage::Recipient);
                assert!(!policy.decide(&early).provisional, "{policy}\n{early:#?}");
                tried += 1;
            }
        }
    }
    assert!(tried > 1000, "{tried}");
}

/// The steps run out in the same way each time, and are enough for what is simple.
#[test]
fn steps_run_out() {
    let policy = policy(&mut Choices::seeded(7));
    let limits = |steps| Limits { steps };
    let complex = policy.verdict(&limits(3)).unwrap_err();
    assert_eq!(policy.verdict(&limits(3)), Err(complex.clone()));
    assert_eq!(complex.steps, 3);
    assert!(complex.classes > 1 && !complex.dimension.is_empty());
    assert!(policy.verdict(&limits(100_000)).is_ok());
}
