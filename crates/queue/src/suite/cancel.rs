//! Futures that are dropped half-way.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;

use super::Store;
use super::parts::*;
use crate::{
    Action, BodyReader, CountBy, Draft, Durability, Filter, Gate, HoldReason, KeyQuota, Manage, Next, Queue,
    QueueError, QueueKey, Settlement, SizeHint, WorkerId,
};

/// How many times futures are polled before they are dropped.
const POLLS: [usize; 8] = [0, 1, 1, 2, 3, 5, 10, 1_000];

/// How often it is looked for what a dropped future may still bring about.
const PATIENCE: usize = 100_000;

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

pub(super) fn writes_may_be_dropped<S: Store>(store: &S) {
    let desk = Desk::fresh(store);
    let units = || vec![due("a", 0)];
    for (n, polls) in (0..).zip(POLLS) {
        store.block_on(async {
            let mut draft = desk.open_draft(n).await;
            if polled(polls, draft.write(Bytes::from(vec![b'x'; 200_000]))).await.is_none() && polls > 0 {
                // A piece may be missing: this never becomes a message.
                assert_invalid(draft.write(Bytes::from_static(b"more")).await);
                assert_invalid(draft.commit(envelope(), Bytes::new(), units(), None).await);
                draft = desk.open_draft(n).await;
            }
            polled(polls, draft.commit(envelope(), Bytes::new(), units(), None)).await;
            // The outcome is unknown; the same commit again finds out, and there is one message.
            let draft = desk.open_draft(n).await;
            draft.commit(envelope(), Bytes::new(), units(), None).await.expect("a commit");
            assert_eq!(desk.entries(&Filter::message(id(n))).await.len(), 1, "one message, whoever made it");

            let lease = desk.claim_one("a", 0).await.lease;
            let settlement = || settlement(vec![(0, deferred(0))], Next::RetryAt(at(60)));
            polled(polls, desk.settle(lease, settlement(), Durability::Sync)).await;
            match desk.settle(lease, settlement(), Durability::Sync).await {
                Ok(_) | Err(QueueError::LeaseLost) => {}
                Err(error) => panic!("{error}"),
            }
            let mut entry = desk.only_entry(n).await;
            let mut patience = PATIENCE;
            while entry.attempts == 0 && patience > 0 {
                patience -= 1;
                std::thread::yield_now();
                entry = desk.only_entry(n).await;
            }
            assert_eq!((entry.attempts, entry.due), (1, at(60)), "once, whoever did it");

            let hold = Action::Hold(HoldReason::new("x"));
            polled(polls, desk.apply(&Filter::message(id(n)), hold)).await;
            desk.act(&Filter::message(id(n)), Action::Remove).await;
            assert_eq!(desk.all().await, []);
        });
    }
    if let Ok(desk) = desk.reopen() {
        assert_eq!(store.block_on(desk.all()), [], "nothing half-done is left");
    }
}

pub(super) fn sealing_may_be_dropped<S: Store>(store: &S) {
    let desk = Desk::fresh(store);
    for (n, polls) in (0..).zip(POLLS) {
        let (n, dropped, follows) = (3 * n, 3 * n + 1, 3 * n + 2);
        store.block_on(async {
            desk.enqueue(n, vec![due("a", 0)]).await;
            let lease = desk.claim_one("a", 0).await.lease;
            let draft = desk.open_draft(dropped).await;
            polled(polls, draft.seal(envelope(), Bytes::new(), vec![due("bounce", 0)])).await;
            desk.nothing_due("bounce", 0).await;
            let follow_up = vec![desk.sealed(follows, "bounce").await];
            let settlement = Settlement { follow_up, ..settlement(vec![(0, failed(0))], Next::Finish) };
            polled(polls, desk.settle(lease, settlement, Durability::Sync)).await;
            match desk.settle(lease, crate::Settlement::new(Next::RetryAt(at(0))), Durability::Sync).await {
                Ok(_) => {
                    desk.nothing_due("bounce", 0).await;
                    desk.finish("a", 0).await;
                }
                Err(QueueError::LeaseLost) => {
                    // It may still be on its way; both happen at once.
                    let there = async || desk.all().await.iter().map(|entry| entry.unit.msg).collect::<Vec<_>>();
                    let mut left = there().await;
                    let mut patience = PATIENCE;
                    while left == [id(n)] && patience > 0 {
                        patience -= 1;
                        std::thread::yield_now();
                        left = there().await;
                    }
                    assert_eq!(left, [id(follows)], "the message that was settled, or the one that follows it");
                    desk.finish("bounce", 0).await;
                }
                Err(error) => panic!("{error}"),
            }
            assert_eq!(desk.all().await, []);
        });
    }
    if let Ok(desk) = desk.reopen() {
        assert_eq!(store.block_on(desk.all()), [], "nothing half-done is left");
    }
}

pub(super) fn everything_else_may_be_dropped<S: Store>(store: &S) {
    let desk = Desk::fresh(store);
    store.block_on(desk.enqueue(1, vec![due("a", 0), due("b", 0)]));
    // Each round lies after the leases of the one before, whoever had them.
    for (round, polls) in (0..).zip(POLLS) {
        let minutes = round * 100;
        store.block_on(async {
            let now = desk.time(minutes).await;
            polled(polls, desk.draft(id(9), SizeHint::UNKNOWN)).await;
            polled(polls, desk.due_keys(now, None, 9)).await;
            let want = [KeyQuota { key: QueueKey::new("a"), max: 1 }];
            polled(polls, desk.claim(WorkerId::new("w"), now, &want, MINUTE)).await;
            polled(polls, desk.wait_ready(now)).await;
            polled(polls, desk.list(&Filter::all(), None, 9)).await;
            polled(polls, desk.counts(CountBy::All)).await;
            if let Some(body) = polled(polls, desk.body(id(1))).await {
                let body = body.expect("a text");
                polled(polls, body.read_at(0, 9)).await;
                assert_eq!(&read(&body, 9).await[..], b"Subject: x\r\n\r\nx\r\n", "a reader goes on");
            }
            polled(polls, desk.gate(&QueueKey::new("b"), Gate::Paused)).await;
            desk.gate(&QueueKey::new("b"), Gate::Open).await.expect("a gate");
            // A claim that was dropped may have got the unit: it comes back when that lease is over.
            let lease = desk.claim_one("a", minutes + 1).await.lease;
            polled(polls, desk.extend(&lease, MINUTE)).await;
            let longer = desk.extend(&lease, MINUTE).await.expect("the lease is current").expires;
            assert!([at(minutes + 7), at(minutes + 8)].contains(&longer), "{longer:?}");
            polled(polls, desk.release(lease, at(0))).await;
            match desk.release(lease, at(0)).await {
                Ok(()) | Err(QueueError::LeaseLost) => {}
                Err(error) => panic!("{error}"),
            }
            let lease = desk.claim_one("b", minutes + 1).await.lease;
            desk.release(lease, at(0)).await.expect("the lease is current");
            assert_eq!(desk.all().await.len(), 2);
        });
    }
}
