//! Server conversations, over pipes in virtual time and over real sockets.

mod connections;
mod logins;
mod memory;
mod slow;
mod stopping;
mod support;
mod tls;
