//! What can be read can be written, and read again as the same.

use super::record::{Lengths, MessageRecord, StateRecord, TRAILER, frame, message_end, parse, print, unframe};
use crate::MsgId;

/// Takes the bytes for a small file, for a message file, and for the JSON within either.
pub(crate) fn records(data: &[u8]) {
    for state in [unframe::<StateRecord>(data), parse(data)].into_iter().flatten() {
        let Ok(units) = state.units() else { continue };
        let id = MsgId::from_bytes([7; 16]);
        let again = StateRecord::new(id, units.clone(), &[id]);
        let file = frame(&again).expect("what was read can be written");
        let read: StateRecord = unframe(&file).expect("what was written can be read");
        assert_eq!(read.units(), Ok(units));
        assert_eq!((read.id, read.follow_up), (id.to_string(), vec![id.to_string()]));
    }
    for message in [parse(data), message_file(data)].into_iter().flatten() {
        let (Ok(envelope), Ok(idem), Ok(units)) = (message.envelope(), message.idem(), message.units()) else {
            continue;
        };
        let again = MessageRecord::new(MsgId::from_bytes([7; 16]), &envelope, idem, units.clone());
        // A text and a prepend that look like the records themselves.
        let json = print(&again).expect("what was read can be written");
        let end = message_end(data.len() as u64, &json, &again).expect("what was read can be written");
        let read = message_file(&[data, &end].concat()).expect("what was written can be read");
        assert_eq!((read.envelope(), read.idem(), read.units()), (Ok(envelope), Ok(idem), Ok(units)));
    }
}

fn message_file(file: &[u8]) -> Result<MessageRecord, &'static str> {
    let (rest, trailer) = file.split_last_chunk::<TRAILER>().ok_or("it is too short")?;
    let lengths = Lengths::read(trailer, file.len() as u64)?;
    let from = rest.len() - lengths.json as usize;
    assert_eq!(from as u64, lengths.text + u64::from(lengths.prepend));
    lengths.record(&rest[from..])
}
