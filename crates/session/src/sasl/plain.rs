//! PLAIN: the names and the password in one message (RFC 4616).

use super::{
    Answer, Password, Question,
    client::ClientError,
    prepare::{LIMIT, is_name, is_password},
    server::{Ask, Fault, Turn, acts_for},
};

/// A server that waits for the message.
pub(super) struct Server {
    pub(super) delegation: bool,
}

/// Who wants to be let in with which password, of PLAIN or LOGIN.
pub(super) struct Asked {
    user: Box<str>,
    authzid: Option<Box<str>>,
    password: Password,
    delegation: bool,
}

impl Server {
    /// `message = [authzid] UTF8NUL authcid UTF8NUL passwd`
    pub(super) fn message(self, message: &[u8]) -> Result<Turn, Fault> {
        let text = str::from_utf8(message).map_err(|_| Fault::Malformed)?;
        let mut parts = text.split('\0');
        let (Some(authzid), Some(user), Some(password), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Fault::Malformed);
        };
        let authzid = (!authzid.is_empty()).then_some(authzid);
        Asked::new(user, authzid, password, self.delegation).map(|asked| Turn::ask(Ask::Password(asked)))
    }
}

impl Asked {
    /// Of what the client has sent, if it can be somebody's.
    pub(super) fn new(user: &str, authzid: Option<&str>, password: &str, delegation: bool) -> Result<Self, Fault> {
        if [user, authzid.unwrap_or_default(), password].iter().any(|text| text.len() > LIMIT) {
            return Err(Fault::Malformed);
        }
        if !is_name(user) || !is_password(password) || !authzid.is_none_or(is_name) {
            return Err(Fault::Invalid);
        }
        let (user, authzid) = (user.into(), authzid.map(Into::into));
        Ok(Self { user, authzid, password: Password::new(password), delegation })
    }

    pub(super) fn question(&self) -> Question<'_> {
        Question::Password { user: &self.user, authzid: self.authzid.as_deref(), password: &self.password }
    }

    pub(super) fn answer(self, answer: Answer) -> Turn {
        match answer {
            Answer::Accept(user) => {
                if self.delegation || acts_for(self.authzid.as_deref(), &[&self.user, &user]) {
                    Turn::Accepted(user)
                } else {
                    Fault::Invalid.into()
                }
            }
            Answer::Reject => Fault::Invalid.into(),
            other => Turn::other(other),
        }
    }
}

/// The message of a client.
pub(super) fn message(user: &str, password: &str) -> Result<Vec<u8>, ClientError> {
    check(user, password).map(|()| ["\0", user, "\0", password].concat().into_bytes())
}

/// Whether a server can take them.
pub(super) fn check(user: &str, password: &str) -> Result<(), ClientError> {
    if is_name(user) && is_password(password) { Ok(()) } else { Err(ClientError::Credentials) }
}
