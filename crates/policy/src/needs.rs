//! What must be looked up before a policy can decide.

use hikyaku_wire::Domain;

use crate::{Facts, Identifier, Policy, Window};

/// Facts that must be found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Needs {
    /// The name of the client's address: for `iprev` and `name`.
    pub iprev: bool,
    /// Lists of addresses.
    pub listed: Vec<Domain>,
    /// SPF of the sender.
    pub spf: bool,
    /// Whose the sender's address is.
    pub owned: bool,
    /// Whether there is such a mailbox.
    pub exists: bool,
    /// Whether client, sender and recipient were seen before.
    pub known: bool,
    /// Windows in which recipients are counted.
    pub rates: Vec<Window>,
    /// Signatures of the message.
    pub dkim: bool,
    /// The chain of ARC sets.
    pub arc: bool,
    /// Whether the author's domain has sent it.
    pub dmarc: bool,
    /// Whether the author is of the sender's domain.
    pub aligned: bool,
    /// Custom conditions.
    pub custom: Vec<Identifier>,
}

impl Policy {
    /// All that its rules ask for.
    pub fn asks(&self) -> Needs {
        unimplemented!("owner: b")
    }

    /// What can still change the decision, of what is not known yet: no other lookup need be made
    /// at this stage.
    pub fn needs(&self, facts: &Facts) -> Needs {
        let _ = facts;
        unimplemented!("owner: b")
    }
}
