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
use crate::{AuthConfig, CertificateId, CertificateUser, ConfigError, Current, SpkiPin, config::UserName};

/// Password hashes that are computed at once; each takes a processor for tens of milliseconds,
/// and 19 MiB. Who logs in waits for those before.
const HASHES_AT_ONCE: usize = 2;
/// The iterations of the SCRAM keys that `add` makes. The client computes them, at each login;
/// clients with the Cyrus SASL library, such as Postfix, refuse more than these.
const ITERATIONS: u32 = 65_536;

/// The users of a file, and whose certificate is whose.
///
/// The file is TOML:
///
/// ```toml
/// [[user]]
/// name = "alice"                          # at most 255 octets; ASCII case does not matter
/// password = "$argon2id$v=19$m=19456..."  # for PLAIN and LOGIN
/// scram = "SCRAM-SHA-256$65536:..."       # for SCRAM-SHA-256 and -PLUS (RFC 5803)
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
    local: Current<Domains>,
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
            local: Current::new(local_domains.clone()),
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

    /// Other domains are local from now on.
    pub fn set_local_domains(&self, local_domains: &Domains) {
        self.local.set(local_domains.clone());
    }

    /// The users of certificates whom the file does not name: they cannot log in.
    pub fn strays(&self) -> Vec<&str> {
        let table = self.table();
        let stray = |entry: &&CertificateUser| self.file.is_some() && !table.users.contains_key(&entry.user);
        self.certificates.iter().filter(stray).map(|entry| &*entry.user).collect()
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
                        && self.local.get().contains(address.host())
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
        let by_key = |id: &CertificateId| *id == CertificateId::Spki(SpkiPin(certificate.spki));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Cheap hashes: 8 KiB, one pass. The password of both is `secret`.
    fn hash(password: &str) -> String {
        use argon2::{Argon2, Params, PasswordHasher};
        let argon = Argon2::from(Params::new(8, 1, 1, None).unwrap());
        argon.hash_password_with_salt(password.as_bytes(), b"0123456789abcdef").unwrap().to_string()
    }

    fn keys(iterations: u32) -> ScramKeys {
        ScramKeys::derive("secret", b"0123456789abcdef", iterations).unwrap()
    }

    fn text() -> String {
        let (hash, keys, other, many) = (hash("secret"), keys(5000), keys(4096), keys(6000));
        format!(
            "[[user]]\nname = 'Alice'\npassword = '{hash}'\nscram = '{keys}'\n\
             [[user]]\nname = 'bob'\npassword = '{hash}'\nscram = '{keys}'\ndisabled = true\n\
             senders = ['bob@example.org']\n\
             [[user]]\nname = 'carl@example.net'\nscram = '{other}'\n\
             [[user]]\nname = 'dora'\nsenders = ['D@example.org', '*@lists.example.org', '@*.example.net']\n\
             [[user]]\nname = 'relay'\nsenders = ['*']\n\
             [[user]]\nname = 'nobody'\nsenders = []\n\
             [[user]]\nname = 'erin'\nscram = '{many}'\n"
        )
    }

    fn pinned(certificates: &[(CertificateId, &str)]) -> AuthConfig {
        let entry = |(certificate, user): &(CertificateId, &str)| CertificateUser {
            certificate: certificate.clone(),
            user: (*user).into(),
        };
        AuthConfig { users: None, mechanisms: Vec::new(), certificates: certificates.iter().map(entry).collect() }
    }

    struct Site {
        accounts: Accounts,
        folder: tempfile::TempDir,
    }

    impl Site {
        fn new(text: &str) -> Self {
            Self::with(text, &[])
        }

        fn with(text: &str, certificates: &[(CertificateId, &str)]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("users.toml");
            std::fs::write(&file, text).unwrap();
            let auth = AuthConfig { users: Some(file), ..pinned(certificates) };
            let local = "example.org, *.example.org".parse().unwrap();
            Self { accounts: Accounts::load(&auth, &local).unwrap(), folder }
        }

        async fn password(&self, user: &str, password: &str) -> Answer {
            let password = Password::new(password);
            self.accounts.answer(&Question::Password { user, authzid: None, password: &password }).await
        }
    }

    fn disabled() -> Answer {
        Answer::Refuse(Reply::ACCOUNT_DISABLED_525)
    }

    #[tokio::test]
    async fn c1_22_every_password_costs_one_hash_whoever_it_is() {
        let site = Site::new(&text());
        let long = "x".repeat(256);
        let cases = [
            ("alice", "secret", Answer::Accept("alice".into())),
            ("ALICE", "secret", Answer::Accept("alice".into())),
            ("alice", "Secret", Answer::Reject),
            ("alice", "", Answer::Reject),
            ("alice ", "secret", Answer::Reject),
            ("alice@example.org", "secret", Answer::Reject),
            ("bob", "secret", disabled()),
            ("bob", "wrong", Answer::Reject),
            ("carl@example.net", "secret", Answer::Reject),
            ("mallory", "secret", Answer::Reject),
            ("*)(uid=*", "secret", Answer::Reject),
            ("", "secret", Answer::Reject),
            (&long, "secret", Answer::Reject),
        ];
        for (tried, (user, password, answer)) in (1..).zip(cases) {
            assert_eq!(site.password(user, password).await, answer, "{user} {password}");
            assert_eq!(site.accounts.hashes(), tried, "{user} {password}");
        }
    }

    #[test]
    fn nobodys_hash_costs_what_most_hashes_cost() {
        let table = |text: &str| Table::new(document::read(text).unwrap());
        let cheap: Hash = hash("a").parse().unwrap();
        assert_eq!(table(&text()).nobody.cost(), cheap.cost());
        assert_eq!(table("").nobody.cost(), Hash::new(&Password::new("x")).unwrap().cost());
        let own = "[[user]]\nname = 'x'\npassword = '$argon2id$v=19$m=16,t=3,p=2$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg'\n";
        let one = own.to_owned();
        let (m, n) = (table(&one).nobody, table(&format!("{}{one}", text())).nobody);
        assert_ne!(m.cost(), cheap.cost());
        assert_eq!(n.cost(), cheap.cost(), "two of three");
        assert_eq!(
            m.to_string().len(),
            "$argon2id$v=19$m=16,t=3,p=2$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg".len()
        );
        assert_ne!(m.to_string(), table(&one).nobody.to_string(), "nobody knows it");
    }

    #[tokio::test]
    async fn scram_keys_are_those_of_users_who_have_some() {
        let site = Site::new(&text());
        let ask = async |user| site.accounts.answer(&Question::ScramKeys { user, authzid: None }).await;
        assert_eq!(ask("aLICE").await, Answer::Keys { user: "alice".into(), keys: keys(5000) });
        for user in ["bob", "dora", "mallory", ""] {
            assert_eq!(ask(user).await, Answer::Reject, "{user}");
        }
        assert_eq!(site.accounts.hashes(), 0);
        assert_eq!(site.accounts.iterations(), 5000, "most have as many");
        assert_eq!(Site::new("").accounts.iterations(), ITERATIONS);
    }

    #[tokio::test]
    async fn tokens_are_not_known_here() {
        let token = Password::new("secret");
        let question = Question::Token { user: Some("alice"), token: &token };
        assert_eq!(Site::new(&text()).accounts.answer(&question).await, Answer::Reject);
    }

    #[tokio::test]
    async fn a_certificate_is_known_by_its_key_and_then_by_its_names() {
        let (spki, name) = (|key| CertificateId::Spki(SpkiPin(key)), |name: &str| CertificateId::Name(name.into()));
        let entries = [
            (spki([1; 32]), "alice"),
            (spki([2; 32]), "bob"),
            (spki([3; 32]), "gone"),
            (name("a.test"), "dora"),
            (name("b.test"), "alice"),
            (name("c.test"), "dora"),
        ];
        let cases = [
            (1, &[][..], None, Answer::Accept("alice".into())),
            (1, &["c.test"], None, Answer::Accept("alice".into())),
            (1, &["c.test"], Some("dora"), Answer::Accept("alice".into())),
            (2, &[], None, disabled()),
            (3, &[], None, Answer::Reject),
            (9, &[], None, Answer::Reject),
            (9, &["x.test"], Some("alice"), Answer::Reject),
            (9, &["a.test"], None, Answer::Accept("dora".into())),
            (9, &["a.test", "c.test"], None, Answer::Accept("dora".into())),
            (9, &["a.test", "b.test"], None, Answer::Reject),
            (9, &["a.test", "b.test"], Some("alice"), Answer::Accept("alice".into())),
            (9, &["a.test", "b.test"], Some("bob"), Answer::Reject),
            (9, &["A.test"], None, Answer::Reject),
        ];
        let site = Site::with(&text(), &entries);
        for (key, names, authzid, answer) in cases {
            let names = names.iter().map(|&name| name.into()).collect();
            let certificate = Certificate { spki: [key; 32], names };
            let question = Question::Certificate { certificate: &certificate, authzid };
            assert_eq!(site.accounts.answer(&question).await, answer, "{key} {certificate:?} {authzid:?}");
        }
        assert_eq!(site.accounts.strays(), ["gone"]);
        let alone = Accounts::load(&pinned(&entries), &Domains::default()).unwrap();
        let certificate = Certificate { spki: [3; 32], names: Vec::new() };
        let question = Question::Certificate { certificate: &certificate, authzid: None };
        assert_eq!(alone.answer(&question).await, Answer::Accept("gone".into()), "there is no file to ask");
        assert_eq!(alone.strays(), [""; 0]);
        assert_eq!(alone.reload(), Ok(()));
    }

    #[test]
    fn c1_31_users_send_as_themselves() {
        let site = Site::new(&text());
        let cases = [
            ("alice", "Alice@Example.org", true),
            ("alice", "\"alice\"@example.org", true),
            ("alice", "alice@lists.example.org", true),
            ("alice", "alice@example.net", false),
            ("alice", "alice+x@example.org", false),
            ("alice", "bob@example.org", false),
            ("bob", "bob@example.org", false),
            ("carl@example.net", "CARL@example.NET", true),
            ("carl@example.net", "carl@example.org", false),
            ("dora", "d@example.org", true),
            ("dora", "dora@example.org", false),
            ("dora", "x@lists.example.org", true),
            ("dora", "x@sub.lists.example.org", false),
            ("dora", "x@sub.example.net", true),
            ("dora", "x@example.net", false),
            ("relay", "anybody@anywhere.test", true),
            ("nobody", "nobody@example.org", false),
            ("mallory", "mallory@example.org", false),
        ];
        for (user, address, owned) in cases {
            assert_eq!(site.accounts.owns(user, &address.parse().unwrap()), owned, "{user} {address}");
        }
        let alone = Accounts::load(&pinned(&[]), &"example.org".parse().unwrap()).unwrap();
        assert!(alone.owns("gone", &"gone@example.org".parse().unwrap()));
        assert!(!alone.owns("gone", &"alice@example.org".parse().unwrap()));
    }

    #[tokio::test]
    async fn a_file_that_becomes_wrong_changes_nothing() {
        let site = Site::new(&text());
        let file = site.folder.path().join("users.toml");
        std::fs::write(&file, "[[user]]\nname = ''\n").unwrap();
        let error = site.accounts.reload().unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}, line 2, column 8: user.name: ", file.display())), "{error}");
        assert_eq!(site.password("alice", "secret").await, Answer::Accept("alice".into()));
        std::fs::write(&file, format!("[[user]]\nname = 'alice'\npassword = '{}'\n", hash("other"))).unwrap();
        site.accounts.reload().unwrap();
        assert_eq!(site.password("alice", "secret").await, Answer::Reject);
        assert_eq!(site.password("alice", "other").await, Answer::Accept("alice".into()));
        std::fs::remove_file(&file).unwrap();
        assert!(site.accounts.reload().is_err());
        assert_eq!(site.password("alice", "other").await, Answer::Accept("alice".into()));
    }

    #[test]
    fn errors_name_line_and_key_and_show_no_secret() {
        let (hash, keys) = (hash("secret"), keys(4096).to_string());
        let cases = [
            (1, "users", "[[users]]\nname = 'a'".to_owned()),
            (1, "user: missing field `name`", "[[user]]\ndisabled = true".to_owned()),
            (2, "user.name", "[[user]]\nname = ''".to_owned()),
            (2, "user.name", format!("[[user]]\nname = '{}'", "x".repeat(256))),
            (2, "user.name", "[[user]]\nname = ' a'".to_owned()),
            (2, "user.name", "[[user]]\nname = \"a\\u0000\"".to_owned()),
            (4, "user.name: a is there twice", "[[user]]\nname = 'a'\n[[user]]\nname = 'A'".to_owned()),
            (3, "user.pasword", format!("[[user]]\nname = 'a'\npasword = '{hash}'")),
            (3, "user.password", format!("[[user]]\nname = 'a'\npassword = '{}'", hash.replace("2id", "2i"))),
            (3, "user.password", format!("[[user]]\nname = 'a'\npassword = '{}'", hash.replace("v=19", "v=16"))),
            (3, "user.password", format!("[[user]]\nname = 'a'\npassword = '{}'", hash.replace("m=8", "m=2000000"))),
            (3, "user.password", format!("[[user]]\nname = 'a'\npassword = '{}'", hash.replace("t=1", "t=1001"))),
            (
                3,
                "user.password",
                format!("[[user]]\nname = 'a'\npassword = '{}'", hash.replace("m=8,t=1,p=1", "m=800,t=1,p=65")),
            ),
            (3, "user.password", format!("[[user]]\nname = 'a'\npassword = '{}'", hash.rsplit_once('$').unwrap().0)),
            (3, "user.password", "[[user]]\nname = 'a'\npassword = 'hunter2'".to_owned()),
            (3, "user.password", "[[user]]\nname = 'a'\npassword = ['hunter2']".to_owned()),
            (3, "user.password", "[[user]]\nname = 'a'\npassword = 4711".to_owned()),
            (3, "user.password", "[[user]]\nname = 'a'\npassword = 47.11".to_owned()),
            (3, "user.password", "[[user]]\nname = 'a'\npassword = true".to_owned()),
            (3, "", "[[user]]\nname = 'a'\nhunter2/4711=:x=".to_owned()),
            (3, "user.scram", format!("[[user]]\nname = 'a'\nscram = '{}'", keys.replace("4096", "1"))),
            (3, "user.scram", "[[user]]\nname = 'a'\nscram = 'hunter2'".to_owned()),
            (3, "user.senders", "[[user]]\nname = 'a'\nsenders = 'a@b.test'".to_owned()),
            (3, "user.senders", "[[user]]\nname = 'a'\nsenders = ['a@b.test', 'b']".to_owned()),
            (3, "user.senders", "[[user]]\nname = 'a'\nsenders = ['*@b*.test']".to_owned()),
            (3, "user.disabled", "[[user]]\nname = 'a'\ndisabled = 'no'".to_owned()),
        ];
        for (line, key, text) in cases {
            let error = document::read(&text).expect_err(&text).to_string();
            assert!(error.starts_with(&format!("line {line}, column ")), "{text}\n{error}");
            assert!(error.contains(&format!(": {key}")), "{text}\n{error}");
            for secret in ["hunter2", "MDEyMzQ", "4711", "47.11"] {
                assert!(!error.contains(secret), "{text}\n{error}");
            }
        }
        let site = Site::new(&text());
        let shown = format!("{:?}", site.accounts);
        assert!(shown.contains("alice") && !shown.contains("MDEyMzQ"), "{shown}");
    }

    #[tokio::test]
    async fn a_user_is_added_and_all_else_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("users.toml");
        let add = |name: &str, password: &str, senders: &[&str]| {
            let senders: Vec<SenderPattern> = senders.iter().map(|sender| sender.parse().unwrap()).collect();
            Accounts::add(&file, name, &Password::new(password), &senders).map_err(|error| error.to_string())
        };
        add("Alice", "secret", &[]).unwrap();
        use std::os::unix::fs::PermissionsExt;
        let mode = || std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        let first = std::fs::read_to_string(&file).unwrap();
        assert!(
            first.starts_with("[[user]]\nname = \"alice\"\npassword = \"$argon2id$v=19$m=19456,t=2,p=1$"),
            "{first}"
        );
        assert!(first.contains("\nscram = \"SCRAM-SHA-256$65536:") && first.ends_with("\"\n"), "{first}");
        let commented = format!("# ours\n{first}# no line end");
        std::fs::write(&file, &commented).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        add("b\"o'b", "pässword", &["bob@example.org", "@lists.example.org"]).unwrap();
        let second = std::fs::read_to_string(&file).unwrap();
        assert!(second.starts_with(&format!("{commented}\n\n[[user]]\n")), "{second}");
        assert!(second.ends_with("\nsenders = [\"bob@example.org\", \"*@lists.example.org\"]\n"), "{second}");
        assert_eq!(mode(), 0o640);
        // Only root may give a file away.
        if std::os::unix::fs::chown(&file, Some(1), Some(1)).is_ok() {
            use std::os::unix::fs::MetadataExt;
            add("erin", "secret", &[]).unwrap();
            let now = std::fs::metadata(&file).unwrap();
            assert_eq!((now.uid(), now.gid()), (1, 1), "the relay must be able to read it");
            std::fs::write(&file, &second).unwrap();
        }
        for (name, password, wrong) in [
            ("ALICE", "x", "alice is there already"),
            ("", "x", "expected a name"),
            ("carl", "", "a password has 1 to 255 octets"),
            ("carl", &"x".repeat(256), "a password has 1 to 255 octets"),
            ("carl", "x\0y", "the password: "),
        ] {
            let error = add(name, password, &[]).unwrap_err();
            assert!(error.starts_with(&file.display().to_string()) && error.contains(wrong), "{error}");
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), second);
        let auth = AuthConfig { users: Some(file.clone()), ..pinned(&[]) };
        let accounts = Accounts::load(&auth, &"example.org".parse().unwrap()).unwrap();
        let password = Password::new("pässword");
        let question = Question::Password { user: "B\"O'B", authzid: None, password: &password };
        assert_eq!(accounts.answer(&question).await, Answer::Accept("b\"o'b".into()));
        assert!(accounts.owns("alice", &"alice@example.org".parse().unwrap()));
        assert!(accounts.owns("b\"o'b", &"x@lists.example.org".parse().unwrap()));

        std::fs::write(folder.path().join("users.toml.new"), "").unwrap();
        let error = add("carl", "x", &[]).unwrap_err();
        assert!(error.contains("users.toml.new is there"), "{error}");
        std::fs::remove_file(folder.path().join("users.toml.new")).unwrap();
        std::fs::write(&file, "user = []\n").unwrap();
        assert!(add("carl", "x", &[]).is_err(), "nothing can be appended");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "user = []\n");
        let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["users.toml"], "nothing is left behind");
    }
}
