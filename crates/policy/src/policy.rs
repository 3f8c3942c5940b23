//! A policy: lists, and rules of which the first that matches decides.

use hikyaku_wire::Reply;

use crate::{
    Condition, Destination, DomainPattern, DomainRole, Domains, List, ListName, Network, Networks, Permitted, Who,
    list::Lists,
};

/// Public IPv4 addresses that all trusted networks together may hold.
const TRUSTED_IPV4_LIMIT: u128 = 1 << 20;
/// Public IPv6 addresses that all trusted networks together may hold: a /28.
const TRUSTED_IPV6_LIMIT: u128 = 1 << 100;

/// What a rule does with what matches it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// The recipient is accepted.
    Permit,
    /// It is refused for good with this reply, a 5xx of one line.
    Refuse(Reply),
    /// It is refused for now with this reply, a 4xx of one line.
    Defer(Reply),
}

/// One rule: what it does, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What it does.
    pub action: Action,
    /// When it does so.
    pub when: Condition,
}

impl Rule {
    /// A rule that accepts.
    pub fn permit(when: Condition) -> Self {
        Self { action: Action::Permit, when }
    }

    /// A rule that refuses for good, with a 5xx reply of one line.
    pub fn refuse(reply: Reply, when: Condition) -> Self {
        Self { action: Action::Refuse(reply), when }
    }

    /// A rule that refuses for now, with a 4xx reply of one line.
    pub fn defer(reply: Reply, when: Condition) -> Self {
        Self { action: Action::Defer(reply), when }
    }
}

/// Why lists and rules are not a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// Two lists have one name.
    #[error("the list `{0}` is declared twice")]
    DeclaredTwice(ListName),
    /// A rule asks a list that is not declared, or is of the other kind.
    #[error("line {line}: no list of {kind} is named `{name}`")]
    NoSuchList {
        /// The rule's line in the printed policy.
        line: usize,
        /// `networks` or `domains`.
        kind: &'static str,
        /// The name.
        name: ListName,
    },
    /// A refusal that does not begin with 5, a deferral that does not begin with 4, or a reply
    /// of several lines.
    #[error("line {line}: `refuse` takes a 5xx reply of one line, `defer` a 4xx reply of one line")]
    Reply {
        /// The rule's line in the printed policy.
        line: usize,
    },
    /// So many addresses are trusted that strangers are among them.
    #[error(
        "trusted networks hold {public} public {family} addresses, more than {limit}: {network} is too wide to be trusted"
    )]
    TrustedTooWide {
        /// `IPv4` or `IPv6`.
        family: &'static str,
        /// The widest of the trusted networks.
        network: Network,
        /// Addresses that are not in private or other special-use space, of all trusted networks.
        public: u128,
        /// The most that may be trusted.
        limit: u128,
    },
    /// A local or relay domain under which everyone can register names.
    #[error("`{list}` holds {domain}: everyone can register a name under it")]
    DomainTooWide {
        /// The list.
        list: ListName,
        /// The member.
        domain: DomainPattern,
    },
    /// Someone without a credential might be permitted to send to a domain that is neither
    /// local nor a relay domain.
    #[error("open relay: line {line} may permit a stranger to send anywhere: {rule}")]
    Open {
        /// The rule's line in the printed policy.
        line: usize,
        /// The rule.
        rule: String,
    },
}

/// A relay policy: who may send mail to which recipients. Plain data; it prints as it reads.
///
/// The first rule that matches decides. What no rule matches is refused with 550 5.7.1.
///
/// # Incomplete support
/// A policy that strangers could use to send anywhere is refused unless it is declared open.
/// That check looks at each condition on its own, so that a closed policy whose rules are safe
/// only in combination may be refused too; an open one never passes. Of public suffixes it only
/// knows those of one label: `*.co.uk` passes as a local or relay domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub(crate) open: bool,
    pub(crate) lists: Lists,
    pub(crate) rules: Vec<Rule>,
    /// What each rule is called in decisions: the rule as it prints.
    pub(crate) names: Vec<String>,
}

impl Policy {
    /// Mail to local and relay domains from anyone, mail to anywhere from the trusted networks,
    /// and nothing else.
    ///
    /// ```
    /// # fn main() -> Result<(), hikyaku_policy::PolicyError> {
    /// use hikyaku_policy::Policy;
    ///
    /// let ours = "example.org".parse().unwrap();
    /// let office = "10.0.0.0/8".parse().unwrap();
    /// let policy = Policy::closed(ours, Default::default(), office)?;
    /// assert_eq!(policy.to_string(), r#"local domains local_domains = example.org
    /// relay domains relay_domains = none
    /// trusted networks trusted_networks = 10.0.0.0/8
    ///
    /// permit when to local_domains
    /// permit when to relay_domains
    /// permit when from trusted_networks
    /// ## what no rule matches: refuse 550 5.7.1 "relaying denied"
    /// "#);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`PolicyError::TrustedTooWide`] and [`PolicyError::DomainTooWide`].
    pub fn closed(
        local_domains: Domains,
        relay_domains: Domains,
        trusted_networks: Networks,
    ) -> Result<Self, PolicyError> {
        Self::preset(local_domains, relay_domains, trusted_networks, None)
    }

    /// The same as [`Policy::closed`], and mail to anywhere from whoever has authenticated.
    ///
    /// # Errors
    /// As of [`Policy::closed`].
    pub fn authenticated(
        local_domains: Domains,
        relay_domains: Domains,
        trusted_networks: Networks,
    ) -> Result<Self, PolicyError> {
        let users = Rule::permit(Condition::Authenticated);
        Self::preset(local_domains, relay_domains, trusted_networks, Some(users))
    }

    /// Mail to anywhere from anyone: an open relay, declared as one.
    pub fn open() -> Self {
        Self::checked(true, Vec::new(), vec![Rule::permit(Condition::Any)])
            .expect("no list and no reply that could be wrong")
    }

    /// A policy of these lists and rules, which must not be an open relay.
    ///
    /// # Errors
    /// Every [`PolicyError`].
    pub fn new(lists: Vec<List>, rules: Vec<Rule>) -> Result<Self, PolicyError> {
        let policy = Self::checked(false, lists, rules)?;
        policy.check_lists()?;
        match policy.permitting(Who::Stranger, Destination::Elsewhere) {
            (Permitted::Never, _) => Ok(policy),
            (_, rule) => {
                let index = rule.expect("what permits is a rule");
                Err(PolicyError::Open { line: policy.line(index), rule: policy.names[index].clone() })
            }
        }
    }

    /// A policy of these lists and rules that may be an open relay: it says so in its first line.
    ///
    /// # Errors
    /// Those that are about a single list or rule, not about what strangers are permitted.
    pub fn declared_open(lists: Vec<List>, rules: Vec<Rule>) -> Result<Self, PolicyError> {
        Self::checked(true, lists, rules)
    }

    /// Whether the policy is declared open.
    pub fn is_declared_open(&self) -> bool {
        self.open
    }

    /// The lists in the order of their declaration.
    pub fn lists(&self) -> &[List] {
        self.lists.as_slice()
    }

    /// The rules in order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    fn preset(local: Domains, relay: Domains, trusted: Networks, then: Option<Rule>) -> Result<Self, PolicyError> {
        let name = |name: &str| name.parse::<ListName>().expect("a name that is no keyword");
        let (to_local, to_relay, inside) = (name("local_domains"), name("relay_domains"), name("trusted_networks"));
        let lists = vec![
            List::Domains { name: to_local.clone(), role: DomainRole::Local, domains: local },
            List::Domains { name: to_relay.clone(), role: DomainRole::Relay, domains: relay },
            List::Networks { name: inside.clone(), trusted: true, networks: trusted },
        ];
        let mut rules = vec![
            Rule::permit(Condition::To(to_local)),
            Rule::permit(Condition::To(to_relay)),
            Rule::permit(Condition::From(inside)),
        ];
        rules.extend(then);
        Self::new(lists, rules)
    }

    fn checked(open: bool, lists: Vec<List>, rules: Vec<Rule>) -> Result<Self, PolicyError> {
        let lists = Lists::new(lists).map_err(PolicyError::DeclaredTwice)?;
        let names = rules.iter().map(ToString::to_string).collect();
        let policy = Self { open, lists, rules, names };
        for (index, rule) in policy.rules.iter().enumerate() {
            let line = policy.line(index);
            let fits = match &rule.action {
                Action::Permit => true,
                Action::Refuse(reply) => reply.is_permanent() && reply.lines().count() == 1,
                Action::Defer(reply) => reply.is_transient() && reply.lines().count() == 1,
            };
            if !fits {
                return Err(PolicyError::Reply { line });
            }
            policy.check_names(&rule.when, line)?;
        }
        Ok(policy)
    }

    fn check_names(&self, condition: &Condition, line: usize) -> Result<(), PolicyError> {
        let (name, networks) = match condition {
            Condition::From(name) => (name, true),
            Condition::To(name) | Condition::Sender(name) => (name, false),
            Condition::Not(inner) => return self.check_names(inner, line),
            Condition::And(a, b) | Condition::Or(a, b) => {
                return self.check_names(a, line).and_then(|()| self.check_names(b, line));
            }
            _ => return Ok(()),
        };
        match self.lists.get(name) {
            Some(list) if matches!(list, List::Networks { .. }) == networks => Ok(()),
            _ => {
                let kind = if networks { "networks" } else { "domains" };
                Err(PolicyError::NoSuchList { line, kind, name: name.clone() })
            }
        }
    }

    /// Whether what is declared a credential, or ours, is narrow enough to be that.
    fn check_lists(&self) -> Result<(), PolicyError> {
        let trusted: Networks =
            self.lists().iter().filter_map(List::trusted).flat_map(Networks::iter).copied().collect();
        for (family, is_v4, limit) in [("IPv4", true, TRUSTED_IPV4_LIMIT), ("IPv6", false, TRUSTED_IPV6_LIMIT)] {
            let networks = || trusted.iter().filter(|network| network.address().is_ipv4() == is_v4);
            let public = networks().map(Network::public).fold(0, u128::saturating_add);
            if let Some(network) = networks().max_by_key(|network| network.public()).filter(|_| public > limit) {
                return Err(PolicyError::TrustedTooWide { family, network: *network, public, limit });
            }
        }
        for list in self.lists().iter().filter(|list| list.is_local() || list.is_relay()) {
            let List::Domains { name, domains, .. } = list else { continue };
            if let Some(domain) = domains.too_wide() {
                return Err(PolicyError::DomainTooWide { list: name.clone(), domain });
            }
        }
        Ok(())
    }
}

/// The refusal of what no rule matches: 550 5.7.1.
pub(crate) const IMPLICIT: Reply = Reply::RELAY_DENIED_550;

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(local: &str, relay: &str, trusted: &str) -> Result<Policy, PolicyError> {
        Policy::closed(local.parse().unwrap(), relay.parse().unwrap(), trusted.parse().unwrap())
    }

    #[test]
    fn trust_has_a_width() {
        for trusted in [
            "none",
            "10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 127.0.0.0/8, 100.64.0.0/10, ::1, fc00::/7, fe80::/10",
            "203.0.0.0/12",
            "203.0.0.0/12, 203.1.0.0/16, 10.0.0.0/8",
            "2001:d80::/28",
        ] {
            assert!(closed("hik.test", "none", trusted).is_ok(), "{trusted}");
        }
        let slices: Vec<_> = (0..=255).map(|n| format!("{n}.0.0.0/8")).collect();
        for (trusted, named) in [
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("0.0.0.0/1, 128.0.0.0/1", "0.0.0.0/1"),
            (&slices.join(", "), "223.0.0.0/8"),
            ("203.0.0.0/11", "203.0.0.0/11"),
            ("203.0.0.0/12, 198.51.100.1", "203.0.0.0/12"),
            ("2001:d80::/27", "2001:d80::/27"),
            ("2001:d80::/28, 2001:db0::1", "2001:d80::/28"),
            ("8.0.0.0/6", "8.0.0.0/6"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
        ] {
            for local in ["hik.test", "none"] {
                for policy in [
                    closed(local, "none", trusted),
                    Policy::authenticated(local.parse().unwrap(), Default::default(), trusted.parse().unwrap()),
                ] {
                    let Err(PolicyError::TrustedTooWide { network, .. }) = policy else {
                        panic!("{trusted}: {policy:?}")
                    };
                    assert_eq!(network.to_string(), named, "{trusted}");
                }
            }
        }
        assert_eq!(
            closed("none", "none", "0.0.0.0/1").unwrap_err().to_string(),
            "trusted networks hold 2092957696 public IPv4 addresses, more than 1048576: 0.0.0.0/1 is too wide to be trusted"
        );
    }

    #[test]
    fn nobody_owns_a_top_level_domain() {
        for (local, relay, list) in
            [("*.com", "none", "local_domains"), ("hik.test", "*.com, partner.test", "relay_domains")]
        {
            let domain = "*.com".parse().unwrap();
            assert_eq!(
                closed(local, relay, "none"),
                Err(PolicyError::DomainTooWide { list: list.parse().unwrap(), domain })
            );
        }
        assert!(closed("\"localhost\", *.example.org", "none", "none").is_ok());
    }

    fn rule_error(rule: Rule) -> String {
        let lists = vec![
            List::Domains { name: "ours".parse().unwrap(), role: DomainRole::Local, domains: Domains::default() },
            List::Networks { name: "near".parse().unwrap(), trusted: false, networks: "192.0.2.0/24".parse().unwrap() },
        ];
        Policy::new(lists, vec![Rule::permit(Condition::To("ours".parse().unwrap())), rule]).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_policy() {
        let name = |name: &str| name.parse::<ListName>().unwrap();
        for (rule, message) in [
            (Rule::permit(Condition::To(name("our"))), "line 5: no list of domains is named `our`"),
            (Rule::permit(!Condition::Sender(name("near"))), "line 5: no list of domains is named `near`"),
            (
                Rule::permit(Condition::Tls.and(Condition::From(name("ours")))),
                "line 5: no list of networks is named `ours`",
            ),
            (
                Rule::refuse(Reply::LOCAL_ERROR_451, Condition::Any),
                "line 5: `refuse` takes a 5xx reply of one line, `defer` a 4xx reply of one line",
            ),
            (
                Rule::defer(Reply::RELAY_DENIED_550, Condition::Any),
                "line 5: `refuse` takes a 5xx reply of one line, `defer` a 4xx reply of one line",
            ),
            (
                Rule::refuse(Reply::RELAY_DENIED_550.append("\nx"), Condition::Any),
                "line 5: `refuse` takes a 5xx reply of one line, `defer` a 4xx reply of one line",
            ),
            // A plain list grants nothing, nor does a claim, nor what the peer can choose.
            (
                Rule::permit(Condition::From(name("near"))),
                "open relay: line 5 may permit a stranger to send anywhere: permit when from near",
            ),
            (
                Rule::permit(Condition::Sender(name("ours"))),
                "open relay: line 5 may permit a stranger to send anywhere: permit when sender ours",
            ),
            (
                Rule::permit(Condition::Tls),
                "open relay: line 5 may permit a stranger to send anywhere: permit when tls",
            ),
            (Rule::permit(Condition::Any), "open relay: line 5 may permit a stranger to send anywhere: permit"),
        ] {
            assert_eq!(rule_error(rule), message);
        }
        let twice = List::Domains { name: name("ours"), role: DomainRole::Plain, domains: Domains::default() };
        assert_eq!(Policy::new(vec![twice.clone(), twice], vec![]), Err(PolicyError::DeclaredTwice(name("ours"))));
    }
}
