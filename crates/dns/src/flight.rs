//! Single flight: of those who want the same at the same time one asks, and
//! all have the answer.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// What is being asked for right now.
pub(crate) struct Flights<K, V> {
    flights: Mutex<HashMap<K, Arc<Flight<V>>>>,
}

struct Flight<V> {
    state: Mutex<State<V>>,
}

enum State<V> {
    Flying(Vec<Waker>),
    Landed(V),
    /// Who asked was dropped before the answer came.
    Lost,
}

impl<K: Clone + Eq + Hash, V: Clone> Flights<K, V> {
    pub(crate) fn new() -> Self {
        Self { flights: Mutex::new(HashMap::new()) }
    }

    /// Runs `ask` unless somebody already does so for the same key, then waits
    /// for theirs; should they be dropped, another one asks.
    ///
    /// `known` is looked at before each flight, under the lock under which the
    /// flight before it ended, so that nothing is asked for twice.
    pub(crate) async fn join<F: Future<Output = V>>(
        &self,
        key: &K,
        known: impl Fn() -> Option<V>,
        learn: impl FnOnce(&V),
        ask: F,
    ) -> V {
        loop {
            let seat = {
                let mut flights = lock(&self.flights);
                if let Some(value) = known() {
                    return value;
                }
                match flights.get(key) {
                    Some(flight) => Err(Arc::clone(flight)),
                    None => {
                        let flight = Arc::new(Flight { state: Mutex::new(State::Flying(Vec::new())) });
                        flights.insert(key.clone(), Arc::clone(&flight));
                        Ok(flight)
                    }
                }
            };
            match seat {
                Ok(flight) => {
                    let pilot = Pilot { flights: self, key, flight };
                    let value = ask.await;
                    pilot.land(&value, learn);
                    return value;
                }
                Err(flight) => {
                    if let Some(value) = flight.landing().await {
                        return value;
                    }
                }
            }
        }
    }
}

impl<V: Clone> Flight<V> {
    /// Waits for the end; `None` if the flight was lost.
    async fn landing(&self) -> Option<V> {
        let mut place = None;
        std::future::poll_fn(|context| match &mut *lock(&self.state) {
            State::Landed(value) => Poll::Ready(Some(value.clone())),
            State::Lost => Poll::Ready(None),
            State::Flying(wakers) => {
                let waker = context.waker().clone();
                match place {
                    Some(place) => wakers[place] = waker,
                    None => {
                        place = Some(wakers.len());
                        wakers.push(waker);
                    }
                }
                Poll::Pending
            }
        })
        .await
    }

    fn end(&self, end: State<V>) {
        let before = std::mem::replace(&mut *lock(&self.state), end);
        if let State::Flying(wakers) = before {
            wakers.into_iter().for_each(Waker::wake);
        }
    }
}

/// Who asks; lets the others go on if dropped.
struct Pilot<'a, K: Eq + Hash, V: Clone> {
    flights: &'a Flights<K, V>,
    key: &'a K,
    flight: Arc<Flight<V>>,
}

impl<K: Eq + Hash, V: Clone> Pilot<'_, K, V> {
    fn land(self, value: &V, learn: impl FnOnce(&V)) {
        let mut flights = lock(&self.flights.flights);
        learn(value);
        flights.remove(self.key);
        drop(flights);
        self.flight.end(State::Landed(value.clone()));
    }
}

impl<K: Eq + Hash, V: Clone> Drop for Pilot<'_, K, V> {
    fn drop(&mut self) {
        let landed = !matches!(&*lock(&self.flight.state), State::Flying(_));
        if !landed {
            lock(&self.flights.flights).remove(self.key);
            self.flight.end(State::Lost);
        }
    }
}

/// What these locks guard is whole after each statement, so that a panic of
/// somebody who held one spoils nothing.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake};

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn who_waits_is_woken_and_takes_over_from_who_is_dropped() {
        let flights = Flights::<u8, u8>::new();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        let open = AtomicUsize::new(0);
        let ask = |value: u8| {
            let open = &open;
            std::future::poll_fn(move |_| match open.load(Ordering::Relaxed) {
                0 => Poll::Pending,
                _ => Poll::Ready(value),
            })
        };
        let join = |value| flights.join(&1, || None, |_| {}, ask(value));

        let mut first = Box::pin(join(10));
        let mut second = pin!(join(20));
        let mut third = pin!(join(30));
        assert!(first.as_mut().poll(&mut context).is_pending());
        // Polled twice, woken once.
        for _ in 0..2 {
            assert!(second.as_mut().poll(&mut context).is_pending());
        }
        assert!(third.as_mut().poll(&mut context).is_pending());
        drop(first);
        assert_eq!(woken.0.swap(0, Ordering::Relaxed), 2);
        assert!(second.as_mut().poll(&mut context).is_pending());
        assert!(third.as_mut().poll(&mut context).is_pending());
        open.store(1, Ordering::Relaxed);
        assert_eq!(second.as_mut().poll(&mut context), Poll::Ready(20));
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert_eq!(third.as_mut().poll(&mut context), Poll::Ready(20));
        assert!(lock(&flights.flights).is_empty());
    }

    #[test]
    fn what_was_learnt_is_known_to_who_comes_later() {
        let flights = Flights::<u8, u8>::new();
        let learnt = Mutex::new(None);
        let mut context = Context::from_waker(Waker::noop());
        let join = |value| {
            let known = || *lock(&learnt);
            let learn = |value: &u8| *lock(&learnt) = Some(*value);
            flights.join(&1, known, learn, std::future::ready(value))
        };
        assert_eq!(pin!(join(1)).poll(&mut context), Poll::Ready(1));
        assert_eq!(pin!(join(2)).poll(&mut context), Poll::Ready(1));
    }

    #[test]
    fn a_panic_loses_the_flight_and_not_the_others() {
        let flights = Flights::<u8, u8>::new();
        let mut context = Context::from_waker(Waker::noop());
        let panics = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let ask = async { panic!("the resolver") };
            pin!(flights.join(&1, || None, |_| {}, ask)).poll(&mut context)
        }));
        assert!(panics.is_err());
        let after = pin!(flights.join(&1, || None, |_| {}, std::future::ready(2))).poll(&mut context);
        assert_eq!(after, Poll::Ready(2));
    }
}
