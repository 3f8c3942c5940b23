//! What the mail of these tests is made of.

use std::time::Duration;

use bytes::Bytes;
use hikyaku_queue::{
    Attempt, BodyReader, Claimed, Draft, Entry, Envelope, Filter, KeyQuota, Manage, MsgId, NewRcpt, NewUnit, Queue,
    QueueError, QueueKey, RcptState, Receipt, Sealed, SizeHint, WorkerId,
};
use hikyaku_queue_postgres::{Postgres, PostgresDraft};
use hikyaku_wire::{Reply, ReversePath, Timestamp};

/// A time before any database's.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_millis(1_764_000_000_000)
}

/// The id number n.
pub(crate) fn id(n: u32) -> MsgId {
    let mut random = [0; 10];
    random[6..].copy_from_slice(&n.to_be_bytes());
    MsgId::new(now(), random)
}

pub(crate) async fn draft(queue: &Postgres, n: u32, length: usize) -> PostgresDraft {
    let mut draft = queue.draft(id(n), SizeHint::UNKNOWN).await.expect("room");
    let text: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
    for piece in text.chunks(100_000) {
        draft.write(Bytes::copy_from_slice(piece)).await.expect("a write");
    }
    draft
}

fn units(key: &str) -> Vec<NewUnit> {
    let expires = now().saturating_add(Duration::from_secs(100 * 366 * 86_400));
    vec![NewUnit::new(QueueKey::new(key), now(), expires).with(NewRcpt::new("<r@there.test>".parse().expect("a path")))]
}

pub(crate) async fn message(draft: PostgresDraft, key: &str) -> Result<Receipt, QueueError> {
    draft.commit(Envelope::new(ReversePath::Null, now()), Bytes::from_static(b"X: y\r\n"), units(key), None).await
}

pub(crate) async fn seal(draft: PostgresDraft, key: &str) -> Result<Sealed, QueueError> {
    draft.seal(Envelope::new(ReversePath::Null, now()), Bytes::new(), units(key)).await
}

pub(crate) async fn sealed(queue: &Postgres, n: u32, length: usize, key: &str) -> Sealed {
    seal(draft(queue, n, length).await, key).await.expect("a seal")
}

pub(crate) async fn enqueue(queue: &Postgres, n: u32, key: &str) {
    let receipt = message(draft(queue, n, 100).await, key).await.expect("a commit");
    assert_eq!((receipt.id, receipt.duplicate), (id(n), false));
}

pub(crate) async fn claim_for(queue: &Postgres, key: &str, max: u32, lease: Duration) -> Vec<Claimed> {
    let want = [KeyQuota { key: QueueKey::new(key), max }];
    queue.claim(WorkerId::new("test"), now(), &want, lease).await.expect("a claim")
}

pub(crate) async fn claim(queue: &Postgres, key: &str, max: u32) -> Vec<Claimed> {
    claim_for(queue, key, max, Duration::from_secs(300)).await
}

pub(crate) async fn entries(queue: &Postgres, filter: &Filter) -> Vec<Entry> {
    queue.list(filter, None, usize::MAX).await.expect("a list").entries
}

pub(crate) async fn read(queue: &Postgres, n: u32) -> Vec<u8> {
    let body = queue.body(id(n)).await.expect("a text");
    let mut all = Vec::new();
    loop {
        let piece = body.read_at(all.len() as u64, 90_000).await.expect("a read");
        if piece.is_empty() {
            return all;
        }
        all.extend_from_slice(&piece);
    }
}

pub(crate) fn deferred() -> RcptState {
    RcptState::Deferred(Attempt::new(now(), Reply::LOCAL_ERROR_451))
}

pub(crate) fn relayed() -> RcptState {
    RcptState::Relayed(Attempt::new(now(), Reply::OK_250))
}

pub(crate) fn lost<T: std::fmt::Debug>(result: Result<T, QueueError>) {
    assert!(matches!(result, Err(QueueError::LeaseLost)), "expected a lost lease: {result:?}");
}
