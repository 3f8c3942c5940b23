//! Text in the two encodings of parameters: parsed, printed and decoded it stays the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| hikyaku_wire::fuzzing::xtext(data));
