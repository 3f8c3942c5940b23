//! A unit of a message, and what becomes of it by a settlement or by what a person asks for.
//!
//! Nothing here knows of leases or of storage: every back-end decides by the same functions.

use std::collections::BTreeMap;

use hikyaku_wire::{ForwardPath, Timestamp};

use crate::{Action, HoldReason, NewRcpt, NewUnit, Next, QueueError, QueueKey, Rcpt, RcptNo, RcptState, Settlement};

type Result<T> = std::result::Result<T, QueueError>;

/// What must survive of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Where it goes.
    pub key: QueueKey,
    /// When it may be claimed next.
    pub due: Timestamp,
    /// When it is given up.
    pub expires: Timestamp,
    /// Why it is held, if it is.
    pub hold: Option<HoldReason>,
    /// How many attempts were settled.
    pub attempts: u32,
    /// When the first of them was.
    pub first_attempt: Option<Timestamp>,
    /// Its recipients, final ones too.
    pub rcpts: Vec<Rcpt>,
}

/// What a settlement makes of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settling {
    /// What becomes of the unit.
    pub outcome: Outcome,
    /// A recipient became final, or the unit is gone or held: a crash must not undo it.
    pub must_sync: bool,
}

/// What becomes of a settled unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It goes on as this.
    Stays(Unit),
    /// It is gone; these, if any, take its place under new numbers.
    Ends(Vec<Unit>),
}

/// What an action makes of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acted {
    /// It becomes this. If it is leased, the lease goes on, and the due time that was asked for, if
    /// any, takes effect when the lease ends.
    Amended(Unit, Option<Timestamp>),
    /// It is gone, its lease too.
    Removed,
}

impl Unit {
    /// The unit as it enters the queue.
    ///
    /// # Errors
    /// `Invalid` without recipients.
    pub fn new(new: NewUnit) -> Result<Self> {
        if new.rcpts.is_empty() {
            return Err(QueueError::Invalid("a unit needs a recipient"));
        }
        let number = |(no, rcpt): (usize, NewRcpt)| {
            let no = u32::try_from(no).map_err(|_| QueueError::Invalid("too many recipients"))?;
            Ok(Rcpt::new(RcptNo(no), rcpt))
        };
        Ok(Self {
            due: new.due.min(new.expires),
            key: new.key,
            expires: new.expires,
            hold: new.hold,
            attempts: 0,
            first_attempt: None,
            rcpts: new.rcpts.into_iter().enumerate().map(number).collect::<Result<_>>()?,
        })
    }

    /// The recipients that are still open.
    pub fn open(&self) -> impl Iterator<Item = &Rcpt> {
        self.rcpts.iter().filter(|rcpt| !rcpt.state.is_final())
    }

    /// What a settlement makes of the unit. `past` says whether it was claimed past its expiry,
    /// `asked` is the due time that a person asked for while it was leased.
    ///
    /// # Errors
    /// `Invalid` as [`Queue::settle`](crate::Queue::settle) says.
    pub fn settle(&self, settlement: &Settlement, past: bool, asked: Option<Timestamp>) -> Result<Settling> {
        let mut unit = self.clone();
        let any_final = unit.record(&settlement.results)?;
        if unit.open().next().is_none() {
            return Ok(Settling { outcome: Outcome::Ends(Vec::new()), must_sync: true });
        }
        match &settlement.next {
            Next::Finish => Err(QueueError::Invalid("a unit with open recipients cannot be finished")),
            Next::RetryAt(at) => {
                let at = asked.unwrap_or(*at);
                // A unit that was to be given up and was not must not come back at once, over and over.
                unit.due = if past { at } else { at.min(unit.expires) };
                Ok(Settling { outcome: Outcome::Stays(unit), must_sync: any_final })
            }
            Next::Hold(why) => {
                unit.hold = Some(why.clone());
                Ok(Settling { outcome: Outcome::Stays(unit), must_sync: true })
            }
            Next::Split(parts) => Ok(Settling { outcome: Outcome::Ends(unit.split(parts)?), must_sync: true }),
        }
    }

    /// What an action makes of the unit; none if it changes nothing.
    pub fn act(&self, action: &Action) -> Option<Acted> {
        let mut unit = self.clone();
        let mut asked = None;
        match action {
            Action::Hold(why) if unit.hold.is_none() => unit.hold = Some(why.clone()),
            Action::Release(due) if unit.hold.is_some() => {
                unit.hold = None;
                unit.due = *due;
                asked = Some(*due);
            }
            Action::Retry(due) if unit.hold.is_none() => {
                unit.due = *due;
                asked = Some(*due);
            }
            Action::Rekey(key) => unit.key = key.clone(),
            Action::Remove => return Some(Acted::Removed),
            Action::Hold(_) | Action::Release(_) | Action::Retry(_) => return None,
        }
        Some(Acted::Amended(unit, asked))
    }

    /// Enters results; says whether any is final.
    fn record(&mut self, results: &[(RcptNo, RcptState)]) -> Result<bool> {
        let mut any_final = false;
        for (no, state) in results {
            let rcpt = self.rcpts.iter_mut().find(|rcpt| rcpt.no == *no);
            let rcpt = rcpt.ok_or(QueueError::Invalid("no recipient has this number"))?;
            if rcpt.state.is_final() {
                return Err(QueueError::Invalid("the recipient is final already"));
            }
            any_final |= state.is_final();
            rcpt.state = state.clone();
        }
        if !results.is_empty() {
            self.attempts = self.attempts.saturating_add(1);
            let first = results.iter().filter_map(|(_, state)| state.attempt()).map(|attempt| attempt.when).min();
            self.first_attempt = self.first_attempt.or(first);
        }
        Ok(any_final)
    }

    /// The units that take its place; each open recipient takes along its state and what was asked for it.
    fn split(&self, parts: &[NewUnit]) -> Result<Vec<Self>> {
        let mut open: BTreeMap<&ForwardPath, &Rcpt> = self.open().map(|rcpt| (&rcpt.addr, rcpt)).collect();
        let mut units = Vec::new();
        for part in parts {
            let mut part = Self::new(part.clone())?;
            part.hold = part.hold.or_else(|| self.hold.clone());
            for rcpt in &mut part.rcpts {
                if let Some(old) = open.remove(&rcpt.addr) {
                    *rcpt = Rcpt { no: rcpt.no, ..old.clone() };
                }
            }
            units.push(part);
        }
        match open.is_empty() {
            true => Ok(units),
            false => Err(QueueError::Invalid("an open recipient is in none of the new units")),
        }
    }
}
