//! All that is told of a proof.

use super::{
    Limits, Surface, TooComplex, Verdict,
    diagram::Diagrams,
    extent::extents,
    grid::grid,
    idle::idle,
    parts::reaches,
    rows::{COVERED, rows},
    siblings,
    space::Space,
};
use crate::{HostSet, Members, Policy, Test};

/// What the verdict rests on.
fn assumptions(policy: &Policy, verdict: &Verdict) -> Vec<String> {
    let mut assumptions = Vec::new();
    if *verdict != Verdict::Closed {
        return assumptions;
    }
    let tests: Vec<_> = policy.rules().iter().flat_map(|rule| rule.when.tests()).collect();
    for name in &policy.settings().credentials {
        if tests.iter().any(|test| matches!(test, Test::Custom(asked) if asked == name)) {
            assumptions.push(format!("custom {name} can be trusted"));
        }
    }
    for list in policy.lists() {
        let is_asked = |test: &&Test| matches!(test, Test::Name(HostSet::List(name)) if *name == list.name);
        if matches!(list.members, Members::Names(true, _)) && tests.iter().any(is_asked) {
            assumptions.push(format!("the DNS of the names `{}` can be trusted", list.name));
        }
    }
    let is_local = |members: &Members| matches!(members, Members::Domains(crate::DomainRole::Local, _));
    if policy.lists().iter().any(|list| is_local(&list.members)) {
        assumptions.push("local delivery does not forward to foreign domains".to_owned());
    }
    assumptions
}

pub(super) fn surface(policy: &Policy, limits: &Limits) -> Result<Surface, TooComplex> {
    let space = Space::new(&[policy]);
    let diagrams = &mut Diagrams::new(&space, limits)?;
    let verdict = diagrams.verdict(0)?;
    let claims = diagrams.claims(0)?;
    let grid = grid(policy, &space, diagrams)?;
    let reaches = reaches(0, policy, diagrams)?;
    let rows = rows(policy, &reaches, diagrams)?;
    let idle = idle(policy, &reaches, diagrams)?;
    let mut notes = super::verdict::notes(&space, 0, &verdict);
    if policy.rules().len() <= COVERED {
        notes.extend(siblings::notes(policy, verdict == Verdict::Closed, limits)?);
    }
    let extents = extents(policy, &rows);
    let assumptions = assumptions(policy, &verdict);
    Ok(Surface {
        verdict,
        declared_open: policy.is_declared_open(),
        assumptions,
        notes,
        grid,
        rows,
        idle,
        claims,
        extents,
    })
}
