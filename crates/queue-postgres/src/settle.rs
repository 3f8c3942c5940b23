//! Settlements, gathered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use deadpool_postgres::{Object, Transaction};
use hikyaku_queue::backend::Outcome;
use hikyaku_queue::{Lease, MsgId, Next, QueueError, RcptNo, RcptState, Settled, Settlement, UnitId};
use hikyaku_wire::Timestamp;
use tokio::sync::oneshot;

use crate::PostgresError;
use crate::database::Work;
use crate::error::Failure;
use crate::postgres::Shared;
use crate::text::{self, Message, Messages};
use crate::unit::{self, COLUMNS, HELD, Held, LEASED, Numbers, READY, Rows, Uuid, cell, earlier, narrow, ready_at};

type Answer = Result<Settled, QueueError>;

/// A settlement that somebody waits for.
pub(crate) struct Settle {
    pub(crate) lease: Lease,
    pub(crate) results: Vec<(RcptNo, RcptState)>,
    pub(crate) next: Next,
    pub(crate) follow_up: Vec<Message>,
    pub(crate) reply: oneshot::Sender<Answer>,
}

/// Carries out a group.
pub(crate) async fn carry_out(shared: Arc<Shared>, settles: Vec<Settle>) {
    let mut group = Group { settles, news: None };
    match shared.database.write(&mut group).await {
        Ok(answers) => group.reply(&shared, answers),
        // One of them may be what the database refuses: the others shall not suffer for it.
        Err(QueueError::Backend(_)) if group.settles.len() > 1 && shared.works() => {
            for settle in group.settles {
                let mut single = Group { settles: vec![settle], news: None };
                match shared.database.write(&mut single).await {
                    Ok(answers) => single.reply(&shared, answers),
                    Err(error) => single.reply(&shared, vec![Err(error)]),
                }
            }
        }
        Err(error) => {
            let answers = group.settles.iter().map(|_| Err(error.clone())).collect();
            group.reply(&shared, answers);
        }
    }
}

struct Group {
    settles: Vec<Settle>,
    /// When the first of the units that became ready is due.
    news: Option<Timestamp>,
}

impl Group {
    fn reply(self, shared: &Shared, answers: Vec<Answer>) {
        for (settle, answer) in self.settles.into_iter().zip(answers) {
            if answer.is_ok() {
                settle.follow_up.into_iter().for_each(Message::keep);
            }
            let _ = settle.reply.send(answer);
        }
        if let Some(due) = self.news {
            shared.waiting.announce(due);
        }
    }
}

impl Work for Group {
    type Out = Vec<Answer>;

    async fn once(&mut self, client: &mut Object, again: bool) -> Result<Vec<Answer>, Failure> {
        let transaction = client.transaction().await?;
        let mut found = Found::read(&transaction, &self.settles, again).await?;
        let mut changes = Changes::default();
        let mut answers = Vec::with_capacity(self.settles.len());
        for settle in &self.settles {
            answers.push(found.settle(settle, &mut changes)?);
        }
        changes.write(&transaction, &found.numbers).await?;
        if again {
            touch(&transaction).await?;
        }
        transaction.commit().await?;
        self.news = changes.news;
        Ok(answers)
    }
}

/// What the database has of the units that are settled.
struct Found {
    numbers: BTreeMap<MsgId, Numbers>,
    units: BTreeMap<UnitId, Held>,
    /// Units that ended, with the token under which they did; only read where a try is repeated.
    ended: BTreeMap<UnitId, i64>,
    /// Follow-ups that are in the queue already.
    there: BTreeSet<MsgId>,
    /// Texts of follow-ups that are not whole any more.
    lost: Vec<Uuid>,
    again: bool,
}

impl Found {
    async fn read(transaction: &Transaction<'_>, settles: &[Settle], again: bool) -> Result<Self, Failure> {
        let ids: Vec<UnitId> = settles.iter().map(|settle| settle.lease.unit).collect();
        let mut messages: Vec<Uuid> = ids.iter().map(|id| id.msg.into()).collect();
        messages.sort_unstable();
        messages.dedup();
        let statement = transaction.prepare_cached(unit::LOCK_MESSAGES).await?;
        let numbers = unit::numbers(&transaction.query(&statement, &[&messages]).await?)?;
        let units = lock(transaction, &ids).await?;
        let mut ended = BTreeMap::new();
        if again {
            let statement =
                transaction.prepare_cached("SELECT msg, no, token FROM ended WHERE msg = ANY($1)").await?;
            for row in transaction.query(&statement, &[&messages]).await? {
                let id = UnitId { msg: cell::<Uuid>(&row, 0)?.into(), unit: narrow(cell::<i32>(&row, 1)?)? };
                ended.insert(id, cell(&row, 2)?);
            }
        }
        let follow_up = || settles.iter().flat_map(|settle| &settle.follow_up);
        let follow: Vec<Uuid> = follow_up().map(|message| message.id.into()).collect();
        let (mut there, mut lost) = (BTreeSet::new(), Vec::new());
        if !follow.is_empty() {
            let statement = transaction.prepare_cached("SELECT id FROM message WHERE id = ANY($1)").await?;
            for row in transaction.query(&statement, &[&follow]).await? {
                there.insert(cell::<Uuid>(&row, 0)?.into());
            }
            lost = text::take(transaction, follow_up()).await?;
        }
        Ok(Self { numbers, units, ended, there, lost, again })
    }

    /// What becomes of one settlement; the next one of the group sees it.
    fn settle<'a>(&mut self, settle: &'a Settle, changes: &mut Changes<'a>) -> Result<Answer, Failure> {
        let id = settle.lease.unit;
        let token = narrow::<_, i64>(settle.lease.token.as_u64())?;
        let current = self.units.get(&id).filter(|held| held.state == LEASED && held.token == token);
        let (Some(held), Some(numbers)) = (current, self.numbers.get(&id.msg).copied()) else {
            // A try whose reply was lost may have been this very one. A token is settled once.
            return Ok(match (self.units.get(&id), self.ended.get(&id)) {
                (Some(held), _) if self.again && held.settled == token => {
                    Ok(Settled { unit_done: false, message_done: false })
                }
                (None, Some(&ended)) if ended == token => {
                    let message_done = self.numbers.get(&id.msg).is_none_or(|numbers| numbers.done);
                    Ok(Settled { unit_done: true, message_done })
                }
                _ => Err(QueueError::LeaseLost),
            });
        };
        if let Some(follow) = settle.follow_up.iter().find(|follow| self.there.contains(&follow.id)) {
            return Ok(Err(QueueError::Duplicate(follow.id)));
        }
        let is_lost = |follow: &Message| follow.spill().is_some_and(|spill| self.lost.contains(&spill.id));
        if settle.follow_up.iter().any(is_lost) {
            return Ok(Err(text::lost()));
        }
        let asked = held.asked.map(Timestamp::from_millis);
        let settlement = Settlement { results: settle.results.clone(), ..Settlement::new(settle.next.clone()) };
        let settling = match held.unit.settle(&settlement, held.past, asked) {
            Ok(settling) => settling,
            Err(error) => return Ok(Err(error)),
        };
        let mut numbers = numbers;
        let unit_done = matches!(settling.outcome, Outcome::Ends(_));
        match settling.outcome {
            Outcome::Stays(unit) => {
                let state = if unit.hold.is_some() { HELD } else { READY };
                let held = Held { unit, state, asked: None, settled: token, ..held.clone() };
                changes.news = earlier(changes.news, ready_at(state, &held.unit));
                changes.updates.push(&held)?;
                self.units.insert(id, held);
            }
            Outcome::Ends(parts) => {
                let Some(next) = u16::try_from(parts.len()).ok().and_then(|more| numbers.next_unit.checked_add(more))
                else {
                    return Ok(Err(QueueError::Invalid("too many units")));
                };
                for (number, part) in (numbers.next_unit..next).zip(&parts) {
                    changes.news = earlier(changes.news, part.hold.is_none().then_some(part.due));
                    changes.inserts.push_new(UnitId { msg: id.msg, unit: number }, part)?;
                }
                numbers.live += narrow::<_, i32>(parts.len())? - 1;
                numbers.next_unit = next;
                numbers.done = numbers.live <= 0;
                changes.ends.push((id, token));
                changes.messages.insert(id.msg);
                self.units.remove(&id);
                self.numbers.insert(id.msg, numbers);
            }
        }
        for follow in &settle.follow_up {
            self.there.insert(follow.id);
            changes.follow_up(follow)?;
        }
        Ok(Ok(Settled { unit_done, message_done: unit_done && numbers.done }))
    }
}

/// Locks units in the order of their ids.
pub(crate) async fn lock(
    transaction: &Transaction<'_>,
    ids: &[UnitId],
) -> Result<BTreeMap<UnitId, Held>, Failure> {
    let (messages, numbers) = columns(ids);
    let lock = format!(
        "SELECT {COLUMNS} FROM unit u JOIN (SELECT DISTINCT msg, no FROM unnest($1::uuid[], $2::int[]) x (msg, no)) v \
         ON u.msg = v.msg AND u.no = v.no ORDER BY u.msg, u.no FOR UPDATE OF u"
    );
    let statement = transaction.prepare_cached(&lock).await?;
    let rows = transaction.query(&statement, &[&messages, &numbers]).await?;
    rows.iter().map(|row| Held::read(row).map(|held| (held.id, held))).collect()
}

fn columns(ids: &[UnitId]) -> (Vec<Uuid>, Vec<i32>) {
    ids.iter().map(|id| (Uuid::from(id.msg), i32::from(id.unit))).unzip()
}

/// What a transaction changes.
#[derive(Default)]
pub(crate) struct Changes<'a> {
    pub(crate) updates: Rows,
    pub(crate) inserts: Rows,
    /// Units that end, with the token that must still be theirs.
    pub(crate) ends: Vec<(UnitId, i64)>,
    /// Messages whose numbers changed.
    pub(crate) messages: BTreeSet<MsgId>,
    follow_up: Messages<'a>,
    pub(crate) news: Option<Timestamp>,
}

impl<'a> Changes<'a> {
    fn follow_up(&mut self, message: &'a Message) -> Result<(), Failure> {
        for (number, unit) in (0..).zip(&message.units) {
            self.news = earlier(self.news, unit.hold.is_none().then_some(unit.due));
            self.inserts.push_new(UnitId { msg: message.id, unit: number }, unit)?;
        }
        self.follow_up.push(message)
    }

    /// Writes it all; every row must still have the token that it was locked with.
    pub(crate) async fn write(
        &self,
        transaction: &Transaction<'_>,
        numbers: &BTreeMap<MsgId, Numbers>,
    ) -> Result<(), Failure> {
        let moved = || Failure::Again(PostgresError::Row("a unit changed while it was locked"));
        if !self.updates.is_empty() {
            let statement = transaction.prepare_cached(unit::UPDATE).await?;
            let count = transaction.execute(&statement, &self.updates.for_update()).await?;
            if count != self.updates.len() as u64 {
                return Err(moved());
            }
        }
        if !self.ends.is_empty() {
            let ids: Vec<UnitId> = self.ends.iter().map(|(id, _)| *id).collect();
            let tokens: Vec<i64> = self.ends.iter().map(|(_, token)| *token).collect();
            let (messages, nos) = columns(&ids);
            let statement = transaction
                .prepare_cached(
                    "WITH d AS (DELETE FROM unit u USING unnest($1::uuid[], $2::int[], $3::bigint[]) v (msg, no, token) \
                     WHERE u.msg = v.msg AND u.no = v.no AND u.token = v.token RETURNING u.msg, u.no, u.token) \
                     INSERT INTO ended (msg, no, token) SELECT msg, no, token FROM d",
                )
                .await?;
            if transaction.execute(&statement, &[&messages, &nos, &tokens]).await? != ids.len() as u64 {
                return Err(moved());
            }
        }
        if !self.messages.is_empty() {
            let changed = || self.messages.iter().filter_map(|id| Some((id, numbers.get(id)?)));
            let ids: Vec<Uuid> = changed().map(|(id, _)| (*id).into()).collect();
            let next: Vec<i32> = changed().map(|(_, numbers)| numbers.next_unit.into()).collect();
            let live: Vec<i32> = changed().map(|(_, numbers)| numbers.live).collect();
            let statement = transaction
                .prepare_cached(
                    "UPDATE message m SET next_unit = v.next, live = v.live, \
                     done = CASE WHEN v.live <= 0 THEN (EXTRACT(EPOCH FROM now()) * 1000)::bigint END \
                     FROM unnest($1::uuid[], $2::int[], $3::int[]) v (id, next, live) WHERE m.id = v.id",
                )
                .await?;
            transaction.execute(&statement, &[&ids, &next, &live]).await?;
        }
        self.write_follow_up(transaction).await?;
        if !self.inserts.is_empty() {
            let statement = transaction.prepare_cached(unit::INSERT).await?;
            transaction.execute(&statement, &self.inserts.for_insert()).await?;
        }
        Ok(())
    }

    async fn write_follow_up(&self, transaction: &Transaction<'_>) -> Result<(), Failure> {
        if self.follow_up.is_empty() {
            return Ok(());
        }
        let statement = transaction.prepare_cached(text::INSERT).await?;
        for row in transaction.query(&statement, &self.follow_up.values()).await? {
            // Somebody committed the id since it was looked for: the next try sees it.
            if cell::<i64>(&row, 1)? > 0 {
                return Err(Failure::Again(PostgresError::Row("a follow-up's id came into use")));
            }
        }
        Ok(())
    }
}

/// A write, so that the commit waits until everything before it is as durable as was promised.
pub(crate) async fn touch(transaction: &Transaction<'_>) -> Result<(), Failure> {
    transaction.batch_execute(BEAT).await?;
    Ok(())
}

/// A row that is written for the sake of writing.
pub(crate) const BEAT: &str =
    "INSERT INTO beat AS b (id, n) VALUES (0, 0) ON CONFLICT (id) DO UPDATE SET n = b.n + 1";
