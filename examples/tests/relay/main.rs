//! The relay program from the outside: a real process, real sockets, no other
//! mail program.

#[path = "../support/mod.rs"]
mod support;

mod auth;
mod authentication;
mod configuration;
mod crash;
mod delivery;
mod end_of_data;
mod first_mail;
mod modes;
mod open_relay;
mod policy;
mod queue;
mod shutdown;
mod signing;
mod spoofing;
#[cfg(target_os = "linux")]
mod streaming;
