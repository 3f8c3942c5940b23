//! What can be read off the sources themselves.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::fuzz;
use crate::root;
use crate::suite::rust_files;

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn entries(folder: &str) -> BTreeSet<PathBuf> {
    let folder = root().join(folder);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// Panics with every file and line of the workspace that `is_bad` picks.
fn no_line(what: &str, is_bad: impl Fn(&str) -> bool) {
    let mut bad = Vec::new();
    for file in rust_files(&root()) {
        // This file has to name what it looks for.
        if file.ends_with("xtask/src/sources.rs") {
            continue;
        }
        for (number, line) in read(&file).lines().enumerate() {
            if is_bad(line) {
                bad.push(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(bad.is_empty(), "{what}:\n{}", bad.join("\n"));
}

#[test]
fn every_package_takes_the_lints_of_the_workspace() {
    let mut manifests: Vec<PathBuf> = entries("crates").into_iter().map(|folder| folder.join("Cargo.toml")).collect();
    manifests.push(root().join("examples/Cargo.toml"));
    for manifest in manifests {
        let text = read(&manifest);
        assert!(text.contains("[lints]\nworkspace = true\n"), "{}", manifest.display());
    }
    let workspace = read(&root().join("Cargo.toml"));
    for lint in ["unsafe_code = \"forbid\"", "missing_docs = \"warn\""] {
        assert!(workspace.contains(lint), "{lint}");
    }
}

#[test]
fn no_test_is_ignored() {
    no_line("ignored tests", |line| line.trim_start().starts_with("#[ignore"));
}

#[test]
fn nothing_is_put_off() {
    no_line("work put off", |line| {
        ["TODO", "FIXME", "XXX", "unimplemented!", "todo!"].iter().any(|word| line.contains(word))
    });
}

#[test]
fn a_file_is_short_enough_to_read() {
    for file in rust_files(&root()) {
        let text = read(&file);
        // A table of tests may be as long as it has rows.
        let lines = text.split("#[cfg(test)]\nmod ").next().unwrap().lines().count();
        let is_table = file.components().any(|part| part.as_os_str() == "dialogues");
        assert!(lines <= 500 || is_table, "{} has {lines} lines", file.display());
    }
}

#[test]
fn the_relay_program_reads_as_the_mail_flow() {
    for (file, limit) in [("examples/relay/main.rs", 200), ("examples/submit.rs", 60)] {
        let lines = read(&root().join(file)).lines().count();
        assert!(lines < limit, "{file} has {lines} lines");
    }
}

#[test]
fn each_fuzz_target_has_a_table_line_a_program_a_corpus_and_a_replay() {
    let stem = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let targets: BTreeSet<String> = entries("fuzz/fuzz_targets").iter().map(stem).collect();
    let corpora: BTreeSet<String> = entries("fuzz/corpus").iter().map(stem).collect();
    assert_eq!(targets, corpora);
    let programs: BTreeSet<String> = fuzz::targets().unwrap().into_iter().collect();
    assert_eq!(targets, programs, "fuzz/Cargo.toml");
    let table = read(&root().join("fuzz/src/lib.rs"));
    for target in targets {
        assert!(table.contains(&format!("\n    {target} = ")), "fuzz/src/lib.rs lacks {target}");
        let program = format!("#![no_main]\n\nhikyaku_fuzz::target!({target});\n");
        assert_eq!(read(&root().join(format!("fuzz/fuzz_targets/{target}.rs"))), program);
        // The crate's own tests replay it.
        let sources = root().join("crates").join(target.split('_').next().unwrap()).join("src");
        let quoted = format!("{target}\"");
        let replays = |file: &PathBuf| file.starts_with(&sources) && read(file).contains(&quoted);
        assert!(rust_files(&root()).iter().any(replays), "nothing in {} replays {target}", sources.display());
    }
}

#[test]
fn a_corpus_is_small_enough_to_commit() {
    for corpus in entries("fuzz/corpus") {
        let seeds: Vec<u64> = corpus.read_dir().unwrap().map(|seed| seed.unwrap().metadata().unwrap().len()).collect();
        let (files, octets) = (seeds.len(), seeds.iter().sum::<u64>());
        assert!((1..=fuzz::SEEDS).contains(&files), "{} has {files} seeds", corpus.display());
        assert!(octets <= fuzz::OCTETS, "{} has {octets} octets", corpus.display());
    }
}

#[test]
fn the_record_of_fuzzing_speaks_of_targets_and_seeds_that_exist() {
    assert_eq!(fuzz::runs::strays(&fuzz::targets().unwrap(), &fuzz::runs::read().unwrap()), Vec::<String>::new());
}

#[test]
fn documents_name_files_that_exist() {
    let mut documents = vec![];
    for name in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "benches/README.md",
        "fuzz/README.md",
    ] {
        documents.push(root().join(name));
    }
    if root().join("docs").exists() {
        documents.extend(entries("docs"));
    }
    for document in documents {
        for quoted in read(&document).split('`').skip(1).step_by(2) {
            let first = quoted.split('/').next().unwrap();
            let inside = ["crates", "examples", "fuzz", "benches", "docs", ".ci", ".cargo"].contains(&first);
            let plain = quoted.contains('/') && !quoted.contains([' ', '*', '{', '<', '$', '\n']);
            if inside && plain {
                assert!(root().join(quoted).exists(), "{} names {quoted}", document.display());
            }
        }
    }
}

/// The last column of `docs/rfc.md` names tests, or files of dialogues.
#[test]
fn standards_name_tests_that_exist() {
    let sources: String = rust_files(&root()).iter().map(|file| read(file)).collect();
    let mut named = 0;
    for row in read(&root().join("docs/rfc.md")).lines().filter(|line| line.starts_with("| ")) {
        let tests = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for test in tests.split('`').skip(1).step_by(2) {
            named += 1;
            let dialogue = root().join("crates/session/tests/dialogues").join(test);
            assert!(dialogue.is_file() || sources.contains(&format!("fn {test}(")), "docs/rfc.md names {test}");
        }
    }
    assert!(named > 100, "{named} tests are named");
}

#[test]
fn only_the_ci_script_knows_where_conformance_data_lies() {
    let script = read(&root().join(".ci/run"));
    assert!(script.contains("shared/conformance"));
    no_line("a path of conformance data", |line| line.contains("shared/conformance"));
}
