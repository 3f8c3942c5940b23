use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{self, RData};
use hickory_resolver::{ResolverBuilder, TokioResolver};

use crate::record::{Data, Typed};
use crate::{Answer, Error, Mx, Name, Presence, Resolver, Security, Tlsa, Txt};

/// A resolver that asks real servers, over UDP and, where an answer does not
/// fit, over TCP.
///
/// It needs a tokio runtime with time and I/O. Names are always complete: no
/// search list, no file of hosts. Nothing is kept: put a
/// [`Cache`](crate::Cache) in front. Names under `localhost` and `invalid` are
/// answered without asking anybody (RFC 6761).
///
/// # Incomplete support
///
/// Nothing is validated: each answer is [`Security::Indeterminate`].
#[derive(Clone)]
pub struct System {
    resolver: TokioResolver,
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
}

impl System {
    /// Asks the servers that the system is configured for (`/etc/resolv.conf`);
    /// of its options none is used.
    ///
    /// # Errors
    ///
    /// [`SystemError::Configuration`].
    pub fn from_configuration(timing: Timing) -> Result<Self, SystemError> {
        let builder = TokioResolver::builder_tokio().map_err(unusable)?;
        Self::build(builder, timing)
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
        let config = ResolverConfig::from_name_servers(servers.collect());
        let provider = TokioRuntimeProvider::default();
        Self::build(TokioResolver::builder_with_config(config, provider), timing)
    }

    fn build(mut builder: ResolverBuilder<TokioRuntimeProvider>, timing: Timing) -> Result<Self, SystemError> {
        let options = builder.options_mut();
        options.timeout = timing.timeout;
        // Here repetitions are counted.
        options.attempts = timing.attempts.saturating_sub(1);
        options.use_hosts_file = ResolveHosts::Never;
        options.cache_size = 0;
        // Without, each DKIM key would take a second question over TCP.
        options.edns0 = true;
        let resolver = builder.build().map_err(unusable)?;
        Ok(Self { resolver })
    }

    async fn typed<T: Typed>(&self, name: &Name) -> Result<Answer<T>, Error> {
        let mut asked = rr::Name::from_labels(name.labels()).map_err(|_| Error::Malformed)?;
        asked.set_fqdn(true);
        match self.resolver.lookup(asked.clone(), T::TYPE.0.into()).await {
            Ok(lookup) => Ok(found(lookup.answers())?),
            Err(NetError::Dns(DnsError::NoRecordsFound(nothing))) => self.nothing(&asked, &nothing).await,
            Err(error) => Err(failure(&error)),
        }
    }
}

fn unusable(error: NetError) -> SystemError {
    SystemError::Configuration(error.to_string())
}

/// The records, and the TTL of the shortest living one, aliases included.
fn found<T: Typed>(answers: &[rr::Record]) -> Result<Answer<T>, Error> {
    let ttl = answers.iter().map(|record| record.ttl).min().unwrap_or(0);
    let mut records = Vec::with_capacity(answers.len());
    for record in answers {
        records.extend(data(&record.data)?.and_then(T::from_data));
    }
    if records.is_empty() {
        return Err(Error::Malformed);
    }
    Ok(Answer {
        records,
        presence: Presence::Found,
        security: Security::Indeterminate,
        ttl: Duration::from_secs(ttl.into()),
    })
}

impl System {
    /// What it means that there are no records.
    async fn nothing<T: Typed>(&self, asked: &rr::Name, nothing: &NoRecords) -> Result<Answer<T>, Error> {
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
        if presence == Presence::NoData
            && suspect
            && self.resolver.lookup(end.clone(), rr::RecordType::CNAME).await.is_ok()
        {
            return Err(Error::AliasLoop);
        }
        Ok(Answer {
            records: Vec::new(),
            presence,
            security: Security::Indeterminate,
            ttl: Duration::from_secs(nothing.negative_ttl.unwrap_or(0).into()),
        })
    }
}

fn failure(error: &NetError) -> Error {
    match error {
        NetError::Dns(DnsError::ResponseCode(ResponseCode::ServFail)) => Error::ServerFailure,
        NetError::Dns(DnsError::ResponseCode(code)) => Error::Refused((*code).into()),
        NetError::Dns(DnsError::DnssecBogus) => Error::Bogus,
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
