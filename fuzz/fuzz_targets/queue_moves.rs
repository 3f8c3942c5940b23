//! Moves of a queue: a lease has one holder, and no recipient is settled twice.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| hikyaku_queue::fuzzing::moves(data));
