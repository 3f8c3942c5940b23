//! Differences, rules that do nothing, and the nearest flip.

use hikyaku_wire::Reply;

use super::times;
use crate::{
    Action, Condition, Facts, Limits, Members, Outcome, Policy, PolicyBuilder, Rule, Why,
    random::{Choices, Edges, agree, feasible, policy},
};

pub(super) fn builder(policy: &Policy) -> PolicyBuilder {
    PolicyBuilder {
        open: policy.is_declared_open(),
        lists: policy.lists().to_vec(),
        settings: policy.settings().clone(),
        rules: policy.rules().to_vec(),
        claims: policy.claims().to_vec(),
    }
}

/// The policy with one thing changed.
fn changed(policy: &Policy, choices: &mut Choices<'_>) -> Policy {
    let mut new = builder(policy);
    let rule = choices.below(new.rules.len());
    match choices.below(8) {
        0 if new.rules.len() > 1 => drop(new.rules.remove(rule)),
        1 => {
            let other = choices.below(new.rules.len());
            new.rules.swap(rule, other);
        }
        2 => {
            new.rules[rule].when = match new.rules[rule].when.clone() {
                Condition::Not(inner) => *inner,
                when => !when,
            };
        }
        3 => new.rules[rule].action = Action::Permit(None),
        4 => new.rules[rule].action = Action::Refuse(Reply::RELAY_DENIED_550),
        5 => new.rules[rule].shadow ^= true,
        6 => {
            let rule = Rule::permit(new.rules[rule].when.clone());
            new.rules.insert(0, rule);
        }
        _ => {
            // One member of a list less.
            let list = choices.below(new.lists.len().max(1));
            match new.lists.get_mut(list).map(|list| &mut list.members) {
                Some(Members::Domains(_, domains) | Members::Names(_, domains)) => {
                    *domains = domains.iter().skip(1).collect();
                }
                Some(Members::Networks(_, networks)) => *networks = networks.iter().skip(1).copied().collect(),
                _ => {}
            }
        }
    }
    new.build().unwrap_or_else(|error| panic!("{error}\n{policy}"))
}

/// All that a peer, a route or a mailbox can notice of a decision.
fn noticed(policy: &Policy, facts: &Facts) -> (String, Option<String>, Option<String>, Vec<String>) {
    let decision = policy.decide(facts);
    let tags =
        if decision.is_permitted() { decision.tags.iter().map(|tag| (*tag).to_owned()).collect() } else { vec![] };
    let quarantine = decision.quarantine.filter(|_| decision.is_permitted()).map(str::to_owned);
    (decision.reply.to_string(), decision.route.map(str::to_owned), quarantine, tags)
}

fn diff(old: &Policy, new: &Policy) -> Vec<crate::Change> {
    old.diff(new, &Limits::default()).unwrap_or_else(|complex| panic!("{complex}\n{old}\n{new}"))
}

/// A side of a change is what the policy decides on its witness.
fn is_outcome(outcome: &Outcome, policy: &Policy, facts: &Facts) {
    let decision = policy.decide(facts);
    assert_eq!(outcome.verb, agree::verb(policy, facts), "{policy}\n{facts:#?}");
    assert_eq!((outcome.rule.as_str(), outcome.line), (decision.rule, decision.line), "{policy}\n{facts:#?}");
    assert_eq!(outcome.route.as_deref(), decision.route, "{policy}\n{facts:#?}");
}

#[test]
fn differences_are_all_there_are() {
    let (mut differing, mut equal, mut facts_tried) = (0, 0, 0_u64);
    for seed in 0..400 * times() {
        let mut choices = Choices::seeded(seed ^ 0xbu64 << 40);
        let old = policy(&mut choices);
        assert_eq!(diff(&old, &old.clone()), [], "seed {seed}\n{old}");
        let new = changed(&old, &mut choices);
        let changes = diff(&old, &new);
        for change in &changes {
            let facts = &change.witness;
            assert_eq!(feasible(facts), Ok(()), "seed {seed}\n{facts:#?}");
            assert_ne!(noticed(&old, facts), noticed(&new, facts), "seed {seed}\n{old}\n{new}\n{facts:#?}");
            is_outcome(&change.before, &old, facts);
            is_outcome(&change.after, &new, facts);
        }
        let turned = |change: &crate::Change, back: bool| match back {
            false => format!("{:?} {:?}", change.before.rule, change.after.rule),
            true => format!("{:?} {:?}", change.after.rule, change.before.rule),
        };
        let mut there: Vec<_> = changes.iter().map(|change| turned(change, false)).collect();
        let mut back: Vec<_> = diff(&new, &old).iter().map(|change| turned(change, true)).collect();
        there.sort();
        back.sort();
        assert_eq!(there, back, "seed {seed}\n{old}\n{new}");

        let edges = Edges::new(&[&old, &new]);
        for _ in 0..120 {
            let facts = edges.facts(&mut choices);
            facts_tried += 1;
            if noticed(&old, &facts) == noticed(&new, &facts) {
                continue;
            }
            let (before, after) = (old.decide(&facts), new.decide(&facts));
            let told = changes
                .iter()
                .any(|change| (change.before.rule.as_str(), change.after.rule.as_str()) == (before.rule, after.rule));
            assert!(told, "seed {seed}: {} / {} is not told\n{old}\n{new}\n{facts:#?}", before.rule, after.rule);
            differing += 1;
        }
        equal += u64::from(changes.is_empty());
    }
    assert!(differing > 2000 && equal > 20, "{differing} of {facts_tried}, {equal}");
}

/// A rule that is told to do nothing never decides, and can go without a difference.
#[test]
fn idle_rules_can_go() {
    let (mut gone, mut unreached) = (0, 0);
    for seed in 0..250 * times() {
        let mut choices = Choices::seeded(seed ^ 0xdu64 << 40);
        let policy = policy(&mut choices);
        let surface = policy.prove(&Limits::default()).unwrap_or_else(|complex| panic!("seed {seed}: {complex}"));
        let edges = Edges::new(&[&policy]);
        for idle in &surface.idle {
            let index = (0..policy.rules().len()).find(|rule| policy.line(*rule) == idle.line).expect("a rule there");
            let mut without = builder(&policy);
            without.rules.remove(index);
            if without.rules.is_empty() {
                continue;
            }
            let without = without.build().unwrap_or_else(|error| panic!("seed {seed}: {error}\n{policy}"));
            assert_eq!(diff(&policy, &without), [], "seed {seed}: line {} {:?}\n{policy}", idle.line, idle.why);
            gone += 1;
            if idle.why == Why::Redundant {
                continue;
            }
            unreached += 1;
            for _ in 0..60 {
                let facts = edges.facts(&mut choices);
                let decision = policy.decide(&facts);
                assert_ne!(decision.line, Some(idle.line), "seed {seed}: {:?}\n{policy}\n{facts:#?}", idle.why);
                if let Why::NeverReached(lines) = &idle.why {
                    assert!(lines.iter().all(|line| *line < idle.line), "seed {seed}: {lines:?}\n{policy}");
                }
            }
        }
    }
    assert!(gone > 100 && unreached > 40, "{gone} {unreached}");
}

/// The nearest flip can be, and flips.
#[test]
fn flips_change_the_decision() {
    let mut flipped = 0;
    for seed in 0..250 * times() {
        let mut choices = Choices::seeded(seed ^ 0xfu64 << 40);
        let policy = policy(&mut choices);
        let edges = Edges::new(&[&policy]);
        for _ in 0..4 {
            let facts = edges.facts(&mut choices);
            let before = agree::verb(&policy, &facts);
            let flips = policy.flips(&facts, &Limits::default());
            let flips = flips.unwrap_or_else(|complex| panic!("seed {seed}: {complex}\n{policy}"));
            assert!(flips.len() <= 3, "seed {seed}: {flips:#?}");
            for flip in flips {
                assert_eq!(feasible(&flip.facts), Ok(()), "seed {seed}\n{policy}\n{flip:#?}");
                assert_eq!(flip.verb, agree::verb(&policy, &flip.facts), "seed {seed}\n{policy}\n{flip:#?}");
                assert_ne!(flip.verb, before, "seed {seed}\n{policy}\n{facts:#?}\n{flip:#?}");
                assert_eq!(flip.line, policy.decide(&flip.facts).line, "seed {seed}\n{policy}\n{flip:#?}");
                assert!(!flip.changes.is_empty(), "seed {seed}\n{policy}\n{flip:#?}");
                flipped += 1;
            }
        }
    }
    assert!(flipped > 500, "{flipped}");
}
