//! A report of any content: one message, from which the same delivery status is read.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| hikyaku_message::fuzzing::report(data));
