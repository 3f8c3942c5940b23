//! The relay policy engine: from plain data and the facts of a transaction it decides who may
//! send mail to which recipient, and names the rule that decides.
//! It never opens a socket, asks the DNS, reads a clock, or looks up whether a user exists: that
//! a local domain is permitted does not say that the mailbox is there.
//!
//! ```
//! use hikyaku_policy::{Facts, Listener, Policy};
//!
//! let policy = Policy::closed(
//!     "example.org, *.example.org".parse()?, // local domains
//!     "partner.example".parse()?,            // relay domains
//!     "10.0.0.0/8, 2001:db8::/32".parse()?,  // trusted networks
//! )?;
//! let mut facts = Facts::new(Some("198.51.100.7".parse()?), Listener::Mx);
//! facts.hello = Some("client.example".parse()?);
//! facts.sender = Some("<bob@sender.example>".parse()?);
//!
//! facts.recipient = Some("<alice@mail.example.org>".parse()?);
//! let decision = policy.decide(&facts);
//! assert!(decision.is_permitted());
//! assert_eq!((decision.rule, decision.line), ("permit when to local_domains", Some(5)));
//!
//! facts.recipient = Some("<victim@third.example>".parse()?);
//! let decision = policy.decide(&facts);
//! assert_eq!(decision.reply.code().as_u16(), 550);
//! assert_eq!((decision.rule, decision.line), ("implicit refusal", None));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Four modules carry the engine: the lists ([`Networks`], [`Domains`]), the [`Condition`]s of a
//! rule, [`Policy::decide`], and [`Policy::summary`], which runs the same rules over whole
//! classes of clients and recipients: with it a policy that strangers could use to send anywhere
//! is refused when it is made.

mod condition;
mod decide;
mod domains;
mod facts;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod language;
mod list;
mod networks;
mod policy;
#[cfg(test)]
mod random;
mod summary;

pub use condition::{Condition, Needs};
pub use decide::Decision;
pub use domains::{DomainError, DomainPattern, Domains};
pub use facts::{Facts, Listener, Stage};
pub use list::{DomainRole, List, ListName, ListNameError};
pub use networks::{Network, NetworkError, Networks};
pub use policy::{Action, Policy, PolicyError, Rule};
pub use summary::{Destination, Permitted, Summary, Who};
