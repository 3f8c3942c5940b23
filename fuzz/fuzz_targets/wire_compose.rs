//! Commands that constructors put together: printed and parsed they are the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| hikyaku_wire::fuzzing::compose(data));
