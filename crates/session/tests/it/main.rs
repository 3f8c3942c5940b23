//! The server's half of the conversation, told as an RFC tells it.

mod bounds;
mod dialogue;
mod runner;
mod smuggling;
mod table;
mod tls;
