//! A record of the spool, whole or damaged: read or set aside, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| hikyaku_queue::fuzzing::record(data));
