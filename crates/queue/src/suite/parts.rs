//! What the suite's mail is made of, and a queue with the store that made it.

use std::ops::Deref;
use std::time::Duration;

use bytes::Bytes;
use hikyaku_wire::{Code, EnhancedCode, Reply, Timestamp};

use super::Store;
use crate::{
    Action, Attempt, BodyReader, Claimed, Draft, DueKey, Durability, Entry, Envelope, Filter, KeyCursor, KeyQuota,
    Lease, Manage, MsgId, NewRcpt, NewUnit, Next, Queue, QueueError, QueueKey, RcptNo, RcptState, Sealed, Settled,
    Settlement, SizeHint, UnitId, WorkerId,
};

pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// How long the suite's leases last, in minutes.
pub(super) const LEASE: i64 = 5;

pub(super) const GONE: Settled = Settled { unit_done: true, message_done: true };
pub(super) const STAYS: Settled = Settled { unit_done: false, message_done: false };

/// So many minutes after the suite's beginning.
pub(super) fn at(minutes: i64) -> Timestamp {
    Timestamp::from_millis(1_764_000_000_000 + minutes * 60_000)
}

/// The id number n; ids sort by n.
pub(super) fn id(n: u32) -> MsgId {
    let mut random = [0; 10];
    random[6..].copy_from_slice(&n.to_be_bytes());
    // The bits that say which kind of UUID it is lie in front.
    MsgId::new(at(0), random)
}

pub(super) fn unit_id(n: u32, unit: u16) -> UnitId {
    UnitId { msg: id(n), unit }
}

pub(super) fn envelope() -> Envelope {
    Envelope::new("<sender@origin.test>".parse().expect("a path"), at(0))
}

/// A unit for this key with these recipients, due at once and expired after five days.
pub(super) fn unit(key: &str, rcpts: &[&str]) -> NewUnit {
    let unit = NewUnit::new(QueueKey::new(key), at(0), at(5 * 24 * 60));
    rcpts.iter().fold(unit, |unit, rcpt| unit.with(NewRcpt::new(rcpt.parse().expect("a path"))))
}

/// A unit with one recipient, due so many minutes after the beginning.
pub(super) fn due(key: &str, minutes: i64) -> NewUnit {
    NewUnit { due: at(minutes), ..unit(key, &["<r@there.test>"]) }
}

/// A queue, and the store that made it.
pub(super) struct Desk<'s, S: Store> {
    pub(super) store: &'s S,
    queue: S::Queue,
}

impl<S: Store> Deref for Desk<'_, S> {
    type Target = S::Queue;

    fn deref(&self) -> &S::Queue {
        &self.queue
    }
}

impl<'s, S: Store> Desk<'s, S> {
    pub(super) fn fresh(store: &'s S) -> Self {
        Self { store, queue: store.fresh() }
    }

    pub(super) fn new(store: &'s S, queue: S::Queue) -> Self {
        Self { store, queue }
    }

    /// The queue closed and opened again; the same if it would not outlive that.
    pub(super) fn reopened(self) -> Self {
        let Self { store, queue } = self;
        Self { store, queue: store.reopen(queue).unwrap_or_else(|queue| queue) }
    }

    /// The queue closed and opened again, if it outlives that.
    pub(super) fn reopen(self) -> Result<Self, Self> {
        let Self { store, queue } = self;
        store.reopen(queue).map(|queue| Self { store, queue }).map_err(|queue| Self { store, queue })
    }

    /// Lets it be that time.
    pub(super) async fn time(&self, minutes: i64) -> Timestamp {
        self.store.set_time(&self.queue, at(minutes)).await;
        at(minutes)
    }

    pub(super) async fn open_draft(&self, n: u32) -> <S::Queue as Queue>::Draft {
        self.draft(id(n), SizeHint::UNKNOWN).await.expect("there is room for a message")
    }

    pub(super) async fn enqueue(&self, n: u32, units: Vec<NewUnit>) {
        let mut draft = self.open_draft(n).await;
        draft.write(Bytes::from_static(b"Subject: x\r\n\r\nx\r\n")).await.expect("a write");
        let prepend = Bytes::from_static(b"Received: y\r\n");
        let receipt = draft.commit(envelope(), prepend, units, None).await.expect("a commit");
        assert!(!receipt.duplicate && receipt.id == id(n), "a new message is not a duplicate: {receipt:?}");
    }

    pub(super) async fn sealed(&self, n: u32, key: &str) -> Sealed {
        let mut draft = self.open_draft(n).await;
        draft.write(Bytes::from_static(b"bounce")).await.expect("a write");
        draft.seal(envelope(), Bytes::from_static(b"X: y\r\n"), vec![due(key, 0)]).await.expect("a seal")
    }

    pub(super) async fn due_keys_at(&self, minutes: i64, after: Option<KeyCursor>, max: usize) -> Vec<DueKey> {
        let now = self.time(minutes).await;
        self.due_keys(now, after, max).await.expect("keys")
    }

    pub(super) async fn claims(&self, key: &str, minutes: i64, max: u32) -> Vec<Claimed> {
        let now = self.time(minutes).await;
        let want = [KeyQuota { key: QueueKey::new(key), max }];
        self.claim(WorkerId::new("suite"), now, &want, LEASE as u32 * MINUTE).await.expect("a claim")
    }

    pub(super) async fn claim_one(&self, key: &str, minutes: i64) -> Claimed {
        let mut claimed = self.claims(key, minutes, 2).await;
        assert_eq!(claimed.len(), 1, "exactly one unit of {key} is due at minute {minutes}: {claimed:?}");
        claimed.remove(0)
    }

    pub(super) async fn nothing_due(&self, key: &str, minutes: i64) {
        assert_eq!(self.claims(key, minutes, 9).await, [], "nothing of {key} is due at minute {minutes}");
    }

    pub(super) async fn entries(&self, filter: &Filter) -> Vec<Entry> {
        let page = self.list(filter, None, usize::MAX).await.expect("a list");
        assert_eq!(page.next, None, "a list without a limit is whole");
        page.entries
    }

    pub(super) async fn all(&self) -> Vec<Entry> {
        self.entries(&Filter::all()).await
    }

    pub(super) async fn only_entry(&self, n: u32) -> Entry {
        let mut entries = self.entries(&Filter::message(id(n))).await;
        assert_eq!(entries.len(), 1, "message {n} has one unit");
        entries.remove(0)
    }

    pub(super) async fn act(&self, filter: &Filter, action: Action) -> u64 {
        self.apply(filter, action).await.expect("an action")
    }

    pub(super) async fn end(&self, lease: Lease, results: Vec<(u32, RcptState)>, next: Next) -> Settled {
        let settled = self.settle(lease, settlement(results, next), Durability::Sync).await;
        settled.expect("a settlement under the current lease")
    }

    /// Delivers the only due unit of the key.
    pub(super) async fn finish(&self, key: &str, minutes: i64) -> Settled {
        let claimed = self.claim_one(key, minutes).await;
        let results = claimed.rcpts.iter().map(|rcpt| (rcpt.no.0, relayed(minutes))).collect();
        self.end(claimed.lease, results, Next::Finish).await
    }
}

pub(super) fn settlement(results: Vec<(u32, RcptState)>, next: Next) -> Settlement {
    let results = results.into_iter().map(|(no, state)| (RcptNo(no), state)).collect();
    Settlement { results, ..Settlement::new(next) }
}

pub(super) async fn read(body: &impl BodyReader, step: usize) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let piece = body.read_at(all.len() as u64, step).await.expect("a read");
        assert!(piece.len() <= step, "a read gives no more than was asked for");
        if piece.is_empty() {
            return all;
        }
        all.extend_from_slice(&piece);
    }
}

pub(super) fn said(minutes: i64, code: u16, enhanced: (u8, u16, u16), text: &'static str) -> Attempt {
    let code = Code::new(code).expect("a reply code");
    let reply = Reply::new(code, EnhancedCode::new(enhanced.0, enhanced.1, enhanced.2), text);
    Attempt::remote(at(minutes), reply, "mx.there.test", Some([192, 0, 2, 1].into()))
}

pub(super) fn deferred(minutes: i64) -> RcptState {
    RcptState::Deferred(said(minutes, 451, (4, 3, 0), "later\nplease"))
}

pub(super) fn failed(minutes: i64) -> RcptState {
    RcptState::Failed(said(minutes, 550, (5, 1, 1), "who?"))
}

pub(super) fn relayed(minutes: i64) -> RcptState {
    RcptState::Relayed(said(minutes, 250, (2, 0, 0), "queued as 1"))
}

pub(super) fn expired(minutes: i64) -> RcptState {
    RcptState::Expired(said(minutes, 550, (5, 4, 7), "late"))
}

pub(super) fn assert_lost<T: std::fmt::Debug>(result: Result<T, QueueError>) {
    assert!(matches!(result, Err(QueueError::LeaseLost)), "expected a lost lease: {result:?}");
}

pub(super) fn assert_invalid<T: std::fmt::Debug>(result: Result<T, QueueError>) {
    assert!(matches!(result, Err(QueueError::Invalid(_))), "expected a refusal: {result:?}");
}
