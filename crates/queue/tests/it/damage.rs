//! Files of a spool that are not what they were (D67): what is whole runs, what is not is reported,
//! and no text is ever another one.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use hikyaku_queue::*;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::mail::*;

/// What a group of the journal begins with, at a page.
const GROUP: &[u8] = b"\xf2hkjgrp\n";
const PAGE: usize = 4096;
/// The message whose text is a file of its own.
const LONG: u64 = 9;

struct Site {
    runtime: Runtime,
    folder: TempDir,
}

fn config() -> SpoolConfig {
    let mut config = SpoolConfig::default();
    config.segment = 256 << 10;
    config.reserve_bytes = 0;
    config
}

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => _ = fs::copy(entry.path(), to.join(entry.file_name())).unwrap(),
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn flip(file: &Path, at: usize, bit: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 1 << (bit % 8);
    fs::write(file, bytes).unwrap();
}

impl Site {
    fn new() -> Self {
        let site = Self { runtime: Runtime::new().unwrap(), folder: tempfile::tempdir().unwrap() };
        // Each message is a group of its own.
        site.with(&site.path("seven"), |spool| {
            site.runtime.block_on(async {
                for n in 1..=7 {
                    enqueue(spool, n, "a").await.unwrap();
                }
            });
        });
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A copy that may be damaged.
    fn fresh(&self, of: &str) -> PathBuf {
        copy(&self.path(of), &self.path("damaged"));
        self.path("damaged")
    }

    fn try_open(&self, path: &Path) -> Result<Spool, OpenError> {
        self.runtime.block_on(Spool::open(path, config()))
    }

    fn with<R>(&self, path: &Path, work: impl FnOnce(&Spool) -> R) -> R {
        let spool = self.try_open(path).unwrap();
        work(&spool)
    }

    /// The messages that are listed and whole. One that is listed and not whole says so when it is read.
    fn whole(&self, spool: &Spool) -> BTreeSet<u64> {
        self.runtime.block_on(async {
            let entries = spool.list(&Filter::all(), None, usize::MAX).await.unwrap().entries;
            let mut whole = BTreeSet::new();
            for entry in &entries {
                let n = number(entry.unit.msg);
                match is_whole(spool, n).await {
                    Ok(is_whole) => assert!(is_whole && whole.insert(n), "the text of {n} is another one"),
                    Err(QueueError::Corrupt { id: named, .. }) => assert_eq!(named, id(n)),
                    Err(error) => panic!("message {n}: {error}"),
                }
            }
            whole
        })
    }
}

/// The segment that is used, and where its groups are.
fn groups(path: &Path) -> (PathBuf, Vec<Range<usize>>) {
    for file in files(&path.join("journal")) {
        let bytes = fs::read(&file).unwrap();
        let starts: Vec<_> = (0..bytes.len()).step_by(PAGE).filter(|at| bytes[*at..].starts_with(GROUP)).collect();
        if starts.is_empty() {
            continue;
        }
        let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
        let ranges = starts.iter().copied().zip(ends).map(|(start, end)| {
            let used = bytes[start..end].iter().rposition(|byte| *byte != 0).unwrap();
            start..start + used + 1
        });
        return (file, ranges.collect());
    }
    panic!("no segment holds a group");
}

/// The group that holds a message.
fn group_of(path: &Path, n: u64) -> (PathBuf, Range<usize>) {
    let (file, groups) = groups(path);
    let bytes = fs::read(&file).unwrap();
    let text = text(n);
    let holds = |range: &Range<usize>| bytes[range.clone()].windows(text.len()).any(|part| part == text);
    let range = groups.into_iter().find(holds).expect("the message is in the journal");
    (file, range)
}

fn catalog(path: &Path) -> PathBuf {
    let known = ["lock", "format"];
    let is_it = |file: &PathBuf| file.is_file() && !known.contains(&file.file_name().unwrap().to_str().unwrap());
    files(path).into_iter().find(is_it).expect("there is a catalog")
}

#[test]
fn a_torn_last_group_takes_nothing_else_along() {
    let site = Site::new();
    let (_, last) = group_of(&site.path("seven"), 7);
    let cuts = (0..96).chain((96..last.len()).step_by(61));
    let six = BTreeSet::from_iter(1..=6);
    let mut gone = 0;
    for (number, cut) in cuts.enumerate() {
        let path = site.fresh("seven");
        let (file, _) = group_of(&path, 7);
        let mut bytes = fs::read(&file).unwrap();
        match number % 3 {
            0 => bytes[last.start + cut..].fill(0),
            1 => bytes[last.start + cut..last.end].iter_mut().for_each(|byte| *byte ^= 0xa5),
            _ => bytes.truncate(last.start + cut),
        }
        fs::write(&file, bytes).unwrap();
        if number % 2 == 0 {
            fs::remove_file(catalog(&path)).unwrap();
        }
        site.with(&path, |spool| {
            let whole = site.whole(spool);
            assert!(whole.is_superset(&six), "cut at {cut}: only {whole:?} are left");
            gone += usize::from(!whole.contains(&7));
        });
        // It goes on from there.
        site.with(&path, |spool| {
            site.runtime.block_on(enqueue(spool, 8, "a")).unwrap();
            assert!(site.whole(spool).contains(&8), "cut at {cut}");
        });
        site.with(&path, |spool| assert!(site.whole(spool).contains(&8), "cut at {cut}"));
    }
    assert!(gone > 100, "{gone}");
}

#[test]
fn damage_in_the_middle_costs_what_is_damaged() {
    let site = Site::new();
    let (_, middle) = group_of(&site.path("seven"), 3);
    let others = BTreeSet::from([1, 2, 4, 5, 6, 7]);
    let mut lost = 0;
    // What stands in the group closely, the zeros behind it now and then.
    let bytes = middle.clone().take(600).step_by(5).chain(middle.clone().skip(600).step_by(97));
    for (bit, at) in bytes.enumerate() {
        let path = site.fresh("seven");
        flip(&group_of(&path, 3).0, at, bit);
        let without_catalog = bit % 2 == 0;
        if without_catalog {
            fs::remove_file(catalog(&path)).unwrap();
        }
        site.with(&path, |spool| {
            let whole = site.whole(spool);
            assert!(whole.is_superset(&others), "byte {at}: only {whole:?} are left");
            if !whole.contains(&3) {
                lost += 1;
                assert!(matches!(spool.health(), Health::Degraded(_)), "byte {at}: {:?}", spool.health());
            }
            if without_catalog && !whole.contains(&3) {
                let [damage] = spool.quarantined() else { panic!("byte {at}: {:?}", spool.quarantined()) };
                let (name, range) = damage.file.rsplit_once(", bytes ").expect("it says which bytes");
                let (from, to) = range.split_once(" to ").unwrap();
                let range = from.parse().unwrap()..to.parse().unwrap();
                assert!(range.contains(&at), "byte {at}: {range:?}");
                let kept = fs::read(path.join("lost+found").join(&damage.now)).unwrap();
                assert!(kept == fs::read(path.join(name)).unwrap()[range], "byte {at}: a copy of just that is kept");
            }
        });
    }
    assert!(lost > 50, "{lost}");
}

#[test]
fn a_catalog_that_is_lost_old_or_too_new_is_made_anew() {
    let site = Site::new();
    // Later: one is gone, one came.
    copy(&site.path("seven"), &site.path("later"));
    site.with(&site.path("later"), |spool| {
        site.runtime.block_on(async {
            spool.apply(&Filter::message(id(2)), Action::Remove).await.unwrap();
            spool.apply(&Filter::message(id(3)), Action::Hold(HoldReason::new("x"))).await.unwrap();
            enqueue(spool, LONG, "b").await.unwrap();
            spool.gate(&QueueKey::new("b"), Gate::Paused).await.unwrap();
        });
    });
    let seven = BTreeSet::from_iter(1..=7);
    let later = BTreeSet::from([1, 3, 4, 5, 6, 7, LONG]);
    let is_as = |path: &Path, what: &str, is_later: bool| {
        site.with(path, |spool| {
            assert_eq!(site.whole(spool), if is_later { later.clone() } else { seven.clone() }, "{what}");
            assert_eq!(spool.health(), Health::Ok, "{what}");
            site.runtime.block_on(async {
                let counts = spool.counts(CountBy::All).await.unwrap();
                let (ready, held) = if is_later { (6, 1) } else { (7, 0) };
                assert_eq!((counts[0].ready, counts[0].held), (ready, held), "{what}");
                assert_eq!(spool.gates(None).await.unwrap().len(), usize::from(is_later), "{what}");
            });
        });
    };
    let path = site.fresh("later");
    fs::remove_file(catalog(&path)).unwrap();
    is_as(&path, "lost", true);
    is_as(&path, "and the next time", true);
    let path = site.fresh("later");
    fs::copy(catalog(&site.path("seven")), catalog(&path)).unwrap();
    is_as(&path, "old", true);
    let path = site.fresh("seven");
    fs::copy(catalog(&site.path("later")), catalog(&path)).unwrap();
    is_as(&path, "too new", false);
    let whole = fs::read(catalog(&site.path("later"))).unwrap();
    for part in 0..24 {
        let path = site.fresh("later");
        fs::write(catalog(&path), &whole[..whole.len() * part / 24]).unwrap();
        is_as(&path, "cut", true);
        let path = site.fresh("later");
        let mut bytes = whole.clone();
        let from = whole.len() * part / 24;
        bytes[from..(from + 512).min(whole.len())].fill(0xa5);
        fs::write(catalog(&path), bytes).unwrap();
        is_as(&path, "overwritten", true);
    }
}

#[test]
fn d67_lengths_beyond_everything() {
    let site = Site::new();
    let (_, middle) = group_of(&site.path("seven"), 3);
    let others = BTreeSet::from([1, 2, 4, 5, 6, 7]);
    for at in (0..160).step_by(4) {
        for length in [1_u64 << 63, u64::MAX, u64::MAX >> 1, 0] {
            let path = site.fresh("seven");
            let (file, _) = group_of(&path, 3);
            let mut bytes = fs::read(&file).unwrap();
            bytes[middle.start + at..middle.start + at + 8].copy_from_slice(&length.to_be_bytes());
            fs::write(&file, bytes).unwrap();
            fs::remove_file(catalog(&path)).unwrap();
            site.with(&path, |spool| assert!(site.whole(spool).is_superset(&others), "byte {at}"));
        }
    }
}

#[test]
fn d67_another_version() {
    let site = Site::new();
    let path = site.fresh("seven");
    let format = path.join("format");
    let known = fs::read_to_string(&format).unwrap();
    let unknown: String = known.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    assert_ne!(known, unknown);
    fs::write(&format, unknown).unwrap();
    let before: Vec<_> = files(&path.join("journal")).iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(matches!(site.try_open(&path), Err(OpenError::Version)));
    let after: Vec<_> = files(&path.join("journal")).iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(before == after, "a spool of another version is left alone");
    fs::write(&format, known).unwrap();
    site.with(&path, |spool| assert_eq!(site.whole(spool).len(), 7));
}

/// The file of the long text.
fn blob(path: &Path) -> PathBuf {
    let folders = files(&path.join("blobs"));
    let mut blobs = folders.iter().filter(|folder| folder.is_dir()).flat_map(|folder| files(folder));
    let blob = blobs.next().expect("there is a long text");
    assert!(blobs.next().is_none());
    blob
}

#[test]
fn d67_damaged_long_texts() {
    let site = Site::new();
    copy(&site.path("seven"), &site.path("eight"));
    site.with(&site.path("eight"), |spool| site.runtime.block_on(enqueue(spool, LONG, "a")).unwrap());
    let seven = BTreeSet::from_iter(1..=7);
    let mut eight = seven.clone();
    eight.insert(LONG);
    let whole = fs::read(blob(&site.path("eight"))).unwrap();
    let lost = |what: &str, damage: &dyn Fn(&Path)| {
        let path = site.fresh("eight");
        damage(&blob(&path));
        site.with(&path, |spool| {
            let found = site.runtime.block_on(is_whole(spool, LONG));
            assert!(matches!(found, Err(QueueError::Corrupt { .. } | QueueError::NotFound)), "{what}: {found:?}");
            assert!(site.whole(spool).is_superset(&seven), "{what}: the others run");
        });
    };
    site.with(&site.fresh("eight"), |spool| assert_eq!(site.whole(spool), eight));
    for len in (0..whole.len()).step_by(whole.len() / 17) {
        lost("cut", &|blob| fs::write(blob, &whole[..len]).unwrap());
        lost("a bit", &|blob| flip(blob, len, len));
    }
    lost("gone", &|blob| fs::remove_file(blob).unwrap());
    lost("a folder", &|blob| {
        fs::remove_file(blob).unwrap();
        fs::create_dir(blob).unwrap();
    });
    lost("a link", &|blob| {
        let elsewhere = blob.with_extension("elsewhere");
        fs::rename(blob, &elsewhere).unwrap();
        symlink(&elsewhere, blob).unwrap();
    });
    if rustix::process::geteuid().is_root() {
        lost("another's", &|blob| std::os::unix::fs::chown(blob, Some(65_534), None).unwrap());
    }
}

#[test]
fn d67_foreign_names() {
    let site = Site::new();
    let path = site.fresh("seven");
    let long = "x".repeat(255);
    for folder in ["journal", "blobs", "drafts", "lost+found", "."] {
        for name in ["core", ".hidden", "sp ace", "0", long.as_str()] {
            fs::write(path.join(folder).join(name), "x").unwrap();
        }
    }
    for _ in 0..2 {
        site.with(&path, |spool| assert_eq!(site.whole(spool), BTreeSet::from_iter(1..=7)));
    }
}
