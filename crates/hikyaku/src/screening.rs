//! What is decided on a client and its mail, stage by stage: facts are gathered as far as the
//! policy still needs them, and the policy decides.

mod gather;
mod greylist;
mod message;
mod ruling;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hikyaku_audit as audit;
use hikyaku_dns::Resolver;
use hikyaku_mailauth::{ClientResults, ReverseName};
use hikyaku_policy::{Certificate, Decision, Facts, Finding, Listener, Rates, Stage, Triplets, Window};
use hikyaku_session::{Tls, server::Session};
use hikyaku_wire::{Code, EnhancedCode, ForwardPath, Hello, Mailbox, Reply, ReversePath};

pub(crate) use self::message::TAG;
#[cfg(feature = "config")]
pub(crate) use self::ruling::{domains, trusted};
pub use self::{
    greylist::GreylistConfig,
    message::Outcome,
    ruling::{NoSuchRoute, Ruling},
};
use crate::{
    Arriving, AuditLog, Current, Directory, DnsList, Route, Verification,
    facts::{Asked, Claims, Lists, words},
    now,
};

/// Keys whose rates are counted, at the most.
const RATES: usize = 100_000;
/// Lookups that a connection may cause before a message of it is accepted.
const LOOKUPS: u32 = 500;
/// Lookups more that each accepted message is worth.
const LOOKUPS_A_MESSAGE: u32 = 100;

/// Whether a user may send as an address.
type Owns = Arc<dyn Fn(&str, &Mailbox) -> bool + Send + Sync>;

/// Decides on clients and their mail. One serves all connections.
///
/// Nothing is looked up before it can matter: lookups are made at the first RCPT that the policy
/// may accept, of the client once a connection, of the sender once a transaction.
pub struct Screening<R> {
    ruling: Current<Ruling>,
    verification: Verification<R>,
    lists: Lists,
    rates: Mutex<Rates>,
    triplets: Mutex<Triplets>,
    directory: Directory,
    owns: Owns,
    audit: Arc<AuditLog>,
}

/// What is known of one client, for as long as it is connected.
#[derive(Debug)]
pub struct Visitor {
    ruling: Arc<Ruling>,
    facts: Facts,
    reverse: Option<(IpAddr, ReverseName)>,
    spf: Option<(Claims, ClientResults)>,
    /// Lookups that it has caused.
    asked: u32,
    /// How many it may.
    allowed: u32,
}

/// One transaction, as far as it has come: it keeps the policy that it began with.
#[derive(Debug)]
pub struct Transaction {
    ruling: Arc<Ruling>,
    facts: Facts,
    spf: Option<ClientResults>,
    asked: Asked,
    recipients: Vec<Accepted>,
    is_provisional: bool,
}

/// A recipient that was accepted, and what is known of it alone.
#[derive(Debug)]
struct Accepted {
    to: ForwardPath,
    number: u32,
    exists: Finding<bool>,
    known: Finding<bool>,
    rates: Vec<(Window, u64)>,
    is_provisional: bool,
}

/// What was decided, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Judgement {
    /// When.
    pub stage: Stage,
    /// What the client is told.
    pub reply: Reply,
    /// The rule, as it prints, or the name of what decides outside of the policy.
    pub rule: String,
    /// The rule's line.
    pub line: Option<usize>,
    /// Whether it may be decided otherwise when the message is there.
    pub provisional: bool,
    /// The facts that the policy asks for, each as `fact=value`.
    pub facts: Vec<String>,
    /// The rules that only tell, and that match.
    pub shadows: Vec<String>,
    /// The limit that was reached, if one was.
    pub limit: Option<&'static str>,
    /// The route that the policy names.
    pub(crate) route: Option<Route>,
    /// Whether it says something that was not said before.
    pub(crate) is_news: bool,
}

impl<R> fmt::Debug for Screening<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Screening").field("ruling", &self.ruling).finish_non_exhaustive()
    }
}

impl<R: Resolver> Screening<R> {
    /// Decides by `ruling`, with what `verification` finds out, `lists` say, and is known here:
    /// the mailboxes of `directory`, and through `owns` the addresses of users.
    pub fn new(
        ruling: Ruling,
        verification: Verification<R>,
        lists: Vec<DnsList>,
        greylist: &GreylistConfig,
        directory: Directory,
        owns: impl Fn(&str, &Mailbox) -> bool + Send + Sync + 'static,
        audit: Arc<AuditLog>,
    ) -> Self {
        Self {
            ruling: Current::new(ruling),
            verification,
            lists: Lists::new(lists),
            rates: Mutex::new(Rates::new(RATES)),
            triplets: Mutex::new(greylist.triplets()),
            directory,
            owns: Arc::new(owns),
            audit,
        }
    }

    /// By what is decided now.
    pub fn ruling(&self) -> Arc<Ruling> {
        self.ruling.get()
    }

    /// Decides by another policy from now on. Transactions that have begun keep theirs.
    pub fn rule_by(&self, ruling: Ruling) {
        self.ruling.set(ruling);
    }

    /// A client has connected.
    pub fn visitor(&self, client: Option<IpAddr>, listener: Listener) -> Visitor {
        let mut facts = Facts::new(client, listener);
        facts.minute = minute();
        Visitor { ruling: self.ruling.get(), facts, reverse: None, spf: None, asked: 0, allowed: LOOKUPS }
    }

    /// Whether it may speak, or call itself what it does.
    pub fn greets(&self, visitor: &Visitor) -> Judgement {
        Judgement::new(&visitor.ruling, &visitor.facts)
    }

    /// Whether a transaction begins.
    pub fn mail(&self, visitor: &mut Visitor, sender: &ReversePath) -> Result<Transaction, Box<Judgement>> {
        visitor.ruling = self.ruling.get();
        visitor.facts.minute = minute();
        let mut facts = visitor.facts.clone();
        facts.sender = Some(sender.clone());
        facts.owned =
            Finding::Is(facts.user.as_deref().zip(sender.mailbox()).is_some_and(|(user, s)| (self.owns)(user, s)));
        let judgement = Judgement::new(&visitor.ruling, &facts);
        if !judgement.reply.is_positive() {
            return Err(Box::new(judgement));
        }
        Ok(Transaction {
            ruling: visitor.ruling.clone(),
            facts,
            spf: None,
            asked: Asked::default(),
            recipients: Vec::new(),
            is_provisional: false,
        })
    }

    /// Whether the transaction gets one more recipient.
    pub async fn recipient(&self, visitor: &mut Visitor, mail: &mut Transaction, to: &ForwardPath) -> Judgement {
        let ruling = mail.ruling.clone();
        let exists = ruling.routes.route(to) != Route::Maildir || self.directory.mailbox(to).is_some();
        let facts = &mut mail.facts;
        facts.recipient = Some(to.clone());
        facts.exists = Finding::Is(exists);
        facts.known = Finding::NotYet;
        facts.rates.clear();
        facts.recipients = u32::try_from(mail.recipients.len()).unwrap_or(u32::MAX).saturating_add(1);
        // Whatever a lookup would tell, it would be refused, unless the policy has a word for it.
        if !exists && !ruling.asks.exists && ruling.policy.routes().next().is_none() {
            let judgement = Judgement::new(&ruling, facts);
            let is_final = judgement.reply.is_permanent();
            return if is_final { judgement } else { judgement.instead(Reply::UNKNOWN_USER_550, "local users") };
        }
        if visitor.asked >= visitor.allowed {
            let judgement = Judgement::new(&ruling, facts).unless(lookups(), "lookups");
            let limit = judgement.reply.is_transient().then_some("lookups");
            return Judgement { limit, ..judgement };
        }
        let mut judgement = self.verification.within(Box::pin(self.judge(visitor, mail))).await;
        if judgement.reply.is_positive() && !exists && judgement.route.is_none() {
            judgement = judgement.unless(Reply::UNKNOWN_USER_550, "local users");
        }
        if judgement.reply.is_positive() {
            let facts = &mail.facts;
            lock(&self.rates).charge(&ruling.policy, facts, now());
            mail.is_provisional |= judgement.provisional;
            mail.recipients.push(Accepted {
                to: to.clone(),
                number: facts.recipients,
                exists: facts.exists,
                known: facts.known,
                rates: facts.rates.clone(),
                is_provisional: judgement.provisional,
            });
        }
        judgement
    }

    /// What is looked at of the message while it streams by, if anything is asked for. To be asked
    /// when its recipients are there.
    pub fn arriving(&self, mail: &Transaction) -> Option<Arriving> {
        self.verification.arriving(self.is_told(mail), &mail.ruling.asks_of_message(mail.is_provisional))
    }

    /// Whether what is found out is told in the message: it comes from another server, and not
    /// from one that may send like a user.
    fn is_told(&self, mail: &Transaction) -> bool {
        let Facts { listener, client, .. } = &mail.facts;
        *listener == Listener::Mx && client.is_some_and(|client| !mail.ruling.is_trusted(client))
    }
}

impl Visitor {
    /// What the session knows now.
    pub fn learn(&mut self, session: &Session) {
        self.is_called(session.hello());
        self.is_user(session.user());
        self.is_encrypted(session.tls());
    }

    /// What it calls itself.
    pub fn is_called(&mut self, hello: Option<&Hello>) {
        self.facts.hello = hello.cloned();
    }

    /// Who it has proved to be.
    pub fn is_user(&mut self, user: Option<&str>) {
        self.facts.user = user.map(ToOwned::to_owned);
    }

    /// What the handshake has come to.
    pub fn is_encrypted(&mut self, tls: Option<&Tls>) {
        self.facts.tls = tls.is_some();
        self.facts.certificate = tls.and_then(|tls| tls.certificate.as_ref()).map(|certificate| Certificate {
            spki: certificate.spki,
            names: certificate.names.iter().filter_map(|name| name.parse().ok()).collect(),
        });
    }

    /// A message of it was accepted.
    pub fn accepted(&mut self) {
        self.allowed = self.allowed.saturating_add(LOOKUPS_A_MESSAGE);
    }

    /// Lookups that it has caused so far.
    pub fn lookups(&self) -> u32 {
        self.asked
    }
}

impl Transaction {
    /// The policy that it began with.
    pub fn ruling(&self) -> &Ruling {
        &self.ruling
    }

    /// What is known of it, and of the recipient that was asked about last.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }
}

impl Judgement {
    /// What the policy says now.
    fn new(ruling: &Ruling, facts: &Facts) -> Self {
        Self::of(ruling, facts, &ruling.policy.decide(facts))
    }

    fn of(ruling: &Ruling, facts: &Facts, decision: &Decision<'_>) -> Self {
        let shadow = |index: &usize| ruling.policy.rules().get(*index).map(ToString::to_string);
        Self {
            stage: facts.stage(),
            reply: decision.reply.clone(),
            rule: decision.rule.to_owned(),
            line: decision.line,
            provisional: decision.provisional,
            facts: words(facts, &ruling.asks, ruling.asks_time),
            shadows: decision.shadows.iter().filter_map(shadow).collect(),
            limit: None,
            is_news: true,
            route: decision.route.and_then(|name| ruling.routes.named(name)),
        }
    }

    /// The same, or this refusal where it accepts.
    fn unless(self, reply: Reply, rule: &str) -> Self {
        if self.reply.is_positive() { self.instead(reply, rule) } else { self }
    }

    fn instead(self, reply: Reply, rule: &str) -> Self {
        Self { reply, rule: rule.to_owned(), line: None, provisional: false, route: None, ..self }
    }

    /// The line of the audit log, without what is known of the session.
    pub fn event(&self) -> audit::Decision {
        audit::Decision {
            stage: self.stage.to_string(),
            peer: None,
            hello: None,
            user: None,
            sender: None,
            recipient: None,
            rule: self.rule.clone(),
            line: self.line.and_then(|line| u64::try_from(line).ok()),
            reply: self.reply.clone(),
            until: self.provisional.then(|| Stage::Message.to_string()),
            facts: self.facts.clone(),
            shadows: self.shadows.clone(),
        }
    }
}

fn lookups() -> Reply {
    Reply::new(
        Code::LOCAL_ERROR_451,
        EnhancedCode::new(4, 7, 0),
        "too many lookups for one connection; come again on another one",
    )
}

/// The time of day.
fn minute() -> Finding<u16> {
    let minutes = now().as_millis().div_euclid(60_000).rem_euclid(24 * 60);
    u16::try_from(minutes).map_or(Finding::Unknown, Finding::Is)
}

/// What is counted is whole between any two statements: a panic elsewhere cannot have spoilt it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
