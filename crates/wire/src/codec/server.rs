use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use super::{CodecError, CutIn};
use crate::{
    BareLineEnds, ChunkDecoder, ChunkError, Chunked, Command, CommandError, Decoded, DotDecoder, LineError, Lines,
    Reply,
};

/// The server's side: commands and messages in, replies out.
///
/// It reads lines until it is told that a message follows. A line that is wrong is an item, not an
/// error, because the conversation goes on after it. Behind BDAT the octets of the chunk are read
/// without being asked for, because they come whatever the reply will be (RFC 3030 §2); they never
/// run as commands. Each item wants a reply of the server but [`FromClient::Data`] and BDAT, which
/// are answered at the end of the message or chunk, with the reply of its error if it has one.
///
/// # Incomplete support
/// It does not know what is allowed when; `hikyaku-session` does. A message in DATA may have any
/// size, which the caller counts.
#[derive(Debug)]
pub struct ServerCodec {
    lines: Lines,
    chunks: ChunkDecoder,
    message_limit: u64,
    bare_line_ends: BareLineEnds,
    next: Next,
}

/// What the next octets are.
#[derive(Debug)]
enum Next {
    Command,
    Line,
    Data(DotDecoder),
    Chunk,
    /// A chunk of which nobody knows the size.
    Lost,
}

/// What a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromClient {
    /// A command line, or one that is none. Behind a BDAT that is none the codec stops: answer it
    /// and close the connection.
    Command(Result<Command, InputError>),
    /// The line that [`ServerCodec::receive_line`] asked for.
    Line(Result<Bytes, LineError>),
    /// A piece of the message.
    Data(Bytes),
    /// The end of a chunk that is not the last; with an error, the message must be refused.
    Chunk(Result<(), ChunkError>),
    /// The end of the message; with an error, it must be refused. Commands follow.
    End(Result<(), ChunkError>),
}

/// Why a line is not a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// It is not even a line.
    #[error(transparent)]
    Line(#[from] LineError),
    /// A line, but not a command.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl InputError {
    /// The reply that belongs to this error.
    pub fn reply(&self) -> Reply {
        match self {
            Self::Line(error) => error.reply(),
            Self::Command(error) => error.reply(),
        }
    }
}

impl Default for ServerCodec {
    /// Lines of at most 2,048 octets, messages in chunks of at most 50 MiB in all.
    fn default() -> Self {
        Self::new(2048, 50 << 20)
    }
}

impl ServerCodec {
    /// Lines of at most `line_limit` octets, CRLF included; the chunks of one message have at
    /// most `message_limit` octets. Bare line ends in messages are refused.
    pub fn new(line_limit: usize, message_limit: u64) -> Self {
        let bare_line_ends = BareLineEnds::Refuse;
        let chunks = ChunkDecoder::new(message_limit, bare_line_ends);
        Self { lines: Lines::new(line_limit), chunks, message_limit, bare_line_ends, next: Next::Command }
    }

    /// What to do with bare line ends from the next message on, as for `BODY=BINARYMIME`; a
    /// message in chunks that has begun is forgotten.
    pub fn set_bare_line_ends(&mut self, policy: BareLineEnds) {
        self.bare_line_ends = policy;
        self.reset();
    }

    /// The next line is given as it is, not as a command: a response within AUTH (RFC 4954 §4).
    pub fn receive_line(&mut self) {
        self.next = Next::Line;
    }

    /// A message follows, up to the lone dot: DATA was answered with 354.
    pub fn receive_data(&mut self) {
        self.next = Next::Data(DotDecoder::new(self.bare_line_ends));
    }

    /// Forgets a message in chunks that has begun: the client has said RSET, EHLO or HELO.
    pub fn reset(&mut self) {
        self.chunks = ChunkDecoder::new(self.message_limit, self.bare_line_ends);
    }

    /// Octets of the last line that was too long which have been dropped so far.
    pub fn discarded(&self) -> usize {
        self.lines.discarded()
    }

    fn command(&mut self, input: &mut BytesMut) -> Option<Result<Command, InputError>> {
        // A line that is not whole stays in the input, so that this is its beginning.
        let chunk = input.get(..4).is_some_and(|verb| verb.eq_ignore_ascii_case(b"BDAT"));
        let line = self.lines.next(input)?;
        let command = line.map_err(InputError::from).and_then(|line| Ok(Command::parse(&line)?.into_owned()));
        match &command {
            Ok(Command::Bdat { size, last }) => {
                self.next = Next::Chunk;
                // What is too big is said at the end of the chunk.
                let (Ok(()) | Err(_)) = self.chunks.start(*size, *last);
            }
            Err(_) if chunk => self.next = Next::Lost,
            _ => {}
        }
        Some(command)
    }
}

impl Decoder for ServerCodec {
    type Item = FromClient;
    type Error = CodecError;

    fn decode(&mut self, input: &mut BytesMut) -> Result<Option<FromClient>, CodecError> {
        Ok(match &mut self.next {
            Next::Lost => return Err(CodecError::ChunkSize),
            Next::Command => self.command(input).map(FromClient::Command),
            Next::Line => {
                let line = self.lines.next(input);
                if line.is_some() {
                    self.next = Next::Command;
                }
                line.map(FromClient::Line)
            }
            Next::Data(decoder) => match decoder.decode(input) {
                Decoded::Data(piece) => Some(FromClient::Data(piece)),
                Decoded::More => None,
                Decoded::End(verdict) => {
                    self.next = Next::Command;
                    Some(FromClient::End(verdict.map_err(ChunkError::from)))
                }
            },
            Next::Chunk => match self.chunks.decode(input) {
                Chunked::Data(piece) => Some(FromClient::Data(piece)),
                Chunked::More => None,
                Chunked::End(verdict) => {
                    self.next = Next::Command;
                    Some(FromClient::Chunk(verdict))
                }
                Chunked::Last(verdict) => {
                    self.next = Next::Command;
                    Some(FromClient::End(verdict))
                }
            },
        })
    }

    fn decode_eof(&mut self, input: &mut BytesMut) -> Result<Option<FromClient>, CodecError> {
        let item = self.decode(input)?;
        match self.next {
            _ if item.is_some() => Ok(item),
            Next::Data(_) | Next::Chunk => Err(CodecError::Cut(CutIn::Message)),
            Next::Command if input.is_empty() && !self.lines.discarding() => Ok(None),
            Next::Command | Next::Line | Next::Lost => Err(CodecError::Cut(CutIn::Line)),
        }
    }
}

impl Encoder<&Reply> for ServerCodec {
    type Error = CodecError;

    fn encode(&mut self, reply: &Reply, out: &mut BytesMut) -> Result<(), CodecError> {
        reply.write(out);
        Ok(())
    }
}
