//! Segments come, are used again, and go.

use super::*;

fn files(disk: &Played) -> Vec<u32> {
    let names = disk.names(Folder::Journal).unwrap();
    names.iter().map(|name| u32::from_str_radix(&name[..16], 16).unwrap()).collect()
}

fn numbers(life: &Life) -> Vec<u32> {
    life.opened.writer.segments().iter().map(|segment| segment.number).collect()
}

/// Fills segments until this one is written to.
fn fill(life: &mut Life, until: u32) -> Vec<(Group, Mark, Vec<Place>)> {
    let mut filled = Vec::new();
    loop {
        let n = filled.len() % 7;
        let (mark, places) = life.append(&group(n)).unwrap();
        filled.push((group(n), mark, places));
        if mark.segment == until {
            return filled;
        }
    }
}

#[test]
fn one_is_laid_out_ahead_and_at_most_two_wait() {
    let disk = disk();
    let mut life = live(&disk);
    assert_eq!(files(&disk), [1]);
    life.opened.writer.prepare().unwrap();
    let counts = disk.counts();
    life.opened.writer.prepare().unwrap();
    assert_eq!(disk.counts(), counts, "it is there");
    assert_eq!(files(&disk), [1, 2]);
    assert!(matches!(life.opened.writer.retire_oldest(), Err(QueueError::Invalid(_))), "it is in use");
    let file = disk.open(Folder::Journal, "0000000000000002.hkj").unwrap();
    assert_eq!(file.len().unwrap(), CONFIG.segment);
    drop(file);

    fill(&mut life, 6);
    for (oldest, there) in [(1, vec![2, 3, 4, 5, 6, 7]), (2, vec![3, 4, 5, 6, 7, 8]), (3, vec![4, 5, 6, 7, 8])] {
        assert_eq!(numbers(&life)[0], oldest);
        life.opened.writer.retire_oldest().unwrap();
        assert_eq!(files(&disk), there);
        assert_eq!(numbers(&life), there);
    }
    let segments = life.opened.writer.segments();
    assert!(segments[..3].iter().all(|segment| segment.last.is_some() && segment.used > 0));
    assert!(segments[3..].iter().all(|segment| (segment.last, segment.used) == (None, 0)));
    let life = live(&disk);
    assert_eq!(life.opened.writer.segments(), segments);
}

/// What waits is used without a file being made or a folder synced: two calls for a group.
#[test]
fn a_group_in_a_segment_that_waited_is_one_write_and_one_sync() {
    let disk = disk();
    let mut life = live(&disk);
    fill(&mut life, 2);
    life.opened.writer.retire_oldest().unwrap();
    let before = disk.counts();
    let groups = fill(&mut life, 3).len() as u64;
    let counts = disk.counts();
    assert_eq!(counts.changes - before.changes, 2 * groups);
    assert_eq!((counts.syncs - before.syncs, counts.folder_syncs), (groups, before.folder_syncs));
}

#[test]
fn what_a_segment_held_before_is_not_read() {
    let disk = disk();
    let mut life = live(&disk);
    let mut all = fill(&mut life, 3);
    for until in [5, 7, 9, 11] {
        life.opened.writer.retire_oldest().unwrap();
        life.opened.writer.retire_oldest().unwrap();
        // In the middle of a segment whose rest is of an earlier life.
        let read = live(&disk);
        let from = numbers(&read)[0];
        all.retain(|(_, mark, _)| mark.segment >= from);
        assert_eq!(read.groups(), all.iter().map(|group| group.0.clone()).collect::<Vec<_>>());
        assert!(read.opened.damaged.is_empty());
        life = read;
        all.extend(fill(&mut life, until));
        assert_eq!(*files(&disk).last().unwrap(), until, "no other was laid out");
    }
}

#[test]
fn the_place_of_a_segment_that_left_is_nothing() {
    let disk = disk();
    let mut life = live(&disk);
    let all = fill(&mut life, 3);
    let reader = life.opened.reader.clone();
    // Held open, as by a reader that is at it just now.
    let old = life.opened.reader.whole(all[0].2[1]).unwrap();
    assert_eq!(old.2, all[0].0[1].2);
    life.opened.writer.retire_oldest().unwrap();
    for (_, mark, places) in &all {
        for place in places {
            let outcome = (reader.record(*place).err(), reader.whole(*place).err());
            match mark.segment {
                1 => {
                    assert_eq!(outcome.0.unwrap().kind(), std::io::ErrorKind::NotFound);
                    assert_eq!(outcome.1.unwrap().kind(), std::io::ErrorKind::NotFound);
                }
                _ => assert!(outcome.0.is_none() && outcome.1.is_none()),
            }
        }
    }
    // The same place in the segment that it became: the entry is another's.
    for place in all.iter().filter(|group| group.1.segment == 1).flat_map(|group| &group.2) {
        let there = Place { segment: 4, ..*place };
        assert_eq!(reader.record(there).unwrap_err().kind(), std::io::ErrorKind::InvalidData);
        assert_eq!(reader.whole(there).unwrap_err().kind(), std::io::ErrorKind::InvalidData);
    }
}

#[test]
fn an_entry_is_what_was_written_or_an_error() {
    let disk = disk();
    let mut life = live(&disk);
    let long =
        vec![(Kind::Message, vec![5; 6_000], vec![6; 3_000]), (Kind::Units, vec![1; 40], GROUP_MAGIC.repeat(1_000))];
    let (_, places) = life.append(&long).unwrap();
    let bytes = disk.contents(Folder::Journal, "0000000000000001.hkj").unwrap();
    for (place, (kind, record, body)) in places.iter().zip(&long) {
        let reader = &life.opened.reader;
        let (as_kind, as_record) = reader.record(*place).unwrap();
        assert_eq!((as_kind, &as_record[..]), (*kind, &record[..]));
        assert_eq!(&reader.whole(*place).unwrap().2[..], &body[..]);
        for wrong in [
            Place { bytes: place.bytes - 32, ..*place },
            Place { bytes: place.bytes + 32, ..*place },
            Place { bytes: 0, ..*place },
            Place { bytes: u32::MAX, ..*place },
            Place { offset: place.offset + 32, ..*place },
            Place { offset: 0, ..*place },
            Place { offset: u32::MAX - 31, ..*place },
        ] {
            assert_eq!(reader.record(wrong).unwrap_err().kind(), std::io::ErrorKind::InvalidData, "{wrong:?}");
            assert_eq!(reader.whole(wrong).unwrap_err().kind(), std::io::ErrorKind::InvalidData, "{wrong:?}");
        }
        let range = place.offset as usize..(place.offset + place.bytes) as usize;
        for at in range.clone().take(100).chain(range.clone().step_by(97)).chain([range.end - 1]) {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x40;
            let other = Arc::new(Played::new(3));
            other.put(Folder::Journal, "0000000000000001.hkj", &bytes);
            let reader = Reader::new(Arc::new(super::super::segments::Files::new(other)));
            assert_eq!(reader.whole(*place).unwrap_err().kind(), std::io::ErrorKind::InvalidData, "{at}");
            let in_record = at < range.start + STEP + record.len();
            assert_eq!(reader.record(*place).is_err(), in_record, "{at}");
        }
    }
}

#[test]
fn the_cleaner_sees_the_entries_of_a_segment() {
    let disk = disk();
    let mut life = live(&disk);
    let all = fill(&mut life, 3);
    let seen = |life: &Life, number| {
        let mut seen = Vec::new();
        life.opened.reader.entries(number, &mut |entry| {
            seen.push((entry.kind, entry.record.to_vec(), entry.place));
            Ok(())
        })?;
        Ok::<_, QueueError>(seen)
    };
    let expected = |number| {
        let of = all.iter().filter(move |(_, mark, _)| mark.segment == number);
        let of = of.flat_map(|(group, _, places)| group.iter().zip(places));
        of.map(|((kind, record, _), place)| (*kind, record.clone(), *place)).collect::<Vec<_>>()
    };
    for number in 1..=3 {
        assert_eq!(seen(&life, number).unwrap(), expected(number));
    }
    let refused = life.opened.reader.entries(1, &mut |_| Err(QueueError::LeaseLost));
    assert!(matches!(refused, Err(QueueError::LeaseLost)));
    life.opened.writer.retire_oldest().unwrap();
    assert!(seen(&life, 1).is_err());
    assert_eq!(seen(&life, 4).unwrap(), [], "what the first one held is not the fourth's");
}

#[test]
fn another_version_is_left_as_it_is() {
    let disk = disk();
    live(&disk).append(&group(1)).unwrap();
    let mut bytes = disk.contents(Folder::Journal, "0000000000000001.hkj").unwrap();
    bytes[8] = 2;
    let check = crc32fast::hash(&bytes[..HEAD - 4]);
    bytes[HEAD - 4..HEAD].copy_from_slice(&check.to_le_bytes());
    disk.put(Folder::Journal, "0000000000000001.hkj", &bytes);
    let error = open(&disk, CONFIG, None, &mut |_, _| panic!("nothing is read")).err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
    assert!(error.to_string().contains("0000000000000001.hkj is of version 2"), "{error}");
    assert_eq!(disk.contents(Folder::Journal, "0000000000000001.hkj").unwrap(), bytes);
}

#[test]
fn other_files_are_left_alone() {
    let disk = disk();
    for name in ["0000000000000001.hkj~", "lock", "1.hkj", "000000000000000A.hkj"] {
        disk.put(Folder::Journal, name, b"x");
    }
    live(&disk).append(&group(1)).unwrap();
    live(&disk);
    let names = disk.names(Folder::Journal).unwrap();
    assert_eq!(names, ["0000000000000001.hkj", "0000000000000001.hkj~", "000000000000000A.hkj", "1.hkj", "lock"]);
}

/// What the power took while a segment was laid out or taken again is of no use, and goes.
#[test]
fn a_segment_that_is_not_laid_out_is_removed_and_its_number_not_used_again() {
    let disk = disk();
    let mut life = live(&disk);
    life.append(&group(1)).unwrap();
    let first = disk.contents(Folder::Journal, "0000000000000001.hkj").unwrap();
    let short = &super::super::format::SegmentHead::page(2)[..];
    for rest in [&[][..], &[0; 9_000], &first, short] {
        disk.put(Folder::Journal, "0000000000000002.hkj", rest);
        let life = live(&disk);
        assert_eq!(life.groups(), [group(1)]);
        assert_eq!((files(&disk), numbers(&life)), (vec![1], vec![1]));
        assert!(life.opened.damaged.is_empty());
    }
    disk.put(Folder::Journal, "0000000000000002.hkj", short);
    let mut life = live(&disk);
    life.opened.writer.prepare().unwrap();
    assert_eq!(files(&disk), [1, 3]);
    // The only one, too.
    let empty = Arc::new(Played::new(1));
    empty.put(Folder::Journal, "0000000000000001.hkj", &[0; 9_000]);
    live(&empty).append(&group(1)).unwrap();
    assert_eq!((files(&empty), live(&empty).groups()), (vec![2], vec![group(1)]));
}

#[test]
fn segments_of_another_length_are_read_and_not_used_again() {
    let disk = disk();
    let mut life = live(&disk);
    let mut all = fill(&mut life, 3);
    life.opened.writer.prepare().unwrap();
    let config = Config { segment: 128 << 10 };
    let mut told = 0;
    let mut opened = open(&disk, config, None, &mut |_, _| {
        told += 1;
        Ok(())
    });
    let opened = opened.as_mut().unwrap().as_mut().unwrap();
    assert_eq!((told, files(&disk)), (all.len(), vec![1, 2, 3]), "the one that waited is too short now");
    for n in 0..40 {
        let (mark, _) = opened.writer.append(&entries(&group(n % 7))).unwrap();
        all.push((group(n % 7), mark, vec![]));
    }
    opened.writer.retire_oldest().unwrap();
    assert!(!files(&disk).contains(&1) && files(&disk).iter().all(|number| *number < 10));
    let left = all.into_iter().filter(|(_, mark, _)| mark.segment > 1).map(|(group, ..)| group);
    assert_eq!(live(&disk).groups(), left.collect::<Vec<_>>());
}

#[test]
fn a_journal_that_counts_no_more_starts_says_so() {
    let disk = disk();
    live(&disk).append(&group(1)).unwrap();
    let mut bytes = disk.contents(Folder::Journal, "0000000000000001.hkj").unwrap();
    let at = PAGE as usize;
    let mut head = GroupHead::read(&bytes[at..at + HEAD]).unwrap();
    head.lsn = Lsn(u64::MAX);
    bytes[at..at + HEAD].copy_from_slice(&head.bytes());
    disk.put(Folder::Journal, "0000000000000001.hkj", &bytes);
    let opened = open(&disk, CONFIG, None, &mut |_, _| Ok(()));
    assert!(opened.err().unwrap().to_string().contains("counts no more starts"));
}
