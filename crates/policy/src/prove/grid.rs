//! The grid: who may send where, in short.

use super::{
    Cell, Grid, Limits, TooComplex,
    diagram::{Diagrams, Ref},
    parts::only,
    rows::COVERED,
    space::{Fact, Space},
};
use crate::{Condition, DomainRole, HostSet, Identifier, List, Members, NetworkSet, Policy, Test, Trust};

/// The row of those who have no credential.
pub(super) const STRANGER: &str = "stranger";
/// The column of what is neither local nor a relay domain.
pub(super) const FOREIGN: &str = "foreign";
/// So many lists of trusted networks have a row each; more have one together.
const NETWORKS: usize = 6;
/// So many facts are tried before a cell of a long policy is proved.
const PROBES: usize = 400;
/// So many of them are tried for each rule.
const DEEP: usize = 8;

pub(super) fn grid_of(policy: &Policy, limits: &Limits) -> Result<Grid, TooComplex> {
    let space = Space::new(&[policy]);
    grid(policy, &space, &mut Diagrams::new(&space, limits)?)
}

/// The grid of the first policy of a space.
pub(super) fn grid(policy: &Policy, space: &Space<'_>, diagrams: &mut Diagrams<'_>) -> Result<Grid, TooComplex> {
    let feasible = diagrams.feasible()?;
    let mut columns = Vec::new();
    let (ours, relay) = (diagrams.ours(0)?, diagrams.relay(0)?);
    let domains = |list: &List| matches!(&list.members, Members::Domains(DomainRole::Local, _));
    columns.extend(policy.lists().iter().any(domains).then_some(("ours", ours)));
    columns.extend((relay != Ref::NONE).then_some(("relay", relay)));
    columns.push((FOREIGN, diagrams.foreign(0)?));
    let mut grid = Grid { columns: columns.iter().map(|(name, _)| (*name).to_owned()).collect(), rows: Vec::new() };
    let stranger = diagrams.stranger(0)?;
    let mut who = vec![(STRANGER.to_owned(), diagrams.and(stranger, feasible)?)];
    for (name, held) in with_credential(policy, space, diagrams)? {
        // An empty list is nobody.
        let held = diagrams.and(held, feasible)?;
        who.extend((held != Ref::NONE).then_some((name, held)));
    }
    for (name, who) in who {
        let mut cells = Vec::new();
        for (_, to) in &columns {
            let region = diagrams.and(who, *to)?;
            cells.push(match probe(policy, space, diagrams, region)? {
                true => Cell::Depends,
                false => cell(diagrams, region)?,
            });
        }
        grid.rows.push((name, cells));
    }
    Ok(grid)
}

/// Whether there are facts in the region that are permitted and others that are not; not to find
/// any proves nothing. In a long policy the proof of the same takes much longer.
fn probe(policy: &Policy, space: &Space<'_>, diagrams: &mut Diagrams<'_>, region: Ref) -> Result<bool, TooComplex> {
    let rules = policy.rules();
    let (mut permitted, mut not, mut tried) = (false, false, 0);
    for rule in (0..rules.len()).filter(|rule| rules.len() > COVERED && !rules[*rule].shadow) {
        let (is_so, _) = diagrams.rule(0, rule)?;
        let mut facts = diagrams.and(region, is_so)?;
        for _ in 0..DEEP {
            let Some(path) = diagrams.plainest(facts) else { break };
            let decision = policy.decide(&space.facts(&path));
            match decision.is_permitted() {
                true => permitted = true,
                false => not = true,
            }
            tried += 1;
            if (permitted && not) || tried >= PROBES {
                return Ok(permitted && not);
            }
            // Others are tried that do not end at the rule above which has decided these.
            let above = (0..rule).find(|above| Some(policy.line(*above)) == decision.line);
            let Some(above) = above else { break };
            let (is_so, unknown) = diagrams.rule(0, above)?;
            facts = diagrams.minus(facts, is_so)?;
            facts = diagrams.minus(facts, unknown)?;
        }
    }
    Ok(false)
}

fn cell(diagrams: &mut Diagrams<'_>, region: Ref) -> Result<Cell, TooComplex> {
    let permitted = diagrams.permits(0, region)?;
    Ok(match permitted {
        Ref::NONE => Cell::Never,
        _ if diagrams.minus(region, permitted)? == Ref::NONE => Cell::Always,
        _ => Cell::Depends,
    })
}

/// Who has each of the credentials that the policy asks for.
pub(super) fn with_credential(
    policy: &Policy,
    space: &Space<'_>,
    diagrams: &mut Diagrams<'_>,
) -> Result<Vec<(String, Ref)>, TooComplex> {
    let mut credentials = Vec::new();
    if let Some(user) = space.dimension(&Fact::User).filter(|_| asks_for_users(policy)) {
        let nobody = only(user, 0, diagrams);
        credentials.push(("authenticated".to_owned(), diagrams.not(nobody)?));
    }
    for (name, tests) in credentials_of(policy) {
        let mut held = Ref::NONE;
        for test in tests {
            let (is_so, _) = diagrams.condition(0, &Condition::Test(test))?;
            held = diagrams.or(held, is_so)?;
        }
        credentials.push((name, held));
    }
    Ok(credentials)
}

/// Whether it matters to any rule who the user is.
pub(super) fn asks_for_users(policy: &Policy) -> bool {
    let mut tests = policy.rules().iter().flat_map(|rule| rule.when.tests());
    tests.any(|test| matches!(test, Test::Authenticated(_) | Test::SenderOwned))
}

/// What the policy tells strangers from others by: what each credential is called, and the tests
/// of which one at least holds for who has it.
fn credentials_of(policy: &Policy) -> Vec<(String, Vec<Test>)> {
    let tests: Vec<_> = policy.rules().iter().flat_map(|rule| rule.when.tests()).collect();
    let networks: Vec<&Identifier> = policy
        .lists()
        .iter()
        .filter(|list| {
            let asked = |test: &&Test| matches!(test, Test::From(NetworkSet::List(name)) if *name == list.name);
            matches!(list.members, Members::Networks(Trust::Trusted | Trust::Wide, _)) && tests.iter().any(asked)
        })
        .map(|list| &list.name)
        .collect();
    let from = |name: &Identifier| Test::From(NetworkSet::List(name.clone()));
    let mut credentials = Vec::new();
    match networks.len() {
        0..=NETWORKS => credentials.extend(networks.iter().map(|name| (format!("from {name}"), vec![from(name)]))),
        _ => credentials.push(("trusted networks".to_owned(), networks.iter().map(|name| from(name)).collect())),
    }
    let mut add = |name: &str, mut wanted: Vec<Test>| {
        let mut unique = Vec::new();
        wanted.retain(|test| {
            !unique.contains(test) && {
                unique.push(test.clone());
                true
            }
        });
        if !wanted.is_empty() {
            credentials.push((name.to_owned(), wanted));
        }
    };
    let of =
        |is: fn(&Test) -> bool| tests.iter().filter(|test| is(test)).map(|test| (*test).clone()).collect::<Vec<_>>();
    add("certificate", of(|test| matches!(test, Test::Certificate(_))));
    let trusted = |name: &Identifier| {
        policy.lists().iter().any(|list| list.name == *name && matches!(list.members, Members::Names(true, _)))
    };
    let names = of(|test| matches!(test, Test::Name(_)));
    add(
        "trusted name",
        names.into_iter().filter(|test| matches!(test, Test::Name(HostSet::List(name)) if trusted(name))).collect(),
    );
    let customs = of(|test| matches!(test, Test::Custom(_)));
    let declared = |test: &Test| matches!(test, Test::Custom(name) if policy.settings().credentials.contains(name));
    for custom in customs.into_iter().filter(declared) {
        add(&custom.to_string(), vec![custom.clone()]);
    }
    credentials
}
