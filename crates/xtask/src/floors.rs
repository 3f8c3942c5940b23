//! The floors: which crate stands where, and what each may stand on.

/// Each crate of the workspace with its floor; it depends on lower floors only.
/// `ARCHITECTURE.md` shows the same table.
pub(crate) const FLOORS: &[(&str, u8)] = &[
    ("hikyaku-wire", 0),
    ("hikyaku-message", 1),
    ("hikyaku-session", 1),
    ("hikyaku-dns", 1),
    ("hikyaku-mailauth", 2),
    ("hikyaku-policy", 2),
    ("hikyaku-queue", 2),
    ("hikyaku-audit", 2),
    ("hikyaku-queue-postgres", 3),
    ("hikyaku", 4),
];

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::FLOORS;
    use crate::root;
    use crate::run::{cargo, output};

    /// Packages of the workspace that are no crates of the product: they may use anything.
    const OUTSIDE: [&str; 2] = ["hikyaku-examples", "xtask"];

    /// Without a runtime: these can be used under any, or under none.
    const WITHOUT_TOKIO: [&str; 6] =
        ["hikyaku-wire", "hikyaku-message", "hikyaku-session", "hikyaku-policy", "hikyaku-mailauth", "hikyaku-audit"];

    /// The oldest versions without a known fault, where a `^` requirement would allow older ones.
    const MINIMUM: [(&str, [u64; 3]); 14] = [
        ("bytes", [1, 11, 1]),
        ("clap", [4, 6, 0]),
        ("hickory-net", [0, 26, 3]),
        ("hickory-proto", [0, 26, 3]),
        ("hickory-resolver", [0, 26, 3]),
        ("idna", [1, 0, 0]),
        ("postgres-protocol", [0, 6, 12]),
        ("quick-xml", [0, 41, 0]),
        ("ring", [0, 17, 12]),
        ("rustls", [0, 23, 18]),
        ("rustls-webpki", [0, 103, 13]),
        ("time", [0, 3, 47]),
        ("tokio-postgres", [0, 7, 18]),
        ("tracing-subscriber", [0, 3, 20]),
    ];

    /// Never in any lock file: `rsa` leaks keys by its timing, and has no fix.
    const NEVER: [&str; 3] = ["rsa", "openssl-sys", "native-tls"];

    /// name -> the workspace's own crates that it depends on, of every kind.
    fn edges() -> BTreeMap<String, BTreeSet<String>> {
        let text = output(&mut cargo(&["metadata", "--no-deps", "--format-version", "1"])).unwrap();
        let metadata: Value = serde_json::from_str(&text).unwrap();
        let name = |package: &Value| package["name"].as_str().unwrap().to_owned();
        let packages = metadata["packages"].as_array().unwrap();
        let own = |package: &Value| {
            let dependencies = package["dependencies"].as_array().unwrap();
            dependencies.iter().filter(|dependency| !dependency["path"].is_null()).map(name).collect()
        };
        packages.iter().map(|package| (name(package), own(package))).collect()
    }

    fn floor(name: &str) -> u8 {
        FLOORS.iter().find(|(crate_name, _)| *crate_name == name).unwrap_or_else(|| panic!("{name} has no floor")).1
    }

    /// The outside and own crates that a package needs at run time, itself included.
    fn tree(package: &str, arguments: &[&str]) -> BTreeSet<String> {
        let mut tree = cargo(&["tree", "--edges", "normal", "--prefix", "none", "--format", "{p}"]);
        let text = output(tree.args(["--package", package]).args(arguments)).unwrap();
        text.lines()
            .filter_map(|line| line.split(' ').next())
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// The (name, version) pairs of a lock file.
    fn locked(file: &str) -> Vec<(String, String)> {
        let text = std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let value = |line: Option<&str>, key: &str| {
            let quoted = line?.strip_prefix(key)?.strip_prefix(" = ")?;
            Some(quoted.trim_matches('"').to_owned())
        };
        let mut lines = text.lines();
        let mut pairs = Vec::new();
        while let Some(line) = lines.next() {
            if line == "[[package]]" {
                pairs.push((value(lines.next(), "name").unwrap(), value(lines.next(), "version").unwrap()));
            }
        }
        assert!(!pairs.is_empty(), "{file} locks nothing");
        pairs
    }

    fn version(text: &str) -> [u64; 3] {
        let plain = text.split(['-', '+']).next().unwrap();
        let mut numbers = plain.split('.').map(|number| number.parse().unwrap());
        std::array::from_fn(|_| numbers.next().unwrap())
    }

    #[test]
    fn every_crate_of_the_workspace_has_a_floor() {
        let crates: BTreeSet<String> = edges().into_keys().filter(|name| !OUTSIDE.contains(&name.as_str())).collect();
        let expected: BTreeSet<String> = FLOORS.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(crates, expected);
    }

    #[test]
    fn a_crate_depends_only_on_lower_floors() {
        for (name, own) in edges() {
            if OUTSIDE.contains(&name.as_str()) {
                continue;
            }
            for dependency in own {
                assert!(floor(&dependency) < floor(&name), "{name} must not depend on {dependency}");
            }
        }
    }

    #[test]
    fn nothing_depends_on_the_packages_outside_the_floors() {
        for (name, own) in edges() {
            for outside in OUTSIDE {
                assert!(!own.contains(outside), "{name} depends on {outside}");
            }
        }
    }

    #[test]
    fn the_policy_needs_wire_and_message_only() {
        let allowed: BTreeSet<String> = ["hikyaku-wire", "hikyaku-message"].map(str::to_owned).into();
        let own = &edges()["hikyaku-policy"];
        assert!(own.is_subset(&allowed), "{own:?}");
    }

    #[test]
    fn no_runtime_below_the_top() {
        for name in WITHOUT_TOKIO {
            let tree = tree(name, &[]);
            assert!(tree.contains(name), "{tree:?}");
            assert!(!tree.contains("tokio"), "{name} needs tokio");
        }
    }

    #[test]
    fn the_wire_crate_needs_at_most_nine_others() {
        // Every feature is off by default.
        for arguments in [&["--no-default-features"][..], &[]] {
            let mut tree = tree("hikyaku-wire", arguments);
            tree.remove("hikyaku-wire");
            assert!(tree.len() <= 9, "{tree:?}");
        }
    }

    #[test]
    fn the_relay_is_built_without_c_libraries_for_tls() {
        let tree = tree("hikyaku-examples", &[]);
        for name in ["openssl-sys", "aws-lc-sys", "native-tls"] {
            assert!(!tree.contains(name), "the relay needs {name}");
        }
    }

    #[test]
    fn locked_versions_have_no_known_fault() {
        for file in ["Cargo.lock", "fuzz/Cargo.lock", "benches/Cargo.lock"] {
            for (name, locked) in locked(file) {
                assert!(!NEVER.contains(&name.as_str()), "{file} holds {name}");
                if let Some((_, minimum)) = MINIMUM.iter().find(|(minimum, _)| *minimum == name) {
                    assert!(version(&locked) >= *minimum, "{file}: {name} {locked} is older than {minimum:?}");
                }
            }
        }
    }

    #[test]
    fn architecture_shows_the_same_floors() {
        let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
        assert!(text.lines().count() <= 150, "ARCHITECTURE.md is a page to read, not a book");
        let row = |line: &str| {
            let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
            let floor: u8 = cells.next()?.parse().ok()?;
            Some((cells.next()?.trim_matches('`').to_owned(), floor))
        };
        let shown: BTreeSet<(String, u8)> = text.lines().filter_map(row).collect();
        let expected = FLOORS.iter().map(|(name, floor)| ((*name).to_owned(), *floor)).collect();
        assert_eq!(shown, expected);
    }
}
