//! The little of DER (X.690) that keys are written in.

/// `INTEGER`.
pub(super) const INTEGER: u8 = 0x02;
/// `BIT STRING`.
pub(super) const BIT_STRING: u8 = 0x03;
/// `OCTET STRING`.
pub(super) const OCTET_STRING: u8 = 0x04;
/// `SEQUENCE`.
pub(super) const SEQUENCE: u8 = 0x30;

/// `rsaEncryption` with its parameters, which are NULL (RFC 8017 appendix C).
const RSA: &[u8] = &[0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 0x05, 0];
/// `id-Ed25519`, without parameters (RFC 8410 §3).
const ED25519: &[u8] = &[0x06, 3, 0x2b, 0x65, 0x70];

/// What stands before the seed of an Ed25519 key in PKCS#8, version 1 (RFC 8410 §7).
const ED25519_SEED: [u8; 16] = [0x30, 46, 2, 1, 0, 0x30, 5, 0x06, 3, 0x2b, 0x65, 0x70, 0x04, 34, 0x04, 32];

/// Takes an element with this tag from the front: its content. `None` is not DER, or another tag.
pub(super) fn take<'a>(input: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let (&[found, first], mut rest) = input.split_first_chunk::<2>()?;
    if found != tag {
        return None;
    }
    let mut length = usize::from(first);
    if first >= 0x80 {
        // The long form: how many octets the length has. Four are 4 GiB.
        let octets = usize::from(first & 0x7f);
        if octets > 4 {
            return None;
        }
        let (length_octets, after) = rest.split_at_checked(octets)?;
        length = length_octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet));
        // The shortest form is the only one.
        if length < 0x80 || length_octets.first() == Some(&0) {
            return None;
        }
        rest = after;
    }
    let (content, after) = rest.split_at_checked(length)?;
    *input = after;
    Some(content)
}

/// The content of an element that is all of the input.
pub(super) fn only(mut input: &[u8], tag: u8) -> Option<&[u8]> {
    take(&mut input, tag).filter(|_| input.is_empty())
}

/// Takes a positive `INTEGER` from the front: its octets without leading zeros.
pub(super) fn take_positive<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    match take(input, INTEGER)? {
        [0, rest @ ..] => rest.first().is_some_and(|first| first & 0x80 != 0).then_some(rest),
        octets => octets.first().is_some_and(|first| first & 0x80 == 0).then_some(octets),
    }
}

/// How many bits a number has, given without leading zeros.
pub(super) fn bits(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

/// The number of bits of the modulus, and the exponent where it fits, of an RSA key in PKCS#1:
/// `RSAPublicKey = SEQUENCE { modulus, publicExponent }` (RFC 8017 appendix A.1.1).
pub(super) fn rsa_public(pkcs1: &[u8]) -> Option<(&[u8], Option<u64>)> {
    let mut fields = only(pkcs1, SEQUENCE)?;
    let modulus = take_positive(&mut fields)?;
    let exponent = take_positive(&mut fields)?;
    fields.is_empty().then(|| (modulus, number(exponent)))
}

/// The modulus of a private RSA key in PKCS#1: `SEQUENCE { version, modulus, … }`
/// (RFC 8017 appendix A.1.2).
pub(super) fn rsa_private(pkcs1: &[u8]) -> Option<&[u8]> {
    let mut fields = only(pkcs1, SEQUENCE)?;
    take(&mut fields, INTEGER).filter(|version| *version == [0])?;
    take_positive(&mut fields)
}

/// A number of at most eight octets.
fn number(octets: &[u8]) -> Option<u64> {
    (octets.len() <= 8).then(|| octets.iter().fold(0, |number, octet| number << 8 | u64::from(*octet)))
}

/// The PKCS#1 key within `SubjectPublicKeyInfo = SEQUENCE { algorithm, BIT STRING }`
/// (RFC 5280 §4.1).
pub(super) fn rsa_spki(der: &[u8]) -> Option<&[u8]> {
    let mut fields = only(der, SEQUENCE)?;
    // The NULL is missing in keys of some makers.
    take(&mut fields, SEQUENCE).filter(|algorithm| *algorithm == RSA || *algorithm == &RSA[..RSA.len() - 2])?;
    let key = take(&mut fields, BIT_STRING)?.strip_prefix(&[0])?;
    fields.is_empty().then_some(key)
}

/// A private key in PKCS#8 or `OneAsymmetricKey` (RFC 5958 §2).
pub(super) enum Private<'a> {
    /// RSA, PKCS#1 form.
    Rsa(&'a [u8]),
    /// The seed of Ed25519.
    Ed25519(&'a [u8]),
    /// Another algorithm.
    Other,
}

/// Reads `SEQUENCE { version, algorithm, OCTET STRING, [attributes, public key] }`.
pub(super) fn pkcs8(der: &[u8]) -> Option<Private<'_>> {
    let mut fields = only(der, SEQUENCE)?;
    take(&mut fields, INTEGER).filter(|version| matches!(version, [0 | 1]))?;
    let algorithm = take(&mut fields, SEQUENCE)?;
    let key = take(&mut fields, OCTET_STRING)?;
    Some(match algorithm {
        RSA => Private::Rsa(key),
        ED25519 => Private::Ed25519(only(key, OCTET_STRING)?),
        _ => Private::Other,
    })
}

/// Writes the PKCS#8 form of an Ed25519 key, version 1, as OpenSSL does.
pub(super) fn ed25519_pkcs8(seed: &[u8; 32]) -> Vec<u8> {
    [&ED25519_SEED[..], seed].concat()
}

/// Writes `SubjectPublicKeyInfo` around a PKCS#1 key.
pub(super) fn rsa_spki_of(pkcs1: &[u8]) -> Vec<u8> {
    let mut key = vec![0];
    key.extend_from_slice(pkcs1);
    let mut fields = element(SEQUENCE, RSA);
    fields.extend(element(BIT_STRING, &key));
    element(SEQUENCE, &fields)
}

/// An element, its length in the shortest form.
pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().position(|octet| *octet != 0).unwrap_or(length.len() - 1)..];
    if content.len() >= 0x80 {
        out.push(0x80 | length.len() as u8);
    }
    out.extend_from_slice(length);
    out.extend_from_slice(content);
    out
}
