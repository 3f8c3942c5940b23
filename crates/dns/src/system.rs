use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::dnssec::{self, Proof};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{self, RData};
use hickory_resolver::proto::serialize::txt::trust_anchor;
use hickory_resolver::system_conf::read_system_conf;

use crate::record::{Data, Typed};
use crate::zone::MAX_ALIASES;
use crate::{Answer, Error, Mx, Name, Presence, Resolver, Security, Tlsa, Txt};

/// Lookups after which hickory's record of what it has validated is thrown away: by itself it
/// would grow to a million entries, and it can be given no bound.
const RENEWED_AFTER: usize = 10_000;

/// A resolver that asks real servers, over UDP and, where an answer does not
/// fit, over TCP.
///
/// It needs a tokio runtime with time and I/O. Names are always complete: no
/// search list, no file of hosts. No answer is kept: put a
/// [`Cache`](crate::Cache) in front. Names under `localhost` and `invalid` are
/// answered without asking anybody (RFC 6761).
///
/// Without [`validating`](Self::validating) each answer is
/// [`Security::Indeterminate`]: what the server says of it (the AD bit) is not believed, since
/// the way to the server may not be safe. With it the proofs are checked here (RFC 4035 §5), of
/// positive and of negative answers, and an answer is as secure as the weakest link of its chain
/// of aliases. How much work a zone can cause is limited by hickory (0.26.3 and later): 8
/// signatures a set of records, 2 keys of the same tag (KeyTrap, CVE-2023-50387), 100 iterations
/// of NSEC3 before a zone counts as not signed and 500 before it is bogus (RFC 9276 §3.2).
///
/// # Incomplete support
///
/// Trust anchors are those of the start: they are not followed through a rollover (RFC 5011).
#[derive(Clone)]
pub struct System {
    source: Arc<Source>,
}

/// What the resolver is made of, and made of anew.
struct Source {
    servers: ResolverConfig,
    timing: Timing,
    anchors: Option<Arc<dnssec::TrustAnchors>>,
    current: Mutex<Current>,
}

struct Current {
    resolver: TokioResolver,
    lookups: usize,
}

/// How long a server has for an answer, and how often a question is repeated.
/// A server that is silent costs `timeout` times `attempts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// For one answer.
    pub timeout: Duration,
    /// How often a question is asked in all; 0 is taken as 1.
    pub attempts: usize,
}

impl Default for Timing {
    /// Three times five seconds.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(5), attempts: 3 }
    }
}

/// Why there is no system resolver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SystemError {
    /// The configuration of the system names no servers or cannot be read.
    #[error("the DNS configuration of the system is unusable: {0}")]
    Configuration(String),
    /// The list of servers is empty.
    #[error("no name server")]
    NoServer,
    /// The trust anchors cannot be read, or there is none.
    #[error("the DNSSEC trust anchors are unusable: {0}; expected are DNSKEY records, one a line")]
    Anchors(String),
}

/// The keys that every DNSSEC proof begins with (RFC 4033 §2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TrustAnchors {
    /// The keys of the root that are built in: those of 2017 (key tag 20326) and of 2024 (38696).
    #[default]
    Root,
    /// DNSKEY records in the form of a master file, one a line, in the place of those built in:
    /// `. IN DNSKEY 257 3 8 AwEAA…`. DS records are not read. Of a zone below the root all keys
    /// must be listed that sign anything in it.
    Keys(String),
}

impl TrustAnchors {
    fn read(&self) -> Result<dnssec::TrustAnchors, SystemError> {
        let Self::Keys(text) = self else {
            return Ok(dnssec::TrustAnchors::default());
        };
        let unusable = |error: &dyn std::fmt::Display| SystemError::Anchors(error.to_string());
        let keys = trust_anchor::Parser::new(text.as_str()).parse().map_err(|error| unusable(&error))?;
        if keys.is_empty() {
            return Err(unusable(&"there is none"));
        }
        text.parse().map_err(|error| unusable(&error))
    }
}

impl System {
    /// Asks the servers that the system is configured for (`/etc/resolv.conf`);
    /// of its options none is used.
    ///
    /// # Errors
    ///
    /// [`SystemError::Configuration`].
    pub fn from_configuration(timing: Timing) -> Result<Self, SystemError> {
        let (servers, _) = read_system_conf().map_err(|error| unusable(&error))?;
        Self::build(servers, timing, None)
    }

    /// Asks these servers, the first ones first.
    ///
    /// # Errors
    ///
    /// [`SystemError::NoServer`].
    pub fn from_servers(servers: &[SocketAddr], timing: Timing) -> Result<Self, SystemError> {
        if servers.is_empty() {
            return Err(SystemError::NoServer);
        }
        let servers = servers.iter().map(|address| {
            let mut server = NameServerConfig::udp_and_tcp(address.ip());
            for connection in &mut server.connections {
                connection.port = address.port();
            }
            server
        });
        Self::build(ResolverConfig::from_name_servers(servers.collect()), timing, None)
    }

    /// The same with every answer validated, from these keys down. It costs more questions to the
    /// same servers, which must pass on signatures and proofs, as resolvers today do.
    ///
    /// # Errors
    ///
    /// [`SystemError::Anchors`].
    pub fn validating(self, anchors: &TrustAnchors) -> Result<Self, SystemError> {
        let Source { servers, timing, .. } = &*self.source;
        Self::build(servers.clone(), *timing, Some(Arc::new(anchors.read()?)))
    }

    fn build(
        servers: ResolverConfig,
        timing: Timing,
        anchors: Option<Arc<dnssec::TrustAnchors>>,
    ) -> Result<Self, SystemError> {
        let resolver = resolver(&servers, timing, anchors.as_ref())?;
        let current = Mutex::new(Current { resolver, lookups: 0 });
        Ok(Self { source: Arc::new(Source { servers, timing, anchors, current }) })
    }

    fn resolver(&self) -> TokioResolver {
        let Source { servers, timing, anchors, current } = &*self.source;
        let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
        current.lookups += 1;
        if anchors.is_some()
            && current.lookups > RENEWED_AFTER
            && let Ok(resolver) = resolver(servers, *timing, anchors.as_ref())
        {
            *current = Current { resolver, lookups: 1 };
        }
        current.resolver.clone()
    }

    async fn typed<T: Typed>(&self, name: &Name) -> Result<Answer<T>, Error> {
        let mut asked = rr::Name::from_labels(name.labels()).map_err(|_| Error::Malformed)?;
        asked.set_fqdn(true);
        let resolver = self.resolver();
        let mut chain = Link::FIRST;
        for _ in 0..=MAX_ALIASES {
            match look_up(&resolver, &asked, chain).await {
                // Aliases that lead to nothing are bogus to hickory, which takes the proof at
                // their end for one about their begin, where one message holds both. So each
                // alias is asked for by itself.
                Err(Error::Bogus) => {
                    let alias = alias(&resolver, &asked).await?;
                    let (target, link) = alias.ok_or(Error::Bogus)?;
                    (asked, chain) = (target, chain.and(link));
                }
                result => return result,
            }
        }
        Err(Error::AliasLoop)
    }
}

/// What is known of a chain of aliases.
#[derive(Clone, Copy)]
struct Link {
    security: Security,
    ttl: u32,
}

impl Link {
    const FIRST: Self = Self { security: Security::Secure, ttl: u32::MAX };

    fn new(proof: Proof, ttl: u32) -> Result<Self, Error> {
        let security = match proof {
            Proof::Secure => Security::Secure,
            Proof::Insecure => Security::Insecure,
            Proof::Indeterminate => Security::Indeterminate,
            Proof::Bogus => return Err(Error::Bogus),
        };
        Ok(Self { security, ttl })
    }

    /// As secure as the weaker, and as long as the shorter.
    fn and(self, other: Self) -> Self {
        let security = match (self.security, other.security) {
            (Security::Secure, security) | (security, Security::Secure) => security,
            (Security::Insecure, Security::Insecure) => Security::Insecure,
            _ => Security::Indeterminate,
        };
        Self { security, ttl: self.ttl.min(other.ttl) }
    }

    fn answer<T>(self, presence: Presence, records: Vec<T>) -> Answer<T> {
        Answer { records, presence, security: self.security, ttl: Duration::from_secs(self.ttl.into()) }
    }
}

async fn look_up<T: Typed>(resolver: &TokioResolver, asked: &rr::Name, chain: Link) -> Result<Answer<T>, Error> {
    match resolver.lookup(asked.clone(), T::TYPE.0.into()).await {
        Ok(lookup) => found(asked, lookup.answers(), chain),
        Err(NetError::Dns(DnsError::NoRecordsFound(nothing))) => absent(resolver, asked, &nothing, chain).await,
        // A denial with more iterations than are computed is that of a zone without
        // signatures (RFC 9276 §3.2).
        Err(NetError::Dns(DnsError::Nsec { response, proof: Proof::Insecure, .. })) => {
            let chain = chain.and(Link { security: Security::Insecure, ..Link::FIRST });
            match DnsError::from_response(*response) {
                Ok(response) => found(asked, &response.answers, chain),
                Err(DnsError::NoRecordsFound(nothing)) => absent(resolver, asked, &nothing, chain).await,
                Err(error) => Err(failure(&error.into())),
            }
        }
        Err(error) => Err(failure(&error)),
    }
}

fn resolver(
    servers: &ResolverConfig,
    timing: Timing,
    anchors: Option<&Arc<dnssec::TrustAnchors>>,
) -> Result<TokioResolver, SystemError> {
    let mut builder = TokioResolver::builder_with_config(servers.clone(), TokioRuntimeProvider::default());
    let options = builder.options_mut();
    options.timeout = timing.timeout;
    // Here repetitions are counted.
    options.attempts = timing.attempts.saturating_sub(1);
    options.use_hosts_file = ResolveHosts::Never;
    options.cache_size = 0;
    // Without, each DKIM key would take a second question over TCP.
    options.edns0 = true;
    // The proofs of aliases count.
    options.preserve_intermediates = true;
    if let Some(anchors) = anchors {
        builder = builder.with_trust_anchor(Arc::clone(anchors));
    }
    builder.build().map_err(|error| unusable(&error))
}

fn unusable(error: &NetError) -> SystemError {
    SystemError::Configuration(error.to_string())
}

/// The records at the end of the aliases. Those of other names in the answer, be they signed, are
/// no answer.
fn found<T: Typed>(asked: &rr::Name, answers: &[rr::Record], mut chain: Link) -> Result<Answer<T>, Error> {
    let mut name = asked;
    for _ in 0..=MAX_ALIASES {
        let mut records = Vec::new();
        let mut alias = None;
        for record in answers.iter().filter(|record| record.name == *name) {
            if let RData::CNAME(target) = &record.data {
                alias = alias.or(Some((record, &target.0)));
            } else if let Some(value) = data(&record.data)?.and_then(T::from_data) {
                records.push(value);
                chain = chain.and(Link::new(record.proof, record.ttl)?);
            }
        }
        if !records.is_empty() {
            return Ok(chain.answer(Presence::Found, records));
        }
        let (record, target) = alias.ok_or(Error::Malformed)?;
        chain = chain.and(Link::new(record.proof, record.ttl)?);
        name = target;
    }
    Err(Error::AliasLoop)
}

/// What it means that there are no records.
async fn absent<T>(
    resolver: &TokioResolver,
    asked: &rr::Name,
    nothing: &NoRecords,
    mut chain: Link,
) -> Result<Answer<T>, Error> {
    let presence = match nothing.response_code {
        ResponseCode::NXDomain => Presence::NoName,
        ResponseCode::NoError => Presence::NoData,
        other => return Err(Error::Refused(other.into())),
    };
    // Name servers instead of an answer: this one does not resolve.
    if nothing.soa.is_none() && nothing.ns.is_some() {
        return Err(Error::ServerFailure);
    }
    // The same comes out of hickory where it has followed too many aliases;
    // then the name at which it stopped has one more.
    let end = nothing.query.name();
    let suspect = nothing.soa.is_none() || end != asked;
    if presence == Presence::NoData && suspect && resolver.lookup(end.clone(), rr::RecordType::CNAME).await.is_ok() {
        return Err(Error::AliasLoop);
    }
    // Not `negative_ttl`, which a resolver that validates leaves empty.
    chain = chain.and(match &nothing.soa {
        Some(soa) => Link::new(soa.proof, soa.ttl.min(soa.data.minimum))?,
        None => Link { security: Security::Indeterminate, ttl: 0 },
    });
    // Only the last name of the aliases is kept, so their proofs are asked for where they matter.
    let mut name = asked.clone();
    for _ in 0..=MAX_ALIASES {
        if chain.security != Security::Secure || name == *end {
            return Ok(chain.answer(presence, Vec::new()));
        }
        let (target, link) = alias(resolver, &name).await?.ok_or(Error::Malformed)?;
        (name, chain) = (target, chain.and(link));
    }
    Err(Error::AliasLoop)
}

/// The name that a name is an alias of, if it is one.
async fn alias(resolver: &TokioResolver, name: &rr::Name) -> Result<Option<(rr::Name, Link)>, Error> {
    let lookup = match resolver.lookup(name.clone(), rr::RecordType::CNAME).await {
        Ok(lookup) => lookup,
        Err(NetError::Dns(DnsError::NoRecordsFound(_))) => return Ok(None),
        Err(error) => return Err(failure(&error)),
    };
    let alias = lookup.answers().iter().find_map(|record| match &record.data {
        RData::CNAME(target) if record.name == *name => Some((record, &target.0)),
        _ => None,
    });
    alias.map(|(record, target)| Ok((target.clone(), Link::new(record.proof, record.ttl)?))).transpose()
}

fn failure(error: &NetError) -> Error {
    match error {
        NetError::Dns(DnsError::ResponseCode(ResponseCode::ServFail)) => Error::ServerFailure,
        NetError::Dns(DnsError::ResponseCode(code)) => Error::Refused((*code).into()),
        // Also where a denial lacks its proof.
        NetError::Dns(DnsError::DnssecBogus | DnsError::Nsec { .. }) => Error::Bogus,
        NetError::Timeout => Error::Timeout,
        NetError::Io(_) | NetError::NoConnections | NetError::Busy => Error::Unreachable,
        _ => Error::Malformed,
    }
}

/// The data of a record of a type that can be asked for.
fn data(data: &RData) -> Result<Option<Data>, Error> {
    Ok(Some(match data {
        RData::A(address) => Data::A(address.0),
        RData::AAAA(address) => Data::Aaaa(address.0),
        RData::MX(mx) => Data::Mx(Mx { preference: mx.preference, exchange: name(&mx.exchange)? }),
        RData::PTR(target) => Data::Ptr(name(&target.0)?),
        RData::TLSA(tlsa) => Data::Tlsa(Tlsa {
            usage: tlsa.cert_usage.into(),
            selector: tlsa.selector.into(),
            matching: tlsa.matching.into(),
            data: tlsa.cert_data.clone(),
        }),
        RData::TXT(txt) => Data::Txt(Txt { strings: txt.txt_data.iter().map(|string| string.to_vec()).collect() }),
        _ => return Ok(None),
    }))
}

fn name(name: &rr::Name) -> Result<Name, Error> {
    Name::from_labels(name.iter()).map_err(|_| Error::Malformed)
}

impl Resolver for System {
    async fn a(&self, name: &Name) -> Result<Answer<Ipv4Addr>, Error> {
        self.typed(name).await
    }

    async fn aaaa(&self, name: &Name) -> Result<Answer<Ipv6Addr>, Error> {
        self.typed(name).await
    }

    async fn mx(&self, name: &Name) -> Result<Answer<Mx>, Error> {
        self.typed(name).await
    }

    async fn ptr(&self, name: &Name) -> Result<Answer<Name>, Error> {
        self.typed(name).await
    }

    async fn tlsa(&self, name: &Name) -> Result<Answer<Tlsa>, Error> {
        self.typed(name).await
    }

    async fn txt(&self, name: &Name) -> Result<Answer<Txt>, Error> {
        self.typed(name).await
    }
}

#[cfg(test)]
mod tests;
