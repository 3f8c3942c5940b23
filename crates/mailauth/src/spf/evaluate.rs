//! The evaluation (`check_host`, RFC 7208 §4): a loop over a stack of records, one for each
//! `include` that is open. The limit of terms is also that of the stack.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use hikyaku_dns::{Data, Name, RecordType, Resolver};
use hikyaku_message::results;
use hikyaku_wire::Timestamp;

use super::macros::{Values, plain};
use super::reason::{MAX_NAMES, MAX_TERMS, MAX_VOID};
use super::record::{same_v4, same_v6};
use super::trace::{Event, Found, Looked, Missing, Verdict, Watch};
use super::validated::ClientNames;
use super::{Directive, DomainSpec, MacroString, Mechanism, Prefixes, Publication, Reason, Record};
use crate::{LookupError, Lookups};

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Claim<'a> {
    pub(super) client: IpAddr,
    pub(super) hello: &'a str,
    pub(super) local_part: &'a str,
    pub(super) domain: Arc<Name>,
    pub(super) receiver: &'a str,
    pub(super) now: Timestamp,
}

/// A check that runs.
pub(super) struct Evaluation<'a, 'l, R, W> {
    pub(super) lookups: &'a Lookups<'l, R>,
    pub(super) claim: Claim<'a>,
    pub(super) watch: W,
    pub(super) client_names: Option<ClientNames>,
    pub(super) terms: u32,
    pub(super) void_lookups: u32,
    frames: Vec<Frame>,
}

/// A record that is being evaluated.
struct Frame {
    record: Arc<Record>,
    domain: Arc<Name>,
    /// The directive that comes next; the one before it is the `include` that is open.
    next: usize,
}

/// What comes after the directives of a record that were asked.
enum Next {
    /// The record of an `include`.
    Include(Frame),
    /// The record of a `redirect`, in place of this one.
    Redirect(Frame),
    /// This record says so.
    End(results::Spf),
}

impl<'a, 'l, R: Resolver, W: Watch> Evaluation<'a, 'l, R, W> {
    pub(super) fn new(lookups: &'a Lookups<'l, R>, claim: Claim<'a>, watch: W) -> Self {
        Self { lookups, claim, watch, client_names: None, terms: 0, void_lookups: 0, frames: Vec::new() }
    }

    /// The result, and the text of the domain for a client that fails.
    pub(super) async fn run(&mut self) -> Result<(results::Spf, Option<String>), Reason> {
        let domain = Arc::clone(&self.claim.domain);
        let record = self.fetch(&domain, None, 0).await?;
        self.frames.push(Frame { record, domain, next: 0 });
        loop {
            let result = match self.advance().await? {
                Next::Include(frame) => {
                    self.frames.push(frame);
                    continue;
                }
                Next::Redirect(frame) => {
                    self.frames.pop();
                    self.frames.push(frame);
                    continue;
                }
                Next::End(result) => result,
            };
            let Some((result, last)) = self.ascend(result) else {
                continue;
            };
            let explanation = match &last.record.explanation {
                Some(target) if result == results::Spf::Fail => {
                    let made = self.explanation(target, &last.domain).await;
                    self.watch.note(0, || Event::Explanation {
                        target: target.clone(),
                        missing: made.as_ref().err().copied(),
                    });
                    made.ok()
                }
                _ => None,
            };
            return Ok((result, explanation));
        }
    }

    pub(super) fn depth(&self) -> usize {
        self.frames.len().saturating_sub(1)
    }

    /// Asks the directives of the record on top that are left.
    async fn advance(&mut self) -> Result<Next, Reason> {
        let depth = self.depth();
        let frame = &self.frames[depth];
        let (record, domain) = (Arc::clone(&frame.record), Arc::clone(&frame.domain));
        for (at, directive) in record.directives.iter().enumerate().skip(frame.next) {
            let (verdict, expanded) = match self.at_once(&directive.mechanism) {
                Some(verdict) => (verdict, None),
                None => {
                    self.count(&domain, || directive.to_string())?;
                    if let Mechanism::Include(target) = &directive.mechanism {
                        self.frames[depth].next = at + 1;
                        return self.include(directive, target, &domain).await.map(Next::Include);
                    }
                    self.ask(directive, &domain).await?
                }
            };
            self.watch.note(depth, || Event::Directive { directive: directive.clone(), expanded, verdict });
            if verdict == Verdict::Matched {
                return Ok(Next::End(directive.qualifier.result()));
            }
        }
        let Some(target) = &record.redirect else {
            return Ok(Next::End(results::Spf::Neutral));
        };
        self.count(&domain, || format!("redirect={target}"))?;
        let name = self.target(target, &domain).await?;
        self.watch.note(depth, || Event::Redirect { target: target.clone(), name: name.as_deref().cloned() });
        self.refer(target, name, &domain, depth).await.map(Next::Redirect)
    }

    /// Ends the record on top, and each below it of which that is the result; gives the last one,
    /// or nothing if a record is left whose next directive must be asked.
    fn ascend(&mut self, mut result: results::Spf) -> Option<(results::Spf, Frame)> {
        loop {
            let depth = self.depth();
            let frame = self.frames.pop()?;
            self.watch.note(depth, || Event::End { domain: Name::clone(&frame.domain), result });
            let Some(parent) = self.frames.last() else {
                return Some((result, frame));
            };
            let include = parent.record.directives.get(parent.next.wrapping_sub(1))?;
            let pass = result == results::Spf::Pass;
            let verdict = if pass { Verdict::Matched } else { Verdict::Included(result) };
            self.watch.note(depth - 1, || Event::Directive { directive: include.clone(), expanded: None, verdict });
            if !pass {
                return None;
            }
            result = include.qualifier.result();
        }
    }

    /// What the mechanisms say that need no lookup.
    #[inline]
    fn at_once(&self, mechanism: &Mechanism) -> Option<Verdict> {
        let inside = |inside| if inside { Verdict::Matched } else { Verdict::Elsewhere };
        match (mechanism, self.claim.client) {
            (Mechanism::Ip4 { network, prefix }, IpAddr::V4(client)) => {
                Some(inside(same_v4(*network, client, *prefix)))
            }
            (Mechanism::Ip6 { network, prefix }, IpAddr::V6(client)) => {
                Some(inside(same_v6(*network, client, *prefix)))
            }
            (Mechanism::Ip4 { .. } | Mechanism::Ip6 { .. }, _) => Some(Verdict::OtherFamily),
            (Mechanism::All, _) => Some(Verdict::Matched),
            _ => None,
        }
    }

    async fn include(&mut self, directive: &Directive, target: &DomainSpec, by: &Name) -> Result<Frame, Reason> {
        let name = self.target(target, by).await?;
        self.watch.note(self.depth(), || Event::Directive {
            directive: directive.clone(),
            expanded: expanded(Some(target), name.as_deref()),
            verdict: Verdict::Entered,
        });
        self.refer(target, name, by, self.frames.len()).await
    }

    /// The record that an `include` or `redirect` refers to.
    async fn refer(
        &mut self,
        target: &DomainSpec,
        name: Option<Arc<Name>>,
        by: &Name,
        depth: usize,
    ) -> Result<Frame, Reason> {
        // A name of one label is no domain that could be checked (RFC 7208 §4.3).
        let Some(domain) = name.filter(|name| name.labels().nth(1).is_some()) else {
            return Err(Reason::NoTarget { domain: by.clone(), target: target.to_string() });
        };
        let record = self.fetch(&domain, Some(by), depth).await?;
        Ok(Frame { record, domain, next: 0 })
    }

    /// The record of a domain, to which another may have referred.
    async fn fetch(&mut self, domain: &Name, by: Option<&Name>, depth: usize) -> Result<Arc<Record>, Reason> {
        let publication = self.lookups.published::<Publication>(domain).await;
        self.watch.note(depth, || {
            let found = match &publication {
                Ok(publication) => publication.found(),
                Err(error) => Found::Failed(*error),
            };
            Event::Record { domain: domain.clone(), found }
        });
        match &*publication.map_err(|error| failed(domain, RecordType::TXT, error))? {
            Publication::Record(record) => Ok(Arc::clone(record)),
            Publication::Nothing(_) => Err(match by {
                None => Reason::NoRecord { domain: domain.clone() },
                Some(by) => Reason::NoRecordReferredTo { domain: domain.clone(), by: by.clone() },
            }),
            Publication::Several(count) => Err(Reason::SeveralRecords { domain: domain.clone(), count: *count }),
            Publication::Malformed(error) => Err(Reason::Syntax { domain: domain.clone(), error: error.clone() }),
        }
    }

    /// Asks a mechanism that needs lookups.
    async fn ask(&mut self, directive: &Directive, domain: &Arc<Name>) -> Result<(Verdict, Option<Name>), Reason> {
        let spec = directive.mechanism.domain();
        let name = match spec {
            Some(spec) => self.target(spec, domain).await?,
            None => Some(Arc::clone(domain)),
        };
        let Some(name) = name else {
            return Ok((Verdict::NoName, None));
        };
        let verdict = match &directive.mechanism {
            Mechanism::A { prefixes, .. } => self.client_at(&name, *prefixes).await?,
            Mechanism::Mx { prefixes, .. } => self.mx(&name, *prefixes).await?,
            Mechanism::Exists(_) => self.exists(&name).await?,
            Mechanism::Ptr(_) => self.ptr(&name).await?,
            Mechanism::All | Mechanism::Include(_) | Mechanism::Ip4 { .. } | Mechanism::Ip6 { .. } => {
                Verdict::Elsewhere
            }
        };
        if verdict == Verdict::Nothing {
            self.void_lookups += 1;
            if self.void_lookups > MAX_VOID {
                return Err(Reason::TooManyVoidLookups { domain: Name::clone(domain), term: directive.to_string() });
            }
        }
        Ok((verdict, expanded(spec, Some(&name))))
    }

    /// Whether a name has the client's address (RFC 7208 §5.3).
    pub(super) async fn client_at(&mut self, name: &Name, prefixes: Prefixes) -> Result<Verdict, Reason> {
        let depth = self.depth();
        let verdict = |nothing: bool, inside: bool| match (nothing, inside) {
            (true, _) => Verdict::Nothing,
            (_, true) => Verdict::Matched,
            _ => Verdict::Elsewhere,
        };
        match self.claim.client {
            IpAddr::V4(client) => {
                let answer = self.lookups.a(name).await;
                self.watch.note(depth, || lookup(name, RecordType::A, Looked::of(&answer, Data::A)));
                let found = answer.map_err(|error| failed(name, RecordType::A, error))?.records;
                Ok(verdict(found.is_empty(), found.iter().any(|found| prefixes.cover_v4(*found, client))))
            }
            IpAddr::V6(client) => {
                let answer = self.lookups.aaaa(name).await;
                self.watch.note(depth, || lookup(name, RecordType::AAAA, Looked::of(&answer, Data::Aaaa)));
                let found = answer.map_err(|error| failed(name, RecordType::AAAA, error))?.records;
                Ok(verdict(found.is_empty(), found.iter().any(|found| prefixes.cover_v6(*found, client))))
            }
        }
    }

    /// RFC 7208 §5.4; a host without an address is not counted as a lookup that finds nothing, as
    /// what is counted is terms.
    async fn mx(&mut self, name: &Name, prefixes: Prefixes) -> Result<Verdict, Reason> {
        let answer = self.lookups.mx(name).await;
        self.watch.note(self.depth(), || lookup(name, RecordType::MX, Looked::of(&answer, Data::Mx)));
        let mut exchanges = answer.map_err(|error| failed(name, RecordType::MX, error))?.records;
        if exchanges.is_empty() {
            return Ok(Verdict::Nothing);
        }
        if exchanges.len() > MAX_NAMES {
            return Err(Reason::TooManyExchanges { name: name.clone(), count: exchanges.len() });
        }
        exchanges.sort_by_key(|mx| mx.preference);
        // The root is the exchange of a domain without mail (RFC 7505), and no host.
        for mx in exchanges.iter().filter(|mx| !mx.exchange.is_root()) {
            if self.client_at(&mx.exchange, prefixes).await? == Verdict::Matched {
                return Ok(Verdict::Matched);
            }
        }
        Ok(Verdict::Elsewhere)
    }

    /// RFC 7208 §5.7: the type is A, whatever the client's address is.
    async fn exists(&mut self, name: &Name) -> Result<Verdict, Reason> {
        let answer = self.lookups.a(name).await;
        self.watch.note(self.depth(), || lookup(name, RecordType::A, Looked::of(&answer, Data::A)));
        let found = answer.map_err(|error| failed(name, RecordType::A, error))?.records;
        Ok(if found.is_empty() { Verdict::Nothing } else { Verdict::Matched })
    }

    /// Counts a term that may cause lookups (RFC 7208 §4.6.4).
    fn count(&mut self, domain: &Name, term: impl FnOnce() -> String) -> Result<(), Reason> {
        if self.terms == MAX_TERMS {
            return Err(Reason::TooManyTerms { domain: domain.clone(), term: term() });
        }
        self.terms += 1;
        Ok(())
    }

    /// The name that a term speaks of; `None` where it is none.
    async fn target(&mut self, spec: &DomainSpec, domain: &Name) -> Result<Option<Arc<Name>>, Reason> {
        match spec.name_or_macros() {
            Ok(name) => Ok(Some(Arc::clone(name))),
            Err(macros) => {
                let values = self.values(macros, domain).await?;
                Ok(macros.name(&values).map(Arc::new))
            }
        }
    }

    /// What the macros of a text stand for.
    async fn values(&mut self, text: &MacroString, domain: &Name) -> Result<Values<'a>, Reason> {
        let validated = if text.asks_for_validated() { self.validated(domain).await? } else { None };
        let claim = &self.claim;
        let sender_domain = plain(&claim.domain);
        let hello = match Name::from_domain(claim.hello) {
            // A name with U-labels is spoken of in A-labels (RFC 8616 §4).
            Ok(name) if !claim.hello.is_ascii() => Cow::Owned(plain(&name)),
            _ => Cow::Borrowed(claim.hello),
        };
        Ok(Values {
            local_part: claim.local_part,
            sender: format!("{}@{sender_domain}", claim.local_part),
            sender_domain,
            domain: plain(domain),
            client: claim.client,
            hello,
            validated: validated.map_or_else(|| "unknown".to_owned(), |name| plain(&name)),
            receiver: claim.receiver,
            now: claim.now,
        })
    }

    /// What a domain says to a client that fails (RFC 7208 §6.2). Its lookup is neither a term nor
    /// counted where it finds nothing.
    async fn explanation(&mut self, target: &DomainSpec, domain: &Name) -> Result<String, Missing> {
        let name = self.target(target, domain).await.map_err(|_| Missing::Nothing)?.ok_or(Missing::NoName)?;
        let answer = self.lookups.txt(&name).await;
        self.watch.note(0, || lookup(&name, RecordType::TXT, Looked::of(&answer, Data::Txt)));
        let texts = answer.map_err(|_| Missing::Nothing)?.records;
        let text = match &*texts {
            [text] => text.concat(),
            [] => return Err(Missing::Nothing),
            _ => return Err(Missing::Several),
        };
        let text = MacroString::parse_explanation(&text).map_err(|_| Missing::Malformed)?;
        let values = self.values(&text, domain).await.map_err(|_| Missing::Nothing)?;
        Some(text.explanation(&values)).filter(|text| !text.is_empty()).ok_or(Missing::Nothing)
    }
}

pub(super) fn lookup(name: &Name, record_type: RecordType, answer: Looked) -> Event {
    Event::Lookup { name: name.clone(), record_type, answer }
}

pub(super) fn failed(name: &Name, record_type: RecordType, error: LookupError) -> Reason {
    let name = name.clone();
    match error {
        LookupError::Budget => Reason::Budget { name, record_type },
        LookupError::Dns(error) => Reason::Dns { name, record_type, error },
    }
}

/// The name that macros made.
fn expanded(spec: Option<&DomainSpec>, name: Option<&Name>) -> Option<Name> {
    spec.filter(|spec| spec.name().is_none()).and(name.cloned())
}
