//! What a row of a cover can say: the tests of the policy, and their opposites.

use super::{
    TooComplex,
    diagram::{Diagrams, Ref},
};
use crate::{Action, Condition, HostSet, Members, NetworkSet, Policy, Test};

/// What can be said of one test.
#[derive(Debug)]
pub(super) struct Literal {
    /// Conditions of this test alone, each with the feasible facts of which it is true: that it
    /// holds, that it does not, that it cannot be told; and what is weaker: that it is not sure
    /// not to hold, and not sure to hold.
    pub(super) says: Vec<(Condition, Ref)>,
    /// Whether it is about who the client is.
    pub(super) is_credential: bool,
    /// Where it stands in a row: in the order of the rules.
    pub(super) place: usize,
    /// The lower, the sooner a row tries to do without it.
    rank: usize,
    /// How much its list holds.
    size: u128,
}

impl Literal {
    /// The order in which a row tries to do without it: what a client claims first, what proves
    /// who it is last. Of several lists of which the row says that they hold something the smaller
    /// first, then, of those of which it says that they do not, the larger.
    pub(super) fn order(&self, is_negative: bool) -> (usize, bool, u128, usize) {
        (self.rank, is_negative, if is_negative { u128::MAX - self.size } else { self.size }, self.place)
    }
}

/// The literals of the first policy of a space, in the order of its rules.
pub(super) fn literals(policy: &Policy, diagrams: &mut Diagrams<'_>) -> Result<Vec<Literal>, TooComplex> {
    let mut tests: Vec<Test> = Vec::new();
    for rule in policy.rules().iter().filter(|rule| !rule.shadow) {
        let limit = match &rule.action {
            Action::Limit(rate) => Some(Test::Rate(*rate)),
            _ => None,
        };
        for test in rule.when.tests().into_iter().cloned().chain(limit) {
            if !tests.contains(&test) {
                tests.push(test);
            }
        }
    }
    tests.iter().enumerate().map(|(place, test)| literal(policy, test, place, diagrams)).collect()
}

fn literal(policy: &Policy, test: &Test, place: usize, diagrams: &mut Diagrams<'_>) -> Result<Literal, TooComplex> {
    let plain = Condition::Test(test.clone());
    let assuming = |value| Condition::Assuming(test.clone(), value);
    let defaults_to_no = test.unless_known() == Some(false);
    let is_not_sure_to_hold = if defaults_to_no { !plain.clone() } else { !assuming(false) };
    let is_sure_not_to_hold = if defaults_to_no { !assuming(true) } else { !plain.clone() };
    let feasible = diagrams.feasible()?;
    let unknown = Condition::All(vec![assuming(true), !assuming(false)]);
    let mut says: Vec<(Condition, Ref)> = Vec::new();
    for condition in [plain, is_sure_not_to_hold, unknown, assuming(true), is_not_sure_to_hold] {
        let (facts, _) = diagrams.condition(0, &condition)?;
        let facts = diagrams.and(facts, feasible)?;
        // Where nothing can be unknown, two of them say the same; the shorter words are kept.
        match says.iter_mut().find(|(_, known)| *known == facts) {
            Some(same) if words(&condition) < words(&same.0) => same.0 = condition,
            Some(_) => {}
            None => says.push((condition, facts)),
        }
    }
    let is_credential = matches!(test, Test::Authenticated(_) | Test::Certificate(_) | Test::Name(_));
    Ok(Literal { says, is_credential, place, rank: rank(test), size: size(policy, test) })
}

fn words(condition: &Condition) -> usize {
    condition.to_string().len()
}

/// The later, the sooner a row is to say it.
fn rank(test: &Test) -> usize {
    match test {
        Test::Helo(_) => 0,
        Test::Sender(_) | Test::SenderNull => 1,
        Test::Name(_) | Test::Iprev(_) => 2,
        Test::Hours(_) => 3,
        Test::Rate(_) | Test::Recipients(_) => 4,
        Test::Size(_) | Test::Hops(_) => 5,
        Test::Listed { .. } => 6,
        Test::Spf(_) | Test::Dkim(_) | Test::Arc(_) | Test::Dmarc(_) | Test::AuthorAligned => 7,
        Test::Known => 8,
        Test::Custom(_) => 9,
        Test::RecipientExists => 10,
        Test::To(_) => 11,
        Test::From(_) => 12,
        Test::On(_) => 13,
        Test::Tls => 14,
        Test::SenderOwned => 15,
        Test::Certificate(_) => 16,
        Test::Authenticated(_) => 17,
    }
}

/// How much the test's list holds; only to compare lists of one kind.
fn size(policy: &Policy, test: &Test) -> u128 {
    let list = match test {
        Test::From(NetworkSet::List(name)) => name,
        Test::To(HostSet::List(name)) | Test::Sender(HostSet::List(name)) => name,
        Test::Helo(HostSet::List(name)) | Test::Name(HostSet::List(name)) => name,
        _ => return 0,
    };
    match policy.lists().iter().find(|known| known.name == *list).map(|list| &list.members) {
        Some(Members::Networks(_, networks)) => networks.iter().map(crate::Network::public).sum(),
        Some(Members::Domains(_, domains) | Members::Names(_, domains)) => domains.iter().count() as u128,
        _ => 0,
    }
}
