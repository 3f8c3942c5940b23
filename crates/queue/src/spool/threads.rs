//! Two threads for each spool: one writes and syncs, one applies what was written.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::committer::{Committer, Written};
use super::core::Core;
use super::open::Engine;
use super::vfs::Vfs;

/// So many groups may be written before the first of them is applied.
const AHEAD: usize = 16;

/// After so long without work what was applied is made durable.
const LEISURE: Duration = Duration::from_secs(1);

/// The threads of a spool; dropped, they end what they have begun.
pub(super) struct Threads<V: Vfs> {
    core: Arc<Core<V>>,
    running: Vec<JoinHandle<()>>,
}

impl<V: Vfs> Threads<V> {
    pub(super) fn start(engine: Engine<V>) -> io::Result<Self> {
        let Engine { core, committer, indexer, cleaner } = engine;
        let (tell, hear) = sync_channel(AHEAD);
        let mut threads = Self { core: Arc::clone(&core), running: Vec::new() };
        let alive = Alive(Arc::clone(&core));
        threads.run("hikyaku-commit", move || {
            let _alive = alive;
            commit(committer, &tell);
        })?;
        let alive = Alive(core);
        threads.run("hikyaku-index", move || {
            let _alive = alive;
            index(indexer, cleaner, &hear);
        })?;
        Ok(threads)
    }

    fn run(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.running.push(thread::Builder::new().name(name.to_owned()).spawn(work)?);
        Ok(())
    }
}

impl<V: Vfs> Drop for Threads<V> {
    fn drop(&mut self) {
        self.core.close();
        for thread in self.running.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Whoever waits for a thread that panicked would wait for ever.
struct Alive<V: Vfs>(Arc<Core<V>>);

impl<V: Vfs> Drop for Alive<V> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.abandon();
        }
    }
}

fn commit<V: Vfs>(mut committer: Committer<V>, tell: &SyncSender<Written<V>>) {
    while let Some(written) = committer.wait_and_turn() {
        if let Some(written) = written
            && tell.send(written).is_err()
        {
            return;
        }
    }
}

fn index<V: Vfs>(
    mut indexer: super::indexer::Indexer<V>,
    mut cleaner: super::clean::Cleaner<V>,
    hear: &Receiver<Written<V>>,
) {
    loop {
        let heard = match indexer.is_dirty() {
            true => hear.recv_timeout(LEISURE),
            false => hear.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let at_leisure = match heard {
            Ok(first) => {
                let more = hear.try_iter().take(AHEAD);
                indexer.apply(std::iter::once(first).chain(more).collect());
                false
            }
            Err(RecvTimeoutError::Timeout) => true,
            Err(RecvTimeoutError::Disconnected) => {
                indexer.checkpoint();
                return;
            }
        };
        cleaner.follow(&mut indexer, at_leisure);
    }
}
