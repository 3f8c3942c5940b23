//! A lease as its holder sees it: how long it may go on.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hikyaku_wire::Timestamp;
use tokio::time::sleep;

use crate::now;

/// How long the unit is ours, measured here, from before the queue was asked: a queue on another
/// machine has another clock. Neither a clock that is set back nor one that stands still while the
/// machine sleeps makes it longer, because two are asked.
#[derive(Debug)]
pub(super) struct Hold {
    margin: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    until: Option<Instant>,
    wall: Timestamp,
    /// The final dot is out, or something else that cannot be taken back.
    committed: bool,
}

impl Hold {
    /// To be made before the unit is claimed for `lease`.
    pub(super) fn new(lease: Duration, margin: Duration) -> Self {
        let state =
            State { until: Instant::now().checked_add(lease), wall: now().saturating_add(lease), committed: false };
        Self { margin, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The queue has made the lease longer.
    pub(super) fn extended(&self, by: Duration) {
        let mut state = self.lock();
        state.until = state.until.and_then(|until| until.checked_add(by));
        state.wall = state.wall.saturating_add(by);
    }

    /// How long the lease goes on.
    fn left(state: &State) -> Duration {
        // A time that cannot be written is never.
        let left = state.until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
        left.min(state.wall.saturating_since(now()))
    }

    /// How much is missing of the whole lease, at the most: by so much it may be made longer.
    pub(super) fn gone(&self, lease: Duration) -> Duration {
        lease.saturating_sub(Self::left(&self.lock()))
    }

    /// Whether something may begin that takes no longer than the margin.
    pub(super) fn may_begin(&self) -> bool {
        Self::left(&self.lock()) > self.margin
    }

    /// The same, for what cannot be taken back. From then on it is worth waiting to the very end:
    /// who does not learn what became of it does it again.
    pub(super) fn commit(&self) -> bool {
        let mut state = self.lock();
        let may = Self::left(&state) > self.margin;
        state.committed |= may;
        may
    }

    /// What was sent before is settled, and the next may be given up again.
    pub(super) fn begin_again(&self) {
        self.lock().committed = false;
    }

    /// Ends when the holder has to stop.
    pub(super) async fn is_over(&self) {
        loop {
            let left = {
                let state = self.lock();
                let kept = if state.committed { Duration::ZERO } else { self.margin };
                Self::left(&state).saturating_sub(kept)
            };
            if left.is_zero() {
                return;
            }
            sleep(left).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// After so much time, by one clock or the other.
    fn later(hold: &Hold, monotonic: Duration, wall: Duration) {
        let mut state = hold.lock();
        state.until = state.until.and_then(|until| until.checked_sub(monotonic));
        state.wall = state.wall.saturating_sub(wall);
    }

    #[test]
    fn the_margin_is_kept_by_either_clock() {
        let hold = || Hold::new(5 * MINUTE, MINUTE);
        assert!(hold().may_begin() && hold().commit());
        for (monotonic, wall) in [(4 * MINUTE, Duration::ZERO), (Duration::ZERO, 4 * MINUTE)] {
            let hold = hold();
            later(&hold, monotonic, wall);
            assert!(!hold.may_begin() && !hold.commit() && !hold.lock().committed);
            assert!(hold.gone(5 * MINUTE) >= 4 * MINUTE);
            hold.extended(MINUTE);
            assert!(hold.may_begin() && hold.commit() && hold.lock().committed);
            hold.begin_again();
            assert!(!hold.lock().committed);
        }
        assert!(!Hold::new(MINUTE, MINUTE).may_begin());
        assert!(Hold::new(Duration::MAX, MINUTE).may_begin());
    }

    #[tokio::test]
    async fn it_is_over_at_the_margin_or_after_the_dot_at_the_end() {
        let hold = Hold::new(MINUTE, MINUTE);
        hold.is_over().await;
        let hold = Hold::new(2 * MINUTE, MINUTE);
        assert!(hold.commit());
        later(&hold, MINUTE + MINUTE / 2, Duration::ZERO);
        let soon = tokio::time::timeout(Duration::from_millis(1), hold.is_over()).await;
        assert!(soon.is_err(), "half a minute is left");
        later(&hold, MINUTE / 2, Duration::ZERO);
        hold.is_over().await;
    }
}
