//! A date of a header: read, printed and read again it is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| hikyaku_message::fuzzing::date(data));
