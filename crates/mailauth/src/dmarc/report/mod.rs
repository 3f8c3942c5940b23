//! Aggregate reports (RFC 9990): what came in a domain's name within a period, for the domain.
//!
//! A [`Collector`] counts messages; when the period is over it gives a [`Report`] for each domain
//! that wants one, [`destinations`] tells who may get it, and [`Report::to_gzip`] is what is
//! attached under [`Report::file_name`]. [`Report::read`] takes those of others.
//!
//! # Incomplete support
//!
//! Nothing here sends: a report goes out with a null reverse path and its own domain authenticated,
//! so that no report is made of a report (§3.5.2); which messages are counted is the caller's
//! choice, and messages to the addresses that reports are sent to should not be. Extensions are
//! skipped when reading. ZIP archives, which some reporters send instead of GZIP, are refused.

use std::net::IpAddr;

use hikyaku_dns::Name;
use hikyaku_message::results;
use hikyaku_wire::Timestamp;

use super::{Alignment, FailureOptions, Override, Policy};

mod collect;
mod external;
mod read;
mod write;

pub use collect::{Collector, CollectorLimits, Message, Reporter};
pub use external::{Destinations, destinations};
pub use read::{ReportError, ReportLimits};

/// The longest text of a report, in octets; what is longer is cut.
const MAX_TEXT: usize = 1024;

/// An aggregate report (RFC 9990 §3.1.1).
///
/// Texts are those of strangers: printable, at most 1,024 octets, and nothing else is known of
/// them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Who reports, and when.
    pub metadata: Metadata,
    /// What the domain published.
    pub published: PolicyPublished,
    /// What was seen: one row for all messages that have everything in common.
    pub rows: Vec<Row>,
}

/// Who reports, and about which time (RFC 9990 §3.1.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The name of the reporting organization.
    pub org_name: String,
    /// How to reach it.
    pub email: String,
    /// More about how to reach it.
    pub extra_contact_info: Option<String>,
    /// What tells the report from others of the organization.
    pub report_id: String,
    /// The beginning of the period; whole seconds are reported.
    pub begin: Timestamp,
    /// Its end.
    pub end: Timestamp,
    /// What was wrong with the record of the domain.
    pub errors: Vec<String>,
    /// The program that made the report.
    pub generator: Option<String>,
}

/// What a domain published (RFC 9990 §3.1.1.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyPublished {
    /// The domain under which the record stands.
    pub domain: String,
    /// How the record was found.
    pub discovery_method: Option<DiscoveryMethod>,
    /// The policy for the domain.
    pub p: Policy,
    /// That for domains below it.
    pub sp: Option<Policy>,
    /// That for domains below it that do not exist.
    pub np: Option<Policy>,
    /// How the signing domain must align.
    pub adkim: Option<Alignment>,
    /// How the domain of MAIL FROM must align.
    pub aspf: Option<Alignment>,
    /// Which failures were to be reported one by one.
    pub fo: Option<FailureOptions>,
    /// Whether the policy was being tested, `t`.
    pub testing: bool,
}

/// How a record was found (RFC 9990 §3.1.1.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiscoveryMethod {
    /// By a list of public suffixes (RFC 7489 §3.2).
    Psl,
    /// By the walk up the tree (RFC 9989 §4.10).
    TreeWalk,
}

/// Messages that have everything in common, and how many (RFC 9990 §3.1.1.7).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// The client that they came from.
    pub source_ip: IpAddr,
    /// How many they were.
    pub count: u64,
    /// What was done with them.
    pub disposition: Disposition,
    /// Whether a good signature aligned.
    pub dkim_aligned: bool,
    /// Whether the domain that SPF passed for aligned.
    pub spf_aligned: bool,
    /// Why something else was done than the domain asked for.
    pub reasons: Vec<Override>,
    /// The author's domain.
    pub header_from: String,
    /// The domain of MAIL FROM; empty for the null path.
    pub envelope_from: Option<String>,
    /// The domain of the recipient.
    pub envelope_to: Option<String>,
    /// The signatures.
    pub dkim: Vec<DkimResult>,
    /// The result of SPF for MAIL FROM; older reports have several, HELO among them.
    pub spf: Vec<SpfResult>,
}

/// What was done with messages (RFC 9990, Appendix A, `ActionDispositionType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// Nothing.
    None,
    /// Nothing, because they passed a policy that asks for something.
    Pass,
    /// They were treated as suspicious.
    Quarantine,
    /// They were refused.
    Reject,
}

/// One signature (RFC 9990 §3.1.1.12).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DkimResult {
    /// The signing domain, `d=`.
    pub domain: String,
    /// The selector, `s=`.
    pub selector: Option<String>,
    /// The result.
    pub result: results::Dkim,
    /// More of it, in words for people.
    pub human_result: Option<String>,
}

/// One check of SPF (RFC 9990 §3.1.1.13).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SpfResult {
    /// The domain that was checked.
    pub domain: String,
    /// What it was taken from.
    pub scope: Option<SpfScope>,
    /// The result.
    pub result: results::Spf,
    /// More of it, in words for people.
    pub human_result: Option<String>,
}

/// What the domain of an SPF check was taken from; only `mfrom` is of RFC 9990.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpfScope {
    /// From HELO.
    Helo,
    /// From MAIL FROM.
    MailFrom,
}

impl Report {
    /// The name of the file that is sent (RFC 9990 §3.5.2), such as
    /// `mail.receiver.example!example.com!1013662812!1013749130.xml.gz`.
    ///
    /// It holds nothing but letters, digits and `-._!`, whatever the domain is called; of `unique`
    /// only letters and digits are taken.
    #[must_use]
    pub fn file_name(&self, receiver: &Name, unique: Option<&str>) -> String {
        let (begin, end) = (seconds(self.metadata.begin), seconds(self.metadata.end));
        let unique: String = unique.unwrap_or("").chars().filter(char::is_ascii_alphanumeric).collect();
        let separator = if unique.is_empty() { "" } else { "!" };
        let (receiver, domain) = (plain(&receiver.to_string()), plain(&self.published.domain));
        format!("{receiver}!{domain}!{begin}!{end}{separator}{unique}.xml.gz")
    }

    /// The text of the Subject field of the message that a report is sent in (RFC 9990 §3.5.2);
    /// it is to be folded.
    #[must_use]
    pub fn subject(&self, submitter: &Name) -> String {
        let domain = plain(&self.published.domain);
        let (submitter, id) = (plain(&submitter.to_string()), id(&self.metadata.report_id));
        format!("Report Domain: {domain} Submitter: {submitter} Report-ID: <{id}>")
    }
}

impl Disposition {
    const ALL: [Self; 4] = [Self::None, Self::Pass, Self::Quarantine, Self::Reject];

    /// The word of reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }
}

impl DiscoveryMethod {
    const ALL: [Self; 2] = [Self::Psl, Self::TreeWalk];

    /// The word of reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Psl => "psl",
            Self::TreeWalk => "treewalk",
        }
    }
}

impl SpfScope {
    const ALL: [Self; 2] = [Self::Helo, Self::MailFrom];

    /// The word of reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Helo => "helo",
            Self::MailFrom => "mfrom",
        }
    }
}

/// Seconds since 1970; reports know no time before that.
fn seconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(0) / 1000
}

/// A text as it stands in a report: without control characters, and within its length.
fn clean(text: &str) -> String {
    let visible = |c: char| match c {
        '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
        c if c.is_control() => ' ',
        c => c,
    };
    let mut text: String = text.trim().chars().map(visible).collect();
    text.truncate(text.floor_char_boundary(MAX_TEXT));
    text.trim().to_owned()
}

/// A domain as a part of a file name or a subject.
fn plain(domain: &str) -> String {
    let harmless = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') { c } else { '-' };
    domain.chars().map(harmless).collect()
}

/// `ridfmt = dot-atom-text ["@" dot-atom-text]`, of any text.
fn id(text: &str) -> String {
    let text = text.trim().trim_start_matches('<').trim_end_matches('>');
    let (left, right) = text.split_once('@').map_or((text, None), |(left, right)| (left, Some(right)));
    let atoms = |text: &str| {
        let atoms: Vec<String> = text.split('.').filter(|atom| !atom.is_empty()).map(plain).collect();
        if atoms.is_empty() { "-".to_owned() } else { atoms.join(".") }
    };
    match right {
        Some(right) => format!("{}@{}", atoms(left), atoms(right)),
        None => atoms(left),
    }
}

#[cfg(test)]
mod tests;
