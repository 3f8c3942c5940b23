//! Dictionaries: the words of the grammars, which a fuzzer would not guess.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Package, files, folder, make, name, scratch};

/// The longest word that libFuzzer takes, in octets; it leaves out longer ones without a word.
const LONGEST: usize = 64;

/// Writes one dictionary a target, its own and those that `fuzz/Cargo.toml`
/// names for it, since libFuzzer reads only one; and none that is empty.
pub(super) fn write(package: &Package, targets: &[String]) -> Result<Vec<Option<PathBuf>>, String> {
    let written = make(scratch().join("dictionaries"))?;
    let mut paths = Vec::new();
    for target in targets {
        let mut words = BTreeSet::new();
        for file in of(package, target) {
            words.extend(read(&file)?);
        }
        let path = written.join(format!("{target}.dict"));
        let text: String = words.iter().map(|word| format!("{word}\n")).collect();
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        paths.push((!words.is_empty()).then_some(path));
    }
    Ok(paths)
}

/// The dictionaries of a target.
fn of(package: &Package, target: &str) -> Vec<PathBuf> {
    let own = path(target);
    let shared = package.dictionaries.get(target).into_iter().flatten().map(|name| path(name));
    own.exists().then_some(own).into_iter().chain(shared).collect()
}

fn path(name: &str) -> PathBuf {
    folder().join("dictionaries").join(format!("{name}.dict"))
}

/// The words of a dictionary as they are written, with their quotes.
fn read(file: &Path) -> Result<Vec<String>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    parse(&text).map_err(|error| format!("{}: {error}", file.display()))
}

fn parse(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let length = octets(line).ok_or(format!("line {} is no word: {line}", number + 1))?;
        if !(1..=LONGEST).contains(&length) {
            return Err(format!("line {} has a word of {length} octets", number + 1));
        }
        words.push(line.to_owned());
    }
    Ok(words)
}

/// How many octets a word has that is written `"..."`, with `\\`, `\"` and `\xHH`.
fn octets(line: &str) -> Option<usize> {
    let mut inner = line.strip_prefix('"')?.strip_suffix('"')?.bytes();
    let mut octets = 0;
    while let Some(byte) = inner.next() {
        match byte {
            b'\\' => match inner.next()? {
                b'\\' | b'"' => {}
                b'x' if inner.next()?.is_ascii_hexdigit() && inner.next()?.is_ascii_hexdigit() => {}
                _ => return None,
            },
            b'"' => return None,
            b' '..=b'~' => {}
            _ => return None,
        }
        octets += 1;
    }
    Some(octets)
}

/// Dictionaries that no target reads, and rows of the table in `fuzz/Cargo.toml` without a target.
pub(super) fn strays(package: &Package) -> Vec<String> {
    let rows = package.dictionaries.keys().filter(|target| !package.targets.contains(target));
    let rows = rows.map(|target| format!("fuzz/Cargo.toml: dictionaries of {target}, which is no target"));
    let used: BTreeSet<PathBuf> = package.targets.iter().flat_map(|target| of(package, target)).collect();
    let unused = files(&folder().join("dictionaries")).into_iter().filter(|file| !used.contains(file));
    rows.chain(unused.map(|file| format!("fuzz/dictionaries/{}: no target reads it", name(&file)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dictionary_is_one_of_words() {
        let files = files(&folder().join("dictionaries"));
        assert!(!files.is_empty());
        for file in files {
            assert!(file.extension().is_some_and(|extension| extension == "dict"), "{}", file.display());
            let words = read(&file).unwrap();
            let different: BTreeSet<&String> = words.iter().collect();
            assert_eq!(different.len(), words.len(), "{} repeats itself", file.display());
            assert!((3..=250).contains(&words.len()), "{} has {} words", file.display(), words.len());
        }
    }

    #[test]
    fn every_dictionary_that_is_named_exists() {
        for (target, names) in Package::read().unwrap().dictionaries {
            for name in names {
                assert!(path(&name).exists(), "{target}: {name}");
            }
        }
    }

    #[test]
    fn words_are_written_as_the_fuzzer_reads_them() {
        let text = "# the end\n\n\"\\x0D\\x0a.\"\n\"\\\\\\\"\"\n\" a~\"\n";
        assert_eq!(parse(text).unwrap(), ["\"\\x0D\\x0a.\"", "\"\\\\\\\"\"", "\" a~\""]);
        for bad in
            ["a", "\"a", "a\"", "\"", "\"a\"b\"", "\"\\n\"", "\"\\x0\"", "\"\\x0g\"", "\"\\\"", "\"\t\"", "\"é\""]
        {
            assert_eq!(parse(&format!("\"x\"\n{bad}")), Err(format!("line 2 is no word: {bad}")));
        }
        let long = |length| format!("\"{}\"", "a".repeat(length));
        assert!(parse(&long(LONGEST)).is_ok());
        assert_eq!(parse(&long(LONGEST + 1)), Err("line 1 has a word of 65 octets".into()));
        assert_eq!(parse("\"\""), Err("line 1 has a word of 0 octets".into()));
    }

    #[test]
    fn a_target_reads_its_own_words_and_those_named_for_it() {
        let package = |row: &str, shared: &str| Package {
            targets: vec!["wire_command".into(), "wire_reply".into()],
            dictionaries: [(row.to_owned(), vec![shared.to_owned()])].into(),
        };
        let named = package("wire_command", "wire_params");
        assert_eq!(of(&named, "wire_command"), [path("wire_command"), path("wire_params")]);
        assert_eq!(of(&named, "wire_reply"), [path("wire_reply")]);
        assert_eq!(of(&named, "no_words"), Vec::<PathBuf>::new());
        let (with, without) = (strays(&named), strays(&package("gone", "wire_params")));
        let unused = "fuzz/dictionaries/wire_params.dict: no target reads it".to_owned();
        assert!(!with.contains(&unused), "{with:?}");
        assert!(without.contains(&unused), "{without:?}");
        assert_eq!(without[0], "fuzz/Cargo.toml: dictionaries of gone, which is no target");
    }
}
