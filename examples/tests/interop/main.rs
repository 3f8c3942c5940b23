//! The relay between real mail programs. `cargo xtask test --setup` installs
//! them; a test whose program is missing fails and says so.

#[path = "../support/mod.rs"]
mod support;

mod clients;
mod dkim;
mod dnssec;
mod logins;
mod messages;
mod nmap;
mod postfix;
mod postfix_policy;
mod programs;
mod scram;
mod through;
mod users;
