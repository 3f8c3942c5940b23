//! The header section as spans over the caller's octets (RFC 5322 §2.2).
//!
//! ```
//! use hikyaku_message::{Header, HeaderLimits};
//!
//! let message = b"Received: one\r\nSubject: folded\r\n\there\r\nreceived: two\r\n\r\nbody";
//! let header = Header::parse(message, HeaderLimits::default())?;
//! assert_eq!(header.first("SUBJECT").unwrap().raw_value(), b" folded\r\n\there");
//! let from_below: Vec<_> = header.all("Received").rev().map(|field| field.value()).collect();
//! assert_eq!(from_below, [&b"two"[..], b"one"]);
//! # Ok::<(), hikyaku_message::HeaderLimit>(())
//! ```

mod field;
mod scan;

use std::iter::FusedIterator;

use memchr::{memchr_iter, memrchr_iter};

pub use field::{Field, unfold};
pub use scan::{FieldSpan, HeaderLimit, HeaderLimits, HeaderScan, Malformed};

/// `ftext = %d33-57 / %d59-126`: the octets of a field name (RFC 5322 §3.6.8).
pub(crate) fn is_ftext(octet: u8) -> bool {
    matches!(octet, b'!'..=b'~') && octet != b':'
}

/// A header section that the caller holds in memory; nothing is copied or allocated.
///
/// For a message that streams in, [`HeaderScan`] finds the same fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    section: &'a [u8],
    /// Where the first field begins and the last one ends.
    start: usize,
    end: usize,
    complete: bool,
    malformed: Option<Malformed>,
}

impl<'a> Header<'a> {
    /// Finds the header section at the start of `message`, which may go on with the body or end
    /// anywhere.
    ///
    /// # Errors
    /// The first of the `limits` that is exceeded.
    pub fn parse(message: &'a [u8], limits: HeaderLimits) -> Result<Self, HeaderLimit> {
        let mut scan = HeaderScan::new(limits);
        // One octet more than may be shows that there are more.
        let most = usize::try_from(limits.octets).unwrap_or(usize::MAX).saturating_add(1);
        let used = scan.push(&message[..message.len().min(most)]);
        if let Some(over) = scan.over() {
            return Err(over);
        }
        scan.finish();
        Ok(scan.header(&message[..used]).expect("all that was used was scanned"))
    }

    /// The header section, as it is: its fields, what stands before the first and after the last
    /// of them where the section is malformed, and the empty line.
    #[must_use]
    pub fn octets(&self) -> &'a [u8] {
        self.section
    }

    /// Where the fields lie in the section: before it are lines that continue nothing, after it
    /// the empty line or a line without a colon.
    #[must_use]
    pub fn span(&self) -> std::ops::Range<usize> {
        self.start..self.end
    }

    /// Whether the end of the section was there, not only the end of the octets.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The first departure from the syntax, if any.
    #[must_use]
    pub fn malformed(&self) -> Option<Malformed> {
        self.malformed
    }

    /// All fields from the top, or with `rev` from the bottom, in the order in which DKIM takes
    /// them (RFC 6376 §5.4.2). Each octet is looked at once.
    #[must_use]
    pub fn fields(&self) -> Fields<'a> {
        Fields { rest: &self.section[self.start..self.end] }
    }

    /// The fields with this name in any case, from the top or with `rev` from the bottom.
    #[must_use]
    pub fn all<'n>(&self, name: &'n str) -> impl DoubleEndedIterator<Item = Field<'a>> + use<'a, 'n> {
        self.fields().filter(move |field| field.is(name))
    }

    /// The topmost field with this name in any case.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<Field<'a>> {
        self.all(name).next()
    }

    /// The lowest field with this name in any case.
    #[must_use]
    pub fn last(&self, name: &str) -> Option<Field<'a>> {
        self.all(name).next_back()
    }

    /// The only field with this name in any case.
    ///
    /// `None` where there is none, and where there are several: two readers may choose different
    /// ones.
    #[must_use]
    pub fn only(&self, name: &str) -> Option<Field<'a>> {
        let mut all = self.all(name);
        all.next().filter(|_| all.next().is_none())
    }
}

/// The fields of a [`Header`], from either end.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    /// Whole fields: each begins after the CR LF before it, with an octet that is no white space.
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Whether a field begins after the LF at `lf`.
    fn begins_after(&self, lf: usize) -> bool {
        lf > 0 && self.rest[lf - 1] == b'\r' && !matches!(self.rest[lf + 1], b' ' | b'\t')
    }

    /// The octets before the last one, which is the end of the last field and of no other.
    fn inner(&self) -> &'a [u8] {
        &self.rest[..self.rest.len().saturating_sub(1)]
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let end =
            memchr_iter(b'\n', self.inner()).find(|&lf| self.begins_after(lf)).map_or(self.rest.len(), |lf| lf + 1);
        let (whole, rest) = self.rest.split_at(end);
        self.rest = rest;
        Field::find(whole)
    }
}

impl DoubleEndedIterator for Fields<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let start = memrchr_iter(b'\n', self.inner()).find(|&lf| self.begins_after(lf)).map_or(0, |lf| lf + 1);
        let (rest, whole) = self.rest.split_at(start);
        self.rest = rest;
        Field::find(whole)
    }
}

impl FusedIterator for Fields<'_> {}

#[cfg(test)]
mod tests;
