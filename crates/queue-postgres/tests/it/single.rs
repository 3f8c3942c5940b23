//! One server: the suite that every back-end must pass, and what is special here.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hikyaku_queue::suite::{self, Store};
use hikyaku_queue_postgres::{Clock, Postgres, PostgresConfig};
use tokio::runtime::Runtime;

use crate::support::Server;

struct Fresh {
    server: Arc<Server>,
    runtime: Runtime,
}

impl Fresh {
    fn new() -> Self {
        Self { server: Server::shared(), runtime: Runtime::new().unwrap() }
    }

    /// The suite makes its own time, and hears no news but its own.
    fn config(&self) -> PostgresConfig {
        let mut config = self.server.config();
        config.clock = Clock::Caller;
        config.poll = Duration::from_secs(3600);
        config
    }

    fn open(&self, config: PostgresConfig) -> Postgres {
        self.runtime.block_on(Postgres::connect(config)).unwrap()
    }
}

impl Store for Fresh {
    type Queue = Postgres;

    fn fresh(&self) -> Postgres {
        self.open(self.config())
    }

    fn reopen(&self, queue: Postgres) -> Result<Postgres, Postgres> {
        let config = queue.config().clone();
        drop(queue);
        Ok(self.open(config))
    }

    fn full(&self) -> Postgres {
        let mut config = self.config();
        config.capacity = 1 << 19;
        self.open(config)
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        let _inside = self.runtime.enter();
        suite::block_on(future)
    }
}

#[test]
fn conforms() {
    suite::run(&Fresh::new());
}
