//! Public suffixes: names under which anyone can register a name.

use hikyaku_wire::Domain;

/// Top-level names under which nobody can register a name: reserved (RFC 2606, RFC 6761,
/// RFC 6762 with its appendix G, RFC 7686, RFC 8375, RFC 9476).
const RESERVED: [&str; 15] = [
    "alt",
    "corp",
    "example",
    "home",
    "internal",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "onion",
    "private",
    "test",
    "home.arpa",
];

/// Whether anyone can register a name below this one.
pub(crate) fn is_public(name: &Domain) -> bool {
    let name = name.to_lowercase();
    if RESERVED.contains(&name.as_str()) {
        return false;
    }
    !name.contains('.')
}
