#![no_main]

hikyaku_fuzz::target!(session_sasl_client);
