#![no_main]

hikyaku_fuzz::target!(hikyaku_control);
