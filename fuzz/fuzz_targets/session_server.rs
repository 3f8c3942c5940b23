//! Moves of the server's conversation: one reply a decision, and nothing survives a transaction.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| hikyaku_session::fuzzing::server(data));
