//! What is looked up before a policy decides: only what it still needs, what is here first, then
//! what is asked of the client, then what is asked of the sender.

use std::net::IpAddr;

use hikyaku_dns::Resolver;
use hikyaku_mailauth::ClientResults;
use hikyaku_message::results;
use hikyaku_policy::{Facts, Finding, Needs};
use hikyaku_wire::Hello;

use super::{Judgement, Screening, Transaction, Visitor, lock};
use crate::{
    facts::{Claims, tell_client},
    now,
};

impl<R: Resolver> Screening<R> {
    /// Decides on the recipient of the facts.
    pub(super) async fn judge(&self, visitor: &mut Visitor, mail: &mut Transaction) -> Judgement {
        Box::pin(self.gather(visitor, mail)).await;
        let judgement = Judgement::new(&mail.ruling, &mail.facts);
        let (spf, iprev) = self.verification.judges_client();
        if !(judgement.reply.is_positive() && self.is_told(mail) && (spf || iprev)) {
            return judgement;
        }
        let results = Box::pin(self.client_results(visitor, mail, spf, iprev)).await;
        match self.verification.refuses_client(&results) {
            Some((check, reply)) => judgement.unless(reply, check),
            None => judgement,
        }
    }

    /// Finds out what can still change the decision; nothing where it is a refusal in any case and
    /// only its words would be others. What is not needed now cannot be needed
    /// because more is known.
    pub(super) async fn gather(&self, visitor: &mut Visitor, mail: &mut Transaction) {
        let ruling = mail.ruling.clone();
        let needs = |facts: &Facts| {
            let policy = &ruling.policy;
            let is_worth_it = policy.may_permit(facts) || !policy.decide(facts).reply.is_permanent();
            if is_worth_it { policy.needs(facts) } else { Needs::default() }
        };
        self.here(&needs(&mail.facts), mail);
        let needed = needs(&mail.facts);
        if needed.iprev || !needed.listed.is_empty() {
            Box::pin(self.of_client(&needed, visitor, mail)).await;
        }
        if needs(&mail.facts).spf {
            Box::pin(self.client_results(visitor, mail, true, false)).await;
        }
    }

    /// What is known on this host.
    fn here(&self, needs: &Needs, mail: &mut Transaction) {
        let facts = &mut mail.facts;
        if needs.known {
            facts.known = Finding::Is(lock(&self.triplets).see(facts, now()));
        }
        if !needs.rates.is_empty() {
            lock(&self.rates).fill(&mail.ruling.policy, facts, now());
        }
        facts.custom.extend(needs.custom.iter().map(|name| (name.clone(), Finding::Unknown)));
    }

    /// The name of the client's address, and who lists it: once for a connection.
    async fn of_client(&self, needs: &Needs, visitor: &mut Visitor, mail: &mut Transaction) {
        let Some(address) = mail.facts.client else {
            // It is on this host: nobody lists it, and it has no name.
            let (iprev, name) = (Finding::Is(results::Iprev::PermError), Finding::Is(None));
            (mail.facts.iprev, mail.facts.name) = (iprev, name);
            mail.facts.listed.extend(needs.listed.iter().map(|zone| (zone.clone(), Finding::Is(0))));
            return;
        };
        let mut asked = mail.asked;
        let name = async {
            if needs.iprev {
                self.reverse(address, visitor, &mut asked).await;
            }
        };
        let (listed, ()) = tokio::join!(self.verification.listed(&self.lists, &needs.listed, address), name);
        let (listed, count) = listed;
        asked.for_client += count;
        visitor.asked += asked.for_client - mail.asked.for_client;
        mail.asked = asked;
        listed.alarms.iter().for_each(|alarm| self.audit.trouble(alarm));
        visitor.facts.listed.extend(listed.scores.iter().cloned());
        mail.facts.listed.extend(listed.scores);
        if needs.iprev {
            let results = results_of(visitor);
            tell_client(&results, &mut visitor.facts);
            tell_client(&results, &mut mail.facts);
        }
    }

    async fn reverse(&self, address: IpAddr, visitor: &mut Visitor, asked: &mut crate::facts::Asked) {
        if visitor.reverse.is_none() {
            visitor.reverse = Some((address, self.verification.reverse_name(address, asked).await));
        }
    }

    /// SPF of the sender, once for a transaction or for several of one sender; and the name of
    /// the client's address.
    pub(super) async fn client_results(
        &self,
        visitor: &mut Visitor,
        mail: &mut Transaction,
        spf: bool,
        iprev: bool,
    ) -> ClientResults {
        let Some(address) = mail.facts.client else {
            if spf {
                mail.facts.spf = Finding::Is(results::Spf::None);
            }
            return ClientResults::default();
        };
        let before = mail.asked;
        if iprev {
            let mut asked = mail.asked;
            self.reverse(address, visitor, &mut asked).await;
            mail.asked = asked;
        }
        if spf && mail.spf.is_none() {
            let sender = mail.facts.sender.as_ref().and_then(|sender| sender.mailbox());
            let claims = Claims {
                address,
                hello: mail.facts.hello.as_ref().map_or("", Hello::as_str).to_owned(),
                sender: sender.map(ToString::to_string).unwrap_or_default(),
            };
            let kept = visitor.spf.as_ref().filter(|(known, _)| *known == claims);
            let results = match kept {
                Some((_, results)) => results.clone(),
                None => {
                    let results =
                        Box::pin(self.verification.check_spf(&claims, &mail.ruling.asks, &mut mail.asked)).await;
                    visitor.spf = Some((claims, results.clone()));
                    results
                }
            };
            mail.spf = Some(results);
        }
        visitor.asked += (mail.asked.for_client - before.for_client) + (mail.asked.for_message - before.for_message);
        let mut all = mail.spf.clone().unwrap_or_default();
        all.iprev = visitor.reverse.clone().filter(|_| iprev);
        all.address = Some(address);
        tell_client(&all, &mut mail.facts);
        all
    }
}

/// What is known of the client itself.
fn results_of(visitor: &Visitor) -> ClientResults {
    let mut results = ClientResults::default();
    results.iprev = visitor.reverse.clone();
    results
}
