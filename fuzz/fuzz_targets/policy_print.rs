#![no_main]

hikyaku_fuzz::target!(policy_print);
