//! The other side of the control socket: a queue that is in another process.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hikyaku_queue::{
    Action, Count, CountBy, Cursor, Filter, Gate, Health, Manage, MsgId, Page, QueueError, QueueKey,
    backend::CountRecord,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    sync::Mutex,
    time::timeout,
};

use super::{
    ControlError,
    form::{self, Answer, Ask, By, Kind, Request},
    io_error,
};

/// A change of many messages takes its time.
const PATIENCE: Duration = Duration::from_secs(900);

/// The queue of a running relay, over its control socket.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    /// None after a request that was not answered: what comes then would be taken for the answer
    /// to the next one.
    stream: Mutex<Option<BufReader<UnixStream>>>,
}

/// A part of a message's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageText {
    /// What was put before the text when the message was taken.
    pub before: Bytes,
    /// How long the text is, without that.
    pub len: u64,
    /// The part that was asked for; empty at the end.
    pub piece: Bytes,
}

impl Control {
    /// Connects to a relay.
    ///
    /// # Errors
    /// `NotRunning` if nobody listens there.
    pub async fn connect(path: &Path) -> Result<Self, ControlError> {
        let stream = Self::open(path).await?;
        Ok(Self { path: path.to_owned(), stream: Mutex::new(Some(stream)) })
    }

    async fn open(path: &Path) -> Result<BufReader<UnixStream>, ControlError> {
        use std::io::ErrorKind::{ConnectionRefused, NotFound};
        match UnixStream::connect(path).await {
            Ok(stream) => Ok(BufReader::new(stream)),
            Err(error) if matches!(error.kind(), NotFound | ConnectionRefused) => {
                Err(ControlError::NotRunning(path.to_owned()))
            }
            Err(error) => Err(io_error(path)(error)),
        }
    }

    /// How the relay's queue is.
    ///
    /// # Errors
    /// The relay cannot be asked.
    pub async fn health(&self) -> Result<Health, QueueError> {
        match self.ask(Ask::Health).await? {
            Answer::Health(health) => Ok(health.read()),
            _ => Err(out_of_step()),
        }
    }

    /// A part of a message's text: from `offset`, at most `max` octets and 64 KiB.
    ///
    /// # Errors
    /// `NotFound` if the message is gone.
    pub async fn text(&self, msg: MsgId, offset: u64, max: usize) -> Result<MessageText, QueueError> {
        match self.ask(Ask::Text { msg: msg.to_string(), offset, max }).await? {
            Answer::Text { before, len, piece } => {
                let octets = |text: &str| STANDARD.decode(text).map(Bytes::from).map_err(|_| out_of_step());
                Ok(MessageText { before: octets(&before)?, len, piece: octets(&piece)? })
            }
            _ => Err(out_of_step()),
        }
    }

    async fn ask(&self, ask: Ask) -> Result<Answer, QueueError> {
        match timeout(PATIENCE, self.exchange(&form::line(&Request::new(ask)))).await {
            Ok(Ok(Answer::Error { kind, text })) => Err(match kind {
                Kind::Full => QueueError::Full,
                Kind::ReadOnly => QueueError::ReadOnly,
                Kind::LeaseLost => QueueError::LeaseLost,
                Kind::NotFound => QueueError::NotFound,
                Kind::Unknown => QueueError::Unknown,
                Kind::Request | Kind::Other => backend(ControlError::Said(text)),
            }),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(backend(error)),
            Err(_) => Err(backend(ControlError::Broken("it does not answer"))),
        }
    }

    async fn exchange(&self, request: &[u8]) -> Result<Answer, ControlError> {
        let mut kept = self.stream.lock().await;
        // It goes back only with the whole answer, so that a call that is dropped spoils nothing.
        let mut stream = match kept.take() {
            Some(stream) => stream,
            None => Self::open(&self.path).await?,
        };
        // One that refuses us has said why and is gone: its answer is there to be read.
        let written = stream.get_mut().write_all(request).await;
        let mut line = Vec::new();
        let read = (&mut stream).take(form::ANSWER as u64).read_until(b'\n', &mut line).await;
        read.and(written.or_else(|error| if line.is_empty() { Err(error) } else { Ok(()) }))
            .map_err(io_error(&self.path))?;
        if line.pop() != Some(b'\n') {
            return Err(ControlError::Broken("the connection was closed"));
        }
        let answer = serde_json::from_slice(&line).map_err(|_| ControlError::Broken("what came is no answer"))?;
        *kept = Some(stream);
        Ok(answer)
    }
}

fn backend(error: ControlError) -> QueueError {
    QueueError::Backend(Arc::new(error))
}

fn out_of_step() -> QueueError {
    backend(ControlError::Broken("the answer is to another question"))
}

impl Manage for Control {
    async fn list(&self, filter: &Filter, after: Option<Cursor>, max: usize) -> Result<Page, QueueError> {
        let after = after.map(|Cursor(unit)| unit.to_string());
        match self.ask(Ask::List { filter: filter.into(), after, max: Some(max) }).await? {
            Answer::Page(page) => page.read().map_err(|why| backend(ControlError::Broken(why))),
            _ => Err(out_of_step()),
        }
    }

    async fn counts(&self, by: CountBy) -> Result<Vec<Count>, QueueError> {
        let by = match by {
            CountBy::All => By::All,
            CountBy::Key => By::Key,
        };
        match self.ask(Ask::Counts(by)).await? {
            Answer::Counts(counts) => Ok(counts.iter().map(CountRecord::read).collect()),
            _ => Err(out_of_step()),
        }
    }

    async fn apply(&self, filter: &Filter, action: Action) -> Result<u64, QueueError> {
        match self.ask(Ask::Apply { filter: filter.into(), action: (&action).into() }).await? {
            Answer::Done(units) => Ok(units),
            _ => Err(out_of_step()),
        }
    }

    async fn gate(&self, key: &QueueKey, gate: Gate) -> Result<(), QueueError> {
        match self.ask(Ask::Gate { key: key.as_str().to_owned(), gate: gate.into() }).await? {
            Answer::Done(_) => Ok(()),
            _ => Err(out_of_step()),
        }
    }

    async fn gates(&self, of: Option<&QueueKey>) -> Result<Vec<(QueueKey, Gate)>, QueueError> {
        match self.ask(Ask::Gates { of: of.map(|key| key.as_str().to_owned()) }).await? {
            Answer::Gates(gates) => {
                Ok(gates.into_iter().map(|(key, gate)| (QueueKey::new(key), gate.read())).collect())
            }
            _ => Err(out_of_step()),
        }
    }
}
