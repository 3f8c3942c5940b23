//! `[tls]` and the `tls` of a listener.

use std::{path::PathBuf, str::FromStr};

use hikyaku_session::server::TlsMode;
use hikyaku_wire::Domain;
use serde::Deserialize;
use toml::Spanned;

use super::{ConfigError, Mode, document::Parsed};
use crate::{CertificateFiles, ClientCertificates};

/// Certificates: those that the listeners show, and those of clients that are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// What listeners show. The first one has no names: it is for clients that name no host. An
    /// empty list leaves it to the application to find one.
    pub certificates: Vec<CertificateFiles>,
    /// Which certificates of clients are believed.
    pub clients: ClientCertificates,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct TlsTable {
    cert: Option<Spanned<PathBuf>>,
    key: Option<Spanned<PathBuf>>,
    client_ca: Option<PathBuf>,
    #[serde(default)]
    name: Vec<Spanned<NameTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct NameTable {
    server_name: Spanned<Parsed<ServerName>>,
    cert: PathBuf,
    key: PathBuf,
}

/// A host name, or `*.` and the domain that it is one label below of, in lower case.
struct ServerName(Box<str>);

impl FromStr for ServerName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let host = text.strip_prefix("*.").unwrap_or(text);
        let known = host.is_ascii() && host.parse::<Domain>().is_ok();
        if known {
            Ok(Self(text.to_lowercase().into()))
        } else {
            Err("expected a host name, or `*.` and a domain, in ASCII")
        }
    }
}

/// The word of a listener.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum TlsWord {
    Off,
    StartTls,
    Required,
}

pub(super) fn read(text: &str, table: TlsTable) -> Result<TlsConfig, ConfigError> {
    let mut certificates: Vec<CertificateFiles> = Vec::new();
    match (table.cert, table.key) {
        (Some(cert), Some(key)) => {
            let (cert, key) = (cert.into_inner(), key.into_inner());
            certificates.push(CertificateFiles { names: Vec::new(), cert, key });
        }
        (Some(cert), None) => return Err(ConfigError::at(text, cert.span(), "also needs `key = \"FILE\"`")),
        (None, Some(key)) => return Err(ConfigError::at(text, key.span(), "also needs `cert = \"FILE\"`")),
        (None, None) => {
            if let Some(name) = table.name.first() {
                let message = "[tls] also needs `cert` and `key`, for clients that name no host";
                return Err(ConfigError::at(text, name.span(), message));
            }
        }
    }
    for name in table.name {
        let NameTable { server_name, cert, key } = name.into_inner();
        let name = server_name.get_ref().0.0.clone();
        if certificates.iter().any(|known| known.names.contains(&name)) {
            return Err(ConfigError::at(text, server_name.span(), format!("{name} has a certificate already")));
        }
        certificates.push(CertificateFiles { names: vec![name], cert, key });
    }
    let clients = ClientCertificates { authorities: table.client_ca, ..ClientCertificates::default() };
    Ok(TlsConfig { certificates, clients })
}

/// Whether a listener of this mode encrypts.
pub(super) fn mode(text: &str, mode: Mode, word: Option<Spanned<TlsWord>>) -> Result<TlsMode, ConfigError> {
    let Some(word) = word else { return Ok(mode.tls()) };
    match (mode, *word.get_ref()) {
        (Mode::Submissions, TlsWord::Required) => Ok(TlsMode::Implicit),
        (Mode::Submissions, _) => {
            let message = "a listener for `submissions` speaks TLS from the first octet: leave this out";
            Err(ConfigError::at(text, word.span(), message))
        }
        (_, TlsWord::Off) => Ok(TlsMode::Off),
        (_, TlsWord::StartTls) => Ok(TlsMode::StartTls),
        (_, TlsWord::Required) => Ok(TlsMode::Required),
    }
}
