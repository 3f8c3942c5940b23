//! The framings as tokio-util codecs, for use with `Framed`.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use crate::{BareLineEnd, Command, Decoded, DotDecoder, DotEncoder, LineError, Lines, Reply, ReplyError, ReplyReader};

/// Why a codec stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The stream failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What a server sent is not a reply.
    #[error(transparent)]
    Reply(#[from] ReplyError),
    /// The message cannot be sent as it is.
    #[error(transparent)]
    Message(#[from] BareLineEnd),
}

/// The server's side: lines in, replies out. A line that is wrong is an item, not an error,
/// because the conversation goes on after it.
#[derive(Debug)]
pub struct LineCodec(Lines);

impl LineCodec {
    /// Lines of at most `limit` octets, CRLF included.
    pub fn new(limit: usize) -> Self {
        Self(Lines::new(limit))
    }
}

impl Decoder for LineCodec {
    type Item = Result<Bytes, LineError>;
    type Error = CodecError;

    fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Self::Item>, CodecError> {
        Ok(self.0.next(input))
    }
}

impl Encoder<&Reply> for LineCodec {
    type Error = CodecError;

    fn encode(&mut self, reply: &Reply, out: &mut BytesMut) -> Result<(), CodecError> {
        reply.write(out);
        Ok(())
    }
}

/// The client's side: replies in, commands out.
#[derive(Debug, Default)]
pub struct ReplyCodec(ReplyReader);

impl Decoder for ReplyCodec {
    type Item = Reply;
    type Error = CodecError;

    fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Reply>, CodecError> {
        Ok(self.0.next(input)?)
    }
}

impl<T: AsRef<str>> Encoder<&Command<T>> for ReplyCodec {
    type Error = CodecError;

    fn encode(&mut self, command: &Command<T>, out: &mut BytesMut) -> Result<(), CodecError> {
        command.write(out);
        Ok(())
    }
}

/// A message between DATA and the lone dot, in pieces. The end is the item `None`.
#[derive(Debug, Default)]
pub struct DotCodec {
    decoder: DotDecoder,
    encoder: DotEncoder,
}

impl DotCodec {
    /// Whether a CR or LF that stands alone has been received (see [`DotDecoder`]).
    pub fn bare_line_end(&self) -> bool {
        self.decoder.bare_line_end()
    }
}

impl Decoder for DotCodec {
    type Item = Option<Bytes>;
    type Error = CodecError;

    fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Self::Item>, CodecError> {
        Ok(match self.decoder.decode(input) {
            Decoded::Data(piece) => Some(Some(piece)),
            Decoded::End => Some(None),
            Decoded::More => None,
        })
    }
}

impl Encoder<Option<Bytes>> for DotCodec {
    type Error = CodecError;

    fn encode(&mut self, piece: Option<Bytes>, out: &mut BytesMut) -> Result<(), CodecError> {
        match piece {
            Some(piece) => self.encoder.encode(&piece, out)?,
            None => std::mem::take(&mut self.encoder).finish(out)?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialogue_through_the_codecs() {
        let mut server = LineCodec::new(2048);
        let mut client = ReplyCodec::default();
        let (mut up, mut down) = (BytesMut::new(), BytesMut::new());
        client.encode(&Command::<&str>::Rset, &mut up).unwrap();
        up.extend_from_slice(b"NOOP\nQUIT\r\n");
        assert_eq!(server.decode(&mut up).unwrap(), Some(Ok(Bytes::from_static(b"RSET"))));
        assert_eq!(server.decode(&mut up).unwrap(), Some(Err(LineError::BareLf)));
        assert_eq!(server.decode(&mut up).unwrap(), Some(Ok(Bytes::from_static(b"QUIT"))));
        server.encode(&Reply::BYE_221, &mut down).unwrap();
        assert_eq!(client.decode(&mut down).unwrap(), Some(Reply::BYE_221));
    }

    #[test]
    fn a_message_through_the_codec() {
        let mut codec = DotCodec::default();
        let mut wire = BytesMut::new();
        codec.encode(Some(Bytes::from_static(b".a\r\n")), &mut wire).unwrap();
        codec.encode(None, &mut wire).unwrap();
        assert_eq!(wire, "..a\r\n.\r\n");
        let mut message = Vec::new();
        while let Some(Some(piece)) = codec.decode(&mut wire).unwrap() {
            message.extend_from_slice(&piece);
        }
        assert_eq!(message, b".a\r\n");
        assert!(wire.is_empty() && !codec.bare_line_end());
    }
}
