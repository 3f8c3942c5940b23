//! The spool: conformance on a real disk, and on a played one power loss and failures at any call.

mod care;
mod faults;
mod power;
mod seen;
mod world;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::*;
use crate::NewRcpt;
use crate::suite::{self, Store};

/// Spools in folders of their own.
struct Spools {
    runtime: Runtime,
    folders: Mutex<Vec<TempDir>>,
    config: SpoolConfig,
}

impl Spools {
    fn new() -> Self {
        Self { runtime: Runtime::new().unwrap(), folders: Mutex::default(), config: SpoolConfig::default() }
    }

    fn new_folder(&self) -> PathBuf {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/spool");
        self.folders.lock().unwrap().push(folder);
        path
    }

    fn try_open(&self, path: &Path, config: SpoolConfig) -> std::result::Result<Spool, OpenError> {
        self.runtime.block_on(Spool::open(path, config))
    }

    fn open(&self, path: &Path) -> Spool {
        self.try_open(path, self.config.clone()).unwrap()
    }

    /// Waits for what still goes on behind dropped futures, then closes.
    fn close(&self, spool: Spool) -> PathBuf {
        while Arc::strong_count(&spool.inner) > 1 {
            std::thread::yield_now();
        }
        let (path, core) = (spool.directory().to_owned(), Arc::downgrade(&spool.inner.core));
        drop(spool);
        while core.strong_count() > 0 {
            std::thread::yield_now();
        }
        path
    }
}

impl Store for Spools {
    type Queue = Spool;

    fn fresh(&self) -> Spool {
        self.open(&self.new_folder())
    }

    fn reopen(&self, spool: Spool) -> std::result::Result<Spool, Spool> {
        assert_eq!(spool.health(), Health::Ok);
        let path = self.close(spool);
        assert_eq!(files(&path.join("drafts")), [""; 0], "space is given back");
        let spool = self.open(&path);
        assert_eq!(spool.quarantined(), []);
        Ok(spool)
    }

    fn full(&self) -> Spool {
        let config = SpoolConfig { reserve_bytes: u64::MAX, reserve_percent: 100, ..SpoolConfig::default() };
        self.try_open(&self.new_folder(), config).unwrap()
    }
}

fn files(path: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(path).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn now() -> Timestamp {
    Timestamp::from_millis(1_764_000_000_000)
}

fn id(n: u16) -> MsgId {
    let [high, low] = n.to_be_bytes();
    MsgId::new(now(), [0, 0, 0, 0, 0, 0, 0, 0, high, low])
}

fn unit(key: &str, rcpts: &[&str]) -> NewUnit {
    let unit = NewUnit::new(QueueKey::new(key), now(), now().saturating_add(Duration::from_secs(432_000)));
    rcpts.iter().fold(unit, |unit, rcpt| unit.with(NewRcpt::new(rcpt.parse().unwrap())))
}

async fn commit(spool: &Spool, n: u16, text: &[u8]) -> Result<Receipt> {
    let mut draft = spool.draft(id(n), SizeHint::UNKNOWN).await?;
    draft.write(Bytes::copy_from_slice(text)).await?;
    let envelope = Envelope::new("<s@s.test>".parse().unwrap(), now());
    draft.commit(envelope, Bytes::from_static(b"R: x\r\n"), vec![unit("a", &["<a@a.test>"])], None).await
}

#[test]
fn conforms() {
    suite::run(&Spools::new());
}

#[test]
fn conforms_in_small_segments() {
    suite::run(&Spools { config: SpoolConfig { segment: 256 << 10, ..SpoolConfig::default() }, ..Spools::new() });
}

#[test]
fn one_process_at_a_time() {
    let spools = Spools::new();
    let spool = spools.fresh();
    let path = spool.directory().to_owned();
    assert!(matches!(spools.try_open(&path, SpoolConfig::default()), Err(OpenError::Locked)));
    spools.close(spool);
    spools.open(&path);
}

#[test]
fn a_reader_does_not_keep_it_open() {
    let spools = Spools::new();
    let spool = spools.fresh();
    let long = vec![b'x'; 200_000];
    let readers = spools.runtime.block_on(async {
        commit(&spool, 1, &long).await.unwrap();
        commit(&spool, 2, b"short").await.unwrap();
        [spool.body(id(1)).await.unwrap(), spool.body(id(2)).await.unwrap()]
    });
    let path = spools.close(spool);
    let spool = spools.open(&path);
    spools.runtime.block_on(async {
        spool.apply(&Filter::all(), Action::Remove).await.unwrap();
        assert_eq!(readers[0].read_at(199_999, 9).await.unwrap(), "x");
        assert_eq!(readers[1].read_at(0, 9).await.unwrap(), "short");
    });
}

#[test]
fn nobody_else_may_look() {
    let spools = Spools::new();
    let path = spools.new_folder();
    std::fs::create_dir_all(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let spool = spools.open(&path);
    spools.runtime.block_on(async {
        commit(&spool, 1, &[b'x'; 100_000]).await.unwrap();
        spool.gate(&QueueKey::new("a"), Gate::Paused).await.unwrap();
    });
    fn look(path: &Path, seen: &mut Vec<String>) {
        let meta = std::fs::symlink_metadata(path).unwrap();
        let mode = meta.permissions().mode() & 0o777;
        assert_eq!(mode, if meta.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
        if meta.is_dir() {
            files(path).iter().for_each(|name| look(&path.join(name), seen));
        } else {
            seen.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
    let mut seen = Vec::new();
    look(&path, &mut seen);
    for name in ["index.redb", "lock", "format", &id(1).to_string()] {
        assert!(seen.iter().any(|file| file == name), "{name} in {seen:?}");
    }
}

#[test]
fn a_dropped_write_spoils_the_draft() {
    let runtime = tokio::runtime::Builder::new_multi_thread().max_blocking_threads(1).build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    runtime.block_on(async {
        let spool = Spool::open(folder.path(), SpoolConfig::default()).await.unwrap();
        let mut draft = spool.draft(id(1), SizeHint::UNKNOWN).await.unwrap();
        // The only thread for file work is busy, so the write cannot be done at the first poll.
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let busy = tokio::task::spawn_blocking(move || wait.recv());
        {
            let mut write = std::pin::pin!(draft.write(Bytes::from(vec![b'x'; 200_000])));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(write.as_mut().poll(&mut context).is_pending());
        }
        go.send(()).unwrap();
        busy.await.unwrap().unwrap();
        assert!(matches!(draft.write(Bytes::from_static(b"more")).await, Err(QueueError::Invalid(_))));
        let envelope = Envelope::new("<>".parse().unwrap(), now());
        let commit = draft.commit(envelope, Bytes::new(), vec![unit("a", &["<a@a.test>"])], None).await;
        assert!(matches!(commit, Err(QueueError::Invalid(_))));
    });
}

#[test]
fn a_dropped_claim_leaves_no_lease() {
    let runtime = tokio::runtime::Builder::new_multi_thread().max_blocking_threads(1).build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    runtime.block_on(async {
        let spool = Spool::open(folder.path(), SpoolConfig::default()).await.unwrap();
        commit(&spool, 1, b"x").await.unwrap();
        spool.counts(CountBy::All).await.unwrap();
        let want = [KeyQuota { key: QueueKey::new("a"), max: 9 }];
        let claim = || spool.claim(WorkerId::new("w"), now(), &want, Duration::from_secs(60));
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let busy = tokio::task::spawn_blocking(move || wait.recv());
        {
            let mut claim = std::pin::pin!(claim());
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(claim.as_mut().poll(&mut context).is_pending());
        }
        go.send(()).unwrap();
        busy.await.unwrap().unwrap();
        // The claim is done before this one, and nobody had it.
        assert_eq!(claim().await.unwrap().len(), 1);
    });
}

#[test]
fn the_reserve_is_the_smaller_of_the_two() {
    let config = SpoolConfig::default();
    let (mib, tib) = (1 << 20, 1 << 40);
    for (free, total, leaves) in [
        (256 * mib, tib, true),
        (256 * mib - 1, tib, false),
        (50 * mib, 1_000 * mib, true),
        (50 * mib - 1, 1_000 * mib, false),
        (u64::MAX, u64::MAX, true),
        (0, 0, true),
    ] {
        assert_eq!(config.leaves_reserve(free, total), leaves, "{free} of {total}");
    }
}

#[test]
fn segments_have_a_length_that_the_journal_can_have() {
    for (asked, given) in [(0, 64 << 10), (u64::MAX, 1 << 30), ((64 << 10) + 4_097, 68 << 10)] {
        assert_eq!(SpoolConfig { segment: asked, ..SpoolConfig::default() }.within_bounds().segment, given);
    }
}

/// The largest resident size of this process so far, in KiB.
#[cfg(target_os = "linux")]
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim_end_matches("kB").trim().parse().unwrap()
}

#[cfg(target_os = "linux")]
fn a_large_text_in_this_process() {
    let spools = Spools::new();
    let spool = spools.fresh();
    spools.runtime.block_on(async {
        commit(&spool, 1, &[b'x'; 100_000]).await.unwrap();
        let before = peak();
        let mut draft = spool.draft(id(2), SizeHint(Some(50 << 20))).await.unwrap();
        for piece in 0..50_u8 * 4 {
            for part in 0..16 {
                draft.write(Bytes::from(vec![piece ^ part; 16 << 10])).await.unwrap();
            }
        }
        let envelope = Envelope::new("<>".parse().unwrap(), now());
        draft.commit(envelope, Bytes::new(), vec![unit("a", &["<a@a.test>"])], None).await.unwrap();
        let body = spool.body(id(2)).await.unwrap();
        assert_eq!(body.len(), 50 << 20);
        let mut at = 0;
        while at < body.len() {
            let piece = body.read_at(at, usize::MAX).await.unwrap();
            for (offset, byte) in (at..).zip(&piece) {
                assert_eq!(*byte, (offset >> 18) as u8 ^ ((offset >> 14) & 15) as u8);
            }
            at += piece.len() as u64;
        }
        let grown = peak() - before;
        assert!(grown < 8 << 10, "the process grew by {grown} KiB");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_large_text_is_never_whole_in_memory() {
    // The peak is one of the whole process, so the test runs itself alone in another one.
    const ALONE: &str = "HIKYAKU_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return a_large_text_in_this_process();
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["spool::tests::a_large_text_is_never_whole_in_memory", "--exact", "--test-threads=1"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
