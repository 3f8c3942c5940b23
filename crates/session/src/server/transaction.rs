use hikyaku_wire::Reply;

use crate::Protocol;

/// Why a transaction is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// The message was accepted (LMTP: for one recipient at least).
    Accepted,
    /// DATA or the message was refused.
    Refused,
    /// RSET.
    Reset,
    /// HELO, EHLO or LHLO.
    Hello,
    /// QUIT, 421, or the peer is gone.
    Cut,
}

/// The answer to a whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdicts {
    /// For all recipients. LMTP repeats it for each.
    One(Reply),
    /// For each recipient in the order of the accepted RCPT commands. SMTP
    /// gives the strictest.
    Each(Vec<Reply>),
}

impl Verdicts {
    /// The replies as they go on the wire. What is missing for a recipient is 451.
    pub(super) fn into_replies(self, protocol: Protocol, recipients: usize) -> Vec<Reply> {
        match (protocol, self) {
            (Protocol::Smtp, Self::One(reply)) => vec![reply],
            (Protocol::Lmtp, Self::One(reply)) => vec![reply; recipients],
            (protocol, Self::Each(mut replies)) => {
                replies.resize(recipients, Reply::LOCAL_ERROR_451);
                match protocol {
                    Protocol::Lmtp => replies,
                    Protocol::Smtp => replies.into_iter().rev().max_by_key(severity).into_iter().collect(),
                }
            }
        }
    }
}

fn severity(reply: &Reply) -> u8 {
    match () {
        () if reply.is_positive() => 0,
        () if reply.is_permanent() => 2,
        () => 1,
    }
}
