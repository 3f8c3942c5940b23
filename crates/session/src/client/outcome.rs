//! What became of a conversation and of each recipient, always as a [`Reply`].

use hikyaku_wire::{Code, EnhancedCode, Reply, ReplyError};

/// Who said a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum By {
    /// This side, in place of a reply that never came or could not be used.
    Us,
    /// The remote, on the wire.
    Remote,
}

/// A reply, and who said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What was said.
    pub reply: Reply,
    /// Who said it.
    pub by: By,
}

impl Outcome {
    /// What this side says in place of the remote.
    #[must_use]
    pub const fn ours(reply: Reply) -> Self {
        Self { reply, by: By::Us }
    }

    /// What the remote said.
    #[must_use]
    pub const fn remote(reply: Reply) -> Self {
        Self { reply, by: By::Remote }
    }

    pub(super) fn timed_out(awaited: &str) -> Self {
        let text = format!("time-out while waiting for {awaited}");
        Self::ours(Reply::new(Code::LOCAL_ERROR_451, EnhancedCode::new(4, 4, 2), text))
    }

    pub(super) fn lost(awaited: &str) -> Self {
        let text = format!("connection lost while waiting for {awaited}");
        Self::ours(Reply::new(Code::LOCAL_ERROR_451, EnhancedCode::new(4, 4, 2), text))
    }

    pub(super) fn desync() -> Self {
        let text = "replies do not match commands".to_owned();
        Self::ours(Reply::new(Code::LOCAL_ERROR_451, EnhancedCode::new(4, 5, 0), text))
    }

    pub(super) fn reset_refused() -> Self {
        let text = "RSET was refused".to_owned();
        Self::ours(Reply::new(Code::LOCAL_ERROR_451, EnhancedCode::new(4, 5, 0), text))
    }

    /// TLS is demanded and cannot be had; no plain text goes out instead.
    pub(super) fn no_tls(text: String) -> Self {
        Self::ours(Reply::new(Code::TEMPORARY_AUTH_FAILURE_454, EnhancedCode::new(4, 7, 4), text))
    }

    /// Bytes that were not encrypted where TLS is due: somebody between may have put them there,
    /// to be read as the words of the remote.
    pub(super) fn injected() -> Self {
        let text = "plain text where TLS is due".to_owned();
        Self::ours(Reply::new(Code::TEMPORARY_AUTH_FAILURE_454, EnhancedCode::new(4, 7, 5), text))
    }

    pub(super) fn malformed(error: ReplyError) -> Self {
        Self::ours(error.reply())
    }

    pub(super) fn left() -> Self {
        let text = "closed without a reply to QUIT".to_owned();
        Self::ours(Reply::new(Code::BYE_221, EnhancedCode::new(2, 0, 0), text))
    }
}

/// What became of one recipient of an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The remote answered for this recipient: delivered if the reply is
    /// positive, refused for now or for good if not.
    Said(Reply),
    /// The message was not handed over, and this is why; another try cannot
    /// deliver it twice.
    NotTried(Outcome),
    /// The conversation was cut after the final dot: the message may or may
    /// not have been delivered (RFC 5321 §4.5.3.2.6).
    Unknown(Outcome),
}

impl Settled {
    /// Whether the remote has taken over the responsibility for this recipient.
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        matches!(self, Self::Said(reply) if reply.is_positive())
    }

    /// The reply that tells what became of the recipient, and who said it.
    #[must_use]
    pub fn into_outcome(self) -> Outcome {
        match self {
            Self::Said(reply) => Outcome::remote(reply),
            Self::NotTried(outcome) | Self::Unknown(outcome) => outcome,
        }
    }
}
