#![no_main]

hikyaku_fuzz::target!(mailauth_list_filter);
