use std::time::{Duration, Instant};

use bytes::BytesMut;
use hikyaku_wire::{BareLineEnds, Code, Decoded, DotDecoder, EnhancedCode, Reply};

use super::{
    Cause, Limit, Limits, Verdicts,
    connection::{Connection, Mode, Turn, refusal},
};

/// How much of a refused message is read where no size limit gives a bound.
const DISCARD: u64 = 64 << 20;

/// The message that is being received.
#[derive(Debug)]
pub(super) struct Incoming {
    decoder: DotDecoder,
    /// Octets of the message so far.
    size: u64,
    /// Octets of its current line so far.
    line: usize,
    /// Octets on the wire so far.
    received: u64,
    /// How long the peer was waited for.
    waited: Duration,
    /// Why the rest is dropped, and at which size reading stops.
    fault: Option<(Fault, u64)>,
}

#[derive(Debug)]
enum Fault {
    /// A CR or LF alone, or a NUL: the next server might see another end.
    Ambiguous,
    TooBig,
    LongLine,
    Refused(Reply),
}

impl Incoming {
    fn new() -> Self {
        Self {
            decoder: DotDecoder::new(BareLineEnds::Refuse),
            size: 0,
            line: 0,
            received: 0,
            waited: Duration::ZERO,
            fault: None,
        }
    }

    /// How long the next octets may take from the beginning of the wait, and the limit that
    /// this is.
    pub(super) fn patience(&self, limits: &Limits) -> (Duration, Limit) {
        let silence = (limits.body_timeout, Limit::BodyTime);
        if limits.body_rate == 0 {
            return silence;
        }
        let earned = Duration::from_millis(self.received.saturating_mul(1000) / u64::from(limits.body_rate));
        let allowed = limits.body_grace.saturating_add(earned).saturating_sub(self.waited);
        if allowed < limits.body_timeout { (allowed, Limit::ByteRate) } else { silence }
    }

    /// Whether a line goes on for longer than `limit` octets with its CRLF; 0 is no limit.
    fn has_long_line(&mut self, piece: &[u8], limit: usize) -> bool {
        let mut rest = piece;
        while limit > 0 && self.line + rest.len() > limit {
            let room = limit.saturating_sub(self.line);
            let Some(end) = rest[..room].iter().rposition(|&octet| octet == b'\n') else { return true };
            (self.line, rest) = (0, &rest[end + 1..]);
        }
        match rest.iter().rposition(|&octet| octet == b'\n') {
            Some(end) => self.line = rest.len() - end - 1,
            None => self.line += rest.len(),
        }
        false
    }

    /// Drops the rest. What is ambiguous stays the reason, whatever came before.
    fn fail(&mut self, fault: Fault, limit: u64) {
        let stop = match (&self.fault, limit) {
            (Some((_, stop)), _) => *stop,
            (None, 0) => self.size.saturating_add(DISCARD),
            (None, limit) => limit.saturating_mul(3),
        };
        if self.fault.is_none() || matches!(fault, Fault::Ambiguous) {
            self.fault = Some((fault, stop));
        }
    }
}

impl Connection {
    /// Asks for the message.
    pub(super) fn open_body(&mut self, out: &mut BytesMut) {
        self.mode = Mode::Body(Incoming::new());
        self.say(&Reply::START_INPUT_354, out);
    }

    /// Takes one piece of the message.
    pub(super) fn body(&mut self, now: Instant, input: &mut BytesMut, out: &mut BytesMut) -> Turn {
        let (limit, line) = (self.session.config.size, self.session.config.limits.text_line);
        let Mode::Body(incoming) = &mut self.mode else { return Turn::Done };
        // Only time spent waiting for the peer counts, not what the
        // application takes to store a piece.
        if self.waiting && !input.is_empty() {
            incoming.waited += now.saturating_duration_since(self.since);
        }
        if !self.waiting || !input.is_empty() {
            self.since = now;
        }
        if input.is_empty() {
            return Turn::Hungry;
        }
        let before = input.len();
        let decoded = incoming.decoder.decode(input);
        incoming.received += (before - input.len()) as u64;
        if incoming.decoder.bare_line_end().is_some() || matches!(decoded, Decoded::End(Err(_))) {
            incoming.fail(Fault::Ambiguous, limit);
        }
        match decoded {
            Decoded::More => Turn::Hungry,
            Decoded::End(_) => self.body_ended(now, out),
            Decoded::Data(piece) => {
                incoming.size += piece.len() as u64;
                if piece.contains(&0) {
                    incoming.fail(Fault::Ambiguous, limit);
                }
                if limit > 0 && incoming.size > limit {
                    incoming.fail(Fault::TooBig, limit);
                }
                if incoming.fault.is_none() && incoming.has_long_line(&piece, line) {
                    incoming.fail(Fault::LongLine, limit);
                }
                match &incoming.fault {
                    None => Turn::Piece(piece),
                    Some((_, stop)) if incoming.size <= *stop => Turn::Done,
                    Some(_) => {
                        let text = "far more than the message that was refused";
                        let reply = Reply::new(Code::UNAVAILABLE_421, EnhancedCode::new(4, 7, 0), text);
                        self.say_at(Limit::MessageSize, &reply, out);
                        Turn::Done
                    }
                }
            }
        }
    }

    /// The application does not want the rest.
    pub(super) fn refuse_body(&mut self, reply: Reply) {
        let limit = self.session.config.size;
        let reply = refusal(&reply).into_owned();
        if let Mode::Body(incoming) = &mut self.mode {
            incoming.fail(Fault::Refused(reply), limit);
        }
    }

    fn body_ended(&mut self, now: Instant, out: &mut BytesMut) -> Turn {
        let Mode::Body(incoming) = std::mem::replace(&mut self.mode, Mode::Command) else { return Turn::Done };
        let (reply, limit, closing, known) = match incoming.fault {
            None => return Turn::Message,
            Some((Fault::Ambiguous, _)) => (Reply::BARE_LINE_END_550, None, true, false),
            Some((Fault::TooBig, _)) => (Reply::TOO_BIG_552, Some(Limit::MessageSize), false, false),
            Some((Fault::LongLine, _)) => (Reply::TEXT_LINE_TOO_LONG_554, Some(Limit::TextLine), false, false),
            Some((Fault::Refused(reply), _)) => (reply, None, false, true),
        };
        let replies = Verdicts::One(reply).into_replies(self.session.protocol(), self.session.recipients());
        self.end(Cause::Refused);
        self.settle(now, &replies, limit, out);
        if known {
            self.known(&replies);
        }
        if closing {
            self.close();
        }
        Turn::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a message with this limit is too long in one of its lines, cut after every `step` octets.
    fn long(text: &str, limit: usize, step: usize) -> bool {
        let mut incoming = Incoming::new();
        text.as_bytes().chunks(step).any(|piece| incoming.has_long_line(piece, limit))
    }

    #[test]
    fn the_length_of_a_line_is_the_same_for_every_split() {
        for (text, longest) in [
            ("", 0),
            ("\r\n", 2),
            ("1234\r\n", 6),
            ("1\r\n1234\r\n12", 6),
            ("123456", 6),
            ("\r\n\r\n\r\n123456\r\n\r\n", 8),
            ("1234567890\r\n12\r\n12", 12),
        ] {
            for step in 1..=text.len().max(1) {
                for limit in 1..16 {
                    assert_eq!(long(text, limit, step), longest > limit, "{text:?} {limit} {step}");
                }
                assert!(!long(text, 0, step));
            }
        }
    }
}
