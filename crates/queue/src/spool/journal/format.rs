//! The bytes of segments, groups and entries.

use std::borrow::Cow;
use std::collections::BTreeSet;

use bytes::Bytes;
use crc32fast::Hasher;

use super::{Kind, Lsn, Mark, Place, Replayed};

/// What a disk writes as one, as far as we rely on it: groups begin on it.
pub(super) const PAGE: u64 = 4096;

/// The greatest length of a group in bytes, with its header.
pub(crate) const GROUP: u64 = 16 << 20;

/// The length of a group's header, and of what is said in a segment's.
pub(super) const HEAD: usize = 64;

/// The length of an entry's header, and what its length is a multiple of: so no header of an entry
/// crosses a page.
pub(super) const STEP: usize = 32;

const SEGMENT_MAGIC: [u8; 8] = *b"\xf1hkjseg\n";
/// Without a zero, so that it never runs into padding, and beginning as no entry does.
pub(super) const GROUP_MAGIC: [u8; 8] = *b"\xf2hkjgrp\n";

const VERSION: u32 = 1;

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].try_into().map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 8].try_into().map_or(0, u64::from_le_bytes)
}

/// Puts the checksum of what is in front of it into the last four bytes.
fn seal<const N: usize>(mut bytes: [u8; N]) -> [u8; N] {
    let check = crc32fast::hash(&bytes[..N - 4]);
    bytes[N - 4..].copy_from_slice(&check.to_le_bytes());
    bytes
}

fn sealed(bytes: &[u8]) -> bool {
    let (inside, check) = bytes.split_at(bytes.len() - 4);
    crc32fast::hash(inside) == u32_at(check, 0)
}

/// What the checksum over an entry's header is made of. Not its own checksum: with that, every header
/// would add the same.
pub(super) fn chained(entry: &[u8]) -> &[u8] {
    &entry[..STEP - 4]
}

/// What the first page of a segment says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SegmentHead {
    /// It is the segment of this number.
    Number(u32),
    /// It was written by another version.
    Version(u32),
    /// Nothing that can be read.
    Bad,
}

impl SegmentHead {
    pub(super) fn page(number: u32) -> Vec<u8> {
        let mut head = [0; HEAD];
        head[..8].copy_from_slice(&SEGMENT_MAGIC);
        head[8..12].copy_from_slice(&VERSION.to_le_bytes());
        head[12..16].copy_from_slice(&number.to_le_bytes());
        let mut page = seal(head).to_vec();
        page.resize(PAGE as usize, 0);
        page
    }

    pub(super) fn read(head: &[u8; HEAD]) -> Self {
        match (head.starts_with(&SEGMENT_MAGIC) && sealed(head), u32_at(head, 8)) {
            (false, _) => Self::Bad,
            (true, VERSION) => Self::Number(u32_at(head, 12)),
            (true, other) => Self::Version(other),
        }
    }
}

/// The header of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GroupHead {
    pub(super) lsn: Lsn,
    /// The group before; 0 in front of the first.
    pub(super) prev: Lsn,
    /// The bytes of its entries.
    pub(super) length: u64,
    pub(super) entries: u32,
    pub(super) segment: u32,
    pub(super) offset: u32,
    /// Where the group before ended, in its segment.
    pub(super) before: u32,
    /// The checksum over the headers of its entries.
    pub(super) chain: u32,
}

impl GroupHead {
    pub(super) fn bytes(&self) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        head[..8].copy_from_slice(&GROUP_MAGIC);
        head[8..16].copy_from_slice(&self.lsn.0.to_le_bytes());
        head[16..24].copy_from_slice(&self.prev.0.to_le_bytes());
        head[24..32].copy_from_slice(&self.length.to_le_bytes());
        head[32..36].copy_from_slice(&self.entries.to_le_bytes());
        head[36..40].copy_from_slice(&self.segment.to_le_bytes());
        head[40..44].copy_from_slice(&self.offset.to_le_bytes());
        head[44..48].copy_from_slice(&self.before.to_le_bytes());
        head[48..52].copy_from_slice(&self.chain.to_le_bytes());
        seal(head)
    }

    /// The header in these bytes, if there is one; where it is said to stand is not looked at.
    pub(super) fn read(head: &[u8]) -> Option<Self> {
        if head.len() != HEAD || !head.starts_with(&GROUP_MAGIC) || !sealed(head) {
            return None;
        }
        Some(Self {
            lsn: Lsn(u64_at(head, 8)),
            prev: Lsn(u64_at(head, 16)),
            length: u64_at(head, 24),
            entries: u32_at(head, 32),
            segment: u32_at(head, 36),
            offset: u32_at(head, 40),
            before: u32_at(head, 44),
            chain: u32_at(head, 48),
        })
    }

    /// Its length with the header, if a group can be so long.
    pub(super) fn total(&self) -> Option<u64> {
        let least = u64::from(self.entries) * STEP as u64;
        (self.entries > 0 && (least..=GROUP - HEAD as u64).contains(&self.length)).then(|| self.length + HEAD as u64)
    }

    /// Whether it was written to this place.
    pub(super) fn stands_at(&self, segment: u32, offset: u64) -> bool {
        (self.segment, u64::from(self.offset)) == (segment, offset)
    }

    pub(super) fn mark(&self) -> Mark {
        Mark { lsn: self.lsn, segment: self.segment, offset: self.offset, check: u32_at(&self.bytes(), HEAD - 4) }
    }
}

/// An entry to be written; its checksums are made where it is made, not where it is written.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    kind: Kind,
    pub(super) record: Bytes,
    pub(super) body: Vec<Bytes>,
    body_len: usize,
    record_check: u32,
    body_check: u32,
}

impl Entry {
    pub(crate) fn new(kind: Kind, record: impl Into<Bytes>, body: Vec<Bytes>) -> Self {
        let record = record.into();
        let mut check = Hasher::new();
        body.iter().for_each(|part| check.update(part));
        Self {
            kind,
            record_check: crc32fast::hash(&record),
            body_check: check.finalize(),
            body_len: body.iter().map(Bytes::len).sum(),
            record,
            body,
        }
    }

    /// How many bytes it takes in the journal, with header and padding.
    pub(crate) fn len(&self) -> u64 {
        (STEP + self.content()).next_multiple_of(STEP) as u64
    }

    fn content(&self) -> usize {
        self.record.len() + self.body_len
    }

    /// How many zeros stand behind it.
    pub(super) fn padding(&self) -> usize {
        self.len() as usize - STEP - self.content()
    }

    /// Its header at this place, with the mask that it must be written with.
    pub(super) fn head(&self, segment: u32, offset: u32) -> ([u8; STEP], u16) {
        let mask = self.mask(u64::from(offset) + STEP as u64);
        let mut head = [0; STEP];
        head[0] = self.kind as u8;
        head[2..4].copy_from_slice(&mask.to_le_bytes());
        // A group holds less than 4 GiB.
        head[4..8].copy_from_slice(&(self.record.len() as u32).to_le_bytes());
        head[8..12].copy_from_slice(&(self.body_len as u32).to_le_bytes());
        head[12..16].copy_from_slice(&segment.to_le_bytes());
        head[16..20].copy_from_slice(&offset.to_le_bytes());
        head[20..24].copy_from_slice(&self.record_check.to_le_bytes());
        head[24..28].copy_from_slice(&self.body_check.to_le_bytes());
        (seal(head), mask)
    }

    /// What is written of it under this mask: a copy, which hardly ever must be made.
    pub(super) fn masked(&self, mask: u16) -> Vec<u8> {
        let mut content = Vec::with_capacity(self.content());
        content.extend_from_slice(&self.record);
        self.body.iter().for_each(|part| content.extend_from_slice(part));
        unmask(&mut content, 0, mask);
        content
    }

    /// A mask with which none of its pages begins like a group, if its content begins at `start`.
    fn mask(&self, start: u64) -> u16 {
        let first = (start.next_multiple_of(PAGE) - start) as usize;
        let words = || (first..self.content()).step_by(PAGE as usize).map(|at| self.word(at));
        if words().all(|word| word != GROUP_MAGIC) {
            return 0;
        }
        let bad = |word: [u8; 8]| {
            let differs: [u8; 8] = std::array::from_fn(|at| word[at] ^ GROUP_MAGIC[at]);
            let mask = [differs[0], differs[1]];
            differs.chunks_exact(2).all(|pair| pair == mask).then(|| u16::from_le_bytes(mask))
        };
        let bad: BTreeSet<u16> = words().filter_map(bad).collect();
        (1..=u16::MAX).find(|mask| !bad.contains(mask)).expect("a group has fewer pages than there are masks")
    }

    /// Eight bytes of the content from here on, zeros behind its end.
    fn word(&self, mut at: usize) -> [u8; 8] {
        let (mut word, mut filled) = ([0; 8], 0);
        for part in std::iter::once(&self.record).chain(&self.body) {
            if let Some(rest) = part.get(at..) {
                let take = rest.len().min(8 - filled);
                word[filled..filled + take].copy_from_slice(&rest[..take]);
                filled += take;
                if filled == 8 {
                    break;
                }
            }
            at = at.saturating_sub(part.len());
        }
        word
    }
}

fn unmask(content: &mut [u8], from: usize, mask: u16) {
    let mask = mask.to_le_bytes();
    content.iter_mut().enumerate().for_each(|(at, byte)| *byte ^= mask[(from + at) % 2]);
}

/// The header of an entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct EntryHead {
    pub(super) kind: Kind,
    mask: u16,
    pub(super) record: u32,
    pub(super) body: u32,
    segment: u32,
    offset: u32,
    record_check: u32,
    body_check: u32,
}

impl EntryHead {
    pub(super) fn read(head: &[u8]) -> Option<Self> {
        if head.len() != STEP || !sealed(head) {
            return None;
        }
        let kind = match head[0] {
            1 => Kind::Message,
            2 => Kind::Units,
            3 => Kind::Gate,
            4 => Kind::Boot,
            5 => Kind::Snapshot,
            _ => return None,
        };
        Some(Self {
            kind,
            mask: u16::from_le_bytes([head[2], head[3]]),
            record: u32_at(head, 4),
            body: u32_at(head, 8),
            segment: u32_at(head, 12),
            offset: u32_at(head, 16),
            record_check: u32_at(head, 20),
            body_check: u32_at(head, 24),
        })
    }

    /// Where it stands by its own words; none if no entry can be so long.
    pub(super) fn place(&self) -> Option<Place> {
        let bytes = (STEP as u64 + u64::from(self.record) + u64::from(self.body)).next_multiple_of(STEP as u64);
        (bytes <= GROUP).then_some(Place { segment: self.segment, offset: self.offset, bytes: bytes as u32 })
    }

    /// Takes the mask off the record, which is what these bytes are, and checks it.
    pub(super) fn record<'a>(&self, stored: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let record = self.plain(stored, 0);
        (crc32fast::hash(&record) == self.record_check).then_some(record)
    }

    /// The same of the body.
    pub(super) fn body<'a>(&self, stored: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let body = self.plain(stored, self.record as usize);
        (crc32fast::hash(&body) == self.body_check).then_some(body)
    }

    fn plain<'a>(&self, stored: &'a [u8], from: usize) -> Cow<'a, [u8]> {
        let mut plain = Cow::Borrowed(stored);
        if self.mask != 0 {
            unmask(plain.to_mut(), from, self.mask);
        }
        plain
    }
}

/// An entry of a group.
#[derive(Debug)]
pub(super) struct Read<'a> {
    kind: Kind,
    record: Cow<'a, [u8]>,
    place: Place,
}

impl Read<'_> {
    pub(super) fn replayed(&self) -> Replayed<'_> {
        Replayed { kind: self.kind, record: &self.record, place: self.place }
    }
}

/// What can be read of a group whose header can.
#[derive(Debug)]
pub(super) struct Entries<'a> {
    pub(super) good: Vec<Read<'a>>,
    /// Those whose record or body is not what was written.
    pub(super) bad: Vec<Place>,
}

/// Reads the entries of a group, the bytes behind whose header these are; none if their headers are
/// not those that it was written with.
pub(super) fn entries<'a>(head: &GroupHead, bytes: &'a [u8]) -> Option<Entries<'a>> {
    let (mut found, mut chain) = (Entries { good: Vec::new(), bad: Vec::new() }, Hasher::new());
    let (mut rest, mut offset) = (bytes, head.offset.checked_add(HEAD as u32)?);
    for _ in 0..head.entries {
        let (stored, behind) = rest.split_at_checked(STEP)?;
        chain.update(chained(stored));
        let entry = EntryHead::read(stored)?;
        let place = entry.place().filter(|place| (place.segment, place.offset) == (head.segment, offset))?;
        let (content, behind) = behind.split_at_checked(place.bytes as usize - STEP)?;
        match whole(&entry, content) {
            Some((record, _)) => found.good.push(Read { kind: entry.kind, record, place }),
            None => found.bad.push(place),
        }
        (rest, offset) = (behind, offset.checked_add(place.bytes)?);
    }
    (rest.is_empty() && chain.finalize() == head.chain).then_some(found)
}

/// Record and body.
pub(super) type Content<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// Record and body in what stands behind an entry's header, if they and the padding are right.
pub(super) fn whole<'a>(entry: &EntryHead, content: &'a [u8]) -> Option<Content<'a>> {
    let (record, rest) = content.split_at_checked(entry.record as usize)?;
    let (body, padding) = rest.split_at_checked(entry.body as usize)?;
    let (record, body) = (entry.record(record)?, entry.body(body)?);
    padding.iter().all(|byte| *byte == 0).then_some((record, body))
}
