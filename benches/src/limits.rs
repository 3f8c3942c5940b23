//! What no reader of the same octets can go below on this machine: searches and copies.

use std::hint::black_box;

use memchr::memchr_iter;
use memchr::memmem::Finder;

use crate::task::Task;
use crate::work::{READ, Reads, Work};

/// The limits of a work, each under the name of what is done.
pub fn tasks(work: &Work) -> Vec<(&'static str, Task)> {
    match work {
        Work::Commands { input, .. } | Work::CommandsByLines { input, .. } => vec![("memchr", walk(input))],
        Work::EhloReply(reply) | Work::EhloReplyAll(reply) | Work::ReplyLine(reply) => vec![("memchr", walk(reply))],
        Work::Receive { message, .. } => {
            vec![("memmem", search(message)), ("memmem and memcpy", search_and_copy(message))]
        }
        Work::Send(message) => vec![("memcpy", copy(message))],
        Work::Header { section, .. } => vec![("memchr", walk(section)), ("memchr count", count(section))],
    }
}

/// Stops at each line end.
fn walk(octets: &[u8]) -> Task {
    let octets = octets.to_vec();
    Task::plain(move || {
        for end in memchr_iter(b'\n', black_box(&octets)) {
            black_box(end);
        }
    })
}

/// Counts line ends without a stop.
fn count(octets: &[u8]) -> Task {
    let octets = octets.to_vec();
    Task::plain(move || {
        black_box(memchr_iter(b'\n', black_box(&octets)).count());
    })
}

/// Looks once at each read for a dot that begins a line.
fn search(message: &[u8]) -> Task {
    let finder = Finder::new(b"\n.");
    let run = move |reads: &mut Reads| {
        for read in &reads.buffers {
            black_box(finder.find_iter(read).count());
        }
    };
    Task::prepared(Reads::new(message), Reads::fill, run)
}

/// The same, and copies each read to where the message is kept.
fn search_and_copy(message: &[u8]) -> Task {
    let finder = Finder::new(b"\n.");
    let run = move |(reads, out): &mut (Reads, Vec<u8>)| {
        out.clear();
        for read in &reads.buffers {
            black_box(finder.find_iter(read).count());
            out.extend_from_slice(read);
        }
        black_box(out);
    };
    Task::prepared((Reads::new(message), Vec::new()), |(reads, _)| reads.fill(), run)
}

/// Copies the message in pieces through one buffer.
fn copy(message: &[u8]) -> Task {
    let message = message.to_vec();
    let mut out = Vec::with_capacity(2 * READ);
    Task::plain(move || {
        for piece in black_box(&message).chunks(READ) {
            out.clear();
            out.extend_from_slice(piece);
            black_box(&out);
        }
    })
}
