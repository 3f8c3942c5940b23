//! The octets that all sides get: made up, and the same in each run.

use bytes::BytesMut;

/// What one read of a socket brings.
pub const READ: usize = 16 * 1024;

/// What there is to do.
pub enum Work {
    /// Find the command lines in a buffer and parse each.
    Commands {
        /// The lines, each with CRLF.
        input: Vec<u8>,
        /// How many.
        count: usize,
    },
    /// The same, taken line by line out of a read buffer, as a session does it.
    CommandsByLines {
        /// The lines, each with CRLF.
        input: Vec<u8>,
        /// How many.
        count: usize,
    },
    /// Parse the reply to EHLO: which extensions are offered, SIZE and the mechanisms of AUTH.
    EhloReply(Vec<u8>),
    /// The same, and every line as a typed value in the server's order.
    EhloReplyAll(Vec<u8>),
    /// Parse a reply of one line.
    ReplyLine(Vec<u8>),
    /// Receive a message after DATA.
    Receive {
        /// The message.
        message: Vec<u8>,
        /// Whether bare CR and LF are looked for.
        refuse_bare: bool,
    },
    /// Put a message on the wire after DATA.
    Send(Vec<u8>),
    /// Find the fields of a header section.
    Header {
        /// The section with the empty line that ends it.
        section: Vec<u8>,
        /// How many fields it has.
        fields: u64,
    },
}

impl Work {
    /// Octets that go in.
    pub fn octets(&self) -> usize {
        match self {
            Self::Commands { input, .. } | Self::CommandsByLines { input, .. } => input.len(),
            Self::EhloReply(reply) | Self::EhloReplyAll(reply) | Self::ReplyLine(reply) => reply.len(),
            Self::Receive { message, .. } => on_the_wire(message).len(),
            Self::Send(message) => message.len(),
            Self::Header { section, .. } => section.len(),
        }
    }
}

/// The lines of the commands that are measured one by one.
pub mod lines {
    /// EHLO.
    pub const EHLO: &str = "EHLO mail.client.example.com\r\n";
    /// MAIL without parameters.
    pub const MAIL: &str = "MAIL FROM:<sender@example.com>\r\n";
    /// MAIL with what a modern client says.
    pub const MAIL_PARAMS: &str =
        "MAIL FROM:<sender@example.com> SIZE=1048576 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ314159\r\n";
    /// RCPT without parameters.
    pub const RCPT: &str = "RCPT TO:<recipient@example.net>\r\n";
    /// RCPT with DSN parameters (RFC 3461).
    pub const RCPT_DSN: &str =
        "RCPT TO:<recipient@example.net> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;recipient@example.net\r\n";
    /// The same with an octet that xtext must encode.
    pub const RCPT_XTEXT: &str =
        "RCPT TO:<recipient@example.net> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;recipient+2Btag@example.net\r\n";
    /// DATA.
    pub const DATA: &str = "DATA\r\n";
    /// AUTH with an initial response.
    pub const AUTH: &str = "AUTH PLAIN AHVzZXIAcGFzc3dvcmQxMjM=\r\n";
}

/// Ten times one line.
pub fn ten(line: &str) -> Work {
    Work::Commands { input: line.repeat(10).into_bytes(), count: 10 }
}

/// One MAIL and 50 RCPT.
pub fn envelope(params: bool) -> Vec<u8> {
    let mut lines = String::from(if params { lines::MAIL_PARAMS } else { lines::MAIL });
    for number in 0..50 {
        let address = format!("recipient{number:02}@example.net");
        lines += &match params {
            true => format!("RCPT TO:<{address}> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;{address}\r\n"),
            false => format!("RCPT TO:<{address}>\r\n"),
        };
    }
    lines.into_bytes()
}

/// A reply to EHLO of 12 lines.
pub const EHLO_REPLY: &str = "250-mx.example.com at your service, [192.0.2.1]\r\n\
    250-SIZE 52428800\r\n\
    250-8BITMIME\r\n\
    250-STARTTLS\r\n\
    250-ENHANCEDSTATUSCODES\r\n\
    250-PIPELINING\r\n\
    250-CHUNKING\r\n\
    250-SMTPUTF8\r\n\
    250-DSN\r\n\
    250-REQUIRETLS\r\n\
    250-AUTH PLAIN LOGIN XOAUTH2\r\n\
    250 HELP\r\n";

/// A reply of one line.
pub const REPLY_LINE: &str = "250 2.1.5 Destination address valid: Recipient ok\r\n";

/// Numbers that look random (Knuth's constants for a linear congruence), the same in each run.
fn numbers() -> impl Iterator<Item = usize> {
    let next =
        |state: &u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
    std::iter::successors(Some(42), next).map(|state| (state >> 40) as usize)
}

/// Lines of 76 octets that are cut from `octets`, until there are `length`.
fn lines_of_76(mut octets: impl Iterator<Item = u8>, length: usize) -> Vec<u8> {
    let mut lines = Vec::with_capacity(length);
    while lines.len() + 78 <= length {
        lines.extend(octets.by_ref().take(76));
        lines.extend_from_slice(b"\r\n");
    }
    lines
}

/// English words in lines of 76 octets.
pub fn text(length: usize) -> Vec<u8> {
    const WORDS: [&str; 12] = [
        "the ",
        "pigeon ",
        "carries ",
        "a ",
        "letter ",
        "over ",
        "mountain ",
        "and ",
        "river ",
        "to ",
        "its ",
        "loft ",
    ];
    lines_of_76(numbers().flat_map(|number| WORDS[number % WORDS.len()].bytes()), length)
}

/// Base64 in lines of 76 octets.
pub fn base64(length: usize) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    lines_of_76(numbers().map(|number| ALPHABET[number % 64]), length)
}

/// Lines of `columns` octets that begin with a dot. The first line of all does not: smtp-proto
/// takes no dot away there.
pub fn dots(length: usize, columns: usize) -> Vec<u8> {
    let line = format!(".{}\r\n", "a".repeat(columns - 1));
    let mut message = b"Subject: dots\r\n\r\n".to_vec();
    while message.len() < length {
        message.extend_from_slice(line.as_bytes());
    }
    message
}

/// A message as it stands on the wire after DATA: dots stuffed, the lone dot at the end.
pub fn on_the_wire(message: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(message.len() * 2 + 3);
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        if line.starts_with(b".") {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
    }
    wire.extend_from_slice(b".\r\n");
    wire
}

/// The octets of a message in the read buffers they came in, which can be used up and filled again.
pub struct Reads {
    wire: Vec<u8>,
    /// One buffer a read.
    pub buffers: Vec<BytesMut>,
}

impl Reads {
    /// Empty buffers for this message.
    pub fn new(message: &[u8]) -> Self {
        let wire = on_the_wire(message);
        let buffers = wire.chunks(READ).map(|read| BytesMut::with_capacity(read.len())).collect();
        Self { wire, buffers }
    }

    /// Fills them again, as reads of a socket would.
    pub fn fill(&mut self) {
        for (buffer, read) in self.buffers.iter_mut().zip(self.wire.chunks(READ)) {
            buffer.clear();
            buffer.extend_from_slice(read);
        }
    }
}

/// A header section of 4 KiB as a message has it after three hops, and its number of fields.
pub fn header() -> Work {
    let section = include_str!("header.txt").replace('\n', "\r\n").into_bytes();
    let is_field = |line: &&str| !line.is_empty() && !line.starts_with([' ', '\t']);
    let fields = include_str!("header.txt").lines().filter(is_field).count() as u64;
    Work::Header { section, fields }
}
