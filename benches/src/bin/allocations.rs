//! Counts the allocations of every row: `row`, ours, the peer's, parted by tabs.
//!
//! A program of its own, because the allocator that counts takes time for it.

use hikyaku_benches::task::Task;
use hikyaku_benches::{ours, peer, rows};

fn main() {
    for row in rows::all() {
        let work = (row.work)();
        let ours = allocations(ours::task(&work));
        let peer = peer::task(&work).map_or("-".into(), |task| allocations(task).to_string());
        println!("{}\t{ours}\t{peer}", row.name);
    }
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
