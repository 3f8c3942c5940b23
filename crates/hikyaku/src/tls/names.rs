//! The names in a certificate that is believed.

use std::str::FromStr;

use hikyaku_wire::Mailbox;
use webpki::EndEntityCert;

/// The DNS names and mail addresses among the subject alternative names (RFC 5280 §4.2.1.6), in
/// lower case. Names with a wildcard are for servers, and the subject's common name is no name.
pub(crate) fn of(certificate: &EndEntityCert<'_>) -> Vec<Box<str>> {
    let hosts = certificate.valid_dns_names().filter(|name| !name.starts_with('*')).map(str::to_owned);
    let der = certificate.der();
    let mut names: Vec<Box<str>> = Vec::new();
    for name in hosts.chain(mail_addresses(&der)) {
        let name = name.to_lowercase().into_boxed_str();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The `rfc822Name`s of a certificate that are addresses.
pub(crate) fn mail_addresses(certificate: &[u8]) -> Vec<String> {
    let addresses = alternative_names(certificate, RFC822_NAME);
    let addresses = addresses.filter_map(|name| Mailbox::from_str(std::str::from_utf8(name).ok()?).ok());
    addresses.map(|address| address.to_string()).collect()
}

const OBJECT_IDENTIFIER: u8 = 0x06;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
/// `[3]` of a `TBSCertificate`.
const EXTENSIONS: u8 = 0xa3;
/// `[1]` of a `GeneralName`.
const RFC822_NAME: u8 = 0x81;
/// `id-ce-subjectAltName`, 2.5.29.17.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// The subject alternative names with this tag.
pub(crate) fn alternative_names(certificate: &[u8], tag: u8) -> impl Iterator<Item = &[u8]> {
    let names = general_names(certificate).unwrap_or_default();
    values(names).filter(move |(found, _)| *found == tag).map(|(_, name)| name)
}

/// The content of the extension's `GeneralNames`.
fn general_names(certificate: &[u8]) -> Option<&[u8]> {
    let certificate = find(certificate, SEQUENCE)?;
    let to_be_signed = find(certificate, SEQUENCE)?;
    let extensions = find(find(to_be_signed, EXTENSIONS)?, SEQUENCE)?;
    let mut extensions = values(extensions).map(|(_, extension)| extension);
    let extension = extensions.find(|extension| find(extension, OBJECT_IDENTIFIER) == Some(SUBJECT_ALT_NAME))?;
    find(find(extension, OCTET_STRING)?, SEQUENCE)
}

/// The content of the first value with this tag.
fn find(der: &[u8], tag: u8) -> Option<&[u8]> {
    values(der).find(|(found, _)| *found == tag).map(|(_, content)| content)
}

/// The values of a DER sequence as tag and content, up to the first that is none.
fn values(mut der: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (tag, content, rest) = value(der)?;
        der = rest;
        Some((tag, content))
    })
}

/// Tag and content of the first value, and what follows it. Certificates are shorter than 64 KiB
/// (RFC 8446 §4.4.2), and none of their tags takes more than one octet.
fn value(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (length, rest) = match *der.get(1..)? {
        [length @ 0..=0x7f, ref rest @ ..] => (usize::from(length), rest),
        [0x81, length, ref rest @ ..] => (usize::from(length), rest),
        [0x82, high, low, ref rest @ ..] => (usize::from(u16::from_be_bytes([high, low])), rest),
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((der[0], content, rest))
}
