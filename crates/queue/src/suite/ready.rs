//! Waiting for work, without polling.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use super::Store;
use super::parts::*;
use crate::{Action, Durability, Filter, Gate, HoldReason, Manage, Next, Queue, QueueKey};

struct Rings(AtomicUsize);

impl Wake for Rings {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl<S: Store> Desk<'_, S> {
    fn is_ready_now(&self, until: i64) -> bool {
        pin!(self.wait_ready(at(until))).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    /// Whether somebody who waits until then is woken by the event, without any polling in between.
    async fn wakes(&self, until: i64, event: impl Future<Output = ()>) -> bool {
        // News from before.
        while self.is_ready_now(until) {}
        let rings = Arc::new(Rings(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&rings));
        let mut wait = pin!(self.wait_ready(at(until)));
        assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending(), "nothing is news twice");
        event.await;
        let rung = rings.0.load(Ordering::SeqCst) > 0;
        let ready = wait.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        assert!(rung || !ready, "what is ready has woken");
        ready
    }
}

pub(super) fn waiting_ends<S: Store>(store: &S) {
    let desk = Desk::fresh(store);
    let exact = store.hints_are_exact();
    store.block_on(async {
        desk.time(9).await;
        let act = async |action| _ = desk.act(&Filter::all(), action).await;
        let gate = async |gate| desk.gate(&QueueKey::new("b"), gate).await.expect("a gate");
        assert!(desk.wakes(0, desk.enqueue(1, vec![due("a", 0)])).await, "a commit wakes");
        let later = desk.wakes(5, desk.enqueue(2, vec![due("b", 6)])).await;
        assert!(!(exact && later), "what is due later does not wake");
        assert!(later || desk.is_ready_now(6), "but it is kept for who waits longer");
        assert!(!(exact && desk.is_ready_now(6)), "once");
        assert!(desk.wakes(5, act(Action::Retry(at(5)))).await, "a retry wakes");
        assert!(!desk.wakes(5, gate(Gate::Paused)).await || !exact, "closing a gate does not wake");
        assert!(desk.wakes(9, gate(Gate::Open)).await, "opening a gate wakes");
        assert!(!desk.wakes(9, act(Action::Hold(HoldReason::new("x")))).await || !exact, "a hold does not wake");
        assert!(desk.wakes(9, act(Action::Release(at(8)))).await, "a release of what was held wakes");
        let lease = desk.claim_one("a", 8).await.lease;
        let release = async { desk.release(lease, at(9)).await.expect("a lease") };
        assert!(desk.wakes(9, release).await, "giving a lease back wakes");
        let lease = desk.claim_one("a", 9).await.lease;
        let settle = settlement(vec![(0, deferred(9))], Next::RetryAt(at(20)));
        let settled = async { _ = desk.settle(lease, settle, Durability::Sync).await.expect("a lease") };
        assert!(desk.wakes(20, settled).await, "a settlement wakes who waits for the retry");
        let lease = desk.claim_one("b", 9).await.lease;
        let follow_up = vec![desk.sealed(7, "c").await];
        let settle = crate::Settlement { follow_up, ..settlement(vec![(0, failed(9))], Next::Finish) };
        let settled = async { _ = desk.settle(lease, settle, Durability::Sync).await.expect("a lease") };
        assert!(desk.wakes(9, settled).await, "what follows a settlement wakes");
        desk.enqueue(3, vec![due("c", 1)]).await;
        assert!(desk.is_ready_now(1), "what came while nobody waited ends the next wait");
    });
}
