//! Messages on their way into a spool, and their texts on the way out.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::runtime::Handle;

use super::disk::{Draft as File, Folder, OpenFile, Place};
use super::record::{MessageRecord, message_end};
use super::{Busy, Inner, blocking};
use crate::index::Message;
use crate::{BodyReader, Draft, Envelope, IdemKey, MsgId, NewUnit, QueueError, Receipt, Sealed};

type Result<T> = std::result::Result<T, QueueError>;

/// So much of a text is collected before it is written.
const COLLECT: usize = 64 << 10;
/// So much of a text is read at most at once.
const READ: usize = 256 << 10;

/// A message in the making in a [`Spool`](crate::Spool): at most 64 KiB of it are in memory.
#[derive(Debug)]
pub struct SpoolDraft {
    inner: Arc<Inner>,
    id: MsgId,
    text: Writing,
    /// A write is under way or did not come back.
    spoilt: bool,
}

#[derive(Debug, Default)]
struct Writing {
    collected: Vec<u8>,
    written: u64,
    file: Option<File>,
}

impl Writing {
    fn len(&self) -> u64 {
        self.written + self.collected.len() as u64
    }

    /// Writes what was collected and this.
    fn flush(&mut self, inner: &Inner, id: MsgId, more: &[u8]) -> Result<&File> {
        let file = match self.file.take() {
            Some(file) => file,
            None => inner.disk.create(&id.to_string())?,
        };
        // One write for a small message; a large piece is not copied.
        if self.collected.len() + more.len() <= 2 * COLLECT {
            self.collected.extend_from_slice(more);
            file.write_all_at(&self.collected, self.written)?;
        } else {
            file.write_all_at(&self.collected, self.written)?;
            file.write_all_at(more, self.len())?;
            self.written += more.len() as u64;
        }
        self.written += self.collected.len() as u64;
        self.collected.clear();
        Ok(self.file.insert(file))
    }

    /// Makes the file of the whole message durable in this folder.
    fn close(
        mut self,
        inner: &Inner,
        id: MsgId,
        prepend: &[u8],
        record: &MessageRecord,
        folder: Folder,
    ) -> Result<Place> {
        let end = message_end(self.len(), prepend, record).map_err(QueueError::Invalid)?;
        self.flush(inner, id, &end)?;
        let file = self.file.ok_or(QueueError::Invalid("a write to the draft failed"))?;
        file.put(folder, &id.to_string())
    }
}

impl SpoolDraft {
    pub(super) fn new(inner: Arc<Inner>, id: MsgId) -> Self {
        Self { inner, id, text: Writing::default(), spoilt: false }
    }

    /// What is left to do for a commit, away from the runtime.
    fn closing(
        self,
        envelope: Envelope,
        prepend: Bytes,
        units: Vec<NewUnit>,
        idem: Option<IdemKey>,
    ) -> Result<Closing> {
        if self.spoilt {
            return Err(QueueError::Invalid("a write to the draft failed"));
        }
        let message = Message::new(envelope, self.text.len() + prepend.len() as u64, idem, units)?;
        Ok(Closing { inner: self.inner, id: self.id, text: self.text, prepend, message })
    }
}

impl Draft for SpoolDraft {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        if self.spoilt {
            return Err(QueueError::Invalid("a write to the draft failed"));
        }
        if self.text.collected.len() + chunk.len() <= COLLECT {
            self.text.collected.extend_from_slice(&chunk);
            return Ok(());
        }
        self.spoilt = true;
        let (inner, id, mut text) = (Arc::clone(&self.inner), self.id, std::mem::take(&mut self.text));
        let work = move || {
            text.flush(&inner, id, &chunk)?;
            Ok(text)
        };
        self.text = blocking(&self.inner.runtime, work).await?;
        self.spoilt = false;
        Ok(())
    }

    async fn commit(
        self,
        envelope: Envelope,
        prepend: Bytes,
        units: Vec<NewUnit>,
        idem: Option<IdemKey>,
    ) -> Result<Receipt> {
        let closing = self.closing(envelope, prepend, units, idem)?;
        let runtime = closing.inner.runtime.clone();
        blocking(&runtime, move || closing.commit()).await
    }

    async fn seal(self, envelope: Envelope, prepend: Bytes, units: Vec<NewUnit>) -> Result<Sealed> {
        let closing = self.closing(envelope, prepend, units, None)?;
        let runtime = closing.inner.runtime.clone();
        blocking(&runtime, move || closing.seal()).await
    }
}

struct Closing {
    inner: Arc<Inner>,
    id: MsgId,
    text: Writing,
    prepend: Bytes,
    message: Message,
}

impl Closing {
    fn commit(self) -> Result<Receipt> {
        let Self { inner, id, text, prepend, message } = self;
        let idem = message.idem;
        let _idem = idem.map(|idem| inner.busy.enter(Busy::Idem(idem)));
        let _id = inner.busy.enter(Busy::Message(id));
        if let Some(id) = inner.shared.with(|index| index.known(id, idem, message.envelope.received)) {
            return Ok(Receipt { id, duplicate: true });
        }
        inner.disk.writable()?;
        let record = MessageRecord::new(id, &message.envelope, idem, message.units());
        text.close(&inner, id, &prepend, &record, Folder::Messages)?.keep();
        inner.shared.with(|index| index.insert(id, message));
        Ok(Receipt { id, duplicate: false })
    }

    fn seal(self) -> Result<Sealed> {
        let Self { inner, id, text, prepend, message } = self;
        let _id = inner.busy.enter(Busy::Message(id));
        inner.disk.writable()?;
        let known = inner.shared.with(|index| index.known(id, None, message.envelope.received));
        if known.is_some() || inner.disk.holds(Folder::Sealed, &id.to_string()) {
            return Err(QueueError::Duplicate(id));
        }
        let record = MessageRecord::new(id, &message.envelope, None, message.units());
        let place = text.close(&inner, id, &prepend, &record, Folder::Sealed)?;
        Ok(Sealed::new(id, SpoolSealed { message, place }))
    }
}

/// A message that waits for the settlement it follows.
#[derive(Debug)]
pub(super) struct SpoolSealed {
    pub(super) message: Message,
    pub(super) place: Place,
}

/// A reader of one message in a [`Spool`](crate::Spool).
#[derive(Debug, Clone)]
pub struct SpoolBody {
    pub(super) runtime: Handle,
    pub(super) id: MsgId,
    pub(super) file: Arc<OpenFile>,
    pub(super) prepend: Bytes,
    pub(super) len: u64,
}

impl BodyReader for SpoolBody {
    fn len(&self) -> u64 {
        self.len
    }

    fn prepend(&self) -> &Bytes {
        &self.prepend
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let take = left.min(max).min(READ);
        if take == 0 {
            return Ok(Bytes::new());
        }
        let (file, id) = (Arc::clone(&self.file), self.id);
        let read = move || {
            let mut bytes = BytesMut::zeroed(take);
            match file.read_exact_at(&mut bytes, offset) {
                Ok(()) => Ok(bytes.freeze()),
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    Err(QueueError::Corrupt { id, why: "the text is shorter than it was" })
                }
                Err(error) => Err(error.into()),
            }
        };
        blocking(&self.runtime, read).await
    }
}
