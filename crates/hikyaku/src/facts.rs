//! What is found out about the mail of other servers before it is decided on: whether the client
//! may use its names, and whether the message is from whom it says.

mod deadline;
mod judge;
#[cfg(test)]
mod tests;

use std::{net::IpAddr, time::Duration};

use hikyaku_audit as audit;
use hikyaku_dns::{Name, Resolver};
use hikyaku_mailauth::{
    Authentication, Budget, Client, ClientResults, Lookups, Records, ReverseName, Rules, Verifier, dkim, spf,
};
use hikyaku_message::{HeaderLimits, results::Value};
use hikyaku_policy::{self as policy, Finding};
use hikyaku_queue::Draft;
use hikyaku_wire::{Hello, Reply, ReversePath};
use tokio::time::Instant;

use self::deadline::{Deadline, within};
use crate::{Intake, now};

/// Which checks are made of the mail of other servers, and what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyConfig {
    /// May the client use the sender's domain (RFC 7208)? Enforced, `fail` is refused at RCPT with
    /// 550 5.7.23, and with 451 4.7.24 what cannot be found out now. Default: reported.
    pub spf: Check,
    /// Has a domain signed the message (RFC 6376)? Enforced, what has no good signature is refused
    /// with 550 5.7.20, and with 451 4.7.20 while one cannot be looked up. Default: reported.
    pub dkim: Check,
    /// Has the author's domain sent it (RFC 9989)? Enforced, what that domain wants to see refused
    /// is refused with 550 5.7.1, and what it wants to see in quarantine is marked; so that nobody
    /// can hide from it, a message without an author, or with authors of several domains, is
    /// refused too. What cannot be found out now comes again: 451 4.7.1, unless the domain asks for
    /// nothing. Default: enforced. It needs SPF and
    /// DKIM, which are then made where they are off.
    pub dmarc: Check,
    /// Is the chain of ARC sets whole (RFC 8617)? Enforced, one that is not is refused with
    /// 550 5.7.29. Default: reported.
    pub arc: Check,
    /// Has the client's address a name that leads back to it (RFC 8601 §3)? Enforced, one without
    /// is refused at RCPT with 550 5.7.25, and with 451 4.7.25 what cannot be found out now.
    /// Default: off.
    pub iprev: Check,
    /// Domains whose ARC seals are believed; none by default.
    pub trusted_sealers: Vec<Name>,
    /// How long all lookups before one reply may take; what is cut off has failed for now.
    /// Default 20 s (RFC 7208 §4.6.4).
    pub timeout: Duration,
}

/// Whether a check is made, and what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Check {
    /// It is not made, and nothing is looked up for it: `off`.
    Off,
    /// It is made and its result told in the message: `report`.
    Report,
    /// It is made, and mail that fails is refused: `enforce`.
    Enforce,
}

impl Default for VerifyConfig {
    fn default() -> Self {
        Self {
            spf: Check::Report,
            dkim: Check::Report,
            dmarc: Check::Enforce,
            arc: Check::Report,
            iprev: Check::Off,
            trusted_sealers: Vec::new(),
            timeout: Duration::from_secs(20),
        }
    }
}

impl VerifyConfig {
    /// What is asked for, and nothing else.
    fn rules(&self, needs: policy::Needs, header: HeaderLimits) -> Rules {
        let is_made = |check: Check| check != Check::Off;
        let dmarc = is_made(self.dmarc);
        let mut rules = Rules::none();
        rules.iprev = is_made(self.iprev) || needs.iprev;
        rules.spf = is_made(self.spf) || needs.spf || dmarc;
        rules.dkim = (is_made(self.dkim) || dmarc).then(dkim::Rules::default);
        rules.arc = is_made(self.arc);
        rules.dmarc = dmarc;
        rules.trusted_sealers = self.trusted_sealers.clone();
        rules.header = header;
        rules
    }
}

/// Finds out what is asked for about the mail of other servers. One serves all connections: what
/// was read of the answers of the DNS is kept.
#[derive(Debug)]
pub struct Verification<R> {
    config: VerifyConfig,
    rules: Rules,
    records: Records<Deadline<R>>,
    names: Names,
}

/// What this host is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Its name, for the macro `r` of SPF (RFC 7208 §7.2).
    pub hostname: String,
    /// Under which name it tells what it has found (RFC 8601 §2.5); not empty.
    pub authserv_id: String,
}

/// What is known of a client when its message begins.
#[derive(Debug)]
pub struct Arrived {
    results: ClientResults,
    verifier: Verifier,
    /// Questions that were asked so far.
    asked: u32,
    refusal: Option<(&'static str, Reply)>,
}

/// What was found out about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The results.
    pub authentication: Authentication,
    /// The check that refuses the message, and what the client is to be told.
    pub refusal: Option<(&'static str, Reply)>,
    /// Whether the message is to be marked as one that its author's domain wants to see in
    /// quarantine.
    pub quarantine: bool,
}

impl<R: Resolver> Verification<R> {
    /// Finds out what `config` says and what a policy needs, with the answers of `resolver`. A
    /// header section over the limits is not verified.
    pub fn new(resolver: R, config: VerifyConfig, needs: policy::Needs, header: HeaderLimits, names: Names) -> Self {
        let rules = config.rules(needs, header);
        Self { config, rules, records: Records::new(Deadline(resolver)), names }
    }

    /// Whether anything is asked for.
    fn is_asked_for(&self) -> bool {
        let Rules { iprev, spf, dkim, arc, dmarc, .. } = &self.rules;
        *iprev || *spf || dkim.is_some() || *arc || *dmarc
    }

    /// What is known of a client at MAIL; `None` if nothing is asked for, or if the client has no
    /// address: it is on this host.
    pub async fn client(&self, client: Option<IpAddr>, hello: Option<&Hello>, sender: &ReversePath) -> Option<Arrived> {
        let address = client.filter(|_| self.is_asked_for())?;
        let sender = sender.mailbox().map(ToString::to_string).unwrap_or_default();
        let hello = hello.map_or("", Hello::as_str);
        let lookups = self.lookups(0);
        let client = Client { address, hello, sender: &sender, receiver: &self.names.hostname };
        let checked = ClientResults::check(&self.rules, &lookups, &client, now());
        let results = within(self.config.timeout, checked).await;
        let refusal = self.refuses_client(&results);
        Some(Arrived { results, verifier: Verifier::new(&self.rules), asked: lookups.asked(), refusal })
    }

    /// What is known of a message that has streamed into `intake` to its end, whose field
    /// Authentication-Results the intake puts on top of it; `None` if nothing was asked for.
    pub async fn message<D: Draft>(&self, intake: &mut Intake<D>) -> Option<Found> {
        let Arrived { results, verifier, asked, .. } = intake.arrived.take()?;
        let lookups = self.lookups(asked);
        let authentication = within(self.config.timeout, verifier.finish(&lookups, results, now())).await;
        let refusal = self.refuses(&authentication);
        let quarantine = self.quarantines(&authentication);
        let mut fields = authentication.results(Value::lossy(&self.names.authserv_id)).field();
        if quarantine {
            fields += MARK;
        }
        intake.results = fields;
        Some(Found { authentication, refusal, quarantine })
    }

    fn lookups(&self, asked: u32) -> Lookups<'_, Deadline<R>> {
        let queries = Budget::default().queries.saturating_sub(asked);
        self.records.lookups(Instant::now().into_std(), Budget { queries })
    }
}

/// The field that says so to whoever sorts mail.
pub(crate) const MARK: &str = "X-Spam-Flag: YES\r\n";

impl Arrived {
    /// The check that refuses the client, and what it is to be told at RCPT.
    pub fn refusal(&self) -> Option<&(&'static str, Reply)> {
        self.refusal.as_ref()
    }

    /// Tells a policy.
    pub fn tell(&self, facts: &mut policy::Facts) {
        tell(&self.results, facts);
    }

    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.verifier.push(piece);
    }
}

impl Found {
    /// Tells a policy.
    pub fn tell(&self, facts: &mut policy::Facts) {
        let Authentication { client, dkim, arc, dmarc, .. } = &self.authentication;
        tell(client, facts);
        let _ = (dkim, arc, dmarc);
    }

    /// The line of the audit log.
    pub fn event(&self) -> audit::Verified {
        let Authentication { client, dkim, arc, dmarc, .. } = &self.authentication;
        let said = |result: &str, name: Option<&Name>| match name {
            Some(name) => format!("{result} {name}"),
            None => result.to_owned(),
        };
        let of_spf = |spf: &spf::Outcome| said(spf.result.as_str(), spf.domain.as_ref());
        let of_iprev = |(_, name): &(IpAddr, ReverseName)| said(name.result.as_str(), name.name.as_ref());
        let of_dkim = |verified: &dkim::Verified| {
            let selector = verified.selector.as_deref().unwrap_or_default();
            said(verified.result.as_str(), verified.domain.as_ref()) + " " + selector
        };
        audit::Verified {
            iprev: client.iprev.as_ref().map(of_iprev),
            helo: client.helo.as_ref().map(of_spf),
            spf: client.mail_from.as_ref().map(of_spf),
            dkim: dkim.iter().flatten().map(of_dkim).collect(),
            arc: arc.as_ref().map(|arc| said(arc.result.as_str(), arc.sealers.last())),
            dmarc: dmarc.as_ref().map(|dmarc| said(dmarc.result.as_str(), dmarc.author.as_ref())),
            quarantine: self.quarantine.then(|| "dmarc".to_owned()),
        }
    }
}

fn tell(client: &ClientResults, facts: &mut policy::Facts) {
    let found = |result| Finding::Is(result);
    facts.iprev = client.iprev.as_ref().map_or(Finding::NotYet, |(_, name)| Finding::Is(name.result));
    facts.spf = client.mail_from.as_ref().map_or(Finding::NotYet, |spf| found(spf.result));
}
