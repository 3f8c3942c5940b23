//! The mail queue on PostgreSQL, for relays on several machines: the promises of `hikyaku-queue`,
//! kept by one database and its synchronous standbys.
//! It never trusts the clock of a node, never lets two nodes write under one lease, and never
//! acknowledges what the server may lose: at each connection it asks for the settings that matter,
//! and refuses a server that does not have them.
//!
//! ```no_run
//! use hikyaku_queue_postgres::{Copies, Postgres, PostgresConfig, PostgresError};
//!
//! # async fn open() -> Result<Postgres, PostgresError> {
//! let mut config = PostgresConfig::new("postgres://relay@db1.test,db2.test,db3.test/mail?sslmode=require")?;
//! config.copies = Copies::Two;
//! Postgres::connect(config).await
//! # }
//! ```
//!
//! ```text
//!  commit, settle ──> gathered (2 ms, 256, 8 MiB) ──> one transaction ──> primary ──> a standby ──> answer
//!  claim ──> one statement: picked, fenced by a token that grows with each lease
//!  long texts ──> pieces of 256 KiB as they come, invisible until the message's row is there
//! ```
//!
//! How to set up the servers: `docs/cluster.md` of the project.

mod claim;
mod commit;
mod config;
mod database;
mod error;
mod group;
mod manage;
mod postgres;
mod schema;
mod settle;
mod text;
mod tidy;
mod tls;
mod unit;

pub use config::{Clock, Copies, PostgresConfig, TlsMode};
pub use error::PostgresError;
pub use postgres::{Postgres, PostgresDraft};
pub use text::PostgresBody;
