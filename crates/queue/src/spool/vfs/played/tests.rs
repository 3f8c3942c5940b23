//! That the played disk does what a disk may do, and nothing else.

use std::collections::BTreeSet;

use super::*;

const J: Folder = Folder::Journal;
const SEEDS: u64 = 400;

fn write(file: &PlayedFile, offset: u64, bytes: &[u8]) {
    file.write_all_at(&[IoSlice::new(bytes)], offset).unwrap();
}

/// A disk with a durable file `f` of these bytes.
fn disk(bytes: &[u8]) -> (Played, PlayedFile) {
    let disk = Played::new(0);
    disk.put(J, "f", bytes);
    let file = disk.open(J, "f").unwrap();
    (disk, file)
}

/// What is in `f` after each of many losses of power.
fn after(disk: &Played) -> Vec<Vec<u8>> {
    (0..SEEDS).map(|seed| disk.power_off(seed).contents(J, "f").unwrap()).collect()
}

/// Which names are in the journal's folder, and what each file begins with.
fn names_after(disk: &Played) -> BTreeSet<String> {
    let shown = |disk: Played| {
        let names = disk.names(J).unwrap();
        let first = |name: &String| disk.contents(J, name).unwrap().first().map_or('-', |byte| char::from(*byte));
        names.iter().map(|name| format!("{name}{} ", first(name))).collect()
    };
    (0..SEEDS).map(|seed| shown(disk.power_off(seed))).collect()
}

fn set<const N: usize>(texts: [&str; N]) -> BTreeSet<String> {
    texts.map(str::to_owned).into()
}

/// Splits into pieces that must each be of one byte value.
fn pieces_of(bytes: &[u8], len: usize) -> Vec<u8> {
    bytes
        .chunks(len)
        .map(|piece| {
            assert!(piece.iter().all(|byte| *byte == piece[0]), "a piece is torn");
            piece[0]
        })
        .collect()
}

#[test]
fn what_was_synced_is_there() {
    let (disk, file) = disk(b"");
    write(&file, 0, &[1; 9_000]);
    file.sync_data().unwrap();
    assert!(after(&disk).iter().all(|left| *left == [1; 9_000]));
}

#[test]
fn what_was_not_synced_is_there_or_not_by_sectors() {
    let (disk, file) = disk(&[0; 16_384]);
    write(&file, 0, &[1; 16_384]);
    let left = after(&disk);
    let sectors: Vec<_> = left.iter().map(|left| pieces_of(left, content::SECTOR)).collect();
    assert!(sectors.iter().any(|left| left.iter().all(|byte| *byte == 0)), "all is lost");
    assert!(sectors.iter().any(|left| left.iter().all(|byte| *byte == 1)), "all is kept");
    let torn: Vec<_> = sectors.iter().filter(|left| left.contains(&0) && left.contains(&1)).collect();
    let by_pages = |left: &&&Vec<u8>| left.chunks(8).all(|page| page.iter().all(|byte| *byte == page[0]));
    assert!(torn.iter().any(|left| by_pages(&left)), "torn between pages only");
    assert!(torn.iter().any(|left| !by_pages(&left)), "torn within a page");
    assert!(torn.iter().any(|left| left[0] == 0), "the end without the beginning");
    assert!(torn.iter().any(|left| left[31] == 0), "the beginning without the end");
}

#[test]
fn changes_come_in_any_order() {
    let (disk, file) = disk(&[0; 3 * 4096]);
    for number in 0..3 {
        write(&file, number * 4096, &[number as u8 + 1; 4096]);
    }
    let whole: BTreeSet<_> = after(&disk)
        .iter()
        .map(|left| pieces_of(left, 512))
        .filter(|left| left.chunks(8).all(|page| page.iter().all(|byte| *byte == page[0])))
        .map(|left| [left[0], left[8], left[16]])
        .collect();
    let every: BTreeSet<_> = (0..8_u8).map(|set| [set & 1, (set >> 1 & 1) * 2, (set >> 2) * 3]).collect();
    assert_eq!(whole, every);
}

#[test]
fn a_sector_is_what_it_was_after_some_change() {
    let (disk, file) = disk(&[0; 512]);
    write(&file, 0, &[1; 300]);
    write(&file, 200, &[2; 312]);
    let all: BTreeSet<_> = after(&disk).into_iter().map(|left| (left[0], left[250], left[400])).collect();
    // The second without the first cannot be: the page had both.
    assert_eq!(all, [(0, 0, 0), (1, 1, 0), (1, 2, 2)].into());
}

#[test]
fn an_end_moves_before_or_after_the_data() {
    let (disk, file) = disk(&[1; 512]);
    disk.put(J, "other", &[9; 4096]);
    write(&file, 512, &[2; 1024]);
    let left = after(&disk);
    assert!(left.iter().all(|left| left.len() == 512 || left.len() == 1536));
    assert!(left.iter().all(|left| left[..512] == [1; 512]));
    assert!(left.iter().any(|left| left.len() == 512));
    let tails: Vec<_> = left.iter().filter(|left| left.len() > 512).map(|left| &left[512..]).collect();
    for shown in [[0; 1024], [2; 1024]] {
        assert!(tails.iter().any(|tail| **tail == shown), "{}", shown[0]);
    }
    assert!(tails.iter().any(|tail| tail[..512] == [9; 512]), "what another file has held");
    assert!(tails.iter().any(|tail| tail[512..] == [2; 512] && tail[..512] != [2; 512]));
}

#[test]
fn what_is_allocated_is_zeros() {
    let disk = Played::new(0);
    disk.put(J, "other", &[9; 4096]);
    let file = disk.create(J, "f").unwrap();
    file.allocate(1 << 20).unwrap();
    file.sync_data().unwrap();
    disk.sync_folder(J).unwrap();
    write(&file, 4096, &[1; 8192]);
    write(&file, 100 << 10, &[2; 100]);
    let all = after(&disk);
    assert!(all.iter().all(|left| left.len() == 1 << 20));
    assert!(all.iter().all(|left| left.iter().all(|byte| *byte <= 2)));
    assert!(all.iter().any(|left| left.iter().all(|byte| *byte == 0)));
}

#[test]
fn shortening_is_kept_or_not() {
    let (disk, file) = disk(&[1; 10_000]);
    file.set_len(700).unwrap();
    let lens: BTreeSet<_> = after(&disk).iter().map(Vec::len).collect();
    assert_eq!(lens, [700, 10_000].into());
}

#[test]
fn what_was_cut_off_does_not_come_back() {
    let (disk, file) = disk(&[1; 10_000]);
    file.set_len(700).unwrap();
    file.sync_data().unwrap();
    file.set_len(10_000).unwrap();
    file.sync_data().unwrap();
    for left in after(&disk) {
        assert!(left[..700] == [1; 700] && left[700..] == [0; 9_300]);
    }
}

#[test]
fn names_are_kept_or_not() {
    let disk = Played::new(0);
    for name in ["a", "b"] {
        let file = disk.create(J, name).unwrap();
        write(&file, 0, name.as_bytes());
        file.sync_data().unwrap();
    }
    assert_eq!(names_after(&disk), set(["", "aa ", "bb ", "aa bb "]));
}

#[test]
fn a_synced_folder_keeps_its_names_but_not_the_data() {
    let disk = Played::new(0);
    let file = disk.create(J, "a").unwrap();
    write(&file, 0, b"a");
    disk.create(Folder::Lost, "elsewhere").unwrap();
    disk.sync_folder(J).unwrap();
    let all = names_after(&disk);
    assert!(all.contains("a- ") && all.contains("a\0 ") && all.contains("aa "), "{all:?}");
    assert!(all.iter().all(|names| names.starts_with('a')));
    let elsewhere = |seed| disk.power_off(seed).names(Folder::Lost).unwrap().is_empty();
    assert!((0..SEEDS).any(elsewhere) && !(0..SEEDS).all(elsewhere), "another folder is not synced");
}

#[test]
fn a_removed_file_comes_back_or_not() {
    let (disk, _file) = disk(b"x");
    disk.remove(J, "f").unwrap();
    assert_eq!(names_after(&disk), set(["", "fx "]));
    let (disk, _file) = self::disk(b"x");
    disk.remove(J, "f").unwrap();
    disk.sync_folder(J).unwrap();
    assert_eq!(names_after(&disk), set([""]));
}

#[test]
fn a_rename_happens_whole_or_not() {
    let (disk, _file) = disk(b"x");
    disk.put(J, "g", b"y");
    disk.rename((J, "f"), (J, "g")).unwrap();
    assert_eq!(names_after(&disk), set(["fx gy ", "gx "]));
    disk.lock().off = false;
    disk.rename((J, "g"), (J, "h")).unwrap();
    assert_eq!(names_after(&disk), set(["fx gy ", "gx ", "hx "]));
}

#[test]
fn a_rename_between_folders_is_durable_with_either() {
    for synced in [J, Folder::Lost] {
        let (disk, _file) = disk(b"x");
        disk.rename((J, "f"), (Folder::Lost, "g")).unwrap();
        disk.sync_folder(synced).unwrap();
        for seed in 0..SEEDS {
            let left = disk.power_off(seed);
            assert_eq!(left.names(J).unwrap(), [""; 0]);
            assert_eq!(left.contents(Folder::Lost, "g").unwrap(), b"x");
        }
    }
}

#[test]
fn a_published_draft_replaces_whole_or_not() {
    let (disk, _file) = disk(b"x");
    let draft = disk.draft().unwrap();
    write(draft.as_ref(), 0, b"y");
    draft.as_ref().sync_data().unwrap();
    disk.publish(draft, J, "f").unwrap();
    assert_eq!(names_after(&disk), set(["fx ", "fy "]));
    disk.lock().off = false;
    disk.sync_folder(J).unwrap();
    assert_eq!(names_after(&disk), set(["fy "]));
    drop(disk.draft());
}

#[test]
fn after_a_failed_sync_data_is_lost_silently() {
    let lost = |seed| {
        let disk = Played::new(seed);
        disk.put(J, "f", &[0; 4096]);
        let file = disk.open(J, "f").unwrap();
        write(&file, 0, &[1; 4096]);
        disk.fail(Fault::once(1, Failure::Io));
        assert_eq!(file.sync_data().unwrap_err().raw_os_error(), Some(5));
        assert!(disk.heal());
        file.sync_data().unwrap();
        assert!(disk.contents(J, "f").unwrap() == [1; 4096], "it can still be read");
        let mut left = disk.power_off(seed).contents(J, "f").unwrap();
        left.dedup();
        left
    };
    let all: BTreeSet<_> = (0..SEEDS).map(lost).collect();
    assert!(all.contains(&vec![0]) && all.contains(&vec![1]) && all.contains(&vec![0, 1]), "{all:?}");
    // What is written after it counts again.
    let (disk, file) = disk(&[0; 8192]);
    write(&file, 0, &[1; 8192]);
    disk.fail(Fault::once(1, Failure::Io));
    file.sync_data().unwrap_err();
    write(&file, 4096, &[2; 4096]);
    file.sync_data().unwrap();
    assert!(after(&disk).iter().all(|left| left[4096..] == [2; 4096]));
}

#[test]
fn the_chosen_call_fails() {
    let (disk, file) = disk(b"abc");
    disk.fail(Fault::once(2, Failure::NoSpace));
    write(&file, 0, b"x");
    file.len().unwrap();
    let error = file.write_all_at(&[IoSlice::new(b"yz")], 1).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(disk.contents(J, "f").unwrap(), b"xbc", "nothing of it is done");
    write(&file, 1, b"y");
    assert!(disk.heal());

    disk.fail(Fault { counts: Call::syncs, ..Fault::from(2, Failure::Io) });
    write(&file, 1, b"z");
    file.sync_data().unwrap();
    assert!(disk.sync_folder(J).is_err() && file.sync_data().is_err() && disk.sync_folder(J).is_err());
    write(&file, 1, b"z");
    assert!(disk.heal());
    file.sync_data().unwrap();
    disk.fail(Fault::once(1, Failure::Io));
    assert!(!disk.heal(), "it was not reached");

    let reads = |call| call == Call::Read;
    disk.fail(Fault { counts: reads, ..Fault::once(1, Failure::Io) });
    assert!(file.read_exact_at(&mut [0], 0).is_err());
    file.read_exact_at(&mut [0], 0).unwrap();
}

#[test]
fn each_call_that_changes_something_can_fail() {
    type Try = fn(&Played, &PlayedFile) -> io::Result<()>;
    let calls: [Try; 9] = [
        |disk, _| disk.create(J, "new").map(drop),
        |disk, _| disk.draft().map(drop),
        |disk, _| disk.publish(PlayedDraft { file: disk.file(content::node(Inode::default())) }, J, "new").map(drop),
        |disk, _| disk.rename((J, "f"), (J, "g")),
        |disk, _| disk.remove(J, "f"),
        |disk, _| disk.sync_folder(J),
        |_, file| file.write_all_at(&[IoSlice::new(b"xyz")], 0),
        |_, file| file.allocate(10_000),
        |_, file| file.set_len(0),
    ];
    for (number, call) in calls.iter().enumerate() {
        let (disk, file) = disk(b"abc");
        disk.fail(Fault::once(1, Failure::Io));
        assert!(call(&disk, &file).is_err(), "call {number}");
        assert!(disk.heal());
        assert_eq!(names_after(&disk), set(["fa "]), "call {number} changes nothing");
    }
}

#[test]
fn a_short_write_does_its_first_part() {
    let short = |seed| {
        let disk = Played::new(seed);
        disk.put(J, "f", b"....");
        disk.fail(Fault::once(1, Failure::Short));
        disk.open(J, "f").unwrap().write_all_at(&[IoSlice::new(b"ab"), IoSlice::new(b"cd")], 0).unwrap_err();
        String::from_utf8(disk.contents(J, "f").unwrap()).unwrap()
    };
    assert_eq!((0..SEEDS).map(short).collect::<BTreeSet<_>>(), set(["....", "a...", "ab..", "abc."]));
}

#[test]
fn the_call_under_way_when_the_power_goes_happens_or_not() {
    let (disk, file) = disk(b"x");
    disk.fail(Fault::once(1, Failure::Power));
    assert!(disk.remove(J, "f").is_err());
    assert!(disk.is_off());
    assert!(file.sync_data().is_err() && disk.sync_folder(J).is_err() && disk.open(J, "f").is_err());
    assert!(file.write_all_at(&[IoSlice::new(b"y")], 0).is_err() && file.read_exact_at(&mut [0], 0).is_err());
    assert_eq!(names_after(&disk), set(["", "fx "]));

    let (disk, file) = self::disk(b"x");
    write(&file, 0, b"y");
    disk.fail(Fault::once(1, Failure::Power));
    assert!(file.sync_data().is_err());
    assert_eq!(names_after(&disk), set(["fx ", "fy "]));
}

#[test]
fn a_process_that_dies_loses_nothing() {
    let disk = Played::new(0);
    let file = disk.create(J, "f").unwrap();
    write(&file, 0, b"abc");
    let left = disk.kill(1);
    assert!(file.len().is_err());
    assert_eq!(left.contents(J, "f").unwrap(), b"abc");
    assert_eq!(left.power_off(2).contents(J, "f").unwrap(), b"abc", "it has been a while");
}

#[test]
fn the_same_seed_is_the_same_loss() {
    let (disk, file) = disk(&[0; 8192]);
    for at in 0..20 {
        write(&file, at * 300, &[1; 700]);
    }
    let left = after(&disk);
    assert!(left == after(&disk));
    assert!(left.iter().collect::<BTreeSet<_>>().len() > 100, "and another is another");
}

#[test]
fn what_is_left_is_durable() {
    let (disk, file) = disk(&[0; 8192]);
    write(&file, 0, &[1; 20_000]);
    disk.create(J, "g").unwrap();
    for seed in 0..50 {
        let left = disk.power_off(seed);
        let shown = (left.contents(J, "f"), left.names(J).unwrap());
        let again = left.power_off(seed + 1);
        assert!(shown == (again.contents(J, "f"), again.names(J).unwrap()));
    }
}

#[test]
fn a_copy_is_apart() {
    let (disk, file) = disk(b"x");
    write(&file, 0, b"y");
    disk.rename((J, "f"), (J, "g")).unwrap();
    let copy = disk.copy(1);
    disk.sync_folder(J).unwrap();
    file.sync_data().unwrap();
    write(&file, 0, b"z");
    assert_eq!(names_after(&copy), set(["fx ", "fy ", "gx ", "gy "]));
    assert_eq!(names_after(&disk), set(["gy ", "gz "]));
}

#[test]
fn work_is_counted() {
    let disk = Played::new(0);
    let file = disk.create(J, "f").unwrap();
    file.write_all_at(&[IoSlice::new(b"ab"), IoSlice::new(b"cde")], 0).unwrap();
    file.sync_data().unwrap();
    disk.sync_folder(J).unwrap();
    file.read_exact_at(&mut [0; 3], 0).unwrap();
    let counts = Counts { changes: 4, writes: 1, written_bytes: 5, reads: 1, read_bytes: 3, syncs: 1, folder_syncs: 1 };
    assert_eq!(disk.counts(), counts);
    let space = Space { free: 1, total: 2 };
    disk.set_space(space);
    assert_eq!(disk.space().unwrap(), space);
}

#[test]
fn a_file_with_holes_is_small() {
    let (disk, file) = disk(b"");
    file.allocate(64 << 20).unwrap();
    write(&file, 32 << 20, b"x");
    file.sync_data().unwrap();
    assert_eq!(content::lock(&file.node).pages(), 1);
    assert_eq!(disk.power_off(1).open(J, "f").unwrap().len().unwrap(), 64 << 20);
}
