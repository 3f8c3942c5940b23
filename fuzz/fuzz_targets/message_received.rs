//! The clauses of a `Received` field, and a `Return-Path`: put together again they read the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| hikyaku_message::fuzzing::received(data));
