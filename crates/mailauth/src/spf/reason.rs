//! Why a result is what it is, where the record does not say it.

use hikyaku_dns::{Name, RecordType};
use hikyaku_message::results;

use super::RecordError;

/// Terms of a check that may cause lookups (RFC 7208 §4.6.4).
pub(super) const MAX_TERMS: u32 = 10;
/// Terms whose lookup may find nothing (RFC 7208 §4.6.4).
pub(super) const MAX_VOID: u32 = 2;
/// Mail exchanges of a name, and names of an address (RFC 7208 §4.6.4).
pub(super) const MAX_NAMES: usize = 10;

/// Why there is no plain result: neither a match nor the end of a record gave it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The claim holds no domain name of two labels or more (RFC 7208 §4.3).
    #[error("the client names no domain")]
    NoDomain,
    /// The domain publishes no record (RFC 7208 §4.5).
    #[error("{domain} publishes no SPF record")]
    NoRecord {
        /// The domain.
        domain: Name,
    },
    /// The target of `include` or `redirect` publishes no record (RFC 7208 §5.2, §6.1).
    #[error("{domain} publishes no SPF record, but {by} refers to it")]
    NoRecordReferredTo {
        /// The domain without a record.
        domain: Name,
        /// The domain whose record refers to it.
        by: Name,
    },
    /// The target of `include` or `redirect` is no domain name once its macros are expanded.
    #[error("the record of {domain} refers to {target}, which makes no domain name")]
    NoTarget {
        /// The domain whose record refers to it.
        domain: Name,
        /// The target as it stands in the record.
        target: String,
    },
    /// More than one record (RFC 7208 §4.5).
    #[error("{domain} publishes {count} SPF records instead of one")]
    SeveralRecords {
        /// The domain.
        domain: Name,
        /// How many.
        count: usize,
    },
    /// A record that cannot be read (RFC 7208 §4.6).
    #[error("the SPF record of {domain} is wrong: {error}")]
    Syntax {
        /// The domain.
        domain: Name,
        /// What is wrong.
        error: RecordError,
    },
    /// The eleventh term that causes lookups (RFC 7208 §4.6.4).
    #[error("more than 10 terms with DNS lookups, the eleventh is {term} of {domain}")]
    TooManyTerms {
        /// The domain whose record holds it.
        domain: Name,
        /// The term.
        term: String,
    },
    /// The third term whose lookup finds nothing (RFC 7208 §4.6.4).
    #[error("more than 2 terms whose DNS lookup finds nothing, the third is {term} of {domain}")]
    TooManyVoidLookups {
        /// The domain whose record holds it.
        domain: Name,
        /// The term.
        term: String,
    },
    /// A name of `mx` with more than ten mail exchanges (RFC 7208 §4.6.4).
    #[error("{name} has {count} mail exchanges, more than 10")]
    TooManyExchanges {
        /// The name.
        name: Name,
        /// How many.
        count: usize,
    },
    /// A lookup that failed (RFC 7208 §2.6.6).
    #[error("{record_type} of {name} could not be looked up: {error}")]
    Dns {
        /// The name.
        name: Name,
        /// The type of the records.
        record_type: RecordType,
        /// What the resolver says.
        error: hikyaku_dns::Error,
    },
    /// The message has asked for too much ([`Budget`](crate::Budget)) before this lookup.
    #[error("{record_type} of {name} was not looked up: the message has caused too many DNS lookups")]
    Budget {
        /// The name.
        name: Name,
        /// The type of the records.
        record_type: RecordType,
    },
}

impl Reason {
    /// The result that goes with it: none, temperror or permerror.
    pub fn result(&self) -> results::Spf {
        match self {
            Self::NoDomain | Self::NoRecord { .. } => results::Spf::None,
            Self::Dns { .. } | Self::Budget { .. } => results::Spf::TempError,
            _ => results::Spf::PermError,
        }
    }
}
