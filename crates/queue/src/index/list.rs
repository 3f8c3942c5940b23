//! What people and tools read from the index.

use std::ops::Bound;

use super::{Index, Message, Slot};
use crate::{Count, CountBy, Cursor, Entry, Filter, MsgId, Page, UnitId, UnitState};

impl Index {
    pub(crate) fn list(&self, filter: &Filter, after: Option<Cursor>, max: usize) -> Page {
        let mut entries = Vec::new();
        for id in self.candidates(filter, after) {
            let Some(message) = self.messages.get(&id.msg) else { continue };
            let Some(slot) = message.slots.get(&id.unit) else { continue };
            let entry = self.entry(id, message, slot);
            if filter.matches(&entry) {
                if entries.len() == max {
                    let next = entries.last().map(|last: &Entry| Cursor(last.unit)).or(after);
                    return Page { entries, next };
                }
                entries.push(entry);
            }
        }
        Page { entries, next: None }
    }

    /// The messages with a unit that matches.
    pub(crate) fn matching(&self, filter: &Filter) -> Vec<MsgId> {
        let mut messages: Vec<_> =
            self.list(filter, None, usize::MAX).entries.iter().map(|entry| entry.unit.msg).collect();
        messages.dedup();
        messages
    }

    pub(crate) fn counts(&self, by: CountBy) -> Vec<Count> {
        let each = self.keys.iter().map(|(name, key)| Count {
            key: Some(name.clone()),
            ready: key.ready.len() as u64,
            leased: key.leased.len() as u64,
            held: key.held,
            oldest: key.all.first().map(|id| id.msg.timestamp()),
        });
        match by {
            CountBy::Key => each.collect(),
            CountBy::All => {
                let none = Count { key: None, ready: 0, leased: 0, held: 0, oldest: None };
                let all = each.fold(none, |sum, count| Count {
                    key: None,
                    ready: sum.ready + count.ready,
                    leased: sum.leased + count.leased,
                    held: sum.held + count.held,
                    oldest: [sum.oldest, count.oldest].into_iter().flatten().min(),
                });
                vec![all]
            }
        }
    }

    pub(super) fn entry(&self, id: UnitId, message: &Message, slot: &Slot) -> Entry {
        let unit = &slot.unit;
        let state = match (&slot.live, &unit.hold) {
            (Some(live), _) => UnitState::Leased { by: live.by.clone(), expires: live.expires },
            (None, Some(why)) => UnitState::Held(why.clone()),
            (None, None) => UnitState::Ready,
        };
        Entry {
            unit: id,
            key: unit.key.clone(),
            state,
            due: unit.due,
            expires: unit.expires,
            attempts: unit.attempts,
            size: message.size,
            envelope: message.envelope.clone(),
            rcpts: unit.rcpts.clone(),
        }
    }

    /// The units that may match, in the order of their ids: as few as the filter's fields tell apart cheaply.
    fn candidates<'a>(&'a self, filter: &Filter, after: Option<Cursor>) -> Box<dyn Iterator<Item = UnitId> + 'a> {
        let from = after.map_or(Bound::Unbounded, |cursor| Bound::Excluded(cursor.0));
        let first_message = after.map_or(Bound::Unbounded, |cursor| Bound::Included(cursor.0.msg));
        let later = move |id: &UnitId| after.is_none_or(|cursor| *id > cursor.0);
        let units =
            |(&msg, message): (&MsgId, &'a Message)| message.slots.keys().map(move |&unit| UnitId { msg, unit });
        if let Some(msg) = filter.msg {
            Box::new(self.messages.get_key_value(&msg).into_iter().flat_map(units).filter(later))
        } else if let Some(key) = &filter.key {
            Box::new(
                self.keys.get(key).into_iter().flat_map(move |key| key.all.range((from, Bound::Unbounded)).copied()),
            )
        } else {
            Box::new(self.messages.range((first_message, Bound::Unbounded)).flat_map(units).filter(later))
        }
    }
}
