//! The conformance suite that every back-end must pass.
//!
//! A back-end implements [`Store`] in its tests and calls [`run`]; what a queue must do is what
//! these functions assert. They panic at the first thing that is not so.

mod cancel;
mod flow;
mod manage;
mod parts;
mod ready;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use crate::{Manage, Queue};

/// How the suite gets queues of one kind.
pub trait Store: Sync {
    /// The kind of queue.
    type Queue: Queue + Manage;

    /// An empty queue with its defaults.
    fn fresh(&self) -> Self::Queue;

    /// The same queue, closed and opened again.
    ///
    /// # Errors
    /// The queue as it was, if it would not outlive that.
    fn reopen(&self, queue: Self::Queue) -> Result<Self::Queue, Self::Queue>;

    /// An empty queue without room for a message of a mebibyte.
    fn full(&self) -> Self::Queue;

    /// Runs a future to its end, in whatever surroundings the queue needs.
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        block_on(future)
    }
}

/// Asserts everything that a queue must do.
pub fn run<S: Store>(store: &S) {
    flow::texts_come_back(store);
    flow::drafts_are_invisible(store);
    flow::commits_are_idempotent(store);
    flow::submissions_are_idempotent(store);
    flow::claims_follow_due_times(store);
    flow::one_holder_each(store);
    flow::leases_expire(store);
    flow::results_stay(store);
    flow::follow_ups_come_with_the_settlement(store);
    flow::retries_are_counted(store);
    flow::units_expire(store);
    flow::splits_lose_nobody(store);
    ready::waiting_ends(store);
    flow::full_says_so(store);
    flow::clocks_may_jump(store);
    manage::actions_by_every_field(store);
    manage::actions_on_leased_units(store);
    manage::pages_are_stable(store);
    manage::gates_close_keys(store);
    manage::everything_outlives_reopening(store);
    cancel::futures_may_be_dropped(store);
}

/// Runs a future to its end on this thread, without a runtime.
pub fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}
