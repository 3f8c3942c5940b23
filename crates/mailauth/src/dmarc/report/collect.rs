//! Counting messages for reports (RFC 9990 §3.1).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use hikyaku_dns::Name;
use hikyaku_message::results;
use hikyaku_wire::Timestamp;

use super::{
    DiscoveryMethod, Disposition, DkimResult, Metadata, PolicyPublished, Report, Row, SpfResult, SpfScope, clean,
};
use crate::dmarc::{Destination, Outcome, Override, OverrideReason, Policy, Record};
use crate::{dkim, spf};

/// Signatures of one row (RFC 9990 §3.1.3).
const MAX_SIGNATURES: usize = 100;

/// How much is kept for reports until they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectorLimits {
    /// Domains; default 10,000.
    pub domains: usize,
    /// Rows of all domains; default 100,000.
    pub rows: usize,
}

impl Default for CollectorLimits {
    fn default() -> Self {
        Self { domains: 10_000, rows: 100_000 }
    }
}

/// One message, as it is counted.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The client that it came from.
    pub client: IpAddr,
    /// The domain of MAIL FROM; `None` for the null path.
    pub envelope_from: Option<&'a Name>,
    /// What DMARC says of it, and what was done.
    pub outcome: &'a Outcome,
    /// SPF of MAIL FROM.
    pub spf: Option<&'a spf::Outcome>,
    /// Its signatures.
    pub dkim: &'a [dkim::Verified],
}

/// Who makes reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reporter {
    /// The name of the organization.
    pub org_name: String,
    /// How to reach it.
    pub email: String,
    /// More about how to reach it.
    pub extra_contact_info: Option<String>,
    /// The program that makes the reports.
    pub generator: Option<String>,
}

/// Messages of one period, counted by the domain whose policy applied, within bounds: where they
/// are reached the reports say how many messages they do not hold.
#[derive(Debug, Default)]
pub struct Collector {
    limits: CollectorLimits,
    domains: HashMap<Name, Collected>,
    rows: usize,
    dropped: u64,
}

/// What was counted for one domain.
#[derive(Debug)]
struct Collected {
    /// The last that was seen (RFC 9990 §3.1).
    record: Arc<Record>,
    /// Of each kind of row which it was to come in, and how many.
    rows: HashMap<Row, (usize, u64)>,
    dropped: u64,
}

impl Collector {
    /// Begins a period.
    #[must_use]
    pub fn new(limits: CollectorLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Counts a message, if DMARC says pass or fail of it and the domain wants reports.
    pub fn add(&mut self, message: &Message<'_>) {
        let outcome = message.outcome;
        let (Some(author), Some(domain), Some(record)) = (&outcome.author, &outcome.found_at, &outcome.record) else {
            return;
        };
        if record.rua.is_empty() || !matches!(outcome.result, results::Dmarc::Pass | results::Dmarc::Fail) {
            return;
        }
        if !self.domains.contains_key(domain) && self.domains.len() >= self.limits.domains {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        let entry = self.domains.entry(domain.clone());
        let fresh = || Collected { record: Arc::clone(record), rows: HashMap::new(), dropped: 0 };
        let collected = entry.or_insert_with(fresh);
        collected.record = Arc::clone(record);
        let row = row(message, author);
        let order = collected.rows.len();
        match collected.rows.get_mut(&row) {
            Some((_, count)) => *count = count.saturating_add(1),
            None if self.rows >= self.limits.rows => collected.dropped = collected.dropped.saturating_add(1),
            None => {
                collected.rows.insert(row, (order, 1));
                self.rows += 1;
            }
        }
    }

    /// Messages of domains that there was no place for.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Ends the period: a report for each domain, in the order of their names, and what the
    /// domain publishes about where it is to go ([`destinations`](super::destinations)).
    ///
    /// `report_id` names the reports; an identifier is unique among all of the reporter to that
    /// domain (RFC 9990 §3.5.1).
    #[must_use]
    pub fn reports(
        self,
        reporter: &Reporter,
        begin: Timestamp,
        end: Timestamp,
        mut report_id: impl FnMut(&Name) -> String,
    ) -> Vec<(Name, Arc<Record>, Report)> {
        let mut domains: Vec<_> = self.domains.into_iter().filter(|(_, one)| !one.rows.is_empty()).collect();
        domains.sort_by(|(one, _), (other, _)| one.cmp(other));
        let reports = domains.into_iter().map(|(domain, collected)| {
            let mut rows: Vec<_> = collected.rows.into_iter().collect();
            rows.sort_by_key(|(_, (order, _))| *order);
            let dropped = collected.dropped;
            let errors = (dropped > 0).then(|| format!("{dropped} more messages were not counted"));
            let metadata = Metadata {
                org_name: clean(&reporter.org_name),
                email: clean(&reporter.email),
                extra_contact_info: reporter.extra_contact_info.as_deref().map(clean),
                report_id: report_id(&domain),
                begin,
                end,
                errors: errors.into_iter().collect(),
                generator: reporter.generator.as_deref().map(clean),
            };
            let published = published(&domain, &collected.record);
            let rows = rows.into_iter().map(|(row, (_, count))| Row { count, ..row }).collect();
            (domain, collected.record, Report { metadata, published, rows })
        });
        reports.collect()
    }
}

/// A record as it stands in a report.
fn published(domain: &Name, record: &Record) -> PolicyPublished {
    PolicyPublished {
        domain: domain.to_string(),
        discovery_method: Some(DiscoveryMethod::TreeWalk),
        p: record.p.unwrap_or(Policy::None),
        sp: record.sp,
        np: record.np,
        adkim: Some(record.adkim),
        aspf: Some(record.aspf),
        fo: (!record.ruf.is_empty()).then_some(record.fo),
        testing: record.t,
    }
}

/// The row that a message counts in, with a count of 0.
fn row(message: &Message<'_>, author: &Name) -> Row {
    let outcome = message.outcome;
    let enforced = outcome.policy.is_some_and(|policy| policy != Policy::None);
    let disposition = match outcome.disposition {
        Policy::None if outcome.result == results::Dmarc::Pass && enforced => Disposition::Pass,
        Policy::None => Disposition::None,
        Policy::Quarantine => Disposition::Quarantine,
        Policy::Reject => Disposition::Reject,
    };
    let spf = message.spf.and_then(|spf| {
        let domain = spf.domain.as_ref()?.to_string();
        Some(SpfResult { domain, scope: Some(SpfScope::MailFrom), result: spf.result, human_result: None })
    });
    Row {
        source_ip: message.client.to_canonical(),
        count: 0,
        disposition,
        dkim_aligned: outcome.dkim_aligned,
        spf_aligned: outcome.spf_aligned,
        reasons: outcome.overrides.iter().map(reason).collect(),
        header_from: author.to_string(),
        envelope_from: Some(message.envelope_from.map_or_else(String::new, Name::to_string)),
        envelope_to: None,
        dkim: signatures(message.dkim, author, outcome.organization.as_ref()),
        spf: spf.into_iter().collect(),
    }
}

/// A reason in the words of RFC 9990: those of RFC 7489 become comments.
fn reason(one: &Override) -> Override {
    let comment = one.comment.as_deref().map(clean);
    match one.reason {
        OverrideReason::Forwarded | OverrideReason::SampledOut => {
            Override { reason: OverrideReason::Other, comment: Some(comment.unwrap_or_else(|| one.reason.to_string())) }
        }
        reason => Override { reason, comment },
    }
}

/// The signatures, the most telling first (RFC 9990 §3.1.3).
fn signatures(all: &[dkim::Verified], author: &Name, organization: Option<&Name>) -> Vec<DkimResult> {
    let mut kept: Vec<(u8, DkimResult)> = Vec::new();
    for one in all {
        let (Some(domain), Some(selector)) = (&one.domain, &one.selector) else {
            continue;
        };
        let rank = match one.result {
            results::Dkim::Pass if domain == author => 0,
            results::Dkim::Pass if organization.is_some_and(|organization| domain.is_within(organization)) => 1,
            results::Dkim::Pass => 2,
            _ => 3,
        };
        let result = DkimResult {
            domain: domain.to_string(),
            selector: Some(clean(selector)),
            result: one.result,
            human_result: None,
        };
        kept.push((rank, result));
    }
    kept.sort_by_key(|(rank, _)| *rank);
    kept.truncate(MAX_SIGNATURES);
    kept.into_iter().map(|(_, result)| result).collect()
}

impl Destination {
    /// Whether a report of so many octets, as it is sent, may go there.
    #[must_use]
    pub fn fits(&self, octets: u64) -> bool {
        self.limit().is_none_or(|limit| octets <= limit)
    }
}
