//! The TOML form of a configuration.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    marker::PhantomData,
    net::SocketAddr,
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use hikyaku_policy::{DomainPattern, Network};
use hikyaku_wire::{Domain, ForwardPath, Hello, Host};
use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor},
};
use toml::Spanned;

use super::{
    Config, ConfigError, ListenerConfig, Mode, PostgresStore, Store,
    auth::{self, AuthTable},
    limits::{self, LimitsTable},
    policy::{self, GreylistTable, ListTable, PresetLists},
    tls::{self, TlsTable, TlsWord},
    verify::{self, AuthservId, DkimTable, VerifyTable},
};
use crate::{Address, HostPort, Route, Users};

/// Reads the text, and puts what it says in the place of the defaults.
pub(super) fn read(text: &str) -> Result<Config, ConfigError> {
    let file: File = toml::from_str(text).map_err(|error| ConfigError::from_toml(text, &error))?;
    let mut config = Config::default();
    if let Some(Parsed(Hostname { name, hello })) = file.hostname {
        config.authserv_id = name.clone();
        config.hostname = name;
        config.delivery.helo = hello;
    }
    if let Some(Parsed(AuthservId(id))) = file.authserv_id {
        config.authserv_id = id;
    }
    if let Some(data_dir) = file.data_dir {
        config.data_dir = data_dir;
    }
    let lists = PresetLists { local: file.local_domains, relay: file.relay_domains, trusted: file.trusted_networks };
    let verify = verify::read(text, file.verify, file.policy.is_some())?;
    let pins = policy::read(text, file.policy, lists, &mut config)?;
    config.lists = policy::dns_lists(file.list);
    config.greylist = policy::greylist(file.greylist);
    if let Some(listeners) = file.listener {
        let listener = |l: ListenerTable| {
            let tls = tls::mode(text, l.mode, l.tls)?;
            Ok(ListenerConfig { address: l.address.0, mode: l.mode, tls })
        };
        config.listeners = listeners.into_iter().map(listener).collect::<Result<_, _>>()?;
    }
    config.tls = tls::read(text, file.tls)?;
    config.tls.clients.pins.extend(pins);
    config.auth = file.auth.map(|table| auth::read(text, table, &mut config.tls)).transpose()?;
    config.verify = verify;
    config.dkim = verify::keys(text, file.dkim)?;
    config.limits = limits::read(file.limits);
    config.limits.gate.exempt = config.trusted_networks.clone();
    config.store = store(text, file.queue)?;
    delivery(text, file.delivery, &mut config)?;
    config.maildir = file.local.maildir.unwrap_or_else(|| config.data_dir.join("mail"));
    config.directory.users = file.local.users.0;
    config.directory.postmaster = file.local.postmaster.map(|name| postmaster(text, &name, &config)).transpose()?;
    config.dns_servers = file.dns.servers.into_iter().map(|server| server.0).collect();
    config.dns_validate = file.dns.validate;
    config.dns_zone = file.dns.zone;
    config.audit = file.audit.file.unwrap_or_else(|| config.data_dir.join("audit.jsonl"));
    Ok(config)
}

fn store(text: &str, queue: QueueTable) -> Result<Store, ConfigError> {
    let QueueTable { store, url, copies, ca } = queue;
    if let Some(store) = &store
        && *store.get_ref() == StoreWord::Postgres
    {
        let Some(url) = url else {
            return Err(ConfigError::at(text, store.span(), "the `postgres` store needs the `url` of its database"));
        };
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.get_ref().starts_with(scheme)) {
            return Err(ConfigError::at(text, url.span(), "the URL must begin with `postgres://`"));
        }
        let copies = match copies {
            None => 1,
            Some(copies) if (1..=2).contains(copies.get_ref()) => copies.into_inner(),
            Some(copies) => return Err(ConfigError::at(text, copies.span(), "a message has 1 or 2 copies")),
        };
        let ca = ca.map(Spanned::into_inner);
        return Ok(Store::Postgres(PostgresStore { url: url.into_inner(), copies, ca }));
    }
    let spans = [url.map(|url| url.span()), copies.map(|copies| copies.span()), ca.map(|ca| ca.span())];
    if let Some(span) = spans.into_iter().flatten().next() {
        return Err(ConfigError::at(text, span, "only the `postgres` store has one"));
    }
    Ok(match store.map(Spanned::into_inner) {
        Some(StoreWord::Memory) => Store::Memory,
        _ => Store::default(),
    })
}

/// The mailbox of a name or of an address, whose domain must then be local.
fn postmaster(text: &str, name: &Spanned<String>, config: &Config) -> Result<String, ConfigError> {
    let error = |message: &str| ConfigError::at(text, name.span(), format!("{:?}: {message}", name.get_ref()));
    // A quoted local part may hold an `@`; a domain cannot.
    let (local, domain) = match name.get_ref().rsplit_once('@') {
        Some((local, domain)) if !domain.ends_with('"') => (local, Some(domain)),
        _ => (name.get_ref().as_str(), None),
    };
    let User(mailbox) = local.parse().map_err(error)?;
    match domain.map(str::parse::<Host>) {
        Some(Ok(host)) if !config.local_domains.contains(&host) => Err(error("the domain is not in local_domains")),
        Some(Err(_)) => Err(error("not an address")),
        _ => Ok(mailbox),
    }
}

fn delivery(text: &str, table: DeliveryTable, config: &mut Config) -> Result<(), ConfigError> {
    let by_mx = table.route.as_ref().is_none_or(|route| *route.get_ref() == RouteWord::Mx);
    config.delivery.smarthost = match (table.smarthost, table.route) {
        (Some(host), _) if by_mx => {
            return Err(ConfigError::at(text, host.span(), "is used only with `route = \"smarthost\"`"));
        }
        (None, Some(route)) if !by_mx => {
            return Err(ConfigError::at(text, route.span(), "needs `smarthost = \"host:port\"`"));
        }
        (host, _) => host.map(|host| host.into_inner().0.0),
    };
    config.delivery.transports = table.transport.into_iter().map(|t| (t.domain.0, t.to.0)).collect();
    config.delivery.routes = policy::routes(text, table.routes)?;
    if let Some(Parsed(helo)) = table.helo {
        config.delivery.helo = helo;
    }
    if let Some(Seconds(timeout)) = table.connect_timeout {
        config.delivery.connect_timeout = timeout;
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct File {
    hostname: Option<Parsed<Hostname>>,
    authserv_id: Option<Parsed<AuthservId>>,
    data_dir: Option<PathBuf>,
    local_domains: Option<Spanned<Vec<Parsed<DomainPattern>>>>,
    relay_domains: Option<Spanned<Vec<Parsed<DomainPattern>>>>,
    trusted_networks: Option<Spanned<Vec<Parsed<Network>>>>,
    policy: Option<Spanned<PathBuf>>,
    #[serde(default)]
    list: Vec<ListTable>,
    #[serde(default)]
    greylist: GreylistTable,
    listener: Option<Vec<ListenerTable>>,
    #[serde(default)]
    tls: TlsTable,
    auth: Option<Spanned<AuthTable>>,
    #[serde(default)]
    verify: VerifyTable,
    #[serde(default)]
    dkim: Vec<DkimTable>,
    #[serde(default)]
    limits: LimitsTable,
    #[serde(default)]
    queue: QueueTable,
    #[serde(default)]
    delivery: DeliveryTable,
    #[serde(default)]
    local: LocalTable,
    #[serde(default)]
    dns: DnsTable,
    #[serde(default)]
    audit: AuditTable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct ListenerTable {
    address: Parsed<Address>,
    mode: Mode,
    tls: Option<Spanned<TlsWord>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct QueueTable {
    store: Option<Spanned<StoreWord>>,
    url: Option<Spanned<String>>,
    copies: Option<Spanned<u8>>,
    ca: Option<Spanned<PathBuf>>,
}

#[derive(PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StoreWord {
    Spool,
    Memory,
    Postgres,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct DeliveryTable {
    route: Option<Spanned<RouteWord>>,
    smarthost: Option<Spanned<Parsed<Smarthost>>>,
    helo: Option<Parsed<Hello>>,
    connect_timeout: Option<Seconds>,
    #[serde(default)]
    transport: Vec<TransportTable>,
    #[serde(default)]
    routes: BTreeMap<Spanned<String>, Parsed<Route>>,
}

#[derive(PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RouteWord {
    Mx,
    Smarthost,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct TransportTable {
    domain: Parsed<DomainPattern>,
    to: Parsed<Route>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct LocalTable {
    maildir: Option<PathBuf>,
    #[serde(default)]
    users: UserList,
    postmaster: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct DnsTable {
    #[serde(default)]
    servers: Vec<Parsed<SocketAddr>>,
    #[serde(default)]
    validate: bool,
    zone: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct AuditTable {
    file: Option<PathBuf>,
}

/// A value that is written as a string.
pub(crate) struct Parsed<T>(pub(crate) T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // An error that is made inside a visitor gets the place of this very value.
        struct Text<T>(PhantomData<T>);

        impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Text<T> {
            type Value = Parsed<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Parsed<T>, E> {
                text.parse().map(Parsed).map_err(|error| E::custom(format_args!("{text:?}: {error}")))
            }
        }

        deserializer.deserialize_str(Text(PhantomData))
    }
}

/// A domain that can stand in a greeting, where there are no U-labels.
struct Hostname {
    name: String,
    hello: Hello,
}

impl FromStr for Hostname {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (text.parse::<Domain>(), text.parse()) {
            (Ok(domain), Ok(hello)) => Ok(Self { name: domain.to_string(), hello }),
            _ => Err("expected a host name in ASCII, with A-labels (`xn--…`) in the place of others"),
        }
    }
}

struct Smarthost(HostPort);

impl FromStr for Smarthost {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| "expected `host:port`")
    }
}

/// The name of a mailbox, in lower case.
struct User(String);

impl FromStr for User {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = format!("<{text}@{}>", super::LOCAL_DOMAIN).parse::<ForwardPath>().ok();
        let mailbox = path.as_ref().and_then(ForwardPath::mailbox).filter(|m| !m.local().is_empty());
        let mailbox = mailbox.ok_or("expected the part of an address before the `@`")?;
        Ok(Self(mailbox.local().content().to_lowercase()))
    }
}

#[derive(Default)]
struct UserList(Users);

impl<'de> Deserialize<'de> for UserList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyOrList;

        impl<'de> Visitor<'de> for AnyOrList {
            type Value = Users;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"any\" or a list of names")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Users, E> {
                match text {
                    "any" => Ok(Users::Any),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Users, A::Error> {
                let mut users = BTreeSet::new();
                while let Some(Parsed(User(name))) = names.next_element()? {
                    users.insert(name);
                }
                Ok(Users::Listed(users))
            }
        }

        deserializer.deserialize_any(AnyOrList).map(Self)
    }
}

/// A time of 1 to 600 whole seconds.
#[derive(Deserialize)]
#[serde(try_from = "i64")]
pub(super) struct Seconds(pub(super) Duration);

impl TryFrom<i64> for Seconds {
    type Error = &'static str;

    fn try_from(seconds: i64) -> Result<Self, Self::Error> {
        let seconds = u64::try_from(seconds).ok().filter(|seconds| (1..=600).contains(seconds));
        seconds.map(|seconds| Self(Duration::from_secs(seconds))).ok_or("expected 1 to 600 seconds")
    }
}
