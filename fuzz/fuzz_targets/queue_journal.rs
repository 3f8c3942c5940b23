#![no_main]

hikyaku_fuzz::target!(queue_journal);
