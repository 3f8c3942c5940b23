//! A scanner of the header section that sees each octet once (RFC 5322 §2.2).

use hikyaku_wire::Reply;
use memchr::memchr;

use super::{Field, Header, is_ftext};

/// How large a header section may be; more is reported by [`HeaderScan::over`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderLimits {
    /// Octets of the header section with its line ends; default 256 KiB.
    pub octets: u64,
    /// Header fields (not lines); default 1,000.
    pub fields: u64,
    /// `Received` fields; default 100 (RFC 5321 §6.3).
    pub hops: u64,
}

impl Default for HeaderLimits {
    fn default() -> Self {
        Self { octets: 256 * 1024, fields: 1000, hops: 100 }
    }
}

/// Which of the [`HeaderLimits`] was exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum HeaderLimit {
    /// More octets than [`HeaderLimits::octets`].
    #[error("header section too large")]
    Octets,
    /// More fields than [`HeaderLimits::fields`].
    #[error("too many header fields")]
    Fields,
    /// More `Received` fields than [`HeaderLimits::hops`]: a mail loop.
    #[error("too many hops")]
    Hops,
}

impl HeaderLimit {
    /// What the peer is told after the message: 552 5.3.4, 554 5.6.0 or 554 5.4.6.
    #[must_use]
    pub fn reply(self) -> Reply {
        match self {
            Self::Octets => Reply::TOO_BIG_552,
            Self::Fields => Reply::BAD_CONTENT_554,
            Self::Hops => Reply::LOOP_554,
        }
    }

    /// The limit as one word, for logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Octets => "header_octets",
            Self::Fields => "header_fields",
            Self::Hops => "hops",
        }
    }
}

/// How a header section departs from RFC 5322 §2.2 so that two readers may
/// see different fields in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Malformed {
    /// The first line begins with white space: it continues nothing.
    #[error("the first line of the header section begins with white space")]
    LeadingSpace,
    /// A line without a colon that continues nothing; it ends the section.
    #[error("a line of the header section has no colon")]
    NoColon,
    /// White space between the name and the colon; the name counts.
    #[error("white space before the colon of a header field")]
    SpaceBeforeColon,
    /// Nothing before the colon.
    #[error("a header field without a name")]
    EmptyName,
    /// A name with white space, control or non-ASCII octets inside.
    #[error("a header field name with a forbidden octet")]
    BadName,
}

impl Malformed {
    /// What the peer is told after the message where policy is strict: 554 5.6.0.
    #[must_use]
    pub fn reply(self) -> Reply {
        Reply::BAD_CONTENT_554
    }
}

/// Where a field lies: octets counted from the start of the message, as [`HeaderScan::push_each`]
/// finds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FieldSpan {
    /// The first octet of the name.
    pub start: u64,
    /// The colon behind the name.
    pub colon: u64,
    /// The octet after the CR LF that ends the field, or the end of the message.
    pub end: u64,
}

impl FieldSpan {
    /// The field, where `message` are the octets of the message from its start, as far as the
    /// caller has kept them; `None` where they end before the field does.
    #[must_use]
    pub fn field(self, message: &[u8]) -> Option<Field<'_>> {
        let index = |octet: u64| usize::try_from(octet).ok();
        let (start, colon, end) = (index(self.start)?, index(self.colon)?, index(self.end)?);
        Field::new(message.get(start..end)?, colon.checked_sub(start)?)
    }
}

/// The names that are counted: those of which RFC 5322 §3.6 allows one at most, and the trace
/// field that counts the hops.
const WATCHED: [&[u8]; 12] = [
    b"To",
    b"Cc",
    b"Bcc",
    b"From",
    b"Date",
    b"Sender",
    b"Subject",
    b"Reply-To",
    b"Received",
    b"Message-ID",
    b"References",
    b"In-Reply-To",
];
/// Position of `Received` in [`WATCHED`].
const RECEIVED: usize = 8;
/// One more than the longest watched name: a longer name is none of them.
const NAME_MAX: usize = 12;

/// The position of a name in [`WATCHED`], in any case.
fn watched(name: &[u8]) -> Option<usize> {
    // Length and one letter leave at most one candidate.
    let index = match (name.len(), name.first()? | 0x20) {
        (2, b't') => 0,
        (2, b'c') => 1,
        (3, b'b') => 2,
        (4, b'f') => 3,
        (4, b'd') => 4,
        (6, b's') => 5,
        (7, b's') => 6,
        (8, _) if name[2] | 0x20 == b'p' => 7,
        (8, b'r') => 8,
        (10, b'm') => 9,
        (10, b'r') => 10,
        (11, b'i') => 11,
        _ => return None,
    };
    // Most programs write them so.
    (WATCHED[index] == name || WATCHED[index].eq_ignore_ascii_case(name)).then_some(index)
}

/// How many octets at the start of `line` a name may hold: as [`is_ftext`] says, eight at a time.
fn name_len(line: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const TOPS: u64 = ONES * 0x80;
    let (words, tail) = line.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let colons = word ^ (ONES * u64::from(b':'));
        // The top bit of each octet that is below `!`, is a colon, or is above `~`. A borrow or a
        // carry spoils only octets behind one that is found.
        let below = word.wrapping_sub(ONES * u64::from(b'!')) & !word;
        let equal = colons.wrapping_sub(ONES) & !colons;
        let above = word.wrapping_add(ONES) | word;
        let found = (below | equal | above) & TOPS;
        if found != 0 {
            return index * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    words.len() * 8 + tail.iter().position(|&octet| !is_ftext(octet)).unwrap_or(tail.len())
}

/// Where the scanner stands in the current line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// At the first octet of a line.
    Start,
    /// In a line that has had no colon so far.
    Name,
    /// After the colon, or in a line that continues a field.
    Value,
    /// Past the header section.
    Done,
}

/// Finds the fields of a header section and counts what matters in them, while the message
/// streams through (RFC 5322 §2.2).
///
/// The result is the same for every split of the octets. Only CR LF ends a line. Memory is
/// constant: where the current field began, and at most a watched name's worth of octets.
///
/// The section ends at the first empty line or with the first line that can be neither a field
/// nor the continuation of one (it has no colon). A message may therefore have no header section
/// at all: one that begins with an empty line has zero fields and is well formed; one whose first
/// line is text has zero fields and is [`Malformed::NoColon`]. The scanner only looks, so such a
/// message can still be relayed octet by octet.
///
/// ```
/// use hikyaku_message::{HeaderLimits, HeaderScan};
///
/// let mut scan = HeaderScan::new(HeaderLimits::default());
/// let (mut kept, mut spans) = (Vec::new(), Vec::new());
/// for piece in [&b"Subject: a\r"[..], b"\n long st", b"ory\r\n\r\n.."] {
///     let used = scan.push_each(piece, |span| spans.push(span));
///     kept.extend_from_slice(&piece[..used]);
/// }
/// let field = spans[0].field(&kept).unwrap();
/// assert!(field.is("subject"));
/// assert_eq!(&*field.value(), b"a long story");
/// ```
#[derive(Debug, Clone)]
pub struct HeaderScan {
    limits: HeaderLimits,
    at: At,
    /// The last octet of this line was a CR.
    cr: bool,
    /// The first `NAME_MAX` octets of the name, and how many, while it is looked at octet by octet.
    name: [u8; NAME_MAX],
    name_len: usize,
    /// White space has followed the name.
    space: bool,
    /// The name holds an octet that no name may hold.
    bad: bool,
    /// Where the current line began, if it may be a field.
    line: u64,
    /// The field that is not over yet: where it began, and its colon.
    open: Option<(u64, u64)>,
    octets: u64,
    /// Where the first field began and the last that is over ended.
    span: Option<(u64, u64)>,
    /// The end of the section was there, not only the end of the message.
    complete: bool,
    fields: u64,
    counts: [u64; WATCHED.len()],
    malformed: Option<Malformed>,
    over: Option<HeaderLimit>,
}

impl HeaderScan {
    /// A scanner before the first octet of a message.
    #[must_use]
    pub fn new(limits: HeaderLimits) -> Self {
        Self {
            limits,
            at: At::Start,
            cr: false,
            name: [0; NAME_MAX],
            name_len: 0,
            space: false,
            bad: false,
            line: 0,
            open: None,
            octets: 0,
            span: None,
            complete: false,
            fields: 0,
            counts: [0; WATCHED.len()],
            malformed: None,
            over: None,
        }
    }

    /// Looks at the next piece of the message and says how many of its octets belong to the
    /// header section, the empty line after it included.
    ///
    /// What follows the section is ignored, so every piece may be given.
    pub fn push(&mut self, piece: &[u8]) -> usize {
        self.push_each(piece, |_| {})
    }

    /// Like [`push`](Self::push), and tells of each field once its end is known, which is when
    /// the next line has begun.
    pub fn push_each(&mut self, piece: &[u8], mut each: impl FnMut(FieldSpan)) -> usize {
        let mut used = 0;
        while self.at != At::Done && used < piece.len() {
            let rest = &piece[used..];
            let taken = match self.at {
                At::Value => self.skip_value(rest),
                At::Start if !self.cr => self.start_line(rest, &mut each),
                _ => self.step(rest[0]),
            };
            used += taken;
            self.octets = self.octets.saturating_add(taken as u64);
            if self.octets > self.limits.octets {
                self.over.get_or_insert(HeaderLimit::Octets);
            }
        }
        used
    }

    /// The message has ended: gives the field that was still open, if there is one. A line that
    /// had no colon until then is [`Malformed::NoColon`].
    pub fn finish(&mut self) -> Option<FieldSpan> {
        if self.at == At::Name || self.cr && self.at == At::Start {
            self.flag(Malformed::NoColon);
        }
        self.at = At::Done;
        self.close()
    }

    /// The header section that was scanned, where the message has ended or the end of the section
    /// has been seen, without looking at its octets again; `None` where these are not as many.
    #[must_use]
    pub fn header<'a>(&self, section: &'a [u8]) -> Option<Header<'a>> {
        let Self { complete, malformed, .. } = *self;
        let (start, end) = self.span.unwrap_or((0, 0));
        let is_whole = self.at == At::Done && section.len() as u64 == self.octets;
        // Offsets inside of the section fit its index type.
        is_whole.then_some(Header { section, start: start as usize, end: end as usize, complete, malformed })
    }

    /// Whether the end of the header section has been seen.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.at == At::Done
    }

    /// Octets seen of the header section.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// Header fields seen; a folded field is one.
    #[must_use]
    pub fn fields(&self) -> u64 {
        self.fields
    }

    /// `Received` fields seen, which is the number of hops (RFC 5321 §6.3).
    #[must_use]
    pub fn hops(&self) -> u64 {
        self.counts[RECEIVED]
    }

    /// How many fields have this name, in any case.
    ///
    /// Counted are `Received` and the fields that may occur at most once (RFC 5322 §3.6): From,
    /// Date, Message-ID, Sender, Reply-To, To, Cc, Bcc, In-Reply-To, References, Subject. Any
    /// other name counts 0.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        watched(name.as_bytes()).map_or(0, |index| self.counts[index])
    }

    /// Whether at least one field has this name; see [`count`](Self::count).
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.count(name) > 0
    }

    /// The first departure from the syntax, if any.
    #[must_use]
    pub fn malformed(&self) -> Option<Malformed> {
        self.malformed
    }

    /// The first limit that was exceeded, if any.
    #[must_use]
    pub fn over(&self) -> Option<HeaderLimit> {
        self.over
    }

    /// Takes the beginning of a line: one octet, a name with its colon, or a whole continuation.
    fn start_line(&mut self, rest: &[u8], each: &mut impl FnMut(FieldSpan)) -> usize {
        if matches!(rest[0], b' ' | b'\t') {
            if self.fields == 0 {
                self.flag(Malformed::LeadingSpace);
            }
            self.at = At::Value;
            return self.skip_value(rest);
        }
        if let Some(span) = self.close() {
            each(span);
        }
        self.line = self.octets;
        // The common case at once: a whole name, none of whose octets is strange.
        let len = name_len(rest);
        let within = self.octets.saturating_add(len as u64) < self.limits.octets;
        if len > 0 && rest.get(len) == Some(&b':') && within {
            self.field(self.octets + len as u64);
            self.count_name(&rest[..len]);
            return len + 1 + self.skip_value(&rest[len + 1..]);
        }
        self.name_len = 0;
        self.space = false;
        self.bad = false;
        if rest[0] == b'\r' {
            self.cr = true;
            return 1;
        }
        self.step(rest[0])
    }

    /// Skips to the end of the line and of those that continue it, or all of `rest`.
    fn skip_value(&mut self, rest: &[u8]) -> usize {
        let mut at = 0;
        while let Some(lf) = memchr(b'\n', &rest[at..]) {
            let cr = match (at + lf).checked_sub(1) {
                Some(before) => rest[before] == b'\r',
                None => self.cr,
            };
            at += lf + 1;
            self.cr = false;
            if cr && !matches!(rest.get(at), Some(b' ' | b'\t')) {
                self.at = At::Start;
                return at;
            }
        }
        if let Some(last) = rest.last() {
            self.cr = *last == b'\r';
        }
        rest.len()
    }

    /// Takes one octet before the colon of a line.
    fn step(&mut self, octet: u8) -> usize {
        let after_cr = std::mem::take(&mut self.cr);
        if after_cr && octet == b'\n' {
            // An empty line, or a line that has no colon.
            if self.at == At::Name {
                self.flag(Malformed::NoColon);
            }
            self.at = At::Done;
            self.complete = true;
            return 1;
        }
        self.at = At::Name;
        // A CR that ended no line is part of the name, and no name may hold it.
        self.bad |= after_cr;
        match octet {
            b':' => self.strange_field(),
            b'\r' => self.cr = true,
            b' ' | b'\t' => self.space = true,
            _ if is_ftext(octet) && !self.space => {
                if self.name_len < NAME_MAX {
                    self.name[self.name_len] = octet;
                    self.name_len += 1;
                }
            }
            _ => self.bad = true,
        }
        1
    }

    /// A colon ends a name that was looked at octet by octet.
    fn strange_field(&mut self) {
        self.field(self.octets);
        if self.bad {
            self.flag(Malformed::BadName);
            return;
        }
        if self.name_len == 0 {
            self.flag(Malformed::EmptyName);
            return;
        }
        if self.space {
            self.flag(Malformed::SpaceBeforeColon);
        }
        let name = self.name;
        self.count_name(&name[..self.name_len]);
    }

    /// Here is a field, whatever its name is.
    fn field(&mut self, colon: u64) {
        self.at = At::Value;
        self.open = Some((self.line, colon));
        self.fields += 1;
        if self.fields > self.limits.fields {
            self.over.get_or_insert(HeaderLimit::Fields);
        }
    }

    fn count_name(&mut self, name: &[u8]) {
        if let Some(index) = watched(name) {
            self.counts[index] += 1;
            if self.counts[RECEIVED] > self.limits.hops {
                self.over.get_or_insert(HeaderLimit::Hops);
            }
        }
    }

    /// The field that was open ends before the current octet.
    fn close(&mut self) -> Option<FieldSpan> {
        let (start, colon) = self.open.take()?;
        let end = self.octets;
        self.span = Some((self.span.map_or(start, |(first, _)| first), end));
        Some(FieldSpan { start, colon, end })
    }

    fn flag(&mut self, malformed: Malformed) {
        self.malformed.get_or_insert(malformed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan(message: &str) -> HeaderScan {
        let mut scan = HeaderScan::new(HeaderLimits::default());
        scan.push(message.as_bytes());
        scan
    }

    #[test]
    fn the_section_ends_where_it_ends() {
        // The message, and how many octets of it are the header section.
        let cases = [
            ("", 0, false),
            ("\r\nbody", 2, true),
            ("A: b\r\n\r\nbody", 8, true),
            ("A: b\r\n c\r\n\r\n", 12, true),
            ("A: b\r\n\r\r\n\r\n", 9, true),
            ("A: b\r\ntext\r\nB: c\r\n\r\n", 12, true),
            ("A: b\r\n", 6, false),
            ("A: b\n\nC: d\r\n", 12, false),
            ("A: b\r\n\r", 7, false),
        ];
        for (message, octets, done) in cases {
            let scan = scan(message);
            assert_eq!((scan.octets(), scan.is_done()), (octets, done), "{message:?}");
        }
    }

    /// What was scanned in pieces is what [`Header::parse`] finds, and is looked at only when it is
    /// whole.
    #[test]
    fn the_scanned_header_is_the_parsed_one() {
        for message in [
            "",
            "\r\nbody",
            "A: b\r\n\r\nbody",
            " x\r\nA: b\r\n c",
            "A: b\r\nB : c\r\ntext\r\nD: e\r\n",
            "A",
            "A: b\r\n\r",
        ] {
            let parsed = Header::parse(message.as_bytes(), HeaderLimits::default()).unwrap();
            for step in 1..=message.len().max(1) {
                let mut scan = HeaderScan::new(HeaderLimits::default());
                let mut used = 0;
                for piece in message.as_bytes().chunks(step) {
                    assert!(scan.is_done() || scan.header(&message.as_bytes()[..used]).is_none(), "{message:?}");
                    used += scan.push(piece);
                }
                scan.finish();
                let section = &message.as_bytes()[..used];
                assert_eq!(scan.header(section), Some(parsed), "{message:?}");
                assert!(section.is_empty() || scan.header(&section[1..]).is_none());
                assert_eq!(scan.header(&[section, b"x"].concat()), None, "{message:?}");
            }
        }
    }

    #[test]
    fn a_message_may_have_no_header_section() {
        let empty = scan("\r\nFrom: body\r\n");
        assert_eq!((empty.fields(), empty.malformed()), (0, None));
        let text = scan("Hello,\r\nFrom: body\r\n\r\n");
        assert_eq!((text.fields(), text.malformed()), (0, Some(Malformed::NoColon)));
        let nothing = scan("");
        assert_eq!((nothing.fields(), nothing.malformed()), (0, None));
    }

    #[test]
    fn fields_are_counted_not_lines() {
        let scan = scan(
            "Received: a\r\n\tReceived: b\r\n Received: c\r\nRECEIVED: d\r\nreceived : e\r\n\
             Received-SPF: f\r\nX-Received: g\r\nReceivedReceived: h\r\nReceive: i\r\n\r\n\
             Received: body\r\n",
        );
        assert_eq!((scan.hops(), scan.fields()), (3, 7));
        assert_eq!(scan.malformed(), Some(Malformed::SpaceBeforeColon));
    }

    #[test]
    fn watched_names_in_any_case() {
        let scan = scan("FROM: a\r\nfrom: b\r\nMessage-Id: <c@d>\r\nX-Date: e\r\n\r\nDate: f\r\n");
        assert_eq!((scan.count("From"), scan.count("from")), (2, 2));
        assert!(scan.has("Message-ID") && !scan.has("Date") && !scan.has("X-Date"));
    }

    /// D52, except for the counts.
    #[test]
    fn d52_malformed_sections() {
        let cases = [
            ("From: a@b\r\n\r\n", None),
            (" From: x\r\n\r\n", Some(Malformed::LeadingSpace)),
            ("\tx\r\nFrom: x\r\n\r\n", Some(Malformed::LeadingSpace)),
            ("From\r\n : a@b\r\n\r\n", Some(Malformed::NoColon)),
            ("From : a@b\r\n\r\n", Some(Malformed::SpaceBeforeColon)),
            ("From \t : a@b\r\n\r\n", Some(Malformed::SpaceBeforeColon)),
            (": a@b\r\n\r\n", Some(Malformed::EmptyName)),
            ("A: b\r\ntext\r\n\r\n", Some(Malformed::NoColon)),
            ("From a@b Mon Jan  1 00:00:00\r\nFrom: x\r\n\r\n", Some(Malformed::BadName)),
            ("Fr\u{fc}m: a\r\n\r\n", Some(Malformed::BadName)),
            ("Fr\0m: a\r\n\r\n", Some(Malformed::BadName)),
            ("A: b\r\n\rFrom: c\r\n\r\n", Some(Malformed::BadName)),
            ("A\nFrom: c\r\n\r\n", Some(Malformed::BadName)),
            ("A: b\r\n\r c\r\n\r\n", Some(Malformed::NoColon)),
            ("A: b\r\n\r\r\n\r\n", Some(Malformed::NoColon)),
        ];
        for (message, malformed) in cases {
            assert_eq!(scan(message).malformed(), malformed, "{message:?}");
        }
        // The field counts all the same, so that nothing hides behind its form.
        assert_eq!(scan("From : a@b\r\nFrom: c@d\r\n\r\n").count("From"), 2);
        assert_eq!(scan(" x\r\nFrom: c@d\r\n\r\n").count("From"), 1);
    }

    /// C1.20: names of any kind and length are only octets.
    #[test]
    fn strange_names() {
        let long = "x".repeat(8192);
        let message = format!("__proto__: a\r\nconstructor: b\r\n{long}: c\r\nreceived{long}: d\r\n\r\n");
        let scan = scan(&message);
        assert_eq!((scan.fields(), scan.hops(), scan.malformed()), (4, 0, None));
    }

    /// D52: 101 `Received` fields are one too many.
    #[test]
    fn d52_hops() {
        let hundred = "Received: from a by b;\r\n\tsome day\r\n".repeat(100);
        assert_eq!(scan(&format!("{hundred}\r\n")).over(), None);
        let scan = scan(&format!("{hundred}Received: x\r\n\r\n"));
        assert_eq!((scan.hops(), scan.over()), (101, Some(HeaderLimit::Hops)));
        assert_eq!(HeaderLimit::Hops.reply(), Reply::LOOP_554);
        // Only hops count as hops.
        let others = "X: y\r\n".repeat(500);
        assert_eq!(self::scan(&format!("{others}Received: x\r\n\r\n")).over(), None);
    }

    #[test]
    fn limits_of_fields_and_octets() {
        assert_eq!(scan(&"A: b\r\n".repeat(1000)).over(), None);
        assert_eq!(scan(&"A: b\r\n".repeat(1001)).over(), Some(HeaderLimit::Fields));
        let line = format!("A: {}\r\n", "b".repeat(256 * 1024 - 5));
        assert_eq!(scan(&line).over(), None);
        assert_eq!(scan(&format!("{line}\r")).over(), Some(HeaderLimit::Octets));
        // A body is not limited.
        assert_eq!(scan(&format!("\r\n{line}{line}")).over(), None);
    }

    #[test]
    fn each_watched_name_is_counted() {
        let names = [
            "Received",
            "From",
            "Date",
            "Message-ID",
            "Sender",
            "Reply-To",
            "To",
            "Cc",
            "Bcc",
            "In-Reply-To",
            "References",
            "Subject",
        ];
        for name in names {
            let field = format!("{name}: x\r\n");
            let others: String =
                names.iter().filter(|other| **other != name).map(|name| format!("{name}: x\r\n")).collect();
            assert_eq!(scan(&format!("{field}{others}{field}\r\n")).count(&name.to_ascii_uppercase()), 2, "{name}");
            let near: String =
                ["x", "xx"].map(|tail| format!("{}{tail}: x\r\n", &name[..name.len() - tail.len()])).concat();
            assert_eq!(scan(&near).count(name), 0, "{name}");
        }
        assert_eq!((scan("X: x\r\n").count("X"), scan("X: x\r\n").count("")), (0, 0));
    }

    /// Of two limits the one is told that was passed first, also where a name is taken at once.
    #[test]
    fn the_first_limit_is_told() {
        let limits = HeaderLimits { octets: 3, fields: 0, hops: 0 };
        for (message, over) in
            [("abcd: x", HeaderLimit::Octets), ("abc: x", HeaderLimit::Fields), ("ab: x", HeaderLimit::Fields)]
        {
            for step in [1, message.len()] {
                let mut scan = HeaderScan::new(limits);
                for piece in message.as_bytes().chunks(step) {
                    scan.push(piece);
                }
                assert_eq!(scan.over(), Some(over), "{message} in pieces of {step}");
            }
        }
    }

    #[test]
    fn names_are_measured_as_is_ftext_says() {
        for octet in 0..=255_u8 {
            for len in 0..20 {
                let mut line = vec![b'x'; len];
                line.extend([octet, b'\xff', b':', b' ', b'~']);
                let expected = line.iter().position(|&octet| !is_ftext(octet));
                assert_eq!(Some(name_len(&line)), expected, "{octet:#x} at {len}");
            }
        }
        assert_eq!((name_len(b""), name_len(b"twelve-octet"), name_len(b"sixteen.octets!!")), (0, 12, 16));
    }

    proptest! {
        #[test]
        fn every_split_is_the_same(
            message in "([ \t:x]|\r|\n|\r\n|\r\n\r\n|\r\nReceived|\r\nFrom|\u{e9}){0,40}",
            step in 0_u8..20,
        ) {
            let mut data = vec![step];
            data.extend_from_slice(message.as_bytes());
            crate::fuzzing::header(&data);
        }

        #[test]
        fn every_octet_string_is_scanned(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            crate::fuzzing::header(&data);
        }
    }
}
