//! What is due, and who gets it.
//!
//! That a unit has one holder rests on the token and on the row's own lock: `SKIP LOCKED` only
//! keeps claimers from waiting for each other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Object;
use hikyaku_queue::{
    Claimed, DueKey, Envelope, FenceToken, KeyCursor, KeyQuota, Lease, MsgId, QueueError, QueueKey, WorkerId,
};
use hikyaku_wire::Timestamp;

use crate::Clock;
use crate::database::{Work, bounded, millis};
use crate::error::Failure;
use crate::postgres::Shared;
use crate::unit::{COLUMNS, Held, READY, Uuid, WIDTH, cell, envelope, key, narrow};

type Result<T> = std::result::Result<T, Failure>;

/// The time that counts, in milliseconds: what was given in this parameter, or the database's.
macro_rules! now {
    ($parameter:literal) => {
        concat!("COALESCE($", $parameter, "::bigint, (EXTRACT(EPOCH FROM now()) * 1000)::bigint)")
    };
}

/// The keys with work. Both indexes are sorted by key, then time, so the first row of each key is
/// its earliest: the recursion jumps from key to key, and costs as much as there are keys. What
/// waits of a key is counted up to [`COUNTED`] only, for the keys of the page.
const DUE_KEYS: &str = "WITH RECURSIVE \
     r (key, at) AS ( \
         (SELECT key, due FROM unit WHERE state = 0 ORDER BY key, due LIMIT 1) UNION ALL \
         SELECT n.key, n.due FROM r CROSS JOIN LATERAL \
         (SELECT u.key, u.due FROM unit u WHERE u.state = 0 AND u.key > r.key ORDER BY u.key, u.due LIMIT 1) n), \
     l (key, at) AS ( \
         (SELECT key, until FROM unit WHERE state = 1 ORDER BY key, until LIMIT 1) UNION ALL \
         SELECT n.key, n.until FROM l CROSS JOIN LATERAL \
         (SELECT u.key, u.until FROM unit u WHERE u.state = 1 AND u.key > l.key ORDER BY u.key, u.until LIMIT 1) n), \
     k AS (SELECT key, min(at) AS at FROM (SELECT * FROM r UNION ALL SELECT * FROM l) x GROUP BY key), \
     d AS (SELECT k.key, GREATEST(k.at, g.not_before) AS due FROM k LEFT JOIN gate g ON g.key = k.key \
         WHERE g.key IS NULL OR g.not_before IS NOT NULL), \
     p AS (SELECT key, due FROM d WHERE due <= $1 AND ($2::bytea IS NULL OR (due, key) > ($3::bigint, $2)) \
         ORDER BY due, key LIMIT $4) \
     SELECT p.key, p.due, (SELECT count(*) FROM (SELECT 1 FROM unit u WHERE u.key = p.key AND u.state = 0 LIMIT $5) c) \
     FROM p ORDER BY p.due, p.key";

/// More units of one key than these are not counted.
const COUNTED: i64 = 10_000;

/// Asks for the keys with work.
pub(crate) struct DueKeys<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) now: Timestamp,
    pub(crate) after: Option<KeyCursor>,
    pub(crate) max: usize,
}

impl Work for DueKeys<'_> {
    type Out = Vec<DueKey>;

    async fn once(&mut self, client: &mut Object, _: bool) -> Result<Vec<DueKey>> {
        let database = &self.shared.database;
        let after = self.after.as_ref().map(KeyCursor::place);
        let after_key = after.map(|(_, key)| key.as_str().as_bytes());
        let after_due = after.map(|(due, _)| database.theirs(due));
        let max = i64::try_from(self.max).unwrap_or(i64::MAX);
        let statement = client.prepare_cached(DUE_KEYS).await?;
        let now = database.theirs(self.now);
        let rows = client.query(&statement, &[&now, &after_key, &after_due, &max, &COUNTED]).await?;
        let read = |row| {
            let waiting = narrow(cell::<i64>(row, 2)?)?;
            Ok(DueKey { key: key(cell(row, 0)?)?, due: database.ours(cell(row, 1)?), waiting })
        };
        rows.iter().map(read).collect()
    }
}

/// Ends overrun leases of which a person wants something else, and leases what is due. The rows
/// are picked with their tokens, and changed only where those are still the same.
const CLAIM: &str = concat!(
    "WITH w AS MATERIALIZED (SELECT v.key, v.max, v.ord, c.now \
         FROM unnest($1::bytea[], $2::bigint[]) WITH ORDINALITY v (key, max, ord) CROSS JOIN (SELECT ",
    now!("5"),
    " AS now) c LEFT JOIN gate g ON g.key = v.key WHERE g.key IS NULL OR g.not_before <= c.now), \
     o AS (UPDATE unit u SET state = CASE WHEN u.hold IS NULL THEN 0 ELSE 2 END, due = COALESCE(u.asked, u.due), \
         asked = NULL, until = NULL, holder = NULL, past = false FROM w \
         WHERE u.key = w.key AND u.state = 1 AND u.until <= w.now AND (u.hold IS NOT NULL OR u.asked > w.now)), \
     p AS MATERIALIZED (SELECT w.ord, w.now, x.msg, x.no, x.due, x.token FROM w CROSS JOIN LATERAL ( \
         SELECT * FROM (SELECT u.msg, u.no, u.due, u.token FROM unit u \
             WHERE u.key = w.key AND u.state = 0 AND u.due <= w.now \
             ORDER BY u.due, u.msg, u.no LIMIT w.max FOR UPDATE SKIP LOCKED) a \
         UNION ALL \
         SELECT * FROM (SELECT u.msg, u.no, COALESCE(u.asked, u.due) AS due, u.token FROM unit u \
             WHERE u.key = w.key AND u.state = 1 AND u.until <= w.now AND u.hold IS NULL \
             AND (u.asked IS NULL OR u.asked <= w.now) \
             ORDER BY COALESCE(u.asked, u.due), u.msg, u.no LIMIT w.max FOR UPDATE SKIP LOCKED) b \
         ORDER BY 3, 1, 2 LIMIT w.max) x) \
     UPDATE unit u SET state = 1, token = u.token + 1, until = p.now + $3, holder = $4, past = u.expires <= p.now, \
         asked = NULL FROM p JOIN message m ON m.id = p.msg \
     WHERE u.msg = p.msg AND u.no = p.no AND u.token = p.token AND (u.state = 0 OR (u.state = 1 AND u.until <= p.now)) \
     RETURNING "
);

/// Leases units.
pub(crate) struct Claim {
    pub(crate) shared: Arc<Shared>,
    pub(crate) who: WorkerId,
    pub(crate) now: Timestamp,
    pub(crate) want: Vec<KeyQuota>,
    pub(crate) lease: Duration,
}

impl Work for Claim {
    type Out = Vec<Claimed>;

    async fn once(&mut self, client: &mut Object, _: bool) -> Result<Vec<Claimed>> {
        let (keys, mut max) = self.quotas();
        let lease = millis(self.lease);
        let given = self.shared.database.given(self.now);
        let who = self.who.as_str().as_bytes();
        let claim = format!("{CLAIM}{COLUMNS}, m.envelope, m.size, p.ord, p.due");
        let rows = match self.shared.database.config.leases_per_key {
            None => {
                let statement = client.prepare_cached(&claim).await?;
                client.query(&statement, &[&keys, &max, &lease, &who, &given]).await?
            }
            Some(cap) => {
                let transaction = client.transaction().await?;
                within(&transaction, &keys, &mut max, cap, given).await?;
                let statement = transaction.prepare_cached(&claim).await?;
                let rows = transaction.query(&statement, &[&keys, &max, &lease, &who, &given]).await?;
                transaction.commit().await?;
                rows
            }
        };
        let mut envelopes: BTreeMap<MsgId, Arc<Envelope>> = BTreeMap::new();
        let mut claimed = Vec::with_capacity(rows.len());
        let mut theirs = None;
        for row in &rows {
            let held = Held::read(row)?;
            let envelope = match envelopes.get(&held.id.msg) {
                Some(known) => Arc::clone(known),
                None => {
                    let read = envelope(held.id.msg, cell(row, WIDTH)?)?;
                    envelopes.insert(held.id.msg, Arc::clone(&read));
                    read
                }
            };
            theirs = held.until.map(|until| until - lease);
            // By the caller's clock, and not later than by the database's: it began when it was asked for.
            let token = FenceToken::new(narrow(held.token)?);
            let lease = Lease { unit: held.id, token, expires: self.now.saturating_add(self.lease) };
            let open = held.unit.open().cloned().collect();
            let size = narrow(cell::<i64>(row, WIDTH + 1)?)?;
            let mut one = Claimed::new(lease, held.unit.key.clone(), envelope, open, size);
            one.attempts = held.unit.attempts;
            one.first_attempt = held.unit.first_attempt;
            one.expired = held.past;
            let place: (i64, i64) = (cell(row, WIDTH + 2)?, cell(row, WIDTH + 3)?);
            claimed.push((place, held.id, one));
        }
        if theirs.is_none() && self.shared.database.config.clock == Clock::Database {
            let statement = client.prepare_cached("SELECT (EXTRACT(EPOCH FROM now()) * 1000)::bigint").await?;
            theirs = Some(cell(&client.query_one(&statement, &[]).await?, 0)?);
        }
        if let Some(theirs) = theirs {
            self.shared.database.learn(self.now, theirs);
        }
        claimed.sort_unstable_by_key(|(place, id, _)| (*place, *id));
        Ok(claimed.into_iter().map(|(_, _, one)| one).collect())
    }
}

impl Claim {
    /// The keys and how many of each; a key that is named twice counts once, with the sum.
    fn quotas(&self) -> (Vec<&[u8]>, Vec<i64>) {
        let mut keys: Vec<&[u8]> = Vec::new();
        let mut max: Vec<i64> = Vec::new();
        let mut places = BTreeMap::new();
        for quota in &self.want {
            let place = *places.entry(&quota.key).or_insert(keys.len());
            if place == keys.len() {
                keys.push(quota.key.as_str().as_bytes());
                max.push(0);
            }
            max[place] += i64::from(quota.max);
        }
        (keys, max)
    }
}

/// Makes the quotas so small that no key has more than `cap` leases over all nodes. The rows of
/// the keys are locked until the claim is committed, so that nobody counts at the same time.
async fn within(
    transaction: &deadpool_postgres::Transaction<'_>,
    keys: &[&[u8]],
    max: &mut [i64],
    cap: u32,
    given: Option<i64>,
) -> Result<()> {
    let enter = "INSERT INTO keylock (key) SELECT key FROM unnest($1::bytea[]) v (key) ORDER BY key ON CONFLICT DO NOTHING";
    let statement = transaction.prepare_cached(enter).await?;
    transaction.execute(&statement, &[&keys]).await?;
    let lock = "SELECT key FROM keylock WHERE key = ANY($1) ORDER BY key FOR UPDATE";
    let statement = transaction.prepare_cached(lock).await?;
    transaction.query(&statement, &[&keys]).await?;
    let count = concat!(
        "SELECT key, count(*) FROM unit WHERE key = ANY($1) AND state = 1 AND until > ",
        now!("2"),
        " GROUP BY key"
    );
    let statement = transaction.prepare_cached(count).await?;
    let mut leased = BTreeMap::new();
    for row in transaction.query(&statement, &[&keys, &given]).await? {
        leased.insert(cell::<Vec<u8>>(&row, 0)?, cell::<i64>(&row, 1)?);
    }
    for (key, max) in keys.iter().zip(max) {
        let left = i64::from(cap) - leased.get(*key).copied().unwrap_or(0);
        *max = (*max).min(left.max(0));
    }
    Ok(())
}

/// Makes a lease longer.
pub(crate) struct Extend {
    pub(crate) shared: Arc<Shared>,
    pub(crate) lease: Lease,
    pub(crate) by: Duration,
}

impl Work for Extend {
    type Out = Lease;

    async fn once(&mut self, client: &mut Object, _: bool) -> Result<Lease> {
        let (msg, no, token) = parts(&self.lease)?;
        let statement = client
            .prepare_cached(
                "UPDATE unit SET until = LEAST(until, $4) + $5 \
                 WHERE msg = $1 AND no = $2 AND token = $3 AND state = 1 RETURNING until",
            )
            .await?;
        let row = client.query_opt(&statement, &[&msg, &no, &token, &(1_i64 << 60), &millis(self.by)]).await?;
        let row = row.ok_or(QueueError::LeaseLost)?;
        let expires = self.shared.database.ours(cell(&row, 0)?);
        Ok(Lease { expires, ..self.lease })
    }
}

/// Ends a lease under which nothing was tried; says when the unit is due, if it is not held.
pub(crate) struct Release {
    pub(crate) lease: Lease,
    pub(crate) due: Timestamp,
}

impl Work for Release {
    type Out = Option<Timestamp>;

    async fn once(&mut self, client: &mut Object, again: bool) -> Result<Option<Timestamp>> {
        let (msg, no, token) = parts(&self.lease)?;
        let statement = client
            .prepare_cached(
                "UPDATE unit SET state = CASE WHEN hold IS NULL THEN 0 ELSE 2 END, \
                 due = LEAST(COALESCE(asked, $4), expires), asked = NULL, until = NULL, holder = NULL, past = false, \
                 settled = token WHERE msg = $1 AND no = $2 AND token = $3 AND state = 1 RETURNING due, state",
            )
            .await?;
        let mut row = client.query_opt(&statement, &[&msg, &no, &token, &bounded(self.due)]).await?;
        if row.is_none() && again {
            // It may have been this very release whose reply was lost.
            let statement = client
                .prepare_cached(
                    "UPDATE unit SET settled = settled WHERE msg = $1 AND no = $2 AND settled = $3 RETURNING due, state",
                )
                .await?;
            row = client.query_opt(&statement, &[&msg, &no, &token]).await?;
        }
        let row = row.ok_or(QueueError::LeaseLost)?;
        let due = Timestamp::from_millis(cell(&row, 0)?);
        Ok((cell::<i16>(&row, 1)? == READY).then_some(due))
    }
}

fn parts(lease: &Lease) -> Result<(Uuid, i32, i64)> {
    Ok((lease.unit.msg.into(), lease.unit.unit.into(), narrow(lease.token.as_u64())?))
}

/// The earliest time at which a key has work, if it has any and its gate lets it.
pub(crate) async fn earliest(client: &Object, name: &QueueKey) -> Result<Option<Timestamp>> {
    let statement = client
        .prepare_cached(
            "SELECT GREATEST(LEAST((SELECT min(due) FROM unit WHERE key = $1 AND state = 0), \
             (SELECT min(until) FROM unit WHERE key = $1 AND state = 1)), (SELECT not_before FROM gate WHERE key = $1)) \
             WHERE NOT EXISTS (SELECT 1 FROM gate WHERE key = $1 AND not_before IS NULL) \
             AND EXISTS (SELECT 1 FROM unit WHERE key = $1 AND state < 2)",
        )
        .await?;
    let row = client.query_opt(&statement, &[&name.as_str().as_bytes()]).await?;
    Ok(row.map(|row| cell::<Option<i64>>(&row, 0)).transpose()?.flatten().map(Timestamp::from_millis))
}
