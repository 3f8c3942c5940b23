//! What people and tools do.

use std::sync::Arc;

use deadpool_postgres::Object;
use hikyaku_queue::backend::Acted;
use hikyaku_queue::{
    Action, Count, CountBy, Cursor, Entry, Filter, Gate, MsgId, Page, QueueKey, StateKind, UnitId, UnitState, WorkerId,
};
use hikyaku_wire::Timestamp;
use tokio_postgres::types::ToSql;

use crate::claim::earliest;
use crate::database::{Work, bounded};
use crate::error::Failure;
use crate::postgres::Shared;
use crate::settle::{Changes, lock, touch};
use crate::unit::{
    self, COLUMNS, HELD, Held, LEASED, READY, Uuid, WIDTH, asked, cell, earlier, envelope, key, narrow, ready_at,
};

type Result<T> = std::result::Result<T, Failure>;

/// So many units are read, or changed in one transaction, at once.
const PAGE: i64 = 500;

/// Reads one page of the units that may match: the filter's other fields are looked at here.
pub(crate) struct Candidates<'a> {
    pub(crate) filter: &'a Filter,
    pub(crate) after: Option<UnitId>,
}

impl Work for Candidates<'_> {
    /// The units that match, and where the next page begins.
    type Out = (Vec<Entry>, Option<UnitId>);

    async fn once(&mut self, client: &mut Object, _: bool) -> Result<Self::Out> {
        let filter = self.filter;
        let after = self.after.map_or((Uuid([0; 16]), -1), |id| (id.msg.into(), i32::from(id.unit)));
        let msg = filter.msg.map(Uuid::from);
        let key = filter.key.as_ref().map(|key| key.as_str().as_bytes());
        let state = filter.state.map(|state| match state {
            StateKind::Ready => READY,
            StateKind::Leased => LEASED,
            StateKind::Held => HELD,
        });
        let mut values: Vec<&(dyn ToSql + Sync)> = vec![&after.0, &after.1, &PAGE];
        let mut list = format!(
            "SELECT {COLUMNS}, m.envelope, m.size FROM unit u JOIN message m ON m.id = u.msg \
             WHERE (u.msg, u.no) > ($1, $2)"
        );
        let fields: [(&str, Option<&(dyn ToSql + Sync)>); 3] = [
            ("u.msg", msg.as_ref().map(|value| value as _)),
            ("u.key", key.as_ref().map(|value| value as _)),
            ("u.state", state.as_ref().map(|value| value as _)),
        ];
        for (column, value) in fields {
            if let Some(value) = value {
                values.push(value);
                list.push_str(&format!(" AND {column} = ${}", values.len()));
            }
        }
        list.push_str(" ORDER BY u.msg, u.no LIMIT $3");
        let statement = client.prepare_cached(&list).await?;
        let rows = client.query(&statement, &values).await?;
        let mut entries = Vec::new();
        let mut last = None;
        for row in &rows {
            let held = Held::read(row)?;
            last = Some(held.id);
            let entry = entry(held, cell(row, WIDTH)?, cell(row, WIDTH + 1)?)?;
            if filter.matches(&entry) {
                entries.push(entry);
            }
        }
        Ok((entries, last.filter(|_| rows.len() as i64 == PAGE)))
    }
}

fn entry(held: Held, text: &str, size: i64) -> Result<Entry> {
    let state = match (held.state, &held.unit.hold) {
        (LEASED, _) => UnitState::Leased {
            by: WorkerId::new(held.holder.unwrap_or_default()),
            expires: Timestamp::from_millis(held.until.unwrap_or_default()),
        },
        (_, Some(why)) => UnitState::Held(why.clone()),
        (_, None) => UnitState::Ready,
    };
    Ok(Entry::new(held.id, state, narrow(size)?, envelope(held.id.msg, text)?, held.unit))
}

/// The units that match, at most `max`.
pub(crate) async fn list(
    shared: &Shared,
    filter: &Filter,
    after: Option<Cursor>,
    max: usize,
) -> std::result::Result<Page, hikyaku_queue::QueueError> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut place = after.map(|cursor| cursor.0);
    loop {
        let (more, next) = shared.database.read(&mut Candidates { filter, after: place }).await?;
        for entry in more {
            if entries.len() == max {
                let next = entries.last().map(|last| Cursor(last.unit)).or(after);
                return Ok(Page { entries, next });
            }
            entries.push(entry);
        }
        match next {
            Some(next) => place = Some(next),
            None => return Ok(Page { entries, next: None }),
        }
    }
}

/// Does something to every unit that matches, page by page.
pub(crate) async fn apply(
    shared: Arc<Shared>,
    filter: Filter,
    action: Action,
) -> std::result::Result<u64, hikyaku_queue::QueueError> {
    let (mut met, mut place) = (0, None);
    loop {
        let (entries, next) = shared.database.read(&mut Candidates { filter: &filter, after: place }).await?;
        if !entries.is_empty() {
            let ids = entries.iter().map(|entry| entry.unit).collect();
            let mut apply = Apply { filter: &filter, action: &action, ids, met: 0 };
            let news = shared.database.write(&mut apply).await?;
            met += apply.met;
            if let Some(due) = news {
                shared.waiting.announce(due);
            }
        }
        match next {
            Some(next) => place = Some(next),
            None => return Ok(met),
        }
    }
}

/// Does something to these units, where they still match.
struct Apply<'a> {
    filter: &'a Filter,
    action: &'a Action,
    ids: Vec<UnitId>,
    met: u64,
}

impl Work for Apply<'_> {
    /// When the first unit that became ready is due.
    type Out = Option<Timestamp>;

    async fn once(&mut self, client: &mut Object, again: bool) -> Result<Option<Timestamp>> {
        let transaction = client.transaction().await?;
        let mut messages: Vec<Uuid> = self.ids.iter().map(|id| id.msg.into()).collect();
        messages.dedup();
        let statement = transaction.prepare_cached(unit::LOCK_MESSAGES).await?;
        let mut numbers = unit::numbers(&transaction.query(&statement, &[&messages]).await?)?;
        let statement = transaction.prepare_cached("SELECT id, envelope, size FROM message WHERE id = ANY($1)").await?;
        let rows = transaction.query(&statement, &[&messages]).await?;
        let mut texts = std::collections::BTreeMap::new();
        for row in &rows {
            texts.insert(MsgId::from(cell::<Uuid>(row, 0)?), (cell::<&str>(row, 1)?, cell::<i64>(row, 2)?));
        }
        let mut changes = Changes::default();
        let mut met = 0;
        for (id, held) in lock(&transaction, &self.ids).await? {
            let (Some((text, size)), Some(numbers)) = (texts.get(&id.msg), numbers.get_mut(&id.msg)) else { continue };
            if !self.filter.matches(&entry(held.clone(), text, *size)?) {
                continue;
            }
            match held.unit.act(self.action) {
                None => continue,
                Some(Acted::Removed) => {
                    changes.ends.push((id, held.token));
                    changes.messages.insert(id.msg);
                    numbers.live -= 1;
                }
                Some(Acted::Amended(unit, due)) => {
                    let state = match (held.state, &unit.hold) {
                        (LEASED, _) => LEASED,
                        (_, Some(_)) => HELD,
                        (_, None) => READY,
                    };
                    let asked = if state == LEASED { asked(due).or(held.asked) } else { None };
                    changes.news = earlier(changes.news, ready_at(state, &unit));
                    changes.updates.push(&Held { unit, state, asked, ..held })?;
                }
            }
            met += 1;
        }
        changes.write(&transaction, &numbers).await?;
        if again {
            touch(&transaction).await?;
        }
        transaction.commit().await?;
        // What an earlier try did, whose reply was lost, was counted by it.
        self.met = self.met.max(met);
        Ok(changes.news)
    }
}

/// Counts units by key and state.
pub(crate) struct Counts(pub(crate) CountBy);

impl Work for Counts {
    type Out = Vec<Count>;

    async fn once(&mut self, client: &mut Object, _: bool) -> Result<Vec<Count>> {
        let statement = client
            .prepare_cached(
                "SELECT key, count(*) FILTER (WHERE state = 0), count(*) FILTER (WHERE state = 1), \
                 count(*) FILTER (WHERE state = 2), min(msg::text) FROM unit GROUP BY key ORDER BY key",
            )
            .await?;
        let rows = client.query(&statement, &[]).await?;
        let each = rows.iter().map(|row| {
            Ok(Count {
                key: Some(key(cell(row, 0)?)?),
                ready: narrow(cell::<i64>(row, 1)?)?,
                leased: narrow(cell::<i64>(row, 2)?)?,
                held: narrow(cell::<i64>(row, 3)?)?,
                oldest: Some(made_at(cell(row, 4)?)?),
            })
        });
        let each = each.collect::<Result<Vec<_>>>()?;
        Ok(match self.0 {
            CountBy::Key => each,
            CountBy::All => {
                let none = Count { key: None, ready: 0, leased: 0, held: 0, oldest: None };
                vec![each.into_iter().fold(none, |sum, count| Count {
                    key: None,
                    ready: sum.ready + count.ready,
                    leased: sum.leased + count.leased,
                    held: sum.held + count.held,
                    oldest: earlier(sum.oldest, count.oldest),
                })]
            }
        })
    }
}

/// When the message was made whose id, as the database prints it, this is.
fn made_at(uuid: &str) -> Result<Timestamp> {
    let digits: String = uuid.chars().filter(|digit| *digit != '-').collect();
    let number = u128::from_str_radix(&digits, 16).map_err(|_| crate::PostgresError::Row("an id is not one"))?;
    Ok(MsgId::from_bytes(number.to_be_bytes()).timestamp())
}

/// Opens or closes a key; says when it has work, if it may be claimed.
pub(crate) struct SetGate {
    pub(crate) key: QueueKey,
    pub(crate) gate: Gate,
}

impl Work for SetGate {
    type Out = Option<Timestamp>;

    async fn once(&mut self, client: &mut Object, again: bool) -> Result<Option<Timestamp>> {
        let name = self.key.as_str().as_bytes();
        let transaction = client.transaction().await?;
        let not_before = match self.gate {
            Gate::Open => {
                let statement = transaction.prepare_cached("DELETE FROM gate WHERE key = $1").await?;
                transaction.execute(&statement, &[&name]).await?;
                None
            }
            Gate::NotBefore(from) => Some(Some(bounded(from))),
            Gate::Paused => Some(None),
        };
        if let Some(not_before) = not_before {
            let statement = transaction
                .prepare_cached(
                    "INSERT INTO gate (key, not_before) VALUES ($1, $2) \
                     ON CONFLICT (key) DO UPDATE SET not_before = excluded.not_before",
                )
                .await?;
            transaction.execute(&statement, &[&name, &not_before]).await?;
        }
        if again {
            touch(&transaction).await?;
        }
        transaction.commit().await?;
        earliest(client, &self.key).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_an_id() {
        let id = MsgId::new(Timestamp::from_millis(0x0123_4567_89ab), [7; 10]);
        assert_eq!(made_at("01234567-89ab-7707-8707-070707070707").unwrap(), id.timestamp());
        assert!(made_at("x").is_err());
    }
}
