//! Commits of messages, gathered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use deadpool_postgres::Object;
use hikyaku_queue::{IdemKey, MsgId, QueueError, Receipt, UnitId};
use hikyaku_wire::Timestamp;
use tokio::sync::oneshot;

use crate::database::Work;
use crate::error::Failure;
use crate::postgres::Shared;
use crate::text::{self, Message, Messages};
use crate::unit::{self, Rows, Uuid, cell, earlier};

type Answer = Result<Receipt, QueueError>;

/// A commit that somebody waits for.
pub(crate) struct Commit {
    pub(crate) message: Message,
    pub(crate) idem: Option<IdemKey>,
    pub(crate) received: Timestamp,
    pub(crate) reply: oneshot::Sender<Answer>,
}

/// How long an [`IdemKey`] is remembered, in milliseconds.
const IDEM_WINDOW: i64 = 3_600_000;

/// Carries out a group; no id and no idempotence key is in one transaction twice.
pub(crate) async fn carry_out(shared: Arc<Shared>, mut commits: Vec<Commit>) {
    // Rows are locked in the order of ids by everybody.
    commits.sort_by_key(|commit| commit.message.id);
    while !commits.is_empty() {
        let (mut ids, mut idems) = (BTreeSet::new(), BTreeSet::new());
        let first = |commit: &Commit| {
            ids.insert(commit.message.id) && commit.idem.is_none_or(|idem| idems.insert(idem))
        };
        let (group, rest) = commits.into_iter().partition(first);
        commits = rest;
        together(&shared, group).await;
    }
}

async fn together(shared: &Arc<Shared>, commits: Vec<Commit>) {
    let mut group = Group { shared, commits };
    match shared.database.write(&mut group).await {
        Ok(answers) => group.reply(answers),
        // One of them may be what the database refuses: the others shall not suffer for it.
        Err(QueueError::Backend(_)) if group.commits.len() > 1 && shared.works() => {
            for commit in group.commits {
                let mut single = Group { shared, commits: vec![commit] };
                match shared.database.write(&mut single).await {
                    Ok(answers) => single.reply(answers),
                    Err(error) => single.reply(vec![Err(error)]),
                }
            }
        }
        Err(error) => {
            let answers = group.commits.iter().map(|_| Err(error.clone())).collect();
            group.reply(answers);
        }
    }
}

struct Group<'a> {
    shared: &'a Shared,
    commits: Vec<Commit>,
}

impl Group<'_> {
    fn reply(self, answers: Vec<Answer>) {
        let mut news = None;
        for (commit, answer) in self.commits.into_iter().zip(answers) {
            let Commit { message, reply, .. } = commit;
            if let Ok(Receipt { duplicate: false, .. }) = answer {
                for unit in &message.units {
                    news = earlier(news, unit.hold.is_none().then_some(unit.due));
                }
                message.keep();
            }
            // Who does not wait any more asks again with the same id.
            let _ = reply.send(answer);
        }
        if let Some(due) = news {
            self.shared.waiting.announce(due);
        }
    }
}

impl Work for Group<'_> {
    type Out = Vec<Answer>;

    async fn once(&mut self, client: &mut Object, _: bool) -> Result<Vec<Answer>, Failure> {
        let transaction = client.transaction().await?;
        let lost = text::take(&transaction, self.commits.iter().map(|commit| &commit.message)).await?;
        let known = self.idempotent(&transaction).await?;
        let mut answers = BTreeMap::new();
        let mut messages = Messages::default();
        for commit in &self.commits {
            let id = commit.message.id;
            if commit.message.spill().is_some_and(|spill| lost.contains(&spill.id)) {
                answers.insert(id, Err(text::lost()));
            } else if let Some(other) = commit.idem.and_then(|idem| known.get(&idem)).filter(|other| **other != id) {
                answers.insert(id, Ok(Receipt { id: *other, duplicate: true }));
            } else {
                messages.push(&commit.message)?;
            }
        }
        if !messages.is_empty() {
            let statement = transaction.prepare_cached(text::INSERT).await?;
            for row in transaction.query(&statement, &messages.values()).await? {
                let id = MsgId::from(cell::<Uuid>(&row, 0)?);
                answers.insert(id, Ok(Receipt { id, duplicate: cell::<i64>(&row, 1)? > 0 }));
            }
        }
        let mut rows = Rows::default();
        let mut spare = Vec::new();
        for commit in &self.commits {
            let message = &commit.message;
            if let Some(Ok(Receipt { duplicate: false, .. })) = answers.get(&message.id) {
                for (number, unit) in (0..).zip(&message.units) {
                    rows.push_new(UnitId { msg: message.id, unit: number }, unit)?;
                }
            } else {
                spare.extend(message.spill().map(|spill| spill.id));
            }
        }
        if !rows.is_empty() {
            let statement = transaction.prepare_cached(unit::INSERT).await?;
            transaction.execute(&statement, &rows.for_insert()).await?;
        }
        text::give_back(&transaction, &spare).await?;
        transaction.commit().await?;
        let missing = || Err(QueueError::Unknown);
        Ok(self.commits.iter().map(|commit| answers.remove(&commit.message.id).unwrap_or_else(missing)).collect())
    }
}

impl Group<'_> {
    /// Enters the idempotence keys; says which message each belongs to.
    async fn idempotent(
        &self,
        transaction: &deadpool_postgres::Transaction<'_>,
    ) -> Result<BTreeMap<IdemKey, MsgId>, Failure> {
        let asked: BTreeMap<IdemKey, &Commit> =
            self.commits.iter().filter_map(|commit| Some((commit.idem?, commit))).collect();
        if asked.is_empty() {
            return Ok(BTreeMap::new());
        }
        let keys: Vec<&[u8]> = asked.keys().map(|idem| &idem.as_bytes()[..]).collect();
        let ids: Vec<Uuid> = asked.values().map(|commit| commit.message.id.into()).collect();
        let times: Vec<Option<i64>> =
            asked.values().map(|commit| self.shared.database.given(commit.received)).collect();
        let statement = transaction
            .prepare_cached(
                "INSERT INTO idem AS i (key, msg, at) \
                 SELECT v.key, v.msg, COALESCE(v.at, (EXTRACT(EPOCH FROM now()) * 1000)::bigint) \
                 FROM unnest($1::bytea[], $2::uuid[], $3::bigint[]) v (key, msg, at) \
                 ON CONFLICT (key) DO UPDATE SET hits = i.hits + 1, \
                 msg = CASE WHEN i.at <= excluded.at - $4 THEN excluded.msg ELSE i.msg END, \
                 at = CASE WHEN i.at <= excluded.at - $4 THEN excluded.at ELSE i.at END \
                 RETURNING key, msg",
            )
            .await?;
        let rows = transaction.query(&statement, &[&keys, &ids, &times, &IDEM_WINDOW]).await?;
        let read = |row| {
            let digest: &[u8] = cell(row, 0)?;
            let digest = digest.try_into().map_err(|_| crate::PostgresError::Row("an idempotence key is not one"))?;
            Ok((IdemKey::new(digest), cell::<Uuid>(row, 1)?.into()))
        };
        rows.iter().map(read).collect()
    }
}
