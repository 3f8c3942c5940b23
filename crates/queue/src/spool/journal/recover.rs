//! Opening a journal: reading it to its end, and putting aside what is damaged.

use std::io::{self, IoSlice};
use std::sync::Arc;

use super::format::PAGE;
use super::reader::Reader;
use super::segments::{self, Files, Found, name};
use super::walk::{Loss, Visit, Walk};
use super::writer::{Row, Writer};
use super::{Config, Damage, Lsn, Mark, Opened, Segment};
use crate::spool::vfs::{Folder, Vfs, VfsFile};

/// Opens the journal in these folders, or begins one. Each whole group behind the mark, or each at
/// all without one, is given to `replay` in order, with its mark.
///
/// A torn group at the end is dropped. Where groups follow damage, the damage is copied to
/// `lost+found/`, reported and passed over; of a group that was acknowledged and is not whole any
/// more, those entries are replayed whose checksums are right. If there is no group with this mark,
/// that is `None`: whoever has the mark must forget what it knows and begin without one.
///
/// `boot` of the result is not written yet: the first append of the owner must be a `Kind::Boot`.
///
/// # Errors
/// The file system's, and those of `replay`. `Unsupported` if another version wrote a segment.
pub(crate) fn open<V: Vfs>(
    vfs: &Arc<V>,
    config: Config,
    after: Option<Mark>,
    replay: &mut Visit<'_>,
) -> io::Result<Option<Opened<V>>> {
    let found = segments::find(&**vfs)?;
    let mut walk = match after {
        None => Walk::new(&**vfs, &found),
        Some(mark) => match Walk::behind(&**vfs, &found, mark)? {
            Some(walk) => walk,
            None => return Ok(None),
        },
    };
    walk.run(replay)?;
    let boot = walk.boot + 1;
    if boot > Lsn(u64::MAX).boot() {
        let why = "the journal counts no more starts: move the spool's messages to a new one";
        return Err(io::Error::new(io::ErrorKind::Unsupported, why));
    }
    let damaged = put_aside(&**vfs, &found, &walk)?;
    walk.write_again()?;

    let (last, end) = walk.end();
    let full = walk.contents[..found.len().min(end.index + 1)].iter().rev().find(|content| content.last.is_some());
    let mut row = Row { end: PAGE, before: full.map_or(0, |content| content.end), ..Row::default() };
    for (index, found) in found.iter().enumerate() {
        let holds = index < end.index || (index == end.index && end.offset > PAGE);
        let waits = found.headed && found.len == config.length();
        if !holds && !waits {
            // Being laid out, or about to be used again, when the power went; or of another length.
            vfs.remove(Folder::Journal, &name(found.number))?;
            row.next = found.number.saturating_add(1);
            continue;
        }
        if index <= end.index {
            row.current = Some(row.segments.len());
            row.end = if index == end.index { end.offset } else { found.len.next_multiple_of(PAGE) };
        }
        let content = walk.contents[index];
        let used = content.end.saturating_sub(PAGE);
        row.segments.push_back((Segment { number: found.number, last: content.last, used }, found.len));
    }
    // What was made and not synced by an earlier life would be lost with all that is written to it.
    vfs.sync_folder(Folder::Journal)?;

    let files = Arc::new(Files::new(Arc::clone(vfs)));
    let writer = Writer::new(Arc::clone(&files), config, row, boot, last)?;
    Ok(Some(Opened { writer, reader: Reader::new(files), damaged, boot }))
}

/// Copies what was lost to where it can be looked at.
fn put_aside<V: Vfs>(vfs: &V, found: &[Found], walk: &Walk<'_, V>) -> io::Result<Vec<Damage>> {
    let headless = found.iter().zip(&walk.contents).filter(|(found, content)| !found.headed && content.last.is_some());
    let headless = headless.map(|(found, _)| Loss {
        segment: found.number,
        from: 0,
        to: PAGE,
        why: "its header cannot be read; its groups were",
    });
    let mut damaged = Vec::new();
    for loss in headless.chain(walk.lost.iter().copied()) {
        let file = name(loss.segment);
        let mut copy = String::new();
        if loss.from < loss.to {
            copy = format!("{:016x}.{}", loss.segment, loss.from);
            put_copy(vfs, &loss, &copy)?;
        }
        damaged.push(Damage { file, range: (loss.from, loss.to), copy, why: loss.why });
    }
    if damaged.iter().any(|damage| !damage.copy.is_empty()) {
        vfs.sync_folder(Folder::Lost)?;
    }
    Ok(damaged)
}

/// Damage is never written over, so a copy that an earlier start made is of the same bytes.
fn put_copy<V: Vfs>(vfs: &V, loss: &Loss, copy: &str) -> io::Result<()> {
    let from = vfs.open(Folder::Journal, &name(loss.segment))?;
    let to = match vfs.create(Folder::Lost, copy) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => vfs.open(Folder::Lost, copy)?,
        made => made?,
    };
    let mut buffer = vec![0; 1 << 20];
    // A file that was cut may end before.
    let end = loss.to.min(from.len()?);
    let mut at = loss.from;
    while at < end {
        let piece = &mut buffer[..(end - at).min(1 << 20) as usize];
        from.read_exact_at(piece, at)?;
        to.write_all_at(&[IoSlice::new(piece)], at - loss.from)?;
        at += piece.len() as u64;
    }
    to.sync_data()
}
