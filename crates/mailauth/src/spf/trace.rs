//! How a result came about, for people and for other programs.

use std::fmt;

use hikyaku_dns::{Answer, Data, Name, Presence, RecordType};
use hikyaku_message::results;

use super::{Directive, DomainSpec, Outcome, Record, RecordError};
use crate::LookupError;

/// A check and how its result came about, step by step; [`explain`](super::explain) makes it.
///
/// Printed, it is a report of some lines, indented where a record includes another.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trace {
    /// What was done, in this order.
    pub steps: Vec<Step>,
    /// Terms that cause lookups, of the 10 that are allowed (RFC 7208 §4.6.4).
    pub terms: u32,
    /// Terms whose lookup found nothing, of the 2 that are allowed (RFC 7208 §4.6.4).
    pub void_lookups: u32,
    /// What came out.
    pub outcome: Outcome,
}

/// One step of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// How many `include` deep, 0 for the record of the domain that is checked, and for one that
    /// it redirects to.
    pub depth: usize,
    /// What was done.
    pub event: Event,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The record of a domain was looked up, in its TXT records.
    Record {
        /// The domain.
        domain: Name,
        /// What there was.
        found: Found,
    },
    /// Something else was looked up.
    Lookup {
        /// The name.
        name: Name,
        /// The type of the records.
        record_type: RecordType,
        /// What there was.
        answer: Looked,
    },
    /// A mechanism was asked.
    Directive {
        /// The mechanism.
        directive: Directive,
        /// The name that its macros made, where it has any and they made one.
        expanded: Option<Name>,
        /// What it said.
        verdict: Verdict,
    },
    /// No mechanism matched, and another domain is asked in place of this one.
    Redirect {
        /// Whom the record names.
        target: DomainSpec,
        /// The name that came out.
        name: Option<Name>,
    },
    /// The end of a record, or of the chain of its redirections.
    End {
        /// The domain of the record.
        domain: Name,
        /// What it says.
        result: results::Spf,
    },
    /// The text for a client that fails was made, or there is none.
    Explanation {
        /// Where it stands.
        target: DomainSpec,
        /// Why there is none.
        missing: Option<Missing>,
    },
}

/// What a domain publishes for SPF.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Found {
    /// Nothing; the name may have other texts.
    Nothing(Presence),
    /// One record.
    Record(Record),
    /// Several records, which is an error.
    Several(usize),
    /// One record that cannot be read.
    Malformed(RecordError),
    /// It is not known.
    Failed(LookupError),
}

/// What a lookup gave.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Looked {
    /// Records.
    Found(Vec<Data>),
    /// Nothing, or not even the name.
    Nothing(Presence),
    /// It is not known.
    Failed(LookupError),
}

/// What a mechanism said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It matches: the record ends with the result of its qualifier.
    Matched,
    /// `include` begins; its own steps follow, one deeper, then this directive again.
    Entered,
    /// The client is not in the network, or has none of the addresses.
    Elsewhere,
    /// The network is one of IPv4 and the client IPv6, or the other way round.
    OtherFamily,
    /// The name has no such records.
    Nothing,
    /// The text with macros makes no name.
    NoName,
    /// No name of the client's address is one of these and leads back to the address.
    NotValidated,
    /// The included record says this.
    Included(results::Spf),
}

/// Why there is no explanation (RFC 7208 §6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// The text with macros makes no name.
    NoName,
    /// Nothing is published there, or it is not known.
    Nothing,
    /// More than one text is published there.
    Several,
    /// The text cannot be read.
    Malformed,
}

/// Takes down what a check does, or nothing.
pub(super) trait Watch: Send {
    fn note(&mut self, depth: usize, event: impl FnOnce() -> Event);
}

/// Nothing is taken down.
impl Watch for () {
    fn note(&mut self, _: usize, _: impl FnOnce() -> Event) {}
}

impl Watch for Vec<Step> {
    fn note(&mut self, depth: usize, event: impl FnOnce() -> Event) {
        self.push(Step { depth, event: event() });
    }
}

impl Looked {
    pub(super) fn of<T: Clone>(answer: &Result<Answer<T>, LookupError>, data: impl Fn(T) -> Data) -> Self {
        match answer {
            Ok(answer) if answer.records.is_empty() => Self::Nothing(answer.presence),
            Ok(answer) => Self::Found(answer.records.iter().cloned().map(data).collect()),
            Err(error) => Self::Failed(*error),
        }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(out, "{step}")?;
        }
        writeln!(out, "terms with lookups: {} of 10, without an answer: {} of 2", self.terms, self.void_lookups)?;
        write!(out, "{}", self.outcome.result)?;
        if let Some(reason) = &self.outcome.reason {
            write!(out, ": {reason}")?;
        }
        if let Some(explanation) = &self.outcome.explanation {
            write!(out, "\nthe domain says: {explanation}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:width$}{}", "", self.event, width = 4 * self.depth)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record { domain, found } => write!(out, "{domain}: {found}"),
            Self::Lookup { name, record_type, answer } => write!(out, "    {record_type} {name}: {answer}"),
            Self::Directive { directive, expanded, verdict } => {
                write!(out, "  {directive}")?;
                if let Some(name) = expanded {
                    write!(out, " ({name})")?;
                }
                match verdict {
                    Verdict::Matched => write!(out, ": matches, {}", directive.qualifier.result()),
                    verdict => write!(out, ": {verdict}"),
                }
            }
            Self::Redirect { target, name: Some(name) } if target.name().is_none() => {
                write!(out, "  redirect={target} ({name})")
            }
            Self::Redirect { target, name: Some(_) } => write!(out, "  redirect={target}"),
            Self::Redirect { target, name: None } => write!(out, "  redirect={target}: makes no name"),
            Self::End { domain, result } => write!(out, "{domain}: {result}"),
            Self::Explanation { target, missing: None } => write!(out, "  exp={target}"),
            Self::Explanation { target, missing: Some(missing) } => write!(out, "  exp={target}: {missing}"),
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing(Presence::NoName) => out.write_str("no record, there is no such name"),
            Self::Nothing(_) => out.write_str("no record"),
            Self::Record(record) => record.fmt(out),
            Self::Several(count) => write!(out, "{count} records instead of one"),
            Self::Malformed(error) => error.fmt(out),
            Self::Failed(error) => error.fmt(out),
        }
    }
}

impl fmt::Display for Looked {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Found(records) => {
                for (at, record) in records.iter().enumerate() {
                    if at > 0 {
                        out.write_str(", ")?;
                    }
                    record.fmt(out)?;
                }
                Ok(())
            }
            Self::Nothing(Presence::NoName) => out.write_str("no such name"),
            Self::Nothing(_) => out.write_str("no such records"),
            Self::Failed(error) => error.fmt(out),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Matched => out.write_str("matches"),
            Self::Entered => out.write_str("asked"),
            Self::Elsewhere => out.write_str("no match"),
            Self::OtherFamily => out.write_str("no match, the client's address is of the other family"),
            Self::Nothing => out.write_str("no match, nothing is published there"),
            Self::NoName => out.write_str("no match, this makes no name"),
            Self::NotValidated => out.write_str("no match, no name of the client leads back to it"),
            Self::Included(result) => write!(out, "no match, the included record says {result}"),
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NoName => "this makes no name",
            Self::Nothing => "no text is published there",
            Self::Several => "more than one text is published there",
            Self::Malformed => "the text there cannot be read",
        })
    }
}
