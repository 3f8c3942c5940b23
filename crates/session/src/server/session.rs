use std::sync::Arc;

use hikyaku_wire::{Hello, Mail};

use super::{Config, Peer, TlsMode};
use crate::{Protocol, Tls, sasl::Mechanism};

/// What is known of a running conversation.
#[derive(Debug)]
pub struct Session {
    pub(super) config: Arc<Config>,
    peer: Peer,
    id: Box<str>,
    pub(super) hello: Option<Hello>,
    pub(super) extended: bool,
    pub(super) tls: Option<Box<Tls>>,
    pub(super) user: Option<Box<str>>,
    pub(super) transaction: Option<Box<Transaction>>,
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
        self.tls.as_deref()
    }

    /// Who the peer has proved to be, by AUTH. Only TLS ends it: EHLO and RSET do not.
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
        let words = match (self.config.protocol, utf8, self.extended) {
            (Protocol::Lmtp, true, _) => ["UTF8LMTP", "UTF8LMTPA", "UTF8LMTPS", "UTF8LMTPSA"],
            (Protocol::Lmtp, false, _) => ["LMTP", "LMTPA", "LMTPS", "LMTPSA"],
            (Protocol::Smtp, true, _) => ["UTF8SMTP", "UTF8SMTPA", "UTF8SMTPS", "UTF8SMTPSA"],
            (Protocol::Smtp, false, true) => ["ESMTP", "ESMTPA", "ESMTPS", "ESMTPSA"],
            // After HELO there is no word for more.
            (Protocol::Smtp, false, false) => ["SMTP"; 4],
        };
        words[2 * usize::from(self.tls.is_some()) + usize::from(self.user.is_some())]
    }

    /// The mechanisms that this conversation has, in their order (RFC 4954 §3).
    pub(super) fn mechanisms(&self) -> impl Iterator<Item = Mechanism> {
        let tls = self.tls();
        self.config.auth.mechanisms.iter().copied().filter(move |mechanism| match mechanism {
            Mechanism::External => tls.is_some_and(|tls| tls.certificate.is_some()),
            Mechanism::ScramSha256Plus => tls.is_some_and(|tls| tls.exporter.is_some()),
            _ => tls.is_some(),
        })
    }

    /// Whether STARTTLS has to come before whatever leads to a message.
    pub(super) fn lacks_tls(&self) -> bool {
        self.config.tls == TlsMode::Required && self.tls.is_none()
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
    pub(super) fn new(mail: Mail) -> Box<Self> {
        Box::new(Self { mail, accepted: 0, refused: 0 })
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
