//! Greylisting (RFC 6647): who was seen before.

use std::time::Duration;

use hikyaku_wire::{ForwardPath, Mailbox, ReversePath, Timestamp};

use super::{
    address, host,
    lines::{key, word},
    network,
    recent::Recent,
};
use crate::Facts;

/// How long a new triplet may take to come again, if nothing else is said (RFC 6647 §5).
const RETRY: Duration = Duration::from_secs(24 * 3600);

/// Who was seen before (greylisting, RFC 6647): network of the client (/24 of IPv4, /64 of IPv6),
/// sender and recipient. In the sender's local part digits count as one, and so does what changes
/// in SRS: each message of a list or a forwarder has another sender.
///
/// A triplet is known when it comes again between `wait` and a day after it was first seen, and
/// from then on until it was not seen for `keep`. Bounded: the known ones and those that wait
/// to become known each take half of the entries, so that a flood of new ones does not displace
/// known ones; those that were not seen for longest are forgotten.
///
/// Time that goes backwards makes nothing forgotten; what was first seen in the future counts as
/// first seen now.
#[derive(Clone, Debug)]
pub struct Triplets {
    wait: Duration,
    retry: Duration,
    keep: Duration,
    /// When each was first seen.
    waiting: Recent<Timestamp>,
    /// When each was last seen.
    known: Recent<Timestamp>,
}

impl Triplets {
    /// A table of at most so many triplets, each known `wait` after it was first seen, and
    /// forgotten `keep` after it was last seen.
    pub fn new(entries: usize, wait: Duration, keep: Duration) -> Self {
        let waiting = entries.div_ceil(2);
        Self { wait, retry: RETRY, keep, waiting: Recent::new(waiting), known: Recent::new(entries - waiting) }
    }

    /// The same, where a new triplet may take so long to come again, in place of a day.
    #[must_use]
    pub fn retry_within(self, retry: Duration) -> Self {
        Self { retry, ..self }
    }

    /// Whether it is known; it is seen now. Without a sender or a recipient nothing is known.
    pub fn see(&mut self, facts: &Facts, now: Timestamp) -> bool {
        let Some(triplet) = triplet(facts) else { return false };
        if let Some(last) = self.known.peek(&triplet) {
            if now.saturating_since(*last) < self.keep {
                *self.known.touch(&triplet, || now) = now;
                return true;
            }
            self.known.remove(&triplet);
        }
        let first = self.waiting.touch(&triplet, || now);
        if now < *first || now.saturating_since(*first) > self.retry {
            *first = now;
        }
        if now.saturating_since(*first) < self.wait {
            return false;
        }
        self.waiting.remove(&triplet);
        self.known.touch(&triplet, || now);
        true
    }

    /// Triplets in the table.
    pub fn len(&self) -> usize {
        self.waiting.len() + self.known.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One line a triplet, for [`Triplets::restore`].
    pub fn snapshot(&self) -> String {
        let mut text = String::new();
        for (kind, recent) in [("waiting", &self.waiting), ("known", &self.known)] {
            for (key, time) in recent.iter() {
                text.push_str(&format!("{kind} {} {}\n", word(key), time.as_millis()));
            }
        }
        text
    }

    /// Takes lines of a snapshot; what is no such line, or has been forgotten since, is left out.
    pub fn restore(&mut self, snapshot: &str, now: Timestamp) {
        for line in snapshot.lines() {
            let words: Vec<_> = line.split(' ').collect();
            let [kind, triplet, time] = words[..] else { continue };
            let (Some(triplet), Ok(time)) = (key(triplet), time.parse()) else { continue };
            let time = Timestamp::from_millis(time).min(now);
            let (recent, limit) = match kind {
                "waiting" => (&mut self.waiting, self.retry),
                "known" => (&mut self.known, self.keep),
                _ => continue,
            };
            if now.saturating_since(time) <= limit {
                *recent.touch(&triplet, || time) = time;
            }
        }
    }
}

/// Network, sender and recipient, parted by an octet that none of the two addresses has.
fn triplet(facts: &Facts) -> Option<Vec<u8>> {
    let (sender, recipient) = (facts.sender.as_ref()?, facts.recipient.as_ref()?);
    let mut key = Vec::new();
    if let ReversePath::Mailbox(mailbox) = sender {
        key.extend(folded(mailbox).into_bytes());
    }
    key.push(0);
    match recipient {
        ForwardPath::Mailbox(mailbox) => key.extend(address(mailbox).into_bytes()),
        ForwardPath::Postmaster => key.extend(b"postmaster"),
    }
    key.push(0);
    key.extend(facts.client.map(network).unwrap_or_default());
    Some(key)
}

/// The sender without what changes from message to message.
fn folded(sender: &Mailbox) -> String {
    let local = sender.local().content().to_ascii_lowercase();
    let mut fields: Vec<_> = local.split('=').collect();
    // `SRS0=hash=day=domain=local`: hash and day change.
    if matches!(fields[..], ["srs0" | "srs1", _, ..]) {
        fields[1] = "";
        if fields[0] == "srs0" && fields.len() > 2 {
            fields[2] = "";
        }
    }
    let mut folded = String::with_capacity(local.len());
    for c in fields.join("=").chars() {
        match c {
            '0'..='9' if folded.ends_with('#') => {}
            '0'..='9' => folded.push('#'),
            c => folded.push(c),
        }
    }
    folded.push('@');
    folded.push_str(&host(sender));
    folded
}
