//! The queue on PostgreSQL, with servers of the tests' own.

mod cluster;
mod lost_replies;
mod mail;
mod single;
mod support;
mod workers;
