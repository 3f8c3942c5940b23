//! How many recipients were accepted of late.

use std::collections::BTreeMap;

use hikyaku_wire::{ReversePath, Timestamp};

use super::{
    address, host,
    lines::{key, word},
    network,
    recent::Recent,
};
use crate::{Facts, Per, Period, Policy, Window};

/// Parts into which a window is divided.
const PARTS: usize = 8;

/// How many recipients were accepted of late, for each key and window that a policy counts in.
///
/// A window is counted in eighths of its period. The count holds everything of the last whole
/// period, and besides at most what came in the eighth before it: **a limit is never exceeded in
/// any stretch of time as long as its period**, and what was counted is free again after nine
/// eighths of it at the latest.
///
/// Bounded: where too many keys are counted in a window, those that were not asked about for
/// longest are forgotten. A key takes about 200 octets and its own length.
///
/// Time that goes backwards makes nothing forgotten: what was counted counts as of now.
#[derive(Clone, Debug)]
pub struct Rates {
    entries: usize,
    windows: BTreeMap<Window, Recent<Counts>>,
}

/// What was accepted, in parts of a period.
#[derive(Clone, Copy, Debug)]
struct Counts {
    /// The number of the part that is now, counted from 1970.
    now: i64,
    /// What was accepted in it, in the one before it, and so on.
    parts: [u32; PARTS + 1],
}

impl Counts {
    fn new(now: i64) -> Self {
        Self { now, parts: [0; PARTS + 1] }
    }

    /// Lets time pass.
    fn pass(&mut self, now: i64) {
        // Where the clock was set back the whole moves with it, nothing is forgotten, and nothing
        // stays for longer than if it were of now.
        let parts = usize::try_from(now.saturating_sub(self.now)).unwrap_or(0).min(self.parts.len());
        self.parts.rotate_right(parts % (PARTS + 1));
        self.parts[..parts].fill(0);
        self.now = now;
    }

    fn sum(&self) -> u64 {
        self.parts.iter().copied().map(u64::from).sum()
    }
}

impl Rates {
    /// A table of at most so many keys for each window that a policy counts in.
    pub fn new(entries: usize) -> Self {
        Self { entries, windows: BTreeMap::new() }
    }

    /// Fills in [`Facts::rates`] for the windows that the policy counts in. Nothing is counted of
    /// who has no such key: no user, no address, the null sender.
    pub fn fill(&mut self, policy: &Policy, facts: &mut Facts, now: Timestamp) {
        let mut rates = std::mem::take(&mut facts.rates);
        rates.clear();
        for window in &policy.index.windows {
            let counts = key_of(window.per, facts)
                .and_then(|key| self.windows.get_mut(window)?.touch_known(&key))
                .map_or(0, |counts| {
                    counts.pass(part(window.period, now));
                    counts.sum()
                });
            rates.push((*window, counts));
        }
        facts.rates = rates;
    }

    /// Counts a recipient that was accepted, once for each window that the policy counts in.
    pub fn charge(&mut self, policy: &Policy, facts: &Facts, now: Timestamp) {
        for window in &policy.index.windows {
            let Some(key) = key_of(window.per, facts) else { continue };
            let now = part(window.period, now);
            let recent = self.windows.entry(*window).or_insert_with(|| Recent::new(self.entries));
            let counts = recent.touch(&key, || Counts::new(now));
            counts.pass(now);
            counts.parts[0] = counts.parts[0].saturating_add(1);
        }
    }

    /// Keys that are counted, of all windows together.
    pub fn len(&self) -> usize {
        self.windows.values().map(Recent::len).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One line a key, for [`Rates::restore`].
    pub fn snapshot(&self) -> String {
        let mut text = String::new();
        for (window, recent) in &self.windows {
            for (key, counts) in recent.iter() {
                let parts: Vec<_> = counts.parts.iter().map(u32::to_string).collect();
                let [period, per] = names(window);
                text.push_str(&format!("{period} {per} {} {} {}\n", word(key), counts.now, parts.join(",")));
            }
        }
        text
    }

    /// Takes lines of a snapshot; what is no such line is left out.
    pub fn restore(&mut self, snapshot: &str, now: Timestamp) {
        for line in snapshot.lines() {
            let Some((window, key, mut counts)) = read(line) else { continue };
            counts.pass(part(window.period, now));
            if counts.sum() > 0 {
                let recent = self.windows.entry(window).or_insert_with(|| Recent::new(self.entries));
                *recent.touch(&key, || counts) = counts;
            }
        }
    }
}

fn read(line: &str) -> Option<(Window, Vec<u8>, Counts)> {
    let words: Vec<_> = line.split(' ').collect();
    let [period, per, key_word, at, parts] = words[..] else { return None };
    let window = windows().find(|window| names(window) == [period, per])?;
    let mut counts = Counts::new(at.parse().ok()?);
    let parts: Vec<u32> = parts.split(',').map(str::parse).collect::<Result<_, _>>().ok()?;
    counts.parts = parts.try_into().ok()?;
    Some((window, key(key_word)?, counts))
}

const PERIODS: [(Period, &str); 4] =
    [(Period::Second, "s"), (Period::Minute, "m"), (Period::Hour, "h"), (Period::Day, "d")];
const PERS: [(Per, &str); 5] =
    [(Per::Ip, "ip"), (Per::Network, "network"), (Per::User, "user"), (Per::Sender, "sender"), (Per::Domain, "domain")];

fn windows() -> impl Iterator<Item = Window> {
    PERIODS.into_iter().flat_map(|(period, _)| PERS.into_iter().map(move |(per, _)| Window { period, per }))
}

fn names(window: &Window) -> [&'static str; 2] {
    let period = PERIODS.iter().find(|(period, _)| *period == window.period);
    let per = PERS.iter().find(|(per, _)| *per == window.per);
    [period.map_or("", |(_, name)| name), per.map_or("", |(_, name)| name)]
}

/// The number of the part of a period that a moment is in.
fn part(period: Period, now: Timestamp) -> i64 {
    now.as_millis().div_euclid(period.duration().as_millis() as i64 / PARTS as i64)
}

/// For whom is counted; `None` where there is nobody.
fn key_of(per: Per, facts: &Facts) -> Option<Vec<u8>> {
    let sender = || match facts.sender.as_ref()? {
        ReversePath::Mailbox(mailbox) => Some(mailbox),
        ReversePath::Null => None,
    };
    Some(match per {
        Per::Ip => facts.client?.to_canonical().to_string().into_bytes(),
        Per::Network => network(facts.client?),
        Per::User => facts.user.as_ref()?.clone().into_bytes(),
        Per::Sender => address(sender()?).into_bytes(),
        Per::Domain => host(sender()?).into_bytes(),
    })
}
