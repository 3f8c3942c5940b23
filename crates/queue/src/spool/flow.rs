//! The mail flow: what is due, leases, and how they end.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use hikyaku_wire::Timestamp;

use super::catalog::MessageRow;
use super::core::{After, Core, Request, Reserved};
use super::draft::SealedInside;
use super::entry::{Told, Units};
use super::read::{Loaded, Lost};
use super::state::{Busy, Live, State, Taken};
use super::vfs::Vfs;
use crate::unit::{Outcome, Settling, Unit};
use crate::{
    Claimed, DueKey, Durability, Envelope, KeyCursor, KeyQuota, Lease, MsgId, QueueError, QueueKey, Settled,
    Settlement, UnitId, WorkerId,
};

type Result<T> = std::result::Result<T, QueueError>;

/// Units of one message as they are from now on, or that they are gone.
type Changed = Vec<(u16, Option<Unit>)>;

impl<V: Vfs> Core<V> {
    pub(super) async fn due_keys(
        self: &Arc<Self>,
        now: Timestamp,
        after: Option<KeyCursor>,
        max: usize,
    ) -> Result<Vec<DueKey>> {
        self.caught_up().await;
        self.blocking(move |core| core.find_due_keys(now, after.as_ref(), max)).await
    }

    fn find_due_keys(&self, now: Timestamp, after: Option<&KeyCursor>, max: usize) -> Result<Vec<DueKey>> {
        let state = self.state();
        let is_later = |due: &DueKey| after.is_none_or(|after| due.cursor() > *after);
        let special = state.special_keys();
        let mut found = Vec::new();
        for key in &special {
            found.extend(self.special_due(&state, key)?.filter(|due| due.due <= now && is_later(due)));
        }
        let mut plain = 0;
        let from = after.map(|after| (after.due, after.key.clone()));
        self.catalog.due_keys(from, &mut |due, key, waiting| {
            if plain == max || due > now {
                return ControlFlow::Break(());
            }
            let due = DueKey { key: key.clone(), due, waiting };
            if is_later(&due) && !special.contains(key) {
                plain += 1;
                found.push(due);
            }
            ControlFlow::Continue(())
        })?;
        found.sort_by(|a, b| (a.due, &a.key).cmp(&(b.due, &b.key)));
        found.truncate(max);
        Ok(found)
    }

    /// Where a key stands that has leases or a gate.
    fn special_due(&self, state: &State, key: &QueueKey) -> Result<Option<DueKey>> {
        let Some(opens) = state.opens(key) else { return Ok(None) };
        let Some(ready) = self.catalog.waiting(key)? else { return Ok(None) };
        let mut first = None;
        self.catalog.ready(key, &mut |due, unit| match state.live(unit) {
            Some(_) => ControlFlow::Continue(()),
            None => {
                first = Some(due);
                ControlFlow::Break(())
            }
        })?;
        let overrun = state.leases_of(key).find(|(_, unit)| !state.is_settling(*unit)).map(|(expires, _)| expires);
        let Some(first) = first.into_iter().chain(overrun).min() else { return Ok(None) };
        let (leased, held) = state.leased(key);
        let waiting = ready.saturating_sub(leased - held);
        Ok(Some(DueKey { key: key.clone(), due: first.max(opens), waiting }))
    }

    /// When the first unit of a key may be claimed.
    pub(super) fn first_due(&self, key: &QueueKey) -> Option<Timestamp> {
        let state = self.state();
        self.special_due(&state, key).ok().flatten().map(|due| due.due)
    }

    pub(super) async fn claim(
        self: &Arc<Self>,
        who: WorkerId,
        now: Timestamp,
        want: &[KeyQuota],
        lease: Duration,
    ) -> Result<Vec<Claimed>> {
        self.caught_up().await;
        // What came of it could not be told, and it would be tried again after every start.
        self.writable()?;
        let want = want.to_vec();
        let mut claim = self
            .blocking(move |core| {
                let mut claim =
                    Claim { core: Arc::clone(core), leases: Vec::new(), claimed: Vec::new(), lost: Vec::new() };
                claim.pick(&who, now, &want, lease)?;
                claim.read(now);
                Ok(claim)
            })
            .await?;
        for lost in std::mem::take(&mut claim.lost) {
            self.hold_lost(lost)?;
        }
        claim.leases.clear();
        Ok(std::mem::take(&mut claim.claimed))
    }

    pub(super) async fn extend(&self, lease: &Lease, by: Duration) -> Result<Lease> {
        loop {
            let wait = {
                let mut state = self.state();
                let expires = state.current(lease)?.expires.saturating_add(by);
                if !state.is_settling(lease.unit) {
                    state.relet(lease.unit, |live| live.expires = expires);
                    return Ok(Lease { expires, ..*lease });
                }
                state.wait_for_free()
            };
            let _ = wait.await;
        }
    }

    /// Keeps everybody else from the unit of a lease, once nobody changes it.
    async fn reserve_lease(self: &Arc<Self>, lease: &Lease) -> Result<(Reserved<V>, Live, Arc<Unit>)> {
        loop {
            let wait = {
                let mut state = self.state();
                let live = state.current(lease)?.clone();
                let unit = live.unit.clone().ok_or(QueueError::LeaseLost)?;
                match state.reserve(&[lease.unit], Busy::Settling) {
                    Taken::Got(()) => return Ok((Reserved::new(self, vec![lease.unit]), live, unit)),
                    Taken::Wait(wait) => wait,
                }
            };
            let _ = wait.await;
        }
    }

    pub(super) async fn settle(
        self: &Arc<Self>,
        lease: Lease,
        mut settlement: Settlement,
        durability: Durability,
    ) -> Result<Settled> {
        let mut follow_up = Vec::new();
        for sealed in settlement.follow_up.drain(..) {
            let inside: SealedInside<V> = sealed.into_inside()?;
            follow_up.push(inside.open(self)?);
        }
        let (reserved, live, unit) = self.reserve_lease(&lease).await?;
        let Settling { outcome, must_sync } = unit.settle(&settlement, live.past, live.asked)?;
        let is_lazy = durability == Durability::Lazy && !must_sync && follow_up.is_empty();
        let unit_done = matches!(outcome, Outcome::Ends(_));
        let (next_unit, changed) = self.changes(lease.unit, outcome)?;
        let (mut entries, mut ops, mut coming) = (Vec::new(), Vec::new(), Vec::new());
        for (entry, op, message) in follow_up {
            entries.push(entry);
            ops.push(op);
            coming.push(message);
        }
        let told = Told::Units(Units { id: lease.unit.msg, next_unit, changed });
        entries.push(told.entry(Vec::new()).map_err(QueueError::Invalid)?);
        ops.extend(told.op());
        let mut request = Request::of(entries, ops);
        request.after = After::Settled(lease.unit, next_unit);
        request.coming = coming;
        request.reserved = vec![reserved];
        if is_lazy {
            self.submit(request).await?;
            return Ok(Settled { unit_done: false, message_done: false });
        }
        let message_done = self.carry_out(request).await?;
        Ok(Settled { unit_done, message_done })
    }

    /// What becomes of a settled unit, and how far the units of its message are numbered then.
    fn changes(&self, id: UnitId, outcome: Outcome) -> Result<(u16, Changed)> {
        let mut state = self.state();
        let mut next = state.next_unit(id.msg);
        let changed = match outcome {
            Outcome::Stays(unit) => vec![(id.unit, Some(unit))],
            Outcome::Ends(parts) => {
                let mut changed = vec![(id.unit, None)];
                for part in parts {
                    changed.push((next, Some(part)));
                    next = next.checked_add(1).ok_or(QueueError::Invalid("too many units"))?;
                }
                state.number(id.msg, next);
                changed
            }
        };
        Ok((next, changed))
    }

    pub(super) async fn release(self: &Arc<Self>, lease: Lease, due: Timestamp) -> Result<()> {
        let (reserved, live, unit) = self.reserve_lease(&lease).await?;
        let due = live.asked.unwrap_or(due).min(unit.expires);
        if due == unit.due {
            self.state().unlease(lease.unit);
            drop(reserved);
            self.announce((!live.held).then_some(due));
            return Ok(());
        }
        let unit = Unit { due, ..(*unit).clone() };
        let (next_unit, changed) = self.changes(lease.unit, Outcome::Stays(unit))?;
        let mut request =
            Request::new(vec![(Told::Units(Units { id: lease.unit.msg, next_unit, changed }), Vec::new())])?;
        request.after = After::Settled(lease.unit, next_unit);
        request.reserved = vec![reserved];
        self.submit(request).await
    }
}

/// Leases that were taken and are given back unless they are handed over.
struct Claim<V: Vfs> {
    core: Arc<Core<V>>,
    leases: Vec<Lease>,
    claimed: Vec<Claimed>,
    lost: Vec<Lost>,
}

impl<V: Vfs> Claim<V> {
    /// Takes the leases.
    fn pick(&mut self, who: &WorkerId, now: Timestamp, want: &[KeyQuota], lease: Duration) -> Result<()> {
        let core = Arc::clone(&self.core);
        let mut state = core.state();
        for quota in want {
            if state.opens(&quota.key).is_none_or(|from| from > now) {
                continue;
            }
            state.end_overrun(&quota.key, now);
            let mut picked = Vec::new();
            core.catalog.ready(&quota.key, &mut |due, unit| {
                if due > now || picked.len() == quota.max as usize {
                    return ControlFlow::Break(());
                }
                let is_free = state.live(unit).is_none_or(|live| live.expires <= now);
                if is_free && !state.is_settling(unit) {
                    picked.push(unit);
                }
                ControlFlow::Continue(())
            })?;
            for unit in picked {
                let token = state.next_token();
                let expires = now.saturating_add(lease);
                let live = Live {
                    token,
                    expires,
                    by: who.clone(),
                    key: quota.key.clone(),
                    past: false,
                    held: false,
                    asked: None,
                    unit: None,
                    next_unit: 0,
                };
                state.lease(unit, live);
                self.leases.push(Lease { unit, token, expires });
            }
        }
        Ok(())
    }

    /// Reads what the leases are about.
    fn read(&mut self, now: Timestamp) {
        let mut kept: Option<(MsgId, Loaded)> = None;
        for lease in &self.leases {
            let loaded = match kept.take_if(|(id, _)| *id == lease.unit.msg) {
                Some((_, loaded)) => Ok(Some(loaded)),
                None => self.core.load(lease.unit.msg),
            };
            let read = loaded.and_then(|loaded| {
                let Some(loaded) = loaded else { return Ok(None) };
                let unit = self.core.load_unit(&loaded, lease.unit.unit)?;
                Ok(Some((loaded, unit)))
            });
            let (loaded, unit) = match read {
                Ok(Some(read)) => read,
                // Gone meanwhile, and the lease with it.
                Ok(None) => continue,
                Err(_) => {
                    // The disk does not answer. It is tried again when the lease is over, and does not
                    // stand in the way of others until then.
                    self.core.note_damage();
                    continue;
                }
            };
            if let Some(unit) = unit {
                match &loaded.envelope {
                    Ok(envelope) if !unit.rcpts.is_empty() => {
                        self.claimed.extend(fill(&self.core, *lease, &loaded.row, envelope, unit, now));
                    }
                    _ => self.lost.push(Lost { id: lease.unit, unit, next_unit: loaded.row.next_unit }),
                }
            }
            kept = Some((lease.unit.msg, loaded));
        }
    }
}

/// Completes a lease with the unit, unless somebody ended it meanwhile.
fn fill<V: Vfs>(
    core: &Core<V>,
    lease: Lease,
    row: &MessageRow,
    envelope: &Arc<Envelope>,
    unit: Unit,
    now: Timestamp,
) -> Option<Claimed> {
    let mut state = core.state();
    state.live(lease.unit).filter(|live| live.token == lease.token)?;
    let mut current = Arc::new(unit);
    state.relet(lease.unit, |live| {
        // What a person made of it since it was read is newer.
        current = Arc::clone(live.unit.get_or_insert(Arc::clone(&current)));
        live.past = current.expires <= now;
        live.next_unit = live.next_unit.max(row.next_unit);
    });
    drop(state);
    let rcpts = current.open().cloned().collect();
    let mut claimed = Claimed::new(lease, current.key.clone(), Arc::clone(envelope), rcpts, row.size);
    claimed.attempts = current.attempts;
    claimed.first_attempt = current.first_attempt;
    claimed.expired = current.expires <= now;
    Some(claimed)
}

impl<V: Vfs> Drop for Claim<V> {
    fn drop(&mut self) {
        if self.leases.is_empty() {
            return;
        }
        let mut state = self.core.state();
        for lease in &self.leases {
            if state.live(lease.unit).is_some_and(|live| live.token == lease.token) {
                state.unlease(lease.unit);
            }
        }
        drop(state);
        // They are due again, and were when they were taken.
        self.core.announce(Some(Timestamp::from_millis(i64::MIN)));
    }
}
