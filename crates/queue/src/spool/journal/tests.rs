//! What the journal promises, on a disk that is played.

mod damage;
mod faults;
mod segments;

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::format::{GROUP_MAGIC, GroupHead, HEAD, PAGE, STEP, chained};
use super::*;
use crate::QueueError;
use crate::spool::vfs::played::Played;
use crate::spool::vfs::{Folder, VfsFile};

const CONFIG: Config = Config { segment: 64 << 10 };

/// Kind, record and body of the entries of a group.
type Group = Vec<(Kind, Vec<u8>, Vec<u8>)>;

struct Life {
    opened: Opened<Played>,
    /// What was replayed, with places.
    told: Vec<(Mark, Vec<Place>, Group)>,
}

impl Life {
    fn groups(&self) -> Vec<Group> {
        self.told.iter().map(|(_, _, group)| group.clone()).collect()
    }

    fn append(&mut self, group: &Group) -> Result<(Mark, Vec<Place>), QueueError> {
        self.opened.writer.append(&entries(group))
    }
}

fn entries(group: &Group) -> Vec<Entry> {
    let entry = |(kind, record, body): &(Kind, Vec<u8>, Vec<u8>)| {
        // In pieces, as texts come.
        let body = body.chunks(1_000).map(Bytes::copy_from_slice).collect();
        Entry::new(*kind, record.clone(), body)
    };
    group.iter().map(entry).collect()
}

fn disk() -> Arc<Played> {
    Arc::new(Played::new(1))
}

/// Opens the journal and reads all that is told of.
fn live(disk: &Arc<Played>) -> Life {
    live_behind(disk, None).expect("without a mark it can be opened")
}

fn live_behind(disk: &Arc<Played>, after: Option<Mark>) -> Option<Life> {
    let mut told = Vec::new();
    let opened = open(disk, CONFIG, after, &mut |mark, entries| {
        told.push((mark, entries.iter().map(|e| (e.kind, e.record.to_vec(), e.place)).collect::<Vec<_>>()));
        Ok(())
    });
    let opened = opened.expect("the disk is well")?;
    let told = told.into_iter().map(|(mark, entries)| {
        let mut group = Vec::new();
        for (kind, record, place) in &entries {
            let (as_kind, as_record, body) = opened.reader.whole(*place).expect("it was told of");
            assert_eq!((as_kind, &as_record[..]), (*kind, &record[..]));
            assert_eq!(opened.reader.record(*place).expect("it was told of"), (as_kind, as_record));
            group.push((*kind, record.clone(), body.to_vec()));
        }
        (mark, entries.iter().map(|entry| entry.2).collect(), group)
    });
    let told = told.collect();
    Some(Life { opened, told })
}

/// A group that differs from those of other numbers; its length in pages too.
fn group(n: usize) -> Group {
    let fill = |len: usize| (0..len).map(|at| (at * 7 + n * 13) as u8).collect::<Vec<u8>>();
    vec![
        (Kind::Units, format!("record {n}").into_bytes(), vec![]),
        (Kind::Message, fill(100 + n), fill(n * 1_700 % 9_000)),
        (Kind::Gate, vec![], fill(n % 3)),
    ]
}

fn any_group() -> impl Strategy<Value = Group> {
    let kinds = [Kind::Message, Kind::Units, Kind::Gate, Kind::Boot, Kind::Snapshot];
    let body = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..300),
        1 => (0usize..12_000, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
        1 => (0usize..9, 0usize..1_500).prop_map(|(from, times)| GROUP_MAGIC.repeat(times + 2)[from..].to_vec()),
    ];
    let entry = (prop::sample::select(kinds.to_vec()), prop::collection::vec(any::<u8>(), 0..200), body);
    prop::collection::vec(entry, 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_written_is_read(groups in prop::collection::vec(any_group(), 1..12), lives in 1usize..4) {
        let disk = disk();
        let (mut marks, mut boots) = (Vec::new(), vec![0]);
        for part in groups.chunks(groups.len().div_ceil(lives)) {
            let mut life = live(&disk);
            prop_assert_eq!(&life.groups()[..], &groups[..marks.len()]);
            prop_assert!(life.opened.boot > *boots.last().unwrap());
            boots.push(life.opened.boot);
            for group in part {
                let lens: Vec<_> = entries(group).iter().map(Entry::len).collect();
                let begins = life.opened.writer.begins_segment(lens.iter().sum());
                let before = disk.counts();
                let (mark, places) = life.append(group).unwrap();
                prop_assert_eq!(mark.lsn.boot(), life.opened.boot);
                prop_assert_eq!(u64::from(mark.offset) % PAGE, 0);
                prop_assert_eq!(u64::from(mark.offset) == PAGE, begins);
                prop_assert_eq!(places.iter().map(|place| u64::from(place.bytes)).collect::<Vec<_>>(), lens);
                if !begins {
                    let counts = disk.counts();
                    prop_assert_eq!((counts.writes - before.writes, counts.changes - before.changes), (1, 2));
                }
                for (place, (kind, record, body)) in places.iter().zip(group) {
                    let (as_kind, as_record, as_body) = life.opened.reader.whole(*place).unwrap();
                    prop_assert_eq!((as_kind, &as_record[..], &as_body[..]), (*kind, &record[..], &body[..]));
                }
                marks.push(mark);
            }
        }
        let life = live(&disk);
        prop_assert_eq!(life.groups(), &groups[..]);
        prop_assert_eq!(life.told.iter().map(|told| told.0).collect::<Vec<_>>(), &marks[..]);
        prop_assert!(life.opened.damaged.is_empty());
        let segments = life.opened.writer.segments();
        for (n, mark) in marks.iter().enumerate() {
            let life = live_behind(&disk, Some(*mark)).unwrap();
            prop_assert_eq!(life.groups(), &groups[n + 1..]);
            prop_assert_eq!(life.opened.writer.segments(), &segments[..], "what is in front of the mark is known too");
        }
        for segment in &segments {
            let last = marks.iter().rev().find(|mark| mark.segment == segment.number).map(|mark| mark.lsn);
            prop_assert_eq!(segment.last, last);
            prop_assert_eq!(segment.used > 0, last.is_some());
        }
    }
}

#[test]
fn numbers_go_up_by_one_and_begin_with_the_boot() {
    let disk = disk();
    let mut prev = Lsn(0);
    for boot in 1..4 {
        let mut life = live(&disk);
        assert_eq!(life.opened.boot, boot);
        for n in 0..3 {
            let (mark, _) = life.append(&group(1)).unwrap();
            assert_eq!(mark.lsn, Lsn((boot << 40) + n));
            let bytes = disk.contents(Folder::Journal, "0000000000000001.hkj").unwrap();
            let head = GroupHead::read(&bytes[mark.offset as usize..][..HEAD]).unwrap();
            assert_eq!((head.prev, head.lsn), (prev, mark.lsn));
            prev = mark.lsn;
        }
    }
}

#[test]
fn a_group_is_not_empty_and_not_longer_than_a_segment() {
    let disk = disk();
    let mut life = live(&disk);
    let room = CONFIG.segment - PAGE - HEAD as u64 - STEP as u64;
    let of = |len: u64| vec![(Kind::Message, vec![7; len as usize], vec![])];
    assert!(matches!(life.append(&vec![]), Err(QueueError::Invalid(_))));
    assert!(matches!(life.append(&of(room + 1)), Err(QueueError::Invalid(_))));
    assert!(life.opened.writer.begins_segment(1), "nothing is in it yet");
    let (mark, places) = life.append(&of(room)).unwrap();
    assert_eq!((mark.segment, u64::from(places[0].bytes)), (1, room + STEP as u64));
    assert!(life.opened.writer.begins_segment(1));
    assert_eq!(life.append(&of(room)).unwrap().0.segment, 2);
    assert_eq!(live(&disk).groups(), [of(room), of(room)]);
}

#[test]
fn a_mark_of_another_journal_is_not_found() {
    let disk = disk();
    assert!(live_behind(&disk, Some(mark(1, 1 << 40))).is_none());
    assert_eq!(disk.contents(Folder::Journal, "0000000000000001.hkj"), None, "nothing was done");
    let mut life = live(&disk);
    let (good, _) = life.append(&group(1)).unwrap();
    for bad in [
        Mark { lsn: Lsn(good.lsn.0 + 1), ..good },
        Mark { check: good.check ^ 1, ..good },
        Mark { offset: good.offset + PAGE as u32, ..good },
        Mark { offset: u32::MAX, ..good },
        Mark { segment: 2, ..good },
    ] {
        assert!(live_behind(&disk, Some(bad)).is_none(), "{bad:?}");
    }
    assert!(live_behind(&disk, Some(good)).is_some());
}

fn mark(segment: u32, lsn: u64) -> Mark {
    Mark { lsn: Lsn(lsn), segment, offset: PAGE as u32, check: 0 }
}

#[test]
fn what_replaying_refuses_is_told() {
    let disk = disk();
    live(&disk).append(&group(1)).unwrap();
    let opened = open(&disk, CONFIG, None, &mut |_, _| Err(QueueError::NotFound));
    assert!(opened.err().unwrap().to_string().contains("no such message"));
}

/// Whatever a text says, no page of its entry begins like a group.
#[test]
fn a_text_is_never_taken_for_a_group() {
    let disk = disk();
    let mut life = live(&disk);
    // A group that would fit: of the next boots, at the page where the text will have it.
    for (shift, page) in [(0, 2), (1, 7)] {
        let (page, number) = (page * PAGE as u32, 1);
        let (entry, _) = Entry::new(Kind::Gate, "forged", vec![]).head(number, page + HEAD as u32);
        let head = GroupHead {
            lsn: Lsn(9 << 40),
            prev: Lsn(0),
            length: 64,
            entries: 1,
            segment: number,
            offset: page,
            before: 0,
            chain: crc32fast::hash(chained(&entry)),
        };
        let forged = [&head.bytes()[..], &entry, b"forged", &[0; 26]].concat();
        // The text begins behind two headers, in the page before.
        let mut text = vec![b'x'; (shift + 1) * PAGE as usize - HEAD - STEP];
        text.extend_from_slice(&forged);
        text.resize(3 * PAGE as usize, b'y');
        let (mark, places) = life.append(&vec![(Kind::Message, vec![], text.clone())]).unwrap();
        assert_eq!(mark.offset + (shift as u32 + 1) * PAGE as u32, page);
        assert_eq!(life.opened.reader.whole(places[0]).unwrap().2, text);

        let mut bytes = disk.contents(Folder::Journal, "0000000000000001.hkj").unwrap();
        assert!(pages(&bytes[mark.offset as usize..]).skip(1).all(|page| !page.starts_with(&GROUP_MAGIC)));
        // With its header torn, the forged one would be the first that is found.
        bytes[mark.offset as usize] ^= 1;
        let torn = Arc::new(Played::new(2));
        torn.put(Folder::Journal, "0000000000000001.hkj", &bytes);
        assert_eq!(live(&torn).told.len(), shift);
    }
}

fn pages(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.chunks(PAGE as usize)
}

#[test]
fn a_mask_is_found_whatever_the_pages_begin_with() {
    // Each page excludes another mask; the first is one that must be masked.
    let mut text = Vec::new();
    for mask in 0..300u16 {
        let mask = mask.to_le_bytes();
        text.extend(GROUP_MAGIC.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 2]));
        text.resize(text.len() + PAGE as usize - 8, 1);
    }
    let start = PAGE as u32 - STEP as u32;
    let entry = Entry::new(Kind::Message, "", vec![Bytes::from(text)]);
    let (_, mask) = entry.head(1, start);
    assert_eq!(mask, 300);
    assert!(pages(&entry.masked(mask)).all(|page| !page.starts_with(&GROUP_MAGIC)));
}
