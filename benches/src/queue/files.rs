//! What spools of one file a message do at best: each producer writes a file, syncs it, renames it
//! and syncs the folder, all in parallel.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use super::harness::Turn;
use super::{BODY, FRAME};

/// Lets so many threads write messages for as long as a turn takes.
///
/// # Panics
/// The file system refuses something.
pub fn turn(folder: &Path, threads: usize) -> Turn {
    for name in ["tmp", "new"] {
        std::fs::create_dir_all(folder.join(name)).expect("make a folder");
    }
    let start = Instant::now();
    let end = start + super::harness::TURN;
    let done = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    let (frame, body) = (vec![1; FRAME], vec![2; BODY]);
                    let (tmp, new) = (folder.join("tmp"), folder.join("new"));
                    let folder = File::open(&new).expect("open the folder");
                    let mut done = 0_u64;
                    while Instant::now() < end {
                        let name = format!("{thread}.{done}");
                        let mut file = File::create_new(tmp.join(&name)).expect("make a file");
                        file.write_all(&frame).expect("write");
                        file.write_all_at(&body, FRAME as u64).expect("write");
                        file.sync_data().expect("sync");
                        std::fs::rename(tmp.join(&name), new.join(&name)).expect("rename");
                        folder.sync_all().expect("sync the folder");
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no producer panics")).sum()
    });
    Turn { done, took: start.elapsed() }
}
