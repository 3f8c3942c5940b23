//! Who is being written: one writer at a time for each message.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex};

use crate::{IdemKey, MsgId};

/// What only one thread at a time may write. Whoever needs two enters them in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Busy {
    Gates,
    Idem(IdemKey),
    Message(MsgId),
}

#[derive(Debug, Default)]
pub(super) struct BusyList {
    entered: Mutex<BTreeSet<Busy>>,
    left: Condvar,
}

impl BusyList {
    /// Waits until nobody else is in, and stays in until the guard is dropped.
    pub(super) fn enter(&self, what: Busy) -> Entered<'_> {
        let entered = self.entered.lock().expect(UNPOISONED);
        let mut entered = self.left.wait_while(entered, |entered| entered.contains(&what)).expect(UNPOISONED);
        entered.insert(what);
        Entered { list: self, what }
    }
}

const UNPOISONED: &str = "nothing panics while it holds the list of writers";

pub(super) struct Entered<'a> {
    list: &'a BusyList,
    what: Busy,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.list.entered.lock().expect(UNPOISONED).remove(&self.what);
        self.list.left.notify_all();
    }
}
