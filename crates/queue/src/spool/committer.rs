//! The writing end: what waits becomes one group of the journal, is synced, and is promised.

use std::sync::Arc;

use super::core::{Core, Done, Request};
use super::entry::{self, Told};
use super::journal::{Entry, Mark, Writer};
use super::vfs::Vfs;
use crate::QueueError;

/// At most so many requests make one group ...
const REQUESTS: usize = 1_024;
/// ... of so many bytes, if it fits into half a segment.
const BYTES: u64 = 8 << 20;

/// The writer of the journal, and the order in which it writes.
pub(super) struct Committer<V: Vfs> {
    core: Arc<Core<V>>,
    writer: Writer<V>,
    /// The last request that was written, or refused.
    last: u64,
}

/// Requests that were written as one group, or, without a mark, were not.
pub(super) struct Written<V: Vfs> {
    pub(super) requests: Vec<Request<V>>,
    pub(super) outcome: Result<Mark, QueueError>,
}

impl<V: Vfs> Committer<V> {
    pub(super) fn new(core: Arc<Core<V>>, writer: Writer<V>) -> Self {
        Self { core, writer, last: 0 }
    }

    /// Waits for work and does it; none when the spool closes.
    pub(super) fn wait_and_turn(&mut self) -> Option<Option<Written<V>>> {
        drop(self.core.wait_for_work()?);
        Some(self.turn())
    }

    /// Writes what waits as one group, and says what was written.
    pub(super) fn turn(&mut self) -> Option<Written<V>> {
        let (requests, retire) = self.take();
        if let Some(segment) = retire {
            self.retire(segment);
        }
        if requests.is_empty() {
            return None;
        }
        let written = self.write(requests);
        // The next segment is laid out while nobody waits for this group.
        if let Err(error) = self.writer.prepare()
            && matches!(error, QueueError::ReadOnly)
        {
            self.core.give_up(|| "a segment of the journal could not be synced".to_owned());
        }
        Some(written)
    }

    fn take(&mut self) -> (Vec<Request<V>>, Option<u32>) {
        let mut inbox = self.core.inbox();
        let most = BYTES.min(self.core.longest());
        let (mut requests, mut bytes) = (Vec::new(), 0);
        while requests.len() < REQUESTS
            && let Some(next) = inbox.requests.front()
            && (requests.is_empty() || bytes + next.bytes() <= most)
        {
            bytes += next.bytes();
            requests.extend(inbox.requests.pop_front());
        }
        (requests, inbox.retire.take())
    }

    fn write(&mut self, mut requests: Vec<Request<V>>) -> Written<V> {
        let outcome = self.append(&mut requests);
        if let Some(last) = requests.last() {
            self.last = last.number();
            if outcome.is_ok() {
                self.core.promise(self.last);
            }
        }
        for request in &mut requests {
            for coming in &mut request.coming {
                match &outcome {
                    Ok(_) => coming.keep(),
                    Err(error) => coming.fail(error),
                }
            }
            if let Done::Durable(_) = request.done
                && let Done::Durable(waiter) = std::mem::replace(&mut request.done, Done::Nobody)
            {
                if outcome.is_ok() {
                    request.tell(&self.core);
                }
                let _ = waiter.send(outcome.clone().map(|_| ()));
            }
        }
        Written { requests, outcome }
    }

    fn append(&mut self, requests: &mut [Request<V>]) -> Result<Mark, QueueError> {
        self.core.writable()?;
        let bytes = requests.iter().map(Request::bytes).sum();
        let mut entries: Vec<Entry> = Vec::with_capacity(requests.iter().map(|request| request.entries.len()).sum());
        let begins = self.writer.begins_segment(bytes);
        if begins {
            entries.push(self.snapshot()?);
        }
        let before = entries.len();
        for request in requests.iter_mut() {
            entries.append(&mut request.entries);
        }
        let appended = self.writer.append(&entries);
        if begins {
            *self.core.segments() = self.writer.segments();
        }
        let (mark, places) = appended.inspect_err(|error| {
            if matches!(error, QueueError::ReadOnly) {
                self.core.give_up(|| "the journal could not be synced".to_owned());
            }
        })?;
        let ops = requests.iter_mut().flat_map(|request| &mut request.ops);
        for (op, place) in ops.zip(places.into_iter().skip(before)) {
            entry::put(op, place);
        }
        Ok(mark)
    }

    fn snapshot(&self) -> Result<Entry, QueueError> {
        self.core.wait_until_applied(self.last);
        self.core.writable()?;
        let snapshot = Told::snapshot(&self.core.catalog, self.core.config.segment)?;
        snapshot.entry(Vec::new()).map_err(QueueError::Invalid)
    }

    fn retire(&mut self, segment: u32) {
        let is_oldest = self.writer.segments().first().is_some_and(|oldest| oldest.number == segment);
        if is_oldest && self.core.writable().is_ok() {
            // What fails now is tried again with the next segment that is not needed.
            if let Err(QueueError::ReadOnly) = self.writer.retire_oldest() {
                self.core.give_up(|| "a segment of the journal could not be let go".to_owned());
            }
            *self.core.segments() = self.writer.segments();
        }
    }
}
