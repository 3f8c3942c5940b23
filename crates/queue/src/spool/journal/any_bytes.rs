//! Any bytes as segments, for the fuzzer.

use std::sync::Arc;

use bytes::Bytes;
use crc32fast::Hasher;

use super::format::{self, GROUP_MAGIC, HEAD, PAGE, STEP, SegmentHead};
use super::segments::name;
use super::{Config, Entry, Kind, Lsn, Mark, Opened, Place, open};
use crate::spool::vfs::Folder;
use crate::spool::vfs::played::Played;

type Told = Vec<(Mark, Vec<(Kind, Vec<u8>, Place)>)>;

const CONFIG: Config = Config { segment: 16 << 10 };

/// Opens a journal of these bytes: it never panics, what it tells of can be read, and what is written
/// to it afterwards is told behind that.
///
/// The first byte says how: 1 puts right headers and checksums of what has a group's magic, so that
/// what is behind them is met; 2 makes two segments of the bytes.
pub(crate) fn opens(data: &[u8]) {
    let Some((&how, bytes)) = data.split_first() else { return };
    let bytes = &bytes[..bytes.len().min(256 << 10)];
    let cut = if how & 2 == 0 { bytes.len() } else { bytes.len() / 2 / PAGE as usize * PAGE as usize };
    let disk = Arc::new(Played::new(0));
    for (number, part) in [(1, &bytes[..cut]), (2, &bytes[cut..])] {
        let mut part = part.to_vec();
        if how & 1 != 0 {
            put_right(&mut part, number);
        }
        if number == 1 || how & 2 != 0 {
            disk.put(Folder::Journal, &name(number), &part);
        }
    }
    let Some((old, mut opened)) = told(&disk, None) else { return };
    // Each byte is read a few times at most: looked at, read, told, and put aside.
    assert!(disk.counts().read_bytes <= 8 * bytes.len() as u64 + 64 * PAGE, "{:?}", disk.counts());
    for damage in &opened.damaged {
        let file = disk.contents(Folder::Journal, &damage.file).expect("damage is in a segment");
        let [from, to] = [damage.range.0, damage.range.1].map(|at| (at as usize).min(file.len()));
        let copy = disk.contents(Folder::Lost, &damage.copy);
        assert!(from == to || copy.is_some_and(|copy| copy.starts_with(&file[from..to])), "{damage:?}");
    }

    let body = Bytes::from(GROUP_MAGIC.repeat(600));
    let entries = [Entry::new(Kind::Boot, "boot", vec![]), Entry::new(Kind::Message, "record", vec![body.clone()])];
    let (mark, _) = opened.writer.append(&entries).expect("the disk is well");
    assert!(mark.lsn.boot() == opened.boot && old.iter().all(|(old, _)| old.lsn < mark.lsn));
    let (last, places) = opened.writer.append(&entries[1..]).expect("the disk is well");
    assert_eq!(opened.reader.whole(places[0]).expect("it was written").2, body);

    let Some((all, again)) = told(&disk, None) else {
        assert_eq!(opened.boot, Lsn(u64::MAX).boot(), "it could be opened, and this is not the last boot");
        return;
    };
    assert_eq!(all[..old.len()], old);
    assert_eq!(all[old.len()..].iter().map(|group| group.0).collect::<Vec<_>>(), [mark, last]);
    assert!(again.boot > opened.boot);
    let (rest, _) = told(&disk, Some(mark)).expect("it could be opened");
    assert_eq!(rest, all[all.len() - 1..]);
}

/// Opens it and reads what it tells of; none if it refuses.
fn told(disk: &Arc<Played>, after: Option<Mark>) -> Option<(Told, Opened<Played>)> {
    let mut told: Told = Vec::new();
    let opened = open(disk, CONFIG, after, &mut |mark, entries| {
        let own = entries.iter().map(|entry| (entry.kind, entry.record.to_vec(), entry.place));
        assert!(told.last().is_none_or(|(last, _)| last.lsn < mark.lsn));
        told.push((mark, own.collect()));
        Ok(())
    });
    let opened = opened.ok()?.expect("the mark is there");
    for (kind, record, place) in told.iter().flat_map(|(_, entries)| entries) {
        let (as_kind, as_record) = opened.reader.record(*place).expect("it was told of");
        assert_eq!((as_kind, &as_record[..]), (*kind, &record[..]));
        assert_eq!(opened.reader.whole(*place).expect("it was told of").1, as_record);
    }
    Some((told, opened))
}

/// Makes headers and checksums what they must be for the rest to count; an entry whose second byte
/// is not 0 keeps a wrong one.
fn put_right(segment: &mut [u8], number: u32) {
    if segment.len() >= PAGE as usize {
        segment[..PAGE as usize].copy_from_slice(&SegmentHead::page(number));
    }
    for page in (PAGE as usize..segment.len()).step_by(PAGE as usize) {
        let group = &mut segment[page..];
        if group.len() < HEAD || !group.starts_with(&GROUP_MAGIC) {
            continue;
        }
        let (mut chain, mut at) = (Hasher::new(), HEAD);
        let entries = format::u32_at(group, 32);
        for _ in 0..entries {
            let Some(entry) = group.get_mut(at..at + STEP) else { break };
            let spoilt = std::mem::take(&mut entry[1]) != 0;
            entry[12..16].copy_from_slice(&number.to_le_bytes());
            entry[16..20].copy_from_slice(&((page + at) as u32).to_le_bytes());
            let [record, body] = [4, 8].map(|at| format::u32_at(entry, at) as usize);
            let mask = [entry[2], entry[3]];
            let behind = at + STEP;
            if let Some(content) = group.get(behind..behind + record + body) {
                let plain: Vec<u8> = content.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 2]).collect();
                let check = crc32fast::hash(&plain[..record]) ^ u32::from(spoilt);
                group[at + 20..at + 24].copy_from_slice(&check.to_le_bytes());
                group[at + 24..at + 28].copy_from_slice(&crc32fast::hash(&plain[record..]).to_le_bytes());
            }
            seal(&mut group[at..behind]);
            chain.update(format::chained(&group[at..behind]));
            at = (behind + record + body).next_multiple_of(STEP);
        }
        group[36..40].copy_from_slice(&number.to_le_bytes());
        group[40..44].copy_from_slice(&(page as u32).to_le_bytes());
        group[48..52].copy_from_slice(&chain.finalize().to_le_bytes());
        seal(&mut group[..HEAD]);
    }
}

fn seal(bytes: &mut [u8]) {
    let at = bytes.len() - 4;
    let check = crc32fast::hash(&bytes[..at]);
    bytes[at..].copy_from_slice(&check.to_le_bytes());
}
