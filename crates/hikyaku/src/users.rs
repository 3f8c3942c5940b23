//! Users that a file names: what proves who they are, and the addresses that are theirs.

mod add;
mod document;
mod hash;
mod sender;

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use hikyaku_policy::Domains;
use hikyaku_session::{
    Certificate,
    sasl::{Answer, Password, Question, ScramKeys},
};
use hikyaku_wire::{Mailbox, Reply};
use tokio::{sync::Semaphore, task::spawn_blocking};

use self::hash::Hash;
pub use self::sender::{SenderPattern, SenderPatternError};
use crate::{AuthConfig, CertificateId, CertificateUser, ConfigError, config::UserName};

/// Password hashes that are computed at once; each takes a processor for tens of milliseconds,
/// and 19 MiB. Who logs in waits for those before.
const HASHES_AT_ONCE: usize = 2;
/// The iterations of the SCRAM keys that `add` makes. The client computes them, at each login.
const ITERATIONS: u32 = 100_000;

/// The users of a file, and whose certificate is whose.
///
/// The file is TOML:
///
/// ```toml
/// [[user]]
/// name = "alice"                          # at most 255 octets; ASCII case does not matter
/// password = "$argon2id$v=19$m=19456..."  # for PLAIN and LOGIN
/// scram = "SCRAM-SHA-256$100000:..."      # for SCRAM-SHA-256 and -PLUS (RFC 5803)
/// senders = ["alice@example.org", "*@lists.example.org"]
/// disabled = false
/// ```
///
/// Only the name is required. Without `senders` a user sends as itself: as the address that the
/// name is, or else as the name at each local domain. A sender is an address, `*@` with a domain
/// as in `local_domains`, or `*` for all addresses; case does not matter.
///
/// Whoever asks with a user that does not exist, or has no such key, waits as long, for the hash
/// of a password that nobody knows; the parameters of that hash are those that most users have,
/// so all should have the same. SCRAM keys are weaker than the argon2id hash beside them against
/// whoever steals the file: a `scram` line may be deleted, and the user then uses PLAIN.
///
/// Who is disabled is told so (525 5.7.13), but only after the right password or certificate;
/// SCRAM, which ends elsewhere, says that the password is wrong.
#[derive(Debug)]
pub struct Accounts {
    file: Option<PathBuf>,
    local: Domains,
    certificates: Vec<CertificateUser>,
    table: RwLock<Arc<Table>>,
    at_once: Arc<Semaphore>,
    hashes: AtomicU64,
}

/// What a file says.
#[derive(Debug)]
struct Table {
    users: HashMap<Box<str>, Account>,
    /// A hash that no known password fits, for users that have none.
    nobody: Arc<Hash>,
    iterations: u32,
}

/// What a file says of one user.
#[derive(Debug)]
struct Account {
    password: Option<Arc<Hash>>,
    scram: Option<ScramKeys>,
    senders: Option<Vec<SenderPattern>>,
    disabled: bool,
}

impl Accounts {
    /// Reads the file of users, if one is configured. `local_domains` are those at which a user
    /// without `senders` may send.
    ///
    /// # Errors
    /// What is wrong with the file, with the line and the key; never what stands there, which may
    /// be a secret.
    pub fn load(auth: &AuthConfig, local_domains: &Domains) -> Result<Self, ConfigError> {
        let table = match &auth.users {
            Some(file) => document::load(file)?,
            None => Vec::new(),
        };
        Ok(Self {
            file: auth.users.clone(),
            local: local_domains.clone(),
            certificates: auth.certificates.clone(),
            table: RwLock::new(Arc::new(Table::new(table))),
            at_once: Arc::new(Semaphore::new(HASHES_AT_ONCE)),
            hashes: AtomicU64::new(0),
        })
    }

    /// Reads the file anew; if it is wrong everything stays as it is.
    ///
    /// # Errors
    /// As of [`load`](Self::load).
    pub fn reload(&self) -> Result<(), ConfigError> {
        if let Some(file) = &self.file {
            let table = Arc::new(Table::new(document::load(file)?));
            *self.table.write().unwrap_or_else(PoisonError::into_inner) = table;
        }
        Ok(())
    }

    /// The users of certificates whom the file does not name: they cannot log in.
    pub fn strays(&self) -> Vec<&str> {
        let table = self.table();
        let known = |entry: &&CertificateUser| self.file.is_some() && !table.users.contains_key(&entry.user);
        self.certificates.iter().filter(known).map(|entry| &*entry.user).collect()
    }

    /// The iterations that most SCRAM keys have: those to show for users that do not exist.
    pub fn iterations(&self) -> u32 {
        self.table().iterations
    }

    /// How many password hashes have been computed so far.
    pub fn hashes(&self) -> u64 {
        self.hashes.load(Ordering::Relaxed)
    }

    /// Answers what an exchange asks. Tokens are not known here: an application that takes them
    /// validates them itself.
    pub async fn answer(&self, question: &Question<'_>) -> Answer {
        match *question {
            Question::Password { user, password, .. } => self.password(user, password).await,
            Question::ScramKeys { user, .. } => self.keys(user),
            Question::Certificate { certificate, authzid } => self.certificate(certificate, authzid),
            _ => Answer::Reject,
        }
    }

    /// Whether the address is one of the user's. Case does not matter.
    pub fn owns(&self, user: &str, address: &Mailbox) -> bool {
        let table = self.table();
        let senders = match table.users.get(user) {
            Some(account) if account.disabled => return false,
            Some(account) => account.senders.as_deref(),
            None if self.file.is_some() => return false,
            None => None,
        };
        match senders {
            Some(senders) => senders.iter().any(|sender| sender.matches(address)),
            None => match user.parse::<Mailbox>() {
                Ok(own) => SenderPattern::Address(own).matches(address),
                Err(_) => {
                    address.local().content().to_lowercase() == user.to_lowercase()
                        && self.local.contains(address.host())
                }
            },
        }
    }

    fn table(&self) -> Arc<Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn password(&self, user: &str, password: &Password) -> Answer {
        let table = self.table();
        let account = user.parse().ok().and_then(|UserName(name)| table.users.get_key_value(&name));
        let hash = account.and_then(|(_, account)| account.password.as_ref());
        let (hash, exists) = (hash.unwrap_or(&table.nobody).clone(), hash.is_some());
        let Ok(permit) = self.at_once.clone().acquire_owned().await else { return later() };
        self.hashes.fetch_add(1, Ordering::Relaxed);
        let password = password.clone();
        // The permit goes along: work whose connection is gone still counts until it is done.
        let verified = spawn_blocking(move || {
            let right = hash.fits(&password);
            drop(permit);
            right
        });
        match (verified.await, account) {
            (Ok(true), Some((_, account))) if exists && account.disabled => Answer::Refuse(Reply::ACCOUNT_DISABLED_525),
            (Ok(true), Some((name, _))) if exists => Answer::Accept(name.clone()),
            (Ok(_), _) => Answer::Reject,
            (Err(_), _) => later(),
        }
    }

    fn keys(&self, user: &str) -> Answer {
        let table = self.table();
        let account = user.parse().ok().and_then(|UserName(name)| table.users.get_key_value(&name));
        match account {
            Some((name, Account { scram: Some(keys), disabled: false, .. })) => {
                Answer::Keys { user: name.clone(), keys: keys.clone() }
            }
            _ => Answer::Reject,
        }
    }

    /// The key says more than a name. If names lead to several users, the client has to say whom
    /// it means.
    fn certificate(&self, certificate: &Certificate, authzid: Option<&str>) -> Answer {
        let by_key = |id: &CertificateId| *id == CertificateId::Spki(certificate.spki);
        let by_name = |id: &CertificateId| matches!(id, CertificateId::Name(name) if certificate.names.contains(name));
        let users = |matches: &dyn Fn(&CertificateId) -> bool| -> Vec<&str> {
            let mut users: Vec<&str> = Vec::new();
            for entry in self.certificates.iter().filter(|entry| matches(&entry.certificate)) {
                if !users.contains(&&*entry.user) {
                    users.push(&entry.user);
                }
            }
            users
        };
        let mut found = users(&by_key);
        if found.is_empty() {
            found = users(&by_name);
        }
        let user = match (&found[..], authzid) {
            ([user], _) => *user,
            (several, Some(authzid)) if several.contains(&authzid) => authzid,
            _ => return Answer::Reject,
        };
        match self.table().users.get(user) {
            Some(account) if account.disabled => Answer::Refuse(Reply::ACCOUNT_DISABLED_525),
            None if self.file.is_some() => Answer::Reject,
            _ => Answer::Accept(user.into()),
        }
    }
}

fn later() -> Answer {
    Answer::Refuse(Reply::TEMPORARY_AUTHENTICATION_FAILURE_454)
}

impl Table {
    fn new(users: Vec<(Box<str>, Account)>) -> Self {
        let costs = users.iter().filter_map(|(_, account)| account.password.as_ref().map(|hash| hash.cost()));
        let nobody = Hash::of_nobody(most_common(costs).unwrap_or_default());
        let iterations = users.iter().filter_map(|(_, account)| account.scram.as_ref().map(|keys| keys.iterations));
        let iterations = most_common(iterations).unwrap_or(ITERATIONS);
        Self { users: users.into_iter().collect(), nobody: Arc::new(nobody), iterations }
    }
}

fn most_common<T: Ord>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut counts = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_insert(0_usize) += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(value, _)| value)
}
