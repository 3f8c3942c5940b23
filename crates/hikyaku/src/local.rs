//! Final delivery into Maildirs of this machine.

use std::{
    fmt::Write,
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use hikyaku_message::ReturnPath;
use hikyaku_queue::{BodyReader, RcptNo, UnitId};
use hikyaku_wire::{ReversePath, Timestamp};
use tokio::{
    fs::{File, OpenOptions},
    io::{AsyncWriteExt, BufWriter},
};

use crate::facts::MARK;

/// A folder with one Maildir a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maildirs {
    root: PathBuf,
}

/// Octets of a message in memory at a time.
const PIECE: usize = 64 * 1024;
/// The folder of what is in quarantine.
const JUNK: &str = ".Junk";

impl Maildirs {
    /// Maildirs below `root`, which is made when the first mail comes.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The Maildir of a mailbox. Its name is an escape of the mailbox's name, never its octets:
    /// small letters, digits, `-` and `_` stand for themselves, a dot too where it is not the
    /// first, everything else is `%XX`. So no name leaves the folder, and no two share one.
    pub fn folder(&self, mailbox: &str) -> PathBuf {
        let mut name = String::with_capacity(mailbox.len());
        for octet in mailbox.bytes() {
            match octet {
                b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(octet)),
                b'.' if !name.is_empty() => name.push('.'),
                _ => {
                    // Writing to a String cannot fail.
                    let _ = write!(name, "%{octet:02X}");
                }
            }
        }
        self.root.join(name)
    }

    /// Delivers a message, to the folder `.Junk` of the Maildir (Maildir++) if this relay has
    /// marked it as one for quarantine: `Return-Path` in front, LF line ends, synced before it appears in
    /// `new` and with its name when this returns.
    ///
    /// The name of the file is that of the delivery, so that the same delivery done twice, with a
    /// crash between, is one file.
    ///
    /// # Errors
    /// What the operating system says; nothing is left behind.
    pub async fn deliver<B: BodyReader>(
        &self,
        mailbox: &str,
        sender: &ReversePath,
        (unit, rcpt): (UnitId, RcptNo),
        received: Timestamp,
        body: &B,
    ) -> io::Result<PathBuf> {
        let mut folder = self.folder(mailbox);
        let made = folder.clone();
        blocking(move || make(&made)).await?;
        if is_marked(body.prepend()) {
            folder.push(JUNK);
            let made = folder.clone();
            blocking(move || make(&made)).await?;
        }
        let name = format!("{}.{unit}-{}.hikyaku", received.as_millis().div_euclid(1000), rcpt.0);
        let (temporary, place) = (folder.join("tmp").join(&name), folder.join("new").join(&name));
        let written = write(&temporary, sender, body).await;
        let moved = match written {
            Ok(()) => {
                let (from, to) = (temporary.clone(), place.clone());
                blocking(move || {
                    std::fs::rename(from, &to)?;
                    sync_folder(&to)
                })
                .await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = moved {
            // It failed already; what cannot be removed now is overwritten at the next attempt.
            let _ = tokio::fs::remove_file(&temporary).await;
            return Err(error);
        }
        Ok(place)
    }
}

/// Whether the field is among those that the relay itself has put in front of the message.
fn is_marked(prepend: &[u8]) -> bool {
    prepend.split_inclusive(|octet| *octet == b'\n').any(|line| line == MARK.as_bytes())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// Makes `cur`, `new` and `tmp`, durably.
fn make(folder: &Path) -> io::Result<()> {
    if folder.join("tmp").is_dir() {
        return Ok(());
    }
    for name in ["cur", "new", "tmp"] {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder.join(name))?;
    }
    std::fs::File::open(folder)?.sync_all()?;
    sync_folder(folder)
}

/// Makes the name of `path` durable in the folder that holds it.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => std::fs::File::open(parent)?.sync_all(),
        _ => std::fs::File::open(".")?.sync_all(),
    }
}

async fn write<B: BodyReader>(path: &Path, sender: &ReversePath, body: &B) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = BufWriter::with_capacity(PIECE, options.open(path).await?);
    let mut lines = LineEnds { file: &mut file, held: false };
    lines.put(ReturnPath(sender).to_string().as_bytes()).await?;
    lines.put(body.prepend()).await?;
    let mut at = 0;
    while at < body.len() {
        let piece = body.read_at(at, PIECE).await.map_err(io::Error::other)?;
        if piece.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        at += piece.len() as u64;
        lines.put(&piece).await?;
    }
    lines.end().await?;
    file.flush().await?;
    file.get_ref().sync_all().await
}

/// Turns CRLF into LF, whatever pieces it comes in. A CR that stands alone is kept.
struct LineEnds<'a> {
    file: &'a mut BufWriter<File>,
    /// A CR at the end of the last piece.
    held: bool,
}

impl LineEnds<'_> {
    async fn put(&mut self, piece: &[u8]) -> io::Result<()> {
        for part in piece.split_inclusive(|octet| *octet == b'\n') {
            if self.held && part != b"\n" {
                self.file.write_all(b"\r").await?;
            }
            self.held = part.ends_with(b"\r");
            match part {
                [text @ .., b'\r', b'\n'] => {
                    self.file.write_all(text).await?;
                    self.file.write_all(b"\n").await?;
                }
                [text @ .., b'\r'] => self.file.write_all(text).await?,
                text => self.file.write_all(text).await?,
            }
        }
        Ok(())
    }

    async fn end(self) -> io::Result<()> {
        if self.held { self.file.write_all(b"\r").await } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hikyaku_queue::{MsgId, QueueError};

    use super::*;

    /// A body that is read a few octets at a time, to put borders everywhere.
    struct Text(Bytes, usize, Bytes);

    impl BodyReader for Text {
        fn len(&self) -> u64 {
            self.0.len() as u64
        }
        fn prepend(&self) -> &Bytes {
            &self.2
        }
        async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes, QueueError> {
            let from = offset as usize;
            Ok(self.0.slice(from..(from + self.1.min(max)).min(self.0.len())))
        }
    }

    fn delivery(n: u8) -> (UnitId, RcptNo) {
        (UnitId { msg: MsgId::from_bytes([n; 16]), unit: 0 }, RcptNo(0))
    }

    #[tokio::test]
    async fn line_ends_become_lf_for_every_split() {
        let root = tempfile::tempdir().unwrap();
        let maildirs = Maildirs::new(root.path().join("mail"));
        let sender = "<bob@example.org>".parse().unwrap();
        let text = b"Subject: x\r\n\r\n.\r\n\r\r\nend\r";
        for size in 1..=text.len() {
            let body = Text(Bytes::from_static(text), size, Bytes::from_static(b"Received: y\r\n"));
            let at = maildirs
                .deliver("alice", &sender, delivery(size as u8), Timestamp::from_millis(1_999), &body)
                .await
                .unwrap();
            let stored = std::fs::read(&at).unwrap();
            assert_eq!(stored, b"Return-Path: <bob@example.org>\nReceived: y\nSubject: x\n\n.\n\r\nend\r");
            assert!(at.starts_with(root.path().join("mail/alice/new")));
        }
        assert_eq!(std::fs::read_dir(root.path().join("mail/alice/tmp")).unwrap().count(), 0);
        assert_eq!(std::fs::read_dir(root.path().join("mail/alice/new")).unwrap().count(), text.len());
    }

    #[tokio::test]
    async fn the_same_delivery_twice_is_one_file() {
        let root = tempfile::tempdir().unwrap();
        let maildirs = Maildirs::new(root.path());
        let body = Text(Bytes::from_static(b"x\r\n"), 10, Bytes::new());
        for _ in 0..2 {
            let now = Timestamp::from_millis(0);
            maildirs.deliver("alice", &ReversePath::Null, delivery(1), now, &body).await.unwrap();
        }
        assert_eq!(std::fs::read_dir(root.path().join("alice/new")).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn quarantine_is_the_folder_junk() {
        let root = tempfile::tempdir().unwrap();
        let maildirs = Maildirs::new(root.path());
        let count = |folder: &str| std::fs::read_dir(root.path().join(folder)).map_or(0, Iterator::count);
        let mark = b"Authentication-Results: x; dmarc=fail\r\nX-Spam-Flag: YES\r\nReceived: y\r\n";
        for (n, text, prepend, expected) in [
            (1, &b"A: b\r\n"[..], &mark[..], (0, 1)),
            // Only our own word counts.
            (2, &mark[..], b"Received: y\r\n", (1, 1)),
            (3, b"A: b\r\n", b"Received: y\r\n X-Spam-Flag: YES\r\n", (2, 1)),
        ] {
            let body = Text(Bytes::from_static(text), 10, Bytes::from_static(prepend));
            let now = Timestamp::from_millis(0);
            maildirs.deliver("alice", &ReversePath::Null, delivery(n), now, &body).await.unwrap();
            assert_eq!((count("alice/new"), count("alice/.Junk/new")), expected, "{n}");
        }
        assert_eq!((count("alice/cur"), count("alice/.Junk/cur"), count("alice/.Junk/tmp")), (0, 0, 0));
    }

    #[test]
    fn no_name_leaves_the_folder() {
        let maildirs = Maildirs::new("/mail");
        for (mailbox, name) in [
            ("alice", "alice"),
            ("a.b-c_d", "a.b-c_d"),
            ("..", "%2E."),
            ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"),
            ("|/bin/sh", "%7C%2Fbin%2Fsh"),
            ("/tmp/x", "%2Ftmp%2Fx"),
            (":include:/x", "%3Ainclude%3A%2Fx"),
            ("A", "%41"),
            ("%41", "%2541"),
            ("ü", "%C3%BC"),
        ] {
            assert_eq!(maildirs.folder(mailbox), Path::new("/mail").join(name));
        }
    }
}
