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
mod capabilities;
mod chunk;
mod code;
#[cfg(feature = "codec")]
mod codec;
mod command;
mod dot;
mod esmtp;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod grammar;
mod hello;
mod line;
mod line_ends;
mod params;
mod path;
mod proxy;
mod reply;
mod reply_canon;
mod reply_error;
mod reply_reader;
mod reply_text;
#[cfg(feature = "sasl")]
mod sasl;
mod text;
mod timestamp;
mod utf8_address;
mod verb;
mod xclient;
mod xtext;

pub use address::{AddressError, AddressErrorKind, Domain, Host, LocalPart, Mailbox};
pub use capabilities::{
    Capabilities, Capability, CapabilityError, CapabilityErrorKind, EhloKeyword, Extension, Limits, Seconds, Words,
};
pub use chunk::{ChunkDecoder, ChunkEncoder, ChunkError, Chunked};
pub use code::{Code, EnhancedCode};
#[cfg(feature = "codec")]
pub use codec::{ClientCodec, CodecError, Content, CutIn, FromClient, InputError, ServerCodec};
pub use command::{Argument, AuthCommand, Command, CommandError, CommandErrorKind};
pub use dot::{Decoded, DotDecoder, DotEncoder};
pub use esmtp::{
    AuthParam, ByMode, DeliverBy, EnvelopeId, Hold, HoldFor, HoldUntil, Notify, OriginalRecipient, Priority, Ret,
    ValueError, ValueErrorKind,
};
pub use hello::Hello;
pub use line::{LineError, LineErrorKind, Lines};
pub use line_ends::{BareLineEnd, BareLineEndKind, BareLineEnds};
pub use params::{Body, Mail, MailParams, Param, Params, Recipient, RecipientParams};
pub use path::{ForwardPath, ReversePath};
pub use proxy::{ProxyAddresses, ProxyError, ProxyErrorKind, ProxyHeader, ProxyTlvs, ProxyTransport, UnixPath};
pub use reply::Reply;
pub use reply_error::{ReplyError, ReplyErrorKind};
pub use reply_reader::ReplyReader;
#[cfg(feature = "sasl")]
pub use sasl::{AuthResponse, Base64, Challenge, InitialResponse, SaslError, SaslErrorKind};
pub use timestamp::{Civil, Timestamp, TimestampError};
pub use utf8_address::Utf8Address;
pub use verb::Verb;
pub use xclient::{XClient, XClientAttribute, XClientError, XClientErrorKind, XClientName, XClientProto};
pub use xtext::{Xtext, XtextError, XtextErrorKind};
