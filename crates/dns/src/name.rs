use std::cmp::Ordering;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// Longest label, in octets (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;
/// Longest name without its root label, in octets of the wire form
/// (RFC 1035 §2.3.4: 255 with it); 253 characters of text without escapes.
const MAX_NAME: usize = 254;

/// A fully qualified DNS name, in lower case (RFC 1035 §2.3, RFC 4343).
///
/// Any octet may stand in a label, underscores included; labels have 1 to 63
/// octets, a name at most 253 characters. ASCII letters are lowered on the way
/// in, so that comparison is that of the DNS. The order is the canonical one of
/// RFC 4034 §6.1: a name comes directly before all names below it.
///
/// The text form has no final dot, but for the root, which is `.`. What is not
/// a printable ASCII character, and what has a meaning in a master file, is
/// escaped (`\.`, `\032`), so that a printed name never holds white space,
/// control characters or unescaped parentheses, whatever a server answered.
///
/// ```
/// use hikyaku_dns::Name;
///
/// let name: Name = "_25._TCP.MX.Example.Test.".parse()?;
/// assert_eq!(name.to_string(), "_25._tcp.mx.example.test");
/// assert_eq!(Name::from_domain("bücher.example")?.to_string(), "xn--bcher-kva.example");
/// # Ok::<(), hikyaku_dns::NameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name {
    /// Labels in wire form, each behind its length, without the root label.
    wire: Box<[u8]>,
}

/// Why a text is not a DNS name; positions count octets of the text from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing, or nothing between two dots.
    #[error("empty label at octet {0}")]
    EmptyLabel(usize),
    /// More than 63 octets between two dots.
    #[error("label of more than 63 octets at octet {0}")]
    LabelTooLong(usize),
    /// More than 253 characters (255 octets in wire form).
    #[error("name of more than 253 characters")]
    TooLong,
    /// A backslash without a character or three digits up to 255 behind it.
    #[error("incomplete escape at octet {0}")]
    BadEscape(usize),
    /// White space, a control character or an octet outside ASCII, not escaped.
    #[error("octet that a name cannot hold unescaped at octet {0}")]
    BadOctet(usize),
    /// A name with U-labels that IDNA does not allow (RFC 5890, UTS #46).
    #[error("not an internationalised domain name")]
    NotIdna,
}

impl Name {
    /// The root, `.`, which as a mail exchange means that no mail is accepted
    /// (RFC 7505).
    pub fn root() -> Self {
        Self { wire: Box::from([]) }
    }

    /// Makes a name of a mail domain, turning U-labels into A-labels
    /// (RFC 5890 §2.3.2.1, UTS #46 non-transitional).
    ///
    /// # Errors
    ///
    /// As for parsing, and [`NameError::NotIdna`]. A character that IDNA maps
    /// to a dot is refused: the mail system saw one label where the DNS would
    /// see two.
    pub fn from_domain(domain: &str) -> Result<Self, NameError> {
        if domain.is_ascii() {
            return domain.parse();
        }
        let ascii = Uts46::new()
            .to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::Check, DnsLength::VerifyAllowRootDot)
            .map_err(|_| NameError::NotIdna)?;
        let dots = |text: &str| text.bytes().filter(|octet| *octet == b'.').count();
        if dots(domain) != dots(&ascii) {
            return Err(NameError::NotIdna);
        }
        ascii.parse()
    }

    /// Makes a name of its labels, leftmost first, without the root label.
    ///
    /// # Errors
    ///
    /// [`NameError`] where a label or the name has a length that is not
    /// allowed; the position is the number of the label.
    pub fn from_labels<'a>(labels: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, NameError> {
        let mut wire = Wire::new();
        for (at, label) in labels.into_iter().enumerate() {
            wire.extend(label);
            wire.end_label(at)?;
        }
        Ok(wire.into_name())
    }

    /// The name under which the host name of an address is looked up:
    /// `in-addr.arpa` (RFC 1035 §3.5) or `ip6.arpa` (RFC 3596 §2.5).
    ///
    /// An IPv4-mapped IPv6 address is taken as the IPv4 address it holds.
    pub fn reverse(address: IpAddr) -> Self {
        let (labels, zone): (Vec<String>, _) = match address.to_canonical() {
            IpAddr::V4(v4) => {
                let labels = v4.octets().iter().rev().map(u8::to_string).collect();
                (labels, "in-addr")
            }
            IpAddr::V6(v6) => {
                let nibbles = v6.octets().into_iter().rev().flat_map(|o| [o & 15, o >> 4]);
                (nibbles.map(|n| format!("{n:x}")).collect(), "ip6")
            }
        };
        let labels = labels.iter().map(String::as_str).chain([zone, "arpa"]);
        Self::from_labels(labels.map(str::as_bytes)).expect("34 labels of at most 7 octets fit")
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.wire.is_empty()
    }

    /// The labels, leftmost first, without the root label.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.wire[..];
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first()?;
            let (label, after) = after.split_at(usize::from(*length));
            rest = after;
            Some(label)
        })
    }

    /// The name without its leftmost label; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let length = usize::from(*self.wire.first()?);
        Some(Self { wire: self.wire[1 + length..].into() })
    }

    /// Whether this is `ancestor` or a name below it.
    pub fn is_within(&self, ancestor: &Self) -> bool {
        let mut rest = &self.wire[..];
        while rest.len() > ancestor.wire.len() {
            rest = &rest[1 + usize::from(rest[0])..];
        }
        *rest == *ancestor.wire
    }

    /// Puts the labels of this name in front of another:
    /// `_dmarc` and `example.test` make `_dmarc.example.test`.
    ///
    /// # Errors
    ///
    /// [`NameError::TooLong`].
    pub fn join(&self, suffix: &Self) -> Result<Self, NameError> {
        let wire = [&self.wire[..], &suffix.wire[..]].concat();
        if wire.len() > MAX_NAME {
            return Err(NameError::TooLong);
        }
        Ok(Self { wire: wire.into() })
    }

    /// Octets in wire form, the root label included.
    pub(crate) fn wire_len(&self) -> usize {
        self.wire.len() + 1
    }

    /// Reads the text form, and says whether it ended in a dot.
    pub(crate) fn read(text: &[u8]) -> Result<(Self, bool), NameError> {
        if text == b"." {
            return Ok((Self::root(), true));
        }
        let mut wire = Wire::new();
        let mut start = 0;
        let mut at = 0;
        while at < text.len() {
            match text[at] {
                b'.' => {
                    wire.end_label(start)?;
                    start = at + 1;
                    at += 1;
                }
                b'\\' => {
                    let (octet, length) = unescape(&text[at..]).ok_or(NameError::BadEscape(at))?;
                    wire.push(octet);
                    at += length;
                }
                octet if octet.is_ascii_graphic() => {
                    wire.push(octet);
                    at += 1;
                }
                _ => return Err(NameError::BadOctet(at)),
            }
        }
        let absolute = start == text.len() && start > 0;
        if !absolute {
            wire.end_label(start)?;
        }
        Ok((wire.into_name(), absolute))
    }

    /// Where the labels begin in `wire`, and how many there are.
    fn starts(&self) -> ([u8; MAX_NAME / 2], usize) {
        let mut starts = [0; MAX_NAME / 2];
        let (mut at, mut count) = (0_u8, 0);
        while let Some(length) = self.wire.get(usize::from(at)) {
            starts[count] = at;
            count += 1;
            at += 1 + length;
        }
        (starts, count)
    }

    fn label_at(&self, start: u8) -> &[u8] {
        let start = usize::from(start);
        &self.wire[start + 1..][..usize::from(self.wire[start])]
    }
}

/// The wire form of a name that is being read.
struct Wire {
    octets: [u8; MAX_NAME],
    /// How many octets the labels have that have ended.
    ended: usize,
    /// How many the label has that has not.
    label: usize,
}

impl Wire {
    fn new() -> Self {
        Self { octets: [0; MAX_NAME], ended: 0, label: 0 }
    }

    /// Adds an octet to the label.
    fn push(&mut self, octet: u8) {
        self.label += 1;
        if let Some(place) = self.octets.get_mut(self.ended + self.label) {
            *place = octet.to_ascii_lowercase();
        }
    }

    /// Adds octets to the label.
    fn extend(&mut self, octets: &[u8]) {
        let start = self.ended + 1 + self.label;
        self.label += octets.len();
        if let Some(places) = self.octets.get_mut(start..start + octets.len()) {
            places.copy_from_slice(octets);
            places.make_ascii_lowercase();
        }
    }

    /// Ends the label, which begins at `at`.
    fn end_label(&mut self, at: usize) -> Result<(), NameError> {
        let length = match u8::try_from(self.label) {
            Ok(0) => return Err(NameError::EmptyLabel(at)),
            Ok(length) if self.label <= MAX_LABEL => length,
            _ => return Err(NameError::LabelTooLong(at)),
        };
        let end = self.ended + 1 + self.label;
        if end > MAX_NAME {
            return Err(NameError::TooLong);
        }
        self.octets[self.ended] = length;
        (self.ended, self.label) = (end, 0);
        Ok(())
    }

    fn into_name(self) -> Name {
        Name { wire: self.octets[..self.ended].into() }
    }
}

/// The octet that an escape stands for (RFC 1035 §5.1: `\X`, `\DDD`), and the
/// length of the escape.
pub(crate) fn unescape(text: &[u8]) -> Option<(u8, usize)> {
    match text {
        [b'\\', a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', ..] => {
            let value = [a, b, c].iter().fold(0_u16, |value, digit| value * 10 + u16::from(**digit - b'0'));
            Some((u8::try_from(value).ok()?, 4))
        }
        [b'\\', octet, ..] if octet.is_ascii_graphic() && !octet.is_ascii_digit() => Some((*octet, 2)),
        [b'\\', b' ', ..] => Some((b' ', 2)),
        _ => None,
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::read(text.as_bytes()).map(|(name, _)| name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;

        if self.is_root() {
            return out.write_char('.');
        }
        for (at, label) in self.labels().enumerate() {
            if at > 0 {
                out.write_char('.')?;
            }
            for octet in label {
                match octet {
                    b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => {
                        write!(out, "\\{}", char::from(*octet))?;
                    }
                    octet if octet.is_ascii_graphic() => out.write_char(char::from(*octet))?,
                    octet => write!(out, "\\{octet:03}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Name({self})")
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        let (ours, our_count) = self.starts();
        let (theirs, their_count) = other.starts();
        let pairs = ours[..our_count].iter().rev().zip(theirs[..their_count].iter().rev());
        for (a, b) in pairs {
            match self.label_at(*a).cmp(other.label_at(*b)) {
                Ordering::Equal => {}
                unequal => return unequal,
            }
        }
        our_count.cmp(&their_count)
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_read_and_printed() {
        let long_label = "a".repeat(63);
        // 3 * 64 + 61 characters with the dots between them: 253.
        let longest = [&*long_label, &*long_label, &*long_label, &"b".repeat(61)].join(".");
        for (text, printed) in [
            (".", "."),
            ("example.test", "example.test"),
            ("example.test.", "example.test"),
            ("MX.Example.TEST", "mx.example.test"),
            ("_25._tcp.mx.example.test", "_25._tcp.mx.example.test"),
            ("0/25.2.0.192.in-addr.arpa", "0/25.2.0.192.in-addr.arpa"),
            (r"first\.last.example.test", r"first\.last.example.test"),
            (r"\065\066.test", "ab.test"),
            (r"a\010b.test", r"a\010b.test"),
            (r"a\ b.test", r"a\032b.test"),
            ("a(b)@c.test", r"a\(b\)\@c.test"),
            (r"\200.test", r"\200.test"),
            (r"a\.", r"a\."),
            (&long_label, &long_label),
            (&longest, &longest),
        ] {
            assert_eq!(name(text).to_string(), printed, "{text}");
            assert_eq!(name(printed), name(text), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_name_is_refused() {
        let long_label = "a".repeat(64);
        let too_long = ["a".repeat(63), "a".repeat(63), "a".repeat(63), "b".repeat(62)].join(".");
        for (text, error) in [
            ("", NameError::EmptyLabel(0)),
            ("..", NameError::EmptyLabel(0)),
            (".test", NameError::EmptyLabel(0)),
            ("a..test", NameError::EmptyLabel(2)),
            ("a.test..", NameError::EmptyLabel(7)),
            (&long_label, NameError::LabelTooLong(0)),
            (&too_long, NameError::TooLong),
            (r"a\256.test", NameError::BadEscape(1)),
            (r"a\25", NameError::BadEscape(1)),
            ("a\\", NameError::BadEscape(1)),
            ("a b.test", NameError::BadOctet(1)),
            ("a\r\n.test", NameError::BadOctet(1)),
            ("b\u{fc}cher.test", NameError::BadOctet(1)),
        ] {
            assert_eq!(text.parse::<Name>(), Err(error), "{text}");
        }
    }

    #[test]
    fn u_labels_become_a_labels() {
        for (domain, expected) in [
            ("b\u{fc}cher.example", Ok(name("xn--bcher-kva.example"))),
            ("B\u{dc}CHER.Example.", Ok(name("xn--bcher-kva.example"))),
            ("fa\u{df}.de", Ok(name("xn--fa-hia.de"))),
            ("_dmarc.example", Ok(name("_dmarc.example"))),
            // One label for the mail system, two for the DNS.
            ("foo\u{3002}b\u{fc}cher.example", Err(NameError::NotIdna)),
            ("a\u{fc}_b.example", Err(NameError::NotIdna)),
            ("-\u{fc}.example", Err(NameError::NotIdna)),
            ("\u{fc}..example", Err(NameError::NotIdna)),
            ("\u{200b}\u{fc}\u{2028}.example", Err(NameError::NotIdna)),
            ("a..example", Err(NameError::EmptyLabel(2))),
        ] {
            assert_eq!(Name::from_domain(domain), expected, "{domain}");
        }
    }

    #[test]
    fn the_tree_is_climbed_and_descended() {
        let mx = name("mx.example.test");
        assert_eq!(mx.parent(), Some(name("example.test")));
        assert_eq!(name("test").parent(), Some(Name::root()));
        assert_eq!(Name::root().parent(), None);
        assert!(Name::root().is_root() && !mx.is_root());
        assert!(mx.is_within(&mx) && mx.is_within(&name("test")) && mx.is_within(&Name::root()));
        assert!(!mx.is_within(&name("ample.test")) && !name("test").is_within(&mx));
        assert_eq!(name("_dmarc").join(&mx), Ok(name("_dmarc.mx.example.test")));
        let long = name(&vec!["a".repeat(63); 3].join("."));
        assert_eq!(long.join(&long), Err(NameError::TooLong));
        assert!(name(&"b".repeat(61)).join(&long).is_ok());
        assert_eq!(name(&"b".repeat(62)).join(&long), Err(NameError::TooLong));
        // Octets of a label that look like the end of another name.
        assert!(!name(r"x\004test").is_within(&name("test")));
        assert_eq!(Name::from_labels([&b"A.b"[..], b"test"]), Ok(name(r"a\.b.test")));
        assert_eq!(Name::from_labels([&b"a"[..], b""]), Err(NameError::EmptyLabel(1)));
    }

    #[test]
    fn addresses_have_reverse_names() {
        for (address, expected) in [
            ("192.0.2.1", "1.2.0.192.in-addr.arpa"),
            ("::ffff:192.0.2.1", "1.2.0.192.in-addr.arpa"),
            ("2001:db8::567:89ab", "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"),
        ] {
            assert_eq!(Name::reverse(address.parse().unwrap()), name(expected));
        }
    }

    /// The example of RFC 4034 §6.1.
    #[test]
    fn the_order_is_canonical() {
        let sorted = [
            "example",
            "a.example",
            "yljkjljk.a.example",
            "Z.a.example",
            "zABC.a.EXAMPLE",
            "z.example",
            r"\001.z.example",
            "*.z.example",
            r"\200.z.example",
        ]
        .map(name);
        assert!(sorted.is_sorted());
        let mut shuffled = sorted.to_vec();
        shuffled.reverse();
        shuffled.sort();
        assert_eq!(shuffled, sorted);
        assert!(Name::root() < sorted[0]);
        // The longest possible name has 127 labels.
        let deep = name(&["a"; 127].join("."));
        assert!(deep.parent().unwrap() < deep);
    }
}
