//! Numbered messages, whose every byte is known.

use bytes::Bytes;
use hikyaku_queue::*;
use hikyaku_wire::{ReversePath, Timestamp};

pub(crate) const PREPEND: &[u8] = b"Received: x\r\n";

pub(crate) fn now() -> Timestamp {
    Timestamp::from_millis(1_764_000_000_000)
}

pub(crate) fn later(minutes: u64) -> Timestamp {
    now().saturating_add(std::time::Duration::from_secs(60 * minutes))
}

pub(crate) fn id(number: u64) -> MsgId {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&number.to_be_bytes());
    // The bits of the kind of UUID lie in the first bytes, and a number does not reach there.
    MsgId::new(now(), random)
}

/// The number of a message.
pub(crate) fn number(id: MsgId) -> u64 {
    id.as_bytes()[8..].iter().skip(1).fold(0, |sum, &byte| sum << 8 | u64::from(byte))
}

/// Every ninth text is one that does not fit into the journal.
pub(crate) fn text(number: u64) -> Vec<u8> {
    let len = if number.is_multiple_of(9) { 70_000 + number % 5_000 } else { 50 + number % 3_000 };
    let mut text = format!("Subject: {number}\r\n\r\n").into_bytes();
    text.extend((0..len).map(|at| (at.wrapping_mul(7) ^ number) as u8));
    text
}

pub(crate) fn unit(key: &str) -> NewUnit {
    let unit = NewUnit::new(QueueKey::new(key), now(), later(10_000));
    unit.with(NewRcpt::new("<a@a.test>".parse().unwrap())).with(NewRcpt::new("<b@b.test>".parse().unwrap()))
}

pub(crate) fn envelope() -> Envelope {
    Envelope::new(ReversePath::Null, now())
}

pub(crate) async fn draft(spool: &Spool, number: u64) -> Result<<Spool as Queue>::Draft, QueueError> {
    let mut draft = spool.draft(id(number), SizeHint::UNKNOWN).await?;
    for piece in text(number).chunks(30_000) {
        draft.write(Bytes::copy_from_slice(piece)).await?;
    }
    Ok(draft)
}

pub(crate) async fn enqueue(spool: &Spool, number: u64, key: &str) -> Result<(), QueueError> {
    let draft = draft(spool, number).await?;
    let receipt = draft.commit(envelope(), Bytes::from_static(PREPEND), vec![unit(key)], None).await?;
    assert!(!receipt.duplicate, "message {number} is new");
    Ok(())
}

/// Whether the text of a message is what it was.
pub(crate) async fn is_whole(spool: &Spool, number: u64) -> Result<bool, QueueError> {
    let body = spool.body(id(number)).await?;
    let mut read = Vec::new();
    while (read.len() as u64) < body.len() {
        read.extend_from_slice(&body.read_at(read.len() as u64, 50_000).await?);
    }
    Ok(read == text(number) && body.prepend() == PREPEND)
}
