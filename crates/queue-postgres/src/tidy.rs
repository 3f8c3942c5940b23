//! What happens by itself: the server is watched, news of other nodes are told, what is old goes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use deadpool_postgres::Object;
use hikyaku_wire::Timestamp;
use tokio::time::{sleep, timeout};

use crate::claim::DueKeys;
use crate::database::{State, examine, millis};
use crate::error::Failure;
use crate::postgres::Shared;
use crate::settle::BEAT;
use crate::unit::cell;
use crate::{Clock, Copies};

/// So many rows go in one statement.
const BATCH: i64 = 200;

/// Between two cleanings, in polls.
const CLEANING: u32 = 60;

/// Watches until the queue is dropped.
pub(crate) async fn watch(shared: Arc<Shared>) {
    let mut polls = 0_u32;
    loop {
        sleep(shared.database.config.poll).await;
        let was_well = shared.works();
        if let Err(Failure::Again(why) | Failure::Open(why)) = look(&shared).await {
            shared.database.set_state(State::Trouble(why));
        }
        if !shared.works() && !was_well {
            recover(&shared).await;
        }
        if shared.works() {
            announce(&shared).await;
            if polls.is_multiple_of(CLEANING) {
                // What could not be removed now will be next time.
                let _ = clean(&shared).await;
            }
            polls = polls.wrapping_add(1);
        }
    }
}

/// Asks the server how it is.
pub(crate) async fn look(shared: &Shared) -> Result<(), Failure> {
    let limit = shared.database.config.deadline;
    let stalled = || Failure::Again(crate::PostgresError::Stalled { seconds: limit.as_secs() });
    let asked = async {
        let client = shared.database.client().await?;
        let copies = shared.database.config.copies;
        if let Err(error) = examine(&client, copies).await {
            // The settings were changed under an open connection.
            drop(Object::take(client));
            return Err(match error {
                Failure::Refused(hikyaku_queue::QueueError::Backend(why)) => {
                    Failure::Again(crate::PostgresError::Promise(why.to_string()))
                }
                other => other,
            });
        }
        let used = "SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c \
                    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'r'";
        let statement = client.prepare_cached(used).await?;
        let row = client.query_one(&statement, &[&shared.database.config.schema]).await?;
        let used: Option<i64> = cell(&row, 0)?;
        shared.used.store(used.and_then(|used| u64::try_from(used).ok()).unwrap_or(0), Ordering::Relaxed);
        shared.set_note(if copies == Copies::Two { standbys(&client).await? } else { None });
        Ok(())
    };
    timeout(limit, asked).await.map_err(|_| stalled())?
}

/// What somebody should know about the standbys.
async fn standbys(client: &Object) -> Result<Option<String>, Failure> {
    let statement = client
        .prepare_cached(
            "SELECT count(*) FILTER (WHERE sync_state IN ('sync', 'quorum') OR sync_state IS NULL), count(*) \
             FROM pg_stat_replication",
        )
        .await?;
    let row = client.query_one(&statement, &[]).await?;
    let (synchronous, all): (i64, i64) = (cell(&row, 0)?, cell(&row, 1)?);
    Ok((synchronous == 0).then(|| {
        format!(
            "no standby is synchronous ({all} connected): mail is not acknowledged until one is; \
             compare synchronous_standby_names with application_name in pg_stat_replication"
        )
    }))
}

/// Writes, however long that takes: when it returns, commits are acknowledged again.
async fn recover(shared: &Shared) {
    if let Ok(client) = shared.database.client().await {
        // One that is given up would go on waiting on the server's side.
        if client.batch_execute(BEAT).await.is_ok() {
            shared.database.set_state(State::Works);
        } else {
            drop(Object::take(client));
        }
    }
}

/// Tells those who wait what has become ready on other nodes.
async fn announce(shared: &Shared) {
    let far = Timestamp::from_millis(i64::MAX);
    let mut ask = DueKeys { shared, now: far, after: None, max: 1 };
    if let Ok(keys) = shared.database.read(&mut ask).await
        && let Some(first) = keys.first()
    {
        shared.waiting.announce(first.due);
    }
}

/// Removes what nobody needs any more: finished messages, texts that no message has, old
/// idempotence keys.
pub(crate) async fn clean(shared: &Shared) -> Result<(), Failure> {
    let client = shared.database.client().await?;
    let keep = millis(shared.database.config.keep);
    let day = millis(Duration::from_secs(86_400));
    let mut steps = vec![(FINISHED, keep), (ORPHANS, day)];
    if shared.database.config.clock == Clock::Database {
        steps.push((IDEM, millis(Duration::from_secs(2 * 3600))));
    }
    for (sql, age) in steps {
        let statement = client.prepare_cached(sql).await?;
        loop {
            let row = client.query_one(&statement, &[&age, &BATCH]).await?;
            if cell::<i64>(&row, 0)? < BATCH {
                break;
            }
        }
    }
    Ok(())
}

const FINISHED: &str = "WITH d AS (SELECT id FROM message WHERE done <= (EXTRACT(EPOCH FROM now()) * 1000)::bigint - $1 \
         ORDER BY done LIMIT $2 FOR UPDATE SKIP LOCKED), \
     m AS (DELETE FROM message WHERE id IN (SELECT id FROM d) RETURNING id, text), \
     e AS (DELETE FROM ended WHERE msg IN (SELECT id FROM m)), \
     c AS (DELETE FROM chunk WHERE text IN (SELECT text FROM m)), \
     t AS (DELETE FROM text WHERE id IN (SELECT text FROM m)) \
     SELECT count(*) FROM m";

const ORPHANS: &str = "WITH d AS (SELECT id FROM text WHERE msg IS NULL \
         AND at <= (EXTRACT(EPOCH FROM now()) * 1000)::bigint - $1 LIMIT $2 FOR UPDATE SKIP LOCKED), \
     t AS (DELETE FROM text WHERE id IN (SELECT id FROM d) AND msg IS NULL RETURNING id), \
     c AS (DELETE FROM chunk WHERE text IN (SELECT id FROM t)) \
     SELECT count(*) FROM t";

const IDEM: &str = "WITH d AS (SELECT key FROM idem WHERE at <= (EXTRACT(EPOCH FROM now()) * 1000)::bigint - $1 \
         LIMIT $2 FOR UPDATE SKIP LOCKED), \
     i AS (DELETE FROM idem WHERE key IN (SELECT key FROM d) RETURNING key) \
     SELECT count(*) FROM i";
