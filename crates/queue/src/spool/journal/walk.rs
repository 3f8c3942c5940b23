//! Reading groups one after the other, past what is damaged.

use std::io::{self, IoSlice};

use super::format::{self, GroupHead, HEAD, PAGE};
use super::segments::{Found, name};
use super::{Lsn, Mark, Replayed};
use crate::QueueError;
use crate::spool::vfs::{Folder, Vfs, VfsFile};

/// What was lost between two groups, or within one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Loss {
    /// The segment's number.
    pub(super) segment: u32,
    /// Empty where groups are missing.
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) why: &'static str,
}

/// Takes what is read.
pub(super) type Visit<'a> = dyn FnMut(Mark, &[Replayed<'_>]) -> Result<(), QueueError> + 'a;

/// A place in a row of segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    /// The index of the segment, not its number.
    pub(super) index: usize,
    pub(super) offset: u64,
}

/// What a segment holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) last: Option<Lsn>,
    /// Where its last group ends; 0 if there is none.
    pub(super) end: u64,
}

/// A walk through segments.
pub(super) struct Walk<'a, V: Vfs> {
    vfs: &'a V,
    segments: &'a [Found],
    /// Where the next group is looked for.
    at: Spot,
    /// The last group that was read, or is known to be lost; none before the first.
    last: Option<Lsn>,
    /// The page behind it.
    end: Spot,
    /// The last whole group.
    latest: Option<GroupAt>,
    window: Option<Window<V::File>>,
    /// Groups behind `end` whose headers can be read and that are not whole.
    broken: Vec<GroupAt>,
    /// The greatest boot of any header.
    pub(super) boot: u64,
    pub(super) contents: Vec<Content>,
    pub(super) lost: Vec<Loss>,
}

#[derive(Debug, Clone, Copy)]
struct GroupAt {
    spot: Spot,
    head: GroupHead,
}

impl GroupAt {
    fn behind(&self) -> Spot {
        let end = self.spot.offset + HEAD as u64 + self.head.length;
        Spot { offset: end.next_multiple_of(PAGE), ..self.spot }
    }
}

impl<'a, V: Vfs> Walk<'a, V> {
    /// Through all of these segments.
    pub(super) fn new(vfs: &'a V, segments: &'a [Found]) -> Self {
        let start = Spot { index: 0, offset: PAGE };
        let contents = vec![Content::default(); segments.len()];
        let (latest, window, broken, lost) = (None, None, Vec::new(), Vec::new());
        Self { vfs, segments, at: start, last: None, end: start, latest, window, broken, boot: 0, contents, lost }
    }

    /// From behind this group on; none if it is not there.
    pub(super) fn behind(vfs: &'a V, segments: &'a [Found], mark: Mark) -> io::Result<Option<Self>> {
        let mut walk = Self::new(vfs, segments);
        let Some(index) = segments.iter().position(|found| found.number == mark.segment) else { return Ok(None) };
        let spot = Spot { index, offset: u64::from(mark.offset) };
        let Some(head) = walk.head(spot)?.filter(|head| head.mark() == mark) else { return Ok(None) };
        walk.pass(GroupAt { spot, head });
        for before in 0..index {
            walk.contents[before] = match segments[before + 1].first {
                // Unless the segment was cut since.
                Some(head) if u64::from(head.before) <= segments[before].len => {
                    Content { last: Some(head.prev), end: u64::from(head.before) }
                }
                _ => {
                    let mut alone = Self::new(vfs, &segments[before..=before]);
                    alone.run(&mut |_, _| Ok(()))?;
                    alone.contents[0]
                }
            };
        }
        Ok(Some(walk))
    }

    /// Reads to the end.
    ///
    /// A group that is not whole is told of only if a later one shows that it was acknowledged; then
    /// those of its entries that are right are. The last one may have been in flight, and is the end.
    pub(super) fn run(&mut self, visit: &mut Visit<'_>) -> io::Result<()> {
        while let Some(group) = self.find()? {
            let whole = match self.follows(self.last, group) {
                true => self.tell(group, true, visit)?,
                false if self.entries(group)?.is_some_and(|entries| entries.bad.is_empty()) => {
                    self.miss(group, visit)?;
                    self.tell(group, true, visit)?
                }
                false => false,
            };
            match whole {
                true => self.pass(group),
                false => self.skip(group)?,
            }
        }
        if let Some(torn) = self.broken.pop()
            && !self.follows(self.last, torn)
        {
            self.miss(torn, visit)?;
            (self.last, self.end) = (self.last.max(Some(torn.head.prev)), torn.spot);
            if torn.spot.offset > PAGE {
                self.contents[torn.spot.index] = Content { last: self.last, end: torn.spot.offset };
            }
        }
        Ok(())
    }

    /// Where the row ends: its last group, and the page behind it.
    pub(super) fn end(&self) -> (Option<Lsn>, Spot) {
        (self.last, self.end)
    }

    /// Writes the last whole group once more, the same bytes. It can be read, but if the life that wrote
    /// it met a failed sync, they may be in memory only, as if they were synced.
    pub(super) fn write_again(&mut self) -> io::Result<()> {
        let Some(group) = self.latest else { return Ok(()) };
        let (len, number) = (HEAD as u64 + group.head.length, self.segments[group.spot.index].number);
        let file = self.vfs.open(Folder::Journal, &name(number))?;
        if let Some(bytes) = self.bytes(group.spot, len)? {
            file.write_all_at(&[IoSlice::new(bytes)], group.spot.offset)?;
        }
        file.sync_data()
    }

    /// The next header of a newer group.
    fn find(&mut self) -> io::Result<Option<GroupAt>> {
        while self.at.index < self.segments.len() {
            if let Some(head) = self.head(self.at)? {
                self.boot = self.boot.max(head.lsn.boot());
                if self.fits(&head) {
                    return Ok(Some(GroupAt { spot: self.at, head }));
                }
            }
            self.at.offset += PAGE;
            if self.at.offset >= self.segments[self.at.index].len {
                self.at = Spot { index: self.at.index + 1, offset: PAGE };
            }
        }
        Ok(None)
    }

    /// Whether a header belongs where it stands, behind all that was read, and its group has room there.
    fn fits(&self, head: &GroupHead) -> bool {
        let segment = &self.segments[self.at.index];
        let here = head.stands_at(segment.number, self.at.offset);
        let room = head.total().is_some_and(|total| total <= segment.len - self.at.offset);
        here && room && head.prev < head.lsn && self.last.is_none_or(|last| head.lsn > last)
    }

    /// Goes behind a group that is not whole. Nothing newer can stand within it; what does, and would
    /// be found when its header is overwritten, must at least be older than what is written then.
    fn skip(&mut self, group: GroupAt) -> io::Result<()> {
        let behind = group.behind();
        self.broken.push(group);
        self.at.offset += PAGE;
        while self.at < behind {
            if let Some(head) = self.head(self.at)? {
                self.boot = self.boot.max(head.lsn.boot());
            }
            self.at.offset += PAGE;
        }
        Ok(())
    }

    fn pass(&mut self, group: GroupAt) {
        self.boot = self.boot.max(group.head.lsn.boot());
        self.latest = Some(group);
        self.last = Some(group.head.lsn);
        self.end = group.behind();
        self.at = self.end;
        self.contents[self.end.index] = Content { last: self.last, end: self.end.offset };
        self.broken.clear();
    }

    /// Whether this group comes next, as far as can be known.
    fn follows(&self, last: Option<Lsn>, group: GroupAt) -> bool {
        match last {
            Some(last) => group.head.prev == last,
            None => group.head.prev == Lsn(0) || group.spot == Spot { index: 0, offset: PAGE },
        }
    }

    /// Notes what is missing between the end and this group, and tells what can be read of it.
    fn miss(&mut self, group: GroupAt, visit: &mut Visit<'_>) -> io::Result<()> {
        if self.follows(self.last, group) {
            return Ok(());
        }
        let (mut last, mut from, before) = (self.last, self.end, self.lost.len());
        for broken in std::mem::take(&mut self.broken) {
            if broken.head.lsn <= group.head.prev && self.entries(broken)?.is_some() {
                if !self.follows(last, broken) {
                    self.lose(from, broken.spot)?;
                }
                self.tell(broken, false, visit)?;
                (last, from) = (Some(broken.head.lsn), broken.behind());
                self.contents[from.index] = Content { last, end: from.offset };
            }
        }
        if !self.follows(last, group) {
            self.lose(from, group.spot)?;
        }
        if self.lost.len() == before {
            let (segment, at) = (self.segments[group.spot.index].number, group.spot.offset);
            self.lost.push(Loss { segment, from: at, to: at, why: "groups in front of this are missing" });
        }
        Ok(())
    }

    /// Notes the bytes between two places as lost.
    fn lose(&mut self, from: Spot, to: Spot) -> io::Result<()> {
        for index in from.index..=to.index {
            let start = if index == from.index { from.offset } else { PAGE };
            let stop = if index == to.index { to.offset } else { self.segments[index].len };
            // In the segment that goes on something was here; others may just have ended.
            if start < stop && (index == to.index || !self.ended(Spot { index, offset: start })?) {
                let segment = self.segments[index].number;
                self.lost.push(Loss { segment, from: start, to: stop, why: "groups in it cannot be read" });
            }
        }
        Ok(())
    }

    /// Whether this page was not written since the segment was laid out.
    fn ended(&mut self, spot: Spot) -> io::Result<bool> {
        let (last, number) = (self.last, self.segments[spot.index].number);
        if let Some(head) = self.head(spot)? {
            return Ok(head.segment != number || last.is_some_and(|last| head.lsn <= last));
        }
        let len = (self.segments[spot.index].len - spot.offset).min(PAGE);
        Ok(self.bytes(spot, len)?.is_some_and(|page| page.iter().all(|byte| *byte == 0)))
    }

    fn head(&mut self, spot: Spot) -> io::Result<Option<GroupHead>> {
        Ok(self.bytes(spot, HEAD as u64)?.and_then(GroupHead::read))
    }

    fn entries(&mut self, group: GroupAt) -> io::Result<Option<format::Entries<'_>>> {
        let bytes = self.bytes(group.spot, HEAD as u64 + group.head.length)?;
        Ok(bytes.and_then(|bytes| format::entries(&group.head, &bytes[HEAD..])))
    }

    /// Tells the entries of a group that are right, and notes the others. Says no and does nothing if
    /// it must be `whole` and is not.
    fn tell(&mut self, group: GroupAt, whole: bool, visit: &mut Visit<'_>) -> io::Result<bool> {
        let Some(entries) = self.entries(group)?.filter(|entries| !whole || entries.bad.is_empty()) else {
            return Ok(false);
        };
        let replayed: Vec<_> = entries.good.iter().map(format::Read::replayed).collect();
        visit(group.head.mark(), &replayed).map_err(io::Error::other)?;
        let lost = entries.bad.iter().map(|place| {
            let from = u64::from(place.offset);
            let why = "an entry in it cannot be read";
            Loss { segment: place.segment, from, to: from + u64::from(place.bytes), why }
        });
        let lost: Vec<_> = lost.collect();
        self.lost.extend(lost);
        Ok(true)
    }

    /// Bytes of a segment; none if it ends before.
    fn bytes(&mut self, spot: Spot, len: u64) -> io::Result<Option<&[u8]>> {
        let segment = self.segments[spot.index];
        if spot.offset.checked_add(len).is_none_or(|end| end > segment.len) {
            return Ok(None);
        }
        let window = match self.window.take().filter(|window| window.number == segment.number) {
            Some(window) => window,
            None => {
                let file = self.vfs.open(Folder::Journal, &name(segment.number))?;
                Window { number: segment.number, file, len: segment.len, start: 0, bytes: Vec::new() }
            }
        };
        self.window.insert(window).get(spot.offset, len).map(Some)
    }
}

/// A part of a file in memory.
struct Window<F> {
    number: u32,
    file: F,
    len: u64,
    start: u64,
    bytes: Vec<u8>,
}

/// So much is read at once, or more if a group is longer.
const READ: u64 = 1 << 20;

impl<F: VfsFile> Window<F> {
    fn get(&mut self, at: u64, len: u64) -> io::Result<&[u8]> {
        if at < self.start || at + len > self.start + self.bytes.len() as u64 {
            let len = (self.len - at).min(len.max(READ));
            self.bytes.resize(len as usize, 0);
            self.start = at;
            if let Err(error) = self.file.read_exact_at(&mut self.bytes, at) {
                self.bytes.clear();
                return Err(error);
            }
        }
        let from = (at - self.start) as usize;
        Ok(&self.bytes[from..from + len as usize])
    }
}
