//! One transaction: which commands are on the way, which replies are awaited,
//! and where each recipient stands.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::BytesMut;
use hikyaku_wire::{Capabilities, Command, EhloKeyword, Recipient, RecipientParams, Reply};

use super::config::Timeouts;
use super::envelope::Envelope;
use super::outcome::{Outcome, Settled};
use crate::Protocol;

/// Commands that may be on the way without an answer, in octets. It is the
/// smallest usual socket buffer: a flight of this size never blocks a writer
/// whose peer does not read, so no two full windows can face each other
/// (RFC 2920 §3.1).
const FLIGHT: usize = 16 * 1024;

/// What a reply that is still to come will be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    Reset,
    Mail,
    Recipient(usize),
    Data,
    /// After a 354 that came although no recipient was accepted.
    LoneDot,
    /// After the final dot: one reply for all.
    Message,
    /// After the final dot: the reply for this recipient (RFC 2033 §4.2).
    Delivery(usize),
}

#[derive(Debug)]
enum Standing {
    /// Not asked yet, or not answered.
    Open,
    /// RCPT was accepted; the message decides.
    Accepted,
    Settled(Settled),
}

/// What follows from a reply.
#[derive(Debug)]
pub(super) enum Turn {
    /// The next reply, or the next flight.
    Next,
    /// 354: the message is wanted.
    Content,
    /// The conversation ends; what was said so far holds.
    Cut(Outcome),
    /// The reply cannot belong to the command: nothing said so far holds.
    Desync,
}

/// How a reply reads to a client that acts on codes only (RFC 5321 §4.2.1).
enum Sense {
    /// 25x, or the 200 of RFC 876. A 21x, 22x or 23x cannot be about mail.
    Yes,
    /// 354.
    GoOn,
    /// 4xx and 5xx.
    No,
    /// 421: and the remote closes.
    Closing,
    Odd,
}

impl Sense {
    fn of(reply: &Reply) -> Self {
        match reply.code().as_u16() {
            200..=209 | 250..=259 => Self::Yes,
            354 => Self::GoOn,
            421 => Self::Closing,
            400..=599 => Self::No,
            _ => Self::Odd,
        }
    }
}

#[derive(Debug)]
pub(super) struct Pipeline {
    protocol: Protocol,
    /// PIPELINING was offered.
    together: bool,
    unsent: VecDeque<(Awaited, Command)>,
    awaited: VecDeque<Awaited>,
    recipients: Vec<Standing>,
    /// The remote holds a transaction that no final dot has ended.
    open: bool,
    /// Each reply so far is known to belong to its command: DATA got its 354,
    /// and no other reply can be mistaken for that.
    attributed: bool,
    /// The final dot is written.
    handed_over: bool,
}

impl Pipeline {
    /// Plans the commands; `reset` if the remote still holds an older transaction.
    pub(super) fn new(
        protocol: Protocol,
        capabilities: &Capabilities,
        envelope: &Envelope,
        size: u64,
        reset: bool,
    ) -> Self {
        let mut unsent = VecDeque::with_capacity(envelope.to.len() + 3);
        if reset {
            unsent.push_back((Awaited::Reset, Command::Rset));
        }
        let mail = Command::Mail(envelope.mail(capabilities, size));
        unsent.push_back((Awaited::Mail, mail));
        let first_recipient = unsent.len();
        let mut recipients = Vec::with_capacity(envelope.to.len());
        for (index, to) in envelope.to.iter().enumerate() {
            if let Some(reply) = Envelope::recipient_refusal(capabilities, to) {
                recipients.push(Standing::Settled(Settled::NotTried(Outcome::ours(reply))));
                continue;
            }
            recipients.push(Standing::Open);
            let recipient = Recipient { to: to.clone(), params: RecipientParams::default() };
            unsent.push_back((Awaited::Recipient(index), Command::Rcpt(recipient)));
        }
        if unsent.len() == first_recipient {
            unsent.clear();
        } else {
            unsent.push_back((Awaited::Data, Command::Data));
        }
        Self {
            protocol,
            together: capabilities.has(&EhloKeyword::PIPELINING),
            unsent,
            awaited: VecDeque::new(),
            recipients,
            open: reset,
            attributed: false,
            handed_over: false,
        }
    }

    /// Whether a reply is still to come; if none is, whatever the remote says
    /// was not asked for.
    pub(super) fn is_waiting(&self) -> bool {
        !self.awaited.is_empty()
    }

    /// Writes the next flight. Afterwards nothing is awaited only if the
    /// transaction is over.
    pub(super) fn advance(&mut self, out: &mut BytesMut) {
        let start = out.len();
        while let Some((awaited, command)) = self.unsent.pop_front() {
            let wanted = self.is_waiting() || self.accepted().next().is_some();
            if awaited == Awaited::Data && !wanted {
                return;
            }
            command.write(out);
            self.awaited.push_back(awaited);
            if !self.together || out.len() - start >= FLIGHT {
                return;
            }
        }
    }

    /// How long the next reply may take.
    pub(super) fn timeout(&self, timeouts: &Timeouts) -> Duration {
        match self.awaited.front() {
            Some(Awaited::Reset | Awaited::Mail) | None => timeouts.mail,
            Some(Awaited::Recipient(_)) => timeouts.recipient,
            Some(Awaited::Data) => timeouts.data,
            Some(Awaited::LoneDot | Awaited::Message | Awaited::Delivery(_)) => timeouts.end,
        }
    }

    /// What the next reply is about, in words.
    pub(super) fn waits_for(&self) -> &'static str {
        match self.awaited.front() {
            Some(Awaited::Reset) => "the reply to RSET",
            Some(Awaited::Mail) => "the reply to MAIL",
            Some(Awaited::Recipient(_)) => "the reply to RCPT",
            Some(Awaited::Data) => "the reply to DATA",
            Some(Awaited::LoneDot | Awaited::Message | Awaited::Delivery(_)) => "the reply after the final dot",
            None => "the message to be taken",
        }
    }

    /// Gives the next reply its meaning.
    pub(super) fn take(&mut self, reply: Reply, out: &mut BytesMut) -> Turn {
        let Some(awaited) = self.awaited.pop_front() else {
            return Turn::Desync;
        };
        match (awaited, Sense::of(&reply)) {
            (_, Sense::Closing) => {
                self.refused(awaited, &reply);
                return Turn::Cut(Outcome::remote(reply));
            }
            (_, Sense::Odd) => return Turn::Desync,
            (Awaited::Data, Sense::GoOn) => return self.content_wanted(out),
            (_, Sense::GoOn) | (Awaited::Data, Sense::Yes) => return Turn::Desync,
            (Awaited::Reset, Sense::No) => return Turn::Cut(Outcome::reset_refused()),
            (Awaited::Reset, Sense::Yes) => self.open = false,
            (Awaited::Mail, Sense::Yes) => self.open = true,
            (Awaited::Recipient(index), Sense::Yes) => {
                let standing = &mut self.recipients[index];
                // Not after a refused MAIL: then all are settled already.
                if matches!(standing, Standing::Open) {
                    *standing = Standing::Accepted;
                }
            }
            (Awaited::Mail | Awaited::Recipient(_) | Awaited::Data, Sense::No) => {
                self.refused(awaited, &reply);
            }
            (Awaited::LoneDot, Sense::Yes | Sense::No) => {}
            (Awaited::Message, Sense::Yes | Sense::No) => self.settle_accepted(&reply),
            (Awaited::Delivery(index), Sense::Yes | Sense::No) => {
                self.recipients[index] = Standing::Settled(Settled::Said(reply));
            }
        }
        Turn::Next
    }

    fn content_wanted(&mut self, out: &mut BytesMut) -> Turn {
        self.attributed = true;
        if self.accepted().next().is_some() {
            return Turn::Content;
        }
        match self.protocol {
            // RFC 2920 §3.1: an empty message to nobody ends what should not have begun.
            Protocol::Smtp => {
                out.extend_from_slice(b".\r\n");
                self.open = false;
                self.awaited.push_back(Awaited::LoneDot);
                Turn::Next
            }
            // A dot would be answered once for each recipient the remote
            // believes in, and nobody can say how many these are.
            Protocol::Lmtp => Turn::Cut(Outcome::desync()),
        }
    }

    /// Settles whom a negative reply to this command concerns.
    fn refused(&mut self, awaited: Awaited, reply: &Reply) {
        match awaited {
            Awaited::Reset | Awaited::LoneDot => {}
            Awaited::Mail => {
                self.unsent.clear();
                self.settle(|standing| matches!(standing, Standing::Open), || Settled::Said(reply.clone()));
            }
            Awaited::Recipient(index) => {
                let standing = &mut self.recipients[index];
                if !matches!(standing, Standing::Settled(_)) {
                    *standing = Standing::Settled(Settled::Said(reply.clone()));
                }
            }
            Awaited::Data | Awaited::Message => self.settle_accepted(reply),
            Awaited::Delivery(index) => {
                self.recipients[index] = Standing::Settled(Settled::Said(reply.clone()));
            }
        }
    }

    /// The remote's word for each recipient that it had accepted.
    pub(super) fn settle_accepted(&mut self, reply: &Reply) {
        self.settle(|standing| matches!(standing, Standing::Accepted), || Settled::Said(reply.clone()));
    }

    /// The final dot is written: from here on a cut leaves the fate unknown.
    pub(super) fn hand_over(&mut self) {
        self.handed_over = true;
        self.open = false;
        match self.protocol {
            Protocol::Smtp => self.awaited.push_back(Awaited::Message),
            Protocol::Lmtp => {
                let deliveries: Vec<_> = self.accepted().map(Awaited::Delivery).collect();
                self.awaited.extend(deliveries);
            }
        }
    }

    /// Ends the transaction early; what the remote has said holds.
    pub(super) fn cut(&mut self, outcome: &Outcome) {
        let handed_over = self.handed_over;
        self.settle(
            |standing| !matches!(standing, Standing::Settled(_)),
            || {
                if handed_over { Settled::Unknown(outcome.clone()) } else { Settled::NotTried(outcome.clone()) }
            },
        );
    }

    /// Ends the transaction early because replies cannot be told apart:
    /// nothing the remote has said before the 354 to DATA holds.
    pub(super) fn desync(&mut self, outcome: &Outcome) {
        if !self.attributed {
            self.settle(
                |standing| !matches!(standing, Standing::Settled(Settled::NotTried(_))),
                || Settled::NotTried(outcome.clone()),
            );
        }
        self.cut(outcome);
    }

    /// Whether some of the replies in a flight are missing, so that those
    /// that came may belong to other commands than they seem to.
    pub(super) fn is_doubtful(&self) -> bool {
        self.together && self.is_waiting() && !self.attributed
    }

    /// Whether the final dot is written.
    pub(super) fn is_handed_over(&self) -> bool {
        self.handed_over
    }

    /// Whether the remote still holds a transaction.
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// What became of each recipient, in the order of the envelope.
    pub(super) fn into_settled(self) -> Vec<Settled> {
        let settled = |standing| match standing {
            Standing::Settled(settled) => settled,
            Standing::Open | Standing::Accepted => Settled::NotTried(Outcome::desync()),
        };
        self.recipients.into_iter().map(settled).collect()
    }

    fn accepted(&self) -> impl Iterator<Item = usize> {
        let accepted = |standing: &Standing| matches!(standing, Standing::Accepted);
        let all = self.recipients.iter().enumerate();
        all.filter(move |(_, standing)| accepted(standing)).map(|(index, _)| index)
    }

    fn settle(&mut self, whom: impl Fn(&Standing) -> bool, with: impl Fn() -> Settled) {
        for standing in &mut self.recipients {
            if whom(standing) {
                *standing = Standing::Settled(with());
            }
        }
    }
}
