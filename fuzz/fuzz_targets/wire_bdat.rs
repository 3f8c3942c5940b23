//! A message in chunks: what was announced comes out, every split the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| hikyaku_wire::fuzzing::bdat(data));
