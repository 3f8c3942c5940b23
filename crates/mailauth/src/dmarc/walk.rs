//! The walk up the tree of names, from a domain to its top (RFC 9989 §4.10).

use std::sync::{Arc, LazyLock};

use hikyaku_dns::{Answer, Name, Presence, Resolver, Txt};

use super::Record;
use crate::lookups::Published;
use crate::{LookupError, Lookups};

/// Labels that are left of a longer name after the first step (RFC 9989 §4.10, step 4).
const SHORTENED: usize = 7;
/// Questions of one evaluation: three walks of eight.
const QUERIES: usize = 24;

static PREFIX: LazyLock<Name> =
    LazyLock::new(|| Name::from_labels([&b"_dmarc"[..]]).expect("a label of 6 octets fits"));

/// What is published at one name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Site {
    /// The record, if there is exactly one.
    pub(super) record: Option<Arc<Record>>,
    /// Whether there are several, which are discarded (RFC 9989 §4.10, step 2).
    pub(super) several: bool,
    /// Whether the name asked for exists, and with it all above.
    pub(super) exists: bool,
}

impl Published for Site {
    fn read(answer: &Answer<Txt>) -> Self {
        let mut records = answer.records.iter().filter_map(|text| Record::parse(&text.concat()));
        let (first, second) = (records.next(), records.next());
        let several = second.is_some();
        let exists = answer.presence != Presence::NoName;
        Self { record: first.filter(|_| !several).map(Arc::new), several, exists }
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.record.as_ref().map_or(0, |record| record.size())
    }
}

/// A domain with the record that it publishes.
pub(super) type Found = (Name, Arc<Record>);

/// All walks of one evaluation: no name is asked for twice.
pub(super) struct Walks<'a, 'b, R> {
    lookups: &'a Lookups<'b, R>,
    sites: Vec<(Name, Result<Arc<Site>, LookupError>)>,
}

/// Why a walk did not reach its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// A lookup failed.
    Lookup(LookupError),
    /// The evaluation has asked for as many names as it may.
    TooMany,
    /// A check of SPF or DKIM that came before did not reach its end.
    Identifier,
}

impl<'a, 'b, R: Resolver> Walks<'a, 'b, R> {
    pub(super) fn new(lookups: &'a Lookups<'b, R>) -> Self {
        Self { lookups, sites: Vec::new() }
    }

    /// What is published at a domain.
    pub(super) async fn at(&mut self, domain: &Name) -> Result<Arc<Site>, Stop> {
        if let Some((_, known)) = self.sites.iter().find(|(name, _)| name == domain) {
            return known.clone().map_err(Stop::Lookup);
        }
        if self.sites.len() == QUERIES {
            return Err(Stop::TooMany);
        }
        let site = match PREFIX.join(domain) {
            Ok(name) => self.lookups.published::<Site>(&name).await,
            // There can be nothing under a name that is too long.
            Err(_) => Ok(Arc::new(Site { record: None, several: false, exists: false })),
        };
        self.sites.push((domain.clone(), site.clone()));
        site.map_err(Stop::Lookup)
    }

    /// What was found at a domain before.
    pub(super) fn known(&self, domain: &Name) -> Option<&Site> {
        let (_, site) = self.sites.iter().find(|(name, _)| name == domain)?;
        site.as_deref().ok()
    }

    /// The records from a domain up to the top, or to the first that says whether it is a public
    /// suffix; at most eight names are looked at.
    pub(super) async fn up(&mut self, domain: &Name) -> Result<Vec<Found>, Stop> {
        let mut found = Vec::new();
        let mut next = Some(domain.clone());
        while let Some(name) = next.filter(|name| !name.is_root()) {
            if let Some(record) = &self.at(&name).await?.record {
                found.push((name.clone(), Arc::clone(record)));
                if record.psd.is_some() {
                    break;
                }
            }
            next = above(&name);
        }
        Ok(found)
    }

    /// The organizational domain of a domain.
    pub(super) async fn organization(&mut self, domain: &Name) -> Result<Name, Stop> {
        let found = self.up(domain).await?;
        Ok(organization(domain, &found))
    }
}

/// The next name of a walk.
fn above(name: &Name) -> Option<Name> {
    match name.labels().count() {
        0..=SHORTENED => name.parent(),
        labels => ending(name, labels.min(SHORTENED)),
    }
}

/// The last labels of a name.
fn ending(name: &Name, labels: usize) -> Option<Name> {
    let skipped = name.labels().count().checked_sub(labels)?;
    Name::from_labels(name.labels().skip(skipped)).ok()
}

/// Which of the domains found on the way up, or of those below them, is the top of the
/// organization of the domain where the walk began (RFC 9989 §4.10.2).
pub(super) fn organization(start: &Name, found: &[Found]) -> Name {
    for (name, record) in found {
        match record.psd {
            Some(false) => return name.clone(),
            // Where the walk began there is none below.
            Some(true) => return ending(start, name.labels().count() + 1).unwrap_or_else(|| start.clone()),
            None => {}
        }
    }
    found.last().map_or(start, |(name, _)| name).clone()
}

/// Finds the organizational domain of a domain by a walk up the tree (RFC 9989 §4.10.2), with at
/// most eight questions; that of a domain under which nothing is published is itself.
///
/// # Errors
/// [`LookupError`].
pub async fn organizational_domain<R: Resolver>(lookups: &Lookups<'_, R>, domain: &Name) -> Result<Name, LookupError> {
    Walks::new(lookups).organization(domain).await.map_err(|stop| match stop {
        Stop::Lookup(error) => error,
        Stop::TooMany | Stop::Identifier => LookupError::Budget,
    })
}
