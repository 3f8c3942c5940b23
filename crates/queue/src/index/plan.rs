//! Changes before they are true: settlements and what people ask for.

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
    /// Draws up a settlement.
    pub(crate) fn plan_settlement(&self, lease: &Lease, settlement: &Settlement) -> Result<Plan> {
        let live = self.current(lease)?;
        let (past, asked) = (live.expired, live.asked);
        let message = self.messages.get(&lease.unit.msg).ok_or(QueueError::LeaseLost)?;
        let slot = message.slots.get(&lease.unit.unit).ok_or(QueueError::LeaseLost)?;
        let Settling { outcome, .. } = slot.unit.settle(settlement, past, asked)?;
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
        Ok(Plan { msg: lease.unit.msg, changes, next_unit, settles, message_done })
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
        Some((Plan { msg, changes, next_unit, settles: None, message_done }, met))
    }

    /// Makes a plan true.
    pub(crate) fn carry_out(&mut self, plan: Plan) {
        for (number, change) in plan.changes {
            let id = UnitId { msg: plan.msg, unit: number };
            self.unlink(id);
            let Some(message) = self.messages.get_mut(&plan.msg) else { return };
            match change {
                Change::Settle(unit) => {
                    message.slots.insert(number, Slot { unit, live: None });
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
}

/// Whether the changes leave no unit of the message.
fn ends(message: &Message, changes: &[(u16, Change)]) -> bool {
    let dropped =
        |number: u16| changes.iter().any(|(other, change)| *other == number && matches!(change, Change::Drop));
    let added = changes.iter().any(|(_, change)| !matches!(change, Change::Drop));
    !added && message.slots.keys().all(|&number| dropped(number))
}
