//! Producers: the same for all that take messages.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

/// How long the producers of one turn go on.
pub const TURN: Duration = Duration::from_millis(1_500);

/// So long they go on before anything counts.
pub const WARM: Duration = Duration::from_millis(300);

/// What takes messages and says when they are durable.
pub trait Sink: Send + Sync + 'static {
    /// Makes the message of this number durable.
    fn put(&self, number: u64) -> impl Future<Output = ()> + Send;
}

/// What a turn has come to.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// Things that were done.
    pub done: u64,
    /// How long that took.
    pub took: Duration,
}

impl Turn {
    /// Things a second.
    pub fn rate(self) -> f64 {
        self.done as f64 / self.took.as_secs_f64()
    }
}

/// The runtime in which producers are tasks.
///
/// # Panics
/// There can be none.
pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_time().build().expect("a runtime")
}

/// When producers stop.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// After so long.
    Time(Duration),
    /// After so many messages of all together.
    Count(u64),
}

/// Lets so many producers put messages, each one after the other.
///
/// # Panics
/// A producer does.
pub fn produce<S: Sink>(runtime: &Runtime, sink: &Arc<S>, producers: u64, until: Until) -> Turn {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let start = Instant::now();
    let (end, count) = match until {
        Until::Time(time) => (Some(start + time), u64::MAX),
        Until::Count(count) => (None, count),
    };
    let begun = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..producers)
        .map(|_| {
            let (sink, begun) = (Arc::clone(sink), Arc::clone(&begun));
            runtime.spawn(async move {
                let mut done = 0;
                while end.is_none_or(|end| Instant::now() < end) && begun.fetch_add(1, Ordering::Relaxed) < count {
                    sink.put(NEXT.fetch_add(1, Ordering::Relaxed)).await;
                    done += 1;
                }
                done
            })
        })
        .collect();
    let done = tasks.into_iter().map(|task| runtime.block_on(task).expect("no producer panics")).sum();
    Turn { done, took: start.elapsed() }
}

/// An empty folder; it is removed when this is dropped.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Makes the folder of this name, and empties it if it is there.
    ///
    /// # Panics
    /// It cannot be made.
    pub fn fresh(within: &Path, name: &str) -> Self {
        let path = within.join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("make a folder");
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
