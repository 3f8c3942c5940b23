//! Torn ends, and what became unreadable in the middle.

use super::*;

const FILE: &str = "0000000000000001.hkj";

/// Groups 1 to 4 in the first segment, and its bytes.
struct Written {
    bytes: Vec<u8>,
    marks: Vec<Mark>,
    places: Vec<Vec<Place>>,
}

fn written() -> Written {
    let disk = disk();
    let mut life = live(&disk);
    let (marks, places) = (1..=4).map(|n| life.append(&group(n)).unwrap()).unzip();
    Written { bytes: disk.contents(Folder::Journal, FILE).unwrap(), marks, places }
}

impl Written {
    /// From where to where a group goes, without the zeros behind it.
    fn range(&self, n: usize) -> std::ops::Range<usize> {
        let last = self.places[n - 1].last().unwrap();
        self.marks[n - 1].offset as usize..(last.offset + last.bytes) as usize
    }

    fn pages(&self, n: usize) -> (u64, u64) {
        let range = self.range(n);
        (range.start as u64, (range.end as u64).next_multiple_of(PAGE))
    }
}

fn with(bytes: &[u8]) -> Arc<Played> {
    let disk = disk();
    disk.put(Folder::Journal, FILE, bytes);
    disk
}

/// These groups are told of, and after another one they and that are.
fn tells(disk: &Arc<Played>, expected: &[Group]) -> Vec<Damage> {
    let mut life = live(disk);
    assert_eq!(life.groups(), expected);
    let damaged = life.opened.damaged.clone();
    for damage in damaged.iter().filter(|damage| damage.range.0 < damage.range.1) {
        let bytes = disk.contents(Folder::Journal, &damage.file).unwrap();
        let range = damage.range.0 as usize..damage.range.1 as usize;
        assert_eq!(disk.contents(Folder::Lost, &damage.copy).unwrap(), bytes[range]);
    }
    life.append(&group(9)).unwrap();
    let again = live(disk);
    assert_eq!(again.groups(), [expected, &[group(9)]].concat());
    assert_eq!(again.opened.damaged, damaged, "it is still there");
    assert!(again.opened.boot > life.opened.boot);
    damaged
}

#[test]
fn a_last_group_that_was_cut_at_any_byte_is_dropped() {
    let written = written();
    let (start, end) = (written.range(4).start, written.range(4).end);
    for len in start..end {
        assert_eq!(tells(&with(&written.bytes[..len]), &[group(1), group(2), group(3)]), [], "{len}");
    }
    assert_eq!(tells(&with(&written.bytes[..end]), &[1, 2, 3, 4].map(group)), []);
}

#[test]
fn a_last_group_with_zeros_or_garbage_in_it_is_dropped() {
    let written = written();
    let range = written.range(4);
    for (at, fill) in range.clone().step_by(STEP).flat_map(|at| [(at, 0), (at, 0xf2), (at, 1)]) {
        let mut bytes = written.bytes.clone();
        bytes[at..range.end.min(at + 512)].fill(fill);
        if bytes != written.bytes {
            assert_eq!(tells(&with(&bytes), &[group(1), group(2), group(3)]), [], "{at} {fill}");
        }
    }
}

#[test]
fn each_byte_of_the_last_group_counts() {
    let written = written();
    for at in written.range(4) {
        let mut bytes = written.bytes.clone();
        bytes[at] ^= 0x10;
        let life = live(&with(&bytes));
        assert_eq!((life.told.len(), life.opened.damaged), (3, vec![]), "{at}");
    }
}

/// A bit that flips in a record or text takes one entry, in a header of an entry the group.
#[test]
fn what_follows_a_flipped_bit_is_read() {
    let written = written();
    let place_at = |n: usize, at: u32| {
        written.places[n - 1].iter().position(|p| (p.offset..p.offset + p.bytes).contains(&at)).map(|of| {
            let place = written.places[n - 1][of];
            (of, u64::from(place.offset)..u64::from(place.offset + place.bytes), at < place.offset + STEP as u32)
        })
    };
    for n in [1, 2, 3] {
        for at in written.range(n).step_by(37).chain(written.range(n).take(200)) {
            let mut bytes = written.bytes.clone();
            bytes[at] ^= 0x04;
            let (mut groups, mut range) = ([1, 2, 3, 4].map(group).to_vec(), written.pages(n));
            match place_at(n, at as u32) {
                Some((of, place, false)) => {
                    groups[n - 1].remove(of);
                    range = (place.start, place.end);
                }
                _ => drop(groups.remove(n - 1)),
            }
            let damaged = tells(&with(&bytes), &groups);
            assert_eq!(damaged.len(), 1, "{damaged:?}");
            assert_eq!((damaged[0].file.as_str(), damaged[0].range), (FILE, range));
            assert_eq!(damaged[0].copy, format!("0000000000000001.{}", range.0));
        }
    }
}

#[test]
fn what_follows_a_hole_is_read() {
    let written = written();
    for (from, to) in [(1, 1), (1, 3), (2, 2), (2, 3), (3, 3)] {
        let (start, end) = (written.pages(from).0, written.pages(to).1);
        for fill in [0, 0xf2] {
            let mut bytes = written.bytes.clone();
            bytes[start as usize..end as usize].fill(fill);
            let left: Vec<_> = (1..=4).filter(|n| !(from..=to).contains(n)).map(group).collect();
            let damaged = tells(&with(&bytes), &left);
            assert_eq!(damaged.len(), 1);
            assert_eq!((damaged[0].range, damaged[0].why), ((start, end), "groups in it cannot be read"));
        }
    }
}

/// One group may have been in flight; what is in front of it was not.
#[test]
fn at_the_end_only_one_group_is_torn() {
    let written = written();
    let flip = |at: &[usize]| {
        let mut bytes = written.bytes.clone();
        at.iter().for_each(|at| bytes[*at] ^= 1);
        with(&bytes)
    };
    let ends = [3, 4].map(|n| written.range(n).end - 33);
    let headers = [3, 4].map(|n| written.range(n).start + HEAD);
    // The text of an entry in group 3, and group 4.
    let mut short = group(3);
    let text = written.places[2][1].offset as usize + STEP;
    short.remove(1);
    let damaged = tells(&flip(&[text, ends[1]]), &[group(1), group(2), short]);
    assert_eq!(damaged.len(), 1);
    // All of group 3, and the header of an entry of group 4, whose own header still says that there was one.
    let damaged = tells(&flip(&[headers[0], headers[1]]), &[group(1), group(2)]);
    assert_eq!(damaged[0].range, written.pages(3));
    // Nothing says that there was a group 4.
    assert_eq!(tells(&flip(&[headers[0], written.range(4).start]), &[group(1), group(2)]), []);
}

#[test]
fn a_lost_segment_is_noticed() {
    let disk = disk();
    let mut life = live(&disk);
    let groups: Vec<_> = (0..60).map(|n| group(n % 7)).collect();
    let marks: Vec<_> = groups.iter().map(|group| life.append(group).unwrap().0).collect();
    assert!(marks.last().unwrap().segment > 4);
    let without = |number: u32| {
        let left = groups.iter().zip(&marks).filter(move |(_, mark)| mark.segment != number);
        left.map(|(group, _)| group.clone()).collect::<Vec<_>>()
    };
    for number in 2..5 {
        let copy = Arc::new(disk.copy(1));
        copy.remove(Folder::Journal, &format!("{number:016x}.hkj")).unwrap();
        let damaged = tells(&copy, &without(number));
        assert_eq!(damaged.len(), 1);
        assert_eq!(damaged[0].range, (PAGE, PAGE));
        assert_eq!((damaged[0].copy.as_str(), damaged[0].why), ("", "groups in front of this are missing"));
    }
    // One that is cut to nothing, and one whose groups are garbage, up to the end.
    for (number, fill) in [(2, None), (3, Some(9))] {
        let file = format!("{number:016x}.hkj");
        let mut bytes = disk.contents(Folder::Journal, &file).unwrap();
        match fill {
            None => bytes.clear(),
            Some(fill) => bytes[PAGE as usize..].fill(fill),
        }
        let copy = Arc::new(disk.copy(1));
        copy.put(Folder::Journal, &file, &bytes);
        let damaged = tells(&copy, &without(number));
        assert_eq!(damaged.len(), 1);
        let expected = fill.map_or((PAGE, PAGE), |_| (PAGE, CONFIG.segment));
        assert_eq!(damaged[0].range, expected);
    }
}

#[test]
fn groups_are_read_though_the_header_of_their_segment_is_not() {
    let mut written = written();
    for fill in [0, 9] {
        written.bytes[..PAGE as usize].fill(fill);
        let damaged = tells(&with(&written.bytes), &[1, 2, 3, 4].map(group));
        assert_eq!(damaged.len(), 1);
        assert_eq!((damaged[0].range, damaged[0].copy.as_str()), ((0, PAGE), "0000000000000001.0"));
    }
}

/// The page before was written by an earlier group that came to nothing, or by a torn one.
#[test]
fn remains_of_another_group_are_not_taken_for_a_part() {
    let written = written();
    // Two groups of the same lengths at the same place, the second over the first.
    let (disk_of_two, two) = (disk(), |fill| vec![(Kind::Message, vec![fill; 5_000], vec![]); 3]);
    live(&disk_of_two).append(&two(1)).unwrap();
    let first = disk_of_two.contents(Folder::Journal, FILE).unwrap();
    let fresh = disk();
    live(&fresh).append(&two(2)).unwrap();
    let second = fresh.contents(Folder::Journal, FILE).unwrap();
    for page in 2..5 {
        let mut mixed = second.clone();
        let at = page * PAGE as usize;
        mixed[at..].copy_from_slice(&first[at..]);
        assert_eq!(live(&with(&mixed)).told.len(), 0, "{page}");
    }
    // Entries that are right, of another group: only the checksum over all headers tells.
    let entry = |fill| vec![(Kind::Message, vec![fill; 8], vec![]); 200];
    let disks = [1, 2].map(|fill| {
        let disk = disk();
        live(&disk).append(&entry(fill)).unwrap();
        disk.contents(Folder::Journal, FILE).unwrap()
    });
    let mut mixed = disks[1].clone();
    mixed[2 * PAGE as usize..].copy_from_slice(&disks[0][2 * PAGE as usize..]);
    let life = live(&with(&mixed));
    assert_eq!((life.told.len(), life.opened.damaged), (0, vec![]));
    assert!(written.marks[0].lsn < written.marks[1].lsn);
}

#[test]
fn a_group_elsewhere_is_none() {
    let written = written();
    let (from, to) = written.pages(2);
    let mut bytes = written.bytes.clone();
    bytes.copy_within(from as usize..to as usize, written.pages(4).1 as usize);
    assert_eq!(tells(&with(&bytes), &[1, 2, 3, 4].map(group)), []);
    // And in another segment: all of the first as the second.
    let disk = with(&written.bytes);
    disk.put(Folder::Journal, "0000000000000002.hkj", &written.bytes);
    assert_eq!(tells(&disk, &[1, 2, 3, 4].map(group)), []);
}

#[test]
fn a_torn_group_and_then_another_boot() {
    let written = written();
    let mut bytes = written.bytes.clone();
    let last = written.range(4);
    bytes[last.end - 40] ^= 1;
    let disk = with(&bytes);
    for n in 5..8 {
        let mut life = live(&disk);
        let (mark, _) = life.append(&group(n)).unwrap();
        assert_eq!(mark.lsn.0, life.opened.boot << 40, "a boot is not used twice, even if nothing of it was read");
        assert!(life.opened.damaged.is_empty());
        if n == 5 {
            assert_eq!(mark.offset as usize, last.start);
        }
    }
    assert_eq!(live(&disk).groups(), [1, 2, 3, 5, 6, 7].map(group));
}

/// The next boot's group has no room where the torn one is.
#[test]
fn a_torn_group_and_then_another_segment() {
    for torn in [true, false] {
        let disk = disk();
        let mut life = live(&disk);
        let long = |fill| vec![(Kind::Message, vec![fill; 30_000], vec![])];
        life.append(&long(1)).unwrap();
        let (mark, _) = life.append(&group(2)).unwrap();
        let mut bytes = disk.contents(Folder::Journal, FILE).unwrap();
        if torn {
            bytes[mark.offset as usize + 200] ^= 1;
            disk.put(Folder::Journal, FILE, &bytes);
        }
        let (next, _) = live(&disk).append(&long(3)).unwrap();
        assert_eq!((next.segment, next.offset), (2, PAGE as u32));
        let page = &disk.contents(Folder::Journal, FILE).unwrap()[mark.offset as usize..][..PAGE as usize];
        assert_eq!(page.iter().all(|byte| *byte == 0), torn, "it can never become whole");
        let mut expected = vec![long(1), group(2), long(3)];
        if torn {
            expected.remove(1);
        }
        assert_eq!(tells(&disk, &expected), []);
    }
}

#[test]
fn a_page_that_looks_like_many_groups_is_read_a_few_times() {
    // Each page has the header of a group that reaches to the end, and none is whole.
    let len = 4 << 20;
    let mut bytes = written().bytes;
    bytes.truncate(PAGE as usize);
    bytes.resize(len, 0);
    for page in (PAGE as usize..len).step_by(PAGE as usize) {
        let head = GroupHead {
            lsn: Lsn((1 << 40) + page as u64),
            prev: Lsn(1),
            length: (len - page - HEAD) as u64,
            entries: 1,
            segment: 1,
            offset: page as u32,
            before: 0,
            chain: 0,
        };
        bytes[page..page + HEAD].copy_from_slice(&head.bytes());
    }
    let disk = with(&bytes);
    assert_eq!(live(&disk).told.len(), 0);
    let counts = disk.counts();
    assert!(counts.read_bytes <= 4 * len as u64, "{counts:?}");
}
