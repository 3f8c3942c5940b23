//! The spool under the same producers, and what else is done with it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hikyaku_queue::{
    Attempt, BodyReader, Claimed, Draft, Durability, Envelope, KeyQuota, MsgId, NewRcpt, NewUnit, Next, Queue,
    QueueKey, RcptState, Settlement, SizeHint, Spool, SpoolConfig, WorkerId,
};
use hikyaku_wire::{Reply, Timestamp};
use tokio::runtime::Runtime;

use super::BODY;
use super::harness::{Sink, TURN, Turn};

/// When everything happens.
pub const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);

const HOUR: Duration = Duration::from_secs(3600);

/// What a relay puts in front of a text.
const RECEIVED: &[u8] = b"Received: from client.example.net (client.example.net [192.0.2.25])\r\n\
    \tby mx.example.org (hikyaku) with ESMTPS id 01kasj0000000000000000000q\r\n\
    \tfor <somebody@example.com>; Mon, 24 Nov 2025 16:00:00 +0000\r\n";

/// A spool whose messages go to so many destinations in turn.
pub struct Ours {
    spool: Spool,
    keys: Vec<QueueKey>,
    body: Bytes,
    envelope: Envelope,
    life: u64,
}

impl Ours {
    /// Opens it.
    ///
    /// # Panics
    /// It cannot be opened.
    pub fn open(runtime: &Runtime, folder: &Path, keys: usize) -> Self {
        let spool = runtime.block_on(Spool::open(folder, SpoolConfig::default())).expect("the spool opens");
        let keys = (0..keys).map(|key| QueueKey::new(format!("destination-{key}.example"))).collect();
        let sender = "<somebody-who-writes@sender.example.net>".parse().expect("a path");
        // Ids of another life must be others.
        let life = u64::from(std::process::id());
        Self { spool, keys, body: vec![b'x'; BODY].into(), envelope: Envelope::new(sender, NOW), life }
    }

    /// The queue.
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    /// The destinations.
    pub fn keys(&self) -> &[QueueKey] {
        &self.keys
    }

    fn id(&self, number: u64) -> MsgId {
        let mut random = [0; 10];
        random[2..].copy_from_slice(&number.to_be_bytes());
        random[..2].copy_from_slice(&self.life.to_be_bytes()[6..]);
        MsgId::new(NOW.saturating_add(Duration::from_millis(number / 16)), random)
    }

    async fn put_text(&self, number: u64, pieces: u64, piece: &Bytes) -> MsgId {
        let id = self.id(number);
        let mut draft = self.spool.draft(id, SizeHint::UNKNOWN).await.expect("there is room");
        for _ in 0..pieces {
            draft.write(piece.clone()).await.expect("it is written");
        }
        let key = self.keys[number as usize % self.keys.len()].clone();
        let rcpt = NewRcpt::new("<somebody@destination.example>".parse().expect("a path"));
        let unit = NewUnit::new(key, NOW, NOW.saturating_add(120 * HOUR)).with(rcpt);
        let prepend = Bytes::from_static(RECEIVED);
        draft.commit(self.envelope.clone(), prepend, vec![unit], None).await.expect("it is committed");
        id
    }

    /// Commits one message of this length, and reads it again.
    ///
    /// # Panics
    /// It does not come back as it went.
    pub async fn large(&self, bytes: u64) {
        let piece = Bytes::from(vec![b'y'; 64 << 10]);
        let id = self.put_text(u64::MAX >> 1, bytes / piece.len() as u64, &piece).await;
        let body = self.spool.body(id).await.expect("it is there");
        let mut read = 0;
        loop {
            let some = body.read_at(read, piece.len()).await.expect("it can be read");
            if some.is_empty() {
                break;
            }
            assert!(some.iter().all(|byte| *byte == b'y'), "it is the same");
            read += some.len() as u64;
        }
        assert_eq!(read, bytes, "all of it");
    }

    /// Claims what is due then, at most so much of one destination.
    ///
    /// # Panics
    /// The spool fails.
    pub async fn claim(&self, key: &QueueKey, now: Timestamp, most: u32) -> Vec<Claimed> {
        let want = [KeyQuota { key: key.clone(), max: most }];
        self.spool.claim(WorkerId::new("bench"), now, &want, HOUR).await.expect("it can be claimed")
    }
}

impl Sink for Ours {
    async fn put(&self, number: u64) {
        self.put_text(number, 1, &self.body).await;
    }
}

/// What becomes of the units that are claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Text read, delivered, durable.
    Delivered,
    /// Tried again an hour later, durable with the next group.
    Rescheduled,
}

/// Claims units of the first destination in groups of this size and settles each group at once.
///
/// # Panics
/// The spool fails.
pub fn settle(runtime: &Runtime, ours: &Arc<Ours>, group: u32, fate: Fate) -> Turn {
    let start = Instant::now();
    let done = runtime.block_on(async {
        let (mut done, mut now) = (0, NOW);
        while start.elapsed() < TURN {
            let claimed = ours.claim(&ours.keys[0], now, group).await;
            if claimed.is_empty() {
                assert!(fate == Fate::Rescheduled, "the queue is empty before the turn is over");
                now = now.saturating_add(HOUR);
                continue;
            }
            let tasks: Vec<_> = claimed
                .into_iter()
                .map(|claimed| {
                    let ours = Arc::clone(ours);
                    tokio::spawn(async move { ours.settle_one(claimed, now, fate).await })
                })
                .collect();
            for task in tasks {
                task.await.expect("no settlement panics");
                done += 1;
            }
        }
        done
    });
    Turn { done, took: start.elapsed() }
}

/// Delivers all that waits.
///
/// # Panics
/// The spool fails.
pub fn empty(runtime: &Runtime, ours: &Arc<Ours>) {
    runtime.block_on(async {
        for key in &ours.keys {
            loop {
                let claimed = ours.claim(key, NOW, 256).await;
                if claimed.is_empty() {
                    break;
                }
                let settle = |claimed| {
                    let ours = Arc::clone(ours);
                    tokio::spawn(async move { ours.settle_one(claimed, NOW, Fate::Delivered).await })
                };
                for task in claimed.into_iter().map(settle).collect::<Vec<_>>() {
                    task.await.expect("no settlement panics");
                }
            }
        }
    });
}

impl Ours {
    async fn settle_one(&self, claimed: Claimed, now: Timestamp, fate: Fate) {
        let attempt = |reply| Attempt::remote(now, reply, "mx.destination.example", None);
        let (state, next, durability) = match fate {
            Fate::Delivered => {
                let body = self.spool.body(claimed.lease.unit.msg).await.expect("it is there");
                assert_eq!(body.read_at(0, 2 * BODY).await.expect("it can be read").len(), BODY, "all of it");
                (RcptState::Delivered(attempt(Reply::OK_250)), Next::Finish, Durability::Sync)
            }
            Fate::Rescheduled => {
                let next = Next::RetryAt(now.saturating_add(HOUR));
                (RcptState::Deferred(attempt(Reply::LOCAL_ERROR_451)), next, Durability::Lazy)
            }
        };
        let mut settlement = Settlement::new(next);
        settlement.results = claimed.rcpts.iter().map(|rcpt| (rcpt.no, state.clone())).collect();
        self.spool.settle(claimed.lease, settlement, durability).await.expect("it is settled");
    }
}
