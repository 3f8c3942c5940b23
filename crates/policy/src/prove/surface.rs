//! All that is told of a proof.

use super::{
    Limits, Surface, TooComplex,
    diagram::Diagrams,
    extent::extents,
    grid::grid,
    idle::idle,
    parts::reaches,
    rows::{COVERED, rows},
    siblings,
    space::Space,
};
use crate::Policy;

pub(super) fn surface(policy: &Policy, limits: &Limits) -> Result<Surface, TooComplex> {
    let space = Space::new(&[policy]);
    let diagrams = &mut Diagrams::new(&space, limits)?;
    let verdict = diagrams.verdict(0)?;
    let claims = diagrams.claims(0)?;
    let grid = grid(policy, &space, diagrams)?;
    let reaches = reaches(0, policy, diagrams)?;
    let rows = rows(policy, &reaches, diagrams)?;
    let idle = idle(policy, &reaches, diagrams)?;
    let mut notes = super::verdict::notes(&space, 0);
    if policy.rules().len() <= COVERED {
        notes.extend(siblings::notes(policy, limits)?);
    }
    let extents = extents(policy, &rows);
    let assumptions = Vec::new();
    Ok(Surface { verdict, declared_open: policy.is_declared_open(), assumptions, notes, grid, rows, idle, claims, extents })
}
