//! What else a policy permits that few mean: mail in the clear, mail as somebody else, mail that
//! will come back.

use super::{
    Limits, Note, TooComplex,
    diagram::{Diagrams, Ref},
    grid::{asks_for_users, with_credential},
    space::Space,
};
use crate::{Claim, Condition, DomainRole, HostSet, Members, Policy, Test, Verb};

/// The notes, in order. For policies of few rules only: others have too much of this.
pub(super) fn notes(policy: &Policy, is_closed: bool, limits: &Limits) -> Result<Vec<Note>, TooComplex> {
    // The space must tell apart what is asked here, whether the rules ask it or not.
    let mut asking = policy.clone();
    asking.claims = asked(policy);
    let space = Space::new(&[&asking]);
    let diagrams = &mut Diagrams::new(&space, limits)?;
    let feasible = diagrams.feasible()?;
    let permitted = diagrams.permits(0, feasible)?;
    let (stranger, foreign, ours) = (diagrams.stranger(0)?, diagrams.foreign(0)?, diagrams.ours(0)?);
    let at = |test: Test, value: bool, diagrams: &mut Diagrams<'_>| -> Result<Ref, TooComplex> {
        let condition = Condition::Test(test);
        Ok(diagrams.condition(0, &if value { condition } else { !condition })?.0)
    };
    let in_the_clear = at(Test::Tls, false, diagrams)?;
    let nobody = at(Test::RecipientExists, false, diagrams)?;
    let user = at(Test::Authenticated(None), true, diagrams)?;
    let not_owned = at(Test::SenderOwned, false, diagrams)?;
    let as_ours = as_ours(policy, diagrams)?;
    let neighbour = neighbour(policy, &space, stranger, feasible, diagrams)?;
    let mut notes = Vec::new();
    let mut note = |regions: &[Ref], text: &str| {
        let mut facts = permitted;
        for region in regions {
            facts = diagrams.and(facts, *region)?;
        }
        if let Some(path) = diagrams.plainest(facts) {
            let line = policy.decide(&space.facts(&path)).line;
            notes.push(Note { line, text: text.to_owned() });
        }
        Ok(())
    };
    // Of an open relay all of this is so.
    let has_local = senders(policy).next().is_some();
    if is_closed {
        note(&[neighbour, foreign], "a client on a private network that is not trusted can send to foreign domains")?;
        note(&[foreign, in_the_clear], "mail to foreign domains is taken without TLS")?;
    }
    note(&[as_ours, stranger], "a stranger can send with a sender in our domains")?;
    if asks_for_users(policy) {
        note(&[as_ours, user, not_owned], "a user can send as another user")?;
    }
    if has_local {
        note(&[ours, nobody], "mail to our domains is taken for recipients that do not exist")?;
    }
    Ok(notes)
}

/// Claims that ask for all that the notes are about. Nobody proves them.
fn asked(policy: &Policy) -> Vec<Claim> {
    let tests = [Test::Tls, Test::RecipientExists, Test::Authenticated(None), Test::SenderOwned];
    tests.into_iter().chain(senders(policy)).map(|test| Claim::never(Verb::Permit, test)).collect()
}

/// A test for each list of local domains: whether the sender is in it.
fn senders(policy: &Policy) -> impl Iterator<Item = Test> {
    let local = policy.lists().iter().filter(|list| matches!(list.members, Members::Domains(DomainRole::Local, _)));
    local.map(|list| Test::Sender(HostSet::List(list.name.clone())))
}

fn as_ours(policy: &Policy, diagrams: &mut Diagrams<'_>) -> Result<Ref, TooComplex> {
    let mut ours = Ref::NONE;
    for test in senders(policy) {
        let (is_so, _) = diagrams.condition(0, &Condition::Test(test))?;
        ours = diagrams.or(ours, is_so)?;
    }
    Ok(ours)
}

/// Who has no credential and is no stranger either.
fn neighbour(
    policy: &Policy,
    space: &Space<'_>,
    stranger: Ref,
    feasible: Ref,
    diagrams: &mut Diagrams<'_>,
) -> Result<Ref, TooComplex> {
    let mut neighbour = diagrams.minus(feasible, stranger)?;
    for (_, held) in with_credential(policy, space, diagrams)? {
        neighbour = diagrams.minus(neighbour, held)?;
    }
    let (user, _) = diagrams.condition(0, &Condition::Test(Test::Authenticated(None)))?;
    diagrams.minus(neighbour, user)
}
