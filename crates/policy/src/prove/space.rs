//! The space of facts: its dimensions, and the classes of values that policies can tell apart.

use crate::{Facts, Identifier, Policy, Test, Window};

/// One kind of fact.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fact {
    Listener,
    Tls,
    /// No user, a user of certain lists, another user.
    User,
    /// No certificate, one with a certain key, one with another key.
    Key,
    /// Whether a trusted authority vouches for the certificate.
    Vouched,
    /// Whether it vouches for a name of this class (the classes are the ways in which names
    /// occur in lists).
    VouchedName(usize),
    Owned,
    Exists,
    Known,
    Custom(Identifier),
    Iprev,
    Spf,
    Dkim,
    Arc,
    Dmarc,
    Aligned,
    Listed(hikyaku_wire::Domain),
    Recipients,
    Rate(Window),
    Size,
    Hops,
    Minute,
    Client,
    Helo,
    Name,
    Sender,
    Recipient,
}

/// A class of each dimension, in their order.
pub(crate) type Path = Vec<usize>;

/// One dimension.
#[derive(Debug)]
pub(crate) struct Dimension {
    pub(crate) fact: Fact,
    /// How many classes it has. Each has a value.
    pub(crate) classes: usize,
    /// The class of what could not be found out.
    pub(crate) unknown: Option<usize>,
    /// The class of the plainest value.
    pub(crate) plain: usize,
}

/// The dimensions of one policy or of several.
#[derive(Debug)]
pub(crate) struct Space<'p> {
    pub(crate) policies: Vec<&'p Policy>,
    pub(crate) dimensions: Vec<Dimension>,
}

impl<'p> Space<'p> {
    pub(crate) fn new(policies: &[&'p Policy]) -> Self {
        let _ = policies;
        unimplemented!("owner: c")
    }

    /// The index of the dimension of a fact, if the policies ask for it.
    pub(crate) fn dimension(&self, fact: &Fact) -> Option<usize> {
        self.dimensions.iter().position(|dimension| dimension.fact == *fact)
    }

    /// Facts of these classes, up to the end of a message.
    pub(crate) fn facts(&self, path: &[usize]) -> Facts {
        let _ = path;
        unimplemented!("owner: c")
    }

    /// The classes of facts at the end of a message. What has not been looked for is unknown.
    pub(crate) fn classes_of(&self, facts: &Facts) -> Path {
        let _ = facts;
        unimplemented!("owner: c")
    }

    /// The value of a class in words: `198.51.100.7`, `yes`, `pass`, `example.org`, `unknown`.
    pub(crate) fn value(&self, dimension: usize, class: usize) -> String {
        let _ = (dimension, class);
        unimplemented!("owner: c")
    }

    /// The dimension and the classes in which a test of a policy is true, and in which it is
    /// unknown. `None` for tests of certificates, which look at several.
    pub(crate) fn classes(&self, policy: usize, test: &Test) -> Option<(usize, &[u64], &[u64])> {
        let _ = (policy, test);
        unimplemented!("owner: c")
    }
}
