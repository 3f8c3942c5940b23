//! A header section: its fields are spans that together are the input.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| hikyaku_message::fuzzing::header(data));
