//! Destinations that cannot be reached: their gates are closed, so that one delivery after the
//! other asks whether they are back, and not one for each message.

use std::time::Duration;

use hikyaku_dns::Resolver;
use hikyaku_queue::{Gate, Manage, Queue, QueueKey};

use super::{Delivery, board::Board};
use crate::{now, random};

/// How often gates are looked for that nobody needs any more.
pub(super) const SWEEP: Duration = Duration::from_secs(3600);
/// A gate whose time has been over for so long belongs to a destination that nobody writes to.
const STALE: Duration = Duration::from_secs(86_400);

impl<Q: Queue + Manage, R: Resolver + 'static> Delivery<Q, R> {
    /// Closes a destination after so many failures in a row. A pause is a person's and stays.
    pub(super) async fn close(&self, key: &QueueKey, failures: u32) {
        let wait = self.schedule.delay(failures, u32::from_be_bytes(random())).min(self.limits.probe);
        let until = now().saturating_add(wait);
        let closed = async {
            let gate = match self.queue.gates(Some(key)).await?.first() {
                Some((_, Gate::Paused)) => return Ok(()),
                Some((_, Gate::NotBefore(later))) => Gate::NotBefore(until.max(*later)),
                Some((_, Gate::Open)) | None => Gate::NotBefore(until),
            };
            self.queue.gate(key, gate).await
        };
        if let Err(error) = closed.await {
            self.audit.trouble(&format!("{key} cannot be closed: {error}"));
        }
    }

    /// Opens a destination that is back. What a person has closed since stays closed.
    pub(super) async fn reopen(&self, key: &QueueKey) {
        let opened = async {
            match self.queue.gates(Some(key)).await?.first() {
                Some((_, Gate::NotBefore(from))) if *from <= now() => self.queue.gate(key, Gate::Open).await,
                _ => Ok(()),
            }
        };
        if let Err(error) = opened.await {
            self.audit.trouble(&format!("{key} cannot be opened: {error}"));
        }
    }

    /// Remembers which destinations could not be reached in an earlier life.
    pub(super) async fn recall(&self, board: &Board) {
        for (key, gate) in self.queue.gates(None).await.unwrap_or_default() {
            if matches!(gate, Gate::NotBefore(_)) {
                board.remember(key);
            }
        }
    }

    /// Opens the gates of destinations that nobody writes to any more, so that they do not pile up.
    pub(super) async fn sweep(&self) {
        let stale = now().saturating_sub(STALE);
        for (key, gate) in self.queue.gates(None).await.unwrap_or_default() {
            if matches!(gate, Gate::NotBefore(until) if until < stale)
                && let Err(error) = self.queue.gate(&key, Gate::Open).await
            {
                self.audit.trouble(&format!("{key} cannot be opened: {error}"));
                return;
            }
        }
    }
}
