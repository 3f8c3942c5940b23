//! Authentication results: read, printed and read again they are the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| hikyaku_message::fuzzing::results(data));
