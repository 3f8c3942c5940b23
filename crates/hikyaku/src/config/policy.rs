//! Who may send mail through the relay: a policy of its own file, or the one that three lists make;
//! and what a policy may ask and name: lists of the DNS, who was seen before, routes.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use hikyaku_dns::Name;
use hikyaku_mailauth::lists::Filter;
use hikyaku_policy::{
    CertificatePattern, CertificateSet, Condition, DomainPattern, DomainRole, Identifier, Limits, Listener, Members,
    Network, NetworkSet, Policy, PolicyBuilder, PolicyError, Rejection, Rule, Test, TextError, Verdict,
};
use hikyaku_wire::{Domain, Reply};
use serde::Deserialize;
use toml::Spanned;

use super::{Config, ConfigError, document::Parsed};
use crate::{
    DnsList, GreylistConfig, Route, Ruling,
    screening::{domains, trusted},
};

/// `[[list]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct ListTable {
    zone: Parsed<Zone>,
    name: Option<Parsed<Domain>>,
    weight: Option<i32>,
    answers: Option<Parsed<Filter>>,
}

/// A name that the DNS and a policy can have.
struct Zone(Domain, Name);

impl FromStr for Zone {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let domain = text.parse::<Domain>().map_err(|_| EXPECTED_ZONE)?;
        let name = Name::from_domain(domain.as_str()).map_err(|_| EXPECTED_ZONE)?;
        Ok(Self(domain, name))
    }
}

const EXPECTED_ZONE: &str = "expected the zone of a list, such as zen.example.org";

/// `[greylist]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct GreylistTable {
    wait: Option<Wait>,
    keep: Option<Days>,
}

/// 1 second to a day.
#[derive(Deserialize)]
#[serde(try_from = "i64")]
struct Wait(Duration);

impl TryFrom<i64> for Wait {
    type Error = &'static str;

    fn try_from(seconds: i64) -> Result<Self, Self::Error> {
        let seconds = u64::try_from(seconds).ok().filter(|seconds| (1..=86_400).contains(seconds));
        seconds.map(|seconds| Self(Duration::from_secs(seconds))).ok_or("expected 1 to 86400 seconds")
    }
}

/// 1 to 366 days.
#[derive(Deserialize)]
#[serde(try_from = "i64")]
struct Days(Duration);

impl TryFrom<i64> for Days {
    type Error = &'static str;

    fn try_from(days: i64) -> Result<Self, Self::Error> {
        let days = u64::try_from(days).ok().filter(|days| (1..=366).contains(days));
        days.map(|days| Self(Duration::from_secs(days * 86_400))).ok_or("expected 1 to 366 days")
    }
}

/// The lists of which a policy is made where none is named.
pub(super) struct PresetLists {
    pub(super) local: Option<Spanned<Vec<Parsed<DomainPattern>>>>,
    pub(super) relay: Option<Spanned<Vec<Parsed<DomainPattern>>>>,
    pub(super) trusted: Option<Spanned<Vec<Parsed<Network>>>>,
}

/// Takes the policy and its lists; gives the keys of clients' certificates that it names.
pub(super) fn read(
    text: &str,
    policy: Option<Spanned<PathBuf>>,
    lists: PresetLists,
    config: &mut Config,
) -> Result<Vec<[u8; 32]>, ConfigError> {
    let PresetLists { local, relay, trusted: networks } = lists;
    let Some(file) = policy else {
        if let Some(domains) = local {
            config.local_domains = domains.into_inner().into_iter().map(|domain| domain.0).collect();
        }
        config.relay_domains = relay.into_iter().flat_map(Spanned::into_inner).map(|domain| domain.0).collect();
        config.trusted_networks = networks.into_iter().flat_map(Spanned::into_inner).map(|network| network.0).collect();
        return Ok(Vec::new());
    };
    for (span, words) in [
        (local.map(|list| list.span()), "`local domains NAME = …`"),
        (relay.map(|list| list.span()), "`relay domains NAME = …`"),
        (networks.map(|list| list.span()), "`trusted networks NAME = …`"),
    ] {
        if let Some(span) = span {
            return Err(ConfigError::at(text, span, format!("the policy declares them: write {words} there")));
        }
    }
    let file = file.into_inner();
    let policy = load(&file)?;
    config.local_domains = domains(&policy, DomainRole::Local);
    config.relay_domains = domains(&policy, DomainRole::Relay);
    config.trusted_networks = trusted(&policy);
    config.policy_file = Some(file);
    Ok(pins(&policy))
}

/// The keys of certificates that a policy names.
fn pins(policy: &Policy) -> Vec<[u8; 32]> {
    let listed = policy.lists().iter().flat_map(|list| match &list.members {
        Members::Certificates(patterns) => &patterns[..],
        _ => &[],
    });
    let listed = listed.filter_map(|pattern| match pattern {
        CertificatePattern::Spki(pin) => Some(*pin),
        CertificatePattern::Named(_) => None,
    });
    let tests = policy.rules().iter().flat_map(|rule| rule.when.tests());
    let tested = tests.filter_map(|test| match test {
        Test::Certificate(CertificateSet::Spki(pin)) => Some(*pin),
        _ => None,
    });
    listed.chain(tested).collect()
}

/// Reads a policy and proves it; the files that it names are relative to its own folder.
fn load(file: &Path) -> Result<Policy, ConfigError> {
    let problem = |error: std::io::Error| ConfigError {
        file: Some(file.to_owned()),
        ..ConfigError::new(format!("the policy cannot be read: {error}"))
    };
    let text = fs::read_to_string(file).map_err(problem)?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut read = |name: &str| fs::read_to_string(folder.join(name)).map_err(|error| error.to_string());
    Policy::load(&text, &mut read, &Limits::default()).map_err(|error| {
        let TextError { line, column, message, text, file: named, .. } = error;
        let file = named.map_or_else(|| file.to_owned(), |named| folder.join(named));
        let shown = if text.is_empty() { message } else { format!("{message}\n  {text}\n  {:>column$}", "^") };
        ConfigError { file: Some(file), line: Some(line), column: Some(column), ..ConfigError::new(shown) }
    })
}

pub(super) fn dns_lists(tables: Vec<ListTable>) -> Vec<DnsList> {
    let list = |table: ListTable| {
        let ListTable { zone: Parsed(Zone(domain, zone)), name, weight, answers } = table;
        DnsList {
            name: name.map_or(domain, |name| name.0),
            zone,
            weight: weight.unwrap_or(1),
            filter: answers.map(|filter| filter.0).unwrap_or_default(),
        }
    };
    tables.into_iter().map(list).collect()
}

pub(super) fn greylist(table: GreylistTable) -> GreylistConfig {
    let mut config = GreylistConfig::default();
    if let Some(Wait(wait)) = table.wait {
        config.wait = wait;
    }
    if let Some(Days(keep)) = table.keep {
        config.keep = keep;
    }
    config
}

pub(super) fn routes(
    text: &str,
    routes: BTreeMap<Spanned<String>, Parsed<Route>>,
) -> Result<Vec<(Identifier, Route)>, ConfigError> {
    let named = routes.into_iter().map(|(name, Parsed(route))| match name.get_ref().parse::<Identifier>() {
        Ok(identifier) => Ok((identifier, route)),
        Err(error) => Err(ConfigError::at(text, name.span(), format!("{:?}: {error}", name.get_ref()))),
    });
    named.collect()
}

/// What a policy file asks for in vain, or does not ask for and should.
pub(super) fn doubts(config: &Config) -> Vec<String> {
    let mut doubts = Vec::new();
    if config.policy_file.is_none() {
        if !config.lists.is_empty() {
            doubts.push("[[list]] is of no use without a policy that asks: `policy = \"FILE\"`".to_owned());
        }
        return doubts;
    }
    let Ok(ruling) = config.ruling() else { return doubts };
    let asks = ruling.policy().asks();
    if !asks.dmarc {
        doubts.push(
            "the policy does not ask for DMARC: mail is taken that its author's domain wants to see refused; \
             write `refuse 550 5.7.1 \"DMARC\" when dmarc reject`"
                .to_owned(),
        );
    }
    if let Ok(Verdict::Open(_)) = ruling.policy().verdict(&Limits::default()) {
        doubts
            .push("the policy is an OPEN relay, as its first line says: anyone can send to anywhere by it".to_owned());
    }
    doubts.extend(unreachable(ruling.policy(), config));
    for list in config.lists.iter().filter(|list| !asks.listed.contains(&list.name)) {
        doubts.push(format!("[[list]] {} is not asked: no rule says `listed {}`", list.zone, list.name));
    }
    let names = ruling.policy().lists().iter().any(|list| match &list.members {
        Members::Certificates(patterns) => patterns.iter().any(|one| matches!(one, CertificatePattern::Named(_))),
        _ => false,
    });
    if names && config.tls.clients.authorities.is_none() {
        doubts.push("the policy names certificates of an authority, and [tls] names none: set `client_ca`".to_owned());
    }
    doubts
}

/// Scores that no list of the configuration leads to.
fn unreachable(policy: &Policy, config: &Config) -> Vec<String> {
    let mut doubts = Vec::new();
    for test in policy.rules().iter().flat_map(|rule| rule.when.tests()) {
        let Test::Listed { zone, at_least } = test else { continue };
        let weights = || config.lists.iter().filter(|list| list.name == *zone).map(|list| list.weight);
        let most = match weights().next() {
            Some(_) => weights().fold(0_i32, |most, weight| most.saturating_add(weight.max(0))),
            // It is asked under its own name.
            None => 1,
        };
        let doubt = format!(
            "no client can reach `listed {zone} >= {at_least}`: its score is {most} at the most; give [[list]] with \
             `name` or `zone` \"{zone}\" a higher `weight`"
        );
        if *at_least > most && !doubts.contains(&doubt) {
            doubts.push(doubt);
        }
    }
    doubts
}

impl Config {
    /// What a policy that was read anew asks for and has only after a restart: keys of certificates
    /// that clients were not asked for yet.
    pub fn waits(&self, ruling: &Ruling) -> Option<String> {
        let mut pins = pins(ruling.policy()).into_iter();
        pins.any(|pin| !self.tls.clients.pins.contains(&pin)).then(|| {
            "the policy names keys of certificates that are not believed before the relay is started anew".to_owned()
        })
    }

    /// Who may send mail through the relay, and where it goes: by the policy that is named, read
    /// anew; else by one that [`Policy::closed`] makes, or [`Policy::authenticated`] where users
    /// can log in, and by which users alone submit mail, as themselves.
    ///
    /// # Errors
    /// A policy that cannot be read, that lets strangers send mail to anywhere without saying so,
    /// or that names a route which is not there.
    pub fn ruling(&self) -> Result<Ruling, ConfigError> {
        let policy = match &self.policy_file {
            Some(file) => load(file)?,
            None => self.preset().map_err(|error| {
                // The rule that is at fault names the list.
                let rule = match &error {
                    PolicyError::Rejected(Rejection::Open(witness, _)) => &witness.rule,
                    _ => "",
                };
                let key =
                    ["trusted_networks", "relay_domains", "local_domains"].iter().find(|key| rule.contains(**key));
                ConfigError { key: key.map(ToString::to_string), ..ConfigError::new(error.to_string()) }
            })?,
        };
        Ruling::new(policy, self.routes()).map_err(|error| ConfigError {
            file: self.policy_file.clone(),
            line: Some(error.line),
            column: Some(1),
            ..ConfigError::new(error.to_string())
        })
    }

    fn preset(&self) -> Result<Policy, PolicyError> {
        let Self { local_domains, relay_domains, trusted_networks, .. } = self.clone();
        let preset = if self.auth.is_some() { Policy::authenticated } else { Policy::closed };
        let preset = preset(local_domains, relay_domains, trusted_networks)?;
        let trusted = preset.lists().iter().find(|list| matches!(list.members, Members::Networks(..)));
        let trusted = trusted.map(|list| Condition::from(Test::From(NetworkSet::List(list.name.clone()))));
        let submits = Condition::from(Test::On(Listener::Submission)).or(Test::On(Listener::Submissions).into());
        let mut strangers = submits.and(!Condition::from(Test::Authenticated(None)));
        if let Some(trusted) = trusted {
            strangers = strangers.and(!trusted);
        }
        let others = Condition::from(Test::Authenticated(None))
            .and(!Condition::from(Test::SenderOwned))
            .and(!Condition::from(Test::SenderNull));
        let mut rules = vec![
            Rule::refuse(Reply::AUTHENTICATION_REQUIRED_530, strangers),
            Rule::refuse(Reply::SENDER_NOT_OWNED_553, others),
        ];
        rules.extend_from_slice(preset.rules());
        let policy = PolicyBuilder { lists: preset.lists().to_vec(), rules, ..PolicyBuilder::default() }.build()?;
        policy.admit(&Limits::default())?;
        Ok(policy)
    }
}
