//! Units as rows, both ways.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use bytes::BytesMut;
use hikyaku_queue::backend::{EnvelopeRecord, RcptRecord, Unit};
use hikyaku_queue::{Envelope, HoldReason, MsgId, QueueError, QueueKey, UnitId};
use hikyaku_wire::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

use crate::PostgresError;
use crate::database::bounded;
use crate::error::{Failure, describe};

/// It waits to be claimed.
pub(crate) const READY: i16 = 0;
/// A worker has it.
pub(crate) const LEASED: i16 = 1;
/// It waits for a person.
pub(crate) const HELD: i16 = 2;

/// Sixteen octets as the database's `uuid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Uuid(pub(crate) [u8; 16]);

impl From<MsgId> for Uuid {
    fn from(id: MsgId) -> Self {
        Self(*id.as_bytes())
    }
}

impl From<Uuid> for MsgId {
    fn from(uuid: Uuid) -> Self {
        Self::from_bytes(uuid.0)
    }
}

impl ToSql for Uuid {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    accepts!(UUID);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Uuid {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw.try_into()?))
    }

    accepts!(UUID);
}

/// A cell of a row.
pub(crate) fn cell<'a, T: FromSql<'a>>(row: &'a Row, at: usize) -> Result<T, Failure> {
    row.try_get(at).map_err(|error| Failure::Refused(describe(&error).into()))
}

/// A number that the database keeps in a wider type.
pub(crate) fn narrow<T, N: TryFrom<T>>(number: T) -> Result<N, Failure> {
    N::try_from(number).map_err(|_| PostgresError::Row("a number is out of range").into())
}

pub(crate) fn key(octets: &[u8]) -> Result<QueueKey, Failure> {
    let text = std::str::from_utf8(octets).map_err(|_| PostgresError::Row("a key is not UTF-8"))?;
    Ok(QueueKey::new(text))
}

/// The columns that [`Held::read`] reads, of the table `unit` as `u`.
pub(crate) const COLUMNS: &str = "u.msg, u.no, u.key, u.due, u.expires, u.hold, u.attempts, u.first_attempt, u.rcpts, \
                                  u.state, u.token, u.until, u.holder, u.past, u.asked, u.settled";
/// How many they are.
pub(crate) const WIDTH: usize = 16;

/// A unit as the database has it.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) id: UnitId,
    pub(crate) unit: Unit,
    pub(crate) state: i16,
    pub(crate) token: i64,
    pub(crate) until: Option<i64>,
    pub(crate) holder: Option<String>,
    pub(crate) past: bool,
    pub(crate) asked: Option<i64>,
    pub(crate) settled: i64,
}

impl Held {
    pub(crate) fn read(row: &Row) -> Result<Self, Failure> {
        let id = UnitId { msg: cell::<Uuid>(row, 0)?.into(), unit: narrow(cell::<i32>(row, 1)?)? };
        let damaged = |why| Failure::Refused(QueueError::Corrupt { id: id.msg, why });
        let rcpts: Vec<RcptRecord> =
            serde_json::from_str(cell(row, 8)?).map_err(|_| damaged("its recipients are not of this version"))?;
        let hold: Option<&[u8]> = cell(row, 5)?;
        let holder: Option<&[u8]> = cell(row, 12)?;
        let unit = Unit {
            key: key(cell(row, 2)?)?,
            due: Timestamp::from_millis(cell(row, 3)?),
            expires: Timestamp::from_millis(cell(row, 4)?),
            hold: hold.map(|why| HoldReason::new(String::from_utf8_lossy(why))),
            attempts: narrow(cell::<i64>(row, 6)?)?,
            first_attempt: cell::<Option<i64>>(row, 7)?.map(Timestamp::from_millis),
            rcpts: rcpts.iter().map(RcptRecord::read).collect::<Result<_, _>>().map_err(damaged)?,
        };
        Ok(Self {
            id,
            unit,
            state: cell(row, 9)?,
            token: cell(row, 10)?,
            until: cell(row, 11)?,
            holder: holder.map(|who| String::from_utf8_lossy(who).into_owned()),
            past: cell(row, 13)?,
            asked: cell(row, 14)?,
            settled: cell(row, 15)?,
        })
    }
}

/// The envelope of a message.
pub(crate) fn envelope(id: MsgId, text: &str) -> Result<Arc<Envelope>, Failure> {
    let damaged = |why| Failure::Refused(QueueError::Corrupt { id, why });
    let record: EnvelopeRecord =
        serde_json::from_str(text).map_err(|_| damaged("its envelope is not of this version"))?;
    Ok(Arc::new(record.read().map_err(damaged)?))
}

/// The envelope as it is kept.
pub(crate) fn envelope_text(envelope: &Envelope) -> Result<String, QueueError> {
    serde_json::to_string(&EnvelopeRecord::from(envelope))
        .map_err(|_| PostgresError::Row("the envelope cannot be written").into())
}

/// Rows of units to be written, column by column.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    msg: Vec<Uuid>,
    no: Vec<i32>,
    key: Vec<Vec<u8>>,
    due: Vec<i64>,
    expires: Vec<i64>,
    hold: Vec<Option<Vec<u8>>>,
    attempts: Vec<i64>,
    first: Vec<Option<i64>>,
    rcpts: Vec<String>,
    state: Vec<i16>,
    token: Vec<i64>,
    asked: Vec<Option<i64>>,
    settled: Vec<i64>,
}

impl Rows {
    pub(crate) fn len(&self) -> usize {
        self.msg.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.msg.is_empty()
    }

    /// A unit that is new, without a lease.
    pub(crate) fn push_new(&mut self, id: UnitId, unit: &Unit) -> Result<(), QueueError> {
        let state = if unit.hold.is_some() { HELD } else { READY };
        self.push(&Held {
            id,
            unit: unit.clone(),
            state,
            token: 0,
            until: None,
            holder: None,
            past: false,
            asked: None,
            settled: 0,
        })
    }

    /// A unit as it shall be.
    pub(crate) fn push(&mut self, held: &Held) -> Result<(), QueueError> {
        let unit = &held.unit;
        let rcpts: Vec<RcptRecord> = unit.rcpts.iter().map(RcptRecord::from).collect();
        let rcpts = serde_json::to_string(&rcpts).map_err(|_| PostgresError::Row("a recipient cannot be written"))?;
        self.msg.push(held.id.msg.into());
        self.no.push(held.id.unit.into());
        self.key.push(unit.key.as_str().into());
        self.due.push(unit.due.as_millis());
        self.expires.push(unit.expires.as_millis());
        self.hold.push(unit.hold.as_ref().map(|why| why.as_str().into()));
        self.attempts.push(unit.attempts.into());
        self.first.push(unit.first_attempt.map(Timestamp::as_millis));
        self.rcpts.push(rcpts);
        self.state.push(held.state);
        self.token.push(held.token);
        self.asked.push(held.asked);
        self.settled.push(held.settled);
        Ok(())
    }

    /// What [`INSERT`] takes.
    pub(crate) fn for_insert(&self) -> [&(dyn ToSql + Sync); 10] {
        [
            &self.msg,
            &self.no,
            &self.key,
            &self.due,
            &self.expires,
            &self.hold,
            &self.attempts,
            &self.first,
            &self.rcpts,
            &self.state,
        ]
    }

    /// What [`UPDATE`] takes.
    pub(crate) fn for_update(&self) -> [&(dyn ToSql + Sync); 13] {
        [
            &self.msg,
            &self.no,
            &self.key,
            &self.due,
            &self.expires,
            &self.hold,
            &self.attempts,
            &self.first,
            &self.rcpts,
            &self.state,
            &self.token,
            &self.asked,
            &self.settled,
        ]
    }
}

/// New units.
pub(crate) const INSERT: &str = "INSERT INTO unit (msg, no, key, due, expires, hold, attempts, first_attempt, rcpts, state) \
     SELECT * FROM unnest($1::uuid[], $2::int[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bytea[], $7::bigint[], \
     $8::bigint[], $9::text[], $10::smallint[])";

/// Units whose token is still this one; a lease that does not go on is taken away.
pub(crate) const UPDATE: &str = "UPDATE unit u SET key = v.key, due = v.due, expires = v.expires, hold = v.hold, \
     attempts = v.attempts, first_attempt = v.first, rcpts = v.rcpts, state = v.state, asked = v.asked, \
     settled = v.settled, until = CASE WHEN v.state = 1 THEN u.until END, \
     holder = CASE WHEN v.state = 1 THEN u.holder END, past = v.state = 1 AND u.past \
     FROM unnest($1::uuid[], $2::int[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bytea[], $7::bigint[], \
     $8::bigint[], $9::text[], $10::smallint[], $11::bigint[], $12::bigint[], $13::bigint[]) \
     v (msg, no, key, due, expires, hold, attempts, first, rcpts, state, token, asked, settled) \
     WHERE u.msg = v.msg AND u.no = v.no AND u.token = v.token";

/// Messages as far as their units are concerned, locked in the order of their ids.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numbers {
    pub(crate) next_unit: u16,
    pub(crate) live: i32,
    pub(crate) done: bool,
}

/// Locks messages; whatever changes which units there are does this first.
pub(crate) const LOCK_MESSAGES: &str =
    "SELECT id, next_unit, live, done IS NOT NULL FROM message WHERE id = ANY($1) ORDER BY id FOR UPDATE";

pub(crate) fn numbers(rows: &[Row]) -> Result<BTreeMap<MsgId, Numbers>, Failure> {
    let read = |row: &Row| {
        let numbers =
            Numbers { next_unit: narrow(cell::<i32>(row, 1)?)?, live: cell(row, 2)?, done: cell(row, 3)? };
        Ok((cell::<Uuid>(row, 0)?.into(), numbers))
    };
    rows.iter().map(read).collect()
}

/// When a unit that is neither held nor leased may be claimed.
pub(crate) fn ready_at(state: i16, unit: &Unit) -> Option<Timestamp> {
    (state == READY).then_some(unit.due)
}

/// The earlier one, if any.
pub(crate) fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    [a, b].into_iter().flatten().min()
}

/// A due time that a person asked for, as it is kept.
pub(crate) fn asked(due: Option<Timestamp>) -> Option<i64> {
    due.map(bounded)
}
