//! OAUTHBEARER (RFC 7628) and XOAUTH2: a token in pairs of key and value, which SOH ends.

use super::{
    Answer, Password, Question,
    client::ClientError,
    gs2::{Flag, Header, escape},
    prepare::is_name,
    server::{Ask, Fault, Turn, Wait, acts_for},
};

/// Octets of a message that a line of base64 can carry (RFC 4954 §4).
const MESSAGE: usize = 9213;

/// In which form the token comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `gs2-header kvsep *kvpair kvsep` (RFC 7628 §3.1).
    OAuthBearer,
    /// `user=NAME` as the first of the pairs.
    XOAuth2,
}

/// A server that waits for the token.
pub(super) struct Server {
    pub(super) form: Form,
    pub(super) delegation: bool,
}

/// Whose token it is, is asked.
pub(super) struct Asked {
    form: Form,
    user: Option<Box<str>>,
    token: Password,
    delegation: bool,
}

impl Server {
    pub(super) fn message(self, message: &[u8]) -> Result<Turn, Fault> {
        let text = str::from_utf8(message).map_err(|_| Fault::Malformed)?;
        let (user, pairs) = match self.form {
            Form::OAuthBearer => {
                let (header, rest) = Header::parse(text).ok_or(Fault::Malformed)?;
                if matches!(header.flag, Flag::Binds(_)) {
                    return Err(Fault::Invalid);
                }
                (header.authzid, rest.strip_prefix('\x01').ok_or(Fault::Malformed)?)
            }
            Form::XOAuth2 => {
                let (user, rest) =
                    text.strip_prefix("user=").and_then(|rest| rest.split_once('\x01')).ok_or(Fault::Malformed)?;
                if !is_name(user) {
                    return Err(Fault::Invalid);
                }
                (Some(user.into()), rest)
            }
        };
        match token(pairs).ok_or(Fault::Malformed)? {
            "" => Ok(self.form.failure()),
            token => {
                let (token, Self { form, delegation }) = (Password::new(token), self);
                Ok(Turn::ask(Ask::Token(Asked { form, user, token, delegation })))
            }
        }
    }
}

/// The token of `*kvpair kvsep`, empty where there is none of the scheme `Bearer`.
///
/// `kvpair = key "=" value kvsep`; a key that is not known is nothing to us.
fn token(pairs: &str) -> Option<&str> {
    let pairs = pairs.strip_suffix('\x01').filter(|pairs| pairs.is_empty() || pairs.ends_with('\x01'))?;
    let mut found = None;
    for pair in pairs.split_terminator('\x01') {
        let (key, value) = pair.split_once('=')?;
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return None;
        }
        if value.bytes().any(|byte| !matches!(byte, b'\t' | b'\r' | b'\n' | b' '..=b'~')) {
            return None;
        }
        if key == "auth" && found.replace(value).is_some() {
            return None;
        }
    }
    let (scheme, token) = found.unwrap_or_default().split_once(' ').unwrap_or_default();
    let token = token.trim_start_matches(' ');
    Some(if scheme.eq_ignore_ascii_case("Bearer") && is_token(token) { token } else { "" })
}

/// `b64token` (RFC 6750 §2.1), and whatever else can be seen: what tokens are made of is for
/// those who make them.
fn is_token(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Form {
    /// What is wrong, as the client expects it before it hears the reply (RFC 7628 §3.2.2).
    fn failure(self) -> Turn {
        let text = match self {
            Self::OAuthBearer => r#"{"status":"invalid_token"}"#,
            Self::XOAuth2 => r#"{"status":"401","schemes":"bearer"}"#,
        };
        Turn::challenge(text, Wait::BearerFailed)
    }

    /// What a client says to that: `kvsep`, or nothing.
    pub(super) fn acknowledgement(self) -> &'static [u8] {
        match self {
            Self::OAuthBearer => b"\x01",
            Self::XOAuth2 => b"",
        }
    }
}

impl Asked {
    pub(super) fn question(&self) -> Question<'_> {
        Question::Token { user: self.user.as_deref(), token: &self.token }
    }

    pub(super) fn answer(self, answer: Answer) -> Turn {
        match answer {
            Answer::Accept(user) if self.delegation || acts_for(self.user.as_deref(), &[&user]) => Turn::Accepted(user),
            Answer::Accept(_) | Answer::Reject => self.form.failure(),
            other => Turn::other(other),
        }
    }
}

/// The message of a client.
pub(super) fn message(form: Form, user: &str, token: &str) -> Result<Vec<u8>, ClientError> {
    if !is_name(user) || !is_token(token) {
        return Err(ClientError::Credentials);
    }
    let start = match form {
        Form::OAuthBearer => format!("n,a={},", escape(user)),
        Form::XOAuth2 => format!("user={user}"),
    };
    let message = [&start, "\x01auth=Bearer ", token, "\x01\x01"].concat().into_bytes();
    if message.len() <= MESSAGE { Ok(message) } else { Err(ClientError::Credentials) }
}
