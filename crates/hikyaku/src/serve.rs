//! Server conversations: the fold over the steps of `hikyaku_session::server`.

use std::{
    future::{Future, ready},
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use hikyaku_session::{
    sasl::{Answer, Question},
    server::{Config, Limit, Receive, Session, Stage, Step, Verdicts, start},
};
use hikyaku_wire::{Hello, Mail, Recipient, Reply};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
    time::{sleep_until, timeout, timeout_at},
};

use crate::{Gate, Listener, ServerTls, Stop, Stream, id, random};

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

    /// The machine has refused something by itself, which no other method was asked about: for
    /// the log, with the limit that was reached if that is why. By default nothing is done.
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

/// What the connections of a listener are served with.
#[derive(Clone, Debug)]
pub struct Service {
    /// What the machine is told.
    pub session: Arc<Config>,
    /// TLS, if `session` allows it.
    pub tls: Option<ServerTls>,
    /// What all listeners together allow.
    pub gate: Arc<Gate>,
}

/// How long running transactions may go on after a request to stop.
const GRACE: Duration = Duration::from_secs(60);
/// How long a peer may take to accept 64 KiB of replies.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long, and for how many octets, a connection is read after our last reply.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_OCTETS: usize = 1 << 20;
/// Connections of one listener at once: more wait to be accepted.
const CONNECTIONS: usize = 400;
/// Octets that one read takes at the most.
const READ: usize = 32 * 1024;

/// Accepts connections until it is asked to stop, each with a handler of its own, and ends when
/// the last of them has ended.
///
/// On a request to stop the listener is closed at once, idle connections get 421, and running
/// transactions have a minute to finish.
pub async fn serve<H: Handler>(listener: Listener, service: Service, handler: impl Fn() -> H + Send, mut stop: Stop) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.requested() => break,
            accepted = listener.accept(), if connections.len() < CONNECTIONS => accepted,
            // Keeps the set small; a panic has already been reported by the panic hook.
            Some(_) = connections.join_next() => continue,
        };
        let (stream, peer) = accepted;
        let first = start(service.session.clone(), peer, id(), Instant::now());
        let (mut handler, stop) = (handler(), stop.clone());
        // A connection that fails ends its own task only, and its handler is dropped with it.
        connections.spawn(async move { converse(stream, first, &mut handler, stop).await });
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if timeout(GRACE, drained).await.is_err() {
        connections.shutdown().await;
    }
}

/// One conversation from its first step to its end.
///
/// # Errors
/// The stream failed, or the peer did not take our replies in time. What belonged to a running
/// transaction has been dropped.
pub async fn converse<S: Stream, H: Handler>(io: S, first: Step, handler: &mut H, mut stop: Stop) -> io::Result<()> {
    let mut wire = Wire { io, input: BytesMut::new(), out: BytesMut::new() };
    let mut mail: Option<H::Mail> = None;
    let mut step = first;
    loop {
        let now = Instant::now();
        step = match step {
            Step::Receive(receive) => match receive.process(now, &mut wire.input, &mut wire.out) {
                Step::Receive(hungry) => wire.feed(hungry, &mut stop).await?,
                next => next,
            },
            Step::Flush(flush) => {
                wire.flush().await?;
                flush.flushed(Instant::now())
            }
            Step::Pause(pause) => {
                sleep_until(pause.until().into()).await;
                pause.resume(Instant::now())
            }
            Step::Decide(decide) => {
                let session = decide.session();
                let reply = match decide.stage() {
                    Stage::Connect => handler.connect(session).await,
                    Stage::Hello(name) => handler.hello(session, name).await,
                    Stage::Mail(command) => match handler.mail(session, command).await {
                        Ok(begun) => {
                            mail = Some(begun);
                            Reply::SENDER_OK_250
                        }
                        Err(reply) => reply,
                    },
                    Stage::Recipient(recipient) => match &mut mail {
                        Some(mail) => handler.recipient(session, mail, recipient).await,
                        None => Reply::BAD_SEQUENCE_503,
                    },
                };
                decide.reply(Instant::now(), &reply, &mut wire.out)
            }
            Step::Authenticate(asked) => {
                let answer = handler.authenticate(asked.session(), &asked.question()).await;
                asked.answer(Instant::now(), answer, random(), &mut wire.out)
            }
            Step::Upgrade(upgrade) => upgrade.failed(),
            Step::Data(data) => {
                let ready = match &mut mail {
                    Some(mail) => handler.data(data.session(), mail).await,
                    None => Err(Reply::BAD_SEQUENCE_503),
                };
                match ready {
                    Ok(()) => data.accept(Instant::now(), &mut wire.out),
                    Err(reply) => data.refuse(Instant::now(), &reply, &wire.input, &mut wire.out),
                }
            }
            Step::Body(body) => {
                let taken = match &mut mail {
                    Some(mail) => handler.body(mail, body.piece().clone()).await,
                    None => Err(Reply::BAD_SEQUENCE_503),
                };
                match taken {
                    Ok(()) => body.next(),
                    Err(reply) => body.refuse(reply),
                }
            }
            Step::Message(message) => {
                let verdicts = match mail.take() {
                    Some(mail) => handler.message(message.session(), mail).await,
                    None => Verdicts::One(Reply::BAD_SEQUENCE_503),
                };
                message.reply(Instant::now(), verdicts, &mut wire.out)
            }
            Step::Refused(refused) => {
                handler.refused(refused.session(), refused.reply(), refused.limit());
                refused.next()
            }
            Step::Ended(ended) => {
                mail = None;
                ended.next()
            }
            Step::Close => {
                wire.flush().await?;
                return wire.close().await;
            }
        };
    }
}

struct Wire<S> {
    io: S,
    input: BytesMut,
    out: BytesMut,
}

impl<S: Stream> Wire<S> {
    async fn flush(&mut self) -> io::Result<()> {
        if !self.out.is_empty() {
            timeout(WRITE_TIMEOUT, self.io.write_all_buf(&mut self.out)).await??;
            self.io.flush().await?;
        }
        Ok(())
    }

    /// Closes our side and reads what is still on its way, within bounds: unread input would make
    /// the kernel reset the connection, and the last reply would be lost with it.
    async fn close(&mut self) -> io::Result<()> {
        self.io.shutdown().await?;
        let linger = async {
            let mut left = LINGER_OCTETS;
            while left > 0 {
                self.input.clear();
                self.input.reserve(READ);
                match self.io.read_buf(&mut self.input).await {
                    Ok(read) if read > 0 => left = left.saturating_sub(read),
                    _ => break,
                }
            }
        };
        // A peer that goes on sending has had its time.
        let _ = timeout(LINGER, linger).await;
        Ok(())
    }

    /// Writes what is owed and reads more; says what the wait has come to.
    async fn feed(&mut self, receive: Receive, stop: &mut Stop) -> io::Result<Step> {
        self.flush().await?;
        self.input.reserve(READ);
        tokio::select! {
            biased;
            () = stop.requested(), if !receive.in_transaction() => Ok(receive.shut_down(&mut self.out)),
            read = timeout_at(receive.deadline().into(), self.io.read_buf(&mut self.input)) => Ok(match read {
                Err(_) => receive.timed_out(&mut self.out),
                Ok(Ok(0) | Err(_)) => receive.closed(),
                Ok(Ok(_)) => Step::Receive(receive),
            }),
        }
    }
}
