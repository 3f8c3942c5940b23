#![no_main]

hikyaku_fuzz::target!(wire_bdat);
