//! SPF (RFC 7208): may this client use this name.
//!
//! [`check`] answers, [`explain`] also tells how. Looked up are TXT records, never the type SPF.
//! The limits are those of RFC 7208 §4.6.4: ten terms that cause lookups, two of them without an
//! answer, ten mail exchanges of a name, ten names of the client's address. As it counts terms,
//! `mx` is one of them whatever hosts it names; hosts without an address are not counted.
//!
//! # Incomplete support
//!
//! The field `Received-SPF` (RFC 7208 §9.1) is not made: `Authentication-Results` says the same.

mod evaluate;
mod macros;
mod parse;
mod reason;
mod record;
mod trace;
mod validated;

#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use hikyaku_dns::{Answer, Name, Presence, Resolver, Txt};
use hikyaku_message::results;
use hikyaku_wire::Timestamp;

use crate::Lookups;
use crate::lookups::Published;

use evaluate::{Claim, Evaluation};
use trace::Watch;

pub use macros::{DomainSpec, MacroError, MacroString};
pub use parse::{RecordError, RecordProblem};
pub use reason::Reason;
pub use record::{Directive, Mechanism, Modifier, Prefixes, Qualifier, Record};
pub use trace::{Event, Found, Looked, Missing, Step, Trace, Verdict};

/// Which of the client's claims is checked (RFC 7208 §2.3, §2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The argument of HELO or EHLO.
    Helo,
    /// The path of MAIL; where it is null, postmaster at the HELO name.
    MailFrom,
}

/// What is asked: a client and its claims.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The client's address; an IPv4-mapped one counts as the IPv4 address.
    pub client: IpAddr,
    /// The argument of HELO or EHLO.
    pub hello: &'a str,
    /// The path of MAIL without its brackets; empty for the null path.
    pub sender: &'a str,
    /// The name of the checking host, for the macro `r`.
    pub receiver: &'a str,
    /// The time, for the macro `t`.
    pub now: Timestamp,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// Which claim was checked.
    pub identity: Identity,
    /// The result.
    pub result: results::Spf,
    /// The domain that was checked; `None` where the claim holds none.
    pub domain: Option<Name>,
    /// What the domain says to a client that fails (RFC 7208 §6.2): a text of strangers, in
    /// printable ASCII, cut to 400 octets.
    pub explanation: Option<String>,
    /// Why neither a match nor the end of the record gave the result: set for none, temperror and
    /// permerror.
    pub reason: Option<Reason>,
}

/// Checks one claim (`check_host`, RFC 7208 §4).
///
/// A name or a local part with characters outside ASCII is treated as RFC 8616 §4 says: names are
/// looked up as A-labels, and a term with `%{l}` or `%{s}` matches nothing.
///
/// A message that has used up its [`Budget`](crate::Budget) gets temperror, with
/// [`Reason::Budget`].
pub async fn check<R: Resolver>(lookups: &Lookups<'_, R>, question: &Question<'_>, identity: Identity) -> Outcome {
    run(lookups, question, identity, ()).await.outcome
}

/// The same as [`check`], and how the result came about.
pub async fn explain<R: Resolver>(lookups: &Lookups<'_, R>, question: &Question<'_>, identity: Identity) -> Trace {
    let Run { outcome, watch, terms, void_lookups } = run(lookups, question, identity, Vec::new()).await;
    Trace { steps: watch, terms, void_lookups, outcome }
}

/// A check that is over.
struct Run<W> {
    outcome: Outcome,
    watch: W,
    terms: u32,
    void_lookups: u32,
}

async fn run<R: Resolver, W: Watch>(
    lookups: &Lookups<'_, R>,
    question: &Question<'_>,
    identity: Identity,
    watch: W,
) -> Run<W> {
    let (local_part, domain) = match (identity, question.sender) {
        (Identity::Helo, _) | (Identity::MailFrom, "") => ("", question.hello),
        (Identity::MailFrom, sender) => sender.rsplit_once('@').unwrap_or(("", sender)),
    };
    let Some(domain) = domain_name(domain).map(Arc::new) else {
        let reason = Reason::NoDomain;
        let outcome =
            Outcome { identity, result: reason.result(), domain: None, explanation: None, reason: Some(reason) };
        return Run { outcome, watch, terms: 0, void_lookups: 0 };
    };
    let claim = Claim {
        client: question.client.to_canonical(),
        hello: question.hello,
        // RFC 7208 §4.3.
        local_part: if local_part.is_empty() { "postmaster" } else { local_part },
        domain: Arc::clone(&domain),
        receiver: question.receiver,
        now: question.now,
    };
    let mut evaluation = Evaluation::new(lookups, claim, watch);
    let (result, explanation, reason) = match evaluation.run().await {
        Ok((result, explanation)) => (result, explanation, None),
        Err(reason) => (reason.result(), None, Some(reason)),
    };
    let Evaluation { watch, terms, void_lookups, .. } = evaluation;
    let outcome = Outcome { identity, result, domain: Some(Name::clone(&domain)), explanation, reason };
    Run { outcome, watch, terms, void_lookups }
}

/// The name of a domain that can be checked (RFC 7208 §4.3): of two labels or more, and no address.
fn domain_name(domain: &str) -> Option<Name> {
    let name = if domain.is_ascii() {
        let text = domain.strip_suffix('.').unwrap_or(domain);
        let visible = text.bytes().all(|octet| octet.is_ascii_graphic());
        if !visible || text.starts_with('[') || text.parse::<IpAddr>().is_ok() {
            return None;
        }
        Name::from_labels(text.split('.').map(str::as_bytes))
    } else {
        Name::from_domain(domain)
    };
    name.ok().filter(|name| name.labels().nth(1).is_some())
}

/// What a domain publishes for SPF.
#[derive(Debug)]
pub(crate) enum Publication {
    Nothing(Presence),
    Record(Arc<Record>),
    Several(usize),
    Malformed(RecordError),
}

impl Published for Publication {
    /// Selects the record (RFC 7208 §4.5) and reads it whole.
    fn read(answer: &Answer<Txt>) -> Self {
        let mut record = None;
        let mut count = 0;
        for text in answer.records.iter().map(Txt::concat) {
            if parse::behind_version(&text).is_some() {
                count += 1;
                record = Some(text);
            }
        }
        match record {
            None => Self::Nothing(answer.presence),
            Some(_) if count > 1 => Self::Several(count),
            Some(text) => match Record::parse(&text) {
                Ok(record) => Self::Record(Arc::new(record)),
                Err(error) => Self::Malformed(error),
            },
        }
    }

    fn size(&self) -> usize {
        size_of::<Self>() + if let Self::Record(record) = self { record.size() } else { 0 }
    }
}

impl Publication {
    fn found(&self) -> Found {
        match self {
            Self::Nothing(presence) => Found::Nothing(*presence),
            Self::Record(record) => Found::Record(Record::clone(record)),
            Self::Several(count) => Found::Several(*count),
            Self::Malformed(error) => Found::Malformed(error.clone()),
        }
    }
}
