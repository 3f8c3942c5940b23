//! A mail relay: the flow of a message through the hikyaku crates, from the client to the queue
//! and from the queue to wherever it goes next.

mod arguments;
mod certificate;
mod connection;
mod parts;
mod queue;
mod user;

use std::{collections::HashMap, process::ExitCode, sync::Arc, time::Duration};

use arguments::Asked;
use bytes::Bytes;
use clap::Parser;
use connection::Relay;
use hikyaku::{
    Config, Handler, Intake, Listener, Stopper, Transaction, audit, now,
    queue::{DynDraft, NewRcpt, Schedule},
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
    let done = match arguments::Arguments::parse().asked().await {
        Ok(Asked::Relay(config)) => run(config).await,
        Ok(Asked::Done(code)) => return code,
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
    if let Some(control) = parts.control()? {
        servers.spawn(control.serve(parts.delivery.queue.clone().into(), parts.audit.clone(), stop.clone()));
    }
    parts.announce(&listeners);
    for (listener, config) in listeners {
        let (parts, address) = (parts.clone(), listener.address().to_string());
        let service = parts.service(&config)?;
        let handler = move || Relay::new(parts.clone(), config.mode, address.clone());
        servers.spawn(serve(listener, service, handler, stop.clone()));
    }
    let mut tick = tokio::time::interval(KEEP);
    loop {
        tokio::select! {
            _ = hangup.recv() => parts.reload(),
            _ = tick.tick() => parts.keep(),
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = &mut delivery => return Err(Problem::Delivery),
        }
    }
    stopper.stop();
    while servers.join_next().await.is_some() {}
    // A panic of the delivery loop has been reported; what was not settled is tried again.
    let _ = delivery.await;
    parts.keep();
    parts.audit.record(None, None, audit::Stopped { reason: "asked to stop".to_owned() });
    Ok(())
}

/// How often what is counted is written down.
const KEEP: Duration = Duration::from_secs(300);

/// One message on its way in.
struct Incoming {
    mail: Mail,
    transaction: Transaction,
    rcpts: HashMap<ForwardPath, NewRcpt>,
    intake: Option<Intake<DynDraft>>,
}

impl Handler for Relay {
    type Mail = Incoming;

    async fn connect(&mut self, session: &Session) -> Reply {
        self.connected(session);
        self.greets()
    }

    async fn hello(&mut self, session: &Session, name: &Hello) -> Reply {
        self.greeted(session, name);
        self.greets()
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

    async fn mail(&mut self, session: &Session, mail: &Mail) -> Result<Incoming, Reply> {
        let visitor = self.visitor(session);
        match visitor.0.screening.mail(visitor.1, &mail.from) {
            Ok(transaction) => Ok(Incoming { mail: mail.clone(), transaction, rcpts: HashMap::new(), intake: None }),
            Err(judgement) => Err(self.judged(Some(mail), None, &judgement)),
        }
    }

    async fn recipient(&mut self, session: &Session, mail: &mut Incoming, recipient: &Recipient) -> Reply {
        let visitor = self.visitor(session);
        let judgement = visitor.0.screening.recipient(visitor.1, &mut mail.transaction, &recipient.to).await;
        if judgement.reply.is_positive() {
            // Who is named twice is served once, as it was asked for first.
            mail.rcpts.entry(recipient.to.clone()).or_insert_with(|| recipient.into());
        }
        self.judged(Some(&mail.mail), Some(&recipient.to), &judgement)
    }

    async fn data(&mut self, session: &Session, mail: &mut Incoming) -> Result<(), Reply> {
        let intake = self.parts.intake(mail.mail.params.size).await;
        let mut intake = intake.map_err(|reply| self.refuse("data", &mail.mail, "queue", reply))?;
        if self.mode.is_submission() {
            intake.submitted(Parts::submission(&self.parts, session.user()));
            intake.signed(&self.parts.keys);
        }
        intake.verified(self.parts.screening.arriving(&mail.transaction));
        mail.intake = Some(intake);
        Ok(())
    }

    async fn body(&mut self, mail: &mut Incoming, piece: Bytes) -> Result<(), Reply> {
        let Some(intake) = &mut mail.intake else { return Err(Reply::BAD_SEQUENCE_503) };
        intake.push(piece).await.map_err(|reply| {
            self.limited(intake.limit());
            self.refuse("message", &mail.mail, "intake", reply)
        })
    }

    fn refused(&mut self, session: &Session, reply: &Reply, limit: Option<Limit>) {
        self.refused_by_session(session, reply, limit);
    }

    async fn message(&mut self, session: &Session, mail: Incoming) -> Verdicts {
        let Incoming { mail, mut transaction, mut rcpts, intake } = mail;
        let Some(mut intake) = intake else { return Verdicts::One(Reply::BAD_SEQUENCE_503) };
        if let Err(reply) = intake.finish() {
            return Verdicts::One(self.refuse("message", &mail, "intake", reply));
        }
        let (id, size) = (intake.id().to_string(), intake.size());
        let visitor = self.visitor(session);
        let outcome = visitor.0.screening.message(visitor.1, &mut transaction, &mut intake).await;
        let recipients = self.decided(&id, &mail, &outcome, session.protocol());
        let queued = Reply::new(Code::OK_250, EnhancedCode::new(2, 0, 0), format!("queued as {id}"));
        if recipients.is_empty() {
            return outcome.verdicts(&queued);
        }
        let time = now();
        let mut rcpt = |to: &ForwardPath| rcpts.remove(to).unwrap_or_else(|| NewRcpt::new(to.clone()));
        let routed = recipients.iter().map(|(to, route)| (rcpt(to), route.as_ref()));
        let units = transaction.ruling().routes().units(routed, time, Schedule::default().expires(time));
        let recipients: Vec<_> = recipients.into_iter().map(|(to, _)| to).collect();
        // Before the queue may begin to deliver it, so that the log tells its story in order.
        let event = audit::Queued { sender: mail.from.clone(), recipients: recipients.clone(), size };
        self.parts.audit.record(Some(session.id()), Some(&id), event);
        if let Err(reply) =
            intake.commit(self.envelope(&mail, time), self.trace(session, &id, &recipients, time), units).await
        {
            return Verdicts::One(self.refuse("message", &mail, "queue", reply));
        }
        self.taken();
        outcome.verdicts(&queued)
    }
}
