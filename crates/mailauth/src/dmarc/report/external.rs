//! Who may get the reports about a domain (RFC 9990 §4).

use hikyaku_dns::{Answer, Name, Resolver, Txt};

use crate::dmarc::walk::{Stop, Walks};
use crate::dmarc::{Destination, Record};
use crate::lookups::Published;
use crate::{LookupError, Lookups};

/// Destinations that are looked at; a domain that wants more is served with these.
const MAX: usize = 10;

/// The destinations of a domain's reports, sorted out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destinations {
    /// Those that reports may be sent to, in the order in which they stand in the record.
    pub agreed: Vec<Destination>,
    /// Those of which it is not known, because a lookup failed; ask again later.
    pub unknown: Vec<(Destination, LookupError)>,
}

/// What a host says about reports for another domain.
#[derive(Debug, PartialEq, Eq)]
struct Consent {
    agrees: bool,
    instead: Vec<Destination>,
}

impl Published for Consent {
    fn read(answer: &Answer<Txt>) -> Self {
        let records: Vec<Record> = answer.records.iter().filter_map(|text| Record::parse(&text.concat())).collect();
        Self { agrees: !records.is_empty(), instead: records.into_iter().flat_map(|record| record.rua).collect() }
    }

    fn size(&self) -> usize {
        size_of::<Self>() + Destination::sizes(&self.instead)
    }
}

/// Of the destinations that the record of a domain names, those that want its reports: hosts of
/// the same organization, and hosts that say so under `_report._dmarc` (RFC 9990 §4).
///
/// A host may name another mailbox of its own instead; one that names a mailbox elsewhere gets
/// nothing (§4, step 9). Only the first ten `mailto` URIs are looked at: nothing else can be sent
/// to.
pub async fn destinations<R: Resolver>(lookups: &Lookups<'_, R>, domain: &Name, record: &Record) -> Destinations {
    let mut walks = Walks::new(lookups);
    let mut sorted = Destinations::default();
    for destination in record.rua.iter().filter(|one| one.mailbox().is_some()).take(MAX) {
        let Some(host) = destination.host() else {
            continue;
        };
        match consent(lookups, &mut walks, domain, &host).await {
            Ok(None) => add(&mut sorted.agreed, destination.clone()),
            Ok(Some(consent)) if !consent.agrees => {}
            Ok(Some(consent)) if consent.instead.is_empty() => add(&mut sorted.agreed, destination.clone()),
            Ok(Some(consent)) => {
                if consent.instead.iter().all(|other| other.host().as_ref() == Some(&host)) {
                    consent.instead.iter().for_each(|other| add(&mut sorted.agreed, other.clone()));
                }
            }
            Err(Stop::Lookup(error)) => sorted.unknown.push((destination.clone(), error)),
            Err(Stop::TooMany | Stop::Identifier) => sorted.unknown.push((destination.clone(), LookupError::Budget)),
        }
    }
    sorted
}

/// What a host says; `None` if it need not be asked.
async fn consent<R: Resolver>(
    lookups: &Lookups<'_, R>,
    walks: &mut Walks<'_, '_, R>,
    domain: &Name,
    host: &Name,
) -> Result<Option<std::sync::Arc<Consent>>, Stop> {
    if host == domain {
        return Ok(None);
    }
    // Only names with a common top can be of one organization.
    if host.labels().last() == domain.labels().last() {
        let organization = walks.organization(domain).await?;
        if host.is_within(&organization) && walks.organization(host).await? == organization {
            return Ok(None);
        }
    }
    let middle = Name::from_labels([&b"_report"[..], b"_dmarc"]).expect("labels of 7 and 6 octets fit");
    let Ok(name) = domain.join(&middle).and_then(|name| name.join(host)) else {
        return Ok(Some(std::sync::Arc::new(Consent { agrees: false, instead: Vec::new() })));
    };
    lookups.published::<Consent>(&name).await.map(Some).map_err(Stop::Lookup)
}

fn add(agreed: &mut Vec<Destination>, destination: Destination) {
    if !agreed.contains(&destination) {
        agreed.push(destination);
    }
}
