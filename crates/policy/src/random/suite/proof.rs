//! What is proved, against what is decided.

use super::times;
use crate::{
    Cell, Decision, Facts, Finding, Limits, Policy, Rejection, Stage, Verb, Verdict,
    prove::{Diagrams, Mark, Ref, Ruling, Space},
    random::{Choices, Edges, agree, feasible, foreign, means, policy, stranger, until},
};

fn limits() -> Limits {
    Limits::default()
}

fn marks(decision: &Decision<'_>) -> Vec<String> {
    let quarantine = decision.quarantine.map(|why| format!("quarantine {why}").trim_end().to_owned());
    quarantine.into_iter().chain(decision.tags.iter().map(|tag| format!("tag {tag}"))).collect()
}

/// The ruling of the diagram is the decision, in all that a peer or a route can notice.
fn is_decision(ruling: &Ruling, policy: &Policy, facts: &Facts) {
    let decision = policy.decide(facts);
    assert_eq!(ruling.verb, agree::verb(policy, facts), "{policy}\n{facts:#?}");
    let route = ruling.route.as_ref().map(|route| route.as_str());
    assert_eq!(route, decision.route, "{policy}\n{facts:#?}");
    if ruling.verb == Verb::Permit {
        let mut told: Vec<_> = ruling
            .marks
            .iter()
            .map(|mark| match mark {
                Mark::Quarantine(why) => format!("quarantine {why}").trim_end().to_owned(),
                Mark::Tag(tag) => format!("tag {tag}"),
            })
            .collect();
        // Where they stand among the tags does not matter.
        told.sort_by_key(|mark| mark.starts_with("tag "));
        assert_eq!((ruling.reply.as_str(), told), ("", marks(&decision)), "{policy}\n{facts:#?}");
    } else {
        assert_eq!(ruling.reply.trim_end(), decision.reply.to_string().trim_end(), "{policy}\n{facts:#?}");
        assert!(ruling.marks.is_empty(), "{policy}\n{facts:#?}");
    }
}

/// The proven surface is what `decide` permits, point by point; so are strangers, elsewhere, what
/// can be, and every rule by itself. Each point stands for others, which are decided alike.
#[test]
fn the_surface_is_what_decide_permits() {
    let (mut pairs, mut permitted, mut shown) = (0_u64, 0, 0);
    for seed in 0..800 * times() {
        let mut choices = Choices::seeded(seed ^ 0x5u64 << 40);
        let policy = policy(&mut choices);
        let space = Space::new(&[&policy]);
        let mut diagrams = Diagrams::new(&space, &limits()).unwrap_or_else(|complex| panic!("{complex}\n{policy}"));
        let made = (|| {
            let can_be = diagrams.feasible()?;
            let permits = diagrams.permits(0, Ref::ALL)?;
            let rulings = diagrams.rulings(0, can_be)?;
            let rules = (0..policy.rules().len()).map(|rule| diagrams.rule(0, rule)).collect::<Result<Vec<_>, _>>()?;
            Ok::<_, crate::TooComplex>((can_be, permits, rulings, rules, diagrams.stranger(0)?, diagrams.foreign(0)?))
        })();
        let (can_be, permits, rulings, rules, strangers, elsewhere) =
            made.unwrap_or_else(|complex| panic!("seed {seed}: {complex}\n{policy}"));
        let edges = Edges::new(&[&policy]);
        for _ in 0..150 {
            let facts = edges.facts(&mut choices);
            let path = space.classes_of(&facts);
            let verb = agree::verb(&policy, &facts);
            let of = || format!("seed {seed}\n{policy}\n{facts:#?}\n{path:?}");
            assert!(diagrams.holds(can_be, &path), "can be: {}", of());
            assert_eq!(diagrams.holds(permits, &path), verb == Verb::Permit, "{}", of());
            let ruling = diagrams.ruling(rulings, &path).unwrap_or_else(|| panic!("no ruling: {}", of()));
            is_decision(ruling, &policy, &facts);
            for (index, (holds, unknown)) in rules.iter().enumerate() {
                let value = match (diagrams.holds(*holds, &path), diagrams.holds(*unknown, &path)) {
                    (true, false) => Some(true),
                    (false, false) => Some(false),
                    (false, true) => None,
                    (true, true) => panic!("both: {}", of()),
                };
                assert_eq!(value, means::matches(&policy, &policy.rules()[index], &facts), "rule {index}: {}", of());
            }
            let alike = space.facts(&path);
            assert_eq!(space.classes_of(&alike), path, "{}", of());
            assert_eq!(feasible(&alike), Ok(()), "{alike:#?}\n{}", of());
            is_decision(ruling, &policy, &alike);
            // What no rule asks about is left out of the space, and the others of a class have the
            // plainest value of it: no credential, and elsewhere.
            let in_space = [diagrams.holds(strangers, &path), diagrams.holds(elsewhere, &path)];
            for (facts, is_alike) in [(&facts, false), (&alike, true)] {
                let by_hand = [stranger(&policy, facts), Some(foreign(&policy, facts))];
                for (in_space, by_hand) in in_space.into_iter().zip(by_hand) {
                    let agrees = by_hand.is_none_or(|by_hand| in_space == by_hand || (in_space && !is_alike));
                    assert!(agrees, "{in_space} {by_hand:?} {is_alike}\n{alike:#?}\n{}", of());
                }
            }
            pairs += 1;
            permitted += u64::from(verb == Verb::Permit);
            shown += u64::from(alike != facts);
        }
    }
    assert!(pairs >= 100_000 && permitted > pairs / 8 && shown > pairs / 2, "{pairs} {permitted} {shown}");
}

/// A closed policy permits no stranger's mail for elsewhere, an open one has a witness that is
/// one; what is admitted keeps its claims, and what is not has a witness that breaks one.
#[test]
fn verdicts_and_claims_hold() {
    let (mut closed, mut open, mut strangers, mut refused) = (0, 0, 0, 0);
    for seed in 0..1500 * times() {
        let mut choices = Choices::seeded(seed ^ 0x7u64 << 40);
        let policy = policy(&mut choices);
        let verdict = policy.verdict(&limits()).unwrap_or_else(|complex| panic!("seed {seed}: {complex}\n{policy}"));
        agree::open(&policy, &verdict);
        let admitted = policy.admit(&limits());
        let is_closed = verdict == Verdict::Closed;
        match &admitted {
            Ok(()) => assert!(is_closed || policy.is_declared_open(), "seed {seed}\n{policy}"),
            Err(Rejection::Open(witness, _)) => {
                assert_eq!(verdict, Verdict::Open(witness.clone()), "seed {seed}\n{policy}");
                assert!(!policy.is_declared_open(), "seed {seed}\n{policy}");
            }
            Err(Rejection::Claim { line, witness }) => {
                agree::decides(&policy, witness, agree::verb(&policy, &witness.facts));
                let mut claims = policy.claims().iter().enumerate();
                let (_, claim) = claims.find(|(index, _)| policy.claim_line(*index) == *line).expect("a claim there");
                assert!(breaks(&policy, claim, &witness.facts), "seed {seed}: {claim}\n{policy}\n{witness:#?}");
                refused += 1;
            }
            Err(Rejection::Provisional { line, witness }) => {
                let early = until(&witness.facts, Stage::Recipient);
                let decision = policy.decide(&early);
                assert!(decision.provisional, "seed {seed}\n{policy}\n{early:#?}");
                assert!((0..policy.rules().len()).any(|rule| policy.line(rule) == *line), "line {line}\n{policy}");
                assert!(foreign(&policy, &early) && stranger(&policy, &early) != Some(false), "{policy}\n{early:#?}");
                refused += 1;
            }
            Err(other) => panic!("seed {seed}: {other}\n{policy}"),
        }
        // What says `at message` is meant to take a message first.
        let mut hasty = super::changes::builder(&policy);
        hasty.rules.retain(|rule| rule.at != Some(Stage::Message));
        let hasty = hasty.build().ok();
        let edges = Edges::new(&[&policy]);
        for _ in 0..60 {
            let facts = edges.facts(&mut choices);
            agree::closed(&policy, &verdict, &facts);
            let is_stranger = stranger(&policy, &facts) == Some(true) && foreign(&policy, &facts);
            strangers += u64::from(is_stranger);
            if admitted.is_err() {
                continue;
            }
            for claim in policy.claims() {
                assert!(!breaks(&policy, claim, &facts), "seed {seed}: {claim}\n{policy}\n{facts:#?}");
            }
            if is_stranger && is_closed && !policy.is_declared_open() {
                let early = until(&facts, Stage::Recipient);
                let is_taken = hasty.as_ref().is_some_and(|hasty| hasty.decide(&early).provisional);
                assert!(!is_taken, "seed {seed}\n{policy}\n{facts:#?}");
            }
        }
        closed += u64::from(is_closed);
        open += u64::from(!is_closed);
    }
    assert!(closed > 300 && open > 300 && strangers > 10_000 && refused > 20, "{closed} {open} {strangers} {refused}");
}

/// What cannot be told counts against a claim.
fn breaks(policy: &Policy, claim: &crate::Claim, facts: &Facts) -> bool {
    let is_done = agree::verb(policy, facts) == claim.verb;
    means::holds(policy, &claim.when, facts) != Some(false) && claim.always != is_done
}

/// A cell that says always or never is not contradicted by any facts.
#[test]
fn the_grid_is_so() {
    let (mut never, mut always) = (0, 0);
    for seed in 0..400 * times() {
        let mut choices = Choices::seeded(seed ^ 0x9u64 << 40);
        let policy = policy(&mut choices);
        let grid = policy.grid(&limits()).unwrap_or_else(|complex| panic!("seed {seed}: {complex}\n{policy}"));
        let edges = Edges::new(&[&policy]);
        let column = |name: &str| grid.columns.iter().position(|column| column == name);
        for _ in 0..60 {
            let facts = edges.facts(&mut choices);
            let Some(column) = column("foreign").filter(|_| foreign(&policy, &facts)) else { continue };
            let is = |who: &str| match who {
                "stranger" => stranger(&policy, &facts) == Some(true),
                // Who has this credential and no other.
                "authenticated" if facts.user.is_some() => {
                    let mut nobody = facts.clone();
                    (nobody.user, nobody.owned) = (None, Finding::Is(false));
                    stranger(&policy, &nobody) == Some(true)
                }
                _ => false,
            };
            for (who, cells) in grid.rows.iter().filter(|(who, _)| is(who)) {
                let permitted = agree::verb(&policy, &facts) == Verb::Permit;
                let fits = match cells[column] {
                    Cell::Never => !permitted,
                    Cell::Always => permitted,
                    Cell::Depends => true,
                };
                assert!(fits, "seed {seed}: {who} {:?}\n{policy}\n{facts:#?}", cells[column]);
                never += u64::from(cells[column] == Cell::Never);
                always += u64::from(cells[column] == Cell::Always);
            }
        }
    }
    assert!(never > 1000 && always > 200, "{never} {always}");
}
