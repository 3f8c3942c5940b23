use bytes::BytesMut;
use tokio_util::codec::{Decoder, Encoder};

use super::{CodecError, CutIn};
use crate::{BareLineEnds, ChunkEncoder, Command, DotEncoder, Reply, ReplyReader};

/// The client's side: replies in, commands and messages out.
#[derive(Debug, Default)]
pub struct ClientCodec {
    replies: ReplyReader,
    dots: DotEncoder,
    chunks: ChunkEncoder,
    bare_line_ends: BareLineEnds,
}

/// A part of a message, to be sent.
///
/// An error in one of them spoils the message: no other part of it can be sent, and the connection
/// must be closed, so that nobody takes what was sent for all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// The next octets behind DATA; dots are put in (RFC 5321 §4.5.2).
    Data(&'a [u8]),
    /// The end of the message behind DATA: the lone dot.
    DataEnd,
    /// The next octets, as one chunk with its BDAT (RFC 3030 §2); nothing if there are none.
    Chunk(&'a [u8]),
    /// The last octets, as the last chunk.
    LastChunk(&'a [u8]),
}

impl ClientCodec {
    /// What to do with bare line ends from the next message on; one that has begun is forgotten.
    /// The default is to refuse them.
    pub fn set_bare_line_ends(&mut self, policy: BareLineEnds) {
        self.bare_line_ends = policy;
        self.dots = DotEncoder::new(policy);
        self.chunks = ChunkEncoder::new(policy);
    }
}

impl Decoder for ClientCodec {
    type Item = Reply;
    type Error = CodecError;

    fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Reply>, CodecError> {
        Ok(self.replies.next(input)?)
    }

    fn decode_eof(&mut self, input: &mut BytesMut) -> Result<Option<Reply>, CodecError> {
        match self.decode(input)? {
            None if self.replies.in_reply() || !input.is_empty() => Err(CodecError::Cut(CutIn::Reply)),
            reply => Ok(reply),
        }
    }
}

impl Encoder<&Command> for ClientCodec {
    type Error = CodecError;

    fn encode(&mut self, command: &Command, out: &mut BytesMut) -> Result<(), CodecError> {
        command.write(out);
        Ok(())
    }
}

impl Encoder<Content<'_>> for ClientCodec {
    type Error = CodecError;

    fn encode(&mut self, content: Content<'_>, out: &mut BytesMut) -> Result<(), CodecError> {
        match content {
            Content::Data(piece) => self.dots.encode(piece, out)?,
            Content::Chunk(piece) => self.chunks.encode(piece, out)?,
            // What could not be finished stays spoilt.
            Content::DataEnd => {
                self.dots.clone().finish(out)?;
                self.dots = DotEncoder::new(self.bare_line_ends);
            }
            Content::LastChunk(piece) => {
                self.chunks.clone().finish(piece, out)?;
                self.chunks = ChunkEncoder::new(self.bare_line_ends);
            }
        }
        Ok(())
    }
}
