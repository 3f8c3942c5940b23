//! Connections, what is asked of the server behind them, and tries that end.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use deadpool_postgres::{
    Connect, Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Timeouts,
};
use hikyaku_queue::QueueError;
use hikyaku_wire::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_postgres::error::Severity;
use tokio_postgres::{AsyncMessage, Client, Connection, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{Failure, describe};
use crate::{Clock, Copies, PostgresConfig, PostgresError, TlsMode, tls};

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// Times are kept within this, so that sums with lengths of leases stay in 64 bits.
const FAR: i64 = 1 << 60;

/// The database as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// It takes writes and keeps its promise.
    Works,
    /// It does not; what is written now would wait.
    Trouble(PostgresError),
}

/// A pool of connections that were examined.
pub(crate) struct Database {
    pool: Pool,
    pub(crate) config: PostgresConfig,
    /// How many warnings came over all connections: one that comes during a commit may say that
    /// it was acknowledged without its standby.
    warnings: Arc<AtomicU64>,
    state: watch::Sender<State>,
    /// The caller's clock minus the database's, in milliseconds.
    skew: AtomicI64,
}

/// Something that is tried until it succeeds, is refused, or the time is over.
pub(crate) trait Work: Send {
    type Out: Send;

    /// One try. `again` says that an earlier one may have succeeded: then it must find that out,
    /// and write something, because what it finds may be on one machine only until its own commit
    /// is on two.
    fn once(&mut self, client: &mut Object, again: bool) -> impl Future<Output = Result<Self::Out, Failure>> + Send;
}

impl Database {
    /// A pool without a connection yet.
    pub(crate) fn new(config: PostgresConfig) -> Result<Self, PostgresError> {
        config.check()?;
        let warnings = Arc::new(AtomicU64::new(0));
        let tls = match config.tls {
            TlsMode::Disable => None,
            TlsMode::Require | TlsMode::VerifyFull => Some(MakeRustlsConnect::new(tls::client(&config)?)),
        };
        let connector = Connector { tls, warnings: Arc::clone(&warnings) };
        let settings = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_connect(config.target.clone(), connector, settings);
        let (schema, copies) = (config.schema.clone(), config.copies);
        let examined = Hook::async_fn(move |client, _| {
            let schema = schema.clone();
            Box::pin(async move {
                set_up(client, &schema).await.map_err(HookError::Backend)?;
                examine(client, copies).await.map_err(|error| match error {
                    Failure::Open(error) | Failure::Again(error) => HookError::message(error.to_string()),
                    Failure::Refused(error) => HookError::message(error.to_string()),
                })
            })
        });
        let pool = Pool::builder(manager)
            .max_size(config.pool)
            .timeouts(Timeouts { wait: Some(config.deadline), create: Some(config.deadline), recycle: None })
            .runtime(Runtime::Tokio1)
            .post_create(examined)
            .build()
            .map_err(|error| PostgresError::Config(error.to_string()))?;
        let state = watch::Sender::new(State::Works);
        Ok(Self { pool, config, warnings, state, skew: AtomicI64::new(0) })
    }

    pub(crate) async fn client(&self) -> Result<Object, Failure> {
        Ok(self.pool.get().await?)
    }

    pub(crate) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    pub(crate) fn set_state(&self, state: State) {
        self.state.send_if_modified(|old| {
            let changed = *old != state;
            *old = state;
            changed
        });
    }

    /// Waits while there is trouble, but not longer than until then.
    async fn works(&self, until: Instant) -> Result<(), PostgresError> {
        let mut watched = self.state.subscribe();
        let trouble = match &*watched.borrow_and_update() {
            State::Works => return Ok(()),
            State::Trouble(error) => error.clone(),
        };
        let works = watched.wait_for(|state| *state == State::Works);
        match timeout_at(until, works).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(trouble),
        }
    }

    /// Does something that changes the queue, and tries again where that is of use.
    ///
    /// # Errors
    /// `Unknown` if the time is over and a try may have succeeded.
    pub(crate) async fn write<W: Work>(&self, work: &mut W) -> Result<W::Out, QueueError> {
        let until = Instant::now() + self.config.deadline;
        self.works(until).await?;
        let mut open = false;
        loop {
            let warnings = self.warnings.load(Ordering::SeqCst);
            let why = match timeout_at(until, self.client()).await {
                Err(_) => self.stalled(),
                Ok(Err(Failure::Again(why) | Failure::Open(why))) => why,
                Ok(Err(Failure::Refused(error))) => return Err(error),
                Ok(Ok(mut client)) => {
                    let outcome = timeout_at(until, work.once(&mut client, open)).await;
                    match outcome {
                        Ok(Ok(out)) if self.warnings.load(Ordering::SeqCst) == warnings => return Ok(out),
                        Ok(Err(Failure::Refused(error))) => return Err(error),
                        _ => {}
                    }
                    // Whatever the connection is in the middle of, nobody else shall wait for it.
                    drop(Object::take(client));
                    match outcome {
                        Ok(Ok(_)) => {
                            open = true;
                            PostgresError::Promise("the server warned while it committed".to_owned())
                        }
                        Ok(Err(Failure::Again(why))) => why,
                        Ok(Err(Failure::Open(why))) => {
                            open = true;
                            why
                        }
                        Ok(Err(Failure::Refused(error))) => return Err(error),
                        Err(_) => {
                            open = true;
                            self.stalled()
                        }
                    }
                }
            };
            if Instant::now() + PAUSE >= until {
                self.set_state(State::Trouble(why.clone()));
                return Err(if open { QueueError::Unknown } else { why.into() });
            }
            sleep(PAUSE).await;
        }
    }

    fn stalled(&self) -> PostgresError {
        PostgresError::Stalled { seconds: self.config.deadline.as_secs() }
    }

    /// Does something that only reads, and tries again on another connection if one broke.
    pub(crate) async fn read<W: Work>(&self, work: &mut W) -> Result<W::Out, QueueError> {
        let until = Instant::now() + self.config.deadline;
        loop {
            let try_once = async {
                let mut client = self.client().await?;
                let outcome = work.once(&mut client, false).await;
                if outcome.is_err() {
                    drop(Object::take(client));
                }
                outcome
            };
            let why = match timeout_at(until, try_once).await {
                Ok(Ok(out)) => return Ok(out),
                Ok(Err(Failure::Refused(error))) => return Err(error),
                Ok(Err(Failure::Again(why) | Failure::Open(why))) => why,
                Err(_) => self.stalled(),
            };
            if Instant::now() + PAUSE >= until {
                return Err(why.into());
            }
            sleep(PAUSE).await;
        }
    }

    /// The time that the database is given: none where its own clock counts.
    pub(crate) fn given(&self, now: Timestamp) -> Option<i64> {
        (self.config.clock == Clock::Caller).then(|| bounded(now))
    }

    /// The same moment by the database's clock.
    pub(crate) fn theirs(&self, ours: Timestamp) -> i64 {
        bounded(ours) - self.skew.load(Ordering::Relaxed)
    }

    /// The same moment by the caller's clock.
    pub(crate) fn ours(&self, theirs: i64) -> Timestamp {
        Timestamp::from_millis(theirs.saturating_add(self.skew.load(Ordering::Relaxed)))
    }

    /// The caller said that it is `ours` when the database said `theirs`.
    pub(crate) fn learn(&self, ours: Timestamp, theirs: i64) {
        if self.config.clock == Clock::Database {
            let skew = bounded(ours).saturating_sub(theirs);
            self.skew.store(skew.clamp(-FAR, FAR), Ordering::Relaxed);
        }
    }
}

/// A time that sums can be made with.
pub(crate) fn bounded(time: Timestamp) -> i64 {
    time.as_millis().clamp(-FAR, FAR)
}

/// A length of time in milliseconds that sums can be made with.
pub(crate) fn millis(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(FAR).min(FAR)
}

struct Connector {
    tls: Option<MakeRustlsConnect>,
    warnings: Arc<AtomicU64>,
}

type Connected = Result<(Client, JoinHandle<()>), tokio_postgres::Error>;

impl Connect for Connector {
    fn connect(&self, target: &tokio_postgres::Config) -> Pin<Box<dyn Future<Output = Connected> + Send + '_>> {
        let target = target.clone();
        Box::pin(async move {
            Ok(match &self.tls {
                None => {
                    let (client, connection) = target.connect(NoTls).await?;
                    (client, drive(connection, Arc::clone(&self.warnings)))
                }
                Some(tls) => {
                    let (client, connection) = target.connect(tls.clone()).await?;
                    (client, drive(connection, Arc::clone(&self.warnings)))
                }
            })
        })
    }
}

/// Reads what the server says until the connection ends. A notice comes before the reply to the
/// statement that it is about.
fn drive<T>(mut connection: Connection<Socket, T>, warnings: Arc<AtomicU64>) -> JoinHandle<()>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notice(notice) = message
                && notice.parsed_severity() == Some(Severity::Warning)
            {
                warnings.fetch_add(1, Ordering::SeqCst);
            }
        }
    })
}

/// What a connection must not inherit from a role or a database.
///
/// A statement that is cancelled while it waits for a standby is acknowledged without it: so there
/// is no time limit on the server's side, but for a session that holds locks and says nothing.
async fn set_up(client: &Client, schema: &str) -> Result<(), tokio_postgres::Error> {
    client
        .batch_execute(&format!(
            "SET search_path TO {schema}; SET synchronous_commit TO on; SET statement_timeout TO 0; \
             SET default_transaction_isolation TO 'read committed'; SET client_min_messages TO warning; \
             SET idle_in_transaction_session_timeout TO '30s'"
        ))
        .await
}

/// Asks the server whether it keeps what it acknowledges.
///
/// # Errors
/// `Promise` with the setting that is wrong, and how to set it.
pub(crate) async fn examine(client: &Client, copies: Copies) -> Result<(), Failure> {
    let row = client
        .query_one(
            "SELECT pg_is_in_recovery(), current_setting('fsync'), current_setting('full_page_writes'), \
             current_setting('synchronous_commit'), current_setting('synchronous_standby_names')",
            &[],
        )
        .await?;
    let setting = |at| row.try_get::<_, &str>(at).map_err(|error| Failure::Refused(describe(&error).into()));
    let standby: bool = row.try_get(0).map_err(|error| Failure::Refused(describe(&error).into()))?;
    let broken = |why: &str| Err(PostgresError::Promise(why.to_owned()).into());
    if standby {
        return Err(Failure::Again(PostgresError::Unreachable("the server is a standby".to_owned())));
    }
    if setting(1)? != "on" {
        return broken(
            "the server has fsync = off, and loses acknowledged mail when its machine fails: \
             ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf();",
        );
    }
    if setting(2)? != "on" {
        return broken(
            "the server has full_page_writes = off, and a power failure may damage its tables: \
             ALTER SYSTEM SET full_page_writes = on; SELECT pg_reload_conf();",
        );
    }
    if !matches!(setting(3)?, "on" | "remote_apply") {
        return broken(
            "synchronous_commit cannot be set to on: ALTER SYSTEM SET synchronous_commit = on; SELECT pg_reload_conf();",
        );
    }
    if copies == Copies::Two && setting(4)?.trim().is_empty() {
        return broken(
            "two copies are asked for, but this server has no synchronous_standby_names, and acknowledges what \
             it alone has (the setting does not follow a promotion): \
             ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (NAMES OF THE STANDBYS)'; SELECT pg_reload_conf();",
        );
    }
    Ok(())
}
