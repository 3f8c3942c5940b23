//! Lists of addresses in the DNS, and what they come to under the names that a policy asks for.

use std::{collections::BTreeSet, net::IpAddr, sync::Mutex};

use hikyaku_dns::{Name, Resolver};
use hikyaku_mailauth::{
    Lookups,
    lists::{self, Filter, List, Listing},
};
use hikyaku_policy::Finding;
use hikyaku_wire::Domain;

/// A list of addresses in the DNS (RFC 5782), and what it is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsList {
    /// The name that a policy asks for: `listed zen.example >= 3`. What several lists of one name
    /// say adds up.
    pub name: Domain,
    /// The zone under which it is published.
    pub zone: Name,
    /// What it adds to the score of what it lists; below 0 for a list of the welcome.
    pub weight: i32,
    /// Which of its answers count.
    pub filter: Filter,
}

/// The lists, and which of them do not work at present.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    lists: Vec<DnsList>,
    silent: Mutex<BTreeSet<String>>,
}

/// What lists say of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// The score under each name.
    pub(crate) scores: Vec<(Domain, Finding<i32>)>,
    /// What the operator is to be told of lists that have stopped working, or work again.
    pub(crate) alarms: Vec<String>,
}

impl Lists {
    pub(crate) fn new(lists: Vec<DnsList>) -> Self {
        Self { lists, silent: Mutex::default() }
    }

    /// Asks all lists of these names. A name of no list is the zone of one whose every answer
    /// counts 1. A list that does not work lists nobody; where none of a name works, nothing is
    /// known.
    pub(super) async fn ask<R: Resolver>(&self, lookups: &Lookups<'_, R>, names: &[Domain], address: IpAddr) -> Listed {
        let mut asked = Vec::new();
        for name in names {
            let of_name = self.lists.iter().filter(|list| list.name == *name);
            let before = asked.len();
            asked.extend(of_name.map(|list| {
                let DnsList { zone, weight, filter, .. } = list.clone();
                let mut list = List::new(zone);
                (list.weight, list.filter) = (weight, filter);
                (name, list)
            }));
            if asked.len() == before
                && let Ok(zone) = Name::from_domain(name.as_str())
            {
                asked.push((name, List::new(zone)));
            }
        }
        let lists: Vec<List> = asked.iter().map(|(_, list)| list.clone()).collect();
        let outcome = lists::check(lookups, &lists, address.into()).await;
        let said = || asked.iter().zip(&outcome.listings);
        let scores = names.iter().map(|name| {
            let of_name = said().filter(|((of, _), _)| of == &name);
            let mut score = Finding::Unknown;
            for ((_, list), listing) in of_name {
                let known: i32 = if let Finding::Is(score) = score { score } else { 0 };
                score = match listing {
                    Listing::Listed(_) => Finding::Is(known.saturating_add(list.weight)),
                    Listing::NotAsked | Listing::NotListed => Finding::Is(known),
                    Listing::Broken(_) | Listing::Failed(_) => score,
                };
            }
            (name.clone(), score)
        });
        let scores = scores.collect();
        let alarms = said().filter_map(|((_, list), listing)| self.alarm(&list.zone, listing)).collect();
        Listed { scores, alarms }
    }

    /// What is to be told of a list: only that something has changed.
    fn alarm(&self, zone: &Name, listing: &Listing) -> Option<String> {
        let why = match listing {
            Listing::Broken(broken) => Some(broken.to_string()),
            Listing::Failed(error) => Some(error.to_string()),
            Listing::NotAsked => return None,
            Listing::NotListed | Listing::Listed(_) => None,
        };
        let zone = zone.to_string();
        let mut silent = self.silent.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match why {
            Some(why) => {
                let text = format!("the list {zone} says nothing, nobody is listed there: {why}");
                silent.insert(zone).then_some(text)
            }
            None => silent.remove(&zone).then(|| format!("the list {zone} works again")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use hikyaku_dns::{Error, RecordType, Zone};
    use hikyaku_mailauth::{Budget, Records};

    use super::*;

    const ZONE: &str = "
9.2.0.192.bad.test. 300 A 127.0.0.2
9.2.0.192.bad.test. 300 A 127.0.0.4
9.2.0.192.good.test. 300 A 127.0.0.9
9.2.0.192.other.test. 300 A 127.0.0.2
9.2.0.192.gone.test. 300 A 192.0.2.99
8.2.0.192.bad.test. 300 A 127.0.0.4
";

    fn list(name: &str, zone: &str, weight: i32, filter: &str) -> DnsList {
        let (name, zone) = (name.parse().unwrap(), zone.parse().unwrap());
        DnsList { name, zone, weight, filter: filter.parse().unwrap() }
    }

    async fn ask(lists: &Lists, names: &[&str], last: u8, failing: &[&str]) -> (Vec<Finding<i32>>, Vec<String>) {
        let mut zone: Zone = ZONE.parse().unwrap();
        for name in failing {
            let name = format!("{last}.2.0.192.{name}").parse().unwrap();
            zone.failures.insert((name, RecordType::A), Error::ServerFailure.into());
        }
        let records = Records::new(zone);
        let lookups = records.lookups(Instant::now(), Budget::default());
        let names: Vec<Domain> = names.iter().map(|name| name.parse().unwrap()).collect();
        let listed = lists.ask(&lookups, &names, [192, 0, 2, last].into()).await;
        assert_eq!(listed.scores.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), names);
        (listed.scores.into_iter().map(|(_, score)| score).collect(), listed.alarms)
    }

    #[tokio::test]
    async fn weights_of_one_name_add_up_and_filters_choose() {
        let lists = Lists::new(vec![
            list("bad.test", "bad.test", 3, "127.0.0.2"),
            list("bad.test", "bad.test", 4, "127.0.0.[3..5]"),
            list("all.test", "bad.test", 5, "any"),
            list("all.test", "good.test", -7, "any"),
        ]);
        let scores = async |last| ask(&lists, &["bad.test", "all.test", "other.test"], last, &[]).await.0;
        assert_eq!(scores(9).await, [Finding::Is(7), Finding::Is(-2), Finding::Is(1)]);
        assert_eq!(scores(8).await, [Finding::Is(4), Finding::Is(5), Finding::Is(0)]);
        assert_eq!(scores(1).await, [Finding::Is(0); 3]);
    }

    /// D51: a list that does not answer lists nobody, and the operator is told, once.
    #[tokio::test]
    async fn d51_a_list_that_does_not_answer_lists_nobody() {
        let lists = Lists::new(vec![
            list("all.test", "bad.test", 5, "any"),
            list("all.test", "good.test", -7, "any"),
            list("gone.test", "gone.test", 1, "any"),
        ]);
        let (scores, alarms) = ask(&lists, &["all.test", "gone.test"], 9, &["good.test"]).await;
        assert_eq!(scores, [Finding::Is(5), Finding::Unknown]);
        assert_eq!(alarms.len(), 2, "{alarms:?}");
        assert!(alarms[0].starts_with("the list good.test says nothing, nobody is listed there: "), "{alarms:?}");
        let (_, alarms) = ask(&lists, &["all.test", "gone.test"], 9, &["good.test"]).await;
        assert_eq!(alarms, [""; 0]);
        let (scores, alarms) = ask(&lists, &["all.test"], 9, &["bad.test"]).await;
        assert_eq!(scores, [Finding::Is(-7)]);
        assert_eq!(alarms.len(), 2, "{alarms:?}");
        assert_eq!(alarms[1], "the list good.test works again");
        let (scores, _) = ask(&lists, &["all.test"], 9, &["bad.test", "good.test"]).await;
        assert_eq!(scores, [Finding::Unknown]);
    }
}
