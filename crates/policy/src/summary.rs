//! The summary: who may send where.

use std::fmt;

use crate::{Condition, DomainRole, List, Policy, decide::Verdict};

/// A class of clients, each with no credential but the one that it is called by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    /// Not authenticated, and at an address that is in no trusted network.
    Stranger,
    /// At an address in a trusted network.
    TrustedNetwork,
    /// Authenticated.
    User,
}

impl Who {
    /// Every class, in the order of the summary.
    pub const ALL: [Self; 3] = [Self::Stranger, Self::TrustedNetwork, Self::User];
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Stranger => "stranger",
            Self::TrustedNetwork => "trusted network",
            Self::User => "authenticated user",
        })
    }
}

/// A class of recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    /// In a local domain, or the bare `<postmaster>`.
    Local,
    /// In a relay domain and in no local one.
    Relay,
    /// Everything else.
    Elsewhere,
}

impl Destination {
    /// Every class, in the order of the summary.
    pub const ALL: [Self; 3] = [Self::Local, Self::Relay, Self::Elsewhere];
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Local => "to local",
            Self::Relay => "to relay",
            Self::Elsewhere => "elsewhere",
        })
    }
}

/// How many of a class are permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permitted {
    /// None, whatever else is true.
    Never,
    /// Some may be: it depends on other facts, or cannot be told from the rules.
    Depends,
    /// All, whatever else is true.
    Always,
}

impl fmt::Display for Permitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Never => "never",
            Self::Depends => "depends",
            Self::Always => "always",
        })
    }
}

/// Who may send where, as far as the rules alone tell. It prints as a grid that leaves out what
/// the policy has nothing of.
///
/// ```
/// use hikyaku_policy::Policy;
///
/// let policy = Policy::closed("example.org".parse().unwrap(), Default::default(), "10.0.0.0/8".parse().unwrap()).unwrap();
/// assert_eq!(format!("\n{}", policy.summary()), "
///                     to local  elsewhere
/// stranger            always    never
/// trusted network     always    always
/// authenticated user  always    never
/// ");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    cells: [[Option<Permitted>; 3]; 3],
}

impl Summary {
    /// Whether `who` is permitted to send there; `None` if the policy has no trusted networks,
    /// or no such domains.
    pub fn cell(&self, who: Who, to: Destination) -> Option<Permitted> {
        self.cells[who as usize][to as usize]
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = || Destination::ALL.into_iter().filter(|to| self.cell(Who::Stranger, *to).is_some());
        // No blanks behind the last column.
        let width = |to| if to == Destination::Elsewhere { 0 } else { 8 };
        write!(f, "{:18}", "")?;
        for to in columns() {
            write!(f, "  {to:0$}", width(to))?;
        }
        for who in Who::ALL {
            let cells = || columns().filter_map(move |to| Some((to, self.cell(who, to)?)));
            if cells().next().is_some() {
                write!(f, "\n{who:18}")?;
            }
            for (to, permitted) in cells() {
                write!(f, "  {permitted:0$}", width(to))?;
            }
        }
        writeln!(f)
    }
}

impl Policy {
    /// Who may send where, computed from the rules. `Never` and `Always` are certain; `Depends`
    /// is also said where the rules are too entangled to tell.
    pub fn summary(&self) -> Summary {
        let cell = |who, to| self.inhabited(who, to).then(|| self.permitting(who, to).0);
        Summary { cells: Who::ALL.map(|who| Destination::ALL.map(|to| cell(who, to))) }
    }

    /// Whether a class is permitted, and the first rule that may permit it.
    pub(crate) fn permitting(&self, who: Who, to: Destination) -> (Permitted, Option<usize>) {
        let scan = self.scan(|test| self.known(test, who, to));
        let permits = |rule: &usize| self.verdict(Some(*rule)) == Verdict::Permit;
        let by = scan.pending.iter().copied().chain(scan.decided).find(permits);
        let all = scan.pending.iter().all(permits) && self.verdict(scan.decided) == Verdict::Permit;
        let permitted = match by {
            None => Permitted::Never,
            Some(_) if all => Permitted::Always,
            Some(_) => Permitted::Depends,
        };
        (permitted, by)
    }

    fn inhabited(&self, who: Who, to: Destination) -> bool {
        let trusts = self.lists().iter().filter_map(List::trusted).any(|networks| !networks.is_empty());
        let any = |role| self.lists().iter().any(|list| self.may_hold(list, role));
        (who != Who::TrustedNetwork || trusts)
            && match to {
                Destination::Local => any(DomainRole::Local),
                Destination::Relay => any(DomainRole::Relay),
                Destination::Elsewhere => true,
            }
    }

    /// The value of a single test that is the same for the whole class.
    fn known(&self, test: &Condition, who: Who, to: Destination) -> Option<bool> {
        match test {
            Condition::From(name) => {
                let list = self.lists.get(name)?;
                let trusting = || self.lists().iter().filter_map(List::trusted).filter(|networks| !networks.is_empty());
                match (list, who) {
                    (List::Networks { networks, .. }, _) if networks.is_empty() => Some(false),
                    (List::Networks { trusted: true, .. }, Who::TrustedNetwork) => {
                        (trusting().count() == 1).then_some(true)
                    }
                    (List::Networks { trusted: true, .. }, _) => Some(false),
                    _ => None,
                }
            }
            Condition::To(name) => {
                let list = self.lists.get(name)?;
                let List::Domains { role, .. } = list else { return None };
                let only = || self.lists().iter().filter(|list| self.may_hold(list, *role)).count() == 1;
                match (role, to) {
                    _ if !self.may_hold(list, *role) => Some(false),
                    (DomainRole::Local, Destination::Local) | (DomainRole::Relay, Destination::Relay) => {
                        only().then_some(true)
                    }
                    // A relay domain may be a local one too.
                    (DomainRole::Relay, Destination::Local) | (DomainRole::Plain, _) => None,
                    (DomainRole::Local | DomainRole::Relay, _) => Some(false),
                }
            }
            Condition::Authenticated => Some(who == Who::User),
            _ => None,
        }
    }

    /// Whether a list has that role and any recipient can be in it: every list of local domains
    /// holds the bare postmaster.
    fn may_hold(&self, list: &List, wanted: DomainRole) -> bool {
        match list {
            List::Domains { role, domains, .. } => {
                *role == wanted && (*role == DomainRole::Local || !domains.is_empty())
            }
            List::Networks { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        Domains, Networks, PolicyError, Rule,
        random::{facts, lists_and_rules, means},
    };

    fn grid(policy: &Policy) -> String {
        format!("\n{}", policy.summary())
    }

    #[test]
    fn the_presets() {
        let local = || "hik.test".parse::<Domains>().unwrap();
        let closed = Policy::closed(local(), "partner.test".parse().unwrap(), "10.0.0.0/8".parse().unwrap()).unwrap();
        assert_eq!(
            grid(&closed),
            "
                    to local  to relay  elsewhere
stranger            always    always    never
trusted network     always    always    always
authenticated user  always    always    never
"
        );
        let authenticated = Policy::authenticated(local(), Domains::default(), Networks::default()).unwrap();
        assert_eq!(
            grid(&authenticated),
            "
                    to local  elsewhere
stranger            always    never
authenticated user  always    always
"
        );
        assert_eq!(
            grid(&Policy::open()),
            "
                    elsewhere
stranger            always
authenticated user  always
"
        );
    }

    #[test]
    fn what_depends() {
        let list = |name: &str, role, domains: &str| List::Domains {
            name: name.parse().unwrap(),
            role,
            domains: domains.parse().unwrap(),
        };
        let lists =
            vec![list("ours", DomainRole::Local, "hik.test"), list("noise", DomainRole::Plain, "noise.hik.test")];
        let to = |name: &str| Condition::To(name.parse().unwrap());
        let rules = vec![
            Rule::refuse(hikyaku_wire::Reply::RELAY_DENIED_550, to("noise")),
            Rule::permit(to("ours").and(Condition::Tls)),
            Rule::permit(Condition::Authenticated),
        ];
        assert_eq!(
            grid(&Policy::new(lists, rules).unwrap()),
            "
                    to local  elsewhere
stranger            depends   never
authenticated user  depends   depends
"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Never and always are certain: no facts of the class say otherwise.
        #[test]
        fn the_grid_is_true((lists, rules) in lists_and_rules(), facts in facts()) {
            let from = |name: &str| means(&Condition::From(name.parse().unwrap()), &facts);
            let to = |name: &str| means(&Condition::To(name.parse().unwrap()), &facts);
            let who = match (facts.user.is_some(), from("office") || from("home")) {
                (false, false) => Some(Who::Stranger),
                (false, true) => Some(Who::TrustedNetwork),
                (true, false) => Some(Who::User),
                (true, true) => None,
            };
            let destination = match (to("ours") || to("more"), to("partners")) {
                (true, _) => Destination::Local,
                (false, true) => Destination::Relay,
                (false, false) => Destination::Elsewhere,
            };
            let policy = Policy::declared_open(lists.clone(), rules.clone()).unwrap();
            let permitted = policy.decide(&facts).is_permitted();
            if let Some(who) = who {
                match policy.summary().cell(who, destination) {
                    Some(Permitted::Never) => prop_assert!(!permitted, "{} {:?}", policy, facts),
                    Some(Permitted::Always) => prop_assert!(permitted, "{} {:?}", policy, facts),
                    Some(Permitted::Depends) => {}
                    None => prop_assert!(false, "{facts:?} is in no cell"),
                }
            }
            // What is not declared open and yet made is closed.
            let closed = Policy::new(lists, rules);
            if who == Some(Who::Stranger) && destination == Destination::Elsewhere && permitted {
                prop_assert!(matches!(closed, Err(PolicyError::Open { .. })), "{}", policy);
            }
        }
    }
}
