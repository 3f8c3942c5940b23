//! What is asked of a message that a user submits, and done for it (RFC 6409 §6 and §8).

use std::{fmt, sync::Arc};

use hikyaku_message::{Address, AddressList, Ambiguity, Date, HeaderScan, MessageId};
use hikyaku_queue::MsgId;
use hikyaku_wire::{Mailbox, Reply, Timestamp};

use super::{Refusal, limits};

/// Octets of a From or Sender field at the most: that is over a thousand authors.
const FIELD: usize = 64 * 1024;
/// Octets after which a line without a colon cannot become a From or Sender field.
const NAME: usize = 64;

/// Whether the user may send as an address.
type Owns = Arc<dyn Fn(&Mailbox) -> bool + Send + Sync>;

/// What is asked of a message that a user submits (RFC 6409 §8), and done for it.
#[derive(Clone)]
pub struct Submission {
    /// The name behind the `@` of a Message-ID that is added.
    pub hostname: String,
    /// Whether the user may send as this address; none: no address is looked at.
    pub owns: Option<Owns>,
}

impl Submission {
    /// The fields that are missing, as they stand in front of the message (RFC 6409 §8.2, §8.3).
    pub(super) fn missing(&self, scan: &HeaderScan, id: MsgId, time: Timestamp) -> String {
        let mut fields = String::new();
        if !scan.has("Date") {
            fields += &format!("Date: {}\r\n", Date::from(time));
        }
        if !scan.has("Message-ID") {
            // What is no name in an identifier must not cost the message.
            let hostname = MessageId::new(format!("{id}@{}", self.hostname));
            let message_id = hostname.or_else(|_| MessageId::new(format!("{id}@hikyaku.invalid")));
            fields += &message_id.map(|id| format!("Message-ID: {id}\r\n")).unwrap_or_default();
        }
        fields
    }
}

impl fmt::Debug for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owns = self.owns.as_ref().map(|_| "…");
        f.debug_struct("Submission").field("hostname", &self.hostname).field("owns", &owns).finish()
    }
}

/// Looks at From and Sender while the header section streams in.
///
/// The result is the same for every split of the octets: lines are looked at one by one, and what
/// is wrong first is told.
pub(super) struct Authors {
    owns: Owns,
    /// The field that is not over yet, as far as it is of interest.
    field: Vec<u8>,
    open: Open,
    /// A From field has been looked at, and is the user's.
    found: bool,
}

/// What is known of the field that is not over yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    /// It has no name so far.
    Unnamed,
    From,
    Sender,
    /// Any other.
    Passed,
}

impl Authors {
    pub(super) fn new(owns: Owns) -> Self {
        Self { owns, field: Vec::new(), open: Open::Unnamed, found: false }
    }

    /// Shows the next piece to the scanner and looks at what it finds.
    pub(super) fn push(&mut self, scan: &mut HeaderScan, piece: &[u8]) -> Result<(), Refusal> {
        for line in piece.split_inclusive(|&octet| octet == b'\n') {
            if scan.is_done() {
                break;
            }
            // A field is told with the first octet of the line behind it.
            let mut over = false;
            let used = scan.push_each(line, |_| over = true);
            if over {
                self.end_of_field()?;
            }
            self.keep(&line[..used])?;
            limits(scan)?;
            self.form(scan)?;
        }
        if scan.is_done() { self.end_of_section() } else { Ok(()) }
    }

    /// The message has ended, perhaps within its header section.
    pub(super) fn finish(&mut self, scan: &mut HeaderScan) -> Result<(), Refusal> {
        if scan.finish().is_some() {
            self.end_of_field()?;
        }
        self.form(scan)?;
        self.end_of_section()
    }

    /// What another program may read as another From field (RFC 5322 §3.6 allows one of each).
    fn form(&self, scan: &HeaderScan) -> Result<(), Refusal> {
        if let Some(malformed) = scan.malformed() {
            return Err(malformed.reply().append(&format!(": {malformed}")).into());
        }
        for name in ["From", "Sender"] {
            if scan.count(name) > 1 {
                return Err(not_owned(&format!("there are two {name} fields")));
            }
        }
        Ok(())
    }

    fn end_of_section(&self) -> Result<(), Refusal> {
        if self.found { Ok(()) } else { Err(not_owned("there is no From field")) }
    }

    /// Keeps the octets of a From or Sender field, and of others until their name is known.
    fn keep(&mut self, octets: &[u8]) -> Result<(), Refusal> {
        if self.open == Open::Passed {
            return Ok(());
        }
        self.field.extend_from_slice(octets);
        if self.open == Open::Unnamed {
            match self.field.iter().position(|&octet| octet == b':') {
                Some(colon) => {
                    let name = &self.field[..colon];
                    let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
                    self.open = if is("From") {
                        Open::From
                    } else if is("Sender") {
                        Open::Sender
                    } else {
                        Open::Passed
                    };
                    self.field.drain(..=colon);
                }
                None if self.field.len() > NAME => self.open = Open::Passed,
                None => {}
            }
        }
        if self.open == Open::Passed {
            self.field = Vec::new();
        }
        if self.field.len() > FIELD {
            return Err(Refusal { reply: Reply::TOO_BIG_552, limit: Some("header_size") });
        }
        Ok(())
    }

    fn end_of_field(&mut self) -> Result<(), Refusal> {
        let (field, open) = (std::mem::take(&mut self.field), std::mem::replace(&mut self.open, Open::Unnamed));
        match open {
            Open::From => {
                self.look("From", usize::MAX, &field)?;
                self.found = true;
                Ok(())
            }
            Open::Sender => self.look("Sender", 1, &field),
            Open::Unnamed | Open::Passed => Ok(()),
        }
    }

    /// Whether each address in the value is the user's, there is one at least, and no other
    /// program reads another one there.
    fn look(&self, name: &str, most: usize, value: &[u8]) -> Result<(), Refusal> {
        let list = AddressList::parse(value).map_err(|error| not_owned(&format!("{name}: {error}")))?;
        for ambiguity in list.ambiguities() {
            match ambiguity {
                // It is read in one way only if the user owns exactly that, which is asked below;
                // and encoded words in the quotes of a name are a common fault of clients.
                Ambiguity::QuotedLocalPart => {}
                Ambiguity::EncodedWord if list.mailboxes().all(|one| !one.address().to_string().contains("=?")) => {}
                _ => return Err(not_owned(&format!("{name}: {ambiguity}"))),
            }
        }
        if list.addresses().is_empty() || list.addresses().len() > most {
            return Err(not_owned(&format!("{name} holds {} addresses", list.addresses().len())));
        }
        for address in list.addresses() {
            let Address::Mailbox(mailbox) = address else {
                return Err(not_owned(&format!("{name} holds a group")));
            };
            let mailbox = mailbox.address().mailbox().map_err(|error| not_owned(&format!("{name}: {error}")))?;
            if !(self.owns)(&mailbox) {
                return Err(not_owned(&format!("{name} holds another address")));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Authors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authors").field("open", &self.open).field("found", &self.found).finish_non_exhaustive()
    }
}

fn not_owned(why: &str) -> Refusal {
    Reply::FROM_NOT_OWNED_550.append(&format!(": {why}")).into()
}

#[cfg(test)]
mod tests;
