//! The diagrams against the decision.

use std::collections::BTreeSet;

use super::{
    diagram::Diagrams,
    rulings::Mark,
    space::{Fact, Space},
};
use crate::{
    Limits, Verb,
    random::{Choices, Edges, agree, policy},
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
