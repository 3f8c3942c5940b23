//! What a spool finds when it is opened: finishes what was decided, drops what was not, and puts
//! aside what it cannot read.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CStr;
use std::io;

use rustix::path::Arg;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::disk::{Disk, Folder, OpenFile};
use super::record::{self, GatesRecord, Lengths, MessageRecord, StateRecord, TRAILER};
use super::{OpenError, Quarantined};
use crate::index::{Index, Message};
use crate::{MsgId, QueueError};

/// The version of what stands in the files.
const FORMAT: u64 = 1;

/// Small files are not longer.
const LONGEST_SMALL: u64 = 256 << 20;

/// How far token numbers are apart between two lives of the store.
const LIFE: u32 = 40;

pub(super) fn recover(disk: &std::sync::Arc<Disk>) -> Result<(Index, Vec<Quarantined>), OpenError> {
    let mut scan = Scan { disk, aside: Vec::new(), life: 0 };
    let version = scan.root_record("format")?;
    if version.is_some_and(|version: u64| version != FORMAT) {
        return Err(OpenError::Version);
    }
    let index = scan.run(version.is_none())?;
    Ok((index, scan.aside))
}

/// Writes a small file under this name.
pub(super) fn write_small(
    disk: &std::sync::Arc<Disk>,
    folder: Folder,
    name: &str,
    record: &impl Serialize,
) -> Result<(), QueueError> {
    let bytes = record::frame(record).map_err(QueueError::Invalid)?;
    let draft = disk.create(name)?;
    draft.write_all_at(&bytes, 0)?;
    draft.put(folder, name)?.keep();
    Ok(())
}

struct Scan<'a> {
    disk: &'a std::sync::Arc<Disk>,
    aside: Vec<Quarantined>,
    life: u64,
}

impl Scan<'_> {
    fn run(&mut self, is_new: bool) -> Result<Index, QueueError> {
        if is_new {
            write_small(self.disk, Folder::Root, "format", &FORMAT)?;
        }
        self.life = self.root_record("life")?.unwrap_or(0) + 1;
        write_small(self.disk, Folder::Root, "life", &self.life)?;
        let gates = self.root_record("gates")?.map(GatesRecord::read).unwrap_or_default();
        let mut index = Index::new(self.life << LIFE, gates);

        for name in self.disk.names(Folder::Tmp)? {
            // What is not a file is no draft of ours.
            if self.disk.remove(Folder::Tmp, name.as_c_str()).is_err() {
                self.put_aside(Folder::Tmp, name.as_c_str(), "not a draft")?;
            }
        }
        let (mut states, damaged) = self.states()?;
        self.finish_follow_ups(&states, damaged.is_empty())?;
        for name in self.disk.names(Folder::Messages)? {
            let Some(id) = self.id(Folder::Messages, &name)? else { continue };
            if damaged.contains(&id) {
                self.put_aside(Folder::Messages, name.as_c_str(), "its state is damaged")?;
                continue;
            }
            match self.message(id, states.remove(&id)) {
                Ok(Some(message)) => index.insert(id, message),
                Ok(None) => {
                    self.disk.remove(Folder::Messages, id.to_string())?;
                    self.disk.sync_folder(Folder::Messages)?;
                    self.disk.remove(Folder::States, id.to_string())?;
                }
                Err(why) => {
                    self.put_aside(Folder::Messages, name.as_c_str(), why)?;
                    if self.disk.holds(Folder::States, &id.to_string()) {
                        self.put_aside(Folder::States, id.to_string().as_str(), "its message is damaged")?;
                    }
                }
            }
        }
        for id in states.keys() {
            // The message is gone: it was finished.
            self.disk.remove(Folder::States, id.to_string())?;
        }
        if !self.aside.is_empty() {
            for folder in Folder::ALL {
                self.disk.sync_folder(folder)?;
            }
        }
        Ok(index)
    }

    /// The states that can be read, and the messages of those that cannot.
    fn states(&mut self) -> Result<(BTreeMap<MsgId, StateRecord>, BTreeSet<MsgId>), QueueError> {
        let (mut states, mut damaged) = (BTreeMap::new(), BTreeSet::new());
        for name in self.disk.names(Folder::States)? {
            let Some(id) = self.id(Folder::States, &name)? else { continue };
            let read = self.small::<StateRecord>(Folder::States, &id.to_string()).and_then(|state| {
                let follow_up_is_named = state.follow_up.iter().all(|id| id.parse::<MsgId>().is_ok());
                if state.id != id.to_string() || !follow_up_is_named {
                    return Err("the ids in it are not right");
                }
                state.units()?;
                Ok(state)
            });
            match read {
                Ok(state) => _ = states.insert(id, state),
                Err(why) => {
                    damaged.insert(id);
                    self.put_aside(Folder::States, name.as_c_str(), why)?;
                }
            }
        }
        Ok((states, damaged))
    }

    /// Queues the messages whose settlement was written, and drops those whose was not.
    fn finish_follow_ups(&mut self, states: &BTreeMap<MsgId, StateRecord>, all_read: bool) -> Result<(), QueueError> {
        let named: BTreeSet<_> = states.values().flat_map(|state| &state.follow_up).collect();
        let mut moved = false;
        for name in self.disk.names(Folder::Sealed)? {
            let Some(id) = self.id(Folder::Sealed, &name)? else { continue };
            let id = id.to_string();
            if named.contains(&id) {
                self.disk.rename(Folder::Sealed, name.as_c_str(), Folder::Messages, &id)?;
                moved = true;
            } else if all_read {
                self.disk.remove(Folder::Sealed, &id)?;
            } else {
                self.put_aside(Folder::Sealed, name.as_c_str(), "the state that may have named it is damaged")?;
            }
        }
        if moved {
            self.disk.sync_folder(Folder::Messages)?;
        }
        Ok(())
    }

    /// Reads a message; none if all its units are finished.
    fn message(&self, id: MsgId, state: Option<StateRecord>) -> Result<Option<Message>, record::Fault> {
        let file = self.disk.open_file(Folder::Messages, &id.to_string()).map_err(|error| reason(&error))?;
        let (lengths, record) = read_end(&file)?;
        if record.id != id.to_string() {
            return Err("it is named as another message");
        }
        let (next_unit, units) = match state {
            Some(state) => state.units()?,
            None => record.units()?,
        };
        if units.is_empty() {
            return Ok(None);
        }
        let size = lengths.text + u64::from(lengths.prepend);
        Ok(Some(Message::restore(record.envelope()?, size, record.idem()?, next_unit, units)))
    }

    /// The id that a name stands for; what is no id is put aside.
    fn id(&mut self, folder: Folder, name: &CStr) -> Result<Option<MsgId>, QueueError> {
        match name.to_str().ok().and_then(|name| name.parse().ok()) {
            Some(id) => Ok(Some(id)),
            None => self.put_aside(folder, name, "the name is not an id").map(|()| None),
        }
    }

    fn root_record<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<Option<T>, QueueError> {
        if !self.disk.holds(Folder::Root, name) {
            return Ok(None);
        }
        match self.small(Folder::Root, name) {
            Ok(record) => Ok(Some(record)),
            Err(why) => self.put_aside(Folder::Root, name, why).map(|()| None),
        }
    }

    fn small<T: DeserializeOwned>(&self, folder: Folder, name: &str) -> Result<T, record::Fault> {
        let file = self.disk.open_file(folder, name).map_err(|error| reason(&error))?;
        let len = file.len().map_err(|_| "it cannot be read")?;
        if len > LONGEST_SMALL {
            return Err("it is too long");
        }
        let mut bytes = vec![0; usize::try_from(len).map_err(|_| "it is too long")?];
        file.read_exact_at(&mut bytes, 0).map_err(|_| "it cannot be read")?;
        record::unframe(&bytes)
    }

    fn put_aside(&mut self, folder: Folder, name: impl Arg + Copy, why: &'static str) -> Result<(), QueueError> {
        let shown = name.to_string_lossy().into_owned();
        let safe = |byte: char| if byte.is_ascii_alphanumeric() { byte } else { '_' };
        let new_name: String = shown.chars().map(safe).take(100).collect();
        let folder_name = if folder == Folder::Root { "spool" } else { folder.name() };
        let mut number = self.aside.len();
        while self.disk.holds(Folder::Corrupt, &format!("{folder_name}.{}.{number}.{new_name}", self.life)) {
            number += 1;
        }
        let new_name = format!("{folder_name}.{}.{number}.{new_name}", self.life);
        self.disk.rename(folder, name, Folder::Corrupt, &new_name)?;
        self.aside.push(Quarantined { file: format!("{folder_name}/{shown}"), now: new_name, why });
        Ok(())
    }
}

/// Reads what ends a message file.
pub(super) fn read_end(file: &OpenFile) -> Result<(Lengths, MessageRecord), record::Fault> {
    let unreadable = |_| "it cannot be read";
    let len = file.len().map_err(unreadable)?;
    let trailer_at = len.checked_sub(TRAILER as u64).ok_or("it is too short")?;
    let mut trailer = [0; TRAILER];
    file.read_exact_at(&mut trailer, trailer_at).map_err(unreadable)?;
    let lengths = Lengths::read(&trailer, len)?;
    let mut json = vec![0; lengths.json as usize];
    file.read_exact_at(&mut json, lengths.text + u64::from(lengths.prepend)).map_err(unreadable)?;
    Ok((lengths, lengths.record(&json)?))
}

fn reason(error: &io::Error) -> record::Fault {
    match error.kind() {
        io::ErrorKind::InvalidData => "not a regular file of our own",
        _ => "it cannot be opened",
    }
}
