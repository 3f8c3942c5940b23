//! A delivery status, in a message or by itself: read, printed and read again it is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| hikyaku_message::fuzzing::dsn(data));
