//! A new user in the file.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
};

use hikyaku_session::sasl::{Password, ScramKeys};

use super::{Accounts, ITERATIONS, SenderPattern, document, hash::Hash};
use crate::{ConfigError, config::UserName, random};

impl Accounts {
    /// Appends a user to a file, which is made if it does not exist, for its owner only. What
    /// stands in the file stays as it is; readers see all of the new file or all of the old one.
    ///
    /// # Errors
    /// The name is not one or is there already, the password is longer than 255 octets or not
    /// fit for SCRAM (RFC 4013), or the file is wrong or cannot be written. Then it is unchanged.
    pub fn add(file: &Path, name: &str, password: &Password, senders: &[SenderPattern]) -> Result<(), ConfigError> {
        let add = || {
            // A link is followed, not replaced.
            let file = match fs::canonicalize(file) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => file.to_owned(),
                Err(error) => return Err(ConfigError::new(error.to_string())),
            };
            let next = Next::open(&file)?;
            let old = match fs::read_to_string(&file) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
                text => text.map_err(|error| ConfigError::new(error.to_string()))?,
            };
            let new = with_user(old, name, password, senders)?;
            next.put(&file, &new).map_err(|error| ConfigError::new(error.to_string()))
        };
        add().map_err(|error| ConfigError { file: Some(file.to_owned()), ..error })
    }
}

/// The text of the file with one user more.
fn with_user(
    mut text: String,
    name: &str,
    password: &Password,
    senders: &[SenderPattern],
) -> Result<String, ConfigError> {
    let UserName(name) = name.parse().map_err(|error| ConfigError::new(format!("{name:?}: {error}")))?;
    if document::read(&text)?.iter().any(|(known, _)| *known == name) {
        return Err(ConfigError::new(format!("{name} is there already; take its [[user]] out to begin anew")));
    }
    if !(1..=255).contains(&password.as_str().len()) {
        return Err(ConfigError::new("a password has 1 to 255 octets"));
    }
    let keys = ScramKeys::derive(password.as_str(), &random::<16>(), ITERATIONS);
    let keys = keys.map_err(|error| ConfigError::new(format!("the password: {error}")))?;
    let hash = Hash::new(password).map_err(|error| ConfigError::new(format!("the password: {error}")))?;
    let quoted = |text: &str| toml::Value::from(text).to_string();
    if !text.is_empty() {
        text.push_str(if text.ends_with('\n') { "\n" } else { "\n\n" });
    }
    text.push_str(&format!("[[user]]\nname = {}\npassword = \"{hash}\"\nscram = \"{keys}\"\n", quoted(&name)));
    if !senders.is_empty() {
        let senders: Vec<String> = senders.iter().map(|sender| quoted(&sender.to_string())).collect();
        text.push_str(&format!("senders = [{}]\n", senders.join(", ")));
    }
    // A file that ends in the middle of something cannot be appended to.
    document::read(&text)?;
    Ok(text)
}

/// The next version of a file, beside it until it is whole.
struct Next {
    path: PathBuf,
    file: File,
    kept: bool,
}

impl Next {
    /// Makes the file, which must not be there: two who write at once would lose what one of them writes.
    fn open(file: &Path) -> Result<Self, ConfigError> {
        let mut path = file.as_os_str().to_owned();
        path.push(".new");
        let path = PathBuf::from(path);
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => Ok(Self { path, file, kept: false }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(ConfigError::new(format!(
                "{} is there: somebody else adds a user now, or has died of it; in that case remove it",
                path.display()
            ))),
            Err(error) => Err(ConfigError::new(format!("{}: {error}", path.display()))),
        }
    }

    /// Puts it in the place of `file`, with its owner and mode.
    fn put(mut self, file: &Path, text: &str) -> io::Result<()> {
        self.file.write_all(text.as_bytes())?;
        if let Ok(old) = fs::metadata(file) {
            let new = self.file.metadata()?;
            if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
                fchown(&self.file, Some(old.uid()), Some(old.gid()))?;
            }
            self.file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o777))?;
        }
        self.file.sync_all()?;
        fs::rename(&self.path, file)?;
        self.kept = true;
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for Next {
    fn drop(&mut self) {
        if !self.kept {
            // Nobody misses it; if it stays, the next one says so.
            let _ = fs::remove_file(&self.path);
        }
    }
}
