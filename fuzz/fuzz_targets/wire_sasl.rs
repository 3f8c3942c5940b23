//! The lines of AUTH: one text for the same octets, both ways.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| hikyaku_wire::fuzzing::sasl(data));
