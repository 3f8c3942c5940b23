//! Delivery from a queue in memory to servers in this process, by routes that the DNS or a
//! transport names.

mod gone;
mod routes;
mod support;
mod tls;
mod trouble;
