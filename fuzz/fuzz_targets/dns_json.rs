#![no_main]

hikyaku_fuzz::target!(dns_json);
