//! Messages on their way into a spool.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::blob::BlobWriter;
use super::catalog::Op;
use super::core::{Coming, Core, Done, Request};
use super::entry::{self, Told};
use super::journal::Entry;
use super::state;
use super::vfs::Vfs;
use crate::unit::Unit;
use crate::{Envelope, IdemKey, MsgId, NewUnit, QueueError, Receipt, Sealed};

type Result<T> = std::result::Result<T, QueueError>;

/// Texts up to this length stand in the journal.
const INLINE: usize = 64 << 10;

/// A message in the making: at most a block of its text is in memory.
pub(super) struct Draft<V: Vfs> {
    core: Arc<Core<V>>,
    id: MsgId,
    /// The text so far, while it is short.
    short: Vec<u8>,
    long: Option<BlobWriter<V>>,
    /// A write is under way or did not come back.
    spoilt: bool,
}

/// A message that is durable as far as it has a blob, and waits for the settlement it follows.
pub(super) struct SealedInside<V: Vfs> {
    entry: Entry,
    op: Op,
    coming: Coming<V>,
}

impl<V: Vfs> SealedInside<V> {
    /// What is written with the settlement, if it was sealed by this queue.
    pub(super) fn open(self, core: &Arc<Core<V>>) -> Result<(Entry, Op, Coming<V>)> {
        match self.coming.is_of(core) {
            true => Ok((self.entry, self.op, self.coming)),
            false => Err(QueueError::Invalid("the follow-up message was sealed by another queue")),
        }
    }
}

impl<V: Vfs> Draft<V> {
    pub(super) fn new(core: Arc<Core<V>>, id: MsgId) -> Self {
        Self { core, id, short: Vec::new(), long: None, spoilt: false }
    }

    pub(super) async fn write(&mut self, chunk: Bytes) -> Result<()> {
        if self.spoilt {
            return Err(SPOILT);
        }
        let len = self.short.len() + chunk.len();
        if self.long.is_none() && len <= self.core.inline(INLINE) {
            self.short.extend_from_slice(&chunk);
            return Ok(());
        }
        self.spoilt = true;
        let (short, long) = (std::mem::take(&mut self.short), self.long.take());
        let write = move |core: &Arc<Core<V>>| {
            let mut blob = match long {
                Some(blob) => blob,
                None => BlobWriter::start(&core.vfs)?,
            };
            blob.append(&short)?;
            blob.append(&chunk)?;
            Ok(blob)
        };
        self.long = Some(self.core.blocking(write).await?);
        self.spoilt = false;
        Ok(())
    }

    pub(super) async fn commit(
        self,
        envelope: Envelope,
        prepend: Bytes,
        units: Vec<NewUnit>,
        idem: Option<IdemKey>,
    ) -> Result<Receipt> {
        let (core, id) = (Arc::clone(&self.core), self.id);
        core.writable()?;
        let mut message = self.message(envelope, &prepend, units, idem)?;
        let coming = loop {
            match core.come(id, idem, message.envelope.received)? {
                Came::New(coming) => break coming,
                Came::Known(id) => return Ok(Receipt { id, duplicate: true }),
                Came::Coming(outcome) => match outcome.await {
                    // The other one was dropped before it was written.
                    Err(_) | Ok(Err(QueueError::Unknown)) => {}
                    Ok(outcome) => return outcome,
                },
                Came::Sealed(id) => return Err(QueueError::Duplicate(id)),
            }
        };
        let (coming, body) = self.close(&mut message, prepend, coming).await?;
        let mut request = Request::new(vec![(Told::Message(message), body)])?;
        let (done, durable) = oneshot::channel();
        request.coming = vec![coming];
        request.done = Done::Durable(done);
        core.submit(request).await?;
        durable.await.unwrap_or(Err(QueueError::Unknown))?;
        Ok(Receipt { id, duplicate: false })
    }

    pub(super) async fn seal(self, envelope: Envelope, prepend: Bytes, units: Vec<NewUnit>) -> Result<Sealed> {
        let (core, id) = (Arc::clone(&self.core), self.id);
        core.writable()?;
        let mut message = self.message(envelope, &prepend, units, None)?;
        let Came::New(coming) = core.seal(id, message.envelope.received)? else {
            return Err(QueueError::Duplicate(id));
        };
        let (coming, body) = self.close(&mut message, prepend, coming).await?;
        let told = Told::Message(message);
        let entry = told.entry(body).map_err(QueueError::Invalid)?;
        if entry.len() > core.longest() / 2 {
            return Err(QueueError::Invalid("the message has too many recipients to be written at once"));
        }
        let op = told.op().ok_or(QueueError::Invalid("a message is an operation"))?;
        Ok(Sealed::new(id, SealedInside { entry, op, coming }))
    }

    /// The message as it will be told, but for what is known once its text is whole.
    fn message(
        &self,
        envelope: Envelope,
        prepend: &Bytes,
        units: Vec<NewUnit>,
        idem: Option<IdemKey>,
    ) -> Result<entry::Message> {
        if self.spoilt {
            return Err(SPOILT);
        }
        let next_unit = u16::try_from(units.len()).map_err(|_| QueueError::Invalid("too many units"))?;
        if next_unit == 0 {
            return Err(QueueError::Invalid("a message needs a unit"));
        }
        let units = (0..).zip(units).map(|(number, unit)| Ok((number, Unit::new(unit)?)));
        let units = units.collect::<Result<BTreeMap<u16, Unit>>>()?;
        let too_long = |_| QueueError::Invalid("the part before the text is too long");
        let prepend = u32::try_from(prepend.len()).map_err(too_long)?;
        let text = self.long.as_ref().map_or(self.short.len() as u64, BlobWriter::len);
        let blob = self.long.is_some();
        Ok(entry::Message { id: self.id, envelope, idem, next_unit, units, prepend, text, blob })
    }

    /// Makes the text durable if it is long, and says what goes into the entry's body.
    async fn close(
        self,
        message: &mut entry::Message,
        prepend: Bytes,
        mut coming: Coming<V>,
    ) -> Result<(Coming<V>, Vec<Bytes>)> {
        let Some(blob) = self.long else {
            return Ok((coming, vec![prepend, self.short.into()]));
        };
        let id = self.id;
        let finish = move |core: &Arc<Core<V>>| {
            core.writable()?;
            coming.blob = true;
            let blob = blob.finish(id).map_err(|error| match QueueError::from(error) {
                QueueError::Full => QueueError::Full,
                error => {
                    core.give_up(|| format!("a text could not be made durable: {error}"));
                    QueueError::ReadOnly
                }
            })?;
            Ok((coming, blob))
        };
        let (coming, blob) = self.core.blocking(finish).await?;
        message.text = blob.len;
        Ok((coming, vec![prepend, entry::write_checks(&blob.checks)]))
    }
}

const SPOILT: QueueError = QueueError::Invalid("a write to the draft failed");

/// What is known of a message that wants to come.
enum Came<V: Vfs> {
    /// Nothing: its id is taken for it.
    New(Coming<V>),
    /// It, or the same submission, is in the queue, or was.
    Known(MsgId),
    /// It, or the same submission, is just being written.
    Coming(oneshot::Receiver<Result<Receipt>>),
    /// It waits for a settlement.
    Sealed(MsgId),
}

impl<V: Vfs> Core<V> {
    /// How long a text in the journal may be.
    fn inline(&self, most: usize) -> usize {
        usize::try_from(self.config.segment / 8).unwrap_or(most).min(most)
    }

    fn come(self: &Arc<Self>, id: MsgId, idem: Option<IdemKey>, received: hikyaku_wire::Timestamp) -> Result<Came<V>> {
        self.register(id, idem, received, state::Coming::Committing(Vec::new()))
    }

    fn seal(self: &Arc<Self>, id: MsgId, received: hikyaku_wire::Timestamp) -> Result<Came<V>> {
        self.register(id, None, received, state::Coming::Sealed)
    }

    fn register(
        self: &Arc<Self>,
        id: MsgId,
        idem: Option<IdemKey>,
        received: hikyaku_wire::Timestamp,
        coming: state::Coming,
    ) -> Result<Came<V>> {
        {
            let mut state = self.state();
            match state.coming(id, idem) {
                Some((_, state::Coming::Committing(waiters))) => {
                    let (outcome, wait) = oneshot::channel();
                    waiters.push(outcome);
                    return Ok(Came::Coming(wait));
                }
                Some((id, state::Coming::Sealed)) => return Ok(Came::Sealed(id)),
                None => state.come(id, idem, coming),
            }
        }
        // What is not coming any more is in the catalog by now, so that one of the two knows it.
        let coming = Coming::new(self, id, idem);
        match self.catalog.known(id, idem.map(|idem| (idem, received)))? {
            Some(id) => Ok(Came::Known(id)),
            None => Ok(Came::New(coming)),
        }
    }
}
