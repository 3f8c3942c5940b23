//! `[auth]`: who can prove who they are, and how.

use std::{path::PathBuf, str::FromStr};

use hikyaku_session::sasl::Mechanism;
use hikyaku_wire::{Domain, Mailbox};
use serde::Deserialize;
use toml::Spanned;

use super::{ConfigError, TlsConfig, document::Parsed};
use crate::SpkiPin;

/// How users prove who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthConfig {
    /// The file of the users.
    pub users: Option<PathBuf>,
    /// What is offered, in this order.
    pub mechanisms: Vec<Mechanism>,
    /// Whose certificate is whose.
    pub certificates: Vec<CertificateUser>,
}

/// A certificate that logs a user in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateUser {
    /// How the certificate is known.
    pub certificate: CertificateId,
    /// The user, in lower case.
    pub user: Box<str>,
}

/// How the certificate of a client is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateId {
    /// By SHA-256 of its public key (RFC 5280 §4.1.2.7), whoever has signed it.
    Spki(SpkiPin),
    /// By a DNS name or a mail address in it, in lower case, that a trusted authority vouches for.
    Name(Box<str>),
}

/// What needs nothing but passwords, and shows none of them to who listens.
const WITH_PASSWORDS: [Mechanism; 3] = [Mechanism::ScramSha256Plus, Mechanism::ScramSha256, Mechanism::Plain];

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct AuthTable {
    users: Option<PathBuf>,
    mechanisms: Option<Spanned<Vec<Spanned<Parsed<Mechanism>>>>>,
    #[serde(default)]
    allow_server_certificates: bool,
    #[serde(default)]
    certificate: Vec<Spanned<CertificateTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct CertificateTable {
    spki: Option<Spanned<Parsed<SpkiPin>>>,
    name: Option<Spanned<Parsed<CertificateName>>>,
    user: Parsed<UserName>,
}

/// Reads the table; what it says of certificates goes into `tls` too.
pub(super) fn read(text: &str, table: Spanned<AuthTable>, tls: &mut TlsConfig) -> Result<AuthConfig, ConfigError> {
    let span = table.span();
    let table = table.into_inner();
    tls.clients.allow_server_certificates = table.allow_server_certificates;
    let mut certificates: Vec<CertificateUser> = Vec::new();
    for entry in &table.certificate {
        let certificate = certificate(text, entry, tls)?;
        if let Some(known) = certificates.iter().find(|known| known.certificate == certificate) {
            return Err(ConfigError::at(text, entry.span(), format!("this certificate is already {}'s", known.user)));
        }
        if let CertificateId::Spki(spki) = certificate {
            tls.clients.pins.push(spki.0);
        }
        certificates.push(CertificateUser { certificate, user: entry.get_ref().user.0.0.clone() });
    }
    if table.users.is_none() && certificates.is_empty() {
        return Err(ConfigError::at(text, span, "needs `users = \"FILE\"`, which `relay user add` makes"));
    }
    let mechanisms = match table.mechanisms {
        Some(listed) => mechanisms(text, listed, table.users.is_some(), !certificates.is_empty())?,
        None => {
            let external = (!certificates.is_empty()).then_some(Mechanism::External);
            let passwords = table.users.iter().flat_map(|_| WITH_PASSWORDS);
            external.into_iter().chain(passwords).collect()
        }
    };
    Ok(AuthConfig { users: table.users, mechanisms, certificates })
}

fn certificate(text: &str, entry: &Spanned<CertificateTable>, tls: &TlsConfig) -> Result<CertificateId, ConfigError> {
    match (&entry.get_ref().spki, &entry.get_ref().name) {
        (Some(spki), None) => Ok(CertificateId::Spki(spki.get_ref().0)),
        (None, Some(name)) if tls.clients.authorities.is_none() => {
            let message = "needs `[tls] client_ca = \"FILE\"`: without an authority anyone can have this name";
            Err(ConfigError::at(text, name.span(), message))
        }
        (None, Some(name)) => Ok(CertificateId::Name(name.get_ref().0.0.clone())),
        (Some(_), Some(name)) => Err(ConfigError::at(text, name.span(), "is of no use beside `spki`: leave one out")),
        (None, None) => Err(ConfigError::at(text, entry.span(), "needs `spki` or `name`")),
    }
}

fn mechanisms(
    text: &str,
    listed: Spanned<Vec<Spanned<Parsed<Mechanism>>>>,
    passwords: bool,
    certificates: bool,
) -> Result<Vec<Mechanism>, ConfigError> {
    let span = listed.span();
    let mut mechanisms = Vec::new();
    for mechanism in listed.into_inner() {
        let name = mechanism.get_ref().0;
        let wrong = match name {
            _ if mechanisms.contains(&name) => Some("is listed twice"),
            Mechanism::External if !certificates => Some("needs [[auth.certificate]]"),
            Mechanism::External => None,
            Mechanism::OAuthBearer | Mechanism::XOAuth2 => Some("the users file knows no tokens"),
            _ if !passwords => Some("needs `users = \"FILE\"`, which `relay user add` makes"),
            _ => None,
        };
        if let Some(wrong) = wrong {
            return Err(ConfigError::at(text, mechanism.span(), format!("{name}: {wrong}")));
        }
        mechanisms.push(name);
    }
    if mechanisms.is_empty() {
        return Err(ConfigError::at(text, span, "names no mechanism: leave [auth] out if nobody is to log in"));
    }
    if certificates && !mechanisms.contains(&Mechanism::External) {
        return Err(ConfigError::at(text, span, "without EXTERNAL nobody can use [[auth.certificate]]"));
    }
    Ok(mechanisms)
}

/// The name of a user: 1 to 255 octets without controls, ASCII letters in lower case.
pub(crate) struct UserName(pub(crate) Box<str>);

impl FromStr for UserName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=255).contains(&text.len()) && text.trim() == text && !text.contains(char::is_control);
        if fits { Ok(Self(text.to_ascii_lowercase().into())) } else { Err("expected a name of 1 to 255 octets") }
    }
}

struct CertificateName(Box<str>);

impl FromStr for CertificateName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = text.parse::<Mailbox>().is_ok() || text.parse::<Domain>().is_ok();
        if known { Ok(Self(text.to_lowercase().into())) } else { Err("expected a DNS name or a mail address") }
    }
}
