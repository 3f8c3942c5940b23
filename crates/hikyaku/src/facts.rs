//! What is found out about mail before it is decided on: whether the client may use its names,
//! who lists it, and whether the message is from whom it says.

mod deadline;
mod judge;
mod lists;
mod tell;
#[cfg(test)]
pub(crate) mod tests;

use std::{net::IpAddr, time::Duration};

use hikyaku_audit as audit;
use hikyaku_dns::{Name, Resolver};
use hikyaku_mailauth::{
    Authentication, Budget, Client, ClientResults, Lookups, Records, ReverseName, Rules, Verifier, dkim, spf,
};
use hikyaku_message::{HeaderLimits, results::Value};
use hikyaku_policy::Needs;
use hikyaku_wire::Reply;
use tokio::time::Instant;

use self::deadline::{Deadline, within};
pub use self::lists::DnsList;
pub(crate) use self::{
    lists::{Listed, Lists},
    tell::{tell_client, tell_message, words},
};
use crate::now;

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
    /// What is looked at of a message: what is told in it, if something is, and what a policy
    /// asks for.
    fn rules(&self, is_told: bool, needs: &Needs, header: HeaderLimits) -> Rules {
        let is_made = |check: Check| is_told && check != Check::Off;
        let mut rules = Rules::none();
        rules.dmarc = is_made(self.dmarc) || needs.dmarc;
        rules.iprev = is_made(self.iprev);
        rules.spf = is_made(self.spf) || rules.dmarc;
        rules.dkim = (is_made(self.dkim) || needs.dkim || rules.dmarc).then(dkim::Rules::default);
        rules.arc = is_made(self.arc) || needs.arc;
        rules.author = needs.aligned;
        rules.trusted_sealers = self.trusted_sealers.clone();
        rules.header = header;
        rules
    }
}

/// Finds out what is asked for. One serves all connections: what was read of the answers of the
/// DNS is kept.
#[derive(Debug)]
pub struct Verification<R> {
    config: VerifyConfig,
    header: HeaderLimits,
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

/// A message that is looked at as it streams by: see [`Intake::verified`](crate::Intake::verified).
#[derive(Debug)]
pub struct Arriving {
    rules: Rules,
    verifier: Verifier,
}

/// What was found out about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The results.
    pub authentication: Authentication,
    /// Why the message is marked as one that is to be put aside: `dmarc`, or `policy`.
    pub quarantine: Option<&'static str>,
}

/// Lookups that a client has caused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// For itself, whatever it sends: its name, and who lists it.
    pub(crate) for_client: u32,
    /// For the message.
    pub(crate) for_message: u32,
}

/// What SPF is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) address: IpAddr,
    pub(crate) hello: String,
    /// Empty for the null path.
    pub(crate) sender: String,
}

/// The field that says so to whoever sorts mail.
pub(crate) const MARK: &str = "X-Spam-Flag: YES\r\n";

impl<R: Resolver> Verification<R> {
    /// Finds out what `config` says and what a policy asks for, with the answers of `resolver`. A
    /// header section over the limits is not verified.
    pub fn new(resolver: R, config: VerifyConfig, header: HeaderLimits, names: Names) -> Self {
        Self { config, header, records: Records::new(Deadline(resolver)), names }
    }

    /// Does the work in the time that lookups may take together.
    pub(crate) async fn within<F: Future>(&self, work: F) -> F::Output {
        within(self.config.timeout, work).await
    }

    /// Which checks of the client may refuse it, whatever a policy says: SPF, its name.
    pub(crate) fn judges_client(&self) -> (bool, bool) {
        (self.config.spf == Check::Enforce, self.config.iprev == Check::Enforce)
    }

    /// What is looked at of a message; `None` if nothing is asked for.
    pub(crate) fn arriving(&self, is_told: bool, needs: &Needs) -> Option<Arriving> {
        let rules = self.config.rules(is_told, needs, self.header);
        let Rules { iprev, spf, dkim, arc, dmarc, author, .. } = &rules;
        let is_any = *iprev || *spf || dkim.is_some() || *arc || *dmarc || *author;
        is_any.then(|| Arriving { verifier: Verifier::new(&rules), rules })
    }

    /// The name of the client's address: eleven lookups at the most.
    pub(crate) async fn reverse_name(&self, address: IpAddr, asked: &mut Asked) -> ReverseName {
        let lookups = self.lookups(0);
        let name = ReverseName::look_up(&lookups, address).await;
        asked.for_client += lookups.asked();
        name
    }

    /// What lists say of the client.
    pub(crate) async fn listed(&self, lists: &Lists, names: &[hikyaku_wire::Domain], address: IpAddr) -> (Listed, u32) {
        let lookups = self.records.lookups(Instant::now().into_std(), Budget { queries: u32::MAX });
        (lists.ask(&lookups, names, address).await, lookups.asked())
    }

    /// SPF of the sender and of HELO, with lookups left for the message.
    pub(crate) async fn check_spf(&self, claims: &Claims, needs: &Needs, asked: &mut Asked) -> ClientResults {
        let mut rules = self.config.rules(true, needs, self.header);
        (rules.spf, rules.iprev) = (true, false);
        let lookups = self.lookups(asked.for_message);
        let Claims { address, hello, sender } = claims;
        let client = Client { address: *address, hello, sender, receiver: &self.names.hostname };
        let results = ClientResults::check(&rules, &lookups, &client, now()).await;
        asked.for_message += lookups.asked();
        results
    }

    /// What is known of a message that has streamed by to its end.
    pub(crate) async fn message(&self, arriving: Arriving, client: ClientResults, asked: &mut Asked) -> Authentication {
        let lookups = self.lookups(asked.for_message);
        let authentication = arriving.verifier.finish(&lookups, client, now()).await;
        asked.for_message += lookups.asked();
        authentication
    }

    /// The fields that tell what was found.
    pub(crate) fn results(&self, authentication: &Authentication) -> String {
        authentication.results(Value::lossy(&self.names.authserv_id)).field()
    }

    fn lookups(&self, asked: u32) -> Lookups<'_, Deadline<R>> {
        let queries = Budget::default().queries.saturating_sub(asked);
        self.records.lookups(Instant::now().into_std(), Budget { queries })
    }
}

impl Arriving {
    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.verifier.push(piece);
    }

    /// Whether SPF is needed for it, and the name of the client's address.
    pub(crate) fn asks_client(&self) -> (bool, bool) {
        (self.rules.spf, self.rules.iprev)
    }
}

impl Found {
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
            quarantine: self.quarantine.map(ToOwned::to_owned),
        }
    }
}

/// The check that refuses, and what the client is told.
pub(crate) type Refusal = (&'static str, Reply);
