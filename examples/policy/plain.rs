//! What was not said of a transaction and yet decides: facts that a rule asks for, which are taken
//! as plain, and what would come out if they were not.

use std::collections::BTreeMap;

use hikyaku::policy::{Action, DomainPattern, Facts, HostSet, Members, Policy, Test};

use crate::given::Given;

/// A fact that was not given, though another value of it gives another answer.
pub(crate) struct Assumed {
    /// `spf`, `listed zen.example`
    pub(crate) name: String,
    /// What it was taken for.
    pub(crate) taken: String,
    /// Another value.
    pub(crate) other: String,
    /// What comes out then.
    pub(crate) then: String,
}

/// What a decision comes to, for people.
pub(crate) fn outcome(policy: &Policy, facts: &Facts) -> String {
    let decision = policy.decide(facts);
    let mut text = match (decision.is_permitted(), decision.route) {
        (true, Some(route)) => format!("permit via {route}"),
        (true, None) => "permit".to_owned(),
        (false, _) => decision.reply.to_string(),
    };
    if let Some(reason) = decision.quarantine {
        text += &format!(", quarantine {reason}");
    }
    for tag in &decision.tags {
        text += &format!(", tag {tag}");
    }
    text
}

/// Facts that were not given, with the first value of each that would change the answer.
pub(crate) fn assumed(policy: &Policy, given: &Given) -> Vec<Assumed> {
    let facts = given.facts(policy);
    let (usual, words) = (outcome(policy, &facts), facts.words());
    let mut assumed = Vec::new();
    for (name, values) in candidates(policy) {
        let key = name.split(' ').next().unwrap_or_default();
        if given.has(&name) {
            continue;
        }
        let changed = values.into_iter().find_map(|value| {
            let mut other = given.clone();
            other.set(key, &value).ok()?;
            let facts = other.facts(policy);
            let then = outcome(policy, &facts);
            let shown = shown(&facts, &name)?;
            (then != usual).then_some((shown, then))
        });
        if let (Some((other, then)), Some(taken)) = (changed, shown_in(&words, &name)) {
            assumed.push(Assumed { name, taken, other, then });
        }
    }
    assumed
}

fn shown(facts: &Facts, name: &str) -> Option<String> {
    shown_in(&facts.words(), name)
}

/// What a fact is called among the words differs from the option in two cases.
fn shown_in(words: &[(String, String)], name: &str) -> Option<String> {
    let name = if name == "from" { "sender" } else { name };
    words.iter().find(|(word, _)| word == name).map(|(_, value)| value.clone())
}

/// For each fact that rules ask for, the values at which an answer may change.
fn candidates(policy: &Policy) -> BTreeMap<String, Vec<String>> {
    const RESULTS: [&str; 8] = ["pass", "fail", "softfail", "neutral", "none", "policy", "permerror", "unknown"];
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut add = |name: &str, values: &[String]| {
        let known = all.entry(name.to_owned()).or_default();
        values
            .iter()
            .filter(|value| !known.contains(value))
            .cloned()
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|value| known.push(value));
    };
    let words = |words: &[&str]| -> Vec<String> { words.iter().map(|word| (*word).to_owned()).collect() };
    let flag = words(&["yes", "no", "unknown"]);
    for rule in policy.rules() {
        if let Action::Limit(rate) = &rule.action {
            add(&format!("rate {}", rate.window), &[format!("{}={}", rate.window, rate.limit)]);
        }
        for test in rule.when.tests() {
            match test {
                Test::Hours(hours) => {
                    let time = |minute: u16| format!("{:02}:{:02}", minute % 1440 / 60, minute % 60);
                    add("time", &[time(hours.from), time(hours.until)]);
                }
                Test::Name(set) => add("name", &[members(policy, set), words(&["none", "unknown"])].concat()),
                Test::Iprev(_) => add("iprev", &words(&["pass", "fail", "permerror", "unknown"])),
                Test::Listed { zone, at_least } => add(
                    &format!("listed {}", zone.to_lowercase()),
                    &[format!("{zone}={at_least}"), format!("{zone}=0"), format!("{zone}=unknown")],
                ),
                Test::Helo(set) => add("helo", &members(policy, set)),
                Test::Sender(set) => {
                    let senders = members(policy, set).into_iter();
                    let at = |name: String| if name.contains('@') { name } else { format!("sender@{name}") };
                    add("from", &senders.map(at).collect::<Vec<_>>());
                }
                Test::SenderNull => add("from", &words(&["<>"])),
                Test::SenderOwned => add("owned", &flag),
                Test::Spf(_) => add("spf", &words(&RESULTS)),
                Test::RecipientExists => add("exists", &flag),
                Test::Known => add("known", &flag),
                Test::Recipients(most) => add("recipients", &[most.saturating_add(1).to_string()]),
                Test::Rate(rate) => {
                    add(&format!("rate {}", rate.window), &[format!("{}={}", rate.window, rate.limit)]);
                }
                Test::Size(most) => add("size", &[most.saturating_add(1).to_string()]),
                Test::Hops(most) => add("hops", &[most.saturating_add(1).to_string()]),
                Test::AuthorAligned => add("aligned", &flag),
                Test::Dkim(_) => add("dkim", &words(&RESULTS)),
                Test::Arc(_) => add("arc", &words(&RESULTS)),
                Test::Dmarc(_) => {
                    add("dmarc", &words(&["pass", "fail", "quarantine", "reject", "none", "permerror", "unknown"]));
                }
                Test::Custom(name) => {
                    let values: Vec<String> = flag.iter().map(|value| format!("{name}={value}")).collect();
                    add(&format!("custom {name}"), &values);
                }
                // That a client has not shown these, or not said that, is said by saying nothing.
                _ => {}
            }
        }
    }
    all
}

/// Some that are in a set.
fn members(policy: &Policy, set: &HostSet) -> Vec<String> {
    let of = |pattern: &DomainPattern| match pattern {
        DomainPattern::All => None,
        pattern => Some(pattern.to_string().replacen('*', "any", 1)),
    };
    match set {
        HostSet::Mailbox(mailbox) => vec![mailbox.to_string()],
        HostSet::Pattern(pattern) => of(pattern).into_iter().collect(),
        HostSet::List(name) => match policy.lists().iter().find(|list| list.name == *name).map(|list| &list.members) {
            Some(Members::Domains(_, domains) | Members::Names(_, domains)) => {
                domains.iter().filter_map(|pattern| of(&pattern)).take(3).collect()
            }
            _ => Vec::new(),
        },
    }
}
