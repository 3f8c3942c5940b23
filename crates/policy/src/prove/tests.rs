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
        // What a limit lets through is not decided by it.
        ("limit 5/h per ip\nrefuse when not to ours and size > 0\npermit when to ours or size > 100", Some(6)),
        (
            "refuse when not to ours and size > 0\npermit at message when to ours or size > 100\n\
             permit when to ours and dkim pass",
            None,
        ),
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
    let space = Space::new(&[&policy]);
    let mut diagrams = Diagrams::new(&space, &limits(1000)).unwrap();
    assert_eq!((0..2000).take_while(|_| diagrams.charge(1).is_ok()).count(), 1000, "as many as there are");
}

/// Where the plainest of all witnesses would take too many steps, any witness will do.
#[test]
fn any_witness_will_do_where_the_plainest_takes_too_many_steps() {
    let parse = |text: &str| Policy::parse(text, &mut |_| Err(String::new())).unwrap();
    // The first rule is the hole; those behind it cross in three facts.
    let rules: String = (0..120)
        .map(|n| {
            let verb = if n % 2 == 0 { "permit" } else { "refuse" };
            format!("{verb} when from 20.{n}.0.0/16 and sender *.s{n}.example and to *.t{n}.example\n")
        })
        .collect();
    let policy = parse(&format!("local domains ours = example.org\npermit when helo hole.example\n{rules}"));
    let least = |fits: &dyn Fn(u64) -> bool| {
        let (mut low, mut high) = (0, 1 << 24);
        while low + 1 < high {
            let middle = u64::midpoint(low, high);
            if fits(middle) { high = middle } else { low = middle }
        }
        high
    };
    let space = Space::new(&[&policy]);
    let takes = |steps: u64, is_first: bool| {
        let work = || {
            let mut diagrams = Diagrams::new(&space, &Limits { steps })?;
            let region = diagrams.strange_and_foreign(0)?;
            let open = if is_first { diagrams.first_permits(0, region)? } else { diagrams.permits(0, region)? };
            diagrams.witness(0, open)
        };
        matches!(work(), Ok(Some(_)))
    };
    let (first, plainest) = (least(&|steps| takes(steps, true)), least(&|steps| takes(steps, false)));
    let steps = 2 * first + 100;
    assert!(steps < plainest, "{first} {plainest}");
    let verdict = policy.verdict(&Limits { steps }).unwrap();
    let super::Verdict::Open(witness) = verdict else { panic!("it is open") };
    assert!(witness.rule.contains("hole.example"), "{}", witness.rule);
}

/// What this server keeps itself is never unknown, so that nobody comes in by that.
#[test]
fn who_was_seen_before_is_never_unknown() {
    for (rule, is_open) in [
        ("permit when known (unknown means yes) and not known (unknown means no)", false),
        ("permit when known (unknown means no)", true),
        ("permit when not known (unknown means yes)", true),
    ] {
        let text = format!("local domains ours = example.org\n{rule}");
        let policy = Policy::parse(&text, &mut |_| Err(String::new())).unwrap();
        let verdict = policy.verdict(&Limits::default()).unwrap();
        assert_eq!(verdict != super::Verdict::Closed, is_open, "{rule}");
    }
}

/// A domain that is declared to be both is local.
#[test]
fn what_is_local_is_no_relay_domain() {
    let relay = |domains: &str| {
        let text = format!(
            "local domains ours = example.org\nrelay domains theirs = {domains}\n\
             permit when to ours\nrefuse when to theirs"
        );
        let policy = Policy::parse(&text, &mut |_| Err(String::new())).unwrap();
        policy.grid(&Limits::default()).unwrap()
    };
    assert_eq!(relay("example.org, example.net"), relay("example.net"));
}

/// Rules that do nothing of their own are looked for in policies of 64 rules; and the refusal of
/// all that is left is none of them, but one that others follow is.
#[test]
fn which_rules_are_left_out_to_see_whether_they_matter() {
    let idle = |text: &str| {
        let policy = Policy::parse(text, &mut |_| Err(String::new())).unwrap();
        let idle = policy.prove(&Limits::default()).unwrap().idle;
        idle.into_iter().map(|idle| (idle.line, idle.why)).collect::<Vec<_>>()
    };
    let many = |rules: usize| {
        let permits: String = (2..rules).map(|n| format!("permit when to d{n}.example\n")).collect();
        idle(&format!("refuse when to d0.example\n{permits}refuse when to d0.example or to d1.example"))
    };
    assert!(many(64).contains(&(1, super::Why::Redundant)), "{:?}", many(64));
    assert!(many(65).is_empty(), "{:?}", many(65));
    let start = "local domains ours = example.org\npermit when to ours\n";
    assert_eq!(idle(&format!("{start}refuse")), []);
    assert_eq!(
        idle(&format!("{start}refuse\nrefuse")),
        [(3, super::Why::Redundant), (4, super::Why::NeverReached(vec![3]))]
    );
}

/// Numbers and times that there are not are no way in.
#[test]
fn what_is_beyond_the_largest_number_is_nobody() {
    for (rule, is_open) in [
        ("permit when not hours 00:00-24:00", false),
        ("permit when not hours 00:00-23:59", true),
        ("permit when recipients > 4294967295", false),
        ("permit when recipients > 4294967294", true),
        ("permit when hops > 4294967295", false),
        ("permit when hops > 4294967294", true),
        ("permit when size > 18446744073709551615", false),
        ("permit when size > 18446744073709551614", true),
    ] {
        let policy = Policy::parse(rule, &mut |_| Err(String::new())).unwrap_or_else(|error| panic!("{error}"));
        let verdict = policy.verdict(&Limits::default()).unwrap();
        assert_eq!(verdict != super::Verdict::Closed, is_open, "{rule}");
    }
}
