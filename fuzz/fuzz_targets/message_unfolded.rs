//! A field that is made: printed it is one field, and unfolds to the same value.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| hikyaku_message::fuzzing::unfolded(data));
