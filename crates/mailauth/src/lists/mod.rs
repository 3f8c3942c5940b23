//! DNS lists: of addresses and domains to refuse or to welcome (RFC 5782).
//!
//! A [`List`] is a zone with a weight and a [`Filter`] of its answers; [`check`] asks several at
//! once and adds the weights of those that list an address or a domain. What a sum is worth is
//! said by a policy.
//!
//! ```
//! # use hikyaku_mailauth::{Lookups, lists::{self, List}};
//! # async fn example<R: hikyaku_dns::Resolver>(lookups: &Lookups<'_, R>, client: std::net::IpAddr)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! let mut refused = List::new("zen.example.org".parse()?);
//! refused.filter = "127.0.0.[2..11]".parse()?;
//! let mut welcome = List::new("list.example.net".parse()?);
//! welcome.weight = -2;
//! let outcome = lists::check(lookups, &[refused, welcome], client.into()).await;
//! if outcome.score >= 1 { /* refuse */ }
//! # Ok(())
//! # }
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::task::Poll;

use hikyaku_dns::{Name, Resolver, Security};
use hikyaku_message::results::{self, ResultInfo, Value};

use crate::{LookupError, Lookups};

mod filter;
mod self_test;

pub use filter::{Filter, FilterError};
pub use self_test::{Kind, SelfTestError};

/// Longest reason that is kept, in octets.
const MAX_REASON: usize = 400;

/// One list: a zone of the DNS, and what its answers are worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// The zone under which it is published.
    pub zone: Name,
    /// What it adds to the score of what it lists; below 0 for a list of the welcome.
    pub weight: i32,
    /// Which answers count.
    pub filter: Filter,
    /// Whether the reason is asked for where something is listed: one more lookup.
    pub reason: bool,
}

/// What is looked up in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// An address (RFC 5782 §2.1, §2.4); an IPv4-mapped IPv6 address is the IPv4 address.
    Address(IpAddr),
    /// A domain (RFC 5782 §3): exactly this name.
    Domain(&'a Name),
}

/// What a list says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listing {
    /// It was not asked, because nobody else can know the subject, and nobody else should: the
    /// address is private, of the machine or of the link, or otherwise without a meaning in the
    /// Internet; the domain has one label, is special (RFC 6761) or is an address; or the name to
    /// be asked for would be too long.
    NotAsked,
    /// It has nothing, or nothing that its filter takes.
    NotListed,
    /// It lists the subject.
    Listed(Entry),
    /// It does not work, which somebody should be told; it has said nothing about the subject.
    Broken(Broken),
    /// It could not be asked; not listed, as far as is known.
    Failed(LookupError),
}

/// What a list says of what it lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its answers that the filter takes; at least one.
    pub answers: Vec<Ipv4Addr>,
    /// Why, in its own words: a text of strangers, in printable ASCII, cut to 400 octets.
    pub reason: Option<String>,
    /// How far the answer is proved.
    pub security: Security,
}

/// Why the answer of a list means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Broken {
    /// It refuses to answer: 127.255.255.x says so (a wrong name, a public resolver, too many
    /// questions), as does 127.0.0.1, unless the filter names it.
    #[error("the list refuses to answer ({0}): it may be asked too often, or through a public resolver")]
    Refused(Ipv4Addr),
    /// An answer outside of 127.0.0.0/8 (RFC 5782 §2.1): the zone is no list, or is one no more.
    #[error("the list answers with {0}, outside of 127.0.0.0/8: it may have been given up")]
    Foreign(Ipv4Addr),
}

/// What several lists say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The sum of the weights of those that list the subject; ends at the bounds of the type.
    pub score: i32,
    /// What each says, in the order of the lists.
    pub listings: Vec<Listing>,
}

/// Asks several lists at once.
pub async fn check<R: Resolver>(lookups: &Lookups<'_, R>, lists: &[List], subject: Subject<'_>) -> Outcome {
    let mut listings = vec![Listing::NotAsked; lists.len()];
    let mut asking: Vec<_> = lists.iter().map(|list| Some(Box::pin(list.look_up(lookups, subject)))).collect();
    std::future::poll_fn(|context| {
        for (one, listing) in asking.iter_mut().zip(&mut listings) {
            if let Some(future) = one
                && let Poll::Ready(answer) = future.as_mut().poll(context)
            {
                (*one, *listing) = (None, answer);
            }
        }
        if asking.iter().any(Option::is_some) { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    drop(asking);
    let listed = lists.iter().zip(&listings).filter(|(_, listing)| listing.is_listed());
    let score = listed.fold(0_i32, |score, (list, _)| score.saturating_add(list.weight));
    Outcome { score, listings }
}

impl List {
    /// A list of weight 1 whose every answer counts and whose reasons are not asked for.
    pub fn new(zone: Name) -> Self {
        Self { zone, weight: 1, filter: Filter::default(), reason: false }
    }

    /// Looks the subject up.
    pub async fn look_up<R: Resolver>(&self, lookups: &Lookups<'_, R>, subject: Subject<'_>) -> Listing {
        let Some(name) = subject.name().and_then(|name| name.join(&self.zone).ok()) else {
            return Listing::NotAsked;
        };
        let (answers, security) = match self.answers(lookups, &name).await {
            Ok(answers) => answers,
            Err(NoAnswer::Broken(broken)) => return Listing::Broken(broken),
            Err(NoAnswer::Failed(error)) => return Listing::Failed(error),
        };
        let answers: Vec<_> = answers.into_iter().filter(|answer| self.filter.takes(*answer)).collect();
        if answers.is_empty() {
            return Listing::NotListed;
        }
        let reason = if self.reason { reason(lookups, &name).await } else { None };
        Listing::Listed(Entry { answers, reason, security })
    }

    /// What the list has under a name, whatever its filter takes.
    async fn answers<R: Resolver>(
        &self,
        lookups: &Lookups<'_, R>,
        name: &Name,
    ) -> Result<(Vec<Ipv4Addr>, Security), NoAnswer> {
        let answer = lookups.a(name).await.map_err(NoAnswer::Failed)?;
        // A resolver that answers for names that do not exist adds its own address.
        let foreign = answer.records.iter().find(|answer| !answer.is_loopback());
        let refused = answer.records.iter().find(|answer| is_refusal(**answer) && !self.filter.names(**answer));
        let broken = foreign.map(|answer| Broken::Foreign(*answer)).or(refused.map(|answer| Broken::Refused(*answer)));
        match broken {
            Some(broken) => Err(NoAnswer::Broken(broken)),
            None => Ok((answer.records, answer.security)),
        }
    }
}

/// Why a list has said nothing.
enum NoAnswer {
    Broken(Broken),
    Failed(LookupError),
}

impl From<IpAddr> for Subject<'_> {
    fn from(address: IpAddr) -> Self {
        Self::Address(address)
    }
}

impl<'a> From<&'a Name> for Subject<'a> {
    fn from(domain: &'a Name) -> Self {
        Self::Domain(domain)
    }
}

impl Subject<'_> {
    /// The part of the name in front of the zone; `None` for what is never asked for.
    fn name(self) -> Option<Name> {
        match self {
            Self::Address(address) => match address.to_canonical() {
                IpAddr::V4(v4) => is_public(v4).then(|| reversed(v4.into())),
                IpAddr::V6(v6) => is_public_v6(v6).then(|| reversed(v6.into())),
            },
            Self::Domain(domain) => is_public_domain(domain).then(|| domain.clone()),
        }
    }
}

impl Listing {
    /// Whether the list holds the subject.
    pub fn is_listed(&self) -> bool {
        matches!(self, Self::Listed(_))
    }

    /// The result of this listing where the list is one of the welcome (RFC 8904 §2).
    pub fn dnswl(&self) -> results::Dnswl {
        match self {
            Self::NotAsked | Self::NotListed => results::Dnswl::None,
            Self::Listed(_) => results::Dnswl::Pass,
            Self::Broken(_) | Self::Failed(LookupError::Dns(hikyaku_dns::Error::Refused(_))) => {
                results::Dnswl::PermError
            }
            Self::Failed(_) => results::Dnswl::TempError,
        }
    }

    /// The same for the field, with the zone, the answers and the reason (RFC 8904 §2).
    pub fn results(&self, list: &List) -> ResultInfo {
        const NAMES: &str = "these names are keywords";
        let zone = Value::lossy(&list.zone.to_string());
        let info = ResultInfo::from(self.dnswl()).with("dns", "zone", zone).expect(NAMES);
        let Self::Listed(entry) = self else {
            return info;
        };
        let proved = match entry.security {
            Security::Secure => "yes",
            Security::Insecure => "no",
            Security::Indeterminate => "na",
        };
        let answers: Vec<_> = entry.answers.iter().map(Ipv4Addr::to_string).collect();
        let info = info.with("dns", "sec", Value::lossy(proved)).expect(NAMES);
        let info = info.with("policy", "ip", Value::lossy(&answers.join(","))).expect(NAMES);
        match &entry.reason {
            Some(reason) => info.with("policy", "txt", Value::lossy(reason)).expect(NAMES),
            None => info,
        }
    }
}

fn is_refusal(answer: Ipv4Addr) -> bool {
    answer.octets()[..3] == [127, 255, 255] || answer == Ipv4Addr::LOCALHOST
}

/// The first text under the name, as one that can be shown.
async fn reason<R: Resolver>(lookups: &Lookups<'_, R>, name: &Name) -> Option<String> {
    let answer = lookups.txt(name).await.ok()?;
    let text = answer.records.first()?.concat();
    let shown = |octet: &u8| if matches!(octet, b' '..=b'~') { char::from(*octet) } else { '?' };
    Some(text.iter().take(MAX_REASON).map(shown).collect())
}

/// The octets or nibbles of an address, last first, as labels (RFC 5782 §2.1, §2.4).
fn reversed(address: IpAddr) -> Name {
    let labels: Vec<String> = match address {
        IpAddr::V4(v4) => v4.octets().iter().rev().map(u8::to_string).collect(),
        IpAddr::V6(v6) => {
            let nibbles = v6.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}")).collect()
        }
    };
    Name::from_labels(labels.iter().map(String::as_bytes)).expect("32 labels of at most 3 octets fit")
}

/// Whether the address can be that of a stranger in the Internet (RFC 6890).
fn is_public(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || first == 0
        || first == 100 && second & 0xc0 == 64
        || first == 198 && second & 0xfe == 18
        || first >= 224)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let first = address.segments()[0];
    !(address.is_loopback()
        || address.is_unspecified()
        || first & 0xfe00 == 0xfc00
        // Of the link, and of the site (RFC 3879).
        || first & 0xff80 == 0xfe80
        || address.is_multicast())
}

/// Whether the name can be one of the Internet.
fn is_public_domain(domain: &Name) -> bool {
    const SPECIAL: [&[u8]; 7] = [b"alt", b"internal", b"invalid", b"local", b"localhost", b"onion", b"arpa"];
    let labels: Vec<&[u8]> = domain.labels().collect();
    match labels[..] {
        [_, .., last] => !last.iter().all(u8::is_ascii_digit) && !SPECIAL.contains(&last),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
