//! A file that is not what was written: the catalog says what is right, or that it cannot, or begins anew.

use super::*;

/// A disk with a catalog of some hundred pages, and what it says.
fn filled() -> (Arc<Played>, Said) {
    let disk = disk();
    let (catalog, _) = open(&disk);
    let mut number = 0_u32;
    for count in 1..=8 {
        let ops: Vec<_> = (0..150)
            .map(|_| {
                number += 1;
                let place = place(number / 100, number);
                let name = format!("key-{}.example", number % 37);
                let id = MsgId::new(at(i64::from(number)), [7; 10]);
                put(id, message(place, [(0, unit(&name, i64::from(number % 5), place))]))
            })
            .collect();
        catalog.apply(&ops, mark(count)).unwrap();
        catalog.checkpoint().unwrap();
    }
    let said = say(&catalog);
    (disk, said)
}

/// Puts this in the place of the file; whatever the catalog says then is right.
fn try_with(disk: &Arc<Played>, bytes: &[u8], said: &Said, what: &str) -> bool {
    let disk = Arc::new(disk.copy(1));
    disk.put(Folder::Root, FILE, bytes);
    let (catalog, found) = open(&disk);
    let noticed = match (found, ask(&catalog)) {
        (Some(found), Ok(says)) => {
            assert_eq!(found, mark(8), "{what}");
            assert_eq!(says, *said, "{what}");
            false
        }
        (None, says) => {
            assert_eq!(says.unwrap(), Model::default().say(), "{what}");
            true
        }
        (Some(_), Err(QueueError::Backend(error))) => {
            assert!(error.to_string().contains("index.redb"), "{what}: {error}");
            true
        }
        (Some(_), Err(error)) => panic!("{what}: {error}"),
    };
    let place = place(1, 1);
    let op = put(id(9), message(place, [(0, unit("a", 1, place))]));
    if catalog.apply(&[op.clone()], mark(9)).is_err() || catalog.checkpoint().is_err() {
        catalog.clear().unwrap();
        catalog.apply(&[op], mark(9)).unwrap();
    }
    assert!(catalog.message(id(9)).unwrap().is_some());
    noticed
}

#[test]
fn each_page() {
    let (disk, said) = filled();
    let good = disk.contents(Folder::Root, FILE).unwrap();
    let mut random = Moves::new(3);
    let mut noticed = 0;
    for (page, start) in (0..good.len()).step_by(4096).enumerate() {
        let end = good.len().min(start + 4096);
        if good[start..end].iter().all(|&byte| byte == 0) {
            continue;
        }
        for (kind, what) in ["zeros", "a bit", "garbage", "another page"].into_iter().enumerate() {
            let mut bad = good.clone();
            match kind {
                0 => bad[start..end].fill(0),
                1 => bad[start + random.below(4096) as usize] ^= 1 << random.below(8),
                2 => bad[start..end].iter_mut().for_each(|byte| *byte = random.below(256) as u8),
                _ => {
                    let other = random.below(good.len() as u64 / 4096) as usize * 4096;
                    bad.copy_within(other..other + 4096, start);
                }
            }
            noticed += u32::from(try_with(&disk, &bad, &said, &format!("{what} in page {page}")));
        }
    }
    assert!(noticed > 100, "{noticed}");
}

#[test]
fn a_file_cut_short_or_no_catalog_at_all() {
    let (disk, said) = filled();
    let good = disk.contents(Folder::Root, FILE).unwrap();
    for len in [0, 1, 100, 320, 4095, 4096, 8192, good.len() / 2, good.len() - 4096, good.len() - 1] {
        try_with(&disk, &good[..len], &said, &format!("the first {len} bytes"));
    }
    for text in [&b"SQLite format 3\0"[..], &[0xff; 70_000], &[0; 70_000]] {
        assert!(try_with(&disk, text, &said, "no catalog"));
    }
}

#[test]
fn each_bit_of_the_header() {
    let (disk, said) = filled();
    let good = disk.contents(Folder::Root, FILE).unwrap();
    let mut random = Moves::new(5);
    for byte in 0..384 {
        let mut bad = good.clone();
        bad[byte] ^= 1 << random.below(8);
        try_with(&disk, &bad, &said, &format!("a bit of byte {byte}"));
    }
}
