//! A report while its elements come in.

use std::net::IpAddr;

use hikyaku_message::results;
use hikyaku_wire::Timestamp;
use quick_xml::name::QName;

use super::ReportError;
use crate::dmarc::report::{
    DiscoveryMethod, Disposition, DkimResult, Metadata, PolicyPublished, Report, Row, SpfResult, SpfScope, clean,
};
use crate::dmarc::{Alignment, FailureOptions, Override, OverrideReason, Policy};

/// Elements within each other, extensions included.
const MAX_DEPTH: usize = 32;
/// Of one element's text, in octets, as it is gathered.
const MAX_GATHERED: usize = 64 * 1024;
/// Signatures, checks of SPF and reasons of one row, and errors of a report, each.
const MAX_PARTS: usize = 100;

/// Where in the document the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Outside,
    Feedback,
    Metadata,
    DateRange,
    Published,
    Record,
    Row,
    Evaluated,
    Reason,
    Identifiers,
    AuthResults,
    Dkim,
    Spf,
    /// An element with text, by its index in `LEAVES`.
    Leaf(usize),
}

/// The elements that hold elements.
const BRANCHES: &[(Place, &str, Place)] = &[
    (Place::Outside, "feedback", Place::Feedback),
    (Place::Feedback, "report_metadata", Place::Metadata),
    (Place::Metadata, "date_range", Place::DateRange),
    (Place::Feedback, "policy_published", Place::Published),
    (Place::Feedback, "record", Place::Record),
    (Place::Record, "row", Place::Row),
    (Place::Row, "policy_evaluated", Place::Evaluated),
    (Place::Evaluated, "reason", Place::Reason),
    (Place::Record, "identifiers", Place::Identifiers),
    (Place::Record, "auth_results", Place::AuthResults),
    (Place::AuthResults, "dkim", Place::Dkim),
    (Place::AuthResults, "spf", Place::Spf),
];

/// The elements that hold text.
const LEAVES: &[(Place, &str)] = &[
    (Place::Metadata, "org_name"),
    (Place::Metadata, "email"),
    (Place::Metadata, "extra_contact_info"),
    (Place::Metadata, "report_id"),
    (Place::Metadata, "error"),
    (Place::Metadata, "generator"),
    (Place::DateRange, "begin"),
    (Place::DateRange, "end"),
    (Place::Published, "domain"),
    (Place::Published, "discovery_method"),
    (Place::Published, "p"),
    (Place::Published, "sp"),
    (Place::Published, "np"),
    (Place::Published, "adkim"),
    (Place::Published, "aspf"),
    (Place::Published, "fo"),
    (Place::Published, "testing"),
    (Place::Row, "source_ip"),
    (Place::Row, "count"),
    (Place::Evaluated, "disposition"),
    (Place::Evaluated, "dkim"),
    (Place::Evaluated, "spf"),
    (Place::Reason, "type"),
    (Place::Reason, "comment"),
    (Place::Identifiers, "header_from"),
    (Place::Identifiers, "envelope_from"),
    (Place::Identifiers, "envelope_to"),
    (Place::Dkim, "domain"),
    (Place::Dkim, "selector"),
    (Place::Dkim, "result"),
    (Place::Dkim, "human_result"),
    (Place::Spf, "domain"),
    (Place::Spf, "scope"),
    (Place::Spf, "result"),
    (Place::Spf, "human_result"),
];

/// What was read so far.
#[derive(Debug, Default)]
pub(super) struct Draft {
    max_rows: usize,
    /// Where the reader is, and within what.
    path: Vec<Place>,
    /// Unknown elements that it is within.
    skipped: usize,
    /// The prefix of the names of the outermost element; others are extensions.
    prefix: Option<String>,
    started: bool,
    /// The text of the element that the reader is within.
    text: String,
    org_name: Option<String>,
    email: Option<String>,
    extra_contact_info: Option<String>,
    report_id: Option<String>,
    begin: Option<Timestamp>,
    end: Option<Timestamp>,
    errors: Vec<String>,
    generator: Option<String>,
    domain: Option<String>,
    discovery_method: Option<DiscoveryMethod>,
    p: Option<Policy>,
    sp: Option<Policy>,
    np: Option<Policy>,
    adkim: Option<Alignment>,
    aspf: Option<Alignment>,
    fo: Option<FailureOptions>,
    testing: bool,
    rows: Vec<Row>,
    row: RowDraft,
}

/// What was read of one record.
#[derive(Debug, Default)]
struct RowDraft {
    source_ip: Option<IpAddr>,
    count: Option<u64>,
    disposition: Option<Disposition>,
    dkim_aligned: bool,
    spf_aligned: bool,
    reasons: Vec<Override>,
    reason: (Option<OverrideReason>, Option<String>),
    header_from: Option<String>,
    envelope_from: Option<String>,
    envelope_to: Option<String>,
    dkim: Vec<DkimResult>,
    spf: Vec<SpfResult>,
    check: Check,
}

/// What was read of one result of DKIM or SPF.
#[derive(Debug, Default)]
struct Check {
    domain: Option<String>,
    selector: Option<String>,
    scope: Option<SpfScope>,
    dkim: Option<results::Dkim>,
    spf: Option<results::Spf>,
    human_result: Option<String>,
}

impl Draft {
    pub(super) fn new(max_rows: usize) -> Self {
        Self { max_rows, ..Self::default() }
    }

    pub(super) fn start(&mut self, name: QName<'_>, at: u64) -> Result<(), ReportError> {
        if self.path.len() + self.skipped >= MAX_DEPTH {
            return Err(ReportError::TooDeep(at));
        }
        let place = self.path.last().copied().unwrap_or(Place::Outside);
        let prefix = name.prefix().map(|prefix| prefix.into_inner());
        if place == Place::Outside && !std::mem::replace(&mut self.started, true) {
            self.prefix = prefix.map(str::to_owned);
        } else if place == Place::Outside {
            return Err(ReportError::NotReport);
        }
        let ours = self.skipped == 0 && prefix == self.prefix.as_deref();
        match place.child(name.local_name().into_inner()).filter(|_| ours) {
            Some(child) => {
                self.enter(child)?;
                self.path.push(child);
            }
            None if place == Place::Outside => return Err(ReportError::NotReport),
            None => self.skipped += 1,
        }
        Ok(())
    }

    pub(super) fn text(&mut self, text: &str) {
        let within = matches!(self.path.last(), Some(Place::Leaf(_))) && self.skipped == 0;
        if within && self.text.len() + text.len() <= MAX_GATHERED {
            self.text.push_str(text);
        }
    }

    pub(super) fn end(&mut self, at: u64) -> Result<(), ReportError> {
        if self.skipped > 0 {
            self.skipped -= 1;
            return Ok(());
        }
        match self.path.pop() {
            Some(Place::Leaf(index)) => {
                let text = clean(&self.text);
                let (place, element) = LEAVES[index];
                self.leaf(place, element, text).ok_or(ReportError::Value { element, at })
            }
            Some(place) => self.leave(place),
            None => Ok(()),
        }
    }

    pub(super) fn finish(self) -> Result<Report, ReportError> {
        if !self.path.is_empty() {
            return Err(ReportError::Unclosed);
        }
        if !self.started {
            return Err(ReportError::NotReport);
        }
        let missing = ReportError::Missing;
        Ok(Report {
            metadata: Metadata {
                org_name: self.org_name.unwrap_or_default(),
                email: self.email.unwrap_or_default(),
                extra_contact_info: self.extra_contact_info,
                report_id: self.report_id.ok_or(missing("report_id"))?,
                begin: self.begin.ok_or(missing("begin"))?,
                end: self.end.ok_or(missing("end"))?,
                errors: self.errors,
                generator: self.generator,
            },
            published: PolicyPublished {
                domain: self.domain.ok_or(missing("domain"))?,
                discovery_method: self.discovery_method,
                p: self.p.unwrap_or(Policy::None),
                sp: self.sp,
                np: self.np,
                adkim: self.adkim,
                aspf: self.aspf,
                fo: self.fo,
                testing: self.testing,
            },
            rows: self.rows,
        })
    }

    /// An element begins.
    fn enter(&mut self, place: Place) -> Result<(), ReportError> {
        match place {
            Place::Leaf(_) => self.text.clear(),
            Place::Record if self.rows.len() >= self.max_rows => return Err(ReportError::TooMany("record")),
            Place::Record => self.row = RowDraft::default(),
            Place::Reason => self.row.reason = (None, None),
            Place::Dkim | Place::Spf => self.row.check = Check::default(),
            _ => {}
        }
        Ok(())
    }

    /// An element that holds others is over.
    fn leave(&mut self, place: Place) -> Result<(), ReportError> {
        match place {
            Place::Record => {
                let row = std::mem::take(&mut self.row).finish()?;
                self.rows.push(row);
            }
            Place::Reason => {
                let (reason, comment) = std::mem::take(&mut self.row.reason);
                let reason = Override { reason: reason.ok_or(ReportError::Missing("type"))?, comment };
                push(&mut self.row.reasons, reason, "reason")?;
            }
            Place::Dkim => {
                let check = std::mem::take(&mut self.row.check);
                let result = DkimResult {
                    domain: check.domain.ok_or(ReportError::Missing("domain"))?,
                    selector: check.selector,
                    result: check.dkim.ok_or(ReportError::Missing("result"))?,
                    human_result: check.human_result,
                };
                push(&mut self.row.dkim, result, "dkim")?;
            }
            Place::Spf => {
                let check = std::mem::take(&mut self.row.check);
                let result = SpfResult {
                    domain: check.domain.ok_or(ReportError::Missing("domain"))?,
                    scope: check.scope,
                    result: check.spf.ok_or(ReportError::Missing("result"))?,
                    human_result: check.human_result,
                };
                push(&mut self.row.spf, result, "spf")?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The text of an element; `None` if it is none of its values.
    fn leaf(&mut self, place: Place, element: &'static str, text: String) -> Option<()> {
        let words = || (!text.is_empty()).then(|| text.clone());
        let row = &mut self.row;
        match (place, element) {
            (Place::Metadata, "org_name") => self.org_name = Some(text),
            (Place::Metadata, "email") => self.email = Some(text),
            (Place::Metadata, "extra_contact_info") => self.extra_contact_info = words(),
            (Place::Metadata, "report_id") => self.report_id = words(),
            (Place::Metadata, "generator") => self.generator = words(),
            (Place::Metadata, _) => {
                if self.errors.len() < MAX_PARTS {
                    self.errors.extend(words());
                }
            }
            (Place::DateRange, "begin") => self.begin = Some(time(&text)?),
            (Place::DateRange, _) => self.end = Some(time(&text)?),
            (Place::Published, "domain") => self.domain = words(),
            (Place::Published, "discovery_method") => {
                self.discovery_method = one_of(&text, &DiscoveryMethod::ALL, DiscoveryMethod::as_str);
            }
            (Place::Published, "p") => self.p = policy(&text)?,
            (Place::Published, "sp") => self.sp = policy(&text)?,
            (Place::Published, "np") => self.np = policy(&text)?,
            (Place::Published, "adkim") => self.adkim = Some(Alignment::parse(&text)),
            (Place::Published, "aspf") => self.aspf = Some(Alignment::parse(&text)),
            (Place::Published, "fo") => self.fo = FailureOptions::parse(&text),
            (Place::Published, _) => self.testing = text.eq_ignore_ascii_case("y"),
            (Place::Row, "source_ip") => row.source_ip = Some(text.parse().ok()?),
            (Place::Row, _) => row.count = Some(text.parse().ok()?),
            (Place::Evaluated, "disposition") => {
                row.disposition = Some(one_of(&text, &Disposition::ALL, Disposition::as_str)?);
            }
            (Place::Evaluated, "dkim") => row.dkim_aligned = text.eq_ignore_ascii_case("pass"),
            (Place::Evaluated, _) => row.spf_aligned = text.eq_ignore_ascii_case("pass"),
            (Place::Reason, "type") => {
                let known = one_of(&text, &OverrideReason::ALL, OverrideReason::as_str);
                row.reason.0 = Some(known.unwrap_or(OverrideReason::Other));
            }
            (Place::Reason, _) => row.reason.1 = words(),
            (Place::Identifiers, "header_from") => row.header_from = words(),
            // The null path is an empty element.
            (Place::Identifiers, "envelope_from") => row.envelope_from = Some(text),
            (Place::Identifiers, _) => row.envelope_to = words(),
            (_, "domain") => row.check.domain = Some(text),
            (_, "selector") => row.check.selector = words(),
            (_, "human_result") => row.check.human_result = words(),
            (Place::Dkim, _) => row.check.dkim = Some(results::Dkim::parse(&text)?),
            (_, "scope") => row.check.scope = one_of(&text, &SpfScope::ALL, SpfScope::as_str),
            _ => row.check.spf = Some(spf(&text)?),
        }
        Some(())
    }
}

impl RowDraft {
    fn finish(self) -> Result<Row, ReportError> {
        Ok(Row {
            source_ip: self.source_ip.ok_or(ReportError::Missing("source_ip"))?,
            count: self.count.ok_or(ReportError::Missing("count"))?,
            disposition: self.disposition.ok_or(ReportError::Missing("disposition"))?,
            dkim_aligned: self.dkim_aligned,
            spf_aligned: self.spf_aligned,
            reasons: self.reasons,
            header_from: self.header_from.ok_or(ReportError::Missing("header_from"))?,
            envelope_from: self.envelope_from,
            envelope_to: self.envelope_to,
            dkim: self.dkim,
            spf: self.spf,
        })
    }
}

impl Place {
    fn child(self, name: &str) -> Option<Self> {
        let branch = BRANCHES.iter().find(|(place, element, _)| *place == self && *element == name);
        let leaf = || LEAVES.iter().position(|(place, element)| *place == self && *element == name);
        branch.map(|(_, _, child)| *child).or_else(|| leaf().map(Self::Leaf))
    }
}

fn push<T>(parts: &mut Vec<T>, part: T, element: &'static str) -> Result<(), ReportError> {
    if parts.len() == MAX_PARTS {
        return Err(ReportError::TooMany(element));
    }
    parts.push(part);
    Ok(())
}

fn one_of<T: Copy>(text: &str, all: &[T], word: fn(T) -> &'static str) -> Option<T> {
    all.iter().copied().find(|one| word(*one).eq_ignore_ascii_case(text))
}

/// A policy; reporters write nothing where none is published.
fn policy(text: &str) -> Option<Option<Policy>> {
    if text.is_empty() { Some(None) } else { Policy::parse(text).map(Some) }
}

/// Results of SPF, with the words of before RFC 7208.
fn spf(text: &str) -> Option<results::Spf> {
    let older =
        [("hardfail", results::Spf::Fail), ("unknown", results::Spf::TempError), ("error", results::Spf::PermError)];
    let older = older.into_iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
    results::Spf::parse(text).or(older.map(|(_, result)| result))
}

/// Seconds since 1970.
fn time(text: &str) -> Option<Timestamp> {
    let seconds: i64 = text.parse().ok()?;
    let millis = seconds.checked_mul(1000).filter(|millis| *millis >= 0)?;
    Some(Timestamp::from_millis(millis))
}
