//! A line of the audit log: read, written and read again it is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| hikyaku_audit::fuzzing::line(data));
