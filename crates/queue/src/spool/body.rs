//! The text of a message on its way out.

use std::io;
use std::sync::{Arc, Weak};

use bytes::Bytes;

use super::blob::{Blob, BlobReader};
use super::core::Core;
use super::read::TextPlace;
use super::runner::Runner;
use super::vfs::Vfs;
use crate::{MsgId, QueueError};

type Result<T> = std::result::Result<T, QueueError>;

/// A reader of one message; it stays good when the message is gone.
pub(super) struct Body<V: Vfs> {
    runner: Runner,
    /// A reader does not keep the spool open.
    core: Weak<Core<V>>,
    id: MsgId,
    prepend: Bytes,
    text: Text<V>,
}

enum Text<V: Vfs> {
    Here(Bytes),
    Blob(Arc<BlobReader<V::File>>),
}

impl<V: Vfs> Core<V> {
    pub(super) async fn body(self: &Arc<Self>, id: MsgId) -> Result<Body<V>> {
        self.caught_up().await;
        self.blocking(move |core| {
            let text = core.text(id)?;
            let place = match text.place {
                TextPlace::Here(bytes) => Text::Here(bytes),
                TextPlace::Blob(checks) => {
                    let blob = Blob { len: text.len, checks };
                    match BlobReader::open(&*core.vfs, id, blob) {
                        Ok(reader) => Text::Blob(Arc::new(reader)),
                        // Finished since it was looked up.
                        Err(error)
                            if error.kind() == io::ErrorKind::NotFound && core.catalog.message(id)?.is_none() =>
                        {
                            return Err(QueueError::NotFound);
                        }
                        Err(error) => return Err(unreadable(Some(core), id, error)),
                    }
                }
            };
            Ok(Body { runner: core.runner.clone(), core: Arc::downgrade(core), id, prepend: text.prepend, text: place })
        })
        .await
    }
}

/// What is said of a text that cannot be read.
fn unreadable<V: Vfs>(core: Option<&Core<V>>, id: MsgId, error: io::Error) -> QueueError {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof => {
            if let Some(core) = core {
                core.note_damage();
            }
            QueueError::Corrupt { id, why: "its text is not what was written" }
        }
        _ => error.into(),
    }
}

impl<V: Vfs> Body<V> {
    pub(super) fn len(&self) -> u64 {
        match &self.text {
            Text::Here(bytes) => bytes.len() as u64,
            Text::Blob(blob) => blob.len(),
        }
    }

    pub(super) fn prepend(&self) -> &Bytes {
        &self.prepend
    }

    pub(super) async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        match &self.text {
            Text::Here(bytes) => crate::BodyReader::read_at(bytes, offset, max).await,
            Text::Blob(blob) => {
                let (blob, core, id) = (Arc::clone(blob), Weak::clone(&self.core), self.id);
                let read =
                    move || blob.read_at(offset, max).map_err(|error| unreadable(core.upgrade().as_deref(), id, error));
                self.runner.run(read).await
            }
        }
    }
}
