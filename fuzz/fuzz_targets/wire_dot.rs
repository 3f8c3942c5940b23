//! The data of a message: every split of the bytes gives the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| hikyaku_wire::fuzzing::dot(data));
