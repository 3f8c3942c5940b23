//! The triples of version 2 (§2.2 "Type-Length-Value").

/// `PP2_TYPE_CRC32C`
pub(super) const CRC32C: u8 = 0x03;
/// Octets of type and length.
pub(super) const HEAD: usize = 3;

/// The triples of a header, type and value, in order; made by
/// [`ProxyHeader::tlvs`](crate::ProxyHeader::tlvs). That each lies within the header has been
/// checked.
#[derive(Clone, Debug)]
pub struct ProxyTlvs<'a> {
    rest: &'a [u8],
}

impl<'a> ProxyTlvs<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// How many octets are left.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }
}

impl<'a> Iterator for ProxyTlvs<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&[kind, high, low], after) = self.rest.split_first_chunk::<HEAD>()?;
        let (value, rest) = after.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
        self.rest = rest;
        Some((kind, value))
    }
}
