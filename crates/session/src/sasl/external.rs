//! EXTERNAL: the TLS certificate says who it is (RFC 4422 appendix A).

use super::{
    Answer, Question,
    prepare::is_name,
    server::{Ask, Fault, Turn, acts_for},
};
use crate::Certificate;

/// A server that waits for the name, if any.
pub(super) struct Server {
    pub(super) certificate: Certificate,
    pub(super) delegation: bool,
}

/// Whose certificate it is, is asked.
pub(super) struct Asked {
    certificate: Certificate,
    authzid: Option<Box<str>>,
    delegation: bool,
}

impl Server {
    /// `extern-resp = *( UTF8-char-no-nul )`
    pub(super) fn name(self, response: &[u8]) -> Result<Turn, Fault> {
        let name = str::from_utf8(response).map_err(|_| Fault::Malformed)?;
        let authzid = match name {
            "" => None,
            _ if name.contains('\0') => return Err(Fault::Malformed),
            _ if is_name(name) => Some(name.into()),
            _ => return Err(Fault::Invalid),
        };
        let Self { certificate, delegation } = self;
        Ok(Turn::ask(Ask::Certificate(Asked { certificate, authzid, delegation })))
    }
}

impl Asked {
    pub(super) fn question(&self) -> Question<'_> {
        Question::Certificate { certificate: &self.certificate, authzid: self.authzid.as_deref() }
    }

    pub(super) fn answer(self, answer: Answer) -> Turn {
        match answer {
            Answer::Accept(user) if self.delegation || acts_for(self.authzid.as_deref(), &[&user]) => {
                Turn::Accepted(user)
            }
            Answer::Accept(_) | Answer::Reject => Fault::Invalid.into(),
            other => Turn::other(other),
        }
    }
}
