//! Which local mailboxes exist.

use std::collections::BTreeSet;

use hikyaku_wire::ForwardPath;

/// The users that have a mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Users {
    /// Every local part has one.
    #[default]
    Any,
    /// Only these, in lower case.
    Listed(BTreeSet<String>),
}

/// The local mailboxes. A `postmaster` always exists (RFC 5321 §4.5.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    /// Who has a mailbox.
    pub users: Users,
    /// Who reads the postmaster's mail; `None` for a mailbox of that name.
    pub postmaster: Option<String>,
}

const POSTMASTER: &str = "postmaster";

impl Directory {
    /// The name of the mailbox for a recipient whose domain is local; `None` if there is none.
    ///
    /// Case does not matter in local parts here.
    pub fn mailbox(&self, recipient: &ForwardPath) -> Option<String> {
        let local = match recipient.mailbox() {
            Some(mailbox) => mailbox.local().content().to_lowercase(),
            None => POSTMASTER.to_owned(),
        };
        if local == POSTMASTER {
            return Some(self.postmaster.as_deref().unwrap_or(POSTMASTER).to_lowercase());
        }
        // A Maildir's name has up to three octets for each, and 255 at the most.
        if local.len() > 85 {
            return None;
        }
        let known = match &self.users {
            // `""@domain` is grammar, but nobody's name (RFC 5321 §4.1.2).
            Users::Any => !local.is_empty(),
            Users::Listed(users) => users.contains(&local),
        };
        known.then_some(local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(directory: &Directory, to: &str) -> Option<String> {
        directory.mailbox(&to.parse().unwrap())
    }

    #[test]
    fn the_postmaster_always_exists() {
        let nobody = Directory { users: Users::Listed(BTreeSet::new()), postmaster: None };
        for to in ["<postmaster>", "<PostMaster@example.test>", "<\"postmaster\"@example.test>"] {
            assert_eq!(mailbox(&nobody, to).as_deref(), Some("postmaster"));
        }
        assert_eq!(mailbox(&nobody, "<alice@example.test>"), None);
        let admin = Directory { postmaster: Some("Alice".into()), ..nobody };
        assert_eq!(mailbox(&admin, "<postmaster>").as_deref(), Some("alice"));
    }

    #[test]
    fn names_are_matched_whole() {
        let alice = Directory { users: Users::Listed(["alice".to_owned()].into()), postmaster: None };
        assert_eq!(mailbox(&alice, "<ALICE@example.test>").as_deref(), Some("alice"));
        for to in [
            "<alice%third.test@example.test>",
            "<third.test!alice@example.test>",
            "<alice+x@example.test>",
            "<\"alice \"@example.test>",
        ] {
            assert_eq!(mailbox(&alice, to), None, "{to}");
        }
        assert_eq!(mailbox(&Directory::default(), "<\"\"@example.test>"), None);
        let grows = "\u{23a}".repeat(32);
        assert_eq!(mailbox(&Directory::default(), &format!("<{grows}@example.test>")), None);
    }
}
