//! What is told of a proof, against the proof and against decisions.

use std::{fs, path::Path};

use super::{
    diagram::{Diagrams, Ref},
    parts::reaches,
    read,
    rows::{by_rule, cover},
    space::Space,
};
use crate::{
    Change, Facts, Limits, Policy, Row, Stage, Verdict,
    random::{Choices, Edges, policy as random},
};

fn parse(text: &str) -> Policy {
    Policy::parse(text, &mut |file| Err(format!("no file {file}"))).unwrap_or_else(|error| panic!("{error}"))
}

/// The facts of a row: where its condition is true, and no line decides that it excepts.
fn facts_of(row: &Row, policy: &Policy, diagrams: &mut Diagrams<'_>) -> Ref {
    let feasible = diagrams.feasible().unwrap();
    let (is_so, _) = diagrams.condition(0, &row.condition).unwrap();
    let mut facts = diagrams.and(is_so, feasible).unwrap();
    for rule in (0..policy.rules().len()).filter(|rule| row.except.contains(&policy.line(*rule))) {
        let (is_so, unknown) = diagrams.rule(0, rule).unwrap();
        facts = diagrams.minus(facts, is_so).unwrap();
        facts = diagrams.minus(facts, unknown).unwrap();
    }
    facts
}

/// Each row is true, and together they are all; in a cover none is needless.
fn together(rows: &[Row], policy: &Policy, is_cover: bool, diagrams: &mut Diagrams<'_>) {
    let feasible = diagrams.feasible().unwrap();
    let permitted = diagrams.permits(0, feasible).unwrap();
    let facts: Vec<_> = rows.iter().map(|row| facts_of(row, policy, diagrams)).collect();
    let mut all = Ref::NONE;
    for (row, facts) in rows.iter().zip(&facts) {
        assert_eq!(diagrams.minus(*facts, permitted).unwrap(), Ref::NONE, "{row:?}\n{policy}");
        all = diagrams.or(all, *facts).unwrap();
    }
    assert_eq!(all, permitted, "{rows:?}\n{policy}");
    for left_out in (0..rows.len()).filter(|_| is_cover) {
        let mut others = Ref::NONE;
        for (index, facts) in facts.iter().enumerate() {
            others = if index == left_out { others } else { diagrams.or(others, *facts).unwrap() };
        }
        assert_ne!(others, permitted, "{:?} is needless\n{policy}", rows[left_out]);
    }
}

#[test]
fn rows_are_all_that_is_permitted() {
    let (mut covers, mut long) = (0, 0);
    for seed in 0..400 {
        let policy = random(&mut Choices::seeded(seed ^ 0x50u64 << 40));
        let space = Space::new(&[&policy]);
        let diagrams = &mut Diagrams::new(&space, &Limits::default()).unwrap();
        let reaches = reaches(0, &policy, diagrams).unwrap();
        let rows = by_rule(&policy, &reaches, diagrams).unwrap();
        together(&rows, &policy, false, diagrams);
        match cover(&policy, diagrams).unwrap() {
            Some(rows) => {
                together(&rows, &policy, true, diagrams);
                covers += 1;
            }
            None => long += 1,
        }
    }
    assert!(covers > 200 && long < 150, "{covers} {long}");
}

/// Sets meet if they have a diagram in common that is not empty.
#[test]
fn sets_meet_where_they_have_something_in_common() {
    let (mut met, mut apart) = (0, 0);
    for seed in 0..60 {
        let policy = random(&mut Choices::seeded(seed ^ 0x54u64 << 40));
        let space = Space::new(&[&policy]);
        let diagrams = &mut Diagrams::new(&space, &Limits::default()).unwrap();
        let feasible = diagrams.feasible().unwrap();
        let mut sets = vec![Ref::NONE, Ref::ALL, feasible];
        for reach in reaches(0, &policy, diagrams).unwrap() {
            let not = diagrams.not(reach.is_so).unwrap();
            sets.extend([reach.is_so, reach.may_be, not]);
        }
        for a in &sets {
            for b in &sets {
                let expected = diagrams.and(*a, *b).unwrap() != Ref::NONE;
                assert_eq!(diagrams.meet(*a, *b).unwrap(), expected);
                *if expected { &mut met } else { &mut apart } += 1;
            }
        }
    }
    assert!(met > 1000 && apart > 500, "{met} {apart}");
}

/// Flips in a dimension of more classes than one word has bits.
#[test]
fn flips_of_many_classes() {
    let mut text = String::from("local domains ours = example.org\n");
    for index in 0..200 {
        text += &format!("permit via r{index} when to ours and helo c{index}.example\n");
    }
    let policy = parse(&text);
    let stranger = "# 198.51.100.7 connects\nC: EHLO c150.example\nC: MAIL FROM:<spam@sender.example>\n\
                    C: RCPT TO:<victim@stranger.example>\n";
    let flips = policy.flips(&read::facts(stranger, &policy), &Limits::default()).unwrap();
    let told: Vec<_> = flips.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["permit if to = victim@example.org (line 152)"]);
}

/// That many examples are all refused proves nothing, and makes no cell of the grid depend.
#[test]
fn a_long_policy_that_never_permits_says_so() {
    let mut text = String::from("local domains ours = example.org\n");
    for index in 0..450 {
        text += &format!("refuse 550 5.7.1 \"no\" when helo c{index}.example\n");
    }
    let grid = parse(&(text + "permit when to ours\n")).grid(&Limits::default()).unwrap();
    assert_eq!(grid.columns, ["ours", "foreign"]);
    assert_eq!(grid.rows, [("stranger".to_owned(), vec![crate::Cell::Depends, crate::Cell::Never])]);
}

/// Where a list that does not answer counts as one that lists, a row says so.
#[test]
fn a_row_says_what_must_be_known() {
    let policy = parse(
        "local domains ours = example.org\n\
         refuse 550 5.7.1 \"no\" when listed zen.example (unknown means yes)\n\
         permit when to ours\n",
    );
    let rows = policy.prove(&Limits::default()).unwrap().rows;
    let [row] = &rows[..] else { panic!("{rows:?}") };
    let told = (row.who.as_str(), row.to.as_str(), row.when.as_str(), row.line);
    assert_eq!(told, ("anyone", "ours", "not listed zen.example (unknown means yes)", None));
}

/// A part of a row that could be left out says nothing.
#[test]
fn a_row_of_a_cover_says_as_little_as_it_can() {
    let mut parts_tried = 0;
    for seed in 0..150 {
        let policy = random(&mut Choices::seeded(seed ^ 0x51u64 << 40));
        let space = Space::new(&[&policy]);
        let diagrams = &mut Diagrams::new(&space, &Limits::default()).unwrap();
        let feasible = diagrams.feasible().unwrap();
        let permitted = diagrams.permits(0, feasible).unwrap();
        for row in cover(&policy, diagrams).unwrap().unwrap_or_default() {
            let crate::Condition::All(parts) = &row.condition else { continue };
            for left_out in 0..parts.len() {
                let mut facts = feasible;
                for part in parts.iter().enumerate().filter(|(index, _)| *index != left_out).map(|(_, part)| part) {
                    let (is_so, _) = diagrams.condition(0, part).unwrap();
                    facts = diagrams.and(facts, is_so).unwrap();
                }
                let is_credential = matches!(
                    &parts[left_out],
                    crate::Condition::Test(
                        crate::Test::Authenticated(_) | crate::Test::Certificate(_) | crate::Test::Name(_)
                    )
                );
                let is_needed = diagrams.minus(facts, permitted).unwrap() != Ref::NONE;
                assert!(is_needed || is_credential, "{} in {:?}\n{policy}", parts[left_out], row.condition);
                parts_tried += 1;
            }
        }
    }
    assert!(parts_tried > 300, "{parts_tried}");
}

/// The text of a witness is all that is needed to have it again.
#[test]
fn dialogues_of_proofs_are_replayed() {
    let mut replayed = 0;
    for seed in 0..400 {
        let policy = random(&mut Choices::seeded(seed ^ 0x52u64 << 40));
        let Verdict::Open(witness) = policy.verdict(&Limits::default()).unwrap() else { continue };
        let facts = read::facts(&witness.dialogue(), &policy);
        let decision = policy.decide(&facts);
        assert!(decision.is_permitted(), "{}\n{policy}\n{facts:#?}", witness.dialogue());
        assert_eq!((decision.rule, decision.line), (witness.rule.as_str(), witness.line));
        let said = Facts { message: facts.message.clone().filter(|_| witness.at == Stage::Message), ..facts.clone() };
        assert_eq!(policy.decide(&said).reply, witness.reply);
        let space = Space::new(&[&policy]);
        assert_eq!(space.classes_of(&facts), space.classes_of(&witness.facts), "{}", witness.dialogue());
        replayed += 1;
    }
    assert!(replayed > 100, "{replayed}");
}

#[test]
fn a_mirror_shows_the_same_changes() {
    let sides = |changes: &[Change]| {
        let side = |change: &Change| (change.before.clone(), change.after.clone());
        let mut sides: Vec<_> = changes.iter().map(side).map(|sides| format!("{sides:?}")).collect();
        sides.sort();
        sides
    };
    let turned = |changes: &[Change]| {
        let turn = |change: &Change| Change {
            witness: change.witness.clone(),
            before: change.after.clone(),
            after: change.before.clone(),
        };
        changes.iter().map(turn).collect::<Vec<_>>()
    };
    for seed in 0..60 {
        let choices = &mut Choices::seeded(seed ^ 0x53u64 << 40);
        let (old, new) = (random(choices), random(choices));
        let there = old.diff(&new, &Limits::default()).unwrap();
        let back = new.diff(&old, &Limits::default()).unwrap();
        assert_eq!(sides(&there), sides(&turned(&back)), "{old}\n{new}");
        let edges = Edges::new(&[&old, &new]);
        let pairs: Vec<_> =
            there.iter().map(|change| (change.before.rule.as_str(), change.after.rule.as_str())).collect();
        for _ in 0..40 {
            let facts = edges.facts(choices);
            let (before, after) = (old.decide(&facts), new.decide(&facts));
            if before.reply != after.reply || before.route != after.route {
                assert!(pairs.contains(&(before.rule, after.rule)), "{old}\n{new}\n{facts:#?}");
            }
        }
    }
}

/// The worked examples: policy, report, flips of a stranger, byte for byte.
/// `HIKYAKU_BLESS=1` writes what is told now.
#[test]
fn the_examples_are_told_as_they_were() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/examples");
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "policy"));
    files.sort();
    assert_eq!(files.len(), 13);
    let stranger = "# 198.51.100.7 connects\nC: EHLO mail.sender.example\nC: MAIL FROM:<spam@sender.example>\n\
                    C: RCPT TO:<victim@stranger.example>\n";
    for file in files {
        let policy = parse(&fs::read_to_string(&file).unwrap());
        let mut told = policy.prove(&Limits::default()).unwrap().to_string();
        let facts = read::facts(stranger, &policy);
        let decision = policy.decide(&facts);
        told += &format!("\nA stranger to stranger.example: {}\n", decision.reply);
        for flip in policy.flips(&facts, &Limits::default()).unwrap() {
            told += &format!("  {flip}\n");
        }
        let golden = file.with_extension("report");
        if std::env::var_os("HIKYAKU_BLESS").is_some() {
            fs::write(&golden, &told).unwrap();
        }
        assert_eq!(told, fs::read_to_string(&golden).unwrap_or_default(), "{}", file.display());
    }
}
