//! The client side.

use std::num::NonZeroU32;

use zeroize::Zeroizing;

use super::{
    BINDS,
    message::{ServerFirst, base64, server_final},
};
use crate::sasl::{
    Password,
    client::ClientError,
    crypto::{Hash, hash, hmac, salted, same, xor},
    gs2::escape,
    keys::reasonable,
    prepare,
};

/// A client that has sent its first message, and waits for the salt.
pub(in crate::sasl) struct Started {
    /// The password, prepared.
    password: Password,
    nonce: String,
    bare: String,
    /// What the last message repeats: the header, and the exporter.
    binding: Vec<u8>,
}

/// A client that has sent its proof, and waits for the server's.
pub(in crate::sasl) struct Claimed {
    signature: Hash,
}

/// Begins, with `client-first-message`; `nonce` is printable. `exporter` is what to bind to, if the mechanism is the one
/// that binds; else `not_offered` is whether the client could, but the server has not offered it.
pub(in crate::sasl) fn start(
    user: &str,
    password: &Password,
    exporter: Option<[u8; 32]>,
    not_offered: bool,
    nonce: &str,
) -> Result<(Vec<u8>, Started), ClientError> {
    let prepared = |text| prepare(text).map_err(|_| ClientError::Credentials);
    let (user, password) = (prepared(user)?, Password::new(prepared(password.as_str())?));
    let header = match (exporter, not_offered) {
        (Some(_), _) => BINDS,
        (None, true) => "y,,",
        (None, false) => "n,,",
    };
    let bare = format!("n={},r={nonce}", escape(&user));
    let binding = [header.as_bytes(), exporter.as_ref().map_or(&[], |exporter| exporter)].concat();
    Ok(([header, &bare].concat().into_bytes(), Started { password, nonce: nonce.to_owned(), bare, binding }))
}

impl Started {
    /// Takes `server-first-message`, and proves with `client-final-message` that it knows the
    /// password.
    pub(in crate::sasl) fn prove(self, challenge: &[u8]) -> Result<(Vec<u8>, Claimed), ClientError> {
        let text = str::from_utf8(challenge).map_err(|_| ClientError::Challenge)?;
        let ServerFirst { nonce, salt, iterations } = ServerFirst::parse(text).ok_or(ClientError::Challenge)?;
        let added = nonce.strip_prefix(&*self.nonce).ok_or(ClientError::Challenge)?;
        if added.is_empty() {
            return Err(ClientError::Challenge);
        }
        let rounds = NonZeroU32::new(iterations).filter(|_| reasonable(iterations));
        let rounds = rounds.ok_or(ClientError::Iterations(iterations))?;
        let salted = salted(self.password.as_str(), &salt, rounds);
        let without_proof = format!("c={},r={nonce}", base64(&self.binding));
        let messages = format!("{},{text},{without_proof}", self.bare);
        let client_key = Zeroizing::new(hmac(&*salted, &[b"Client Key"]));
        let proof = xor(&client_key, &hmac(&hash(&*client_key), &[messages.as_bytes()]));
        let server_key = Zeroizing::new(hmac(&*salted, &[b"Server Key"]));
        let signature = hmac(&*server_key, &[messages.as_bytes()]);
        Ok((format!("{without_proof},p={}", base64(&proof)).into_bytes(), Claimed { signature }))
    }
}

impl Claimed {
    /// Takes `server-final-message`, which has to prove that the server knows the password.
    pub(in crate::sasl) fn verify(self, challenge: &[u8]) -> Result<(), ClientError> {
        let signature = str::from_utf8(challenge).ok().and_then(server_final).ok_or(ClientError::Challenge)?;
        if same(&signature, &self.signature) { Ok(()) } else { Err(ClientError::Server) }
    }
}
