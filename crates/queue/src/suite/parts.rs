//! What the suite's mail is made of.

use std::time::Duration;

use bytes::Bytes;
use hikyaku_wire::{Code, EnhancedCode, Reply, Timestamp};

use crate::{
    Attempt, BodyReader, Claimed, Draft, Entry, Envelope, Filter, KeyQuota, Manage, MsgId, NewRcpt, NewUnit, Queue,
    QueueError, QueueKey, RcptState, SizeHint, WorkerId,
};

pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// So many minutes after the suite's beginning.
pub(super) fn at(minutes: i64) -> Timestamp {
    Timestamp::from_millis(1_764_000_000_000 + minutes * 60_000)
}

/// The id number n; ids sort by n.
pub(super) fn id(n: u16) -> MsgId {
    let mut random = [0; 10];
    random[8..].copy_from_slice(&n.to_be_bytes());
    MsgId::new(at(0), random)
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

pub(super) async fn enqueue(queue: &impl Queue, n: u16, units: Vec<NewUnit>) {
    let mut draft = queue.draft(id(n), SizeHint::UNKNOWN).await.expect("room");
    draft.write(Bytes::from_static(b"Subject: x\r\n\r\nx\r\n")).await.expect("a write");
    let receipt =
        draft.commit(envelope(), Bytes::from_static(b"Received: y\r\n"), units, None).await.expect("a commit");
    assert!(!receipt.duplicate && receipt.id == id(n));
}

pub(super) async fn claim(queue: &impl Queue, key: &str, minutes: i64, max: u32) -> Vec<Claimed> {
    let want = [KeyQuota { key: QueueKey::new(key), max }];
    queue.claim(WorkerId::new("suite"), at(minutes), &want, 5 * MINUTE).await.expect("a claim")
}

pub(super) async fn claim_one(queue: &impl Queue, key: &str, minutes: i64) -> Claimed {
    let mut claimed = claim(queue, key, minutes, 2).await;
    assert_eq!(claimed.len(), 1, "exactly one unit of {key} is due");
    claimed.remove(0)
}

pub(super) async fn assert_nothing_due(queue: &impl Queue, key: &str, minutes: i64) {
    assert_eq!(claim(queue, key, minutes, 9).await, [], "nothing of {key} is due");
}

pub(super) async fn entries(queue: &impl Manage, filter: &Filter) -> Vec<Entry> {
    let page = queue.list(filter, None, usize::MAX).await.expect("a list");
    assert_eq!(page.next, None);
    page.entries
}

pub(super) async fn only_entry(queue: &impl Manage, n: u16) -> Entry {
    let mut entries = entries(queue, &Filter::message(id(n))).await;
    assert_eq!(entries.len(), 1, "message {n} has one unit");
    entries.remove(0)
}

pub(super) async fn read(body: &impl BodyReader, step: usize) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let piece = body.read_at(all.len() as u64, step).await.expect("a read");
        assert!(piece.len() <= step);
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

pub(super) fn assert_lost<T: std::fmt::Debug>(result: Result<T, QueueError>) {
    assert!(matches!(result, Err(QueueError::LeaseLost)), "expected a lost lease: {result:?}");
}

pub(super) fn assert_invalid<T: std::fmt::Debug>(result: Result<T, QueueError>) {
    assert!(matches!(result, Err(QueueError::Invalid(_))), "expected a refusal: {result:?}");
}
