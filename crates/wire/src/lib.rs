//! The grammar of SMTP on the wire: it parses and prints, and does nothing else.
//! It never opens a socket, reads a clock, keeps a conversation's state or decides anything.
//!
//! Every noun that can be encoded is checked when it is made, so that nothing that could end a
//! line, a path or a reply early (CR, LF, NUL, an unquoted bracket) can be inside of it.
//!
//! ```
//! use hikyaku_wire::{Command, Reply};
//!
//! let command = Command::parse(b"mail from:<bob@example.org> size=1024").unwrap();
//! let Command::Mail(mail) = &command else { panic!("not MAIL") };
//! assert_eq!(mail.params.size, Some(1024));
//! assert_eq!(command.to_string(), "MAIL FROM:<bob@example.org> SIZE=1024");
//! assert_eq!(Reply::SENDER_OK_250.to_string(), "250 2.1.0 sender ok");
//! ```

mod address;
mod chunk;
#[cfg(feature = "codec")]
mod codec;
mod command;
mod dot;
mod ehlo;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod grammar;
mod line;
mod line_ends;
mod params;
mod path;
mod reply;
mod reply_canon;
mod reply_reader;
mod timestamp;
mod verb;

pub use address::{AddressError, AddressErrorKind, Domain, Host, LocalPart, Mailbox};
pub use chunk::{ChunkDecoder, ChunkEncoder, ChunkError, Chunked};
#[cfg(feature = "codec")]
pub use codec::{ClientCodec, CodecError, Content, CutIn, FromClient, InputError, ServerCodec};
pub use command::{Argument, AuthCommand, Command, CommandError, CommandErrorKind};
pub use dot::{Decoded, DotDecoder, DotEncoder};
pub use ehlo::{Capabilities, EhloKeyword, Hello};
pub use line::{LineError, LineErrorKind, Lines};
pub use line_ends::{BareLineEnd, BareLineEndKind, BareLineEnds};
pub use params::{Body, Mail, MailParams, Param, Recipient, RecipientParams};
pub use path::{ForwardPath, ReversePath};
pub use reply::{Code, EnhancedCode, Reply, ReplyParseError};
pub use reply_reader::{ReplyError, ReplyReader};
pub use timestamp::{Civil, Timestamp, TimestampError};
pub use verb::Verb;
