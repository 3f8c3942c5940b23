//! How a spool is opened: the catalog catches up with the journal, or is made again from it.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::catalog::{Catalog, Op};
use super::clean::Cleaner;
use super::committer::Committer;
use super::core::Core;
use super::entry::{self, Told};
use super::indexer::Indexer;
use super::journal::{self, Damage, Mark, Replayed};
use super::runner::Runner;
use super::state::State;
use super::vfs::{Folder, Vfs};
use super::{OpenError, Quarantined, SpoolConfig, blob};
use crate::{MsgId, QueueError};

/// So many operations are applied at once while the journal is read.
const BATCH: usize = 4_096;

/// A spool whose work is yet to be given to threads.
pub(super) struct Engine<V: Vfs> {
    pub(super) core: Arc<Core<V>>,
    pub(super) committer: Committer<V>,
    pub(super) indexer: Indexer<V>,
    pub(super) cleaner: Cleaner<V>,
}

/// What the journal tells, on its way into the catalog.
struct Replay<'a> {
    catalog: &'a Catalog,
    ops: Vec<Op>,
    mark: Option<Mark>,
    unread: Vec<Quarantined>,
    /// The catalog failed.
    failed: bool,
}

impl Replay<'_> {
    fn group(&mut self, mark: Mark, entries: &[Replayed<'_>]) -> Result<(), QueueError> {
        for replayed in entries {
            match Told::read(replayed.kind, replayed.record) {
                Ok(told) => self.ops.extend(told.op().map(|mut op| {
                    entry::put(&mut op, replayed.place);
                    op
                })),
                Err(why) => self.unread.push(Quarantined {
                    file: format!("journal, segment {:x}, byte {}", replayed.place.segment, replayed.place.offset),
                    now: String::new(),
                    why,
                }),
            }
        }
        self.mark = Some(mark);
        if self.ops.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), QueueError> {
        if let Some(mark) = self.mark {
            self.catalog.apply(&self.ops, mark).inspect_err(|_| self.failed = true)?;
            self.ops.clear();
        }
        Ok(())
    }
}

/// Reads the journal behind the mark into the catalog. None if the catalog is good for nothing.
fn catch_up<V: Vfs>(
    vfs: &Arc<V>,
    config: &SpoolConfig,
    catalog: &Catalog,
    mark: Option<Mark>,
) -> io::Result<Option<(journal::Opened<V>, Vec<Quarantined>)>> {
    let mut replay = Replay { catalog, ops: Vec::new(), mark: None, unread: Vec::new(), failed: false };
    let layout = journal::Config { segment: config.segment };
    let opened = journal::open(vfs, layout, mark, &mut |mark, entries| replay.group(mark, entries));
    match opened {
        Ok(Some(opened)) => Ok(replay.flush().is_ok().then_some((opened, replay.unread))),
        Ok(None) => Ok(None),
        Err(_) if replay.failed => Ok(None),
        Err(error) => Err(error),
    }
}

impl<V: Vfs> Engine<V> {
    /// Opens the spool on this disk.
    ///
    /// # Errors
    /// What the disk refused, and a journal of another version.
    pub(super) fn open(vfs: Arc<V>, config: SpoolConfig, runner: Runner) -> Result<Self, OpenError> {
        let failed = |what| move |source| OpenError::Io { what, source };
        let cannot = "the journal cannot be read";
        let (catalog, mark) =
            Catalog::open(&vfs, config.cache).map_err(failed("the catalog can neither be opened nor made anew"))?;
        let known = match mark {
            Some(_) => catch_up(&vfs, &config, &catalog, mark).map_err(failed(cannot))?,
            None => None,
        };
        let (mut opened, mut quarantined) = match known {
            Some(known) => known,
            None => {
                // What the catalog says is not of this journal, or nothing.
                catalog.clear()?;
                let anew = catch_up(&vfs, &config, &catalog, None).map_err(failed(cannot))?;
                anew.ok_or_else(|| failed(cannot)(io::Error::other("the catalog cannot be made from it")))?
            }
        };
        quarantined.extend(opened.damaged.iter().map(quarantine));
        begin_life(&mut opened.writer, &catalog, config.segment)?;
        clear_orphans(&*vfs, &catalog, opened.damaged.is_empty() && quarantined.is_empty())?;
        let state = State::new(opened.boot, catalog.gates()?);
        let segments = opened.writer.segments();
        let core = Core::new(vfs, opened.reader, catalog, config, runner, quarantined, state, segments);
        let core = Arc::new(core);
        let mut first = None;
        core.catalog.due_keys(None, &mut |due, _, _| {
            first = Some(due);
            ControlFlow::Break(())
        })?;
        // What was found at the start is news.
        core.announce(first);
        Ok(Self {
            committer: Committer::new(Arc::clone(&core), opened.writer),
            indexer: Indexer::new(Arc::clone(&core)),
            cleaner: Cleaner::new(Arc::clone(&core)),
            core,
        })
    }
}

#[cfg(test)]
impl<V: Vfs> Engine<V> {
    /// Does what the threads do with what waits.
    pub(super) fn turn(&mut self) {
        if let Some(written) = self.committer.turn() {
            self.indexer.apply(vec![written]);
        }
        self.cleaner.follow(&mut self.indexer, false);
    }

    /// Does what the threads do at leisure.
    pub(super) fn tidy(&mut self) {
        for _ in 0..10 {
            self.cleaner.follow(&mut self.indexer, true);
            self.turn();
        }
    }
}

/// Tells the journal that a new life began, and makes durable what was read.
fn begin_life<V: Vfs>(writer: &mut journal::Writer<V>, catalog: &Catalog, segment: u64) -> Result<(), OpenError> {
    let mut entries = vec![Told::Boot.entry(Vec::new()).map_err(QueueError::Invalid)?];
    if writer.begins_segment(entries.iter().map(journal::Entry::len).sum()) {
        entries.push(Told::snapshot(catalog, segment)?.entry(Vec::new()).map_err(QueueError::Invalid)?);
    }
    let (mark, _) = writer.append(&entries)?;
    catalog.apply(&[], mark)?;
    catalog.checkpoint()?;
    Ok(())
}

/// Removes the texts that no message has. Where messages may be lost, their texts are put aside.
fn clear_orphans<V: Vfs>(vfs: &V, catalog: &Catalog, all_read: bool) -> Result<(), OpenError> {
    let has_blob = |id: MsgId| Ok::<_, QueueError>(catalog.message(id)?.is_some_and(|row| row.blob));
    if all_read {
        blob::remove_orphans(vfs, has_blob)?;
        return Ok(());
    }
    let aside = |what: &'static str| move |source| OpenError::Io { what, source };
    for folder in (0..=u8::MAX).map(Folder::Blobs) {
        for name in vfs.names(folder).map_err(aside("a folder of texts cannot be read"))? {
            if let Ok(id) = name.parse::<MsgId>()
                && !has_blob(id)?
            {
                vfs.rename((folder, &name), (Folder::Lost, &format!("text.{name}")))
                    .map_err(aside("a text cannot be put aside"))?;
            }
        }
    }
    vfs.sync_folder(Folder::Lost).map_err(aside("a text cannot be put aside"))
}

fn quarantine(damage: &Damage) -> Quarantined {
    let (from, to) = damage.range;
    Quarantined {
        file: format!("journal/{}, bytes {from} to {to}", damage.file),
        now: damage.copy.clone(),
        why: damage.why,
    }
}
