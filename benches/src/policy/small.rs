//! A policy that people write, whose proof is counted in instructions.

use std::hint::black_box;

use hikyaku_message::results::Spf;
use hikyaku_policy::{
    Condition, DomainRole, HostSet, List, Members, NetworkSet, Policy, PolicyBuilder, Rule, Test, Trust, Verdict,
};

use super::real::{name, refuse};
use crate::task::Task;

/// Local domains, a backup for others, an office, and users; closed.
fn policy() -> Policy {
    let list = |list: &str, members| List::new(name(list.to_owned()), members);
    let domains = |text: &str| text.parse().expect("domains");
    let to = |list: &str| Condition::from(Test::To(HostSet::List(name(list.to_owned()))));
    let from_office = Condition::from(Test::From(NetworkSet::List(name("office".to_owned()))));
    let users = Condition::from(Test::Authenticated(None));
    let zone = "zen.example".parse().expect("a domain");
    PolicyBuilder {
        lists: vec![
            list("ours", Members::Domains(DomainRole::Local, domains("example.org, *.example.org"))),
            list("customers", Members::Domains(DomainRole::Relay, domains("alpha.example, *.alpha.example"))),
            list("office", Members::Networks(Trust::Trusted, "192.0.2.0/24, 2001:db8::/48".parse().expect("networks"))),
        ],
        rules: vec![
            refuse(Condition::from(Test::Listed { zone, at_least: 3 }).and(!users.clone())),
            refuse(Condition::from(Test::Spf(vec![Spf::Fail])).and(to("ours"))),
            Rule::permit(to("ours").or(to("customers"))),
            Rule::permit(from_office.and(Test::Tls.into())),
            Rule::permit(users.and(Test::SenderOwned.into())),
        ],
        ..PolicyBuilder::default()
    }
    .build()
    .expect("a policy")
}

/// The work of a row.
///
/// # Panics
/// There is no such row.
pub fn task(row: &str) -> Task {
    let policy = policy();
    match row {
        "policy_verdict" => {
            Task::plain(move || assert_eq!(black_box(&policy).verdict(&Default::default()), Ok(Verdict::Closed)))
        }
        "policy_surface" => Task::plain(move || _ = black_box(black_box(&policy).prove(&Default::default()))),
        other => panic!("there is no row {other}"),
    }
}
