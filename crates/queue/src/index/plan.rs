//! Changes that must be on disk before they are true: settlements and what people ask for.

#[cfg(feature = "spool")]
use std::collections::BTreeMap;

use hikyaku_wire::Timestamp;

use super::{Index, Message, Result, Slot, Unit};
use crate::unit::{Acted, Outcome, Settling};
use crate::{Action, Filter, Lease, MsgId, QueueError, Settled, Settlement, UnitId};

/// What is about to change in one message.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) msg: MsgId,
    changes: Vec<(u16, Change)>,
    next_unit: u16,
    settles: Option<u16>,
    /// No unit will be left.
    pub(crate) message_done: bool,
    /// A recipient became final or a unit ends: a crash must not undo it.
    #[cfg_attr(not(feature = "spool"), expect(dead_code, reason = "memory has nothing to sync"))]
    pub(crate) must_sync: bool,
}

#[derive(Debug)]
enum Change {
    /// The unit becomes this, and its lease, if any, ends.
    Settle(Unit),
    /// The unit becomes this; its lease, if any, goes on, and the due time takes effect after it.
    Amend(Unit, Option<Timestamp>),
    /// The unit is gone.
    Drop,
}

impl From<Acted> for Change {
    fn from(acted: Acted) -> Self {
        match acted {
            Acted::Amended(unit, asked) => Self::Amend(unit, asked),
            Acted::Removed => Self::Drop,
        }
    }
}

impl Plan {
    /// What the settlement that was planned ended.
    pub(crate) fn settled(&self) -> Settled {
        let unit_done =
            self.changes.iter().any(|(number, change)| self.settles == Some(*number) && matches!(change, Change::Drop));
        Settled { unit_done, message_done: self.message_done }
    }
}

impl Index {
    /// Draws up a settlement and keeps the unit from everybody else until the plan is carried out or given up.
    pub(crate) fn plan_settlement(&mut self, lease: &Lease, settlement: &Settlement) -> Result<Plan> {
        let live = self.current(lease)?;
        let (past, asked) = (live.expired, live.asked);
        let message = self.messages.get(&lease.unit.msg).ok_or(QueueError::LeaseLost)?;
        let slot = message.slots.get(&lease.unit.unit).ok_or(QueueError::LeaseLost)?;
        let Settling { outcome, must_sync } = slot.unit.settle(settlement, past, asked)?;
        let mut next_unit = message.next_unit;
        let changes = match outcome {
            Outcome::Stays(unit) => vec![(lease.unit.unit, Change::Settle(unit))],
            Outcome::Ends(parts) => {
                let mut changes = Vec::with_capacity(parts.len() + 1);
                for part in parts {
                    changes.push((next_unit, Change::Settle(part)));
                    next_unit = next_unit.checked_add(1).ok_or(QueueError::Invalid("too many units"))?;
                }
                changes.push((lease.unit.unit, Change::Drop));
                changes
            }
        };
        let settles = Some(lease.unit.unit);
        let message_done = ends(message, &changes);
        if let Some(slot) = self.slot_mut(lease.unit) {
            slot.settling = true;
        }
        Ok(Plan { msg: lease.unit.msg, changes, next_unit, settles, message_done, must_sync })
    }

    /// Draws up an action on one message; none if it changes nothing. Also says how many units it meets.
    pub(crate) fn plan_action(&self, msg: MsgId, filter: &Filter, action: &Action) -> Option<(Plan, u64)> {
        let message = self.messages.get(&msg)?;
        let mut changes = Vec::new();
        for (&number, slot) in &message.slots {
            if filter.matches(&self.entry(UnitId { msg, unit: number }, message, slot)) {
                changes.extend(slot.unit.act(action).map(|acted| (number, acted.into())));
            }
        }
        if changes.is_empty() {
            return None;
        }
        let met = changes.len() as u64;
        let message_done = ends(message, &changes);
        let next_unit = message.next_unit;
        Some((Plan { msg, changes, next_unit, settles: None, message_done, must_sync: true }, met))
    }

    /// What must survive of the message's units once the plan is carried out, and the next free number.
    #[cfg(feature = "spool")]
    pub(crate) fn outcome(&self, plan: &Plan) -> (u16, BTreeMap<u16, Unit>) {
        let mut units = self.messages.get(&plan.msg).map(|message| message.units().1).unwrap_or_default();
        for (number, change) in &plan.changes {
            match change {
                Change::Settle(unit) | Change::Amend(unit, _) => units.insert(*number, unit.clone()),
                Change::Drop => units.remove(number),
            };
        }
        (plan.next_unit, units)
    }

    /// Makes a plan true.
    pub(crate) fn carry_out(&mut self, plan: Plan) {
        for (number, change) in plan.changes {
            let id = UnitId { msg: plan.msg, unit: number };
            self.unlink(id);
            let Some(message) = self.messages.get_mut(&plan.msg) else { return };
            match change {
                Change::Settle(unit) => {
                    message.slots.insert(number, Slot { unit, live: None, settling: false });
                }
                Change::Amend(unit, asked) => {
                    if let Some(slot) = message.slots.get_mut(&number) {
                        slot.unit = unit;
                        if let Some(live) = &mut slot.live {
                            live.asked = asked.or(live.asked);
                        }
                    }
                }
                Change::Drop => {
                    message.slots.remove(&number);
                }
            }
            message.next_unit = plan.next_unit;
            self.link(id);
        }
        if plan.message_done {
            self.finish(plan.msg);
        }
    }

    /// Gives a plan up: the store could not write it.
    #[cfg(feature = "spool")]
    pub(crate) fn give_up(&mut self, plan: &Plan) {
        if let Some(unit) = plan.settles
            && let Some(slot) = self.slot_mut(UnitId { msg: plan.msg, unit })
        {
            slot.settling = false;
        }
    }
}

/// Whether the changes leave no unit of the message.
fn ends(message: &Message, changes: &[(u16, Change)]) -> bool {
    let dropped =
        |number: u16| changes.iter().any(|(other, change)| *other == number && matches!(change, Change::Drop));
    let added = changes.iter().any(|(_, change)| !matches!(change, Change::Drop));
    !added && message.slots.keys().all(|&number| dropped(number))
}

#[cfg(all(test, feature = "spool"))]
mod tests {
    use std::time::Duration;

    use hikyaku_wire::ReversePath;

    use super::*;
    use crate::{Envelope, KeyQuota, NewRcpt, NewUnit, Next, QueueKey, WorkerId};

    #[test]
    fn nobody_gets_a_unit_while_its_settlement_is_written() {
        let now = Timestamp::from_millis(0);
        let later = Timestamp::from_millis(3_600_000);
        let minute = Duration::from_secs(60);
        let want = [KeyQuota { key: QueueKey::new("a"), max: 9 }];
        let who = WorkerId::new("w");
        let mut index = Index::default();
        let unit = || {
            NewUnit::new(QueueKey::new("a"), now, later.saturating_add(minute))
                .with(NewRcpt::new("<a@a.test>".parse().unwrap()))
        };
        let id = MsgId::from_bytes([1; 16]);
        let message = Message::new(Envelope::new(ReversePath::Null, now), 0, None, vec![unit(), unit()]).unwrap();
        index.insert(id, message);
        let lease = index.claim(&who, now, &want, minute)[0].lease;
        let plan = index.plan_settlement(&lease, &Settlement::new(Next::RetryAt(later))).unwrap();

        // The leases run out meanwhile: the other unit is leased again, this one is not.
        let claimed = index.claim(&who, later, &want, minute);
        assert_eq!(claimed.iter().map(|claimed| claimed.lease.unit.unit).collect::<Vec<_>>(), [1]);
        let other = claimed[0].lease;
        assert!(matches!(index.extend(&lease, minute), Err(QueueError::LeaseLost)));
        assert!(matches!(index.release(&lease, now), Err(QueueError::LeaseLost)));
        assert!(index.plan_settlement(&lease, &Settlement::new(Next::RetryAt(now))).is_err());

        index.give_up(&plan);
        let plan = index.plan_settlement(&lease, &Settlement::new(Next::RetryAt(later))).unwrap();
        index.carry_out(plan);
        assert!(matches!(index.extend(&lease, minute), Err(QueueError::LeaseLost)));
        assert!(index.extend(&other, minute).is_ok(), "the lease of the other unit goes on");
        assert_eq!(index.claim(&who, later, &want, minute)[0].lease.unit, lease.unit);
    }
}
