//! The smallest changes of the facts that change the decision.

use hikyaku_message::results::{Dkim, Spf};

use super::{
    Flip, Limits, TooComplex,
    diagram::{Diagrams, Ref},
    diff::verb,
    parts::only,
    space::{Fact, Path, Space},
    words::words,
};
use crate::{Dmarc, Facts, Finding, Listener, Message, Policy};

/// So many flips are shown.
const MOST: usize = 3;
/// Nobody looks at a flip of more facts than this.
const FARTHEST: usize = 8;
/// In a policy of at most so many rules a flip of two facts more is looked at, too, if it is less
/// to do.
const WIDELY: usize = 100;

pub(super) fn flips(policy: &Policy, facts: &Facts, limits: &Limits) -> Result<Vec<Flip>, TooComplex> {
    let space = Space::new(&[policy]);
    let diagrams = &mut Diagrams::new(&space, limits)?;
    let mut facts = facts.clone();
    facts.message.get_or_insert_with(plain_message);
    let before = policy.decide(&facts);
    let path = space.classes_of(&facts);
    let mut changes = 0;
    let wanted = loop {
        changes += 1;
        let flipped = flipped(changes, &path, before.is_permitted(), diagrams)?;
        if flipped != Ref::NONE {
            break match policy.rules().len() {
                ..=WIDELY => self::flipped(changes + 2, &path, before.is_permitted(), diagrams)?,
                _ => flipped,
            };
        }
        if changes == FARTHEST.min(path.len()) || path.is_empty() {
            return Ok(Vec::new());
        }
    };
    let mut flips: Vec<Flip> = Vec::new();
    for weight in [peer, operator] {
        for after in cheapest(wanted, &path, weight, &space, diagrams)? {
            let flip = flip(policy, &facts, &path, &after, &space);
            let is_new = flips.iter().all(|known| known.changes != flip.changes);
            let is_real = (flip.verb == crate::Verb::Permit) != before.is_permitted();
            debug_assert!(is_real, "{flip:?}");
            if is_new && is_real && flips.len() < MOST {
                flips.push(flip);
            }
        }
    }
    Ok(flips)
}

/// Feasible facts of at most so many other classes than the path, which are decided otherwise.
fn flipped(changes: usize, path: &[usize], permitted: bool, diagrams: &mut Diagrams<'_>) -> Result<Ref, TooComplex> {
    let feasible = diagrams.feasible()?;
    let near = near(changes, path, diagrams)?;
    let near = diagrams.and(near, feasible)?;
    let permits = diagrams.permits(0, near)?;
    if permitted { diagrams.minus(near, permits) } else { Ok(permits) }
}

/// All paths that differ from a path in at most so many classes.
fn near(changes: usize, path: &[usize], diagrams: &mut Diagrams<'_>) -> Result<Ref, TooComplex> {
    // For each number of changes the paths of the dimensions behind this one.
    let mut near = vec![Ref::ALL; changes + 1];
    for (dimension, class) in path.iter().enumerate().rev() {
        let same = only(dimension, *class, diagrams);
        let mut here = Vec::with_capacity(near.len());
        for (left, behind) in near.iter().enumerate() {
            let mut paths = diagrams.and(same, *behind)?;
            if left > 0 {
                let changed = diagrams.minus(near[left - 1], same)?;
                paths = diagrams.or(paths, changed)?;
            }
            here.push(paths);
        }
        near = here;
    }
    Ok(near[changes])
}

/// The cheapest paths of a set, if several are equally cheap the first two.
fn cheapest(
    mut set: Ref,
    path: &[usize],
    weight: fn(&Fact) -> u64,
    space: &Space<'_>,
    diagrams: &mut Diagrams<'_>,
) -> Result<Vec<Path>, TooComplex> {
    let cost = |dimension: usize, class: usize| match &space.dimensions[dimension] {
        _ if path[dimension] == class => 0,
        // Nobody makes a lookup fail on purpose, or goes without an address, if something else will do.
        changed if changed.unknown == Some(class) || is_odd(space, dimension, class) => {
            (weight(&changed.fact) + 20) * 100
        }
        changed => weight(&changed.fact) * 100 + u64::from(changed.plain != class),
    };
    let total =
        |path: &Path| path.iter().enumerate().map(|(dimension, class)| cost(dimension, *class) / 100).sum::<u64>();
    let mut found: Vec<Path> = Vec::new();
    while let Some(after) = diagrams.cheapest(set, &cost).filter(|_| found.len() < 2) {
        if found.first().is_some_and(|first| total(first) < total(&after)) {
            break;
        }
        let mut alike = Ref::ALL;
        for (dimension, class) in after.iter().enumerate().filter(|(dimension, class)| path[*dimension] != **class) {
            let same = only(dimension, *class, diagrams);
            alike = diagrams.and(alike, same)?;
        }
        set = diagrams.minus(set, alike)?;
        found.push(after);
    }
    Ok(found)
}

/// Whether a class is of a client or a recipient that is not like others: without an address, the
/// bare postmaster.
fn is_odd(space: &Space<'_>, dimension: usize, class: usize) -> bool {
    match space.dimensions[dimension].fact {
        Fact::Client => space.value(dimension, class) == "none",
        Fact::Recipient => space.value(dimension, class) == "postmaster",
        _ => false,
    }
}

/// How much it is for the peer to change a fact.
fn peer(fact: &Fact) -> u64 {
    match fact {
        Fact::Listener | Fact::Tls | Fact::User | Fact::Helo | Fact::Sender | Fact::Known | Fact::Owned => 1,
        Fact::Vouched | Fact::VouchedName(_) | Fact::Name | Fact::Recipients | Fact::Size | Fact::Hops => 1,
        Fact::Rate(_) | Fact::Minute => 2,
        Fact::Key | Fact::Iprev | Fact::Spf | Fact::Dkim | Fact::Arc | Fact::Dmarc | Fact::Aligned => 3,
        Fact::Listed(_) | Fact::Exists => 5,
        Fact::Recipient => 6,
        Fact::Client => 8,
        Fact::Custom(_) => 9,
    }
}

/// How much it is for who runs the relay: a list is soon changed.
fn operator(fact: &Fact) -> u64 {
    match fact {
        Fact::Client | Fact::Recipient => 1,
        Fact::Sender | Fact::Helo => 2,
        Fact::User | Fact::Listener | Fact::Tls | Fact::Owned => 3,
        other => peer(other) + 4,
    }
}

/// What has changed from a path to another one, in facts of which the others stay as they are.
fn flip(policy: &Policy, before: &Facts, path: &[usize], after: &[usize], space: &Space<'_>) -> Flip {
    let new = space.facts(after);
    let mut facts = before.clone();
    for (dimension, _) in path.iter().zip(after).enumerate().filter(|(_, (old, new))| old != new) {
        adopt(&mut facts, &new, &space.dimensions[dimension].fact);
    }
    follow(&mut facts);
    let old = words(before);
    let changes = words(&facts)
        .into_iter()
        .filter(|word| old.iter().all(|old| (&old.name, &old.value) != (&word.name, &word.value)));
    let changes = changes.map(|word| (word.name, word.value)).collect();
    let decision = policy.decide(&facts);
    let (verb, line) = (verb(&decision), decision.line);
    Flip { changes, facts, verb, line }
}

/// Facts that no rule asks about follow those that have changed.
fn follow(facts: &mut Facts) {
    let offers_auth = matches!(facts.listener, Listener::Submission | Listener::Submissions);
    if !facts.tls || !offers_auth {
        facts.user = None;
    }
    if !facts.tls {
        facts.certificate = None;
    }
    let has_owner = facts.user.is_some() && facts.sender.as_ref().is_some_and(|sender| sender.mailbox().is_some());
    if facts.owned == Finding::Is(true) && !has_owner {
        facts.owned = Finding::Is(false);
    }
    let by_spf = facts.spf == Finding::Is(Spf::Pass);
    if let Some(message) = &mut facts.message
        && message.dmarc == Finding::Is(Dmarc::Pass)
        && !(by_spf || message.dkim == Finding::Is(Dkim::Pass))
    {
        message.dmarc = Finding::Is(Dmarc::Fail);
    }
}

fn adopt(facts: &mut Facts, new: &Facts, fact: &Fact) {
    fn of<K: PartialEq + Clone, V: Clone>(list: &mut Vec<(K, V)>, new: &[(K, V)], key: &K) {
        list.retain(|(old, _)| old != key);
        list.extend(new.iter().find(|(name, _)| name == key).cloned());
    }
    let message = facts.message.get_or_insert_with(plain_message);
    let arrived = new.message.clone().unwrap_or_else(plain_message);
    match fact {
        Fact::Listener => facts.listener = new.listener,
        Fact::Tls => facts.tls = new.tls,
        Fact::User => facts.user.clone_from(&new.user),
        Fact::Key | Fact::Vouched | Fact::VouchedName(_) => facts.certificate.clone_from(&new.certificate),
        Fact::Owned => facts.owned = new.owned,
        Fact::Exists => facts.exists = new.exists,
        Fact::Known => facts.known = new.known,
        Fact::Custom(name) => of(&mut facts.custom, &new.custom, name),
        Fact::Iprev => facts.iprev = new.iprev,
        Fact::Spf => facts.spf = new.spf,
        Fact::Dkim => message.dkim = arrived.dkim,
        Fact::Arc => message.arc = arrived.arc,
        Fact::Dmarc => message.dmarc = arrived.dmarc,
        Fact::Aligned => message.aligned = arrived.aligned,
        Fact::Listed(zone) => of(&mut facts.listed, &new.listed, zone),
        Fact::Recipients => facts.recipients = new.recipients,
        Fact::Rate(window) => of(&mut facts.rates, &new.rates, window),
        Fact::Size => message.size = arrived.size,
        Fact::Hops => message.hops = arrived.hops,
        Fact::Minute => facts.minute = new.minute,
        Fact::Client => facts.client = new.client,
        Fact::Helo => facts.hello.clone_from(&new.hello),
        Fact::Name => facts.name.clone_from(&new.name),
        Fact::Sender => facts.sender.clone_from(&new.sender),
        Fact::Recipient => facts.recipient.clone_from(&new.recipient),
    }
}

/// A message of which nothing is of note.
fn plain_message() -> Message {
    use hikyaku_message::results::Arc;

    let mut message = Message::new(super::words::PLAIN_SIZE);
    message.hops = super::words::PLAIN_HOPS;
    message.aligned = Finding::Is(true);
    message.dkim = Finding::Is(Dkim::None);
    message.arc = Finding::Is(Arc::None);
    message.dmarc = Finding::Is(Dmarc::None);
    message
}
