//! The last decision: the message is there, and each recipient is decided on again.

use hikyaku_dns::Resolver;
use hikyaku_policy::{Finding, Message};
use hikyaku_queue::Draft;
use hikyaku_session::{Protocol, server::Verdicts};
use hikyaku_wire::{ForwardPath, Reply};

use super::{Judgement, Screening, Transaction, Visitor};
use crate::{
    Found, Intake, Route,
    facts::{MARK, tell_message},
};

/// What was decided on a message.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// What was found out about it, if anything was asked for.
    pub found: Option<Found>,
    /// What was decided on each recipient, in the order in which they were accepted.
    pub judgements: Vec<(ForwardPath, Judgement)>,
}

impl Outcome {
    /// What is to be written down: what was not said for good at RCPT, with what has marked it.
    pub fn told(&self) -> impl Iterator<Item = (&ForwardPath, &Judgement)> {
        let told = self.judgements.iter().filter(|(_, judgement)| judgement.is_news);
        told.map(|(to, judgement)| (to, judgement))
    }

    /// The recipients that get the message, and the route that the policy names for each. By SMTP
    /// they get it all or none: there is one reply.
    pub fn recipients(&self, protocol: Protocol) -> Vec<(ForwardPath, Option<Route>)> {
        let is_good = |judgement: &Judgement| judgement.reply.is_positive();
        if protocol == Protocol::Smtp && !self.judgements.iter().all(|(_, judgement)| is_good(judgement)) {
            return Vec::new();
        }
        let good = self.judgements.iter().filter(|(_, judgement)| is_good(judgement));
        good.map(|(to, judgement)| (to.clone(), judgement.route.clone())).collect()
    }

    /// What the client is told: this of those who get the message, and what was decided of others.
    pub fn verdicts(&self, taken: &Reply) -> Verdicts {
        let reply = |judgement: &Judgement| match judgement.reply.is_positive() {
            true => taken.clone(),
            false => judgement.reply.clone(),
        };
        Verdicts::Each(self.judgements.iter().map(|(_, judgement)| reply(judgement)).collect())
    }
}

impl<R: Resolver> Screening<R> {
    /// Decides on a message that has streamed into `intake` to its end, and has the intake put in
    /// front of it what was found out: the field Authentication-Results, and the marks of the
    /// policy for those who get it. A mark is one of the message: who puts it aside for one
    /// recipient does so for all.
    pub async fn message<D: Draft>(
        &self,
        visitor: &mut Visitor,
        mail: &mut Transaction,
        intake: &mut Intake<D>,
    ) -> Outcome {
        self.verification.within(Box::pin(self.last_word(visitor, mail, intake))).await
    }

    async fn last_word<D: Draft>(
        &self,
        visitor: &mut Visitor,
        mail: &mut Transaction,
        intake: &mut Intake<D>,
    ) -> Outcome {
        let mut message = Message::new(intake.size());
        message.hops = u32::try_from(intake.hops()).unwrap_or(u32::MAX);
        message.aligned = Finding::NotYet;
        (message.dkim, message.arc, message.dmarc) = (Finding::NotYet, Finding::NotYet, Finding::NotYet);
        mail.facts.message = Some(message);
        let arriving = intake.arriving.take();
        let recipients = std::mem::take(&mut mail.recipients);
        let mut found = None;
        if let Some(arriving) = arriving
            && recipients.iter().any(|recipient| self.is_open(mail, recipient))
        {
            let (spf, iprev) = arriving.asks_client();
            let client = Box::pin(self.client_results(visitor, mail, spf, iprev)).await;
            let before = mail.asked.for_message;
            let authentication = Box::pin(self.verification.message(arriving, client, &mut mail.asked)).await;
            visitor.asked += mail.asked.for_message - before;
            tell_message(&authentication, &mail.ruling.asks, &mut mail.facts);
            found = Some(authentication);
        }
        let refusal = found.as_ref().filter(|_| self.is_told(mail)).and_then(|found| self.verification.refuses(found));
        let mut judgements = Vec::with_capacity(recipients.len());
        let (mut quarantine, mut tags) = (None, Vec::new());
        for recipient in recipients {
            self.turn_to(mail, &recipient);
            Box::pin(self.gather(visitor, mail)).await;
            let ruling = mail.ruling.clone();
            let decision = ruling.policy.decide(&mail.facts);
            let mut judgement = Judgement::of(&ruling, &mail.facts, &decision);
            if let Some((check, reply)) = &refusal {
                judgement = judgement.unless(reply.clone(), check);
            }
            if judgement.reply.is_positive() {
                quarantine = quarantine.or(decision.quarantine.map(|_| "policy"));
                for tag in &decision.tags {
                    if !tags.iter().any(|known| known == tag) {
                        tags.push((*tag).to_owned());
                    }
                }
            }
            judgement.is_news =
                recipient.is_provisional || !judgement.reply.is_positive() || !judgement.shadows.is_empty();
            judgements.push((recipient.to, judgement));
        }
        let dmarc =
            found.as_ref().filter(|_| self.is_told(mail)).is_some_and(|found| self.verification.quarantines(found));
        let quarantine = if dmarc { Some("dmarc") } else { quarantine };
        let mut fields = found.as_ref().map(|found| self.verification.results(found)).unwrap_or_default();
        if quarantine.is_some() {
            fields += MARK;
        }
        for tag in tags {
            let shown = tag.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' });
            fields += &format!("{TAG}: {}\r\n", shown.take(MAX_TAG).collect::<String>());
        }
        intake.results = fields;
        Outcome { found: found.map(|authentication| Found { authentication, quarantine }), judgements }
    }

    /// Whether more must be known of the message to decide on a recipient, or would be told to it.
    fn is_open(&self, mail: &mut Transaction, recipient: &super::Accepted) -> bool {
        self.turn_to(mail, recipient);
        let needs = mail.ruling.policy.needs(&mail.facts);
        let asks = needs.dkim || needs.arc || needs.dmarc || needs.aligned || needs.spf || needs.iprev;
        asks || !needs.listed.is_empty() || mail.ruling.policy.decide(&mail.facts).is_permitted()
    }

    /// The facts of this recipient.
    fn turn_to(&self, mail: &mut Transaction, recipient: &super::Accepted) {
        let facts = &mut mail.facts;
        facts.recipient = Some(recipient.to.clone());
        facts.recipients = recipient.number;
        facts.exists = recipient.exists;
        facts.known = recipient.known;
        facts.rates.clone_from(&recipient.rates);
    }
}

/// Characters of a tag that are told.
const MAX_TAG: usize = 200;

/// The field of a tag.
pub(crate) const TAG: &str = "X-Hikyaku-Tag";
