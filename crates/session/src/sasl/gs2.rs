//! The header with which SCRAM and OAUTHBEARER begin (RFC 5801 §4, RFC 5802 §5.1).

use super::prepare::is_name;

/// `gs2-cbind-flag`: what a client says of channel binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flag<'a> {
    /// `n`: it does not bind.
    No,
    /// `y`: it could, but the server has not offered it.
    NotOffered,
    /// `p=NAME`: it does, with this.
    Binds(&'a str),
}

/// `gs2-header = gs2-cbind-flag "," [ authzid ] ","`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header<'a> {
    pub(super) flag: Flag<'a>,
    /// Whom the client wants to act for.
    pub(super) authzid: Option<Box<str>>,
    /// The header as it came, with its last comma.
    pub(super) text: &'a str,
}

impl<'a> Header<'a> {
    /// The header at the beginning, and what follows.
    pub(super) fn parse(text: &'a str) -> Option<(Self, &'a str)> {
        let mut parts = text.splitn(3, ',');
        let (flag, authzid, rest) = (parts.next()?, parts.next()?, parts.next()?);
        let flag = match flag {
            "n" => Flag::No,
            "y" => Flag::NotOffered,
            _ => {
                let name = flag.strip_prefix("p=").filter(|name| !name.is_empty())?;
                let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
                name.bytes().all(known).then_some(Flag::Binds(name))?
            }
        };
        let authzid = match authzid {
            "" => None,
            _ => Some(unescape(authzid.strip_prefix("a=")?).filter(|name| is_name(name))?.into()),
        };
        let header = &text[..text.len() - rest.len()];
        Some((Self { flag, authzid, text: header }, rest))
    }
}

/// `saslname`: a comma is written `=2C`, an equals sign `=3D`; nothing else begins with `=`.
pub(super) fn unescape(text: &str) -> Option<String> {
    let mut parts = text.split('=');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (sign, rest) = part.split_at_checked(2)?;
        name.push(match sign {
            "2C" => ',',
            "3D" => '=',
            _ => return None,
        });
        name.push_str(rest);
    }
    (!name.is_empty() && !name.contains('\0')).then_some(name)
}

/// The other way.
pub(super) fn escape(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let of = |flag, authzid: Option<&str>, text| Header { flag, authzid: authzid.map(Into::into), text };
        for (text, header, rest) in [
            ("n,,n=a", of(Flag::No, None, "n,,"), "n=a"),
            ("y,,", of(Flag::NotOffered, None, "y,,"), ""),
            ("p=tls-exporter,,x,y", of(Flag::Binds("tls-exporter"), None, "p=tls-exporter,,"), "x,y"),
            ("n,a=b=2Cc=3D2C,,", of(Flag::No, Some("b,c=2C"), "n,a=b=2Cc=3D2C,"), ","),
        ] {
            assert_eq!(Header::parse(text), Some((header, rest)), "{text}");
        }
        for text in [
            "",
            "n",
            "n,",
            "N,,",
            "p=,,",
            "p,,",
            "p=a b,,",
            "x,,",
            "n,b,",
            "n,a=,",
            "n,a==,",
            "n,a=b=2c,",
            "n,a=b=,",
            "n,a=b=2,",
            "n,a=b=4C,",
            "F,n,,",
            "n,a=a\0,",
            "n,a=a\r,",
            " n,,",
        ] {
            assert_eq!(Header::parse(text), None, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_name_survives(name in "[a=,2C3D\u{fc}\u{1f600}]{1,20}") {
            let written = escape(&name);
            proptest::prop_assert!(!written.contains(','));
            proptest::prop_assert_eq!(unescape(&written), Some(name));
        }

        #[test]
        fn what_is_read_is_written_alike(text in "[a=23CD]{1,9}") {
            if let Some(name) = unescape(&text) {
                proptest::prop_assert_eq!(escape(&name), text);
            }
        }
    }
}
