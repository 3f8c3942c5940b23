//! What queue and model say of themselves, side by side.

use std::collections::BTreeSet;

use super::game::{Game, PREPEND, Same, same, who, worked};
use super::naive::Unit;
use crate::suite::Store;
use crate::suite::parts::{at, read};
use crate::{BodyReader, Count, CountBy, Filter, Gate, Manage, Queue, QueueError, StateKind};

impl<S: Store> Game<'_, S> {
    /// What outlived reopening: leases may have ended, and what was not durable may be undone.
    pub(super) async fn found_again(&mut self) -> Same {
        let listed = worked("a list", self.queue.list(&Filter::all(), None, usize::MAX).await)?;
        for entry in listed.entries {
            let Some(unit) = self.model.units.get_mut(&entry.unit) else { continue };
            if entry.state.kind() != StateKind::Leased {
                unit.held_by = None;
            }
            let found = |unit: &Unit| {
                (&unit.key, unit.due, unit.attempts, &unit.rcpts)
                    == (&entry.key, entry.due, entry.attempts, &entry.rcpts)
            };
            if !found(unit)
                && let Some(undone) = unit.before.iter().find(|before| found(before))
            {
                *unit = undone.clone();
            }
            unit.before.clear();
        }
        Ok(())
    }

    pub(super) async fn compare(&mut self, n: u8) -> Same {
        let listed = worked("a list", self.queue.list(&Filter::all(), None, usize::MAX).await)?.entries;
        let latest = at(self.latest);
        for entry in &listed {
            // Such a lease ends with the next claim of the key, or before it.
            if let Some(unit) = self.model.units.get_mut(&entry.unit)
                && unit.may_be_let_go(latest)
                && entry.state.kind() != StateKind::Leased
            {
                unit.held_by = None;
            }
        }
        let expected = self.model.entries(&who());
        if listed.len() == expected.len() {
            for (found, expected) in listed.iter().zip(&expected) {
                same("an entry of the list", found, expected)?;
            }
        }
        let units = |entries: &[crate::Entry]| entries.iter().map(|entry| entry.unit).collect::<Vec<_>>();
        same("the list", &units(&listed), &units(&expected))?;
        let closed = self.model.gates.iter().filter(|(_, gate)| **gate != Gate::Open);
        let closed: Vec<_> = closed.map(|(key, gate)| (key.clone(), *gate)).collect();
        same("the gates", &worked("gates", self.queue.gates(None).await)?, &closed)?;
        self.compare_counts().await?;
        self.compare_keys().await?;
        self.compare_body(n).await
    }

    async fn compare_counts(&self) -> Same {
        let by_key = Vec::from_iter(self.model.counts(&who()).into_values());
        let mut sum = Count { key: None, ready: 0, leased: 0, held: 0, oldest: None };
        for count in &by_key {
            sum.ready += count.ready;
            sum.leased += count.leased;
            sum.held += count.held;
            sum.oldest = [sum.oldest, count.oldest].into_iter().flatten().min();
        }
        same("the counts by key", &worked("counts", self.queue.counts(CountBy::Key).await)?, &by_key)?;
        same("the count of all", &worked("counts", self.queue.counts(CountBy::All).await)?, &vec![sum])
    }

    /// Keys with work. Whether a lease that ran out on a unit that is held, or that is asked for later,
    /// counts as work before somebody claims is the store's business.
    async fn compare_keys(&self) -> Same {
        let horizon = at(self.minutes + 10);
        let found = worked("keys", self.queue.due_keys(horizon, None, 99).await)?;
        if !found.is_sorted_by(|a, b| (a.due, &a.key) < (b.due, &b.key)) {
            return Err(format!("the keys are not in order: {found:?}"));
        }
        let names: BTreeSet<_> = self.model.units.values().map(|unit| unit.key.clone()).collect();
        for name in &names {
            let units = || self.model.units.values().filter(|unit| unit.key == *name);
            let waiting = units().filter(|unit| unit.held_by.is_none() && unit.hold.is_none()).count() as u64;
            let first = |all: bool| {
                let due = units().filter_map(|unit| match &unit.held_by {
                    Some(held) if all || (unit.hold.is_none() && held.asked.is_none()) => Some(held.lease.expires),
                    Some(_) => None,
                    None => unit.hold.is_none().then_some(unit.due),
                });
                let first = due.min()?.max(self.model.opens(name)?);
                (first <= horizon).then_some((first, waiting))
            };
            let listed = found.iter().find(|key| key.key == *name).map(|key| (key.due, key.waiting));
            if listed != first(false) {
                same(&format!("the key {name}"), &listed, &first(true))?;
            }
        }
        let strange = found.iter().find(|key| !names.contains(&key.key));
        same("a key without units", &strange, &None)
    }

    async fn compare_body(&self, n: u8) -> Same {
        let known: Vec<_> = self.model.messages.iter().collect();
        if let Some((id, message)) = known.get(usize::from(n) % known.len().max(1)) {
            let body = worked("a text", self.queue.body(**id).await)?;
            same("the length of a text", &body.len(), &(message.text.len() as u64))?;
            same("what stands before a text", &&body.prepend()[..], &PREPEND)?;
            if read(&body, 50_000).await != message.text {
                return Err(format!("the text of {id} is another one"));
            }
        }
        let gone: Vec<_> = self.model.finished.iter().collect();
        if let Some(id) = gone.get(usize::from(n) % gone.len().max(1))
            && !matches!(self.queue.body(**id).await.map(|_| ()), Err(QueueError::NotFound))
        {
            return Err(format!("the text of {id} is still there"));
        }
        Ok(())
    }
}
