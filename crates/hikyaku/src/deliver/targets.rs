//! The addresses of a destination.

use std::net::{IpAddr, SocketAddr};

use hikyaku_dns::{MailHostsError, Name, Resolver, addresses, mail_hosts};
use hikyaku_queue::Queue;
use hikyaku_session::client::Outcome;
use hikyaku_wire::{Code, EnhancedCode, Host, Reply};

use super::Delivery;
use crate::{Route, Target, random};

impl<Q: Queue, R: Resolver + 'static> Delivery<Q, R> {
    /// The addresses to try, in order, each with the name it belongs to.
    pub(super) async fn targets(&self, route: &Route) -> Result<Vec<(String, Target)>, Outcome> {
        let (hosts, port) = match route {
            Route::LmtpSocket(path) => {
                return Ok(vec![(format!("unix:{}", path.display()), Target::Unix(path.clone()))]);
            }
            Route::Maildir => return Ok(Vec::new()),
            Route::Host(_, to) => match to.ip() {
                Some(ip) => return Ok(vec![(to.host.clone(), Target::Tcp(SocketAddr::new(ip, to.port)))]),
                None => (vec![name(&to.host)?], to.port),
            },
            Route::Mx(Host::Address(ip)) => {
                self.is_public(*ip).then_some(()).ok_or_else(private)?;
                return Ok(vec![(format!("[{ip}]"), Target::Tcp(SocketAddr::new(*ip, self.mx_port)))]);
            }
            Route::Mx(Host::Domain(domain)) => {
                let own: Vec<Name> = Name::from_domain(&self.hostname).into_iter().collect();
                let random = u64::from_be_bytes(random());
                let hosts = mail_hosts(&self.resolver, &name(domain.as_str())?, &own, random).await;
                (hosts.map_err(|error| no_hosts(&error))?, self.mx_port)
            }
        };
        let by_mx = matches!(route, Route::Mx(_));
        let mut targets = Vec::new();
        let mut problem: Option<Outcome> = None;
        for host in hosts {
            let found = match addresses(&self.resolver, &host).await {
                Ok(found) => found,
                Err(error) => {
                    // What may get better counts more than what will not.
                    problem = Some(no_hosts(&MailHostsError::Lookup(error)));
                    continue;
                }
            };
            let (usable, inside): (Vec<_>, Vec<_>) = found.into_iter().partition(|ip| !by_mx || self.is_public(*ip));
            if !inside.is_empty() {
                problem.get_or_insert_with(private);
            }
            targets.extend(usable.into_iter().map(|ip| (host.to_string(), Target::Tcp(SocketAddr::new(ip, port)))));
        }
        if targets.is_empty() { Err(problem.unwrap_or_else(no_address)) } else { Ok(targets) }
    }

    /// Whether mail for a foreign domain may be brought to an address: its owner must not make
    /// us talk to services of this machine or this link.
    fn is_public(&self, ip: IpAddr) -> bool {
        let inside = match ip.to_canonical() {
            IpAddr::V4(v4) => {
                v4.is_loopback() || v4.is_unspecified() || v4.is_link_local() || v4.is_broadcast() || v4.is_multicast()
            }
            IpAddr::V6(v6) => {
                v6.is_loopback() || v6.is_unspecified() || v6.is_unicast_link_local() || v6.is_multicast()
            }
        };
        self.allow_private || !inside
    }
}

fn name(domain: &str) -> Result<Name, Outcome> {
    Name::from_domain(domain).map_err(|error| ours(Code::MAILBOX_UNAVAILABLE_550, (5, 1, 2), error.to_string()))
}

/// A reply of ours in the place of one from a host.
pub(super) fn ours(code: Code, (class, subject, detail): (u8, u16, u16), text: String) -> Outcome {
    Outcome::ours(Reply::new(code, EnhancedCode::new(class, subject, detail), text))
}

fn no_hosts(error: &MailHostsError) -> Outcome {
    let (code, enhanced) = match error {
        MailHostsError::NoDomain => (Code::MAILBOX_UNAVAILABLE_550, (5, 1, 2)),
        MailHostsError::NoMail => (Code::DOMAIN_TAKES_NO_MAIL_556, (5, 1, 10)),
        MailHostsError::Loop => (Code::TRANSACTION_FAILED_554, (5, 4, 6)),
        // A failed lookup, or a reason that is not known here: try again later.
        _ => (Code::LOCAL_ERROR_451, (4, 4, 3)),
    };
    ours(code, enhanced, error.to_string())
}

pub(super) fn no_address() -> Outcome {
    ours(Code::LOCAL_ERROR_451, (4, 4, 4), "no host of the destination has an address".to_owned())
}

fn private() -> Outcome {
    let text = "the destination's hosts have addresses of this machine or link".to_owned();
    ours(Code::MAILBOX_UNAVAILABLE_550, (5, 4, 4), text)
}
