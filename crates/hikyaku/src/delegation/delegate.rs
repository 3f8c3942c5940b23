//! Decides what Postfix asks, and remembers what must be known from one question to the next.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

use hikyaku_policy::{Decision, Facts, Finding, Listener, Policy, Rates, Stage, Triplets, Window};
use hikyaku_wire::{Code, EnhancedCode, ForwardPath, Reply, Timestamp};

use super::{DelegationAction, DelegationRequest, facts::is_routed};

/// How a [`Delegate`] answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DelegateOptions {
    /// Where clients come in, if a request does not say. Default: [`Listener::Mx`].
    pub listener: Listener,
    /// Whether what the policy permits is permitted (`OK`), whatever Postfix has configured behind
    /// the question. Default: no, what is permitted is `DUNNO`, and the policy can only take away.
    pub grants: bool,
    /// Whether Postfix asks at the end of the message too (`smtpd_end_of_data_restrictions`).
    /// Where it does not, what a rule about messages may still refuse is never `OK`. Default: no.
    pub end_of_data: bool,
    /// After how long who came again is known (greylisting). Default: 5 minutes.
    pub wait: Duration,
    /// For how long who was seen is remembered. Default: 36 days.
    pub keep: Duration,
    /// Keys that are counted, triplets that are remembered, and recipients of transactions that
    /// have not ended, at most: each. Default: 100,000.
    pub entries: usize,
}

impl Default for DelegateOptions {
    fn default() -> Self {
        Self {
            listener: Listener::Mx,
            grants: false,
            end_of_data: false,
            wait: Duration::from_secs(300),
            keep: Duration::from_secs(36 * 86400),
            entries: 100_000,
        }
    }
}

/// Answers the questions of Postfix by a policy, and remembers between them: the recipients of
/// each transaction, the rates, and who was seen before. Bounded by
/// [`entries`](DelegateOptions::entries).
#[derive(Debug)]
pub struct Delegate {
    options: DelegateOptions,
    rates: Rates,
    triplets: Triplets,
    pub(super) transactions: HashMap<Box<str>, Transaction>,
    /// The transactions in the order of their beginning; those that have ended may be among them.
    pub(super) begun: VecDeque<Box<str>>,
    /// Recipients in all of them.
    pub(super) held: usize,
}

/// What was accepted in a transaction (`instance`).
#[derive(Debug, Default)]
pub(super) struct Transaction {
    recipients: BTreeMap<ForwardPath, Counted>,
    /// The marks that the message has: Postfix would write each again.
    marks: Vec<DelegationAction>,
}

/// What was counted when a recipient was asked about first. It stays so: a recipient is not over
/// a limit because it has been counted itself.
#[derive(Clone, Debug)]
struct Counted {
    minute: Finding<u16>,
    known: Finding<bool>,
    recipients: u32,
    rates: Vec<(Window, u64)>,
}

/// What was answered, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delegated<'p> {
    /// What Postfix is to do.
    pub action: DelegationAction,
    /// The decision, and the facts it rests on; `None` where the policy was not asked. Of several
    /// recipients, the strictest.
    pub decision: Option<(Decision<'p>, Facts)>,
}

impl Delegate {
    /// Nobody has been seen yet.
    pub fn new(options: DelegateOptions) -> Self {
        Self {
            rates: Rates::new(options.entries),
            triplets: Triplets::new(options.entries, options.wait, options.keep),
            transactions: HashMap::new(),
            begun: VecDeque::new(),
            held: 0,
            options,
        }
    }

    /// Who was seen before, for a file that outlives the process.
    pub fn triplets(&mut self) -> &mut Triplets {
        &mut self.triplets
    }

    /// The facts of a request, which the caller may complete before it asks for the answer.
    ///
    /// # Errors
    /// The sender or the recipient is no address.
    pub fn facts(&self, request: &DelegationRequest, now: Timestamp) -> Result<Facts, Reply> {
        request.facts(self.options.listener, now)
    }

    /// The answer to a request with these facts.
    pub fn answer<'p>(
        &mut self,
        policy: &'p Policy,
        request: &DelegationRequest,
        facts: Facts,
        now: Timestamp,
    ) -> Delegated<'p> {
        // What is longer is none of Postfix.
        let instance = request.text("instance").filter(|text| text.len() <= 128).unwrap_or_default();
        match request.text("protocol_state") {
            Some("RCPT") => self.recipient(policy, instance, facts, now),
            Some("END-OF-MESSAGE") => self.message(policy, instance, facts, now),
            // Nothing new is known, or nothing that a policy is about.
            Some("DATA") | None => Delegated { action: DelegationAction::Dunno, decision: None },
            Some(_) if request.stage().is_none() => Delegated { action: DelegationAction::Dunno, decision: None },
            Some(_) => {
                let decision = policy.decide(&facts);
                let action = match decision.is_permitted() {
                    true => DelegationAction::Dunno,
                    false => DelegationAction::Reply(decision.reply.clone()),
                };
                Delegated { action, decision: Some((decision, facts)) }
            }
        }
    }

    fn recipient<'p>(&mut self, policy: &'p Policy, instance: &str, mut facts: Facts, now: Timestamp) -> Delegated<'p> {
        let transaction = self.transactions.get(instance);
        let before = transaction.map_or(0, |transaction| transaction.recipients.len());
        let recipient = facts.recipient.clone();
        // Postfix may ask twice about one recipient, from two lists of restrictions.
        let counted = transaction.zip(recipient.as_ref()).and_then(|(held, to)| held.recipients.get(to)).cloned();
        let is_again = counted.is_some();
        match counted {
            Some(counted) => counted.tell(&mut facts),
            None => self.count(policy, &mut facts, before + 1, now),
        }
        let decision = policy.decide(&facts);
        if !decision.is_permitted() {
            let action = DelegationAction::Reply(decision.reply.clone());
            return Delegated { action, decision: Some((decision, facts)) };
        }
        if !is_again {
            self.rates.charge(policy, &facts, now);
        }
        let mut action = self.permitted(&decision, &facts);
        if let (Some(recipient), false) = (recipient, instance.is_empty()) {
            let transaction = self.remember(instance, recipient, Counted::of(&facts));
            if let (DelegationAction::Hold(_) | DelegationAction::Mark(_), Some(transaction)) = (&action, transaction) {
                match transaction.marks.contains(&action) {
                    true => action = DelegationAction::Dunno,
                    false => transaction.marks.push(action.clone()),
                }
            }
        }
        Delegated { action, decision: Some((decision, facts)) }
    }

    /// What Postfix is told of a recipient that is permitted.
    fn permitted(&self, decision: &Decision<'_>, facts: &Facts) -> DelegationAction {
        let is_settled = !decision.provisional || self.options.end_of_data;
        match decision {
            Decision { quarantine: Some(reason), .. } if !decision.provisional => {
                DelegationAction::Hold(if reason.is_empty() { "quarantine" } else { reason }.to_owned())
            }
            Decision { tags, .. } if !tags.is_empty() && !decision.provisional => {
                DelegationAction::Mark(tags.join(", "))
            }
            _ if self.options.grants && is_settled && !facts.recipient.as_ref().is_some_and(is_routed) => {
                DelegationAction::Ok
            }
            _ => DelegationAction::Dunno,
        }
    }

    /// The message is there: each recipient is decided again, and the strictest answer holds for
    /// all.
    fn message<'p>(&mut self, policy: &'p Policy, instance: &str, facts: Facts, now: Timestamp) -> Delegated<'p> {
        let transaction = self.forget(instance);
        if !asks_of_message(policy) {
            return Delegated { action: DelegationAction::Dunno, decision: None };
        }
        let (recipients, marks) = transaction.map(|held| (held.recipients, held.marks)).unwrap_or_default();
        let mut decided = Vec::new();
        if let (true, Some(_)) = (recipients.is_empty(), &facts.recipient) {
            let mut facts = facts.clone();
            self.count(policy, &mut facts, 1, now);
            decided.push((policy.decide(&facts), facts));
        }
        for (recipient, counted) in recipients {
            let mut facts = facts.clone();
            facts.recipient = Some(recipient);
            counted.tell(&mut facts);
            decided.push((policy.decide(&facts), facts));
        }
        let strictness = |(decision, _): &(Decision<'_>, Facts)| match decision {
            Decision { reply, .. } if reply.is_permanent() => 3,
            decision if !decision.is_permitted() => 2,
            Decision { quarantine: Some(_), .. } => 1,
            _ => 0,
        };
        // Of several, the first.
        let strictest = decided.into_iter().min_by_key(|decided| Reverse(strictness(decided)));
        let Some((decision, facts)) = strictest else {
            let text = "what was decided of the recipients is not known any more, please come again";
            let reply = Reply::new(Code::LOCAL_ERROR_451, EnhancedCode::new(4, 3, 0), text);
            return Delegated { action: DelegationAction::Reply(reply), decision: None };
        };
        let action = match decision.is_permitted() {
            false => DelegationAction::Reply(decision.reply.clone()),
            true => match self.permitted(&decision, &facts) {
                action if marks.contains(&action) => DelegationAction::Dunno,
                action => action,
            },
        };
        Delegated { action, decision: Some((decision, facts)) }
    }

    /// Fills in what is counted here.
    fn count(&mut self, policy: &Policy, facts: &mut Facts, recipients: usize, now: Timestamp) {
        facts.recipients = u32::try_from(recipients).unwrap_or(u32::MAX);
        self.rates.fill(policy, facts, now);
        if facts.known == Finding::NotYet && policy.asks().known {
            facts.known = Finding::Is(self.triplets.see(facts, now));
        }
    }

    /// The transaction, unless it alone holds more than all may.
    fn remember(&mut self, instance: &str, recipient: ForwardPath, counted: Counted) -> Option<&mut Transaction> {
        if !self.transactions.contains_key(instance) {
            self.begun.push_back(instance.into());
        }
        let transaction = self.transactions.entry(instance.into()).or_default();
        self.held += usize::from(transaction.recipients.insert(recipient, counted).is_none());
        while self.held > self.options.entries || self.begun.len() > self.options.entries {
            let Some(oldest) = self.begun.pop_front() else { break };
            self.forget(&oldest);
        }
        self.transactions.get_mut(instance)
    }

    fn forget(&mut self, instance: &str) -> Option<Transaction> {
        let transaction = self.transactions.remove(instance)?;
        self.held -= transaction.recipients.len();
        Some(transaction)
    }
}

impl Counted {
    fn of(facts: &Facts) -> Self {
        let Facts { minute, known, recipients, rates, .. } = facts;
        Self { minute: *minute, known: *known, recipients: *recipients, rates: rates.clone() }
    }

    fn tell(self, facts: &mut Facts) {
        let Self { minute, known, recipients, rates } = self;
        (facts.minute, facts.known, facts.recipients, facts.rates) = (minute, known, recipients, rates);
    }
}

/// Whether a rule has to wait for the message.
fn asks_of_message(policy: &Policy) -> bool {
    policy.rules().iter().any(|rule| {
        rule.at == Some(Stage::Message) || rule.when.tests().iter().any(|test| test.stage() == Stage::Message)
    })
}
