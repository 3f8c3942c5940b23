//! Replies of a server: in pieces, borrowed and owned, printed and read again they are the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| hikyaku_wire::fuzzing::reply(data));
