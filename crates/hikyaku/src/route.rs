//! Where a recipient's mail goes next. A route's text is also the key of its queue.

use std::{collections::HashSet, fmt, net::IpAddr, path::PathBuf, str::FromStr};

use hikyaku_policy::{DomainPattern, Domains, Identifier};
use hikyaku_queue::{NewRcpt, NewUnit, QueueKey};
use hikyaku_session::Protocol;
use hikyaku_wire::{ForwardPath, Host, Timestamp};

/// A host and a port: `mail.example:25`, `192.0.2.1:25`, `[2001:db8::1]:25`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// A name, or an address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl HostPort {
    /// The address, if the host is one and needs no lookup.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl FromStr for HostPort {
    type Err = RouteError;

    fn from_str(text: &str) -> Result<Self, RouteError> {
        let (host, port) = text.rsplit_once(':').ok_or(RouteError)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or(RouteError)?;
        let host = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            Some(inner) => inner.parse::<std::net::Ipv6Addr>().map_err(|_| RouteError)?.to_string(),
            None => {
                let named = host.parse::<hikyaku_wire::Domain>().is_ok();
                let numbered = host.parse::<std::net::Ipv4Addr>().is_ok();
                (named || numbered).then(|| host.to_ascii_lowercase()).ok_or(RouteError)?
            }
        };
        Ok(Self { host, port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip() {
            Some(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            _ => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Where mail goes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Into a Maildir of this machine: `maildir`.
    Maildir,
    /// To the hosts that the DNS names for a domain, or to an address literal, on port 25:
    /// `mx:example.org`, `mx:[192.0.2.1]`.
    Mx(Host),
    /// To one host by SMTP or LMTP: `host:port`, `lmtp:host:port`.
    Host(Protocol, HostPort),
    /// To a Unix socket by LMTP: `lmtp:unix:/path`.
    LmtpSocket(PathBuf),
}

/// The text is no route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a route: expected `maildir`, `host:port`, `lmtp:host:port`, `lmtp:unix:/path` or `mx:domain`")]
pub struct RouteError;

impl FromStr for Route {
    type Err = RouteError;

    fn from_str(text: &str) -> Result<Self, RouteError> {
        if text == "maildir" {
            return Ok(Self::Maildir);
        }
        if let Some(path) = text.strip_prefix("lmtp:unix:") {
            return path.starts_with('/').then(|| Self::LmtpSocket(path.into())).ok_or(RouteError);
        }
        if let Some(host) = text.strip_prefix("lmtp:") {
            return Ok(Self::Host(Protocol::Lmtp, host.parse()?));
        }
        if let Some(host) = text.strip_prefix("mx:") {
            return host.parse().map(Self::Mx).map_err(|_| RouteError);
        }
        Ok(Self::Host(Protocol::Smtp, text.parse()?))
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Maildir => f.write_str("maildir"),
            Self::Mx(Host::Domain(domain)) => write!(f, "mx:{}", domain.to_lowercase()),
            Self::Mx(host) => write!(f, "mx:{host}"),
            Self::Host(Protocol::Lmtp, host) => write!(f, "lmtp:{host}"),
            Self::Host(Protocol::Smtp, host) => host.fmt(f),
            Self::LmtpSocket(path) => write!(f, "lmtp:unix:{}", path.display()),
        }
    }
}

impl Route {
    /// The key under which units with this route wait.
    pub fn key(&self) -> QueueKey {
        QueueKey::new(self.to_string())
    }
}

/// The routes of a relay: what is local, then transports in order, then the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routes {
    /// Domains whose mail ends here.
    pub local: Domains,
    /// Exceptions, of which the first that matches counts, before `local` is looked at.
    pub transports: Vec<(DomainPattern, Route)>,
    /// The smart host for everything else; `None` means by MX.
    pub smarthost: Option<HostPort>,
    /// Routes that a policy may name: `permit via NAME`.
    pub named: Vec<(Identifier, Route)>,
}

impl Routes {
    /// The route of a name; `smarthost` is the smart host where nothing else is named so.
    pub fn named(&self, name: &str) -> Option<Route> {
        let named = self.named.iter().find(|(known, _)| known.as_str() == name);
        let smarthost = || self.smarthost.clone().filter(|_| name == "smarthost");
        named.map(|(_, route)| route.clone()).or_else(|| Some(Route::Host(Protocol::Smtp, smarthost()?)))
    }

    /// The route of one recipient. Only the final mailbox of its path is ever looked at.
    pub fn route(&self, recipient: &ForwardPath) -> Route {
        let Some(mailbox) = recipient.mailbox() else { return Route::Maildir };
        let host = mailbox.host();
        if let Some((_, route)) = self.transports.iter().find(|(pattern, _)| pattern.matches(host)) {
            return route.clone();
        }
        if self.local.contains(host) {
            return Route::Maildir;
        }
        match &self.smarthost {
            Some(host) => Route::Host(Protocol::Smtp, host.clone()),
            None => Route::Mx(host.clone()),
        }
    }

    /// The recipients of a message as units: one for each route, which is the one that stands
    /// beside the recipient, or else what [`route`](Self::route) says. A recipient that was named
    /// twice is served once, by the first of its routes.
    pub fn units<'a>(
        &self,
        recipients: impl IntoIterator<Item = (NewRcpt, Option<&'a Route>)>,
        due: Timestamp,
        expires: Timestamp,
    ) -> Vec<NewUnit> {
        let mut units: Vec<NewUnit> = Vec::new();
        let mut seen = HashSet::new();
        for (rcpt, route) in recipients.into_iter().filter(|(rcpt, _)| seen.insert(rcpt.addr.clone())) {
            let key = route.map_or_else(|| self.route(&rcpt.addr).key(), Route::key);
            match units.iter_mut().find(|unit| unit.key == key) {
                Some(unit) => unit.rcpts.push(rcpt),
                None => units.push(NewUnit::new(key, due, expires).with(rcpt)),
            }
        }
        units
    }
}

#[cfg(test)]
mod tests {
    use hikyaku_wire::Notify;

    use super::*;

    #[test]
    fn routes_print_what_they_parse() {
        for text in [
            "maildir",
            "mx:example.org",
            "mx:[192.0.2.1]",
            "mx:[IPv6:2001:db8::1]",
            "127.0.0.1:25",
            "mail.example:587",
            "[2001:db8::1]:25",
            "lmtp:127.0.0.1:24",
            "lmtp:unix:/run/lmtp",
        ] {
            assert_eq!(text.parse::<Route>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "fax",
            "mail.example",
            "mail.example:0",
            "mail.example:x",
            ":25",
            "[::1:25",
            "lmtp:",
            "lmtp:x",
            "lmtp:unix:rel",
            "mx:",
            "mx:a..b",
            "a b:25",
            "256.1.1.1:25",
            "maildir:25x",
        ] {
            assert_eq!(text.parse::<Route>(), Err(RouteError), "{text}");
        }
    }

    #[test]
    fn a_unit_for_each_route_and_nobody_twice() {
        let routes = routes("example.test");
        let to = ["<a@example.test>", "<b@third.test>", "<c@EXAMPLE.test>", "<a@example.test>", "<postmaster>"];
        let mut to = to.map(|to| NewRcpt::new(to.parse().unwrap()));
        to[0].notify = Some(Notify::NEVER);
        let plain = to.iter().map(|to| (to.clone(), None));
        let units = routes.units(plain, Timestamp::default(), Timestamp::default());
        let counts: Vec<_> = units.iter().map(|unit| (unit.key.as_str(), unit.rcpts.len())).collect();
        assert_eq!(counts, [("maildir", 3), ("mx:third.test", 1)]);
        let asked: Vec<_> = units[0].rcpts.iter().map(|rcpt| rcpt.notify).collect();
        assert_eq!(asked, [Some(Notify::NEVER), None, None], "as it was asked for first");

        let via: Route = "10.0.0.5:25".parse().unwrap();
        let named = [Some(&via), Some(&via), None, None];
        let units = routes.units(to.into_iter().zip(named), Timestamp::default(), Timestamp::default());
        let counts: Vec<_> = units.iter().map(|unit| (unit.key.as_str(), unit.rcpts.len())).collect();
        assert_eq!(counts, [("10.0.0.5:25", 2), ("maildir", 1)]);
    }

    #[test]
    fn a_policy_names_routes() {
        let mut routes = routes("example.test");
        let named = |routes: &Routes, name: &str| routes.named(name).map(|route| route.to_string());
        assert_eq!(named(&routes, "smarthost"), None);
        routes.smarthost = Some("smart.test:587".parse().unwrap());
        assert_eq!(named(&routes, "smarthost").as_deref(), Some("smart.test:587"));
        routes.named = vec![
            ("inside".parse().unwrap(), "lmtp:127.0.0.1:24".parse().unwrap()),
            ("smarthost".parse().unwrap(), "other.test:25".parse().unwrap()),
        ];
        assert_eq!(named(&routes, "inside").as_deref(), Some("lmtp:127.0.0.1:24"));
        assert_eq!(named(&routes, "smarthost").as_deref(), Some("other.test:25"));
        assert_eq!(named(&routes, "outside"), None);
    }

    fn routes(local: &str) -> Routes {
        Routes { local: local.parse().unwrap(), transports: Vec::new(), smarthost: None, named: Vec::new() }
    }

    #[test]
    fn the_first_that_matches_counts() {
        let mut routes = routes("example.test");
        routes.transports = vec![
            ("special.example.test".parse().unwrap(), "127.0.0.1:26".parse().unwrap()),
            ("*.example.test".parse().unwrap(), "lmtp:127.0.0.1:24".parse().unwrap()),
        ];
        let route = |to: &str| routes.route(&to.parse().unwrap()).to_string();
        assert_eq!(route("<postmaster>"), "maildir");
        assert_eq!(route("<a@Example.TEST>"), "maildir");
        assert_eq!(route("<a@special.example.test>"), "127.0.0.1:26");
        assert_eq!(route("<a@x.example.test>"), "lmtp:127.0.0.1:24");
        assert_eq!(route("<a@Third.test>"), "mx:third.test");
        assert_eq!(route("<a@[192.0.2.1]>"), "mx:[192.0.2.1]");
        let smart = Routes { smarthost: Some("smart.test:587".parse().unwrap()), ..routes };
        assert_eq!(smart.route(&"<a@third.test>".parse().unwrap()).to_string(), "smart.test:587");
    }
}
