//! From what a target has learned to what is worth committing.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::fuzzer::{logged, unheard};
use super::{Programs, files, folder, make, name, scratch};

/// At most so many seeds are committed for a target.
pub(crate) const SEEDS: usize = 60;

/// At most so many octets are committed for a target.
pub(crate) const OCTETS: u64 = 128 * 1024;

/// What begins the name of a seed that a fuzzer has written; all others were
/// named by people, and stay.
const FOUND: &str = "found-";

/// Merges the scratch corpus of each target, and what was found before, into the
/// fewest inputs that reach all that the seeds of people do not; with `copy`
/// these replace what was found before.
pub(super) fn minimize(programs: &Programs, targets: &[String], copy: bool) -> Result<(), String> {
    println!("{:<24} {:>8} {:>8} {:>8} {:>8} {:>8}", "target", "scratch", "seeds", "found", "left out", "octets");
    for target in targets {
        let committed = folder().join("corpus").join(target);
        let learned = make(scratch().join("corpus").join(target))?;
        let minimal = scratch().join("minimal").join(target);
        if minimal.exists() {
            std::fs::remove_dir_all(&minimal).map_err(|error| format!("{}: {error}", minimal.display()))?;
        }
        make(minimal.clone())?;

        let seeds: Vec<PathBuf> = files(&committed).into_iter().filter(|seed| !name(seed).starts_with(FOUND)).collect();
        for seed in &seeds {
            copied(seed, &minimal.join(name(seed)))?;
        }
        let mut merge = Command::new(programs.of(target));
        // Edges alone, not how often each is passed: else every target fills its bounds.
        merge.args(["-set_cover_merge=1", "-use_counters=0"]).args([&minimal, &committed, &learned]);
        let (status, said) = logged(merge, &format!("{target}.merge"))?;
        if !status.success() {
            return Err(unheard(target, status, &said));
        }

        let people: HashSet<String> = seeds.iter().map(|seed| name(seed)).collect();
        let new = files(&minimal).into_iter().filter(|file| !people.contains(&name(file)));
        let new: Vec<(PathBuf, u64)> = new.map(|file| (octets(&file), file)).map(|(size, file)| (file, size)).collect();
        let all = new.len();
        let kept = within(new, seeds.len(), seeds.iter().map(|seed| octets(seed)).sum());
        let size: u64 = kept.iter().map(|(_, size)| size).sum();
        println!(
            "{target:<24} {:>8} {:>8} {:>8} {:>8} {size:>8}",
            files(&learned).len(),
            seeds.len(),
            kept.len(),
            all - kept.len()
        );
        if copy {
            replace(&committed, &kept)?;
        }
    }
    if !copy {
        println!("nothing was copied; --copy puts what was found into fuzz/corpus");
    }
    Ok(())
}

/// The smallest files, as many as the bounds allow beside the seeds of people.
fn within(mut files: Vec<(PathBuf, u64)>, seeds: usize, octets: u64) -> Vec<(PathBuf, u64)> {
    files.sort_by(|(one, small), (other, large)| small.cmp(large).then_with(|| one.cmp(other)));
    let mut room = OCTETS.saturating_sub(octets);
    files
        .into_iter()
        .take(SEEDS.saturating_sub(seeds))
        .take_while(|(_, size)| {
            let fits = *size <= room;
            room = room.saturating_sub(*size);
            fits
        })
        .collect()
}

/// What was found before goes, what is kept comes.
fn replace(committed: &Path, kept: &[(PathBuf, u64)]) -> Result<(), String> {
    for old in files(committed).iter().filter(|file| name(file).starts_with(FOUND)) {
        std::fs::remove_file(old).map_err(|error| format!("{}: {error}", old.display()))?;
    }
    for (file, _) in kept {
        copied(file, &committed.join(found(&name(file))))?;
    }
    Ok(())
}

/// libFuzzer names a file after its SHA-1; the beginning tells it from its neighbours.
fn found(name: &str) -> String {
    let digest = name.strip_prefix(FOUND).unwrap_or(name);
    format!("{FOUND}{}", digest.get(..12).unwrap_or(digest))
}

fn copied(from: &Path, to: &Path) -> Result<(), String> {
    std::fs::copy(from, to).map(|_| ()).map_err(|error| format!("{} to {}: {error}", from.display(), to.display()))
}

fn octets(file: &Path) -> u64 {
    file.metadata().map_or(0, |metadata| metadata.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(sizes: &[u64]) -> Vec<(PathBuf, u64)> {
        sizes.iter().enumerate().map(|(number, size)| (format!("{number:03}").into(), *size)).collect()
    }

    #[test]
    fn the_smallest_are_kept() {
        let kept = within(listed(&[9, 3, OCTETS, 3]), 0, 0);
        let names: Vec<String> = kept.iter().map(|(file, _)| name(file)).collect();
        assert_eq!(names, ["001", "003", "000"]);
    }

    #[test]
    fn the_bounds_hold_for_seeds_and_found_together() {
        assert_eq!(within(listed(&[1; 70]), 10, 0).len(), SEEDS - 10);
        assert_eq!(within(listed(&[1; 70]), SEEDS + 1, 0), []);
        assert_eq!(within(listed(&[4; 5]), 1, OCTETS - 8).len(), 2);
        assert_eq!(within(listed(&[4; 5]), 1, OCTETS - 7).len(), 1);
        assert_eq!(within(listed(&[4; 5]), 1, OCTETS + 1), []);
    }

    #[test]
    fn what_a_fuzzer_found_keeps_its_name() {
        assert_eq!(found("36d65766f63bda3ecd631c04f29f18308ca4c9b5"), "found-36d65766f63b");
        assert_eq!(found("found-36d65766f63b"), "found-36d65766f63b");
        assert_eq!(found("short"), "found-short");
    }

    #[test]
    fn what_was_found_before_is_replaced_and_what_people_named_stays() {
        let folder = crate::target().join(format!("xtask-corpus-{}", std::process::id()));
        let (committed, minimal) = (make(folder.join("committed")).unwrap(), make(folder.join("minimal")).unwrap());
        for file in ["plain", "found-0123456789ab"] {
            std::fs::write(committed.join(file), file).unwrap();
        }
        let new = minimal.join("36d65766f63bda3ecd631c04f29f18308ca4c9b5");
        std::fs::write(&new, "new").unwrap();
        replace(&committed, &[(new, 3)]).unwrap();
        let names: Vec<String> = files(&committed).iter().map(|file| name(file)).collect();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(names, ["found-36d65766f63b", "plain"]);
    }
}
