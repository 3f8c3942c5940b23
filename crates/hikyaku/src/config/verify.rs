//! `authserv_id`, `[verify]` and `[[dkim]]`: what is checked of the mail of other servers, and
//! what is signed of that of users.

use std::{path::PathBuf, str::FromStr};

use hikyaku_dns::Name;
use hikyaku_mailauth::dkim::{SignError, Signer};
use serde::Deserialize;
use toml::Spanned;

use super::{
    ConfigError,
    document::{Parsed, Seconds},
};
use crate::{Check, DkimKey, VerifyConfig};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct VerifyTable {
    spf: Option<Spanned<Word>>,
    dkim: Option<Spanned<Word>>,
    dmarc: Option<Spanned<Word>>,
    arc: Option<Spanned<Word>>,
    iprev: Option<Spanned<Word>>,
    #[serde(default)]
    trusted_sealers: Vec<Parsed<DomainName>>,
    timeout: Option<Seconds>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Off,
    Report,
    Enforce,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct DkimTable {
    domain: Spanned<Parsed<DomainName>>,
    selector: Spanned<Parsed<DomainName>>,
    key: PathBuf,
}

/// The name under which results are told: letters, digits, `.`, `-` and `_`, so that every reader
/// sees the same name.
pub(super) struct AuthservId(pub(super) String);

impl FromStr for AuthservId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = |octet: u8| octet.is_ascii_alphanumeric() || b"._-".contains(&octet);
        if (1..=255).contains(&text.len()) && text.bytes().all(known) {
            Ok(Self(text.to_owned()))
        } else {
            Err("expected a name of letters, digits, `.`, `-` and `_`, such as that of this host")
        }
    }
}

/// A domain of letters, digits, hyphens and underscores; U-labels stand as A-labels in it.
struct DomainName(Name);

impl FromStr for DomainName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = !text.is_ascii() || text.bytes().all(|o| o.is_ascii_alphanumeric() || b".-_".contains(&o));
        let name = Name::from_domain(text).ok().filter(|name| known && !name.is_root());
        name.map(Self).ok_or("expected a domain name")
    }
}

/// Where a policy is read from a file, it alone refuses: what is checked is told, and a check that
/// were to refuse beside it is an error.
pub(super) fn read(text: &str, table: VerifyTable, has_policy: bool) -> Result<VerifyConfig, ConfigError> {
    let mut config = VerifyConfig::default();
    if has_policy {
        config.dmarc = Check::Report;
    }
    let checks = [
        (&mut config.spf, table.spf),
        (&mut config.dkim, table.dkim),
        (&mut config.dmarc, table.dmarc),
        (&mut config.arc, table.arc),
        (&mut config.iprev, table.iprev),
    ];
    for (check, word) in checks {
        let Some(word) = word else { continue };
        *check = match word.get_ref() {
            Word::Off => Check::Off,
            Word::Report => Check::Report,
            Word::Enforce if has_policy => return Err(ConfigError::at(text, word.span(), IN_THE_POLICY)),
            Word::Enforce => Check::Enforce,
        };
    }
    config.trusted_sealers = table.trusted_sealers.into_iter().map(|sealer| sealer.0.0).collect();
    if let Some(Seconds(timeout)) = table.timeout {
        config.timeout = timeout;
    }
    Ok(config)
}

const IN_THE_POLICY: &str = "the policy decides: write `report` here, and a rule there, such as \
                             `refuse 550 5.7.23 \"SPF\" when spf fail` or `refuse 550 5.7.1 \"DMARC\" when dmarc reject`";

pub(super) fn keys(text: &str, tables: Vec<DkimTable>) -> Result<Vec<DkimKey>, ConfigError> {
    let mut keys: Vec<DkimKey> = Vec::new();
    for table in tables {
        let (of_domain, span) = (table.domain.span(), table.selector.span());
        let (domain, selector) = (table.domain.into_inner().0.0, table.selector.into_inner().0.0);
        let key = DkimKey { domain, selector, file: table.key };
        if key.record().is_none() {
            return Err(ConfigError::at(text, span, "is too long with its domain: a DNS name has 253 octets"));
        }
        // It would sign nothing, and refuse each mail for that.
        if let Err(error) = Signer::check_names(&key.domain, &key.selector) {
            let span = if matches!(error, SignError::Domain(_)) { of_domain } else { span };
            return Err(ConfigError::at(text, span, error.to_string()));
        }
        if keys.iter().any(|known| (&known.domain, &known.selector) == (&key.domain, &key.selector)) {
            let message = format!("{} has a key of this name already", key.domain);
            return Err(ConfigError::at(text, span, message));
        }
        keys.push(key);
    }
    Ok(keys)
}
