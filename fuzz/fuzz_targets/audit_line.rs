#![no_main]

hikyaku_fuzz::target!(audit_line);
