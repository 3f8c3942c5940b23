//! Client conversations: the fold over the steps of `hikyaku_session::client`.

use std::{
    fmt, io,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use hikyaku_queue::BodyReader;
use hikyaku_session::{
    Tls,
    client::{Body, Config, Envelope, Outcome, Ready, Receive, Settled, Step, Upgrade, start},
    sasl::client::Credentials,
};
use hikyaku_wire::{Code, EnhancedCode, Reply};
use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    net::{TcpStream, UnixStream},
    time::{sleep_until, timeout, timeout_at},
};

#[cfg(test)]
pub(crate) use self::tls::AnyServer;
pub use self::tls::ClientTls;
use crate::{Stream, random};

mod tls;

/// Where to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A TCP port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A connection to a server that has greeted us and waits for a message.
pub struct Connection {
    wire: Wire,
    ready: Ready,
}

struct Wire {
    io: Box<dyn Stream>,
    input: BytesMut,
    out: BytesMut,
    /// The stream may hold what it took from `out`.
    unflushed: bool,
}

/// Why there is no conversation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// There is no connection, or the server does not want us.
    #[error("{}", .0.reply)]
    Refused(Outcome),
    /// The TLS handshake has failed (454 4.7.5). The connection is closed, and no mail and no
    /// secret was sent. Who wants TLS only where it can be had may open another one without it.
    #[error("{}", .0.reply)]
    Handshake(Outcome),
}

impl OpenError {
    /// What became of it.
    pub fn into_outcome(self) -> Outcome {
        let (Self::Refused(outcome) | Self::Handshake(outcome)) = self;
        outcome
    }
}

impl From<Outcome> for OpenError {
    fn from(outcome: Outcome) -> Self {
        Self::Refused(outcome)
    }
}

/// Octets of a message in memory at a time.
const PIECE: usize = 64 * 1024;
/// Octets that one read takes at the most.
const READ: usize = 8 * 1024;

impl Connection {
    /// Connects, does the TLS handshake where `config` says so, and says hello.
    ///
    /// How the handshake is done `tls` says; without it every handshake fails, and nothing is sent
    /// in plain text instead.
    ///
    /// # Errors
    /// What became of it: ours (4.4.1) if there is no connection, the server's if it does not
    /// want us, or [`OpenError::Handshake`].
    pub async fn open(
        target: &Target,
        config: Arc<Config>,
        tls: Option<&ClientTls>,
        connect_timeout: Duration,
    ) -> Result<Self, OpenError> {
        let io = match timeout(connect_timeout, connect(target)).await {
            Ok(Ok(io)) => io,
            Ok(Err(error)) => return Err(no_connection(format!("cannot connect to {target}: {error}")).into()),
            Err(_) => return Err(no_connection(format!("cannot connect to {target}: it does not answer")).into()),
        };
        let mut wire = Wire::new(io);
        let mut step = wire.run(start(config, Instant::now())).await;
        if let Step::Upgrade(upgrade) = step {
            (wire, step) = match wire.encrypt(&upgrade, tls).await {
                Ok((mut wire, tls)) => {
                    let step = upgrade.established(Instant::now(), tls, &wire.input, &mut wire.out);
                    let step = wire.run(step).await;
                    (wire, step)
                }
                Err(reply) => {
                    return Err(match upgrade.failed(reply) {
                        Step::Close(close) => OpenError::Handshake(close.outcome().clone()),
                        _ => no_hello().into(),
                    });
                }
            };
        }
        Ok(Self::after(wire, step).await?)
    }

    /// Proves who we are (RFC 4954). Passwords and tokens are sent under TLS only, and only to a
    /// server whose certificate was verified: else whoever sits between would have them.
    ///
    /// # Errors
    /// Ours (4.7.x) if the server offers nothing that fits, or has not proved who it is; its own
    /// reply if it does not believe us. It says something of the credentials, and nothing of a
    /// message: whoever has mail to send keeps it and tries again.
    pub async fn authenticate(self, credentials: &Credentials) -> Result<Self, Outcome> {
        let Self { mut wire, ready } = self;
        let now = Instant::now();
        match ready.authenticate(credentials, random(), now, &mut wire.input, &mut wire.out) {
            Ok(step) => {
                let step = wire.run(step).await;
                Self::after(wire, step).await
            }
            Err(unsupported) => {
                Self { wire, ready: *unsupported.ready }.quit().await;
                Err(Outcome::ours(unsupported.reply))
            }
        }
    }

    /// What the TLS handshake has come to; `None` without TLS.
    pub fn tls(&self) -> Option<&Tls> {
        self.ready.tls()
    }

    async fn after(mut wire: Wire, step: Step) -> Result<Self, Outcome> {
        match step {
            Step::Ready(ready) => Ok(Self { wire, ready }),
            Step::Close(close) => {
                let outcome = close.outcome().clone();
                wire.close().await;
                Err(outcome)
            }
            Step::Receive(_) | Step::Upgrade(_) | Step::Body(_) | Step::Done(_) => Err(no_hello()),
        }
    }

    /// Sends one message and says what became of each recipient, in the order of the envelope.
    /// The connection comes back if it can be used again.
    pub async fn send<B: BodyReader>(self, envelope: &Envelope, body: &B) -> (Vec<Settled>, Option<Self>) {
        self.send_if(envelope, body, &|| true).await
    }

    /// The same, but when all of the message is sent, `may_end` is asked: with `false` the
    /// conversation is cut before the final dot, and nothing was handed over.
    pub async fn send_if<B: BodyReader>(
        self,
        envelope: &Envelope,
        body: &B,
        may_end: &(dyn Fn() -> bool + Sync),
    ) -> (Vec<Settled>, Option<Self>) {
        let Self { mut wire, ready } = self;
        let size = body.len() + body.prepend().len() as u64;
        let first = match ready.send(envelope, size, Instant::now(), &mut wire.input, &mut wire.out) {
            Ok(step) => step,
            Err(unsupported) => {
                let settled = not_tried(envelope, &Outcome::ours(unsupported.reply));
                return (settled, Some(Self { wire, ready: *unsupported.ready }));
            }
        };
        let mut step = wire.run(first).await;
        if let Step::Body(begun) = step {
            step = wire.content(begun, body, may_end).await;
            step = wire.run(step).await;
        }
        let (settled, next) = match step {
            Step::Done(done) => done.settle(),
            Step::Close(close) => (not_tried(envelope, close.outcome()), Step::Close(close)),
            Step::Ready(ready) => {
                return (
                    not_tried(envelope, &no_connection("nothing was sent".to_owned())),
                    Some(Self { wire, ready }),
                );
            }
            // `run` and `content` never end with these.
            Step::Receive(_) | Step::Upgrade(_) | Step::Body(_) => {
                return (not_tried(envelope, &no_connection("the conversation was cut".to_owned())), None);
            }
        };
        match wire.run(next).await {
            Step::Ready(ready) => (settled, Some(Self { wire, ready })),
            _ => {
                wire.close().await;
                (settled, None)
            }
        }
    }

    /// Says QUIT and waits for the answer.
    pub async fn quit(self) {
        let Self { mut wire, ready } = self;
        let step = ready.quit(Instant::now(), &mut wire.out);
        // Whatever the server answers, the conversation is over.
        let _ = wire.run(step).await;
        wire.close().await;
    }
}

async fn connect(target: &Target) -> io::Result<Box<dyn Stream>> {
    Ok(match target {
        Target::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            // Where nobody listens on a port that the system also gives to clients, a connection
            // may end at itself, and wait for its own greeting.
            if stream.local_addr()? == *address {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            stream.set_nodelay(true)?;
            Box::new(stream)
        }
        Target::Unix(path) => Box::new(UnixStream::connect(path).await?),
    })
}

fn no_connection(text: String) -> Outcome {
    Outcome::ours(Reply::new(Code::LOCAL_ERROR_451, EnhancedCode::new(4, 4, 1), text))
}

fn no_hello() -> Outcome {
    no_connection("no hello".to_owned())
}

fn not_tried(envelope: &Envelope, outcome: &Outcome) -> Vec<Settled> {
    vec![Settled::NotTried(outcome.clone()); envelope.to.len()]
}

impl Wire {
    fn new(io: Box<dyn Stream>) -> Self {
        Self { io, input: BytesMut::new(), out: BytesMut::new(), unflushed: false }
    }

    /// The same connection under TLS, or the reply that says why not.
    async fn encrypt(mut self, upgrade: &Upgrade, tls: Option<&ClientTls>) -> Result<(Self, Tls), Reply> {
        let failed = |text: &str| {
            let text = format!("TLS handshake failed: {text}");
            Reply::new(Code::TEMPORARY_AUTH_FAILURE_454, EnhancedCode::new(4, 7, 5), text)
        };
        let Some(tls) = tls else { return Err(failed("it is not said which certificates are believed")) };
        let handshake = async {
            self.io.write_all_buf(&mut self.out).await?;
            self.io.flush().await?;
            tls.connect(self.io).await
        };
        match timeout_at(upgrade.deadline().into(), handshake).await {
            Ok(Ok((io, tls))) => Ok((Self::new(Box::new(io)), tls)),
            Ok(Err(error)) => Err(failed(&error.to_string())),
            Err(_) => Err(failed("it takes too long")),
        }
    }

    /// Goes on until something else than a reply is needed.
    async fn run(&mut self, mut step: Step) -> Step {
        loop {
            step = match step {
                Step::Receive(receive) => match receive.process(Instant::now(), &mut self.input, &mut self.out) {
                    Step::Receive(hungry) => self.feed(hungry).await,
                    next => next,
                },
                other => return other,
            }
        }
    }

    /// Writes and reads at the same time, so that a flight of commands that is larger than the
    /// buffers between us cannot block both sides (RFC 2920 §3.1).
    async fn feed(&mut self, receive: Receive) -> Step {
        let deadline = receive.deadline();
        let owed = !self.out.is_empty() || self.unflushed;
        self.input.reserve(READ);
        let (mut reader, mut writer) = split(&mut self.io);
        tokio::select! {
            () = sleep_until(deadline.into()) => receive.timed_out(),
            read = reader.read_buf(&mut self.input) => match read {
                Ok(0) | Err(_) => receive.closed(),
                Ok(_) => Step::Receive(receive),
            },
            written = write(&mut writer, &mut self.out, &mut self.unflushed), if owed => {
                if written.is_err() {
                    // What the server said before it went is still to be read.
                    self.out.clear();
                    self.unflushed = false;
                }
                Step::Receive(receive)
            },
        }
    }

    /// The content: what was put in front, then the text, a piece at a time.
    async fn content<B: BodyReader>(&mut self, mut step: Body, body: &B, may_end: &(dyn Fn() -> bool + Sync)) -> Step {
        let mut piece = body.prepend().clone();
        let mut at = 0;
        loop {
            // A bare line end spoils the message; `finish` says so.
            if step.write(Instant::now(), &piece, &mut self.out).is_err() {
                return step.finish(Instant::now(), &mut self.out);
            }
            step = match self.push(step).await {
                Step::Body(step) => step,
                ended => return ended,
            };
            if at >= body.len() {
                if !may_end() {
                    return step.abandon(Reply::LOCAL_ERROR_451.append(": there is no time left to end the message"));
                }
                return step.finish(Instant::now(), &mut self.out);
            }
            piece = match body.read_at(at, PIECE).await {
                Ok(piece) if !piece.is_empty() => piece,
                _ => return step.abandon(Reply::LOCAL_ERROR_451.append(": the queue cannot read the message")),
            };
            at += piece.len() as u64;
        }
    }

    /// Writes everything, and listens meanwhile for a server that has heard enough.
    async fn push(&mut self, mut step: Body) -> Step {
        while !self.out.is_empty() || self.unflushed {
            let deadline = step.deadline();
            self.input.reserve(READ);
            let (mut reader, mut writer) = split(&mut self.io);
            let next = tokio::select! {
                () = sleep_until(deadline.into()) => step.timed_out(),
                read = reader.read_buf(&mut self.input) => match read {
                    Ok(0) | Err(_) => step.closed(),
                    Ok(_) => step.process(&mut self.input),
                },
                written = write(&mut writer, &mut self.out, &mut self.unflushed) => match written {
                    Err(_) => step.closed(),
                    Ok(()) => Step::Body(step),
                },
            };
            step = match next {
                Step::Body(step) => step,
                ended => return ended,
            };
        }
        Step::Body(step)
    }

    async fn close(&mut self) {
        // Polite words at the end; if they do not get through, nothing is lost.
        let last = async {
            self.io.write_all_buf(&mut self.out).await?;
            self.io.shutdown().await
        };
        let _ = timeout(Duration::from_secs(5), last).await;
    }
}

/// Writes some of `out`, or lets go what the stream still holds of it.
async fn write(io: &mut (impl AsyncWrite + Unpin), out: &mut BytesMut, unflushed: &mut bool) -> io::Result<()> {
    if out.is_empty() {
        io.flush().await?;
        *unflushed = false;
    } else {
        if io.write_buf(out).await? == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        *unflushed = true;
    }
    Ok(())
}
