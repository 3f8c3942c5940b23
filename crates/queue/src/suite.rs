//! The conformance suite that every back-end must pass, one of your own too.
//!
//! A back-end implements [`Store`] in its tests, which is how the suite gets empty queues, closes
//! and opens them, and tells them the time; then it calls [`run`], and [`model::run`] with as many
//! moves as it has time for. What a queue must do is what these assert; a failure names the promise
//! that was broken. [`promises`] lists them, for one test each.
//!
//! ```
//! use hikyaku_queue::{Memory, suite::{self, Store}};
//!
//! struct InMemory;
//!
//! impl Store for InMemory {
//!     type Queue = Memory;
//!
//!     fn fresh(&self) -> Memory {
//!         Memory::new()
//!     }
//!
//!     fn reopen(&self, queue: Memory) -> Result<Memory, Memory> {
//!         Err(queue) // it would not outlive that
//!     }
//!
//!     fn full(&self) -> Memory {
//!         Memory::with_capacity(1_000)
//!     }
//! }
//!
//! suite::run(&InMemory);
//! suite::model::run(&InMemory, 1, 200);
//! ```
//!
//! What only the back-end itself can bring about, it tests itself: a store that fails or dies
//! half-way, and the memory that [`large_text`] takes.

mod cancel;
mod claims;
mod commits;
mod limits;
mod manage;
pub mod model;
mod pages;
mod parts;
mod ready;
mod settlements;
mod texts;

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use hikyaku_wire::Timestamp;

pub use self::texts::large_text;
use crate::{Manage, Queue};

/// How the suite gets queues of one kind.
pub trait Store: Sync {
    /// The kind of queue.
    type Queue: Queue + Manage;

    /// An empty queue with its defaults.
    fn fresh(&self) -> Self::Queue;

    /// The same queue, closed and opened again. Leases may outlive that or end with it. This is where
    /// to look whether space was given back.
    ///
    /// # Errors
    /// The queue as it was, if it would not outlive that.
    fn reopen(&self, queue: Self::Queue) -> Result<Self::Queue, Self::Queue>;

    /// An empty queue without room for a message of a mebibyte.
    fn full(&self) -> Self::Queue;

    /// A queue with a message or more that has become read-only, if that can be brought about.
    fn read_only(&self) -> Option<Self::Queue> {
        None
    }

    /// Lets it be this time for the queue, for one that does not take the time from its arguments.
    /// The clock then stands still; it may be set back.
    fn set_time(&self, queue: &Self::Queue, now: Timestamp) -> impl Future<Output = ()> + Send {
        let _ = (queue, now);
        std::future::ready(())
    }

    /// Whether [`wait_ready`](Queue::wait_ready) never ends for nothing.
    fn hints_are_exact(&self) -> bool {
        true
    }

    /// Runs a future to its end, in whatever surroundings the queue needs; also from several
    /// threads at once.
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        block_on(future)
    }
}

/// One thing that every queue promises.
pub struct Promise<S> {
    /// A name that may be that of a test.
    pub name: &'static str,
    /// What is promised.
    pub text: &'static str,
    check: fn(&S),
}

impl<S: Store> Promise<S> {
    /// Asserts it of queues that this store makes.
    ///
    /// # Panics
    /// The promise is broken; the message names it.
    pub fn check(&self, store: &S) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| (self.check)(store))) {
            panic!("the queue breaks its promise `{}` ({}): {}", self.name, self.text, message(&*payload));
        }
    }
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let owned = payload.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| payload.downcast_ref().copied()).unwrap_or("a panic")
}

macro_rules! promises {
    ($($module:ident::$name:ident: $text:literal,)*) => {
        vec![$(Promise { name: stringify!($name), text: $text, check: $module::$name::<S> },)*]
    };
}

/// Everything that a queue must do.
pub fn promises<S: Store>() -> Vec<Promise<S>> {
    promises![
        texts::texts_come_back: "a text is read as it was written, whatever is in it, while a reader lives",
        commits::drafts_are_invisible: "nothing of a message is seen before its commit, or stays if there is none",
        commits::commits_are_idempotent: "an id is one message, and one that is finished does not come back",
        commits::submissions_are_idempotent: "a submission with the same key within an hour is the same message",
        commits::many_commits_at_once: "commits of many threads make each message once",
        commits::follow_ups_come_with_the_settlement: "what follows a settlement appears with it",
        commits::refused_settlements_bring_nothing: "a settlement that is refused changes nothing and brings nothing",
        claims::claims_follow_due_times: "units are claimed when they are due, in the order (due, id), within quotas",
        claims::one_holder_each: "a unit has one holder at a time, and each holder a higher token",
        claims::small_keys_do_not_starve: "a key with many units does not keep small ones waiting",
        claims::leases_expire: "a lease that ran out goes to another holder, and the old one changes nothing",
        claims::tokens_grow_for_ever: "tokens of a unit only grow, whatever happens to the process",
        claims::units_expire: "a unit past its expiry is claimed as expired, but not while it is held",
        claims::clocks_may_jump: "a clock that jumps moves what is due and breaks nothing else",
        settlements::results_stay: "results of recipients stay, and only those that are open come back",
        settlements::retries_are_counted: "attempts are counted, and a retry comes when it was asked for",
        settlements::a_settlement_may_hold: "a unit that a settlement holds stays held",
        settlements::splits_lose_nobody: "a unit is split only if every open recipient goes on, with all that is known",
        settlements::units_of_a_message_are_settled_apart: "units of one message are settled apart, also at once",
        manage::actions_by_every_field: "an action changes what its filter means and nothing else",
        manage::actions_on_leased_units: "an action on a leased unit takes effect when the lease ends; removal at once",
        manage::counts_add_up: "counts are those of the list",
        manage::gates_close_keys: "a gate closes its key, also after reopening, and nothing else",
        pages::pages_are_stable: "a unit that is there all the time is listed once, and cursors outlive reopening",
        pages::pages_are_stable_under_change: "a unit that is there all the time is listed once, while others change",
        pages::everything_outlives_reopening: "every field of a message outlives reopening",
        ready::waiting_ends: "whatever becomes ready ends the wait for it",
        limits::full_says_so: "a full queue says so before it takes a text, and does the rest",
        limits::read_only_writes_nothing: "a read-only queue says so, changes nothing, and can be read",
        cancel::writes_may_be_dropped: "a write, commit, settlement or action that is dropped happened or did not",
        cancel::sealing_may_be_dropped: "a settlement that is dropped happened with what follows it or not at all",
        cancel::everything_else_may_be_dropped: "whatever else is dropped leaves nothing half-done",
    ]
}

/// Asserts everything that a queue must do.
///
/// # Panics
/// A promise is broken; the message names it.
pub fn run<S: Store>(store: &S) {
    promises().iter().for_each(|promise| promise.check(store));
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
