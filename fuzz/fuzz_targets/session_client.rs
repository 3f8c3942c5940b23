//! Moves of the client's conversation: every recipient is settled once, and an early byte ends it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| hikyaku_session::fuzzing::client(data));
