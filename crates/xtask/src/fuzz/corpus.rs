//! From what a target has learned to what is worth committing.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::fuzzer::{logged, unheard};
use super::{Programs, artifacts, files, folder, make, name, scratch};

/// At most so many seeds are committed for a target.
pub(crate) const SEEDS: usize = 60;

/// At most so many octets are committed for a target.
pub(crate) const OCTETS: u64 = 128 * 1024;

/// What begins the name of a seed that a fuzzer has written; all others were
/// named by people, and stay.
const FOUND: &str = "found-";

/// Takes from the scratch corpus of each target, and from what was found before,
/// the inputs that reach most of what the seeds of people do not; with `copy`
/// these replace what was found before.
pub(super) fn minimize(programs: &Programs, targets: &[String], copy: bool) -> Result<(), String> {
    println!(
        "{:<24} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "target", "learned", "seeds", "found", "octets", "edges", "of"
    );
    for target in targets {
        let committed = folder().join("corpus").join(target);
        let seeds: Vec<PathBuf> = files(&committed).into_iter().filter(|seed| !name(seed).starts_with(FOUND)).collect();
        let learned = files(&make(scratch().join("corpus").join(target))?).len();
        let chosen = choose(merge(programs, target, &committed, &seeds)?);
        let octets: u64 = chosen.found.iter().map(|file| octets(file)).sum();
        println!(
            "{target:<24} {learned:>8} {:>8} {:>8} {octets:>8} {:>8} {:>8}",
            seeds.len(),
            chosen.found.len(),
            chosen.edges,
            chosen.all
        );
        if copy {
            replace(&committed, &chosen.found)?;
        }
    }
    if !copy {
        println!("nothing was copied; --copy puts what was found into fuzz/corpus");
    }
    Ok(())
}

/// An input, and the edges of the program that it reaches.
#[derive(Debug, PartialEq)]
struct Input {
    file: PathBuf,
    octets: u64,
    edges: HashSet<u32>,
    /// Whether a person named it: these come first, and stay.
    seed: bool,
}

/// Lets libFuzzer tell what every input reaches.
fn merge(programs: &Programs, target: &str, committed: &Path, seeds: &[PathBuf]) -> Result<Vec<Input>, String> {
    // libFuzzer copies its own choice into the first folder, but knows no bound.
    let first = scratch().join("merge").join(target);
    let control = scratch().join("merge").join(format!("{target}.control"));
    let _ = std::fs::remove_dir_all(&first);
    let _ = std::fs::remove_file(&control);
    make(first.clone())?;
    for seed in seeds {
        copied(seed, &first.join(name(seed)))?;
    }
    let mut merge = Command::new(programs.of(target));
    merge
        // Edges alone, not how often each is passed: else every target fills its bounds.
        .args(["-set_cover_merge=1", "-use_counters=0"])
        .arg(format!("-merge_control_file={}", control.display()))
        .arg(format!("-artifact_prefix={}/", artifacts(target)?.display()))
        .args([&first, committed, &scratch().join("corpus").join(target)]);
    let (status, said) = logged(merge, &format!("{target}.merge"))?;
    if !status.success() {
        return Err(unheard(target, status, &said));
    }
    let text = std::fs::read_to_string(&control).map_err(|error| format!("{}: {error}", control.display()))?;
    inputs(&text).ok_or_else(|| format!("{} is not what libFuzzer writes", control.display()))
}

/// The control file of a merge: how many files there are, how many of them in the
/// first folder, their paths, and for each that was run `STARTED number octets`
/// and `FT number edge...`.
fn inputs(control: &str) -> Option<Vec<Input>> {
    let mut lines = control.lines();
    let all: usize = lines.next()?.parse().ok()?;
    let first: usize = lines.next()?.parse().ok()?;
    let files: Vec<&str> = lines.by_ref().take(all).collect();
    let (mut inputs, mut size) = (Vec::new(), 0);
    for line in lines {
        let mut words = line.split(' ');
        match words.next()? {
            "STARTED" => size = words.nth(1)?.parse().ok()?,
            "FT" => {
                let number: usize = words.next()?.parse().ok()?;
                let edges = words.map(|edge| edge.parse().ok()).collect::<Option<_>>()?;
                inputs.push(Input { file: files.get(number)?.into(), octets: size, edges, seed: number < first });
            }
            _ => {}
        }
    }
    Some(inputs)
}

/// What is worth committing.
#[derive(Debug, PartialEq)]
struct Chosen {
    found: Vec<PathBuf>,
    /// Edges that the seeds and these reach.
    edges: usize,
    /// Edges that any input reaches.
    all: usize,
}

/// One input after the other, always the one that adds most, as long as one
/// adds something and the bounds allow it.
fn choose(inputs: Vec<Input>) -> Chosen {
    let all = inputs.iter().flat_map(|input| &input.edges).collect::<HashSet<_>>().len();
    let (seeds, mut rest): (Vec<Input>, Vec<Input>) = inputs.into_iter().partition(|input| input.seed);
    let mut reached: HashSet<u32> = seeds.iter().flat_map(|seed| &seed.edges).copied().collect();
    let mut room = OCTETS.saturating_sub(seeds.iter().map(|seed| seed.octets).sum());
    let mut found = Vec::new();
    while seeds.len() + found.len() < SEEDS {
        for input in &mut rest {
            input.edges.retain(|edge| !reached.contains(edge));
        }
        rest.retain(|input| !input.edges.is_empty() && input.octets <= room);
        // Of two that add as much the smaller one, so that the choice is always the same.
        let best =
            rest.iter().enumerate().max_by_key(|(_, input)| (input.edges.len(), std::cmp::Reverse(input.octets)));
        let Some((place, _)) = best else { break };
        let input = rest.swap_remove(place);
        room -= input.octets;
        reached.extend(&input.edges);
        found.push(input.file);
    }
    Chosen { found, edges: reached.len(), all }
}

/// What was found before goes, what is kept comes.
fn replace(committed: &Path, kept: &[PathBuf]) -> Result<(), String> {
    let names: Vec<String> = kept.iter().map(|file| found(&name(file))).collect();
    for (file, name) in kept.iter().zip(&names) {
        // Some of what is kept may be what was found before.
        if *file != committed.join(name) {
            copied(file, &committed.join(name))?;
        }
    }
    for old in files(committed).iter().filter(|file| name(file).starts_with(FOUND) && !names.contains(&name(file))) {
        std::fs::remove_file(old).map_err(|error| format!("{}: {error}", old.display()))?;
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

    fn input(file: &str, octets: u64, edges: &[u32], seed: bool) -> Input {
        Input { file: file.into(), octets, edges: edges.iter().copied().collect(), seed }
    }

    fn found_of(inputs: Vec<Input>) -> Vec<String> {
        choose(inputs).found.iter().map(|file| name(file)).collect()
    }

    #[test]
    fn the_control_file_of_a_merge() {
        let control =
            "3\n1\na/seed\nb/x\nb/broken\nSTARTED 0 5\nFT 0 7 9\nCOV 0 7\nSTARTED 1 2\nFT 1\nCOV 1\nSTARTED 2 1\n";
        assert_eq!(inputs(control), Some(vec![input("a/seed", 5, &[7, 9], true), input("b/x", 2, &[], false)]));
        for bad in ["", "1\n", "x\n0\n", "1\n1\na\nFT 1 2\n", "1\n1\na\nFT 0 x\n"] {
            assert_eq!(inputs(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn each_input_that_is_chosen_adds_something() {
        let inputs = || {
            vec![
                input("seed", 9, &[1, 2], true),
                input("nothing-new", 1, &[1], false),
                input("most", 7, &[2, 3, 4, 5], false),
                input("part-of-most", 1, &[3, 4], false),
                input("larger", 8, &[6, 5], false),
                input("smaller", 3, &[6, 4], false),
            ]
        };
        assert_eq!(found_of(inputs()), ["most", "smaller"]);
        let chosen = choose(inputs());
        assert_eq!((chosen.edges, chosen.all), (6, 6));
    }

    #[test]
    fn the_bounds_hold_for_seeds_and_found_together() {
        let many = |seeds: u32| (0..70).map(|number| input("x", 1, &[number], number < seeds)).collect();
        assert_eq!(choose(many(10)), Chosen { found: vec!["x".into(); SEEDS - 10], edges: SEEDS, all: 70 });
        assert_eq!(found_of(many(65)), Vec::<String>::new());
        let large =
            |octets| vec![input("seed", octets, &[1], true), input("a", 4, &[2], false), input("b", 4, &[3], false)];
        assert_eq!(found_of(large(OCTETS - 8)).len(), 2);
        assert_eq!(found_of(large(OCTETS - 7)).len(), 1);
        assert_eq!(found_of(large(OCTETS - 4)).len(), 1);
        assert_eq!(found_of(large(OCTETS - 3)).len(), 0);
        assert_eq!(found_of(large(OCTETS + 1)).len(), 0);
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
        for file in ["plain", "found-0123456789ab", "found-abcdefabcdef"] {
            std::fs::write(committed.join(file), file).unwrap();
        }
        let new = minimal.join("36d65766f63bda3ecd631c04f29f18308ca4c9b5");
        std::fs::write(&new, "new").unwrap();
        replace(&committed, &[new, committed.join("found-abcdefabcdef")]).unwrap();
        let names: Vec<String> = files(&committed).iter().map(|file| name(file)).collect();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(names, ["found-36d65766f63b", "found-abcdefabcdef", "plain"]);
    }
}
