//! Public suffixes: names under which anyone can register a name.

use hikyaku_wire::Domain;

/// Names for private use under which nobody else can register a name: reserved (RFC 6761,
/// RFC 7686, RFC 8375, RFC 9476), or used so much that they never will be delegated (RFC 6762,
/// appendix G). Names for documentation stand for any other, and are not among them.
const PRIVATE: [&str; 12] = [
    "alt",
    "corp",
    "home",
    "home.arpa",
    "internal",
    "intranet",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "onion",
    "private",
];

/// Whether anyone can register a name below this one: it is a top-level domain, or one that the
/// registries give names under, or all names right below it are such.
pub(crate) fn is_public(name: &Domain) -> bool {
    let name = name.to_lowercase();
    if PRIVATE.contains(&name.as_str()) {
        return false;
    }
    let is_suffix = |name: &str| {
        psl::suffix(name.as_bytes())
            .is_some_and(|suffix| suffix.typ() == Some(psl::Type::Icann) && suffix.as_bytes() == name.as_bytes())
    };
    !name.contains('.') || is_suffix(&name) || is_suffix(&format!("any.{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_registries_give_names_under() {
        for (name, expected) in [
            ("com", true),
            ("example", true),
            ("brand-new-domain", true),
            ("co.uk", true),
            ("CO.UK", true),
            ("ac.jp", true),
            // Every name below it is one under which names are registered, but for a few.
            ("kawasaki.jp", true),
            ("city.kawasaki.jp", false),
            ("a.kawasaki.jp", true),
            ("xn--p1ai", true),
            ("example.com", false),
            ("example.co.uk", false),
            ("mail.example.co.uk", false),
            // A company that lets others have names under its own is not everybody.
            ("github.io", false),
            ("lan", false),
            ("local", false),
            ("home.arpa", false),
            ("arpa", true),
        ] {
            assert_eq!(is_public(&name.parse().unwrap()), expected, "{name}");
        }
    }
}
