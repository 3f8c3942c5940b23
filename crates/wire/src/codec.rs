//! Both sides of a conversation as codecs of tokio-util, for use with `Framed` (RFC 5321 §2.4, §4).
//!
//! ```
//! use bytes::BytesMut;
//! use hikyaku_wire::{ClientCodec, Command, Content, FromClient, Reply, ServerCodec};
//! use tokio_util::codec::{Decoder, Encoder};
//!
//! let (mut client, mut server) = (ClientCodec::default(), ServerCodec::default());
//! let (mut up, mut down) = (BytesMut::new(), BytesMut::new());
//! client.encode(&Command::Data, &mut up)?;
//! assert_eq!(server.decode(&mut up)?, Some(FromClient::Command(Ok(Command::Data))));
//! server.encode(&Reply::START_INPUT_354, &mut down)?;
//! server.receive_data();
//! assert_eq!(client.decode(&mut down)?, Some(Reply::START_INPUT_354));
//! client.encode(Content::Data(b".dot\r\n"), &mut up)?;
//! client.encode(Content::DataEnd, &mut up)?;
//! assert_eq!(server.decode(&mut up)?, Some(FromClient::Data(".dot\r\n".into())));
//! assert_eq!(server.decode(&mut up)?, Some(FromClient::End(Ok(()))));
//! # Ok::<(), hikyaku_wire::CodecError>(())
//! ```

mod client;
mod server;

use std::io;

pub use client::{ClientCodec, Content};
pub use server::{FromClient, InputError, ServerCodec};

use crate::{BareLineEnd, ReplyError};

/// Why a codec stopped. Close the connection: nobody can tell what the next octets are.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The stream failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The stream ended inside of a line, a reply or a message.
    #[error("connection closed in the middle of {0}")]
    Cut(CutIn),
    /// The line before began with BDAT and is wrong: what follows may be a chunk of any size, and
    /// must not run as commands.
    #[error("size of a chunk is unknown")]
    ChunkSize,
    /// What a server sent is not a reply.
    #[error(transparent)]
    Reply(#[from] ReplyError),
    /// The message cannot be sent as it is; its piece was not.
    #[error(transparent)]
    Message(#[from] BareLineEnd),
}

/// What was not complete when a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum CutIn {
    /// A command line.
    #[error("a line")]
    Line,
    /// A message: the lone dot, or octets of a chunk, had not come. It must be dropped.
    #[error("a message")]
    Message,
    /// A reply.
    #[error("a reply")]
    Reply,
}

#[cfg(test)]
mod tests;
