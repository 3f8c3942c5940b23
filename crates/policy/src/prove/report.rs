//! Reports for people.

use std::fmt;

use super::{Grid, Note, Surface, Witness};

pub(super) fn open(witness: &Witness, notes: &[Note]) -> String {
    let _ = (witness, notes);
    unimplemented!("owner: d")
}

pub(super) fn dialogue(witness: &Witness) -> String {
    let _ = witness;
    unimplemented!("owner: d")
}

/// The grid, as a table.
impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = f;
        unimplemented!("owner: d")
    }
}

/// The whole report, as tables.
impl fmt::Display for Surface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = f;
        unimplemented!("owner: d")
    }
}
