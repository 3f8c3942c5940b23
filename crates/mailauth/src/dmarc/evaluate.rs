//! From what was authenticated to what is to be done (RFC 9989 §4.10.1, §5.3).

use std::sync::Arc;

use hikyaku_dns::{Name, Presence, Resolver};
use hikyaku_message::results;

use super::walk::{Found, Stop, Walks, organization};
use super::{Alignment, Identifiers, Outcome, Override, OverrideReason, Policy, Record};
use crate::{LookupError, Lookups};

/// Evaluates the policy of the author's domain (RFC 9989 §4.10, §5.3), with at most 25 questions.
///
/// A lookup that fails makes the result temperror where it could have changed it: the policy is
/// not known, or a domain would align if its organization, its signature or its SPF were known,
/// and no other domain aligns (§5.3.6).
pub async fn evaluate<R: Resolver>(lookups: &Lookups<'_, R>, identifiers: &Identifiers<'_>) -> Outcome {
    Discovery::begin(lookups, identifiers.author).await.evaluate(identifiers).await
}

/// The record of the author's domain, looked for before the keys of signatures are: what others
/// publish, and how slowly, must not come between.
pub(crate) struct Discovery<'a, 'b, R> {
    lookups: &'a Lookups<'b, R>,
    walks: Walks<'a, 'b, R>,
    found: Result<Result<Discovered, Option<String>>, Stop>,
}

impl<'a, 'b, R: Resolver> Discovery<'a, 'b, R> {
    pub(crate) async fn begin(lookups: &'a Lookups<'b, R>, author: &Name) -> Self {
        let mut walks = Walks::new(lookups);
        let found = discover(&mut walks, author).await;
        Self { lookups, walks, found }
    }

    /// Evaluates what was found; the author must be the one that it began with.
    pub(crate) async fn evaluate(self, identifiers: &Identifiers<'_>) -> Outcome {
        let Self { lookups, walks, found } = self;
        let mut outcome = Outcome::new(results::Dmarc::None, Some(identifiers.author.clone()));
        let discovered = match found {
            Ok(Ok(discovered)) => discovered,
            Ok(Err(reason)) => {
                outcome.reason = reason;
                return outcome;
            }
            Err(stop) => return outcome.temporary(stop),
        };
        let Discovered { found_at, record, own } = discovered;

        let mut aligner = Aligner { walks, author: identifiers.author, organization: None, failure: None };
        if let Some((result, domain)) = identifiers.spf {
            let weight = Weight::of(result == results::Spf::Pass, result == results::Spf::TempError);
            outcome.spf_aligned = aligner.aligned(domain, record.aspf, weight).await;
        }
        // Those that are the author's domain first: nothing needs to be asked for them.
        for same in [true, false] {
            for (result, domain) in identifiers.dkim.iter().filter(|(_, domain)| (domain == identifiers.author) == same)
            {
                if outcome.dkim_aligned {
                    break;
                }
                let weight = Weight::of(*result == results::Dkim::Pass, *result == results::Dkim::TempError);
                outcome.dkim_aligned = aligner.aligned(domain, record.adkim, weight).await;
            }
        }
        outcome.organization = aligner.organization.take().and_then(Result::ok);
        let passed = outcome.spf_aligned || outcome.dkim_aligned;
        let mut failure = aligner.failure;

        let policy = match own {
            true => record.own(),
            false if record.below() == record.missing() => record.below(),
            false => match exists(lookups, &aligner.walks, identifiers.author).await {
                Ok(true) => record.below(),
                Ok(false) => record.missing(),
                Err(error) => {
                    failure = failure.or(Some(Stop::Lookup(error)));
                    record.below()
                }
            },
        };
        outcome.found_at = Some(found_at);
        outcome.published = policy;
        outcome.policy = policy.map(|policy| if record.t { policy.milder() } else { policy });
        outcome.record = Some(record);
        match failure {
            _ if passed => outcome.result = results::Dmarc::Pass,
            Some(stop) => return outcome.temporary(stop),
            None => outcome.fail(),
        }
        outcome
    }
}

/// The record that applies.
struct Discovered {
    found_at: Name,
    record: Arc<Record>,
    /// Whether it is that of the author's domain itself.
    own: bool,
}

/// Finds the record that applies (RFC 9989 §4.10.1), or why there is none.
async fn discover<R: Resolver>(
    walks: &mut Walks<'_, '_, R>,
    author: &Name,
) -> Result<Result<Discovered, Option<String>>, Stop> {
    let mut several = false;
    let mut own = None;
    if !author.is_root() {
        let site = walks.at(author).await?;
        several = site.several;
        own = site.record.clone();
    }
    let is_own = own.is_some();
    let applies = match own {
        Some(record) => Some((author.clone(), record)),
        None => {
            let found = walks.up(author).await?;
            applicable(author, found)
        }
    };
    Ok(match applies {
        Some((_, record)) if record.own().is_none() => {
            Err(Some("the record has neither a valid p nor a rua".to_owned()))
        }
        Some((found_at, record)) => Ok(Discovered { found_at, record, own: is_own }),
        None => Err(several.then(|| "there is more than one record".to_owned())),
    })
}

/// Of the records above the author's domain that of its organization, else that of the public
/// suffix.
fn applicable(author: &Name, mut found: Vec<Found>) -> Option<Found> {
    let organization = organization(author, &found);
    let at = found.iter().position(|(name, _)| *name == organization);
    match at {
        Some(at) => Some(found.swap_remove(at)),
        None => found.pop().filter(|(_, record)| record.psd == Some(true)),
    }
}

/// Whether the author's domain exists (RFC 8020, RFC 9989 §3.2.13).
async fn exists<R: Resolver>(
    lookups: &Lookups<'_, R>,
    walks: &Walks<'_, '_, R>,
    author: &Name,
) -> Result<bool, LookupError> {
    if walks.known(author).is_some_and(|site| site.exists) {
        return Ok(true);
    }
    Ok(lookups.a(author).await?.presence != Presence::NoName)
}

/// What an identifier is worth, should it align.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weight {
    Pass,
    Unknown,
    Nothing,
}

impl Weight {
    fn of(pass: bool, unknown: bool) -> Self {
        match (pass, unknown) {
            (true, _) => Self::Pass,
            (_, true) => Self::Unknown,
            _ => Self::Nothing,
        }
    }
}

/// Compares domains with that of the author (RFC 9989 §4.10.2).
struct Aligner<'a, 'b, 'c, R> {
    walks: Walks<'b, 'c, R>,
    author: &'a Name,
    organization: Option<Result<Name, Stop>>,
    /// Why something may be aligned that is not known to be.
    failure: Option<Stop>,
}

impl<R: Resolver> Aligner<'_, '_, '_, R> {
    /// Whether an identifier that passed aligns.
    async fn aligned(&mut self, domain: &Name, mode: Alignment, weight: Weight) -> bool {
        if weight == Weight::Nothing {
            return false;
        }
        let aligns = if domain == self.author {
            Ok(true)
        } else if mode == Alignment::Strict {
            Ok(false)
        } else {
            self.related(domain).await
        };
        match aligns {
            Ok(true) if weight == Weight::Unknown => {
                self.failure = self.failure.or(Some(Stop::Identifier));
                false
            }
            Ok(aligns) => aligns,
            // Who brings so many domains that it cannot be told gets nothing for it.
            Err(Stop::TooMany) => false,
            Err(stop) => {
                self.failure = self.failure.or(Some(stop));
                false
            }
        }
    }

    /// Whether a domain is of the author's organization.
    async fn related(&mut self, domain: &Name) -> Result<bool, Stop> {
        // The organization of either is a name above it: without a common top there is none.
        if domain.labels().last() != self.author.labels().last() {
            return Ok(false);
        }
        let organization = match &self.organization {
            Some(known) => known.clone()?,
            None => {
                let found = self.walks.organization(self.author).await;
                self.organization.insert(found).clone()?
            }
        };
        Ok(domain.is_within(&organization) && self.walks.organization(domain).await? == organization)
    }
}

impl Outcome {
    fn new(result: results::Dmarc, author: Option<Name>) -> Self {
        Self {
            result,
            author,
            policy: None,
            published: None,
            disposition: Policy::None,
            spf_aligned: false,
            dkim_aligned: false,
            found_at: None,
            organization: None,
            record: None,
            overrides: Vec::new(),
            reason: None,
        }
    }

    /// A message whose From field does not name exactly one domain: DMARC cannot say anything of
    /// it (RFC 9989 §5.3.1), which is for the receiver to refuse. The result is permerror, and
    /// the disposition none, as there is no domain that could have asked for another.
    #[must_use]
    pub fn without_author(reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..Self::new(results::Dmarc::PermError, None) }
    }

    /// Does something else than the domain asks for, and keeps why (RFC 9990 §3.1.1.9).
    ///
    /// The result stays what it is: no trusted forwarder makes a message pass.
    pub fn override_with(&mut self, disposition: Policy, reason: Override) {
        self.disposition = disposition;
        self.overrides.push(reason);
    }

    /// No identifier aligns.
    fn fail(&mut self) {
        self.result = results::Dmarc::Fail;
        self.disposition = self.policy.unwrap_or(Policy::None);
        if self.policy != self.published {
            self.overrides.push(Override { reason: OverrideReason::PolicyTestMode, comment: None });
        }
    }

    fn temporary(mut self, stop: Stop) -> Self {
        self.result = results::Dmarc::TempError;
        self.reason = Some(match stop {
            Stop::Lookup(error) => error.to_string(),
            Stop::TooMany => LookupError::Budget.to_string(),
            Stop::Identifier => "SPF or a signature of the author's organization could not be checked".to_owned(),
        });
        self
    }
}
