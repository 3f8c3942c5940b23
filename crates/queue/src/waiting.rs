//! Who waits for something to become ready, and the news nobody has heard yet.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use hikyaku_wire::Timestamp;

/// A list of wakers, each with the latest due time it cares for.
#[derive(Debug, Default)]
pub struct Waiting {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The earliest due time that no waiter was told of.
    unheard: Option<Timestamp>,
    waiters: BTreeMap<u64, Waiter>,
    next: u64,
}

#[derive(Debug)]
struct Waiter {
    until: Timestamp,
    waker: Waker,
    told: Option<Timestamp>,
}

impl Waiting {
    /// Something is, or will be, ready at `due`.
    pub fn announce(&self, due: Timestamp) {
        let mut state = self.lock();
        let mut heard = false;
        for waiter in state.waiters.values_mut().filter(|waiter| waiter.until >= due) {
            heard = true;
            waiter.told = Some(waiter.told.map_or(due, |told| told.min(due)));
            waiter.waker.wake_by_ref();
        }
        if !heard {
            state.keep(due);
        }
    }

    /// Waits for an announcement no later than `until`.
    pub fn wait(&self, until: Timestamp) -> Wait<'_> {
        Wait { waiting: self, until, ticket: None }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the list of waiters")
    }
}

impl State {
    fn keep(&mut self, due: Timestamp) {
        self.unheard = Some(self.unheard.map_or(due, |unheard| unheard.min(due)));
    }
}

/// The future of [`Waiting::wait`].
pub struct Wait<'a> {
    waiting: &'a Waiting,
    until: Timestamp,
    ticket: Option<u64>,
}

impl Future for Wait<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let until = self.until;
        let mut state = self.waiting.lock();
        if let Some(ticket) = self.ticket {
            if let Some(waiter) = state.waiters.get_mut(&ticket)
                && waiter.told.is_none()
            {
                waiter.waker.clone_from(cx.waker());
                return Poll::Pending;
            }
            state.waiters.remove(&ticket);
            drop(state);
            self.ticket = None;
            return Poll::Ready(());
        }
        if state.unheard.is_some_and(|due| due <= until) {
            state.unheard = None;
            return Poll::Ready(());
        }
        let ticket = state.next;
        state.next += 1;
        state.waiters.insert(ticket, Waiter { until, waker: cx.waker().clone(), told: None });
        drop(state);
        self.ticket = Some(ticket);
        Poll::Pending
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let mut state = self.waiting.lock();
            // Told but never polled again: the news is for the next one who waits.
            if let Some(due) = state.waiters.remove(&ticket).and_then(|waiter| waiter.told) {
                state.keep(due);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn poll(wait: Pin<&mut Wait<'_>>) -> bool {
        wait.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn news_before_the_wait_ends_it_once() {
        let waiting = Waiting::default();
        waiting.announce(at(50));
        assert!(!poll(pin!(waiting.wait(at(49)))));
        assert!(poll(pin!(waiting.wait(at(50)))));
        assert!(!poll(pin!(waiting.wait(at(50)))));
    }

    #[test]
    fn all_who_care_are_told() {
        let waiting = Waiting::default();
        let mut early = pin!(waiting.wait(at(10)));
        let mut late = pin!(waiting.wait(at(100)));
        let mut later = pin!(waiting.wait(at(200)));
        assert!(!poll(early.as_mut()) && !poll(late.as_mut()) && !poll(later.as_mut()));
        waiting.announce(at(50));
        assert!(!poll(early.as_mut()) && poll(late.as_mut()) && poll(later.as_mut()));
    }

    #[test]
    fn a_dropped_waiter_hands_its_news_on() {
        let waiting = Waiting::default();
        {
            let mut dropped = pin!(waiting.wait(at(100)));
            assert!(!poll(dropped.as_mut()));
            waiting.announce(at(50));
        }
        assert!(poll(pin!(waiting.wait(at(60)))));
        assert!(waiting.lock().waiters.is_empty());
    }
}
