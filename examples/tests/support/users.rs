//! A relay that users log in to.

use hikyaku::session::sasl::ScramKeys;
use serde_json::Value;

use super::relay::Site;
use super::tls::{Identity, Trust};

/// The hash of `secret`, for 8 KiB and one pass, so that tests do not wait for it.
pub(crate) const SECRET: &str =
    "$argon2id$v=19$m=8,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$39tbUSD70LTTCIyCWo9t5sDidhNPptw1P94ISzTyALc";

/// A user whose password is `secret`, as it stands in the file.
pub(crate) fn user(name: &str, more: &str) -> String {
    let keys = ScramKeys::derive("secret", b"0123456789abcdef", 4096).expect("a password");
    format!("[[user]]\nname = {name:?}\npassword = \"{SECRET}\"\nscram = \"{keys}\"\n{more}\n")
}

/// A relay for `example.test` with a listener of each mode for users, and a file of users.
pub(crate) fn site(top: &str, tables: &str, users: &str) -> Site {
    let listeners = "[[listener]]\naddress = \"127.0.0.1:0\"\nmode = \"submission\"\n\n\
                     [[listener]]\naddress = \"127.0.0.1:0\"\nmode = \"submissions\"\n\n";
    // The folder is known only when it is there.
    let site = Site::new(&format!("local_domains = [\"example.test\"]\n{top}"), &format!("{listeners}{tables}"));
    std::fs::write(site.users(), users).expect("write the users");
    let text = std::fs::read_to_string(site.config()).expect("read the configuration");
    let auth = format!("[auth]\nusers = {:?}", site.users());
    let text = if text.contains("[auth]") { text.replace("[auth]", &auth) } else { format!("{text}\n{auth}\n") };
    std::fs::write(site.config(), text).expect("write the configuration");
    site
}

impl Site {
    pub(crate) fn users(&self) -> std::path::PathBuf {
        self.path().join("users.toml")
    }

    /// Trust in the certificate that the relay has made.
    pub(crate) fn trust(&self, identity: Option<&Identity>) -> Trust {
        Trust::file(&self.data().join("tls/cert.pem"), identity)
    }

    /// The lines of the audit log of one kind.
    pub(crate) fn events(&self, name: &str) -> Vec<Value> {
        self.audit().into_iter().filter(|line| line["event"] == name).collect()
    }
}
