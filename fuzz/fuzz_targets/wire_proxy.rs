//! The header of a proxy: read the same at every split, and written in both versions.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| hikyaku_wire::fuzzing::proxy(data));
