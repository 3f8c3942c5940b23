use std::sync::Arc;

use hikyaku_wire::{Hello, Mail};

use super::{Config, Peer};
use crate::{Protocol, Tls};

/// What is known of a running conversation.
#[derive(Debug)]
pub struct Session {
    pub(super) config: Arc<Config>,
    peer: Peer,
    id: Box<str>,
    pub(super) hello: Option<Hello>,
    pub(super) extended: bool,
    pub(super) tls: Option<Tls>,
    pub(super) user: Option<Box<str>>,
    pub(super) transaction: Option<Transaction>,
}

impl Session {
    pub(super) fn new(config: Arc<Config>, peer: Peer, id: Box<str>) -> Self {
        Self { config, peer, id, hello: None, extended: false, tls: None, user: None, transaction: None }
    }

    /// The name of this connection; it ends each refusal.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Who is at the other end.
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// The argument of the last accepted HELO, EHLO or LHLO.
    pub fn hello(&self) -> Option<&Hello> {
        self.hello.as_ref()
    }

    /// Whether the peer introduced itself with EHLO or LHLO.
    pub fn extended(&self) -> bool {
        self.extended
    }

    /// SMTP or LMTP.
    pub fn protocol(&self) -> Protocol {
        self.config.protocol
    }

    /// What the TLS handshake has come to, if the conversation is encrypted.
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// Who the peer has proved to be, by AUTH.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The MAIL command of the running transaction.
    pub fn mail(&self) -> Option<&Mail> {
        self.transaction.as_ref().map(|transaction| &transaction.mail)
    }

    /// How many recipients the running transaction has.
    pub fn recipients(&self) -> usize {
        self.transaction.as_ref().map_or(0, |transaction| transaction.accepted)
    }

    /// The word after `with` in a `Received` field (RFC 3848, RFC 6531 §3.7.3).
    pub fn with_protocol(&self) -> &'static str {
        let utf8 = self.mail().is_some_and(|mail| mail.params.smtputf8);
        match (self.config.protocol, utf8, self.extended) {
            (Protocol::Lmtp, true, _) => "UTF8LMTP",
            (Protocol::Lmtp, false, _) => "LMTP",
            (Protocol::Smtp, true, _) => "UTF8SMTP",
            (Protocol::Smtp, false, true) => "ESMTP",
            (Protocol::Smtp, false, false) => "SMTP",
        }
    }
}

/// What a running transaction is; it cannot exist without its MAIL.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) mail: Mail,
    /// Recipients the application took.
    pub(super) accepted: usize,
    /// RCPT commands that were refused, by the application or for their number.
    pub(super) refused: usize,
}

impl Transaction {
    pub(super) fn new(mail: Mail) -> Self {
        Self { mail, accepted: 0, refused: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_behind_with() {
        for (protocol, extended, params, word) in [
            (Protocol::Smtp, false, "", "SMTP"),
            (Protocol::Smtp, true, "", "ESMTP"),
            (Protocol::Smtp, true, " SMTPUTF8", "UTF8SMTP"),
            (Protocol::Lmtp, true, "", "LMTP"),
            (Protocol::Lmtp, true, " SMTPUTF8", "UTF8LMTP"),
        ] {
            let config = Config { protocol, ..Config::new("mx.example.test") };
            let mut session = Session::new(Arc::new(config), Peer::default(), "c1".into());
            session.extended = extended;
            let line = format!("MAIL FROM:<a@b.test>{params}");
            let Ok(hikyaku_wire::Command::Mail(mail)) = hikyaku_wire::Command::parse(line.as_bytes()) else { panic!() };
            let mail = mail.into_owned();
            session.transaction = Some(Transaction::new(mail));
            assert_eq!(session.with_protocol(), word);
        }
    }
}
