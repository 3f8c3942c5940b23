//! Gives back what the journal does not need any more: the oldest segment goes when nothing in it
//! matters, and what still matters in it is written again at the head once most of the journal is dead.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use hikyaku_wire::ReversePath;
use tokio::sync::oneshot;

use super::catalog::MessageRow;
use super::core::{Core, Done, Request, Reserved};
use super::entry::{self, LOST, Told};
use super::indexer::Indexer;
use super::journal::Kind;
use super::state::{Busy, Taken};
use super::vfs::Vfs;
use crate::{Envelope, HoldReason, MsgId, QueueError, UnitId};

type Result<T> = std::result::Result<T, QueueError>;

/// So many bytes are written again at once.
const STEP: u64 = 4 << 20;

/// So many segments may be dead before anything is written again.
const SLACK: u64 = 4;

pub(super) struct Cleaner<V: Vfs> {
    core: Arc<Core<V>>,
    /// The segment that is being emptied.
    segment: Option<u32>,
    /// Messages that have something in it.
    left: VecDeque<MsgId>,
    /// What was written again last.
    under_way: Vec<oneshot::Receiver<Result<bool>>>,
}

impl<V: Vfs> Cleaner<V> {
    pub(super) fn new(core: Arc<Core<V>>) -> Self {
        Self { core, segment: None, left: VecDeque::new(), under_way: Vec::new() }
    }

    /// Does what is to be done after something was applied, or when nothing was for a while.
    pub(super) fn follow(&mut self, indexer: &mut Indexer<V>, at_leisure: bool) {
        // What is met here is met again, or reported, by whoever reads; it only stops cleaning.
        let _ = self.advance();
        if at_leisure || indexer.is_due() || self.wants_checkpoint() {
            indexer.checkpoint();
            let _ = self.consider();
            let _ = self.advance();
        }
    }

    /// Whether a segment was emptied, so that it can go after the next checkpoint.
    fn wants_checkpoint(&mut self) -> bool {
        self.segment.is_some() && self.left.is_empty() && self.is_idle()
    }

    /// Looks, after a checkpoint, what can go and what must move for that.
    ///
    /// # Errors
    /// Those of the catalog and of the journal.
    fn consider(&mut self) -> Result<()> {
        if self.core.broken().is_some() || !self.left.is_empty() || !self.is_idle() {
            return Ok(());
        }
        self.segment = None;
        let segments = self.core.segments().clone();
        let [oldest, _, ..] = segments.as_slice() else { return Ok(()) };
        let live: BTreeMap<u32, u64> = self.core.catalog.live()?.into_iter().collect();
        if !live.contains_key(&oldest.number) {
            self.core.retire(oldest.number);
            return Ok(());
        }
        let used: u64 = segments.iter().map(|segment| segment.used).sum();
        let live: u64 = live.values().sum();
        if used.saturating_sub(live) > live.max(SLACK * self.core.config.segment) {
            self.segment = Some(oldest.number);
            self.left = self.messages_in(oldest.number)?;
        }
        Ok(())
    }

    /// Writes the next messages again, once those before are where they belong.
    ///
    /// # Errors
    /// Those of the catalog and of the journal.
    fn advance(&mut self) -> Result<()> {
        let Some(segment) = self.segment else { return Ok(()) };
        if !self.is_idle() {
            return Ok(());
        }
        let mut bytes = 0;
        while bytes < STEP.min(self.core.longest())
            && let Some(id) = self.left.pop_front()
        {
            if let Some(mut request) = self.move_message(id, segment)? {
                let (done, wait) = oneshot::channel();
                request.done = Done::Applied(done);
                bytes += request.entries.iter().map(super::journal::Entry::len).sum::<u64>();
                self.core.push(request)?;
                self.under_way.push(wait);
            }
        }
        Ok(())
    }

    fn is_idle(&mut self) -> bool {
        self.under_way.retain_mut(|wait| matches!(wait.try_recv(), Err(oneshot::error::TryRecvError::Empty)));
        self.under_way.is_empty()
    }

    /// The messages that have something in this segment that matters.
    fn messages_in(&self, segment: u32) -> Result<VecDeque<MsgId>> {
        let mut ids = BTreeSet::new();
        let visited = self.core.reader.entries(segment, &mut |replayed| {
            if matches!(replayed.kind, Kind::Message | Kind::Units) {
                match Told::read(replayed.kind, replayed.record) {
                    Ok(Told::Message(message)) => _ = ids.insert(message.id),
                    Ok(Told::Units(units)) => _ = ids.insert(units.id),
                    _ => {}
                }
            }
            Ok(())
        });
        let mut found = VecDeque::new();
        for id in ids {
            if self.core.catalog.message(id)?.is_some_and(|row| is_in(&row, segment)) {
                found.push_back(id);
            }
        }
        if found.is_empty() || visited.is_err() {
            // What is damaged there names no message: the catalog knows them.
            found.clear();
            self.core.catalog.messages(None, &mut |id, row| {
                if is_in(row, segment) {
                    found.push_back(id);
                }
                std::ops::ControlFlow::Continue(())
            })?;
        }
        Ok(found)
    }

    /// What writes a message again, with its units as they are; none if it need not, or cannot now.
    fn move_message(&self, id: MsgId, segment: u32) -> Result<Option<Request<V>>> {
        let Some(row) = self.core.catalog.message(id)? else { return Ok(None) };
        let units: Vec<UnitId> = numbers(&row).map(|unit| UnitId { msg: id, unit }).collect();
        let reserved = match self.core.state().reserve(&units, Busy::Moving) {
            Taken::Got(()) => Reserved::new(&self.core, units),
            Taken::Wait(_) => return Ok(None),
        };
        // From here on nobody changes it; a unit that came since is not reserved.
        let Some(now) = self.core.catalog.message(id)? else { return Ok(None) };
        if !is_in(&now, segment) || !numbers(&now).eq(numbers(&row)) {
            return Ok(None);
        }
        let Some(loaded) = self.core.load(id)? else { return Ok(None) };
        let mut current = BTreeMap::new();
        for (number, _) in &now.units {
            if let Some(unit) = self.core.load_unit(&loaded, *number)? {
                current.insert(*number, unit);
            }
        }
        let (message, body) = match self.core.whole(id, now.place)? {
            Ok((message, body)) => (message, vec![body]),
            Err(_) => {
                self.core.note_damage();
                (unreadable(id, &now), Vec::new())
            }
        };
        let is_lost = body.is_empty();
        for unit in current.values_mut().filter(|_| is_lost) {
            unit.hold.get_or_insert_with(|| HoldReason::new(LOST));
        }
        let message = entry::Message { next_unit: now.next_unit, units: current, ..message };
        let mut request = Request::new(vec![(Told::Message(message), body)])?;
        request.reserved = vec![reserved];
        Ok(Some(request))
    }
}

/// What is left of a message whose entry cannot be read: its text is nowhere.
fn unreadable(id: MsgId, row: &MessageRow) -> entry::Message {
    entry::Message {
        id,
        envelope: Envelope::new(ReversePath::Null, id.timestamp()),
        idem: None,
        next_unit: row.next_unit,
        units: BTreeMap::new(),
        prepend: 0,
        text: row.size,
        blob: true,
    }
}

fn numbers(row: &MessageRow) -> impl Iterator<Item = u16> {
    row.units.iter().map(|(number, _)| *number)
}

fn is_in(row: &MessageRow, segment: u32) -> bool {
    row.place.segment == segment || row.units.iter().any(|(_, unit)| unit.place.segment == segment)
}
