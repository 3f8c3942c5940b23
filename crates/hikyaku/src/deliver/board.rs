//! What is known of the destinations that are being worked on.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hikyaku_queue::QueueKey;
use tokio::sync::Notify;

/// Deliveries at once to a destination of which nothing is known yet.
const FIRST: usize = 2;
/// Destinations of which it is known that they failed, at the most.
const REMEMBERED: usize = 10_000;

/// What a destination has shown of itself.
#[derive(Debug)]
struct Destination {
    running: usize,
    window: usize,
    /// So many times in a row it could not be reached.
    failures: u32,
}

/// The destinations that are being worked on, and a bell for when there is room for more.
#[derive(Debug, Default)]
pub(super) struct Board {
    destinations: Mutex<HashMap<QueueKey, Destination>>,
    pub(super) room: Notify,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, HashMap<QueueKey, Destination>> {
        self.destinations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for one more worker, if there is one.
    pub(super) fn start(self: &Arc<Self>, key: &QueueKey, most: usize) -> Option<Place> {
        let mut destinations = self.lock();
        if destinations.len() >= REMEMBERED {
            destinations.retain(|_, destination| destination.running > 0);
        }
        let new = || Destination { running: 0, window: FIRST, failures: 0 };
        let destination = destinations.entry(key.clone()).or_insert_with(new);
        (destination.running < destination.window.min(most)).then(|| {
            destination.running += 1;
            Place { board: self.clone(), key: key.clone() }
        })
    }

    /// Knows of a destination, from an earlier life, that it could not be reached.
    pub(super) fn remember(&self, key: QueueKey) {
        let mut destinations = self.lock();
        if destinations.len() < REMEMBERED {
            destinations.insert(key, Destination { running: 0, window: 1, failures: 1 });
        }
    }
}

/// A worker's place at a destination; it is free again when this is dropped, by a panic too.
pub(super) struct Place {
    board: Arc<Board>,
    pub(super) key: QueueKey,
}

impl Place {
    /// How many times in a row the destination could not be reached.
    pub(super) fn failures(&self) -> u32 {
        self.board.lock().get(&self.key).map_or(0, |destination| destination.failures)
    }

    /// It is alive; says whether it could not be reached before.
    pub(super) fn answered(&self, most: usize) -> bool {
        let mut was_gone = false;
        if let Some(destination) = self.board.lock().get_mut(&self.key) {
            destination.window = (destination.window + 1).min(most);
            was_gone = std::mem::take(&mut destination.failures) > 0;
        }
        self.board.room.notify_one();
        was_gone
    }

    /// Something went wrong there: less at once from now on.
    pub(super) fn slowed(&self) {
        if let Some(destination) = self.board.lock().get_mut(&self.key) {
            destination.window = 1;
        }
    }

    /// It could not be reached; how many times in a row now, if no other worker has said so since
    /// there were `before` failures.
    pub(super) fn unreachable(&self, before: u32) -> Option<u32> {
        let mut destinations = self.board.lock();
        let destination = destinations.get_mut(&self.key)?;
        destination.window = 1;
        (destination.failures == before).then(|| {
            destination.failures = before.saturating_add(1);
            destination.failures
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut destinations = self.board.lock();
        if let Some(destination) = destinations.get_mut(&self.key) {
            destination.running -= 1;
            // What is idle and healthy need not be remembered.
            if destination.running == 0 && destination.window >= FIRST && destination.failures == 0 {
                destinations.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_begin_one_goes_on_and_a_failure_counts_once() {
        let (board, key) = (Arc::new(Board::default()), QueueKey::new("mx:a.test"));
        let (first, second) = (board.start(&key, 8).unwrap(), board.start(&key, 8).unwrap());
        assert!(board.start(&key, 8).is_none());
        assert_eq!((first.unreachable(0), second.unreachable(0)), (Some(1), None));
        drop((first, second));
        let probe = board.start(&key, 8).unwrap();
        assert!(board.start(&key, 8).is_none(), "one probe");
        assert_eq!(probe.unreachable(probe.failures()), Some(2));
        assert!(probe.answered(8), "it was gone");
        assert!(!probe.answered(8));
        let more: Vec<_> = std::iter::from_fn(|| board.start(&key, 8)).collect();
        assert_eq!(more.len(), 2);
        probe.slowed();
        assert!(board.start(&key, 8).is_none());
        drop((probe, more));
        assert_eq!(board.lock().len(), 1, "it is remembered as slow");
        board.start(&key, 8).unwrap().answered(8);
        assert!(board.lock().is_empty(), "it is well");
        board.remember(key.clone());
        assert_eq!(board.start(&key, 8).unwrap().failures(), 1);
        assert_eq!(board.lock().len(), 1, "its gate is still to be opened");
    }

    #[test]
    fn not_more_at_once_than_allowed() {
        let (board, key) = (Arc::new(Board::default()), QueueKey::new("a"));
        let only = board.start(&key, 1).unwrap();
        only.answered(1);
        assert!(board.start(&key, 1).is_none());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let board = Arc::new(Board::default());
        let running = board.start(&QueueKey::new("running"), 8).unwrap();
        for number in 0..2 * REMEMBERED {
            board.remember(QueueKey::new(number.to_string()));
        }
        assert_eq!(board.lock().len(), REMEMBERED);
        drop(board.start(&QueueKey::new("new"), 8));
        assert_eq!(board.lock().keys().map(QueueKey::as_str).collect::<Vec<_>>(), ["running"]);
        drop(running);
        assert!(board.lock().is_empty());
    }
}
