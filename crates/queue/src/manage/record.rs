//! How what people ask of a queue, and what they see of it, is written down: serde types, of which
//! JSON is the form in mind. Unknown keys and values are a fault.

use hikyaku_wire::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Action, Count, Cursor, Entry, Filter, Gate, Page, StateKind, UnitState};
use crate::record::{EnvelopeRecord, Fault, UnitRecord};
use crate::unit::Unit;
use crate::{HoldReason, QueueKey, WorkerId};

/// A [`Filter`] as it is written down.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FilterRecord {
    #[serde(skip_serializing_if = "Option::is_none")]
    msg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<StateWord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender_domain: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rcpt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rcpt_domain: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    received_from: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    received_before: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StateWord {
    Ready,
    Leased,
    Held,
}

/// An [`Action`] as it is written down; times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionRecord {
    /// [`Action::Hold`] and why.
    Hold(String),
    /// [`Action::Release`] and when.
    Release(i64),
    /// [`Action::Retry`] and when.
    Retry(i64),
    /// [`Action::Rekey`] and the key.
    Rekey(String),
    /// [`Action::Remove`].
    Remove,
}

/// A [`Gate`] as it is written down; times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateRecord {
    /// [`Gate::Open`].
    Open,
    /// [`Gate::NotBefore`] and when.
    NotBefore(i64),
    /// [`Gate::Paused`].
    Paused,
}

/// An [`Entry`] as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryRecord {
    id: String,
    size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    leased: Option<LeaseRecord>,
    envelope: EnvelopeRecord,
    unit: UnitRecord,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LeaseRecord {
    by: String,
    expires: i64,
}

/// A [`Page`] as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageRecord {
    entries: Vec<EntryRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A [`Count`] as it is written down; times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    ready: u64,
    leased: u64,
    held: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    oldest: Option<i64>,
}

impl From<&Filter> for FilterRecord {
    fn from(filter: &Filter) -> Self {
        Self {
            msg: filter.msg.map(|msg| msg.to_string()),
            unit: filter.unit,
            key: filter.key.as_ref().map(|key| key.as_str().to_owned()),
            state: filter.state.map(|state| match state {
                StateKind::Ready => StateWord::Ready,
                StateKind::Leased => StateWord::Leased,
                StateKind::Held => StateWord::Held,
            }),
            sender: filter.sender.as_ref().map(|sender| sender.to_string()),
            sender_domain: filter.sender_domain.as_ref().map(|domain| domain.to_string()),
            rcpt: filter.rcpt.as_ref().map(|rcpt| rcpt.to_string()),
            rcpt_domain: filter.rcpt_domain.as_ref().map(|domain| domain.to_string()),
            user: filter.user.clone(),
            received_from: filter.received_from.map(Timestamp::as_millis),
            received_before: filter.received_before.map(Timestamp::as_millis),
        }
    }
}

impl FilterRecord {
    /// The filter.
    ///
    /// # Errors
    /// What is not an id, a path or a domain.
    pub fn read(&self) -> Result<Filter, Fault> {
        fn read<T: std::str::FromStr>(text: Option<&String>, fault: Fault) -> Result<Option<T>, Fault> {
            text.map(|text| text.parse().map_err(|_| fault)).transpose()
        }
        Ok(Filter {
            msg: read(self.msg.as_ref(), "the message's id is not one")?,
            unit: self.unit,
            key: self.key.as_deref().map(QueueKey::new),
            state: self.state.map(|state| match state {
                StateWord::Ready => StateKind::Ready,
                StateWord::Leased => StateKind::Leased,
                StateWord::Held => StateKind::Held,
            }),
            sender: read(self.sender.as_ref(), "the sender is not a path")?,
            sender_domain: read(self.sender_domain.as_ref(), "the sender's domain is not one")?,
            rcpt: read(self.rcpt.as_ref(), "the recipient is not a path")?,
            rcpt_domain: read(self.rcpt_domain.as_ref(), "the recipient's domain is not one")?,
            user: self.user.clone(),
            received_from: self.received_from.map(Timestamp::from_millis),
            received_before: self.received_before.map(Timestamp::from_millis),
        })
    }
}

impl From<&Action> for ActionRecord {
    fn from(action: &Action) -> Self {
        match action {
            Action::Hold(why) => Self::Hold(why.as_str().to_owned()),
            Action::Release(due) => Self::Release(due.as_millis()),
            Action::Retry(due) => Self::Retry(due.as_millis()),
            Action::Rekey(key) => Self::Rekey(key.as_str().to_owned()),
            Action::Remove => Self::Remove,
        }
    }
}

impl ActionRecord {
    /// The action.
    pub fn read(&self) -> Action {
        match self {
            Self::Hold(why) => Action::Hold(HoldReason::new(why.as_str())),
            Self::Release(due) => Action::Release(Timestamp::from_millis(*due)),
            Self::Retry(due) => Action::Retry(Timestamp::from_millis(*due)),
            Self::Rekey(key) => Action::Rekey(QueueKey::new(key.as_str())),
            Self::Remove => Action::Remove,
        }
    }
}

impl From<Gate> for GateRecord {
    fn from(gate: Gate) -> Self {
        match gate {
            Gate::Open => Self::Open,
            Gate::NotBefore(at) => Self::NotBefore(at.as_millis()),
            Gate::Paused => Self::Paused,
        }
    }
}

impl GateRecord {
    /// The gate.
    pub fn read(&self) -> Gate {
        match self {
            Self::Open => Gate::Open,
            Self::NotBefore(at) => Gate::NotBefore(Timestamp::from_millis(*at)),
            Self::Paused => Gate::Paused,
        }
    }
}

impl From<&Entry> for EntryRecord {
    fn from(entry: &Entry) -> Self {
        let (leased, hold) = match &entry.state {
            UnitState::Ready => (None, None),
            UnitState::Leased { by, expires } => {
                (Some(LeaseRecord { by: by.as_str().to_owned(), expires: expires.as_millis() }), None)
            }
            UnitState::Held(why) => (None, Some(why.clone())),
        };
        let unit = Unit {
            key: entry.key.clone(),
            due: entry.due,
            expires: entry.expires,
            hold,
            attempts: entry.attempts,
            first_attempt: None,
            rcpts: entry.rcpts.clone(),
        };
        Self {
            id: entry.unit.to_string(),
            size: entry.size,
            leased,
            envelope: EnvelopeRecord::from(&*entry.envelope),
            unit: UnitRecord::from(&unit),
        }
    }
}

impl EntryRecord {
    /// The entry.
    ///
    /// # Errors
    /// What is not an id, and what [`EnvelopeRecord::read`] and [`UnitRecord::read`] find; a unit
    /// that is held and leased.
    pub fn read(&self) -> Result<Entry, Fault> {
        let unit = self.unit.read()?;
        let state = match (&self.leased, unit.hold) {
            (None, None) => UnitState::Ready,
            (None, Some(why)) => UnitState::Held(why),
            (Some(lease), None) => UnitState::Leased {
                by: WorkerId::new(lease.by.as_str()),
                expires: Timestamp::from_millis(lease.expires),
            },
            (Some(_), Some(_)) => return Err("a unit is both held and leased"),
        };
        Ok(Entry {
            unit: self.id.parse().map_err(|_| "a unit's id is not one")?,
            key: unit.key,
            state,
            due: unit.due,
            expires: unit.expires,
            attempts: unit.attempts,
            size: self.size,
            envelope: self.envelope.read()?.into(),
            rcpts: unit.rcpts,
        })
    }
}

impl From<&Page> for PageRecord {
    fn from(page: &Page) -> Self {
        let next = page.next.map(|cursor| cursor.0.to_string());
        Self { entries: page.entries.iter().map(EntryRecord::from).collect(), next }
    }
}

impl PageRecord {
    /// The page.
    ///
    /// # Errors
    /// A place that is no id, and what [`EntryRecord::read`] finds.
    pub fn read(&self) -> Result<Page, Fault> {
        let next = self.next.as_ref().map(|next| next.parse().map(Cursor)).transpose();
        Ok(Page {
            entries: self.entries.iter().map(EntryRecord::read).collect::<Result<_, _>>()?,
            next: next.map_err(|_| "where the next page begins is not an id")?,
        })
    }
}

impl From<&Count> for CountRecord {
    fn from(count: &Count) -> Self {
        Self {
            key: count.key.as_ref().map(|key| key.as_str().to_owned()),
            ready: count.ready,
            leased: count.leased,
            held: count.held,
            oldest: count.oldest.map(Timestamp::as_millis),
        }
    }
}

impl CountRecord {
    /// The count.
    pub fn read(&self) -> Count {
        Count {
            key: self.key.as_deref().map(QueueKey::new),
            ready: self.ready,
            leased: self.leased,
            held: self.held,
            oldest: self.oldest.map(Timestamp::from_millis),
        }
    }
}

#[cfg(test)]
mod tests {
    use hikyaku_wire::Reply;

    use super::*;
    use crate::{Attempt, Envelope, MsgId, Rcpt, RcptNo, RcptState, UnitId};

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn through<T: Serialize + serde::de::DeserializeOwned>(record: &T) -> T {
        serde_json::from_slice(&serde_json::to_vec(record).unwrap()).unwrap()
    }

    #[test]
    fn filters_and_actions_come_back() {
        let full = Filter {
            msg: Some(MsgId::from_bytes([7; 16])),
            unit: Some(3),
            key: Some(QueueKey::new("mx:a.test")),
            state: Some(StateKind::Held),
            sender: Some("<\"a b\"@c.test>".parse().unwrap()),
            sender_domain: Some("c.test".parse().unwrap()),
            rcpt: Some("<d@e.test>".parse().unwrap()),
            rcpt_domain: Some("e.test".parse().unwrap()),
            user: Some("u\u{1b}".to_owned()),
            received_from: Some(at(1)),
            received_before: Some(at(-2)),
        };
        for state in [StateKind::Ready, StateKind::Leased, StateKind::Held] {
            let filter = Filter { state: Some(state), ..full.clone() };
            assert_eq!(through(&FilterRecord::from(&filter)).read(), Ok(filter));
        }
        assert_eq!(serde_json::to_string(&FilterRecord::from(&Filter::all())).unwrap(), "{}");
        assert_eq!(serde_json::from_str::<FilterRecord>("{}").unwrap().read(), Ok(Filter::all()));
        for wrong in [r#"{"mgs":"x"}"#, r#"{"state":"gone"}"#, r#"{"unit":65536}"#] {
            assert!(serde_json::from_str::<FilterRecord>(wrong).is_err(), "{wrong}");
        }
        for wrong in [r#"{"msg":"x"}"#, r#"{"sender":"a@b"}"#, r#"{"rcpt_domain":""}"#] {
            assert!(serde_json::from_str::<FilterRecord>(wrong).unwrap().read().is_err(), "{wrong}");
        }
        let actions = [
            Action::Hold(HoldReason::new("why")),
            Action::Release(at(1)),
            Action::Retry(at(2)),
            Action::Rekey(QueueKey::new("k")),
            Action::Remove,
        ];
        for action in actions {
            assert_eq!(through(&ActionRecord::from(&action)).read(), action);
        }
        for gate in [Gate::Open, Gate::NotBefore(at(9)), Gate::Paused] {
            assert_eq!(through(&GateRecord::from(gate)).read(), gate);
        }
    }

    #[test]
    fn pages_and_counts_come_back() {
        let mut envelope = Envelope::new("<a@b.test>".parse().unwrap(), at(5));
        envelope.smtputf8 = true;
        let reply = Reply::LOCAL_ERROR_451;
        let entry = |state| Entry {
            unit: UnitId { msg: MsgId::from_bytes([1; 16]), unit: 2 },
            key: QueueKey::new("k"),
            state,
            due: at(6),
            expires: at(7),
            attempts: 8,
            size: u64::MAX,
            envelope: envelope.clone().into(),
            rcpts: vec![Rcpt {
                no: RcptNo(0),
                addr: "<c@d.test>".parse().unwrap(),
                notify: None,
                orcpt: None,
                state: RcptState::Deferred(Attempt::new(at(9), reply.clone())),
            }],
        };
        let leased = UnitState::Leased { by: WorkerId::new("w"), expires: at(10) };
        let entries = vec![entry(UnitState::Ready), entry(leased), entry(UnitState::Held(HoldReason::new("h")))];
        let page = Page { next: Some(Cursor(entries[0].unit)), entries };
        let record = PageRecord::from(&page);
        assert_eq!(through(&record).read(), Ok(page));
        let mut both = record.entries[1].clone();
        both.unit = record.entries[2].unit.clone();
        assert!(both.read().is_err());
        both.id = "x".to_owned();
        assert!(PageRecord { next: Some("x".to_owned()), entries: Vec::new() }.read().is_err());
        let count = Count { key: Some(QueueKey::new("k")), ready: 1, leased: 2, held: 3, oldest: Some(at(4)) };
        for count in [count, Count { key: None, ready: 0, leased: 0, held: 0, oldest: None }] {
            assert_eq!(through(&CountRecord::from(&count)).read(), count);
        }
    }
}
