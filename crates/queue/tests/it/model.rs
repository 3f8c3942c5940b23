//! The spool beside the naive model, closed and opened again now and then.

use std::sync::Mutex;

use hikyaku_queue::suite::{self, Store};
use hikyaku_queue::*;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// So many moves; `HIKYAKU_LONG=20` makes twenty times as many.
const MOVES: usize = 2_000;

struct Spools {
    runtime: Runtime,
    folders: Mutex<Vec<TempDir>>,
}

impl Spools {
    fn open(&self, path: &std::path::Path) -> Spool {
        let mut config = SpoolConfig::default();
        config.segment = 256 << 10;
        config.reserve_bytes = 0;
        // What goes on behind a future that was dropped keeps the lock until it is done.
        for _ in 0..1_000 {
            match self.runtime.block_on(Spool::open(path, config.clone())) {
                Err(OpenError::Locked) => std::thread::sleep(std::time::Duration::from_millis(10)),
                opened => return opened.unwrap(),
            }
        }
        panic!("the spool stays locked");
    }
}

impl Store for Spools {
    type Queue = Spool;

    fn fresh(&self) -> Spool {
        let folder = tempfile::tempdir().unwrap();
        let spool = self.open(folder.path());
        self.folders.lock().unwrap().push(folder);
        spool
    }

    fn reopen(&self, spool: Spool) -> Result<Spool, Spool> {
        let path = spool.directory().to_owned();
        drop(spool);
        Ok(self.open(&path))
    }

    fn full(&self) -> Spool {
        let folder = tempfile::tempdir().unwrap();
        let mut config = SpoolConfig::default();
        config.reserve_bytes = u64::MAX;
        config.reserve_percent = 100;
        let spool = self.runtime.block_on(Spool::open(folder.path(), config)).unwrap();
        self.folders.lock().unwrap().push(folder);
        spool
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }
}

#[test]
fn is_its_model() {
    let long: usize = std::env::var("HIKYAKU_LONG").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    let spools = Spools { runtime: Runtime::new().unwrap(), folders: Mutex::default() };
    suite::model::run(&spools, 2, MOVES * long);
    println!("\nsum: {} moves", MOVES * long);
}
