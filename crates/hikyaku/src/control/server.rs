//! The relay's side of the control socket.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::BytesMut;
use hikyaku_queue::{BodyReader, CountBy, Cursor, Entry, Gate, Manage, Page, Queue, QueueError, QueueKey};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    ControlError,
    form::{self, Answer, Ask, By, Request},
    io_error,
};
use crate::{AuditLog, Stop};

/// Connections at once.
const CONNECTIONS: usize = 16;
/// How long a client may be silent, or not read.
const PATIENCE: Duration = Duration::from_secs(60);
/// A page is no longer than this, but for its last entry.
const PAGE: usize = 4 * 1024 * 1024;

/// The control socket of a running relay; it is gone when this is dropped.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Held as long as the socket is ours; the system lets it go when we die.
    _lock: File,
}

impl ControlSocket {
    /// Listens at a path, of which the last folder is made if it is not there, and is closed to all
    /// but its owner. What a process that died left behind is replaced. Call it within a tokio runtime.
    ///
    /// # Errors
    /// `InUse` while another process listens there, `NoSocket` if something else is there, or what
    /// the operating system says: a path of more than about 100 octets is none of a socket.
    pub fn bind(path: &Path) -> Result<Self, ControlError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let (of_path, of_folder) = (|| io_error(path), || io_error(folder));
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(of_folder())?;
            }
            made => made.map_err(of_folder())?,
        }
        let lock = folder.join("lock");
        let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&lock);
        let lock = open.map_err(io_error(&lock))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ControlError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => return Err(of_path()(source)),
        }
        // With the lock in our hands, a socket that is there belongs to nobody.
        match fs::symlink_metadata(path) {
            Ok(there) if there.file_type().is_socket() => fs::remove_file(path).map_err(of_path())?,
            Ok(_) => return Err(ControlError::NoSocket(path.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(of_path()(error)),
        }
        let listener = UnixListener::bind(path).map_err(of_path())?;
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(of_path())?;
        Ok(Self { listener, path: path.to_owned(), _lock: lock })
    }

    /// Answers until it is asked to stop; what was begun by then is answered.
    ///
    /// What changes the queue is written to the audit log, with the user at the other end.
    pub async fn serve<Q: Queue + Manage>(self, queue: Arc<Q>, audit: Arc<AuditLog>, mut stop: Stop) {
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        let mut clients = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.requested() => break,
                Some(_) = clients.join_next() => continue,
                accepted = self.listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                // There is no descriptor left: some will be free again.
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            let place = room.clone().try_acquire_owned();
            let (queue, audit, stop) = (queue.clone(), audit.clone(), stop.clone());
            clients.spawn(async move {
                let Ok(_place) = place else { return refuse(stream).await };
                let Ok(uid) = stream.peer_cred().map(|peer| peer.uid()) else { return };
                Client { stream, input: BytesMut::new(), uid }.converse(&*queue, &audit, stop).await;
            });
        }
        while clients.join_next().await.is_some() {}
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // Nobody listens any more; what cannot be removed, the next start replaces.
        let _ = fs::remove_file(&self.path);
    }
}

async fn refuse(mut stream: UnixStream) {
    let answer = form::line(&Answer::wrong("too many connections at once"));
    let _ = timeout(PATIENCE, stream.write_all(&answer)).await;
}

/// A connection from a client.
struct Client {
    stream: UnixStream,
    input: BytesMut,
    uid: u32,
}

impl Client {
    async fn converse<Q: Queue + Manage>(mut self, queue: &Q, audit: &AuditLog, mut stop: Stop) {
        loop {
            let line = tokio::select! {
                biased;
                () = stop.requested() => return,
                line = timeout(PATIENCE, self.line()) => line,
            };
            let (answer, is_last) = match line {
                Ok(Line::Whole(line)) => match Request::read(&line) {
                    Ok(request) => (answer(request.ask, queue, audit, self.uid).await, false),
                    Err(why) => (Answer::wrong(why), false),
                },
                Ok(Line::TooLong) => (Answer::wrong("a line is too long"), true),
                // It is gone, or says nothing.
                Ok(Line::End) | Err(_) => return,
            };
            let answer = form::line(&answer);
            if !matches!(timeout(PATIENCE, self.stream.write_all(&answer)).await, Ok(Ok(()))) || is_last {
                return;
            }
        }
    }

    /// The next line, without its end.
    async fn line(&mut self) -> Line {
        let mut seen = 0;
        loop {
            if let Some(at) = self.input[seen..].iter().position(|byte| *byte == b'\n') {
                let mut line = self.input.split_to(seen + at + 1);
                line.truncate(seen + at);
                return Line::Whole(line);
            }
            seen = self.input.len();
            if seen >= form::REQUEST {
                return Line::TooLong;
            }
            self.input.reserve(4096);
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) | Err(_) => return Line::End,
                Ok(_) => {}
            }
        }
    }
}

enum Line {
    Whole(BytesMut),
    TooLong,
    End,
}

/// Does what is asked.
async fn answer<Q: Queue + Manage>(ask: Ask, queue: &Q, audit: &AuditLog, uid: u32) -> Answer {
    let done = match ask {
        Ask::Health => Ok(Answer::Health(queue.health().into())),
        Ask::Counts(by) => {
            let by = if by == By::Key { CountBy::Key } else { CountBy::All };
            queue.counts(by).await.map(|counts| Answer::Counts(counts.iter().map(Into::into).collect()))
        }
        Ask::List { filter, after, max } => {
            let after = match after.map(|after| after.parse()).transpose() {
                Ok(after) => after.map(Cursor),
                Err(error) => return Answer::wrong(format!("after: {error}")),
            };
            let filter = match filter.read() {
                Ok(filter) => filter,
                Err(why) => return Answer::wrong(why),
            };
            let max = max.unwrap_or(form::ENTRIES).min(form::ENTRIES);
            queue.list(&filter, after, max).await.map(|page| Answer::Page((&bounded(page)).into()))
        }
        Ask::Apply { filter, action } => {
            let (filter, action) = match filter.read() {
                Ok(filter) => (filter, action.read()),
                Err(why) => return Answer::wrong(why),
            };
            let done = queue.apply(&filter, action.clone()).await;
            done.map(|units| {
                audit.queue_changed(uid, &filter, &action, units);
                Answer::Done(units)
            })
        }
        Ask::Gate { key, gate } => {
            let (key, gate) = (QueueKey::new(key), gate.read());
            let done = queue.gate(&key, gate).await;
            done.map(|()| {
                audit.gate_changed(uid, &key, gate);
                Answer::Done(0)
            })
        }
        Ask::Gates { of } => {
            let gates = queue.gates(of.map(QueueKey::new).as_ref()).await;
            let form = |(key, gate): (QueueKey, Gate)| (key.as_str().to_owned(), gate.into());
            gates.map(|gates| Answer::Gates(gates.into_iter().map(form).collect()))
        }
        Ask::Text { msg, offset, max } => match msg.parse() {
            Ok(msg) => text(queue, msg, offset, max.min(form::PIECE)).await,
            Err(error) => return Answer::wrong(format!("msg: {error}")),
        },
    };
    done.unwrap_or_else(|error| Answer::of(&error))
}

async fn text<Q: Queue>(queue: &Q, msg: hikyaku_queue::MsgId, offset: u64, max: usize) -> Result<Answer, QueueError> {
    let body = queue.body(msg).await?;
    let piece = body.read_at(offset, max).await?;
    Ok(Answer::Text { before: STANDARD.encode(body.prepend()), len: body.len(), piece: STANDARD.encode(piece) })
}

/// A page that is not too long to be one line.
fn bounded(mut page: Page) -> Page {
    let mut sum = 0;
    let long = |entry: &Entry| {
        let of = |rcpt: &hikyaku_queue::Rcpt| {
            let text = rcpt.state.attempt().map_or(0, |attempt| attempt.reply.lines().map(str::len).sum());
            text + 512
        };
        1024 + entry.rcpts.iter().map(of).sum::<usize>()
    };
    let fits = page.entries.iter().take_while(|entry| {
        let before = sum;
        sum += long(entry);
        before < PAGE
    });
    let fits = fits.count();
    if fits < page.entries.len() {
        page.entries.truncate(fits);
        page.next = page.entries.last().map(|last| Cursor(last.unit));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_queue::{
        Attempt, Draft as _, Envelope, Filter, Memory, MsgId, NewRcpt, NewUnit, RcptState, SizeHint, suite,
    };
    use hikyaku_wire::{Code, Reply, Timestamp};

    #[test]
    fn a_page_is_cut_where_it_gets_too_long() {
        let page = suite::block_on(async {
            let (queue, time) = (Memory::new(), Timestamp::from_millis(0));
            for number in 0..3 {
                let draft = queue.draft(MsgId::new(time, [number; 10]), SizeHint::UNKNOWN).await.unwrap();
                let unit =
                    NewUnit::new(QueueKey::new("k"), time, time).with(NewRcpt::new("<a@b.test>".parse().unwrap()));
                let envelope = Envelope::new("<>".parse().unwrap(), time);
                draft.commit(envelope, Default::default(), vec![unit], None).await.unwrap();
            }
            queue.list(&Filter::all(), None, 500).await.unwrap()
        });
        assert_eq!(bounded(page.clone()), page);
        let mut long = page;
        let reply = Reply::plain(Code::LOCAL_ERROR_451, "x\n".repeat(2000));
        let rcpt = long.entries[1].rcpts[0].clone();
        long.entries[1].rcpts = vec![rcpt; 3000];
        for rcpt in &mut long.entries[1].rcpts {
            rcpt.state = RcptState::Deferred(Attempt::new(Timestamp::from_millis(0), reply.clone()));
        }
        let cut = bounded(long.clone());
        assert_eq!(cut.entries[..], long.entries[..2]);
        assert_eq!(cut.next, Some(Cursor(long.entries[1].unit)));
    }
}
