//! A policy in use, with what follows from it.

use std::net::IpAddr;

use hikyaku_policy::{
    Change, DomainRole, Domains, Identifier, Limits, Members, Needs, Networks, Policy, Test, Trust, Verdict,
};

use crate::Routes;

/// A policy in use: what it declares is where mail goes and who is trusted.
#[derive(Debug)]
pub struct Ruling {
    pub(super) policy: Policy,
    pub(super) asks: Needs,
    pub(super) routes: Routes,
    trusted: Networks,
    /// Whether a rule asks for the time of day.
    pub(super) asks_time: bool,
}

/// A policy names a route that there is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no route is named `{name}`; name one under [delivery.routes], or set `smarthost` for that name")]
pub struct NoSuchRoute {
    /// The rule's line.
    pub line: usize,
    /// The name.
    pub name: Identifier,
}

impl Ruling {
    /// The policy, with routes in which its local domains take the place of those that are there.
    ///
    /// # Errors
    /// A rule names a route that there is not.
    pub fn new(policy: Policy, routes: Routes) -> Result<Self, NoSuchRoute> {
        let routes = Routes { local: domains(&policy, DomainRole::Local), ..routes };
        for (index, rule) in policy.rules().iter().enumerate() {
            if let hikyaku_policy::Action::Permit(Some(name)) = &rule.action
                && routes.named(name.as_str()).is_none()
            {
                return Err(NoSuchRoute { line: policy.line(index), name: name.clone() });
            }
        }
        let mut tests = policy.rules().iter().flat_map(|rule| rule.when.tests());
        let asks_time = tests.any(|test| matches!(test, Test::Hours(_)));
        Ok(Self { asks: policy.asks(), trusted: trusted(&policy), asks_time, policy, routes })
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Where mail goes.
    pub fn routes(&self) -> &Routes {
        &self.routes
    }

    /// Who may send where, and whether strangers can send mail to other domains: what to print
    /// when a relay starts.
    pub fn surface(&self) -> String {
        let limits = Limits::default();
        let grid = self.policy.grid(&limits).map_or_else(|error| error.to_string(), |grid| grid.to_string());
        let verdict = match self.policy.verdict(&limits) {
            Ok(Verdict::Closed) if self.policy.is_declared_open() => {
                "closed, although its first line says `open`".to_owned()
            }
            Ok(Verdict::Closed) => "closed: no stranger can send mail to other domains".to_owned(),
            Ok(Verdict::Open(witness)) => {
                format!("OPEN, as its first line says: strangers can send by `{}`", witness.rule)
            }
            Err(error) => error.to_string(),
        };
        format!("{}\npolicy: {verdict}", grid.trim_end())
    }

    /// What another policy does differently, in words: how much that is, whether it is open, and the
    /// first few.
    pub fn changes(&self, new: &Self) -> Vec<String> {
        let changes = match self.policy.diff(&new.policy, &Limits::default()) {
            Ok(changes) => changes,
            Err(error) => return vec![format!("it cannot be told what has changed: {error}")],
        };
        let count = match changes.len() {
            0 => "nothing is decided differently".to_owned(),
            1 => "1 kind of mail is decided differently".to_owned(),
            count => format!("{count} kinds of mail are decided differently"),
        };
        let is_open =
            new.policy.is_declared_open() && matches!(new.policy.verdict(&Limits::default()), Ok(Verdict::Open(_)));
        let warning = is_open.then(|| "it is an OPEN relay, as its first line says".to_owned());
        let told = changes
            .iter()
            .take(TOLD)
            .map(|Change { witness, before, after, .. }| format!("{}: {before} -> {after}", witness.summary()));
        std::iter::once(count).chain(warning).chain(told).collect()
    }

    /// Whether a client may send like a user because of its address.
    pub fn is_trusted(&self, client: IpAddr) -> bool {
        self.trusted.contains(client) && !self.policy.settings().strangers.contains(client)
    }

    /// What it asks for of a message, if that can still matter.
    pub(super) fn asks_of_message(&self, is_provisional: bool) -> Needs {
        if is_provisional { self.asks.clone() } else { Needs::default() }
    }
}

/// How many changes are told.
const TOLD: usize = 5;

/// All domains that a policy declares to be this.
pub(crate) fn domains(policy: &Policy, role: DomainRole) -> Domains {
    let lists = policy.lists().iter().filter_map(|list| match &list.members {
        Members::Domains(declared, domains) if *declared == role => Some(domains),
        _ => None,
    });
    lists.flat_map(Domains::iter).collect()
}

/// All networks whose addresses may serve as a credential.
pub(crate) fn trusted(policy: &Policy) -> Networks {
    let lists = policy.lists().iter().filter_map(|list| match &list.members {
        Members::Networks(Trust::Trusted | Trust::Wide, networks) => Some(networks),
        _ => None,
    });
    lists.flat_map(Networks::iter).cloned().collect()
}
