//! Counts the allocations of every row of message authentication, and the memory that a large
//! message takes.
//!
//! A program of its own, because the allocator that counts takes time for it.

use hikyaku_benches::auth::work::Algorithm;
use hikyaku_benches::auth::{memory, ours, peer, rows, work};
use hikyaku_benches::task::Task;
use hikyaku_benches::work::{READ, base64};

fn main() {
    let counts: Vec<_> = rows::all()
        .map(|row| {
            let work = (row.work)();
            (row.name, allocations(ours::task(&work)), peer::task(&work).map(allocations))
        })
        .collect();
    print!("{}", memory::lines(&counts, peak(10 << 20), peak(1 << 20)));
}

/// The allocations of one run, after others have brought buffers to their size.
fn allocations(mut task: Task) -> u64 {
    for _ in 0..2 {
        task.prepare();
        task.run();
    }
    task.prepare();
    allocation_counter::measure(|| task.run()).count_total
}

/// The most octets at one time, while a message of this size is verified piece by piece.
fn peak(size: usize) -> u64 {
    let message = work::signed(&work::message(size, base64), Algorithm::Rsa);
    let verifying = ours::Verifying::new();
    verifying.run(message.chunks(READ));
    let mut passed = false;
    let counted = allocation_counter::measure(|| passed = verifying.run(message.chunks(READ)));
    assert!(passed, "the signature is good");
    counted.bytes_max
}
