//! The tables, and how they come to be.
//!
//! Times are milliseconds since 1970 (UTC); names and reasons are octets, because what a peer said
//! may hold NUL, which `text` cannot. Ids of messages are in the order of their octets, as UUIDs are.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::PostgresError;
use crate::error::describe;

/// Each brings the tables from the version of its number to the next.
const MIGRATIONS: &[&str] = &["
CREATE TABLE message (
    id uuid PRIMARY KEY,
    envelope text NOT NULL,
    size bigint NOT NULL,
    length bigint NOT NULL,
    prepend bytea NOT NULL,
    body bytea,
    text uuid,
    next_unit int NOT NULL,
    live int NOT NULL,
    again bigint NOT NULL DEFAULT 0,
    done bigint
);
CREATE INDEX message_done ON message (done) WHERE done IS NOT NULL;
CREATE TABLE unit (
    msg uuid NOT NULL,
    no int NOT NULL,
    key bytea NOT NULL,
    due bigint NOT NULL,
    expires bigint NOT NULL,
    hold bytea,
    attempts bigint NOT NULL,
    first_attempt bigint,
    rcpts text NOT NULL,
    state smallint NOT NULL,
    token bigint NOT NULL DEFAULT 0,
    until bigint,
    holder bytea,
    past boolean NOT NULL DEFAULT false,
    asked bigint,
    settled bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (msg, no)
);
CREATE INDEX unit_ready ON unit (key, due, msg, no) WHERE state = 0;
CREATE INDEX unit_leased ON unit (key, until) WHERE state = 1;
CREATE INDEX unit_key ON unit (key, msg, no);
CREATE TABLE ended (
    msg uuid NOT NULL,
    no int NOT NULL,
    token bigint NOT NULL,
    PRIMARY KEY (msg, no)
);
CREATE TABLE text (
    id uuid PRIMARY KEY,
    at bigint NOT NULL,
    msg uuid
);
CREATE INDEX text_orphan ON text (at) WHERE msg IS NULL;
CREATE TABLE chunk (
    text uuid NOT NULL,
    n int NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (text, n)
);
CREATE TABLE gate (
    key bytea PRIMARY KEY,
    not_before bigint
);
CREATE TABLE idem (
    key bytea PRIMARY KEY,
    msg uuid NOT NULL,
    at bigint NOT NULL,
    hits bigint NOT NULL DEFAULT 0
);
CREATE INDEX idem_at ON idem (at);
CREATE TABLE keylock (
    key bytea PRIMARY KEY
);
CREATE TABLE beat (
    id int PRIMARY KEY,
    n bigint NOT NULL
);
"];

/// The version of the tables that this program knows.
pub(crate) fn known() -> i32 {
    i32::try_from(MIGRATIONS.len()).expect("a few migrations")
}

/// Makes the tables, or brings them to the version that is known here. The name of the schema has
/// been checked; the connection looks for tables in it first.
///
/// The lock is the row of the new version, which only one transaction can insert; the others wait
/// for it and find it there.
pub(crate) async fn migrate(client: &mut Client, schema: &str) -> Result<(), PostgresError> {
    let start = format!(
        "CREATE SCHEMA IF NOT EXISTS {schema}; \
         CREATE TABLE IF NOT EXISTS {schema}.version (version int PRIMARY KEY, made timestamptz NOT NULL DEFAULT now())"
    );
    // Two that begin at once may both find nothing there; the second try finds what the other made.
    let mut tries = 3;
    while let Err(error) = client.batch_execute(&start).await {
        tries -= 1;
        let there = matches!(
            error.code(),
            Some(&SqlState::UNIQUE_VIOLATION | &SqlState::DUPLICATE_SCHEMA | &SqlState::DUPLICATE_TABLE)
        );
        if tries == 0 || !there {
            return Err(describe(&error));
        }
    }
    let known = known();
    for (version, migration) in (1..).zip(MIGRATIONS) {
        let step = async {
            let transaction = client.transaction().await?;
            let row = "INSERT INTO version (version) SELECT $1 WHERE NOT EXISTS (SELECT 1 FROM version WHERE version >= $1) \
                       ON CONFLICT (version) DO NOTHING";
            if transaction.execute(row, &[&version]).await? == 1 {
                transaction.batch_execute(migration).await?;
            }
            transaction.commit().await
        };
        step.await.map_err(|error| describe(&error))?;
    }
    let row = client.query_one("SELECT max(version) FROM version", &[]).await.map_err(|error| describe(&error))?;
    let found: i32 = row.try_get(0).map_err(|error| describe(&error))?;
    match found > known {
        true => Err(PostgresError::Newer { schema: schema.to_owned(), found, known }),
        false => Ok(()),
    }
}
