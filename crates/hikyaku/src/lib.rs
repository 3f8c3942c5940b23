//! An embeddable mail relay: it joins the sans-IO crates to tokio's sockets, timers and files.
//! It never decides who may relay (that is `hikyaku-policy`) and never speaks SMTP by itself
//! (that is `hikyaku-session`): it moves bytes between them, the queue and the network.
//!
//! ```text
//! client -> serve -> Handler -> Intake -> queue -> Outbound -> Maildir, LMTP, smart host or MX
//!                       |                             |
//!              Screening, policy               bounce to the sender
//! ```
//!
//! A server is a [`Handler`] given to [`serve`]; what it does not say is refused:
//!
//! ```
//! use hikyaku::{Handler, wire::{Hello, Reply}, session::server::Session};
//!
//! struct Polite;
//!
//! impl Handler for Polite {
//!     type Mail = ();
//!     async fn connect(&mut self, _: &Session) -> Reply { Reply::OK_250 }
//!     async fn hello(&mut self, _: &Session, _: &Hello) -> Reply { Reply::OK_250 }
//!     // Every MAIL is refused: that is the default.
//! }
//! ```

mod bounce;
#[cfg(feature = "config")]
mod config;
#[cfg(feature = "control")]
mod control;
mod current;
mod delegation;
mod deliver;
mod directory;
mod environment;
mod facts;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod gate;
mod intake;
mod io;
mod local;
mod log;
mod outbound;
mod resolver;
mod route;
mod screening;
mod serve;
mod signing;
mod stop;
mod tls;
#[cfg(feature = "users")]
mod users;

pub use hikyaku_audit as audit;
pub use hikyaku_dns as dns;
pub use hikyaku_mailauth as mailauth;
pub use hikyaku_message as message;
pub use hikyaku_policy as policy;
pub use hikyaku_queue as queue;
pub use hikyaku_session as session;
pub use hikyaku_wire as wire;

#[cfg(feature = "config")]
pub use config::{
    AuthConfig, CertificateId, CertificateUser, Config, ConfigError, DeliveryConfig, LimitsConfig, ListenerConfig,
    Mode, PostgresStore, Store, TlsConfig,
};
#[cfg(feature = "control")]
pub use control::{Control, ControlError, ControlSocket, MessageText, control_path};
pub use current::Current;
pub use delegation::{
    Delegate, DelegateOptions, Delegated, DelegationAction, DelegationError, DelegationReader, DelegationRequest,
};
pub use deliver::{Delivery, DeliveryLimits};
pub use directory::{Directory, Users};
pub use environment::{id, now, raise_open_files, random};
pub use facts::{Arriving, Check, DnsList, Found, Names, Verification, VerifyConfig};
pub use gate::{Gate, GateLimits};
pub use intake::{Intake, Submission};
pub use io::{Address, AddressError, Listener, Stream};
pub use local::Maildirs;
pub use log::AuditLog;
pub use outbound::{ClientTls, Connection, OpenError, Target};
pub use resolver::Dns;
pub use route::{HostPort, Route, RouteError, Routes};
pub use screening::{GreylistConfig, Judgement, NoSuchRoute, Outcome, Ruling, Screening, Transaction, Visitor};
pub use serve::{Handler, Service, converse, serve};
pub use signing::{DkimKey, SigningKeys, SigningKeysError};
pub use stop::{Stop, Stopper};
pub use tls::{CertificateFiles, Certificates, ClientCertificates, ServerTls, SpkiPin, SpkiPinError, TlsError};
#[cfg(feature = "users")]
pub use users::{Accounts, SenderPattern, SenderPatternError};
