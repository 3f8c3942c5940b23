//! Waiting for work, without polling.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use super::Store;
use super::flow::settlement;
use super::parts::*;
use crate::{Action, Durability, Filter, Gate, HoldReason, Manage, Next, Queue, QueueKey};

struct Rings(AtomicUsize);

impl Wake for Rings {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Whether somebody who waits until then is woken by the event, without any polling in between.
async fn wakes(queue: &impl Queue, until: i64, event: impl Future<Output = ()>) -> bool {
    // News from before.
    while queue.wait_ready_now(until) {}
    let rings = Arc::new(Rings(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&rings));
    let mut wait = pin!(queue.wait_ready(at(until)));
    assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    event.await;
    let rung = rings.0.load(Ordering::SeqCst) > 0;
    assert_eq!(rung, wait.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
    rung
}

trait WaitReadyNow: Queue {
    fn wait_ready_now(&self, until: i64) -> bool {
        pin!(self.wait_ready(at(until))).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }
}

impl<Q: Queue> WaitReadyNow for Q {}

pub(super) fn waiting_ends<S: Store>(store: &S) {
    let queue = store.fresh();
    store.block_on(async {
        let act = async |action| _ = queue.apply(&Filter::all(), action).await.expect("an action");
        let gate = async |gate| queue.gate(&QueueKey::new("b"), gate).await.expect("a gate");
        assert!(wakes(&queue, 0, enqueue(&queue, 1, vec![due("a", 0)])).await, "a commit wakes");
        assert!(!wakes(&queue, 5, enqueue(&queue, 2, vec![due("b", 6)])).await, "what is due later does not");
        assert!(queue.wait_ready_now(6), "but it is kept for who waits longer");
        assert!(!queue.wait_ready_now(6), "once");
        assert!(wakes(&queue, 5, act(Action::Retry(at(5)))).await, "a retry wakes");
        assert!(!wakes(&queue, 5, gate(Gate::Paused)).await);
        assert!(wakes(&queue, 9, gate(Gate::Open)).await, "opening a gate wakes");
        assert!(!wakes(&queue, 9, act(Action::Hold(HoldReason::new("x")))).await);
        assert!(wakes(&queue, 9, act(Action::Release(at(8)))).await, "a release wakes");
        let lease = claim_one(&queue, "a", 8).await.lease;
        assert!(wakes(&queue, 9, async { queue.release(lease, at(9)).await.expect("a lease") }).await);
        let lease = claim_one(&queue, "a", 9).await.lease;
        let settle = settlement(vec![(0, deferred(9))], Next::RetryAt(at(20)));
        let settled = async { _ = queue.settle(lease, settle, Durability::Sync).await.expect("a lease") };
        assert!(wakes(&queue, 20, settled).await);
        enqueue(&queue, 3, vec![due("c", 1)]).await;
        assert!(queue.wait_ready_now(1), "what came while nobody waited ends the next wait");
    });
}
