//! What is read from the journal: envelopes, units and short texts, and what of them cannot be read.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::catalog::{MessageRow, UnitRow};
use super::core::{After, Core, Request, Reserved};
use super::entry::{self, LOST, Told, Units};
use super::journal::Place;
use super::state::{Busy, Taken};
use super::vfs::Vfs;
use crate::record::Fault;
use crate::unit::Unit;
use crate::{Envelope, HoldReason, MsgId, QueueError, UnitId};

type Result<T> = std::result::Result<T, QueueError>;

/// A message as it was looked up.
pub(super) struct Loaded {
    pub(super) id: MsgId,
    pub(super) row: MessageRow,
    /// Its envelope, or why it cannot be read.
    pub(super) envelope: std::result::Result<Arc<Envelope>, Fault>,
    /// Its units as they were when its entry was written.
    units: BTreeMap<u16, Unit>,
}

impl Loaded {
    /// A message of which nothing could be read.
    pub(super) fn unread(id: MsgId, row: MessageRow) -> Self {
        Self { id, row, envelope: Err("it could not be read"), units: BTreeMap::new() }
    }
}

/// A unit whose record, or whose message's, cannot be read.
pub(super) struct Lost {
    pub(super) id: UnitId,
    /// What is left of it.
    pub(super) unit: Unit,
    pub(super) next_unit: u16,
}

/// The text of a message, or where it is.
pub(super) struct Text {
    pub(super) prepend: Bytes,
    pub(super) len: u64,
    pub(super) place: TextPlace,
}

pub(super) enum TextPlace {
    Here(Bytes),
    /// In a file of its own, with these checksums.
    Blob(Vec<u32>),
}

impl<V: Vfs> Core<V> {
    /// Looks a message up and reads its entry; none if it is not, or no longer, in the queue.
    ///
    /// # Errors
    /// If the disk does not say what stands there; it may do so later.
    pub(super) fn load(&self, id: MsgId) -> Result<Option<Loaded>> {
        let mut place = None;
        loop {
            let Some(row) = self.catalog.message(id)? else { return Ok(None) };
            let fault = match self.message(id, row.place)? {
                Ok(message) => {
                    let envelope = Ok(Arc::new(message.envelope));
                    return Ok(Some(Loaded { id, row, envelope, units: message.units }));
                }
                Err(fault) => fault,
            };
            // It may have been written again elsewhere since the row was read.
            if place.replace(row.place) == Some(row.place) {
                return Ok(Some(Loaded { id, row, envelope: Err(fault), units: BTreeMap::new() }));
            }
        }
    }

    /// The unit of a message as it is now; one whose record is damaged has no recipients, and is held.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub(super) fn load_unit(&self, loaded: &Loaded, number: u16) -> Result<Option<Unit>> {
        let Some((_, row)) = loaded.row.units.iter().find(|(other, _)| *other == number) else { return Ok(None) };
        let (id, mut row) = (UnitId { msg: loaded.id, unit: number }, row.clone());
        if row.place == loaded.row.place
            && let Some(unit) = loaded.units.get(&number)
        {
            return Ok(Some(unit.clone()));
        }
        loop {
            if let Ok(unit) = self.unit(id, row.place)? {
                return Ok(Some(unit));
            }
            let Some(now) = self.catalog.message(id.msg)? else { return Ok(None) };
            let Some((_, now)) = now.units.into_iter().find(|(other, _)| *other == number) else { return Ok(None) };
            if now.place == row.place {
                return Ok(Some(remains(&now)));
            }
            row = now;
        }
    }

    fn message(&self, id: MsgId, place: Place) -> Result<std::result::Result<entry::Message, Fault>> {
        Ok(match self.told(place)? {
            Ok(Told::Message(message)) if message.id == id => Ok(message),
            Ok(_) => Err(ANOTHER),
            Err(fault) => Err(fault),
        })
    }

    fn unit(&self, id: UnitId, place: Place) -> Result<std::result::Result<Unit, Fault>> {
        let told = match self.told(place)? {
            Ok(told) => told,
            Err(fault) => return Ok(Err(fault)),
        };
        let unit = match told {
            Told::Message(mut message) if message.id == id.msg => message.units.remove(&id.unit),
            Told::Units(units) if units.id == id.msg => {
                units.changed.into_iter().find(|(number, _)| *number == id.unit).and_then(|(_, unit)| unit)
            }
            _ => None,
        };
        Ok(unit.ok_or(ANOTHER))
    }

    fn told(&self, place: Place) -> Result<std::result::Result<Told, Fault>> {
        let read = is_damaged(self.reader.record(place))?;
        Ok(read.and_then(|(kind, record)| Told::read(kind, &record)))
    }

    /// A message with the body of its entry.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub(super) fn whole(&self, id: MsgId, place: Place) -> Result<std::result::Result<(entry::Message, Bytes), Fault>> {
        let read = is_damaged(self.reader.whole(place))?;
        Ok(read.and_then(|(kind, record, body)| match Told::read(kind, &record)? {
            Told::Message(message) if message.id == id => Ok((message, body)),
            _ => Err(ANOTHER),
        }))
    }

    /// The text of a message.
    ///
    /// # Errors
    /// `NotFound`, or `Corrupt` if its entry cannot be read.
    pub(super) fn text(&self, id: MsgId) -> Result<Text> {
        let mut place = None;
        loop {
            let row = self.catalog.message(id)?.ok_or(QueueError::NotFound)?;
            match self.whole(id, row.place)?.and_then(text) {
                Ok(text) => return Ok(text),
                Err(why) if place.replace(row.place) == Some(row.place) => {
                    self.note_damage();
                    return Err(QueueError::Corrupt { id, why });
                }
                Err(_) => {}
            }
        }
    }

    /// Holds a unit that cannot be read, so that it neither disappears nor blocks its key. It is
    /// leased until that is written, and remains so if it cannot be.
    pub(super) fn hold_lost(self: &Arc<Self>, lost: Lost) -> Result<()> {
        self.note_damage();
        let Lost { id, unit, next_unit } = lost;
        let (why, next_unit) = {
            let mut state = self.state();
            state.number(id.msg, next_unit);
            (state.reserve(&[id], Busy::Settling), state.next_unit(id.msg))
        };
        if let Taken::Wait(_) = why {
            return Ok(());
        }
        let reserved = Reserved::new(self, vec![id]);
        let unit = Unit { rcpts: Vec::new(), hold: Some(HoldReason::new(LOST)), ..unit };
        let told = Units { id: id.msg, next_unit, changed: vec![(id.unit, Some(unit))] };
        let mut request = Request::new(vec![(Told::Units(told), Vec::new())])?;
        request.after = After::Settled(id, next_unit);
        request.reserved = vec![reserved];
        match self.push(request) {
            Err(QueueError::ReadOnly) => Ok(()),
            pushed => pushed,
        }
    }
}

/// The text in a message's entry, or where it is.
fn text((message, body): (entry::Message, Bytes)) -> std::result::Result<Text, Fault> {
    let at = usize::try_from(message.prepend).unwrap_or(usize::MAX);
    if at > body.len() {
        return Err("the part before the text is cut");
    }
    let (prepend, rest) = (body.slice(..at), body.slice(at..));
    let place = match message.blob {
        true => TextPlace::Blob(entry::read_checks(&rest)?),
        false if rest.len() as u64 == message.text => TextPlace::Here(rest),
        false => return Err("the text is cut"),
    };
    Ok(Text { prepend, len: message.text, place })
}

/// Tells damage, which is for ever, from a disk that does not answer.
fn is_damaged<T>(read: io::Result<T>) -> Result<std::result::Result<T, Fault>> {
    use io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
    match read {
        Ok(read) => Ok(Ok(read)),
        Err(error) if matches!(error.kind(), InvalidData | NotFound | UnexpectedEof) => {
            Ok(Err("its entry in the journal cannot be read"))
        }
        Err(error) => Err(error.into()),
    }
}

const ANOTHER: Fault = "its entry is another one's";

/// What is left of a unit whose record cannot be read.
pub(super) fn remains(row: &UnitRow) -> Unit {
    Unit {
        key: row.key.clone(),
        due: row.due,
        expires: row.expires,
        hold: Some(HoldReason::new(LOST)),
        attempts: row.attempts,
        first_attempt: None,
        rcpts: Vec::new(),
    }
}
