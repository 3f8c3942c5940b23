//! The queue's spool beside what the disk does at most, and beside one file a message.
//!
//! Each measurement is a process of its own, so that its memory and what it writes can be told
//! apart; [`rows`] holds what is asked. All write below cargo's target folder, on the same disk.

pub mod depth;
pub mod files;
pub mod harness;
pub mod once;
pub mod ours;
pub mod plot;
pub mod process;
pub mod raw;
pub mod rows;

/// The length of a text in bytes.
pub const BODY: usize = 4096;

/// The length of what a journal writes beside a text: envelope and header.
pub const FRAME: usize = 400;

/// What a message counts where written bytes are compared with messages.
pub const PAYLOAD: u64 = (BODY + FRAME) as u64;
