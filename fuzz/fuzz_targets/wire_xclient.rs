//! The argument of XCLIENT: parsed, taken apart and put together it means the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| hikyaku_wire::fuzzing::xclient(data));
