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
        match resolver.lookup(asked.clone(), T::TYPE.0.into()).await {
            Ok(lookup) => found(&asked, lookup.answers(), Security::Secure),
            Err(NetError::Dns(DnsError::NoRecordsFound(nothing))) => {
                absent(&resolver, &asked, &nothing, Security::Secure).await
            }
            // A denial with more iterations than are computed is that of a zone without
            // signatures (RFC 9276 §3.2).
            Err(NetError::Dns(DnsError::Nsec { response, proof: Proof::Insecure, .. })) => {
                match DnsError::from_response(*response) {
                    Ok(response) => found(&asked, &response.answers, Security::Insecure),
                    Err(DnsError::NoRecordsFound(nothing)) => {
                        absent(&resolver, &asked, &nothing, Security::Insecure).await
                    }
                    Err(error) => Err(failure(&error.into())),
                }
            }
            Err(error) => Err(failure(&error)),
        }
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

/// The records at the end of the aliases, and the TTL of the shortest living one, aliases
/// included. Records of other names in the answer, be they signed, answer something else.
fn found<T: Typed>(asked: &rr::Name, answers: &[rr::Record], most: Security) -> Result<Answer<T>, Error> {
    let (mut name, mut security, mut ttl) = (asked, most, u32::MAX);
    for _ in 0..=MAX_ALIASES {
        let mut records = Vec::new();
        let mut alias = None;
        for record in answers.iter().filter(|record| record.name == *name) {
            match &record.data {
                RData::CNAME(target) => alias = alias.or(Some((record, &target.0))),
                other => {
                    if let Some(value) = data(other)?.and_then(T::from_data) {
                        records.push(value);
                        security = weaker(security, record.proof)?;
                        ttl = ttl.min(record.ttl);
                    }
                }
            }
        }
        if !records.is_empty() {
            let ttl = Duration::from_secs(ttl.into());
            return Ok(Answer { records, presence: Presence::Found, security, ttl });
        }
        let (record, target) = alias.ok_or(Error::Malformed)?;
        security = weaker(security, record.proof)?;
        ttl = ttl.min(record.ttl);
        name = target;
    }
    Err(Error::AliasLoop)
}

/// What it means that there are no records.
async fn absent<T>(
    resolver: &TokioResolver,
    asked: &rr::Name,
    nothing: &NoRecords,
    most: Security,
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
    let (security, ttl) = match &nothing.soa {
        Some(soa) => (weaker(most, soa.proof)?, soa.ttl.min(soa.data.minimum)),
        None => (Security::Indeterminate, 0),
    };
    let security = match security {
        Security::Secure if end != asked => aliases(resolver, asked, end).await?,
        security => security,
    };
    Ok(Answer { records: Vec::new(), presence, security, ttl: Duration::from_secs(ttl.into()) })
}

/// How far the aliases are proved that lead from one name to another: of an answer without
/// records hickory only keeps the last name.
async fn aliases(resolver: &TokioResolver, asked: &rr::Name, end: &rr::Name) -> Result<Security, Error> {
    let (mut name, mut security) = (asked.clone(), Security::Secure);
    for _ in 0..=MAX_ALIASES {
        if name == *end {
            return Ok(security);
        }
        let lookup = resolver.lookup(name.clone(), rr::RecordType::CNAME).await.map_err(|error| failure(&error))?;
        let alias = lookup.answers().iter().find_map(|record| match &record.data {
            RData::CNAME(target) if record.name == name => Some((record.proof, target.0.clone())),
            _ => None,
        });
        let (proof, target) = alias.ok_or(Error::Malformed)?;
        security = weaker(security, proof)?;
        name = target;
    }
    Err(Error::AliasLoop)
}

/// What holds of a chain with one link more.
fn weaker(security: Security, proof: Proof) -> Result<Security, Error> {
    match (security, proof) {
        (_, Proof::Bogus) => Err(Error::Bogus),
        (security, Proof::Secure) => Ok(security),
        (Security::Indeterminate, Proof::Insecure) | (_, Proof::Indeterminate) => Ok(Security::Indeterminate),
        (_, Proof::Insecure) => Ok(Security::Insecure),
    }
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
