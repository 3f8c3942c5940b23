//! Texts: what was written is what is read.

use bytes::Bytes;

use super::Store;
use super::parts::*;
use crate::{BodyReader, Draft, Filter, Queue, QueueError, SizeHint};

/// Dot lines, NUL, bare line ends, every byte.
pub(super) fn text(len: usize) -> Bytes {
    let mut text = b"\r\n.\r\n..\r\n\0\n\r.\n".to_vec();
    text.extend((0..len).map(|at| (at % 251) as u8 ^ (at >> 8) as u8));
    text.truncate(len);
    text.into()
}

pub(super) fn texts_come_back<S: Store>(store: &S) {
    let desk = Desk::fresh(store);
    store.block_on(async {
        let lengths = [0, 1, (64 << 10) - 1, 64 << 10, (64 << 10) + 1, (256 << 10) + 7, 1 << 20];
        for (n, len) in (0..).zip(lengths) {
            for (m, piece) in (0..).zip([1_000_usize, 70_000, 1 << 20]) {
                let (n, text) = (n * 8 + m, text(len));
                let mut draft = desk.draft(id(n), SizeHint(Some(len as u64))).await.expect("room");
                for from in (0..len).step_by(piece) {
                    draft.write(text.slice(from..len.min(from + piece))).await.expect("a write");
                }
                let prepend = Bytes::from_static(b"Received: from x\r\n\tby y\r\n");
                let units = vec![unit("there.test", &["<r@there.test>"])];
                draft.commit(envelope(), prepend.clone(), units, None).await.expect("a commit");
                let claimed = desk.claim_one("there.test", 0).await;
                assert_eq!((claimed.lease.unit, claimed.size), (unit_id(n, 0), (len + prepend.len()) as u64));
                assert_eq!(*claimed.envelope, envelope(), "the envelope is as it was committed");
                let body = desk.body(id(n)).await.expect("a text");
                assert_eq!((body.len(), body.is_empty(), body.prepend()), (len as u64, len == 0, &prepend));
                assert!(
                    read(&body, 100_000).await == text && read(&body, 33_333).await == text,
                    "{len} bytes in pieces of {piece} are read as they were written, twice"
                );
                assert_eq!(body.read_at(len as u64 + 1, 10).await.expect("a read"), Bytes::new());
                assert_eq!(desk.end(claimed.lease, vec![(0, relayed(0))], crate::Next::Finish).await, GONE);
                assert!(matches!(desk.body(id(n)).await.map(|_| ()), Err(QueueError::NotFound)), "it is gone");
                assert!(read(&body, 1 << 20).await == text, "a reader outlives its message");
            }
        }
        assert_eq!(desk.all().await, []);
        assert!(matches!(desk.body(id(999)).await.map(|_| ()), Err(QueueError::NotFound)), "it never was");
    });
}

/// Each piece of a large text tells its place.
const PIECE: usize = 16 << 10;

/// Puts a text of so many bytes into the queue in small pieces, reads it back, and takes it out again;
/// never more of it than a piece is in the suite's memory. Whoever calls it looks at the memory of
/// the process, before and after.
pub fn large_text<S: Store>(store: &S, queue: &S::Queue, len: u64) {
    let piece = |from: u64| Bytes::from(vec![(from / PIECE as u64 % 251) as u8; PIECE.min((len - from) as usize)]);
    store.block_on(async {
        let mut draft = queue.draft(id(0), SizeHint(Some(len))).await.expect("room for a large text");
        for from in (0..len).step_by(PIECE) {
            draft.write(piece(from)).await.expect("a write");
        }
        let units = vec![due("large", 0)];
        draft.commit(envelope(), Bytes::new(), units, None).await.expect("a commit");
        let body = queue.body(id(0)).await.expect("a text");
        assert_eq!(body.len(), len);
        let mut at = 0;
        while at < len {
            let read = body.read_at(at, usize::MAX).await.expect("a read");
            assert!(!read.is_empty() && read.len() as u64 <= len - at, "a read gives at least one byte");
            for (offset, byte) in (at..).zip(&read) {
                assert_eq!(*byte, (offset / PIECE as u64 % 251) as u8, "byte {offset}");
            }
            at += read.len() as u64;
        }
        let removed = crate::Manage::apply(queue, &Filter::message(id(0)), crate::Action::Remove).await;
        assert_eq!(removed.expect("an action"), 1);
    });
}
