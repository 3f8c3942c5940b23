//! The values of parameters: parsed, printed and parsed again they are the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| hikyaku_wire::fuzzing::esmtp(data));
