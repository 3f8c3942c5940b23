//! The spool on a real disk: killed at any moment, and with files that were damaged.
#![cfg(feature = "spool")]

mod damage;
mod kill;
mod mail;
mod model;
