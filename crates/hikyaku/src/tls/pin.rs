//! The digest by which a public key is known.

use std::{fmt, path::Path, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};
use webpki::EndEntityCert;

use super::{TlsError, clients, read_certificates};

/// SHA-256 of a certificate's public key with its algorithm (SPKI, RFC 5280 §4.1.2.7).
///
/// ```
/// let hex = "0f".repeat(32);
/// let pin: hikyaku::SpkiPin = hex.parse()?;
/// assert_eq!(pin.to_string(), "sha256//Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8=");
/// assert_eq!(pin.to_string().parse(), Ok(pin));
/// # Ok::<(), hikyaku::SpkiPinError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpkiPin(pub [u8; 32]);

/// The text is no digest of a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the SHA-256 of a public key: `sha256//` and base64, or 64 hexadecimal digits")]
pub struct SpkiPinError;

impl SpkiPin {
    /// That of the first certificate in a PEM file.
    ///
    /// # Errors
    /// The file cannot be read, or there is no certificate in it.
    pub fn of_file(path: &Path) -> Result<Self, TlsError> {
        let certificates = read_certificates(path)?;
        let first = certificates.first().map(EndEntityCert::try_from);
        match first.expect("a file without certificates is an error") {
            Ok(certificate) => Ok(Self(clients::spki(&certificate))),
            Err(error) => Err(TlsError::new(path, format_args!("the first certificate cannot be read: {error}"))),
        }
    }
}

impl FromStr for SpkiPin {
    type Err = SpkiPinError;

    /// Reads `sha256/` or `sha256//` with base64, or 64 hexadecimal digits with or without colons
    /// between the octets.
    fn from_str(text: &str) -> Result<Self, SpkiPinError> {
        let digest = match text.strip_prefix("sha256/") {
            Some(base64) => {
                // The digest itself may begin with a slash.
                let base64 = base64.strip_prefix('/').filter(|rest| rest.len() == 44).unwrap_or(base64);
                STANDARD.decode(base64).map_err(|_| SpkiPinError)?
            }
            None => hexadecimal(text).ok_or(SpkiPinError)?,
        };
        Ok(Self(digest.try_into().map_err(|_| SpkiPinError)?))
    }
}

/// As curl's `--pinnedpubkey` takes it.
impl fmt::Display for SpkiPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256//{}", STANDARD.encode(self.0))
    }
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digit = |octet: &u8| char::from(*octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut octets = Vec::with_capacity(32);
    let mut text = text.as_bytes();
    let has_colons = text.get(2) == Some(&b':');
    while let [high, low, rest @ ..] = text {
        octets.push(digit(high)? << 4 | digit(low)?);
        text = match rest {
            [b':', rest @ ..] if has_colons => rest,
            [] => return Some(octets),
            _ if has_colons => return None,
            rest => rest,
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::testing::Folder;

    const OCTETS: [u8; 32] = {
        let mut octets = [0xff; 32];
        octets[0] = 0x01;
        octets[31] = 0xa0;
        octets
    };

    fn hex() -> String {
        format!("01{}a0", "ff".repeat(30))
    }

    #[test]
    fn forms_of_a_pin() {
        let base64 = STANDARD.encode(OCTETS);
        let colons: Vec<_> = (0..32).map(|i| hex()[2 * i..2 * i + 2].to_uppercase()).collect();
        for text in
            [format!("sha256/{base64}"), format!("sha256//{base64}"), hex(), hex().to_uppercase(), colons.join(":")]
        {
            assert_eq!(text.parse(), Ok(SpkiPin(OCTETS)), "{text}");
        }
        assert_eq!(SpkiPin(OCTETS).to_string(), format!("sha256//{base64}"));
        // One that begins with a slash.
        let slash = SpkiPin([0xff; 32]);
        let base64 = STANDARD.encode(slash.0);
        assert!(base64.starts_with('/'));
        for text in [format!("sha256/{base64}"), format!("sha256//{base64}")] {
            assert_eq!(text.parse(), Ok(slash), "{text}");
        }
    }

    #[test]
    fn what_is_no_pin() {
        let base64 = STANDARD.encode(OCTETS);
        let colons: Vec<_> = (0..32).map(|i| hex()[2 * i..2 * i + 2].to_owned()).collect();
        let colons = colons.join(":");
        for text in [
            String::new(),
            base64.clone(),
            "sha256/".to_owned(),
            format!("sha256///{base64}"),
            format!("SHA256/{base64}"),
            format!("sha1//{base64}"),
            format!("sha256//{}", &base64[..43]),
            format!("sha256//{base64} "),
            format!("sha256//{}", STANDARD.encode([1; 31])),
            format!("sha256//{}", STANDARD.encode([1; 33])),
            format!("sha256//{}", base64.replace('/', "_")),
            hex()[..62].to_owned(),
            hex()[..63].to_owned(),
            hex() + "0",
            hex() + "00",
            hex().replace("01", "0g"),
            hex().replace("01", "+1"),
            colons.clone() + ":",
            format!(":{colons}"),
            colons.replacen(':', "", 1),
            colons.replacen(':', "::", 1),
            format!("{}{}", &colons[..6], colons[6..].replacen(':', "", 1)),
            format!("{}{}", &hex()[..60], ":ff:a0"),
        ] {
            assert_eq!(text.parse::<SpkiPin>(), Err(SpkiPinError), "{text}");
        }
    }

    #[test]
    fn files_without_a_certificate() {
        let folder = Folder::new();
        let key = folder.write("key.pem", include_str!("testdata/ec.sec1.pem"));
        let error = SpkiPin::of_file(&key).unwrap_err();
        assert_eq!(error.path, key.display().to_string());
        let garbled = folder.write("garbled.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        let error = SpkiPin::of_file(&garbled).unwrap_err();
        assert!(error.what.starts_with("the first certificate cannot be read: "), "{error}");
    }
}
