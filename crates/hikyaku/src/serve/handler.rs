//! What an application decides.

use std::future::{Future, ready};

use bytes::Bytes;
use hikyaku_session::{
    sasl::{Answer, Question},
    server::{Limit, Session, Verdicts},
};
use hikyaku_wire::{Hello, Mail, Recipient, Reply};

/// What an application decides in a conversation. One value belongs to one connection.
///
/// Every method has a default, and every default refuses. A panic ends one connection.
pub trait Handler: Send + 'static {
    /// One transaction: it begins at a MAIL that is accepted and is dropped by whatever ends it.
    /// Nothing survives it.
    type Mail: Send;

    /// Whether the client may speak at all. The greeting itself is the machine's.
    fn connect(&mut self, session: &Session) -> impl Future<Output = Reply> + Send {
        let _ = session;
        ready(Reply::RELAY_DENIED_550)
    }

    /// HELO, EHLO or LHLO. The reply to an accepted one is the machine's.
    fn hello(&mut self, session: &Session, name: &Hello) -> impl Future<Output = Reply> + Send {
        let _ = (session, name);
        ready(Reply::RELAY_DENIED_550)
    }

    /// AUTH: what the exchange asks. Whoever answers does the same work for a user that does not
    /// exist. Nobody is known by default.
    fn authenticate(&mut self, session: &Session, question: &Question<'_>) -> impl Future<Output = Answer> + Send {
        let _ = (session, question);
        ready(Answer::Reject)
    }

    /// AUTH has succeeded: [`Session::user`] says who it is. For the log; by default nothing is done.
    fn authenticated(&mut self, session: &Session) {
        let _ = session;
    }

    /// MAIL: whether a transaction begins.
    fn mail(&mut self, session: &Session, mail: &Mail) -> impl Future<Output = Result<Self::Mail, Reply>> + Send {
        let _ = (session, mail);
        ready(Err(Reply::RELAY_DENIED_550))
    }

    /// RCPT: whether the transaction gets one more recipient.
    fn recipient(
        &mut self,
        session: &Session,
        mail: &mut Self::Mail,
        recipient: &Recipient,
    ) -> impl Future<Output = Reply> + Send {
        let _ = (session, mail, recipient);
        ready(Reply::RELAY_DENIED_550)
    }

    /// DATA: the last moment to say that there is no room.
    fn data(&mut self, session: &Session, mail: &mut Self::Mail) -> impl Future<Output = Result<(), Reply>> + Send {
        let _ = (session, mail);
        ready(Err(Reply::RELAY_DENIED_550))
    }

    /// A piece of the message, as it streams in. After an error the rest is dropped and the reply
    /// given at its end.
    fn body(&mut self, mail: &mut Self::Mail, piece: Bytes) -> impl Future<Output = Result<(), Reply>> + Send {
        let _ = (mail, piece);
        ready(Err(Reply::RELAY_DENIED_550))
    }

    /// Something was refused which no other method was asked about: for the log, with the limit
    /// that was reached if that is why. It may come before [`connect`](Self::connect), when
    /// there are too many connections or a handshake fails; then the peer does not always see
    /// the reply. By default nothing is done.
    fn refused(&mut self, session: &Session, reply: &Reply, limit: Option<Limit>) {
        let _ = (session, reply, limit);
    }

    /// The message is complete. A positive reply is a promise: it must not be given before the
    /// message is safe.
    fn message(&mut self, session: &Session, mail: Self::Mail) -> impl Future<Output = Verdicts> + Send {
        let _ = (session, mail);
        ready(Verdicts::One(Reply::RELAY_DENIED_550))
    }
}
