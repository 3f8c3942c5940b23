//! Both sides of the SMTP and LMTP conversation (RFC 5321, RFC 2033) as step
//! machines: bytes and decisions go in, bytes and the next step come out.
//!
//! Nothing here reads a socket, a clock or a file, and nothing here decides
//! whether a message is welcome: time is an argument, and each decision is
//! asked of the application as a [`Step`](server::Step) that only a
//! [`Reply`](hikyaku_wire::Reply) can leave.
//!
//! ```
//! use std::{sync::Arc, time::Instant};
//! use bytes::BytesMut;
//! use hikyaku_session::server::{self, Config, Peer, Stage, Step};
//! use hikyaku_wire::Reply;
//!
//! let config = Arc::new(Config::new("mx.example.test"));
//! let (now, mut out) = (Instant::now(), BytesMut::new());
//! let Step::Decide(decide) = server::start(config, Peer::default(), "c1", now) else { panic!() };
//! assert_eq!(decide.stage(), Stage::Connect);
//! let Step::Receive(_) = decide.reply(now, &Reply::OK_250, &mut out) else { panic!() };
//! assert_eq!(&out[..], b"220 mx.example.test ESMTP\r\n");
//! ```

pub mod client;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
#[cfg(any(fuzzing, test))]
mod pair;
mod protocol;
pub mod sasl;
pub mod server;
mod tls;

pub use protocol::Protocol;
pub use tls::{Certificate, Tls};
