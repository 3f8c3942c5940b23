//! What people and tools see and do.

use std::ops::ControlFlow;
use std::sync::Arc;

use hikyaku_wire::ReversePath;
use tokio::sync::oneshot;

use super::core::{After, Core, Done, Request, Reserved};
use super::entry::{Told, Units};
use super::read::{Loaded, remains};
use super::state::{Busy, Taken};
use super::vfs::Vfs;
use crate::unit::{Acted, Unit};
use crate::{
    Action, Count, CountBy, Cursor, Entry, Envelope, Filter, Gate, MsgId, Page, QueueError, QueueKey, UnitId, UnitState,
};

type Result<T> = std::result::Result<T, QueueError>;

/// So many units are looked at in one go.
const PAGE: usize = 256;
/// So many recipients are written in one entry, if one unit has not more.
const RCPTS: usize = 1_000;

/// What an action makes of some units, ready to be written.
struct Plan<V: Vfs> {
    /// Each with the number of units it meets.
    requests: Vec<(Request<V>, u64)>,
    /// Units that somebody else is changing.
    busy: Vec<UnitId>,
    wait: Option<oneshot::Receiver<()>>,
}

impl<V: Vfs> Core<V> {
    pub(super) async fn list(self: &Arc<Self>, filter: &Filter, after: Option<Cursor>, max: usize) -> Result<Page> {
        self.caught_up().await;
        let filter = filter.clone();
        self.blocking(move |core| core.page(&filter, after, max)).await
    }

    fn page(&self, filter: &Filter, after: Option<Cursor>, max: usize) -> Result<Page> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut at = after.map(|cursor| cursor.0);
        let mut kept = None;
        loop {
            let units = self.candidates(filter, at)?;
            let Some(&last) = units.last() else { return Ok(Page { entries, next: None }) };
            for id in units {
                let Some(entry) = self.listed(&mut kept, id)?.filter(|entry| filter.matches(entry)) else { continue };
                if entries.len() == max {
                    let next = entries.last().map(|last| Cursor(last.unit)).or(after);
                    return Ok(Page { entries, next });
                }
                entries.push(entry);
            }
            at = Some(last);
        }
    }

    /// Some units after this one that may match, in the order of their ids; none at the end.
    fn candidates(&self, filter: &Filter, after: Option<UnitId>) -> Result<Vec<UnitId>> {
        let mut units = Vec::new();
        let is_later = |id: &UnitId| after.is_none_or(|after| *id > after);
        if let Some(msg) = filter.msg {
            let row = self.catalog.message(msg)?;
            let numbers = row.iter().flat_map(|row| &row.units).map(|(unit, _)| UnitId { msg, unit: *unit });
            units.extend(numbers.filter(is_later));
        } else if let Some(key) = &filter.key {
            self.catalog.units_of(key, after, &mut |id| {
                units.push(id);
                if units.len() < PAGE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
        } else {
            let mut add = |msg: MsgId, row: &super::catalog::MessageRow| {
                let numbers = row.units.iter().map(|(unit, _)| UnitId { msg, unit: *unit });
                units.extend(numbers.filter(is_later));
                if units.len() < PAGE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            };
            let rest = match after {
                Some(after) => self.catalog.message(after.msg)?.map(|row| add(after.msg, &row)),
                None => None,
            };
            if rest != Some(ControlFlow::Break(())) {
                self.catalog.messages(after.map(|after| after.msg), &mut add)?;
            }
        }
        Ok(units)
    }

    /// A unit as it is listed; none if it is gone.
    fn listed(&self, kept: &mut Option<Loaded>, id: UnitId) -> Result<Option<Entry>> {
        if kept.as_ref().is_none_or(|loaded| loaded.id != id.msg) {
            // Who looks sees what there is.
            *kept = match self.load(id.msg) {
                Ok(loaded) => loaded,
                Err(_) => self.catalog.message(id.msg)?.map(|row| Loaded::unread(id.msg, row)),
            };
        }
        let Some(loaded) = kept else { return Ok(None) };
        let unit = self.load_unit(loaded, id.unit).or_else(|_| {
            let row = loaded.row.units.iter().find(|(number, _)| *number == id.unit);
            Ok::<_, QueueError>(row.map(|(_, row)| remains(row)))
        })?;
        Ok(unit.map(|unit| self.entry(loaded, id, &unit)))
    }

    fn entry(&self, loaded: &Loaded, id: UnitId, unit: &Unit) -> Entry {
        let state = match (self.state().live(id), &unit.hold) {
            (Some(live), _) => UnitState::Leased { by: live.by.clone(), expires: live.expires },
            (None, Some(why)) => UnitState::Held(why.clone()),
            (None, None) => UnitState::Ready,
        };
        let envelope = match &loaded.envelope {
            Ok(envelope) => Arc::clone(envelope),
            Err(_) => Arc::new(Envelope::new(ReversePath::Null, id.msg.timestamp())),
        };
        Entry {
            unit: id,
            key: unit.key.clone(),
            state,
            due: unit.due,
            expires: unit.expires,
            attempts: unit.attempts,
            size: loaded.row.size,
            envelope,
            rcpts: unit.rcpts.clone(),
        }
    }

    pub(super) async fn counts(self: &Arc<Self>, by: CountBy) -> Result<Vec<Count>> {
        self.caught_up().await;
        self.blocking(move |core| {
            let rows = core.catalog.counts()?;
            let state = core.state();
            let each = rows.into_iter().map(|row| {
                let (leased, held) = state.leased(&row.key);
                Count {
                    ready: row.ready.saturating_sub(leased - held),
                    leased,
                    held: row.held.saturating_sub(held),
                    oldest: Some(row.oldest.timestamp()),
                    key: Some(row.key),
                }
            });
            Ok(match by {
                CountBy::Key => {
                    let mut each: Vec<_> = each.collect();
                    each.sort_by(|a, b| a.key.cmp(&b.key));
                    each
                }
                CountBy::All => vec![each.fold(NONE, |sum, count| Count {
                    key: None,
                    ready: sum.ready + count.ready,
                    leased: sum.leased + count.leased,
                    held: sum.held + count.held,
                    oldest: sum.oldest.into_iter().chain(count.oldest).min(),
                })],
            })
        })
        .await
    }

    pub(super) async fn act(self: &Arc<Self>, filter: &Filter, action: Action) -> Result<u64> {
        self.writable()?;
        self.caught_up().await;
        let (mut met, mut at) = (0, None);
        loop {
            let wanted = filter.clone();
            let mut units = self.blocking(move |core| core.candidates(&wanted, at)).await?;
            let Some(&last) = units.last() else { return Ok(met) };
            while !units.is_empty() {
                let (wanted, action) = (filter.clone(), action.clone());
                let plan = self.blocking(move |core| core.plan(&units, &wanted, &action)).await?;
                let mut waits = Vec::new();
                for (mut request, units) in plan.requests {
                    let (done, wait) = oneshot::channel();
                    request.done = Done::Applied(done);
                    self.submit(request).await?;
                    waits.push((wait, units));
                }
                for (wait, units) in waits {
                    wait.await.unwrap_or(Err(QueueError::Unknown))?;
                    met += units;
                }
                if let Some(wait) = plan.wait {
                    let _ = wait.await;
                }
                units = plan.busy;
            }
            at = Some(last);
        }
    }

    /// Keeps others from the units and says what the action makes of them.
    fn plan(self: &Arc<Self>, units: &[UnitId], filter: &Filter, action: &Action) -> Result<Plan<V>> {
        let mut plan = Plan { requests: Vec::new(), busy: Vec::new(), wait: None };
        let mut kept = None;
        // Of one message, until they are enough for one entry.
        let mut part: Option<Part<V>> = None;
        for &id in units {
            // Whoever has it reserved may be about to change it: what is read from here on stays.
            let reserved = match self.reserve_for_action(id) {
                Taken::Got(reserved) => reserved,
                Taken::Wait(wait) => {
                    plan.wait.get_or_insert(wait);
                    plan.busy.push(id);
                    continue;
                }
            };
            if kept.as_ref().is_none_or(|loaded: &Loaded| loaded.id != id.msg) {
                kept = self.load(id.msg)?;
            }
            let Some(fresh) = kept.as_mut() else { continue };
            if let Some(row) = self.catalog.message(id.msg)? {
                fresh.row = row;
            }
            let Some(unit) = self.load_unit(fresh, id.unit)? else { continue };
            if !filter.matches(&self.entry(fresh, id, &unit)) {
                continue;
            }
            let Some(acted) = unit.act(action) else { continue };
            if part.as_ref().is_some_and(|part| part.id != id.msg || part.rcpts >= RCPTS) {
                plan.requests.extend(part.take().map(Part::close).transpose()?);
            }
            let part = part.get_or_insert_with(|| Part::new(id.msg, fresh.row.next_unit));
            part.add(id, acted, reserved);
        }
        plan.requests.extend(part.map(Part::close).transpose()?);
        Ok(plan)
    }

    fn reserve_for_action(self: &Arc<Self>, id: UnitId) -> Taken<Reserved<V>> {
        match self.state().reserve(&[id], Busy::Acting) {
            Taken::Got(()) => Taken::Got(Reserved::new(self, vec![id])),
            Taken::Wait(wait) => Taken::Wait(wait),
        }
    }

    pub(super) async fn gate(self: &Arc<Self>, key: &QueueKey, gate: Gate) -> Result<()> {
        let mut request = Request::new(vec![(Told::Gate(key.clone(), gate), Vec::new())])?;
        request.after = After::Gate(key.clone(), gate);
        self.carry_out(request).await.map(|_| ())
    }
}

const NONE: Count = Count { key: None, ready: 0, leased: 0, held: 0, oldest: None };

/// Units of one message that an action changes, written as one entry.
struct Part<V: Vfs> {
    id: MsgId,
    next_unit: u16,
    rcpts: usize,
    changed: Vec<(u16, Option<Unit>)>,
    acted: Vec<(UnitId, Acted)>,
    reserved: Vec<Reserved<V>>,
}

impl<V: Vfs> Part<V> {
    fn new(id: MsgId, next_unit: u16) -> Self {
        Self { id, next_unit, rcpts: 0, changed: Vec::new(), acted: Vec::new(), reserved: Vec::new() }
    }

    fn add(&mut self, id: UnitId, acted: Acted, reserved: Reserved<V>) {
        let unit = match &acted {
            Acted::Amended(unit, _) => Some(unit.clone()),
            Acted::Removed => None,
        };
        self.rcpts += unit.as_ref().map_or(1, |unit| unit.rcpts.len());
        self.changed.push((id.unit, unit));
        self.acted.push((id, acted));
        self.reserved.push(reserved);
    }

    fn close(self) -> Result<(Request<V>, u64)> {
        let units = self.acted.len() as u64;
        let told = Units { id: self.id, next_unit: self.next_unit, changed: self.changed };
        let mut request = Request::new(vec![(Told::Units(told), Vec::new())])?;
        request.after = After::Acted(self.acted);
        request.reserved = self.reserved;
        Ok((request, units))
    }
}
