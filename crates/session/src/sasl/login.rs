//! LOGIN: the name and the password, one after the other, as old clients do it
//! (draft-murchison-sasl-login).

use super::{
    plain::Asked,
    prepare::{LIMIT, is_name},
    server::{Ask, Fault, Turn, Wait},
};

/// A server that waits for the name.
pub(super) struct Server;

/// A server that waits for the password.
pub(super) struct Named {
    user: Box<str>,
}

impl Server {
    /// Asks for the name.
    pub(super) fn prompt(self) -> Turn {
        Turn::challenge("Username:", Wait::Login(self))
    }

    /// Takes the name.
    pub(super) fn name(self, response: &[u8]) -> Result<Turn, Fault> {
        let user = text(response)?;
        if !is_name(user) {
            return Err(Fault::Invalid);
        }
        Ok(Turn::challenge("Password:", Wait::LoginNamed(Named { user: user.into() })))
    }
}

impl Named {
    /// Takes the password.
    pub(super) fn password(self, response: &[u8]) -> Result<Turn, Fault> {
        Asked::new(&self.user, None, text(response)?, false).map(|asked| Turn::ask(Ask::Password(asked)))
    }
}

fn text(response: &[u8]) -> Result<&str, Fault> {
    str::from_utf8(response).ok().filter(|text| text.len() <= LIMIT).ok_or(Fault::Malformed)
}
