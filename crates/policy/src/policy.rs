//! A policy: lists, and rules of which the first that matches decides.

use std::{fmt, sync::Arc};

use hikyaku_wire::Reply;

use crate::{
    Action, Claim, Condition, DomainRole, Domains, Fault, HostSet, Identifier, Limits, List, Members, NetworkSet,
    Networks, Rejection, Rule, Test, Trust,
    check::{Checked, Problem, check},
    index::Index,
    lines::Lines,
    list::Lists,
};

/// Why lists and rules are not a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A part of it is wrong.
    #[error("line {line}: {fault}")]
    Malformed {
        /// The line of the part, counted from 1, as the policy would print.
        line: usize,
        /// What is wrong with it.
        fault: Fault,
    },
    /// It is well formed, and yet must not be used.
    #[error(transparent)]
    Rejected(#[from] Rejection),
}

/// What a policy is made of, to be filled in by a program.
///
/// ```
/// use hikyaku_policy::*;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let ours: Identifier = "ours".parse()?;
/// let mut builder = PolicyBuilder::default();
/// let domains = Members::Domains(DomainRole::Local, "example.org".parse()?);
/// builder.lists.push(List::new(ours.clone(), domains));
/// builder.rules.push(Rule::permit(Test::to(ours).and(Test::Tls)));
/// let policy = builder.build()?;
///
/// // The same data as the text gives.
/// let text = "local domains ours = example.org\n\npermit when to ours and tls\n";
/// assert_eq!(policy, Policy::parse(text, &mut |file| Err(format!("{file} is not named")))?);
/// assert!(policy.to_string().starts_with(text));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyBuilder {
    /// Whether the first line says `open`: it may be an open relay.
    pub open: bool,
    /// The lists, in order.
    pub lists: Vec<List>,
    /// What is assumed of the world.
    pub settings: Settings,
    /// The rules, in order.
    pub rules: Vec<Rule>,
    /// What is to be proved of it.
    pub claims: Vec<Claim>,
}

/// What a policy assumes of the world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Addresses behind which anybody may stand (a proxy, a NAT): whatever lists they are in, they
    /// are no credential. `strangers from 172.17.0.1`
    pub strangers: Networks,
    /// Whether anybody can get an account, so that authentication is no credential.
    /// `accounts open to anyone`
    pub accounts_open: bool,
    /// Custom conditions that may serve as a credential. `credential custom vpn`
    pub credentials: Vec<Identifier>,
}

impl PolicyBuilder {
    /// The policy, if it is well formed. Whether it is one to be used says [`Policy::admit`].
    ///
    /// Parts are kept in the form in which they print: domains with A-labels, users and
    /// certificates sorted, and no `and` or `or` of fewer than two conditions.
    ///
    /// # Errors
    /// Every [`PolicyError`] but [`PolicyError::Rejected`].
    pub fn build(self) -> Result<Policy, PolicyError> {
        let lines = Lines::printed(&self);
        Policy::of(self, &lines)
            .map_err(|Problem { place, fault }| PolicyError::Malformed { line: lines.of(place), fault })
    }
}

impl From<Policy> for PolicyBuilder {
    fn from(policy: Policy) -> Self {
        let Policy { open, lists, settings, rules, claims, .. } = policy;
        Self { open, lists: lists.into(), settings, rules, claims }
    }
}

/// A relay policy: who may send mail to which recipients. Plain data; it prints as it reads.
///
/// The first rule that matches decides. What no rule matches is refused with 550 5.7.1.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(crate) open: bool,
    pub(crate) lists: Lists,
    pub(crate) settings: Settings,
    pub(crate) rules: Vec<Rule>,
    pub(crate) claims: Vec<Claim>,
    /// What each rule is called in decisions: the rule as it prints.
    pub(crate) names: Vec<String>,
    /// Where each part stood in the text that was read, or stands as the policy prints.
    pub(crate) lines: Lines,
    /// What it decides by: made of lists, rules and claims.
    pub(crate) index: Arc<Index>,
}

/// Two policies are equal if they print alike: where the lines stood does not count.
impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        let Self { open, lists, settings, rules, claims, names: _, lines: _, index: _ } = self;
        (open, lists, settings) == (&other.open, &other.lists, &other.settings)
            && (rules, claims) == (&other.rules, &other.claims)
    }
}

impl Eq for Policy {}

impl Policy {
    /// What is made of these parts, which stand on these lines.
    pub(crate) fn of(builder: PolicyBuilder, lines: &Lines) -> Result<Self, Problem> {
        let Checked { builder: PolicyBuilder { open, lists: _, settings, rules, claims }, lists } =
            check(builder, lines)?;
        let names = rules.iter().map(ToString::to_string).collect();
        let index = Arc::new(Index::new(&lists, &rules, &claims));
        Ok(Self { open, lists, settings, rules, claims, names, lines: lines.clone(), index })
    }

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
    /// Lists that would make it an open relay.
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
        let users = Rule::permit(Test::Authenticated(None));
        Self::preset(local_domains, relay_domains, trusted_networks, Some(users))
    }

    /// Mail to anywhere from anyone: an open relay, declared as one.
    pub fn open() -> Self {
        let rules = vec![Rule::permit(Condition::Always)];
        PolicyBuilder { open: true, rules, ..PolicyBuilder::default() }
            .build()
            .expect("no list and no reply that could be wrong")
    }

    fn preset(local: Domains, relay: Domains, trusted: Networks, then: Option<Rule>) -> Result<Self, PolicyError> {
        let name = |name: &str| name.parse::<Identifier>().expect("a name that is no keyword");
        let (to_local, to_relay, inside) = (name("local_domains"), name("relay_domains"), name("trusted_networks"));
        let lists = vec![
            List::new(to_local.clone(), Members::Domains(DomainRole::Local, local)),
            List::new(to_relay.clone(), Members::Domains(DomainRole::Relay, relay)),
            List::new(inside.clone(), Members::Networks(Trust::Trusted, trusted)),
        ];
        let mut rules = vec![
            Rule::permit(Test::To(HostSet::List(to_local))),
            Rule::permit(Test::To(HostSet::List(to_relay))),
            Rule::permit(Test::From(NetworkSet::List(inside))),
        ];
        rules.extend(then);
        let policy = PolicyBuilder { lists, rules, ..PolicyBuilder::default() }.build()?;
        policy.admit(&Limits::default())?;
        Ok(policy)
    }

    /// Whether the policy is declared open.
    pub fn is_declared_open(&self) -> bool {
        self.open
    }

    /// The lists in the order of their declaration.
    pub fn lists(&self) -> &[List] {
        self.lists.as_slice()
    }

    /// What is assumed of the world.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The rules in order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What is claimed of it.
    pub fn claims(&self) -> &[Claim] {
        &self.claims
    }

    /// The line of a rule, counted from 1: in the text that was read, or as the policy prints.
    pub fn line(&self, rule: usize) -> usize {
        self.lines.rules[rule]
    }

    /// The line of a claim, counted from 1.
    pub fn claim_line(&self, claim: usize) -> usize {
        self.lines.claims[claim]
    }

    /// The line of a list, counted from 1.
    pub fn list_line(&self, list: usize) -> usize {
        self.lines.lists[list]
    }

    /// The routes that its rules name.
    pub fn routes(&self) -> impl Iterator<Item = &Identifier> {
        self.rules.iter().filter_map(|rule| match &rule.action {
            Action::Permit(route) => route.as_ref(),
            _ => None,
        })
    }
}

/// The refusal of what no rule matches: 550 5.7.1.
pub(crate) const IMPLICIT: Reply = Reply::RELAY_DENIED_550;

impl fmt::Display for DomainRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "",
            Self::Local => "local ",
            Self::Relay => "relay ",
        })
    }
}
