//! What the fuzzers call: records, files of a spool, and moves of the queue beside a naive model of it.

use crate::Memory;
use crate::suite::{Store, model};

/// Segments of a journal: whatever they are it opens, and what is written to it then stands behind.
#[cfg(feature = "spool")]
pub fn journal(data: &[u8]) {
    crate::spool::any_segments(data);
}

/// Records of a spool's journal: what can be read can be written, and read again as the same.
#[cfg(feature = "spool")]
pub fn record(data: &[u8]) {
    crate::spool::round_trip(data);
}

/// The first byte says whether JSON of an envelope or of a unit follows: what can be read can be
/// written, and read again as the same.
#[cfg(feature = "spool")]
pub fn envelope(data: &[u8]) {
    use crate::backend::{EnvelopeRecord, UnitRecord};

    let Some((kind, json)) = data.split_first() else { return };
    if kind % 2 == 0 {
        let Ok(record) = serde_json::from_slice::<EnvelopeRecord>(json) else { return };
        let Ok(envelope) = record.read() else { return };
        let written = serde_json::to_vec(&EnvelopeRecord::from(&envelope)).expect("a record can be written");
        let again: EnvelopeRecord = serde_json::from_slice(&written).expect("what was written can be read");
        assert_eq!(again.read(), Ok(envelope));
    } else {
        let Ok(record) = serde_json::from_slice::<UnitRecord>(json) else { return };
        let Ok(unit) = record.read() else { return };
        let written = serde_json::to_vec(&UnitRecord::from(&unit)).expect("a record can be written");
        let again: UnitRecord = serde_json::from_slice(&written).expect("what was written can be read");
        assert_eq!(again.read(), Ok(unit));
    }
}

/// Moves of the queue, four bytes each; after each it says the same as the model.
pub fn moves(data: &[u8]) {
    model::replay(&InMemory, &data[..data.len().min(800)]);
}

/// How the suite gets queues in memory.
pub(crate) struct InMemory;

impl Store for InMemory {
    type Queue = Memory;

    fn fresh(&self) -> Memory {
        Memory::new()
    }

    fn reopen(&self, queue: Memory) -> Result<Memory, Memory> {
        Err(queue)
    }

    fn full(&self) -> Memory {
        Memory::with_capacity((1 << 20) - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    fn replay(target: &str, check: impl Fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
        let mut replayed = 0;
        for file in std::fs::read_dir(&folder).expect("the corpus is there") {
            check(&std::fs::read(file.unwrap().path()).unwrap());
            replayed += 1;
        }
        assert!(replayed > 0, "{} is empty", folder.display());
    }

    #[test]
    fn corpus_of_moves() {
        replay("queue_moves", super::moves);
    }

    #[cfg(feature = "spool")]
    #[test]
    fn corpus_of_records() {
        replay("queue_record", super::record);
    }

    #[cfg(feature = "spool")]
    #[test]
    fn corpus_of_journals() {
        replay("queue_journal", super::journal);
    }

    #[cfg(feature = "spool")]
    #[test]
    fn corpus_of_envelopes() {
        replay("queue_envelope", super::envelope);
    }

    proptest! {
        #[test]
        fn the_queue_is_its_model(data in proptest::collection::vec(any::<u8>(), 0..800)) {
            super::moves(&data);
        }
    }
}
