//! Texts of messages: short ones in the row of the message, long ones in pieces.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use deadpool_postgres::Object;
use hikyaku_queue::{BodyReader, MsgId, QueueError};

use crate::PostgresError;
use crate::database::Work;
use crate::error::Failure;
use crate::postgres::Shared;
use crate::unit::{Uuid, cell, narrow};

type Result<T> = std::result::Result<T, QueueError>;

/// A piece of a long text, and the longest text that stands in the row of its message.
pub(crate) const PIECE: usize = 256 << 10;

/// So many pieces a reader keeps: one reader serves several connections.
const KEPT: usize = 4;

/// A text that is being written.
///
/// Its pieces are not waited for one by one: the commit of the message is later in the same log,
/// and checks that all are there.
pub(crate) struct Writing {
    shared: Arc<Shared>,
    buffer: BytesMut,
    pub(crate) length: u64,
    spill: Option<Spill>,
}

impl Writing {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, buffer: BytesMut::new(), length: 0, spill: None }
    }

    pub(crate) async fn write(&mut self, mut chunk: Bytes) -> Result<()> {
        self.length += chunk.len() as u64;
        while self.buffer.len() + chunk.len() > PIECE {
            self.buffer.extend_from_slice(&chunk.split_to(PIECE - self.buffer.len()));
            self.spill().await?;
        }
        self.buffer.extend_from_slice(&chunk);
        Ok(())
    }

    /// The whole text: in memory if it is short.
    pub(crate) async fn close(mut self) -> Result<Text> {
        if self.spill.is_some() && !self.buffer.is_empty() {
            self.spill().await?;
        }
        Ok(match self.spill {
            Some(spill) => Text::Long(spill),
            None => Text::Short(self.buffer.freeze()),
        })
    }

    /// Writes what is in the buffer.
    async fn spill(&mut self) -> Result<()> {
        if self.shared.is_full(self.length) {
            return Err(QueueError::Full);
        }
        let spill = match &mut self.spill {
            Some(spill) => spill,
            none => {
                let id = self.shared.database.write(&mut Begin).await?;
                none.insert(Spill { shared: Arc::clone(&self.shared), id, pieces: 0, kept: false })
            }
        };
        let data = self.buffer.split().freeze();
        let mut put = Put { text: spill.id, n: spill.pieces, data };
        self.shared.database.write(&mut put).await?;
        spill.pieces = spill.pieces.checked_add(1).ok_or(QueueError::Full)?;
        Ok(())
    }
}

/// A whole text that is not yet part of a message.
pub(crate) enum Text {
    Short(Bytes),
    Long(Spill),
}

/// The pieces of a text that no message has yet; dropped, they are removed.
pub(crate) struct Spill {
    shared: Arc<Shared>,
    pub(crate) id: Uuid,
    pub(crate) pieces: i32,
    kept: bool,
}

impl Spill {
    /// A message has the pieces now.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        // Without a runtime, and where this fails, they are removed when they are a day old.
        if !self.kept
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let (shared, id) = (Arc::clone(&self.shared), self.id);
            runtime.spawn(async move {
                if let Ok(client) = shared.database.client().await {
                    let _ = client.execute(FORGET, &[&id]).await;
                }
            });
        }
    }
}

/// Removes a text that no message has. One that is being committed is waited for.
const FORGET: &str = "WITH t AS (DELETE FROM text WHERE id = $1 AND msg IS NULL RETURNING id) \
                      DELETE FROM chunk WHERE text IN (SELECT id FROM t)";

/// Neither waits for the disk nor for a standby.
const NO_WAIT: &str = "WITH s AS (SELECT set_config('synchronous_commit', 'off', true))";

struct Begin;

impl Work for Begin {
    type Out = Uuid;

    async fn once(&mut self, client: &mut Object, _: bool) -> std::result::Result<Uuid, Failure> {
        let begin = format!(
            "{NO_WAIT} INSERT INTO text (id, at) SELECT gen_random_uuid(), (EXTRACT(EPOCH FROM now()) * 1000)::bigint \
             FROM s RETURNING id"
        );
        let statement = client.prepare_cached(&begin).await?;
        cell(&client.query_one(&statement, &[]).await?, 0)
    }
}

struct Put {
    text: Uuid,
    n: i32,
    data: Bytes,
}

impl Work for Put {
    type Out = ();

    async fn once(&mut self, client: &mut Object, _: bool) -> std::result::Result<(), Failure> {
        let put = format!(
            "{NO_WAIT} INSERT INTO chunk (text, n, data) SELECT $1, $2, $3 FROM s ON CONFLICT (text, n) DO NOTHING"
        );
        let statement = client.prepare_cached(&put).await?;
        client.execute(&statement, &[&self.text, &self.n, &&self.data[..]]).await?;
        Ok(())
    }
}

/// A reader of one message's text.
///
/// It goes on after the message is finished, as long as [`PostgresConfig::keep`](crate::PostgresConfig::keep) says.
pub struct PostgresBody {
    shared: Arc<Shared>,
    id: MsgId,
    length: u64,
    prepend: Bytes,
    source: Source,
}

enum Source {
    Short(Bytes),
    Long { text: Uuid, kept: Mutex<VecDeque<(i32, Bytes)>> },
}

impl PostgresBody {
    pub(crate) async fn open(shared: Arc<Shared>, id: MsgId) -> Result<Self> {
        let mut open = Open { id };
        let Some((length, prepend, body, text)) = shared.database.read(&mut open).await? else {
            return Err(QueueError::NotFound);
        };
        let source = match (body, text) {
            (Some(body), _) => Source::Short(body.into()),
            (None, Some(text)) => Source::Long { text, kept: Mutex::default() },
            (None, None) => return Err(QueueError::Corrupt { id, why: "it has no text" }),
        };
        let length = u64::try_from(length).map_err(|_| QueueError::Corrupt { id, why: "its length is negative" })?;
        Ok(Self { shared, id, length, prepend: prepend.into(), source })
    }
}

impl std::fmt::Debug for PostgresBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresBody").field("id", &self.id).field("length", &self.length).finish_non_exhaustive()
    }
}

impl BodyReader for PostgresBody {
    fn len(&self) -> u64 {
        self.length
    }

    fn prepend(&self) -> &Bytes {
        &self.prepend
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        let (text, kept) = match &self.source {
            Source::Short(text) => return text.read_at(offset, max).await,
            Source::Long { text, kept } => (*text, kept),
        };
        if offset >= self.length {
            return Ok(Bytes::new());
        }
        let damaged = QueueError::Corrupt { id: self.id, why: "a piece of its text is missing" };
        let n = i32::try_from(offset / PIECE as u64).map_err(|_| damaged.clone())?;
        let at = offset % PIECE as u64;
        let known = {
            let kept = kept.lock().expect("nothing panics while it holds the pieces");
            kept.iter().find(|(number, _)| *number == n).map(|(_, piece)| piece.clone())
        };
        let piece = match known {
            Some(piece) => piece,
            None => {
                let piece = self.shared.database.read(&mut Get { text, n }).await?.ok_or_else(|| damaged.clone())?;
                let piece = Bytes::from(piece);
                let mut kept = kept.lock().expect("nothing panics while it holds the pieces");
                kept.push_back((n, piece.clone()));
                if kept.len() > KEPT {
                    kept.pop_front();
                }
                piece
            }
        };
        let found = piece.read_at(at, max).await?;
        if found.is_empty() && max > 0 { Err(damaged) } else { Ok(found) }
    }
}

struct Open {
    id: MsgId,
}

type Found = (i64, Vec<u8>, Option<Vec<u8>>, Option<Uuid>);

impl Work for Open {
    type Out = Option<Found>;

    async fn once(&mut self, client: &mut Object, _: bool) -> std::result::Result<Option<Found>, Failure> {
        let open = "SELECT length, prepend, body, text FROM message WHERE id = $1 AND done IS NULL";
        let statement = client.prepare_cached(open).await?;
        let row = client.query_opt(&statement, &[&Uuid::from(self.id)]).await?;
        row.map(|row| Ok((cell(&row, 0)?, cell(&row, 1)?, cell(&row, 2)?, cell(&row, 3)?))).transpose()
    }
}

struct Get {
    text: Uuid,
    n: i32,
}

impl Work for Get {
    type Out = Option<Vec<u8>>;

    async fn once(&mut self, client: &mut Object, _: bool) -> std::result::Result<Option<Vec<u8>>, Failure> {
        let statement = client.prepare_cached("SELECT data FROM chunk WHERE text = $1 AND n = $2").await?;
        let row = client.query_opt(&statement, &[&self.text, &self.n]).await?;
        row.map(|row| cell(&row, 0)).transpose()
    }
}

/// A message that is about to enter the queue.
pub(crate) struct Message {
    pub(crate) id: MsgId,
    pub(crate) envelope: String,
    pub(crate) size: i64,
    pub(crate) length: i64,
    pub(crate) prepend: Bytes,
    pub(crate) text: Text,
    pub(crate) units: Vec<hikyaku_queue::backend::Unit>,
}

impl Message {
    pub(crate) fn body(&self) -> Option<&[u8]> {
        match &self.text {
            Text::Short(text) => Some(text),
            Text::Long(_) => None,
        }
    }

    pub(crate) fn spill(&self) -> Option<&Spill> {
        match &self.text {
            Text::Short(_) => None,
            Text::Long(spill) => Some(spill),
        }
    }

    /// The message is in the queue: its text belongs to it.
    pub(crate) fn keep(self) {
        if let Text::Long(spill) = self.text {
            spill.keep();
        }
    }

    /// How much of a group it takes, in bytes.
    pub(crate) fn weight(&self) -> usize {
        self.envelope.len() + self.prepend.len() + self.body().map_or(0, <[u8]>::len) + 256 * self.units.len()
    }
}

/// Messages to be inserted, column by column.
#[derive(Default)]
pub(crate) struct Messages<'a> {
    id: Vec<Uuid>,
    envelope: Vec<&'a str>,
    size: Vec<i64>,
    length: Vec<i64>,
    prepend: Vec<&'a [u8]>,
    body: Vec<Option<&'a [u8]>>,
    text: Vec<Option<Uuid>>,
    units: Vec<i32>,
}

impl<'a> Messages<'a> {
    pub(crate) fn push(&mut self, message: &'a Message) -> std::result::Result<(), Failure> {
        self.id.push(message.id.into());
        self.envelope.push(&message.envelope);
        self.size.push(message.size);
        self.length.push(message.length);
        self.prepend.push(&message.prepend);
        self.body.push(message.body());
        self.text.push(message.spill().map(|spill| spill.id));
        self.units.push(narrow(message.units.len())?);
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.id.is_empty()
    }

    pub(crate) fn values(&self) -> [&(dyn tokio_postgres::types::ToSql + Sync); 8] {
        [
            &self.id,
            &self.envelope,
            &self.size,
            &self.length,
            &self.prepend,
            &self.body,
            &self.text,
            &self.units,
        ]
    }
}

/// Inserts messages; of those that are there already `again` is above zero. To count it up is a
/// write, so that a duplicate is not acknowledged before the original is on a standby.
pub(crate) const INSERT: &str = "INSERT INTO message AS m (id, envelope, size, length, prepend, body, text, next_unit, live) \
     SELECT v.id, v.envelope, v.size, v.length, v.prepend, v.body, v.text, v.units, v.units \
     FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bytea[], $6::bytea[], $7::uuid[], $8::int[]) \
     v (id, envelope, size, length, prepend, body, text, units) \
     ON CONFLICT (id) DO UPDATE SET again = m.again + 1 RETURNING id, again";

/// Gives whole texts to their messages.
const TAKE: &str = "UPDATE text t SET msg = v.msg FROM unnest($1::uuid[], $2::uuid[], $3::int[]) v (id, msg, n) \
     WHERE t.id = v.id AND (t.msg IS NULL OR t.msg = v.msg) \
     AND (SELECT count(*) FROM chunk c WHERE c.text = v.id) = v.n RETURNING t.id";

/// Gives the long texts of messages to them; says which texts are not whole any more.
pub(crate) async fn take(
    client: &deadpool_postgres::Transaction<'_>,
    messages: impl Iterator<Item = &Message>,
) -> std::result::Result<Vec<Uuid>, Failure> {
    let (mut ids, mut owners, mut pieces) = (Vec::new(), Vec::new(), Vec::new());
    for message in messages {
        if let Some(spill) = message.spill() {
            ids.push(spill.id);
            owners.push(Uuid::from(message.id));
            pieces.push(spill.pieces);
        }
    }
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let statement = client.prepare_cached(TAKE).await?;
    let rows = client.query(&statement, &[&ids, &owners, &pieces]).await?;
    let taken = rows.iter().map(|row| cell::<Uuid>(row, 0)).collect::<std::result::Result<Vec<_>, _>>()?;
    ids.retain(|id| !taken.contains(id));
    Ok(ids)
}

/// Gives a text back that its message does not need: the message was there before.
pub(crate) async fn give_back(
    client: &deadpool_postgres::Transaction<'_>,
    texts: &[Uuid],
) -> std::result::Result<(), Failure> {
    if !texts.is_empty() {
        let statement = client
            .prepare_cached(
                "UPDATE text SET msg = NULL WHERE id = ANY($1) AND NOT EXISTS (SELECT 1 FROM message m WHERE m.text = text.id AND m.id = text.msg)",
            )
            .await?;
        client.execute(&statement, &[&texts]).await?;
    }
    Ok(())
}

pub(crate) fn lost() -> QueueError {
    PostgresError::TextLost.into()
}
