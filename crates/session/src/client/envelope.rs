//! The envelope of one message, and whether a remote can take it.

use hikyaku_wire::{
    Body, Capabilities, Code, EhloKeyword, EnhancedCode, ForwardPath, Mail, MailParams, Reply, ReversePath,
};

/// Who a message is from, whom it is for, and what its content needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The sender (RFC 5321 §4.1.1.2).
    pub from: ReversePath,
    /// What the message's content needs of the remote (RFC 6152).
    ///
    /// `BinaryMime` needs BDAT, which this client does not send: such a
    /// message is [`Unsupported`](super::Unsupported) everywhere.
    pub body: Body,
    /// Whether the message needs SMTPUTF8 whatever its addresses are, because
    /// its header section does (RFC 6531 §1.2).
    pub smtputf8: bool,
    /// The recipients, at least one; each gets a [`Settled`](super::Settled) of its own.
    pub to: Vec<ForwardPath>,
}

impl Envelope {
    /// An envelope for a 7-bit message with an ASCII header section.
    #[must_use]
    pub fn new(from: ReversePath, to: Vec<ForwardPath>) -> Self {
        Self { from, body: Body::SevenBit, smtputf8: false, to }
    }

    /// Why a remote with these capabilities can take the message for nobody.
    pub(super) fn refusal(&self, capabilities: &Capabilities, size: u64) -> Option<Reply> {
        if capabilities.size().is_some_and(|limit| size > limit) {
            let text = "message is larger than the next host takes";
            return Some(Reply::new(Code::TOO_BIG_552, EnhancedCode::new(5, 3, 4), text));
        }
        let body_travels = match self.body {
            Body::SevenBit => true,
            Body::EightBitMime => capabilities.has(&EhloKeyword::EIGHTBITMIME),
            Body::BinaryMime => false,
        };
        if !body_travels {
            let text = "the next host does not take 8-bit content";
            return Some(Reply::new(Code::TRANSACTION_FAILED_554, EnhancedCode::new(5, 6, 3), text));
        }
        let utf8 = self.smtputf8 || !self.from.is_ascii();
        if utf8 && !capabilities.has(&EhloKeyword::SMTPUTF8) {
            let text = "the next host does not take internationalised mail";
            return Some(Reply::new(Code::MAILBOX_UNAVAILABLE_550, EnhancedCode::new(5, 6, 7), text));
        }
        None
    }

    /// Why a remote with these capabilities cannot be given this recipient.
    pub(super) fn recipient_refusal(capabilities: &Capabilities, to: &ForwardPath) -> Option<Reply> {
        if to.is_ascii() || capabilities.has(&EhloKeyword::SMTPUTF8) {
            return None;
        }
        let text = "the next host does not take internationalised addresses";
        Some(Reply::new(Code::MAILBOX_NAME_553, EnhancedCode::new(5, 6, 7), text))
    }

    /// The MAIL command, with the parameters that the remote offered and the message needs.
    pub(super) fn mail(&self, capabilities: &Capabilities, size: u64) -> Mail {
        let smtputf8 = capabilities.has(&EhloKeyword::SMTPUTF8)
            && (self.smtputf8 || !self.from.is_ascii() || self.to.iter().any(|to| !to.is_ascii()));
        let mut params = MailParams::default();
        params.size = capabilities.has(&EhloKeyword::SIZE).then_some(size);
        params.body = Some(self.body).filter(|&body| body != Body::SevenBit);
        params.smtputf8 = smtputf8;
        Mail { from: self.from.clone(), params }
    }
}
