//! Files that are not what they should be (D67): they are put aside, and the rest runs.

use super::*;

/// A spool with a good message 1, and message 2 with a state, whose files may be damaged.
fn closed(folders: &Folders) -> PathBuf {
    let spool = folders.fresh();
    folders.runtime.block_on(async {
        commit(&spool, 1, "a").await.unwrap();
        commit(&spool, 2, "a").await.unwrap();
        spool.apply(&Filter::message(id(2)), Action::Retry(now())).await.unwrap();
    });
    folders.close(spool)
}

/// Opens the spool and asserts that these messages run and so many files were put aside.
fn found(folders: &Folders, path: &Path, messages: &[u8], aside: usize) {
    let spool = folders.open(path);
    folders.runtime.block_on(async {
        let entries = spool.list(&Filter::all(), None, 9).await.unwrap().entries;
        let ids: Vec<_> = entries.iter().map(|entry| entry.unit.msg).collect();
        assert_eq!(ids, messages.iter().map(|n| id(*n)).collect::<Vec<_>>());
        for n in messages {
            let body = spool.body(id(*n)).await.unwrap();
            assert_eq!(body.read_at(0, 99).await.unwrap(), text(*n));
        }
    });
    let quarantined = spool.quarantined();
    assert_eq!(quarantined.len(), aside, "{quarantined:?}");
    assert_eq!(matches!(spool.health(), Health::Degraded(_)), aside > 0);
    let there = files(&path.join("corrupt"));
    assert!(quarantined.iter().all(|file| there.contains(&file.now)), "{quarantined:?} {there:?}");
    folders.close(spool);
}

fn damaged(folder: &str, damage: impl Fn(&Path, &mut Vec<u8>)) {
    let folders = Folders::new();
    let path = closed(&folders);
    let file = path.join(folder).join(id(2).to_string());
    let mut bytes = std::fs::read(&file).unwrap();
    damage(&file, &mut bytes);
    found(&folders, &path, &[1], 2);
}

#[test]
fn d67_truncated_at_each_byte() {
    let folders = Folders::new();
    for folder in ["messages", "states"] {
        let path = closed(&folders);
        let file = path.join(folder).join(id(2).to_string());
        let other = path.join(if folder == "states" { "messages" } else { "states" }).join(id(2).to_string());
        let (whole, kept) = (std::fs::read(&file).unwrap(), std::fs::read(&other).unwrap());
        for len in 0..whole.len() {
            std::fs::write(&file, &whole[..len]).unwrap();
            std::fs::write(&other, &kept).unwrap();
            found(&folders, &path, &[1], 2);
        }
        std::fs::write(&file, &whole).unwrap();
        std::fs::write(&other, &kept).unwrap();
        found(&folders, &path, &[1, 2], 0);
    }
}

#[test]
fn d67_a_flipped_bit_in_the_record() {
    let folders = Folders::new();
    let path = closed(&folders);
    for (folder, from) in [("messages", text(2).len() + b"R: x\r\n".len()), ("states", 0)] {
        let file = path.join(folder).join(id(2).to_string());
        let other = path.join(if folder == "states" { "messages" } else { "states" }).join(id(2).to_string());
        let (whole, kept) = (std::fs::read(&file).unwrap(), std::fs::read(&other).unwrap());
        for at in from..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            std::fs::write(&file, &bytes).unwrap();
            std::fs::write(&other, &kept).unwrap();
            found(&folders, &path, &[1], 2);
        }
        std::fs::write(&file, &whole).unwrap();
        std::fs::write(&other, &kept).unwrap();
    }
}

#[test]
fn d67_lengths_of_two_to_the_63rd() {
    for length in [1_u64 << 63, u64::MAX, u64::MAX - 31] {
        damaged("messages", |file, bytes| {
            let at = bytes.len() - 32;
            bytes[at..at + 8].copy_from_slice(&length.to_be_bytes());
            std::fs::write(file, bytes).unwrap();
        });
    }
    damaged("messages", |file, bytes| {
        let at = bytes.len() - 20;
        bytes[at..at + 4].copy_from_slice(&u32::MAX.to_be_bytes());
        std::fs::write(file, bytes).unwrap();
    });
    damaged("states", |file, bytes| {
        bytes[8..12].copy_from_slice(&u32::MAX.to_be_bytes());
        std::fs::write(file, bytes).unwrap();
    });
}

#[test]
fn d67_unknown_version_of_a_file() {
    damaged("messages", |file, bytes| {
        let last = bytes.len() - 1;
        bytes[last] = b'2';
        std::fs::write(file, bytes).unwrap();
    });
    damaged("states", |file, bytes| {
        bytes[7] = b'2';
        std::fs::write(file, bytes).unwrap();
    });
}

#[test]
fn d67_links_folders_and_other_messages() {
    for folder in ["messages", "states"] {
        damaged(folder, |file, bytes| {
            let elsewhere = file.parent().unwrap().parent().unwrap().join("elsewhere");
            std::fs::write(&elsewhere, bytes).unwrap();
            std::fs::remove_file(file).unwrap();
            std::os::unix::fs::symlink(elsewhere, file).unwrap();
        });
        damaged(folder, |file, _| {
            std::fs::remove_file(file).unwrap();
            std::fs::create_dir(file).unwrap();
            std::fs::write(file.join("x"), "x").unwrap();
        });
        damaged(folder, |file, bytes| {
            bytes.push(b'x');
            std::fs::write(file, bytes).unwrap();
        });
        damaged(folder, |file, _| {
            // Whole, but another's.
            std::fs::remove_file(file).unwrap();
            let other = file.parent().unwrap().parent().unwrap().join("messages").join(id(1).to_string());
            std::fs::copy(other, file).unwrap();
        });
    }
}

#[test]
fn d67_foreign_names() {
    let folders = Folders::new();
    let path = closed(&folders);
    let long = "x".repeat(255);
    let names = ["core", ".hidden", "sp ace", "0", &long, &id(1).to_string().to_uppercase()];
    for folder in ["messages", "states", "sealed"] {
        for name in names {
            std::fs::write(path.join(folder).join(name), "x").unwrap();
        }
    }
    std::fs::write(path.join("tmp/left"), "x").unwrap();
    std::fs::create_dir(path.join("tmp/folder")).unwrap();
    std::fs::write(path.join("sealed").join(id(9).to_string()), "never settled").unwrap();
    std::fs::write(path.join("states").join(id(8).to_string()), "cut").unwrap();
    // Three folders of six names, a folder in tmp, a cut state, and what it may have named.
    found(&folders, &path, &[1, 2], 3 * 6 + 3);
    assert_eq!(files(&path.join("tmp")), [""; 0]);
    found(&folders, &path, &[1, 2], 0);
}

#[test]
fn damaged_files_of_the_spool_itself() {
    let folders = Folders::new();
    let path = closed(&folders);
    for name in ["format", "life", "gates"] {
        std::fs::write(path.join(name), "cut").unwrap();
    }
    found(&folders, &path, &[1, 2], 3);
    std::fs::write(path.join("format"), record::frame(&2_u64).unwrap()).unwrap();
    assert!(matches!(folders.try_open(&path, SpoolConfig::default()), Err(OpenError::Version)));
}

#[test]
fn a_text_cut_while_it_is_queued_is_an_error() {
    let folders = Folders::new();
    let spool = folders.open(&closed(&folders));
    let file = spool.directory().join("messages").join(id(1).to_string());
    folders.runtime.block_on(async {
        let body = spool.body(id(1)).await.unwrap();
        std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(10).unwrap();
        assert!(matches!(body.read_at(0, 99).await, Err(QueueError::Corrupt { .. })));
        assert!(matches!(spool.body(id(1)).await.map(|_| ()), Err(QueueError::Corrupt { .. })));
        std::fs::remove_file(&file).unwrap();
        assert!(matches!(spool.body(id(1)).await.map(|_| ()), Err(QueueError::NotFound)));
    });
}
