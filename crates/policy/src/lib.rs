//! The relay policy engine: from plain data and the facts of a transaction it decides who may
//! send mail to which recipient, and names the rule that decides; and it proves what it would
//! decide for every other transaction.
//! It never opens a socket, asks the DNS, reads a clock, or looks up whether a user exists.
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

mod check;
mod condition;
mod counters;
mod decide;
mod domains;
mod explain;
mod facts;
mod fault;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod identifier;
mod index;
mod language;
mod lines;
mod list;
mod name_index;
mod needs;
mod networks;
mod policy;
mod prove;
#[cfg(any(fuzzing, test))]
mod random;
mod rule;
mod warnings;

pub use condition::{CertificateSet, Condition, Dmarc, HostSet, Hours, NetworkSet, Per, Period, Rate, Test, Window};
pub use counters::{Rates, Triplets};
pub use decide::{Decision, Value};
pub use domains::{DomainError, DomainPattern, Domains};
pub use explain::{Explanation, Step};
pub use facts::{Certificate, Facts, Finding, Listener, Message, Stage};
pub use fault::Fault;
pub use identifier::{Identifier, IdentifierError};
pub use language::TextError;
pub use list::{CertificatePattern, DomainRole, List, Members, Trust};
pub use needs::Needs;
pub use networks::{Network, NetworkError, Networks};
pub use policy::{Policy, PolicyBuilder, PolicyError, Settings};
pub use prove::{
    Cell, Change, Extent, Flip, Grid, Idle, Limits, Note, Outcome, Rejection, Row, Surface, TooComplex, Verdict, Why,
    Witness,
};
pub use rule::{Action, Claim, Rule, Verb};
