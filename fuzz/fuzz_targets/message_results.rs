#![no_main]

hikyaku_fuzz::target!(message_results);
