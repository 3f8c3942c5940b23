//! The fields that a signature covers, as they are hashed (RFC 6376 §3.7, §5.4.2).

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

use hikyaku_message::{Field, FieldSpan, Header};

use super::signature::Signature;
use crate::Canonicalization;
use crate::canonical;
use crate::tags::list;

/// Up to so many fields have a bit each; more are sorted first.
const FEW: usize = 64;
/// How many kinds of names few fields are sorted out by.
const KINDS: usize = 64;

/// The fields of a header section by their names, so that to find those of a signature costs
/// little more than to read it, however many there are.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    section: &'a [u8],
    /// Where they lie in it, from the top to the bottom.
    spans: Cow<'a, [FieldSpan]>,
    /// If they are few: of each kind of names one more than the place of the lowest field; or 0.
    lowest: [u8; KINDS],
    /// Of each field the same of the next one above it that has a name of its kind.
    above: [u8; FEW],
    /// If they are not.
    sorted: Option<Sorted>,
}

#[derive(Clone, Debug)]
struct Sorted {
    /// The first octets of the names of all fields.
    starts: Vec<u64>,
    /// Their places: by name, and those of one name from the bottom to the top.
    places: Vec<usize>,
}

/// Where the fields of a header section lie.
pub(crate) fn spans(header: &Header<'_>) -> Vec<FieldSpan> {
    let mut start = header.span().start as u64;
    let span = |field: Field<'_>| {
        let octets = field.octets();
        let value = if octets.ends_with(b"\r\n") { 2 } else { 0 } + field.raw_value().len();
        let end = start + octets.len() as u64;
        let span = FieldSpan { start, colon: end - value as u64 - 1, end };
        start = end;
        span
    };
    header.fields().map(span).collect()
}

impl<'a> Fields<'a> {
    pub(crate) fn new(header: &Header<'a>) -> Self {
        Self::of(header.octets(), spans(header).into())
    }

    /// The same where it is known where the fields lie in the section.
    pub(crate) fn of(section: &'a [u8], spans: Cow<'a, [FieldSpan]>) -> Self {
        let mut fields = Self { section, spans, lowest: [0; KINDS], above: [0; FEW], sorted: None };
        if fields.spans.len() > FEW {
            fields.sorted = Some(Sorted::of(&fields));
        } else {
            for (at, next) in (0..fields.spans.len()).zip(1..) {
                let kind = kind(fields.name(at));
                fields.above[at] = std::mem::replace(&mut fields.lowest[kind], next);
            }
        }
        fields
    }

    /// A field by its place from the top.
    pub(crate) fn get(&self, at: usize) -> Option<Field<'a>> {
        self.spans.get(at)?.field(self.section)
    }

    /// Its name; empty if there is none.
    fn name(&self, at: usize) -> &'a [u8] {
        self.get(at).map_or(&[], |field| field.name())
    }

    /// How many fields have this name.
    pub(crate) fn count(&self, name: &[u8]) -> usize {
        match &self.sorted {
            None => self.of_kind(name).filter(|&at| is_same(self.name(at), name)).count(),
            Some(Sorted { starts, places }) => {
                let wanted = start(name);
                let order = |at: usize| starts[at].cmp(&wanted).then_with(|| compare(self.name(at), name));
                places.partition_point(|&at| order(at).is_le()) - places.partition_point(|&at| order(at).is_lt())
            }
        }
    }

    /// Appends what a signature in the field at the place `own` signs.
    pub(crate) fn signed_by(&self, signature: &Signature, own: usize, out: &mut Vec<u8>) {
        if let Some(field) = self.get(own) {
            self.signed(signature.names(&field), own, signature.own.clone(), signature.header, out);
        }
    }

    /// Appends what is signed: the fields that are [`named`](Self::named), and as the last the
    /// field of the signature at the place `own`, without the value of `b=`, which lies at
    /// `emptied` in its value, and without a line end.
    fn signed(&self, names: &[u8], own: usize, emptied: Range<usize>, form: Canonicalization, out: &mut Vec<u8>) {
        self.named(names, Some(own), form, out);
        if let Some(own) = self.get(own) {
            last(&own, emptied, form, out);
        }
    }

    /// Appends of each name in turn the lowest field that was not taken yet; colons separate the
    /// names, with white space beside them or not.
    ///
    /// A name of which no field is left adds nothing. The signature's own field is none of those
    /// that are named: it was not there yet when they were signed.
    pub(crate) fn named(&self, names: &[u8], own: Option<usize>, form: Canonicalization, out: &mut Vec<u8>) {
        let take = |at: usize| self.get(at).into_iter().for_each(|field| canonical::field(&field, form, out));
        match &self.sorted {
            None => self.walk(names, own, take),
            Some(sorted) => self.search(sorted, names, own, take),
        }
    }

    fn walk(&self, names: &[u8], own: Option<usize>, mut take: impl FnMut(usize)) {
        let bit = |at: usize| 1_u64.checked_shl(at as u32).unwrap_or(0);
        let mut taken = own.map_or(0, bit);
        for name in list(names).filter(|name| !name.is_empty()) {
            let is_left = |&at: &usize| taken & bit(at) == 0 && is_same(self.name(at), name);
            if let Some(at) = self.of_kind(name).find(is_left) {
                taken |= bit(at);
                take(at);
            }
        }
    }

    /// The places of the fields, if they are few, that may have this name, from the bottom.
    fn of_kind(&self, name: &[u8]) -> impl Iterator<Item = usize> {
        let place = |next: u8| usize::from(next).checked_sub(1);
        std::iter::successors(place(self.lowest[kind(name)]), move |at| place(self.above[*at]))
    }

    fn search(&self, sorted: &Sorted, names: &[u8], own: Option<usize>, mut take: impl FnMut(usize)) {
        let Sorted { starts, places } = sorted;
        // Of each name, at the place of its lowest field, how many fields were taken.
        let mut taken = vec![0; places.len()];
        for name in list(names).filter(|name| !name.is_empty()) {
            let wanted = start(name);
            let is = |&at: &usize| starts[at].cmp(&wanted).then_with(|| compare(self.name(at), name));
            let first = places.partition_point(|at| is(at).is_lt());
            let Some(count) = taken.get_mut(first) else { continue };
            while let Some(&at) = places.get(first + *count).filter(|at| is(at).is_eq()) {
                *count += 1;
                if Some(at) != own {
                    take(at);
                    break;
                }
            }
        }
    }
}

impl Sorted {
    fn of(fields: &Fields<'_>) -> Self {
        let all = 0..fields.spans.len();
        let starts: Vec<u64> = all.clone().map(|at| start(fields.name(at))).collect();
        let mut places: Vec<usize> = all.collect();
        places.sort_unstable_by(|&one, &other| {
            let names = || compare(fields.name(one), fields.name(other));
            starts[one].cmp(&starts[other]).then_with(names).then(other.cmp(&one))
        });
        Self { starts, places }
    }
}

/// Whether two names are one. Most signers write names as the fields do.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    one == other || one.eq_ignore_ascii_case(other)
}

/// The kind of a name, by its length and its first letter: most fields have one of their own.
fn kind(name: &[u8]) -> usize {
    let first = name.first().map_or(0, |first| usize::from(first | b' '));
    (name.len() * 5 + first) % KINDS
}

/// Appends a field that holds a signature as it is hashed: without the value of `b=`, and without
/// the line end (RFC 6376 §3.7).
pub(crate) fn last(own: &Field<'_>, emptied: Range<usize>, form: Canonicalization, out: &mut Vec<u8>) {
    canonical::field_name(own, form, out);
    let value = own.raw_value();
    let (before, after) = (&value[..emptied.start], &value[emptied.end..]);
    match form {
        Canonicalization::Simple => {
            out.extend_from_slice(before);
            out.extend_from_slice(after);
        }
        // The first ends with the `=`, so that no white space goes from one to the other.
        Canonicalization::Relaxed => [before, after].into_iter().for_each(|part| canonical::relaxed_value(part, out)),
    }
}

/// The first eight octets of a name in lower case, as a number that is in the order of names:
/// most names differ in them.
fn start(name: &[u8]) -> u64 {
    let octets = name.first_chunk::<8>().copied().unwrap_or_else(|| {
        let mut octets = [0; 8];
        octets.iter_mut().zip(name).for_each(|(octet, of_name)| *octet = *of_name);
        octets
    });
    u64::from_be_bytes(octets.map(|octet| octet.to_ascii_lowercase()))
}

/// The order of names whose first eight octets are the same.
fn compare(one: &[u8], other: &[u8]) -> Ordering {
    #[cfg(test)]
    tests::COMPARED.set(tests::COMPARED.get() + 1);
    let rest = |name: &'_ [u8]| name.len().min(8);
    let (one_rest, other_rest) = (&one[rest(one)..], &other[rest(other)..]);
    if one.len() == other.len() && one_rest.eq_ignore_ascii_case(other_rest) {
        return Ordering::Equal;
    }
    // Where nothing is left of either, one may still be longer by octets that are 0.
    let rests = one_rest.iter().map(u8::to_ascii_lowercase).cmp(other_rest.iter().map(u8::to_ascii_lowercase));
    rests.then(one.len().cmp(&other.len()))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use hikyaku_message::HeaderLimits;

    use super::*;
    use Canonicalization::{Relaxed, Simple};

    thread_local! {
        pub(super) static COMPARED: Cell<usize> = const { Cell::new(0) };
    }

    const LIMITS: HeaderLimits = HeaderLimits { octets: 1 << 20, fields: 100_000, hops: 100_000 };

    fn signed(message: &str, names: &str, own: usize, form: Canonicalization) -> String {
        let header = Header::parse(message.as_bytes(), LIMITS).unwrap();
        let fields = Fields::new(&header);
        let value = fields.get(own).unwrap().raw_value();
        let tags = crate::tags::Tags::parse(value).unwrap();
        let mut out = Vec::new();
        fields.signed(names.as_bytes(), own, tags.tag("b").unwrap().span.clone(), form, &mut out);
        // Few fields are found by their bits; searched, they are the same.
        if fields.sorted.is_none() {
            let (mut walked, mut searched) = (Vec::new(), Vec::new());
            fields.walk(names.as_bytes(), Some(own), |at| walked.push(at));
            fields.search(&Sorted::of(&fields), names.as_bytes(), Some(own), |at| searched.push(at));
            assert_eq!(walked, searched);
        }
        String::from_utf8(out).unwrap()
    }

    /// RFC 6376 §5.4.2: from the bottom to the top, each once, and what is not there is nothing.
    #[test]
    fn fields_are_taken_from_the_bottom() {
        let message = "S: b=x;a=1\r\nA: 1\r\nB: 1\r\na : 2\r\nC: 1\r\nA: 3\r\n\r\n";
        for (names, expected) in [
            ("a", "A: 3\r\n"),
            ("A:a", "A: 3\r\na : 2\r\n"),
            ("a:b:A:a:a:a", "A: 3\r\nB: 1\r\na : 2\r\nA: 1\r\n"),
            ("z:b:0", "B: 1\r\n"),
            ("b:b:c", "B: 1\r\nC: 1\r\n"),
        ] {
            assert_eq!(signed(message, names, 0, Simple), format!("{expected}S: b=;a=1"), "{names}");
        }
        assert_eq!(signed(message, "a:a", 0, Relaxed), "a:3\r\na:2\r\ns:b=;a=1");
    }

    /// RFC 6376 §3.7: only the value of `b=` goes, with the white space around it, and the field
    /// is the last, whatever is named.
    #[test]
    fn the_own_field_is_the_last() {
        let message = "A: 1\r\nSig:  b =\r\n x y \t;  bh=x y; a=b=x y \r\nSig: 2\r\n\r\n";
        assert_eq!(signed(message, "sig:sig:sig", 1, Simple), "Sig: 2\r\nSig:  b =;  bh=x y; a=b=x y ");
        assert_eq!(signed(message, "a", 1, Relaxed), "a:1\r\nsig:b =; bh=x y; a=b=x y");
        // At the end of the field, with the fold before it.
        assert_eq!(signed("Sig: a=1;\r\n b=\r\n x\r\n\r\n", "x", 0, Simple), "Sig: a=1;\r\n b=");
        assert_eq!(signed("Sig: a=1;\r\n b=\r\n x\r\n\r\n", "x", 0, Relaxed), "sig:a=1; b=");
        assert_eq!(signed("Sig: b=x; a=1", "x", 0, Relaxed), "sig:b=; a=1");
    }

    /// Names that begin alike, or are as long as what is compared at once, are other names.
    #[test]
    fn names_that_are_alike() {
        let names = ["Received", "Received-SPF", "Receive", "X-Received", "received\0", "received\0\0", "R", "re"];
        let mut message = String::from("S: b=\r\n");
        names.iter().for_each(|name| message.push_str(&format!("{name}: {name}\r\n")));
        message.push_str("\r\n");
        for name in names {
            assert_eq!(signed(&message, &name.to_ascii_uppercase(), 0, Simple), format!("{name}: {name}\r\nS: b="));
        }
        assert_eq!(signed(&message, "received-spg:r\0:receiv:x-received-:", 0, Simple), "S: b=");
    }

    /// Few fields have a bit each, and more are searched.
    #[test]
    fn as_many_fields_as_there_are_bits() {
        for count in [FEW - 1, FEW, FEW + 1, FEW + 2] {
            let mut message = String::from("S: b=\r\n");
            (1..count).for_each(|at| message.push_str(&format!("X-{}: {at}\r\n", at % 30)));
            message.push_str("\r\n");
            let header = Header::parse(message.as_bytes(), LIMITS).unwrap();
            let fields = Fields::new(&header);
            for at in 0..31 {
                let name = format!("x-{at}");
                assert_eq!(fields.count(name.as_bytes()), (1..count).filter(|of| of % 30 == at).count(), "{count}");
            }
            assert_eq!((fields.count(b"s"), fields.count(b"t"), fields.count(b"")), (1, 0, 0));
            let all = (0..30).rev().map(|at| format!("X-{at}:X-{at}:X-{at}")).collect::<Vec<_>>().join(":");
            assert_eq!(signed(&message, &all, 0, Simple).lines().count(), count, "{count}");
        }
    }

    /// 16,000 fields and as many names: comparisons are counted, not time.
    #[test]
    fn many_fields_and_many_names() {
        let count = 16_000_usize;
        let most = count * 2 * 20;
        for kind in 0..4 {
            let name = |at: usize| match kind {
                0 => "From".to_owned(),
                1 => format!("X-Header-{at}"),
                2 => format!("{at}"),
                _ => format!("X-Header-{}", at % 7),
            };
            let mut message = String::from("Sig: b=;a=1\r\n");
            (0..count).for_each(|at| message.push_str(&format!("{}:\r\n", name(at))));
            message.push_str("\r\n");
            let names: Vec<String> = (0..count).map(name).collect();
            COMPARED.set(0);
            let out = signed(&message, &names.join(":"), 0, Relaxed);
            assert_eq!(out.lines().count(), count + 1, "each field once, and the own");
            assert!(COMPARED.get() < most, "{kind}: {}", COMPARED.get());
            COMPARED.set(0);
            let absent: Vec<String> = (0..count).map(|at| format!("X-Header-{at}x")).collect();
            assert_eq!(signed(&message, &absent.join(":"), 0, Relaxed), "sig:b=;a=1");
            assert!(COMPARED.get() < most, "{kind}: {}", COMPARED.get());
        }
    }
}
