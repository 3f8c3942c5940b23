//! The server side.

use zeroize::Zeroizing;

use super::{
    EXPORTER,
    message::{ClientFinal, ClientFirst, base64},
};
use crate::sasl::{
    Answer, Question, ScramKeys, Secret,
    crypto::{hash, hmac, same, xor},
    gs2::Flag,
    prepare,
    server::{Ask, Fault, Setup, Turn, Wait, acts_for},
};

/// A server that waits for the client's first message.
pub(in crate::sasl) struct Server {
    secret: Secret,
    iterations: u32,
    delegation: bool,
    offers_plus: bool,
    /// What the client has to bind to, if the mechanism is the one that binds.
    binds: Option<[u8; 32]>,
}

/// What the client has said first; the keys of its user are asked.
pub(in crate::sasl) struct First {
    user: Box<str>,
    authzid: Option<Box<str>>,
    nonce: Box<str>,
    bare: Box<str>,
    /// What the client's last message has to repeat: its header, and the exporter.
    binding: Vec<u8>,
    delegation: bool,
    /// Keys that nobody has. They are made for each user, so that a known one costs the same.
    nobody: ScramKeys,
}

/// A server that has given the salt, and waits for the client's proof.
pub(in crate::sasl) struct Challenged {
    /// Who it is, if there is such a user, and if it may act for whom it wants to.
    user: Option<Box<str>>,
    keys: ScramKeys,
    nonce: Box<str>,
    binding: Vec<u8>,
    /// `client-first-message-bare "," server-first-message ","`
    messages: String,
}

impl Server {
    pub(in crate::sasl) fn new(setup: Setup<'_>, binds: Option<[u8; 32]>) -> Self {
        let Setup { secret, iterations, delegation, offers_plus, .. } = setup;
        Self { secret: secret.clone(), iterations, delegation, offers_plus, binds }
    }

    /// Takes `client-first-message`.
    pub(in crate::sasl) fn first(self, response: &[u8]) -> Result<Turn, Fault> {
        let text = str::from_utf8(response).map_err(|_| Fault::Malformed)?;
        let ClientFirst { header, user, nonce, bare } = ClientFirst::parse(text).ok_or(Fault::Malformed)?;
        match (header.flag, self.binds) {
            (Flag::Binds(EXPORTER), Some(_)) | (Flag::No, None) => {}
            // Somebody has taken the mechanism that binds out of what the client was offered.
            (Flag::NotOffered, None) if !self.offers_plus => {}
            _ => return Err(Fault::Invalid),
        }
        let user: Box<str> = prepare(&user).map_err(|_| Fault::Invalid)?.into();
        let binding = [header.text.as_bytes(), self.binds.as_ref().map_or(&[], |exporter| exporter)].concat();
        Ok(Turn::ask(Ask::Scram(First {
            nobody: ScramKeys::of_nobody(&self.secret, &user, self.iterations),
            user,
            authzid: header.authzid,
            nonce: nonce.into(),
            bare: bare.into(),
            binding,
            delegation: self.delegation,
        })))
    }
}

impl First {
    pub(in crate::sasl) fn question(&self) -> Question<'_> {
        Question::ScramKeys { user: &self.user, authzid: self.authzid.as_deref() }
    }

    /// Gives the client the salt, by `server-first-message`; `nonce` is printable.
    pub(in crate::sasl) fn answer(self, answer: Answer, nonce: &str) -> Turn {
        let (user, keys) = match answer {
            Answer::Keys { user, keys } if keys.are_usable() => (Some(user), keys),
            Answer::Reject => (None, self.nobody),
            other => return Turn::other(other),
        };
        let user = user.filter(|user| self.delegation || acts_for(self.authzid.as_deref(), &[&self.user, user]));
        let nonce = [&self.nonce, nonce].concat();
        let first = format!("r={nonce},s={},i={}", base64(&keys.salt), keys.iterations);
        let messages = format!("{},{first},", self.bare);
        let (nonce, binding) = (nonce.into(), self.binding);
        Turn::challenge(first, Wait::ScramChallenged(Challenged { user, keys, nonce, binding, messages }))
    }
}

impl Challenged {
    /// Takes `client-final-message`, and proves by `server-final-message` that the password is
    /// known here too.
    pub(in crate::sasl) fn last(self, response: &[u8]) -> Result<Turn, Fault> {
        let text = str::from_utf8(response).map_err(|_| Fault::Malformed)?;
        let last = ClientFinal::parse(text).ok_or(Fault::Malformed)?;
        let messages = [self.messages.as_bytes(), last.without_proof.as_bytes()];
        let client_signature = hmac(&self.keys.stored_key, &messages);
        let client_key = Zeroizing::new(xor(&last.proof, &client_signature));
        let proved = same(&hash(&*client_key), &self.keys.stored_key)
            & same(&last.binding, &self.binding)
            & (last.nonce == &*self.nonce);
        match self.user {
            Some(user) if proved => {
                let signature = hmac(&self.keys.server_key, &messages);
                Ok(Turn::challenge(format!("v={}", base64(&signature)), Wait::ScramProved(user)))
            }
            _ => Err(Fault::Invalid),
        }
    }
}
