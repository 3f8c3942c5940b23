//! The parameters of MAIL and RCPT behind a fixed path.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| hikyaku_wire::fuzzing::params(data));
