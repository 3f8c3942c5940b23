use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use crate::record::{Data, Typed};
use crate::{Mx, Name, Tlsa, Txt};

/// Whatever answers questions about names.
///
/// A lookup follows aliases (CNAME); no search list and no file of hosts is
/// consulted. That there is nothing is an [`Answer`]; an [`Error`] says that it
/// is not known.
pub trait Resolver: Send + Sync {
    /// IPv4 addresses.
    fn a(&self, name: &Name) -> impl Future<Output = Result<Answer<Ipv4Addr>, Error>> + Send;
    /// IPv6 addresses.
    fn aaaa(&self, name: &Name) -> impl Future<Output = Result<Answer<Ipv6Addr>, Error>> + Send;
    /// Mail exchanges, in no order.
    fn mx(&self, name: &Name) -> impl Future<Output = Result<Answer<Mx>, Error>> + Send;
    /// Names of the address that [`Name::reverse`] made this name of.
    fn ptr(&self, name: &Name) -> impl Future<Output = Result<Answer<Name>, Error>> + Send;
    /// Certificate associations.
    fn tlsa(&self, name: &Name) -> impl Future<Output = Result<Answer<Tlsa>, Error>> + Send;
    /// Texts.
    fn txt(&self, name: &Name) -> impl Future<Output = Result<Answer<Txt>, Error>> + Send;
}

/// What a resolver knows about a name and a type.
///
/// `records` holds something if and only if `presence` is [`Presence::Found`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// The records, those of the canonical name where the name is an alias.
    pub records: Vec<T>,
    /// Whether there are records, or nothing, or not even the name.
    pub presence: Presence,
    /// How far the answer, also a negative one, is proved by DNSSEC.
    pub security: Security,
    /// How long the answer may be kept.
    pub ttl: Duration,
}

/// Whether there is something under a name (RFC 2308 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Presence {
    /// There are records of the type asked for.
    Found,
    /// The name exists without records of this type. A mail domain without MX
    /// is its own mail host.
    NoData,
    /// Neither the name nor one below it exists (NXDOMAIN). Mail for such a
    /// domain fails for good: 5.1.2.
    NoName,
}

/// What DNSSEC says about an answer (RFC 4033 §5); an answer proved to be
/// forged is no answer but [`Error::Bogus`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Security {
    /// Signed by a chain of keys down from a trust anchor. Only this lets
    /// DANE speak (RFC 7672 §2.1).
    Secure,
    /// Proved to come from a part of the tree that is not signed.
    Insecure,
    /// Nothing was verified. For mail the same as insecure.
    #[default]
    Indeterminate,
}

/// Why nothing is known about a name. Each of these is temporary for mail:
/// 4.4.3, try again later; none of them may be read as "no such record".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server could not answer (SERVFAIL), which is also what a resolver
    /// that validates says about bogus data.
    #[error("the name server failed")]
    ServerFailure,
    /// The server answered with this response code (RFC 1035 §4.1.1), for
    /// example 5, REFUSED.
    #[error("the name server refused with response code {0}")]
    Refused(u16),
    /// No server answered in time.
    #[error("no name server answered in time")]
    Timeout,
    /// No server could be reached.
    #[error("no name server could be reached")]
    Unreachable,
    /// DNSSEC proves the answer to be false. Never fall back to anything
    /// weaker: the mail waits.
    #[error("the answer is not the one that was signed")]
    Bogus,
    /// More than eight aliases, or a circle of them.
    #[error("too many aliases")]
    AliasLoop,
    /// The server sent something that is not a DNS answer to the question.
    #[error("the answer cannot be read")]
    Malformed,
}

impl<T> Answer<T> {
    /// The same with each record turned into another form, where it has one.
    pub(crate) fn filter_map<U>(self, into: impl FnMut(T) -> Option<U>) -> Answer<U> {
        Answer {
            records: self.records.into_iter().filter_map(into).collect(),
            presence: self.presence,
            security: self.security,
            ttl: self.ttl,
        }
    }
}

impl Answer<Data> {
    pub(crate) fn typed<T: Typed>(self) -> Answer<T> {
        self.filter_map(T::from_data)
    }
}

macro_rules! forward {
    ($($method:ident -> $record:ty),*) => {
        $(fn $method(
            &self,
            name: &Name,
        ) -> impl Future<Output = Result<Answer<$record>, Error>> + Send {
            (**self).$method(name)
        })*
    };
}

macro_rules! forward_all {
    ($($pointer:ty),*) => {
        $(impl<R: Resolver + ?Sized> Resolver for $pointer {
            forward! {
                a -> Ipv4Addr, aaaa -> Ipv6Addr, mx -> Mx, ptr -> Name, tlsa -> Tlsa, txt -> Txt
            }
        })*
    };
}

forward_all!(&R, Arc<R>);
