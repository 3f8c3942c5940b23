/// Which of the two protocols a conversation speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// SMTP (RFC 5321): one reply for the whole message.
    #[default]
    Smtp,
    /// LMTP (RFC 2033): one reply for each accepted recipient.
    Lmtp,
}
