//! Which answers of a list count.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// Which answers of a list mean that something is listed, written `any`, or as patterns parted by
/// commas or white space: `127.0.0.2`, `127.0.0.[2..11]`, `127.0.[0;5..9].4`.
///
/// A pattern is an address whose octets, but for the first, may be sets: in brackets numbers and
/// ranges, parted by semicolons. `any`, which is the default, takes every answer of 127.0.0.0/8;
/// what says that a list does not work is no answer ([`Listing::Broken`](super::Listing::Broken)).
///
/// It prints in a form that reads back as the same filter.
///
/// ```
/// use hikyaku_mailauth::lists::Filter;
///
/// let filter: Filter = "127.0.0.[2..11]".parse()?;
/// assert!(filter.takes([127, 0, 0, 11].into()));
/// assert!(!filter.takes([127, 0, 0, 12].into()));
/// # Ok::<(), hikyaku_mailauth::lists::FilterError>(())
/// ```
///
/// # Incomplete support
///
/// Answers whose octets are bit masks have no form of their own: list the values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// None stands for any answer.
    patterns: Vec<Pattern>,
}

/// The octets behind 127.
type Pattern = [Octets; 3];

/// Ranges of octets, in order, without one that touches the next; not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Octets(Vec<(u8, u8)>);

/// Why a text is no filter; positions count octets of the text from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// Nothing was written: what takes any answer is `any`.
    #[error("an empty filter; write `any`, or patterns such as 127.0.0.[2..11]")]
    Empty,
    /// The answers of lists begin with 127, others are never taken.
    #[error("expected `127.` at octet {0}, which all answers of lists begin with")]
    First(usize),
    /// A number from 0 to 255 without a leading zero was expected.
    #[error("expected a number from 0 to 255 at octet {0}")]
    Number(usize),
    /// A range whose end is before its begin.
    #[error("the range at octet {0} ends before it begins")]
    Range(usize),
    /// Something other than a dot, a bracket, `;`, `..` or the end of the pattern.
    #[error("not a pattern from octet {0} on; write for example 127.0.0.[2..11] or 127.0.[0;5..9].4")]
    Syntax(usize),
}

impl Filter {
    /// Whether the answer counts.
    pub fn takes(&self, answer: Ipv4Addr) -> bool {
        answer.is_loopback() && (self.patterns.is_empty() || self.names(answer))
    }

    /// Whether a pattern holds the answer: `any` names none.
    pub(super) fn names(&self, answer: Ipv4Addr) -> bool {
        let [first, rest @ ..] = answer.octets();
        let holds = |pattern: &Pattern| pattern.iter().zip(rest).all(|(octets, octet)| octets.holds(octet));
        first == 127 && self.patterns.iter().any(holds)
    }
}

impl Octets {
    fn holds(&self, octet: u8) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&octet))
    }

    fn new(mut ranges: Vec<(u8, u8)>) -> Self {
        ranges.sort_unstable();
        ranges.dedup_by(|next, before| {
            let touches = u16::from(next.0) <= u16::from(before.1) + 1;
            if touches {
                before.1 = before.1.max(next.1);
            }
            touches
        });
        Self(ranges)
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let mut reader = Reader { text: text.as_bytes(), at: 0 };
        reader.skip_separators();
        if reader.is_at_end() {
            return Err(FilterError::Empty);
        }
        if text.trim_ascii().eq_ignore_ascii_case("any") {
            return Ok(Self::default());
        }
        let mut patterns = Vec::new();
        while !reader.is_at_end() {
            patterns.push(reader.pattern()?);
            let end = reader.at;
            reader.skip_separators();
            if reader.at == end && !reader.is_at_end() {
                return Err(FilterError::Syntax(end));
            }
        }
        Ok(Self { patterns })
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_separators(&mut self) {
        while self.peek().is_some_and(|octet| octet == b',' || octet.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn eat(&mut self, token: &[u8]) -> bool {
        let is_next = self.text[self.at..].starts_with(token);
        if is_next {
            self.at += token.len();
        }
        is_next
    }

    fn expect(&mut self, token: &[u8]) -> Result<(), FilterError> {
        if self.eat(token) { Ok(()) } else { Err(FilterError::Syntax(self.at)) }
    }

    fn pattern(&mut self) -> Result<Pattern, FilterError> {
        if !self.eat(b"127.") {
            return Err(FilterError::First(self.at));
        }
        let second = self.octets()?;
        self.expect(b".")?;
        let third = self.octets()?;
        self.expect(b".")?;
        Ok([second, third, self.octets()?])
    }

    fn octets(&mut self) -> Result<Octets, FilterError> {
        if !self.eat(b"[") {
            let octet = self.number()?;
            return Ok(Octets(vec![(octet, octet)]));
        }
        let mut ranges = Vec::new();
        loop {
            let begin = self.at;
            let first = self.number()?;
            let last = if self.eat(b"..") { self.number()? } else { first };
            if last < first {
                return Err(FilterError::Range(begin));
            }
            ranges.push((first, last));
            if self.eat(b"]") {
                return Ok(Octets::new(ranges));
            }
            self.expect(b";")?;
        }
    }

    fn number(&mut self) -> Result<u8, FilterError> {
        let begin = self.at;
        // Four digits are enough to see that it is too large.
        let digits = self.text[begin..].iter().take(4).take_while(|octet| octet.is_ascii_digit()).count();
        let text = &self.text[begin..begin + digits];
        let number = text.iter().fold(0_u16, |number, digit| number * 10 + u16::from(digit - b'0'));
        let is_canonical = digits == 1 || digits > 1 && text[0] != b'0';
        let number = u8::try_from(number).ok().filter(|_| is_canonical).ok_or(FilterError::Number(begin))?;
        self.at += digits;
        Ok(number)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.patterns.is_empty() {
            return f.write_str("any");
        }
        for (at, [second, third, fourth]) in self.patterns.iter().enumerate() {
            let separator = if at > 0 { ", " } else { "" };
            write!(f, "{separator}127.{second}.{third}.{fourth}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [(first, last)] = self.0[..]
            && first == last
        {
            return write!(f, "{first}");
        }
        for (at, (first, last)) in self.0.iter().enumerate() {
            f.write_str(if at > 0 { ";" } else { "[" })?;
            if first == last {
                write!(f, "{first}")?;
            } else {
                write!(f, "{first}..{last}")?;
            }
        }
        f.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filter(text: &str) -> Filter {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn filters_are_read_and_printed() {
        for (text, printed) in [
            ("any", "any"),
            (" ANY\t", "any"),
            ("127.0.0.2", "127.0.0.2"),
            ("127.0.0.[2..11]", "127.0.0.[2..11]"),
            ("127.0.[0..1].4", "127.0.[0..1].4"),
            ("127.[0..255].[0..255].[0..255]", "127.[0..255].[0..255].[0..255]"),
            ("127.0.0.[4;2;3]", "127.0.0.[2..4]"),
            ("127.0.0.[9;2..4;6;3..5]", "127.0.0.[2..6;9]"),
            ("127.0.0.[5;5..5]", "127.0.0.5"),
            ("127.0.0.[0..9;3..4;11]", "127.0.0.[0..9;11]"),
            ("127.0.0.[254..255;255]", "127.0.0.[254..255]"),
            ("127.0.0.2,127.0.0.4 , 127.1.0.[10;20]\n", "127.0.0.2, 127.0.0.4, 127.1.0.[10;20]"),
        ] {
            assert_eq!(filter(text).to_string(), printed, "{text}");
            assert_eq!(filter(printed), filter(text), "{text}");
        }
        assert_eq!(Filter::default(), filter("any"));
    }

    #[test]
    fn what_is_no_filter_is_refused_with_its_place() {
        for (text, error) in [
            ("", FilterError::Empty),
            (" ,", FilterError::Empty),
            ("10.0.0.1", FilterError::First(0)),
            ("127", FilterError::First(0)),
            ("127.0.0.2, 128.0.0.2", FilterError::First(11)),
            ("[127].0.0.2", FilterError::First(0)),
            ("any, 127.0.0.2", FilterError::First(0)),
            ("127.0.0", FilterError::Syntax(7)),
            ("127.0.0.", FilterError::Number(8)),
            ("127.0.0.256", FilterError::Number(8)),
            ("127.0.0.65538", FilterError::Number(8)),
            ("127.0.0.1000", FilterError::Number(8)),
            ("127.0.0.02", FilterError::Number(8)),
            ("127.0.0.00", FilterError::Number(8)),
            ("127.0.0.-2", FilterError::Number(8)),
            ("127.0.0.*", FilterError::Number(8)),
            ("127.0.0.2.1", FilterError::Syntax(9)),
            ("127.0.0.2;127.0.0.3", FilterError::Syntax(9)),
            ("127.0.0.[", FilterError::Number(9)),
            ("127.0.0.[]", FilterError::Number(9)),
            ("127.0.0.[2", FilterError::Syntax(10)),
            ("127.0.0.[2..]", FilterError::Number(12)),
            ("127.0.0.[2...4]", FilterError::Number(12)),
            ("127.0.0.[2-4]", FilterError::Syntax(10)),
            ("127.0.0.[2;]", FilterError::Number(11)),
            ("127.0.0.[1;4..2]", FilterError::Range(11)),
            ("127.0.0.2..4", FilterError::Syntax(9)),
            ("127.0.0.[2]5", FilterError::Syntax(11)),
            ("127.0.0.2\u{a0}", FilterError::Syntax(9)),
        ] {
            assert_eq!(text.parse::<Filter>(), Err(error), "{text}");
        }
    }

    #[test]
    fn only_127_is_ever_taken() {
        let any = Filter::default();
        for (answer, taken) in [
            ([127, 0, 0, 2], true),
            ([127, 255, 0, 0], true),
            ([126, 0, 0, 2], false),
            ([128, 0, 0, 2], false),
            ([10, 0, 0, 1], false),
        ] {
            assert_eq!(any.takes(answer.into()), taken, "{answer:?}");
            assert!(!any.names(answer.into()));
        }
        let filter = filter("127.0.[0..1].4, 127.0.0.[2;9..11]");
        for (answer, taken) in [
            ([127, 0, 0, 4], true),
            ([127, 0, 1, 4], true),
            ([127, 0, 2, 4], false),
            ([127, 1, 1, 4], false),
            ([127, 0, 0, 2], true),
            ([127, 0, 1, 2], false),
            ([127, 0, 0, 8], false),
            ([127, 0, 0, 9], true),
            ([127, 0, 0, 11], true),
            ([127, 0, 0, 12], false),
            ([126, 0, 0, 2], false),
        ] {
            assert_eq!(filter.takes(answer.into()), taken, "{answer:?}");
            assert_eq!(filter.names(answer.into()), taken, "{answer:?}");
        }
    }

    fn ranges() -> impl Strategy<Value = Octets> {
        proptest::collection::vec((any::<u8>(), any::<u8>()), 1..5)
            .prop_map(|pairs| Octets::new(pairs.into_iter().map(|(a, b)| (a.min(b), a.max(b))).collect()))
    }

    proptest! {
        #[test]
        fn what_prints_parses(
            patterns in proptest::collection::vec((ranges(), ranges(), ranges()), 0..4),
        ) {
            let patterns = patterns.into_iter().map(|(a, b, c)| [a, b, c]).collect();
            let filter = Filter { patterns };
            prop_assert_eq!(filter.to_string().parse(), Ok(filter));
        }

        #[test]
        fn sets_hold_what_was_written(pairs in proptest::collection::vec((any::<u8>(), any::<u8>()), 1..5)) {
            let pairs: Vec<_> = pairs.into_iter().map(|(a, b)| (a.min(b), a.max(b))).collect();
            let octets = Octets::new(pairs.clone());
            for octet in 0..=255 {
                let written = pairs.iter().any(|(first, last)| (*first..=*last).contains(&octet));
                prop_assert_eq!(octets.holds(octet), written);
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[127.;, \\[\\]any0-9]{0,24}") {
            if let Ok(filter) = text.parse::<Filter>() {
                prop_assert_eq!(filter.to_string().parse(), Ok(filter));
            }
        }
    }
}
