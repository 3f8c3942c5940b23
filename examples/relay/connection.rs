//! One connection, and what the audit log says of it.

use std::{net::IpAddr, sync::Arc};

use hikyaku::{
    Judgement, Mode, Outcome, Route, SpkiPin, Visitor,
    audit::{self, Event},
    message::Received,
    queue::{Envelope, Origin},
    session::{
        Protocol,
        sasl::{Answer, Question},
        server::{Limit, Session},
    },
    wire::{Code, ForwardPath, Hello, Mail, Reply, Timestamp},
};

use crate::parts::Parts;

/// One connection.
pub(crate) struct Relay {
    pub(crate) parts: Arc<Parts>,
    pub(crate) mode: Mode,
    visitor: Visitor,
    peer: Option<IpAddr>,
    messages: u64,
    listener: String,
    session: Option<String>,
    hello: Option<String>,
    user: Option<String>,
    login: Option<Login>,
    is_tls: bool,
    reason: String,
}

/// A login that has begun.
struct Login {
    user: Option<String>,
    proof: &'static str,
}

impl Relay {
    pub(crate) fn new(parts: Arc<Parts>, mode: Mode, listener: String) -> Self {
        // Who it is, is known with the first word.
        let visitor = parts.screening.visitor(None, mode.listener());
        Self {
            parts,
            mode,
            visitor,
            peer: None,
            messages: 0,
            listener,
            session: None,
            hello: None,
            user: None,
            login: None,
            is_tls: false,
            reason: "end of the conversation".to_owned(),
        }
    }

    /// A client is there.
    pub(crate) fn connected(&mut self, session: &Session) {
        if self.session.is_none() {
            self.session = Some(session.id().to_owned());
            self.peer = session.peer().address;
            self.visitor = self.parts.screening.visitor(self.peer, self.mode.listener());
            let peer = self.peer.map(|address| (address, session.peer().port).into());
            self.record(audit::Connection { listener: self.listener.clone(), peer, mode: self.mode.to_string() });
        }
        self.visitor.learn(session);
        if let Some(tls) = session.tls().filter(|_| !self.is_tls) {
            self.is_tls = true;
            let certificate = tls.certificate.as_ref();
            self.record(audit::Tls {
                version: tls.version.to_string(),
                cipher: tls.cipher.to_string(),
                server_name: tls.server_name.as_deref().map(str::to_owned),
                spki: certificate.map(|certificate| SpkiPin(certificate.spki).to_string()),
                names: certificate.iter().flat_map(|c| &c.names).map(|name| name.to_string()).collect(),
            });
        }
    }

    /// It has said what it calls itself.
    pub(crate) fn greeted(&mut self, session: &Session, name: &Hello) {
        self.connected(session);
        self.hello = Some(name.to_string());
        self.visitor.is_called(Some(name));
    }

    /// Whether it may speak, or call itself so.
    pub(crate) fn greets(&self) -> Reply {
        let judgement = self.parts.screening.greets(&self.visitor);
        match judgement.reply.is_positive() {
            true => judgement.reply,
            false => self.judged(None, None, &judgement),
        }
    }

    /// Who decides, and what is known of the client now.
    pub(crate) fn visitor(&mut self, session: &Session) -> (&Parts, &mut Visitor) {
        self.visitor.learn(session);
        (&self.parts, &mut self.visitor)
    }

    /// A message was accepted.
    pub(crate) fn taken(&mut self) {
        self.messages += 1;
        self.visitor.accepted();
    }

    /// It has said who it is, and the exchange goes on with this answer.
    pub(crate) fn answered(&mut self, question: &Question<'_>, answer: &Answer) {
        let proof = match question {
            Question::Password { .. } => "password",
            Question::ScramKeys { .. } => "scram",
            Question::Certificate { .. } => "certificate",
            _ => "token",
        };
        let user = question.user().map(str::to_owned);
        match answer {
            Answer::Refuse(reply) => {
                self.record(audit::Authentication { user, proof: proof.to_owned(), reply: reply.clone() });
            }
            _ => self.login = Some(Login { user, proof }),
        }
    }

    /// It has proved who it is.
    pub(crate) fn logged_in(&mut self, session: &Session) {
        self.user = session.user().map(str::to_owned);
        if let Some(login) = self.login.take() {
            let (proof, user) = (login.proof.to_owned(), self.user.clone());
            self.record(audit::Authentication { user, proof, reply: Reply::AUTHENTICATED_235 });
        }
    }

    /// What travels with a message, and where it comes from.
    pub(crate) fn envelope(&self, mail: &Mail, time: Timestamp) -> Envelope {
        let mut envelope = Envelope::of(mail, time);
        let mut origin = Origin::default();
        origin.address = self.peer;
        origin.hello = self.hello.clone();
        origin.user = self.user.clone();
        origin.session = self.session.clone();
        origin.listener = Some(self.listener.clone());
        origin.tls = self.is_tls;
        envelope.origin = origin;
        envelope
    }

    /// The field that says which way a message came.
    pub(crate) fn trace<'a>(
        &'a self,
        session: &'a Session,
        id: &'a str,
        recipients: &'a [ForwardPath],
        time: Timestamp,
    ) -> Received<'a> {
        Received {
            helo: session.hello().map_or("", Hello::as_str),
            peer: self.peer,
            by: &self.parts.delivery.hostname,
            with: session.with_protocol(),
            id,
            recipient: if let [one] = recipients { one.mailbox() } else { None },
            time,
        }
    }

    /// Writes down a fact of this connection.
    pub(crate) fn record(&self, event: impl Into<Event>) {
        self.parts.audit.record(self.session.as_deref(), None, event);
    }

    /// Writes down that a limit was reached, if one was.
    pub(crate) fn limited(&self, name: Option<&str>) {
        if let Some(name) = name {
            self.record(audit::Limit { name: name.to_owned() });
        }
    }

    /// Writes down what was decided, and gives the reply.
    pub(crate) fn judged(&self, mail: Option<&Mail>, recipient: Option<&ForwardPath>, judgement: &Judgement) -> Reply {
        self.limited(judgement.limit);
        self.record(self.decision(mail, recipient, judgement.event()));
        judgement.reply.clone()
    }

    /// Writes down what was found out about a message and decided on it; who gets it, which way.
    pub(crate) fn decided(
        &self,
        id: &str,
        mail: &Mail,
        outcome: &Outcome,
        protocol: Protocol,
    ) -> Vec<(ForwardPath, Option<Route>)> {
        let record = |event: Event| self.parts.audit.record(self.session.as_deref(), Some(id), event);
        outcome.found.iter().for_each(|found| record(found.event().into()));
        for (to, judgement) in outcome.told() {
            record(self.decision(Some(mail), Some(to), judgement.event()).into());
        }
        outcome.recipients(protocol)
    }

    /// Writes down a refusal that concerns the whole transaction, and gives it back.
    pub(crate) fn refuse(&self, stage: &str, mail: &Mail, rule: &str, reply: Reply) -> Reply {
        self.record(self.decision(Some(mail), None, outside(stage, rule, &reply)));
        reply
    }

    /// Writes down what has been refused without asking.
    pub(crate) fn refused_by_session(&mut self, session: &Session, reply: &Reply, limit: Option<Limit>) {
        self.connected(session);
        if reply.code() == Code::UNAVAILABLE_421 {
            self.reason = reply.to_string();
        }
        self.limited(limit.map(Limit::name));
        match self.login.take() {
            Some(Login { user, proof }) => {
                self.record(audit::Authentication { user, proof: proof.to_owned(), reply: reply.clone() });
            }
            None => self.record(self.decision(None, None, outside("session", "protocol", reply))),
        }
    }

    /// The decision with what is known of this connection.
    fn decision(
        &self,
        mail: Option<&Mail>,
        recipient: Option<&ForwardPath>,
        decision: audit::Decision,
    ) -> audit::Decision {
        audit::Decision {
            peer: self.peer,
            hello: self.hello.clone(),
            user: self.user.clone(),
            sender: mail.map(|mail| mail.from.clone()),
            recipient: recipient.cloned(),
            ..decision
        }
    }
}

/// A decision that no policy has made.
fn outside(stage: &str, rule: &str, reply: &Reply) -> audit::Decision {
    audit::Decision {
        stage: stage.to_owned(),
        peer: None,
        hello: None,
        user: None,
        sender: None,
        recipient: None,
        rule: rule.to_owned(),
        line: None,
        reply: reply.clone(),
        until: None,
        facts: Vec::new(),
        shadows: Vec::new(),
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if self.session.is_some() {
            self.record(audit::Closed { reason: self.reason.clone(), messages: self.messages });
        }
    }
}
