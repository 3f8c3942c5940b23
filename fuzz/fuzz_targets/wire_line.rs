//! Lines of any peer: only CRLF ends one, every split gives the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| hikyaku_wire::fuzzing::line(data));
