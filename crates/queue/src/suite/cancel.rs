//! Futures that are dropped half-way.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;

use super::Store;
use super::parts::*;
use crate::{
    Action, Draft, Durability, Filter, HoldReason, Manage, Next, Queue, QueueError, RcptNo, Settlement, SizeHint,
};

/// Polls a future so many times, then drops it; says what came out if it was done by then.
async fn polled<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..times {
        if let Poll::Ready(output) = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await {
            return Some(output);
        }
        std::thread::yield_now();
    }
    None
}

pub(super) fn futures_may_be_dropped<S: Store>(store: &S) {
    let queue = store.fresh();
    let units = || vec![due("a", 0)];
    for (n, polls) in [0, 1, 1, 2, 3, 10, 1_000].into_iter().enumerate() {
        let n = u16::try_from(n).expect("a few");
        store.block_on(async {
            let mut draft = queue.draft(id(n), SizeHint::UNKNOWN).await.expect("room");
            if polled(polls, draft.write(Bytes::from(vec![b'x'; 200_000]))).await.is_none() && polls > 0 {
                // A piece may be missing: this never becomes a message.
                assert_invalid(draft.write(Bytes::from_static(b"more")).await);
                assert_invalid(draft.commit(envelope(), Bytes::new(), units(), None).await);
                draft = queue.draft(id(n), SizeHint::UNKNOWN).await.expect("room");
            }
            polled(polls, draft.commit(envelope(), Bytes::new(), units(), None)).await;
            // The outcome is unknown; the same commit again finds out, and there is one message.
            let draft = queue.draft(id(n), SizeHint::UNKNOWN).await.expect("room");
            draft.commit(envelope(), Bytes::new(), units(), None).await.expect("a commit");
            assert_eq!(entries(&queue, &Filter::message(id(n))).await.len(), 1);

            let lease = claim_one(&queue, "a", 0).await.lease;
            let settlement =
                || Settlement { results: vec![(RcptNo(0), deferred(0))], ..Settlement::new(Next::RetryAt(at(60))) };
            polled(polls, queue.settle(lease, settlement(), Durability::Sync)).await;
            match queue.settle(lease, settlement(), Durability::Sync).await {
                Ok(_) | Err(QueueError::LeaseLost) => {}
                Err(error) => panic!("{error}"),
            }
            let entry = only_entry(&queue, n).await;
            assert_eq!((entry.attempts, entry.due), (1, at(60)), "once, whoever did it");

            let hold = Action::Hold(HoldReason::new("x"));
            polled(polls, queue.apply(&Filter::message(id(n)), hold)).await;
            queue.apply(&Filter::message(id(n)), Action::Remove).await.expect("an action");
            assert_eq!(entries(&queue, &Filter::all()).await, []);
        });
    }
    if let Ok(queue) = store.reopen(queue) {
        assert_eq!(store.block_on(entries(&queue, &Filter::all())), [], "nothing half-done is left");
    }
}
