//! A mail relay: the flow of a message through the hikyaku crates, from the client to the queue
//! and from the queue to wherever it goes next.

mod arguments;
mod certificate;
mod connection;
mod parts;
mod user;

use std::{process::ExitCode, sync::Arc};

use bytes::Bytes;
use clap::Parser;
use connection::Relay;
use hikyaku::{
    Arrived, Config, Handler, Intake, Listener, Stopper, audit, now,
    queue::{DynDraft, Schedule},
    serve,
    session::{
        sasl::{Answer, Question},
        server::{Limit, Session, Verdicts},
    },
    wire::{Code, EnhancedCode, ForwardPath, Hello, Mail, Recipient, Reply},
};
use parts::{Parts, Problem};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    let done = match arguments::Arguments::parse().config() {
        Ok(Some(config)) => run(config).await,
        Ok(None) => Ok(()),
        Err(problem) => Err(problem),
    };
    done.map_or_else(|problem| problem.report(), |()| ExitCode::SUCCESS)
}

async fn run(config: Config) -> Result<(), Problem> {
    hikyaku::raise_open_files()?;
    let mut listeners = Vec::new();
    for listener in &config.listeners {
        let problem = |source| Problem::Listen { address: listener.address.to_string(), source };
        listeners.push((Listener::bind(&listener.address).await.map_err(problem)?, listener.clone()));
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let parts = Arc::new(Parts::open(config).await?);
    let (stopper, stop) = Stopper::new();
    let mut delivery = tokio::spawn(parts.delivery.clone().run(stop.clone()));
    let mut servers = tokio::task::JoinSet::new();
    parts.announce(&listeners);
    for (listener, config) in listeners {
        let (parts, address) = (parts.clone(), listener.address().to_string());
        let service = parts.service(&config)?;
        let handler = move || Relay::new(parts.clone(), config.mode, address.clone());
        servers.spawn(serve(listener, service, handler, stop.clone()));
    }
    loop {
        tokio::select! {
            _ = hangup.recv() => parts.reload(),
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = &mut delivery => return Err(Problem::Delivery),
        }
    }
    stopper.stop();
    while servers.join_next().await.is_some() {}
    // A panic of the delivery loop has been reported; what was not settled is tried again.
    let _ = delivery.await;
    parts.audit.record(None, None, audit::Stopped { reason: "asked to stop".to_owned() });
    Ok(())
}

/// One transaction.
struct Transaction {
    mail: Mail,
    /// What is known of a client that is another server.
    arrived: Option<Arrived>,
    recipients: Vec<ForwardPath>,
    intake: Option<Intake<DynDraft>>,
}

impl Handler for Relay {
    type Mail = Transaction;

    async fn connect(&mut self, session: &Session) -> Reply {
        self.connected(session);
        Reply::OK_250
    }

    async fn hello(&mut self, session: &Session, name: &Hello) -> Reply {
        self.greeted(session, name);
        Reply::OK_250
    }

    async fn authenticate(&mut self, _: &Session, question: &Question<'_>) -> Answer {
        let answer = match &self.parts.accounts {
            Some(accounts) => accounts.answer(question).await,
            None => Answer::Reject,
        };
        self.answered(question, &answer);
        answer
    }

    fn authenticated(&mut self, session: &Session) {
        self.logged_in(session);
    }

    async fn mail(&mut self, session: &Session, mail: &Mail) -> Result<Transaction, Reply> {
        let refused = match (session.user(), mail.from.mailbox()) {
            (None, _) if self.mode.is_submission() && !self.parts.is_trusted(self.peer) => {
                Some(("submission needs authentication", Reply::AUTHENTICATION_REQUIRED_530))
            }
            (Some(user), Some(sender)) if !self.parts.owns(user, sender) => {
                Some(("senders of the user", Reply::SENDER_NOT_OWNED_553))
            }
            _ => None,
        };
        if let Some((rule, reply)) = refused {
            return Err(self.refuse("mail", mail, rule, reply));
        }
        let arrived = self.arrived(session, mail).await;
        Ok(Transaction { mail: mail.clone(), arrived, recipients: Vec::new(), intake: None })
    }

    async fn recipient(&mut self, session: &Session, mail: &mut Transaction, recipient: &Recipient) -> Reply {
        let decision = self.parts.policy.decide(&self.facts(session, mail, recipient));
        let refusal = mail.arrived.as_ref().and_then(Arrived::refusal);
        let (reply, rule) = match (decision.is_permitted(), self.parts.exists(&recipient.to), refusal) {
            (false, ..) => (decision.reply, decision.rule),
            (true, false, _) => (Reply::UNKNOWN_USER_550, "local users"),
            (true, true, Some((check, reply))) => (reply.clone(), *check),
            (true, true, None) => (Reply::RECIPIENT_OK_250, decision.rule),
        };
        self.decided("recipient", &mail.mail, Some(&recipient.to), rule, &reply);
        mail.recipients.extend(reply.is_positive().then(|| recipient.to.clone()));
        reply
    }

    async fn data(&mut self, session: &Session, mail: &mut Transaction) -> Result<(), Reply> {
        let intake = self.parts.intake(mail.mail.params.size).await;
        let mut intake = intake.map_err(|reply| self.refuse("data", &mail.mail, "queue", reply))?;
        if self.mode.is_submission() {
            intake.submitted(Parts::submission(&self.parts, session.user()));
            intake.signed(&self.parts.keys);
        }
        intake.verified(mail.arrived.take());
        mail.intake = Some(intake);
        Ok(())
    }

    async fn body(&mut self, mail: &mut Transaction, piece: Bytes) -> Result<(), Reply> {
        let Some(intake) = &mut mail.intake else { return Err(Reply::BAD_SEQUENCE_503) };
        intake.push(piece).await.map_err(|reply| {
            self.limited(intake.limit());
            self.refuse("message", &mail.mail, "intake", reply)
        })
    }

    fn refused(&mut self, session: &Session, reply: &Reply, limit: Option<Limit>) {
        self.refused_by_session(session, reply, limit);
    }

    async fn message(&mut self, session: &Session, mail: Transaction) -> Verdicts {
        let Transaction { mail, recipients, intake, .. } = mail;
        let Some(mut intake) = intake else { return Verdicts::One(Reply::BAD_SEQUENCE_503) };
        if let Err(reply) = intake.finish() {
            return Verdicts::One(self.refuse("message", &mail, "intake", reply));
        }
        let (id, size) = (intake.id().to_string(), intake.size());
        if let Some(found) = self.parts.verification.message(&mut intake).await {
            self.parts.audit.record(Some(session.id()), Some(&id), found.event());
            if let Some((check, reply)) = found.refusal {
                return Verdicts::One(self.refuse("message", &mail, check, reply));
            }
        }
        let time = now();
        let units = self.parts.delivery.routes.units(&recipients, time, Schedule::default().expires(time));
        // Before the queue may begin to deliver it, so that the log tells its story in order.
        let event = audit::Queued { sender: mail.from.clone(), recipients: recipients.clone(), size };
        self.parts.audit.record(Some(session.id()), Some(&id), event);
        if let Err(reply) =
            intake.commit(self.envelope(&mail, time), self.trace(session, &id, &recipients, time), units).await
        {
            return Verdicts::One(self.refuse("message", &mail, "queue", reply));
        }
        self.messages += 1;
        Verdicts::One(Reply::new(Code::OK_250, EnhancedCode::new(2, 0, 0), format!("queued as {id}")))
    }
}
