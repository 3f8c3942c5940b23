//! What stands in a file of a played disk, and what of it survives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::random::Random;

pub(super) const PAGE: usize = 4096;
/// A disk writes so much whole or not at all.
pub(super) const SECTOR: usize = 512;
/// So many sectors of what was never written show something else than zeros, at most.
const STALE: usize = 64;

pub(super) type Page = [u8; PAGE];
pub(super) type Node = Arc<Mutex<Inode>>;

pub(super) fn node(inode: Inode) -> Node {
    Arc::new(Mutex::new(inode))
}

pub(super) fn lock(node: &Node) -> MutexGuard<'_, Inode> {
    node.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes with holes, in pages that copies share.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    len: u64,
    /// What is not here is zeros.
    pages: BTreeMap<u64, Arc<Page>>,
    /// So much has blocks, which show zeros before they are written.
    allocated: u64,
}

impl Content {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut content = Self::default();
        content.write(0, bytes);
        content
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Fills the buffer; what is behind the end is zeros.
    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) {
        for (page, within, part) in pieces(offset, buffer.len()) {
            match self.pages.get(&page) {
                Some(bytes) => buffer[part.clone()].copy_from_slice(&bytes[within..within + part.len()]),
                None => buffer[part].fill(0),
            }
        }
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) {
        for (page, within, part) in pieces(offset, bytes.len()) {
            self.page(page)[within..within + part.len()].copy_from_slice(&bytes[part]);
        }
        self.len = self.len.max(offset + bytes.len() as u64);
    }

    fn set_len(&mut self, len: u64) {
        if len < self.len {
            self.trim(len);
            self.allocated = self.allocated.min(len);
        }
        self.len = len;
    }

    /// Forgets what is behind this length.
    fn trim(&mut self, len: u64) {
        self.pages.split_off(&len.div_ceil(PAGE as u64));
        let within = usize::try_from(len % PAGE as u64).unwrap();
        if within > 0 && self.pages.contains_key(&(len / PAGE as u64)) {
            self.page(len / PAGE as u64)[within..].fill(0);
        }
    }

    fn allocate(&mut self, len: u64) {
        self.len = self.len.max(len);
        self.allocated = self.allocated.max(len);
    }

    fn page(&mut self, number: u64) -> &mut Page {
        Arc::make_mut(self.pages.entry(number).or_insert_with(|| Arc::new([0; PAGE])))
    }

    fn copy_page(&mut self, number: u64, from: &Self) {
        match from.pages.get(&number) {
            Some(page) => _ = self.pages.insert(number, Arc::clone(page)),
            None => _ = self.pages.remove(&number),
        }
    }

    fn copy_sector(&mut self, number: u64, from: &Self) {
        let mut sector = [0; SECTOR];
        from.read(&mut sector, number * SECTOR as u64);
        let (page, within) = (number * SECTOR as u64 / PAGE as u64, number * SECTOR as u64 % PAGE as u64);
        let within = usize::try_from(within).unwrap();
        self.page(page)[within..within + SECTOR].copy_from_slice(&sector);
    }
}

/// The pages that a range touches: the number, where in it, and which part of the range.
fn pieces(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == len {
            return None;
        }
        let at = offset + done as u64;
        let within = usize::try_from(at % PAGE as u64).unwrap();
        let some = (PAGE - within).min(len - done);
        done += some;
        Some((at / PAGE as u64, within, done - some..done))
    })
}

#[derive(Debug, Clone)]
enum Pending {
    Write(u64, Arc<[u8]>),
    SetLen(u64),
    Allocate(u64),
}

impl Pending {
    fn apply(&self, to: &mut Content) {
        match self {
            Self::Write(offset, bytes) => to.write(*offset, bytes),
            Self::SetLen(len) => to.set_len(*len),
            Self::Allocate(len) => to.allocate(*len),
        }
    }

    /// The pages whose bytes it may change in this content.
    fn pages(&self, before: &Content) -> Vec<u64> {
        match self {
            Self::Write(offset, bytes) => pieces(*offset, bytes.len()).map(|(page, ..)| page).collect(),
            Self::SetLen(len) => before.pages.range(len / PAGE as u64..).map(|(page, _)| *page).collect(),
            Self::Allocate(_) => Vec::new(),
        }
    }

    /// The sectors of a page whose bytes it changes.
    fn sectors(&self, page: u64) -> std::ops::Range<u64> {
        let per_page = (PAGE / SECTOR) as u64;
        let all = page * per_page..(page + 1) * per_page;
        match self {
            Self::Write(offset, bytes) => {
                let first = offset / SECTOR as u64;
                let end = (offset + bytes.len() as u64).div_ceil(SECTOR as u64);
                all.start.max(first)..all.end.min(end)
            }
            Self::SetLen(len) => all.start.max(len / SECTOR as u64)..all.end,
            Self::Allocate(_) => 0..0,
        }
    }
}

/// A file: as a program sees it, as it is durable, and what lies between.
#[derive(Debug, Clone, Default)]
pub(super) struct Inode {
    seen: Content,
    durable: Content,
    pending: Vec<Pending>,
}

impl Inode {
    pub(super) fn durable(content: Content) -> Self {
        Self { seen: content.clone(), durable: content, pending: Vec::new() }
    }

    pub(super) fn seen(&self) -> &Content {
        &self.seen
    }

    pub(super) fn write(&mut self, offset: u64, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.change(Pending::Write(offset, bytes.into()));
        }
    }

    pub(super) fn set_len(&mut self, len: u64) {
        if len != self.seen.len {
            self.change(Pending::SetLen(len));
        }
    }

    pub(super) fn allocate(&mut self, len: u64) {
        if len > self.seen.len {
            self.change(Pending::Allocate(len));
        }
    }

    fn change(&mut self, change: Pending) {
        change.apply(&mut self.seen);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self) {
        // What an earlier failed sync has lost stays lost, unless its page was written again.
        for change in std::mem::take(&mut self.pending) {
            for page in change.pages(&self.durable) {
                self.durable.copy_page(page, &self.seen);
            }
        }
        (self.durable.len, self.durable.allocated) = (self.seen.len, self.seen.allocated);
    }

    /// A sync fails: some of it is done, and the rest forgotten.
    pub(super) fn sync_in_part(&mut self, random: &mut Random) {
        self.durable = self.after_power_loss(random, &[]);
        self.pending.clear();
    }

    /// How many pages are in memory.
    pub(super) fn pages(&self) -> usize {
        self.seen.pages.len()
    }

    /// Some of its pages.
    pub(super) fn some_pages(&self, random: &mut Random) -> Vec<Arc<Page>> {
        let some = random.below(self.seen.pages.len() as u64);
        self.seen.pages.values().skip(usize::try_from(some).unwrap()).take(8).cloned().collect()
    }

    /// What is left when the power goes: of each sector what it was after one of the changes since
    /// the last sync, or before them, and of the length the same. Sectors that the file got by its
    /// length only are zeros, or something of `stale`.
    pub(super) fn after_power_loss(&self, random: &mut Random, stale: &[Arc<Page>]) -> Content {
        if self.pending.is_empty() {
            return self.durable.clone();
        }
        let manner = Manner::any(self.pending.len() as u64, random);
        let (mut left, mut after) = (self.durable.clone(), self.durable.clone());
        let first_new = self.durable.len.div_ceil(SECTOR as u64);
        let mut written = BTreeSet::new();
        let mut lens = vec![(after.len, after.allocated)];
        for (change, number) in self.pending.iter().zip(0..) {
            let pages = change.pages(&after);
            change.apply(&mut after);
            lens.push((after.len, after.allocated));
            let lands = manner.lands(number, random);
            for page in pages {
                let lands = lands.page(random);
                for sector in change.sectors(page) {
                    if lands.sector(random) {
                        left.copy_sector(sector, &after);
                        written.extend((sector >= first_new).then_some(sector));
                    }
                }
            }
        }
        let (len, allocated) = lens[manner.length(lens.len() as u64 - 1, random)];
        let first_bare = first_new.max(allocated.div_ceil(SECTOR as u64));
        let bare = (first_bare..len.div_ceil(SECTOR as u64)).filter(|sector| !written.contains(sector));
        if !stale.is_empty() && random.chance(128) {
            for sector in bare.take(STALE) {
                let page = &stale[usize::try_from(random.below(stale.len() as u64)).unwrap()];
                let mut other = Content::default();
                other.pages.insert(sector * SECTOR as u64 / PAGE as u64, Arc::clone(page));
                left.copy_sector(sector, &other);
            }
        }
        left.trim(len);
        (left.len, left.allocated) = (len, allocated.min(len));
        left
    }
}

/// How the power goes. Chances are of 256.
#[derive(Debug, Clone, Copy)]
enum Manner {
    /// Before any change was written, or after all were.
    Neither(bool),
    /// While this change is written, after all before it.
    Until(u64),
    /// While this change is written, after all behind it.
    Since(u64),
    /// Some of the changes were, each whole.
    Changes(u64),
    /// Some of the pages were.
    Pages(u64),
    /// Some of the sectors were.
    Sectors(u64),
}

/// What of a change, or of a page of it, is written.
#[derive(Debug, Clone, Copy)]
enum Lands {
    Whole(bool),
    Pages(u64),
    Sectors(u64),
}

impl Manner {
    fn any(changes: u64, random: &mut Random) -> Self {
        let chance = [32, 128, 224][usize::try_from(random.below(3)).unwrap()];
        match random.below(6) {
            0 => Self::Neither(random.chance(128)),
            1 => Self::Until(random.below(changes)),
            2 => Self::Since(random.below(changes)),
            3 => Self::Changes(chance),
            4 => Self::Pages(chance),
            _ => Self::Sectors(chance),
        }
    }

    fn lands(self, number: u64, random: &mut Random) -> Lands {
        let torn = || Lands::Sectors(128);
        match self {
            Self::Neither(written) => Lands::Whole(written),
            Self::Until(at) | Self::Since(at) if number == at => torn(),
            Self::Until(at) => Lands::Whole(number < at),
            Self::Since(at) => Lands::Whole(number > at),
            Self::Changes(chance) => Lands::Whole(random.chance(chance)),
            Self::Pages(chance) => Lands::Pages(chance),
            Self::Sectors(chance) => Lands::Sectors(chance),
        }
    }

    /// After how many of the changes the file was as long as it is.
    fn length(self, changes: u64, random: &mut Random) -> usize {
        let after = match self {
            Self::Neither(written) => {
                if written {
                    changes
                } else {
                    0
                }
            }
            Self::Until(at) => at + random.below(2),
            _ => random.below(changes + 1),
        };
        usize::try_from(after).unwrap()
    }
}

impl Lands {
    fn page(self, random: &mut Random) -> Self {
        match self {
            Self::Pages(chance) => Self::Whole(random.chance(chance)),
            lands => lands,
        }
    }

    fn sector(self, random: &mut Random) -> bool {
        match self {
            Self::Whole(written) => written,
            Self::Pages(chance) | Self::Sectors(chance) => random.chance(chance),
        }
    }
}
