//! What the disk does at most: one thread that appends what waits to a file and syncs it.
//!
//! No index, no checksum, no record: 400 octets and a text of 4 KiB for each message, written into
//! blocks that the file has had before.

use std::fs::{File, OpenOptions};
use std::io::IoSlice;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::harness::Sink;
use super::{BODY, FRAME};

/// The file is so long, and written again from its beginning when it is full.
const LEN: u64 = 256 << 20;

/// A group has so many messages at most, as those of the spool.
const GROUP: usize = 1024;

/// Those who wait for the next group; none when it is over.
type Waiting = (Mutex<Option<Vec<oneshot::Sender<()>>>>, Condvar);

/// The limit; it is closed when it is dropped.
#[derive(Debug)]
pub struct Raw {
    waiting: Arc<Waiting>,
    committer: Option<JoinHandle<()>>,
}

impl Raw {
    /// Opens the file, and writes all of it once if it was not there.
    ///
    /// # Panics
    /// The file system refuses something.
    pub fn open(file: &Path) -> Self {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(file).expect("open");
        if file.metadata().expect("a file has a length").len() != LEN {
            let mib = vec![0; 1 << 20];
            for at in 0..LEN >> 20 {
                write(&file, &[IoSlice::new(&mib)], at << 20);
            }
            file.sync_all().expect("sync");
        }
        let waiting: Arc<Waiting> = Arc::new((Mutex::new(Some(Vec::new())), Condvar::new()));
        let its = Arc::clone(&waiting);
        Self { waiting, committer: Some(std::thread::spawn(move || commit(&file, &its))) }
    }
}

impl Sink for Raw {
    async fn put(&self, _: u64) {
        let (done, wait) = oneshot::channel();
        self.waiting.0.lock().expect("nobody panics with it").as_mut().expect("it is open").push(done);
        self.waiting.1.notify_one();
        wait.await.expect("the committer answers");
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        *self.waiting.0.lock().expect("nobody panics with it") = None;
        self.waiting.1.notify_one();
        if let Some(committer) = self.committer.take() {
            committer.join().expect("the committer does not panic");
        }
    }
}

fn commit(file: &File, (waiting, more): &Waiting) {
    let (frame, body) = (Bytes::from(vec![1; FRAME]), Bytes::from(vec![2; BODY]));
    let mut at = 0;
    loop {
        let mut lock = waiting.lock().expect("nobody panics with it");
        let mut group = loop {
            match &mut *lock {
                None => return,
                Some(all) if all.is_empty() => lock = more.wait(lock).expect("nobody panics with it"),
                Some(all) => break std::mem::take(all),
            }
        };
        drop(lock);
        while !group.is_empty() {
            let rest = group.split_off(group.len().min(GROUP));
            let len = (group.len() * (FRAME + BODY)) as u64;
            if at + len > LEN {
                at = 0;
            }
            let parts: Vec<_> = group.iter().flat_map(|_| [IoSlice::new(&frame), IoSlice::new(&body)]).collect();
            write(file, &parts, at);
            at += len;
            file.sync_data().expect("sync");
            for done in std::mem::replace(&mut group, rest) {
                let _ = done.send(());
            }
        }
    }
}

fn write(file: &File, mut parts: &[IoSlice<'_>], mut at: u64) {
    while !parts.is_empty() {
        // The system takes 1,024 parts at once.
        let (now, rest) = parts.split_at(parts.len().min(1024));
        let len: usize = now.iter().map(|part| part.len()).sum();
        let written = rustix::io::pwritev(file, now, at).expect("write");
        assert_eq!(written, len, "a disk with room takes all of a write");
        at += len as u64;
        parts = rest;
    }
}
