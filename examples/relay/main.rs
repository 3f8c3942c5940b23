//! A mail relay: the flow of a message through the hikyaku crates, from the client to the queue
//! and from the queue to wherever it goes next.

mod parts;

use std::{net::IpAddr, path::PathBuf, process::ExitCode, sync::Arc};

use bytes::Bytes;
use clap::Parser;
use hikyaku::{
    Config, Handler, Intake, Listener, Mode, Stopper, audit,
    message::Received,
    now,
    policy::Facts,
    queue::{DynDraft, Envelope, Schedule},
    serve,
    session::server::{Limit, Session, Verdicts},
    wire::{Body, Code, EnhancedCode, ForwardPath, Hello, Mail, Recipient, Reply},
};
use parts::Parts;
use tokio::signal::unix::{SignalKind, signal};

/// A mail relay that is closed unless its configuration says otherwise.
#[derive(Parser)]
#[command(name = "relay", version)]
struct Arguments {
    /// The configuration; without it the relay listens on 127.0.0.1:2525 for example.test.
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// Read the configuration, say what is wrong with it, and stop.
    #[arg(long)]
    check: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = match arguments.config.as_deref().map_or_else(|| Ok(Config::default()), Config::load) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    if arguments.check {
        println!("the configuration is good");
        return ExitCode::SUCCESS;
    }
    match run(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("relay: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Config) -> Result<(), parts::Problem> {
    let mut listeners = Vec::new();
    for listener in &config.listeners {
        let problem = |source| parts::Problem::Listen { address: listener.address.to_string(), source };
        listeners.push((Listener::bind(&listener.address).await.map_err(problem)?, listener.mode));
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let parts = Arc::new(Parts::open(config).await?);
    let (stopper, stop) = Stopper::new();
    let mut delivery = tokio::spawn(parts.delivery.clone().run(stop.clone()));
    parts.announce(&listeners);
    let mut servers = tokio::task::JoinSet::new();
    for (listener, mode) in listeners {
        let (parts, address) = (parts.clone(), listener.address().to_string());
        let service = parts.service(mode);
        let handler = move || Relay::new(parts.clone(), mode, address.clone());
        servers.spawn(serve(listener, service, handler, stop.clone()));
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = &mut delivery => return Err(parts::Problem::Delivery),
    }
    stopper.stop();
    while servers.join_next().await.is_some() {}
    // A panic of the delivery loop has been reported; what was not settled is tried again.
    let _ = delivery.await;
    parts.audit.record(None, None, audit::Stopped { reason: "asked to stop".to_owned() });
    Ok(())
}

/// One connection.
struct Relay {
    parts: Arc<Parts>,
    mode: Mode,
    listener: String,
    session: Option<String>,
    peer: Option<IpAddr>,
    hello: Option<Hello>,
    messages: u64,
    reason: String,
}

/// One transaction.
struct Transaction {
    mail: Mail,
    recipients: Vec<ForwardPath>,
    intake: Option<Intake<DynDraft>>,
}

impl Handler for Relay {
    type Mail = Transaction;

    async fn connect(&mut self, session: &Session) -> Reply {
        self.session = Some(session.id().to_owned());
        self.peer = session.peer().address;
        let peer = self.peer.map(|address| (address, session.peer().port).into());
        self.record(audit::Connection { listener: self.listener.clone(), peer, mode: self.mode.to_string() });
        Reply::OK_250
    }

    async fn hello(&mut self, _: &Session, name: &Hello) -> Reply {
        self.hello = Some(name.clone());
        Reply::OK_250
    }

    async fn mail(&mut self, _: &Session, mail: &Mail) -> Result<Transaction, Reply> {
        if self.mode == Mode::Submission && !self.parts.is_trusted(self.peer) {
            return Err(self.refuse(
                "mail",
                mail,
                "submission needs authentication",
                Reply::AUTHENTICATION_REQUIRED_530,
            ));
        }
        Ok(Transaction { mail: mail.clone(), recipients: Vec::new(), intake: None })
    }

    async fn recipient(&mut self, _: &Session, mail: &mut Transaction, recipient: &Recipient) -> Reply {
        let mut facts = Facts::new(self.peer, self.mode.listener());
        facts.hello = self.hello.clone();
        facts.sender = Some(mail.mail.from.clone());
        facts.recipient = Some(recipient.to.clone());
        let decision = self.parts.policy.decide(&facts);
        let (reply, rule) = match (decision.is_permitted(), self.parts.exists(&recipient.to)) {
            (true, false) => (Reply::UNKNOWN_USER_550, "local users"),
            (true, true) => (Reply::RECIPIENT_OK_250, decision.rule),
            (false, _) => (decision.reply, decision.rule),
        };
        self.decided("recipient", &mail.mail, Some(&recipient.to), rule, &reply);
        mail.recipients.extend(reply.is_positive().then(|| recipient.to.clone()));
        reply
    }

    async fn data(&mut self, _: &Session, mail: &mut Transaction) -> Result<(), Reply> {
        let intake = Intake::open(&self.parts.delivery.queue, mail.mail.params.size).await;
        mail.intake = Some(intake.map_err(|reply| self.refuse("data", &mail.mail, "queue", reply))?);
        Ok(())
    }

    async fn body(&mut self, mail: &mut Transaction, piece: Bytes) -> Result<(), Reply> {
        let Some(intake) = &mut mail.intake else { return Err(Reply::BAD_SEQUENCE_503) };
        intake.push(piece).await.map_err(|reply| self.refuse("message", &mail.mail, "intake", reply))
    }

    fn refused(&mut self, _: &Session, reply: &Reply, _: Option<Limit>) {
        self.refused_by_session(reply);
    }

    async fn message(&mut self, session: &Session, mail: Transaction) -> Verdicts {
        let Transaction { mail, recipients, intake } = mail;
        let Some(intake) = intake else { return Verdicts::One(Reply::BAD_SEQUENCE_503) };
        let (id, size, time) = (intake.id().to_string(), intake.size(), now());
        let mut envelope = Envelope::new(mail.from.clone(), time);
        envelope.body = mail.params.body.unwrap_or(Body::SevenBit);
        envelope.smtputf8 = mail.params.smtputf8;
        envelope.origin.address = self.peer;
        envelope.origin.hello = self.hello.as_ref().map(Hello::to_string);
        envelope.origin.session = Some(session.id().to_owned());
        envelope.origin.listener = Some(self.listener.clone());
        let trace = Received {
            helo: self.hello.as_ref().map_or("", Hello::as_str),
            peer: self.peer,
            by: &self.parts.delivery.hostname,
            with: session.with_protocol(),
            id: &id,
            recipient: if let [one] = &recipients[..] { one.mailbox() } else { None },
            time,
        };
        let units = self.parts.delivery.routes.units(&recipients, time, Schedule::default().expires(time));
        // Before the queue may begin to deliver it, so that the log tells its story in order.
        let event = audit::Queued { sender: mail.from.clone(), recipients: recipients.clone(), size };
        self.parts.audit.record(Some(session.id()), Some(&id), event);
        if let Err(reply) = intake.commit(envelope, trace, units).await {
            return Verdicts::One(self.refuse("message", &mail, "queue", reply));
        }
        self.messages += 1;
        Verdicts::One(Reply::new(Code::OK_250, EnhancedCode::new(2, 0, 0), format!("queued as {id}")))
    }
}
