//! What was written is applied to the catalog, in the order of the journal, and then to the state.

use std::sync::Arc;

use super::catalog::{Applied, Op};
use super::committer::Written;
use super::core::{After, Core, Done, Request};
use super::state::State;
use super::vfs::Vfs;
use crate::unit::Acted;
use crate::{MsgId, QueueError, UnitId};

/// A checkpoint is made after so many operations, or a segment: so much, and what one group holds, is
/// read again after a crash.
const OPERATIONS: u64 = 16_384;

pub(super) struct Indexer<V: Vfs> {
    core: Arc<Core<V>>,
    /// How many operations were applied since the last checkpoint.
    since: u64,
    /// The segment that was written to at the last checkpoint, and is now.
    segments: Option<(u32, u32)>,
}

impl<V: Vfs> Indexer<V> {
    pub(super) fn new(core: Arc<Core<V>>) -> Self {
        Self { core, since: 0, segments: None }
    }

    /// Whether something was applied since the last checkpoint.
    pub(super) fn is_dirty(&self) -> bool {
        self.since > 0
    }

    /// Whether a checkpoint should not wait for leisure: there is much to read again, or a segment
    /// is full and the oldest may be needed no more.
    pub(super) fn is_due(&self) -> bool {
        self.since >= OPERATIONS || self.segments.is_some_and(|(then, now)| then != now)
    }

    /// Applies groups in order, and ends what was reserved for them.
    pub(super) fn apply(&mut self, written: Vec<Written<V>>) {
        let mut batch: Vec<Request<V>> = Vec::new();
        let mut mark = None;
        for group in written {
            match group.outcome {
                Ok(group_mark) => {
                    mark = Some(group_mark);
                    batch.extend(group.requests);
                }
                Err(error) => {
                    self.apply_batch(std::mem::take(&mut batch), mark.take());
                    self.refuse(group.requests, &error);
                }
            }
        }
        self.apply_batch(batch, mark);
    }

    /// Makes durable what was applied.
    pub(super) fn checkpoint(&mut self) {
        if self.since > 0 && self.core.broken().is_none() {
            match self.core.catalog.checkpoint() {
                Ok(mark) => {
                    self.since = 0;
                    self.segments = Some((mark.segment, mark.segment));
                }
                Err(error) => self.core.give_up(|| format!("the catalog could not be written: {error}")),
            }
        }
    }

    fn apply_batch(&mut self, mut requests: Vec<Request<V>>, mark: Option<super::journal::Mark>) {
        let (Some(mark), Some(last)) = (mark, requests.last().map(Request::number)) else { return };
        let counts: Vec<usize> = requests.iter().map(|request| request.ops.len()).collect();
        let ops: Vec<Op> = requests.iter_mut().flat_map(|request| std::mem::take(&mut request.ops)).collect();
        let applied = match self.core.catalog.apply(&ops, mark) {
            Ok(applied) => applied,
            Err(error) => {
                // The journal has it all: the next start makes a new catalog of it.
                self.core.give_up(|| format!("the catalog could not be written: {error}"));
                return self.refuse(requests, &error);
            }
        };
        self.since += ops.len() as u64;
        let then = self.segments.map_or(mark.segment, |(then, _)| then);
        self.segments = Some((then, mark.segment));
        let mut applied = applied.into_iter();
        let results: Vec<Vec<Applied>> = counts.iter().map(|count| applied.by_ref().take(*count).collect()).collect();
        let mut opened = Vec::new();
        {
            let mut state = self.core.state();
            for request in &mut requests {
                opened.extend(carry_out(&mut state, std::mem::replace(&mut request.after, After::Nothing)));
            }
        }
        let unheard = requests.iter().zip(&results).filter(|(request, _)| !request.heard);
        let mut ready = unheard.flat_map(|(_, results)| results).filter_map(|applied| applied.ready).min();
        for key in opened {
            ready = ready.into_iter().chain(self.core.first_due(&key)).min();
        }
        self.core.announce(ready);
        for (request, results) in requests.into_iter().zip(results) {
            self.finish(request, &results);
        }
        self.core.applied(last);
    }

    fn finish(&self, request: Request<V>, results: &[Applied]) {
        for (id, blob) in results.iter().filter_map(|applied| applied.finished) {
            if blob {
                self.remove_blob(id);
            }
        }
        let finished = results.last().is_some_and(|applied| applied.finished.is_some());
        // Others get the units and ids before the one who waited goes on.
        drop((request.reserved, request.coming));
        if let Done::Applied(waiter) = request.done {
            let _ = waiter.send(Ok(finished));
        }
    }

    /// Nothing of these counts.
    fn refuse(&self, requests: Vec<Request<V>>, error: &QueueError) {
        let Some(last) = requests.last().map(Request::number) else { return };
        for request in requests {
            if let (Done::Nobody, After::Settled(unit, _)) = (&request.done, &request.after) {
                // It was lazy, and its caller is gone: the unit is as it was, and free.
                self.core.state().unlease(*unit);
            }
            drop((request.reserved, request.coming));
            if let Done::Applied(waiter) = request.done {
                let _ = waiter.send(Err(error.clone()));
            }
        }
        self.core.applied(last);
    }

    fn remove_blob(&self, id: MsgId) {
        // Where this fails, the next start removes the file.
        let _ = super::blob::remove(&*self.core.vfs, id);
    }
}

/// Brings the state in step; gives a key whose gate changed.
fn carry_out(state: &mut State, after: After) -> Option<crate::QueueKey> {
    match after {
        After::Nothing => {}
        After::Settled(unit, next_unit) => {
            state.unlease(unit);
            state.number(unit.msg, next_unit);
        }
        After::Acted(acted) => acted.into_iter().for_each(|(unit, acted)| act(state, unit, acted)),
        After::Gate(key, gate) => {
            state.set_gate(&key, gate);
            return Some(key);
        }
    }
    None
}

fn act(state: &mut State, unit: UnitId, acted: Acted) {
    match acted {
        Acted::Removed => _ = state.unlease(unit),
        Acted::Amended(new, asked) => state.relet(unit, |live| {
            live.key = new.key.clone();
            live.held = new.hold.is_some();
            live.asked = asked.or(live.asked);
            live.unit = Some(Arc::new(new));
        }),
    }
}
