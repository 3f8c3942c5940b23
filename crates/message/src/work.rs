//! Counts what is looked at, so that a test can say that it is linear.

use std::cell::Cell;

thread_local! {
    static LOOKED_AT: Cell<usize> = const { Cell::new(0) };
}

/// So many octets or characters are looked at.
pub(crate) fn add(count: usize) {
    LOOKED_AT.set(LOOKED_AT.get() + count);
}

/// The number since it was last asked for.
pub(crate) fn take() -> usize {
    LOOKED_AT.take()
}
