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

/// Whether anyone can register a name below this one.
pub(crate) fn is_public(name: &Domain) -> bool {
    let name = name.to_lowercase();
    if PRIVATE.contains(&name.as_str()) {
        return false;
    }
    !name.contains('.')
}
