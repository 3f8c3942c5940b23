//! The trace fields that a relay adds in front of a message (RFC 5321 §4.4).

use std::fmt;
use std::net::IpAddr;

use hikyaku_wire::{Host, Mailbox, ReversePath, Timestamp};

use crate::Date;
use crate::fold::{Fold, host, token};

/// One `Received` field (RFC 5321 §4.4); `Display` prints it folded and with
/// its CR LF.
///
/// Values that a peer supplied lose what could end the field or pass for
/// another clause of it: each other character becomes `?`. Lines have at most
/// 78 octets where the values allow it, and never more than 998.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received<'a> {
    /// What the client said in HELO, EHLO or LHLO.
    pub helo: &'a str,
    /// The address of the client; `None` for a Unix socket.
    pub peer: Option<IpAddr>,
    /// The name of this host.
    pub by: &'a str,
    /// The protocol word of RFC 3848, such as `ESMTPS`.
    pub with: &'a str,
    /// The identifier of the message on this host.
    pub id: &'a str,
    /// The recipient, to be given only when there is exactly one: more would
    /// disclose the others (RFC 5321 §7.2).
    pub recipient: Option<&'a Mailbox>,
    /// When the message was received.
    pub time: Timestamp,
}

impl fmt::Display for Received<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fold = Fold::new("Received");
        fold.word("from").word(&host(self.helo));
        if let Some(peer) = self.peer {
            fold.word(&format!("({})", Host::<&str>::Address(peer)));
        }
        fold.new_line();
        fold.word("by").word(&host(self.by));
        fold.word(&format!("with {}", token(self.with, 32)));
        fold.word(&format!("id {}", token(self.id, 128)));
        if let Some(recipient) = self.recipient {
            fold.new_line().word(&format!("for <{recipient}>;"));
        } else {
            fold.attach(";").new_line();
        }
        fold.word(&Date::from(self.time).to_string());
        f.write_str(&fold.end())
    }
}

/// The `Return-Path` field that final delivery adds (RFC 5321 §4.4);
/// `Display` prints it with its CR LF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnPath<'a>(
    /// The sender of the envelope.
    pub &'a ReversePath,
);

impl fmt::Display for ReturnPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Return-Path: {}\r\n", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HeaderLimits, HeaderScan};
    use hikyaku_wire::LocalPart;
    use proptest::prelude::*;

    const RECEIVED: Received<'static> = Received {
        helo: "client.example.org",
        peer: Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1))),
        by: "mx.example.test",
        with: "ESMTP",
        id: "3f9a1c",
        recipient: None,
        time: Timestamp::from_millis(1_795_499_520_123),
    };

    #[test]
    fn forms() {
        let to: Mailbox = "\"a b\"@example.test".parse().unwrap();
        let peer = Some("2001:db8::1".parse().unwrap());
        let cases = [
            (
                RECEIVED,
                "Received: from client.example.org ([192.0.2.1])\r\n\
                 \tby mx.example.test with ESMTP id 3f9a1c;\r\n\
                 \tTue, 24 Nov 2026 05:52:00 +0000\r\n",
            ),
            (
                Received { helo: "[IPv6:2001:db8::1]", peer, recipient: Some(&to), ..RECEIVED },
                "Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])\r\n\
                 \tby mx.example.test with ESMTP id 3f9a1c\r\n\
                 \tfor <\"a b\"@example.test>; Tue, 24 Nov 2026 05:52:00 +0000\r\n",
            ),
            (
                Received { peer: None, with: "LMTP", ..RECEIVED },
                "Received: from client.example.org\r\n\
                 \tby mx.example.test with LMTP id 3f9a1c;\r\n\
                 \tTue, 24 Nov 2026 05:52:00 +0000\r\n",
            ),
        ];
        for (received, expected) in cases {
            assert_eq!(received.to_string(), expected);
        }
    }

    /// Header injection through HELO: one field, and no clause of it forged.
    #[test]
    fn peers_cannot_end_the_field() {
        let cases = [
            ("x\r\nBcc: y", "from x??Bcc??y"),
            ("x (y", "from x??y"),
            ("x by evil.test; 1 Jan", "from x?by?evil.test??1?Jan"),
            ("[x](", "from ?x??"),
            ("[a]b]", "from [a?b]"),
            ("", "from ?"),
            ("\u{202e}\0", "from ??"),
        ];
        for (helo, expected) in cases {
            let field = Received { helo, ..RECEIVED }.to_string();
            assert!(field.contains(&format!("{expected} ([192")), "{field}");
            assert_one_field(&field);
        }
    }

    #[test]
    fn return_path() {
        assert_eq!(ReturnPath(&ReversePath::Null).to_string(), "Return-Path: <>\r\n");
        let path = "<a@b.test>".parse().unwrap();
        assert_eq!(ReturnPath(&path).to_string(), "Return-Path: <a@b.test>\r\n");
    }

    fn assert_one_field(field: &str) {
        let mut scan = HeaderScan::new(HeaderLimits::default());
        scan.push(field.as_bytes());
        assert_eq!((scan.fields(), scan.hops(), scan.malformed()), (1, 1, None), "{field:?}");
        let lines: Vec<&str> = field.strip_suffix("\r\n").unwrap().split("\r\n").collect();
        for (index, line) in lines.iter().enumerate() {
            assert!(!line.contains(['\r', '\n', '\0']), "{line:?}");
            assert!(!line.trim().is_empty() && line.len() <= 998, "{line:?}");
            assert_eq!(line.starts_with('\t'), index > 0, "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn any_value_gives_one_field(
            helo in "\\PC*|[\r\n\t ;:()<>a\\[\\]\u{0}-\u{20}]{0,400}",
            by in "\\PC*",
            with in "\\PC*",
            id in "[\r\n a-z;]{0,300}",
            local in "[ -~]{1,64}",
        ) {
            let to = LocalPart::from_content(&local)
                .and_then(|local| Mailbox::new(local, Host::Domain("example.test".parse().unwrap())));
            let to = to.ok();
            let received = Received {
                helo: &helo, by: &by, with: &with, id: &id, recipient: to.as_ref(), ..RECEIVED
            };
            assert_one_field(&received.to_string());
        }

        #[test]
        fn lines_are_short_where_values_are(
            helo in "[a-z.]{1,50}", by in "[a-z.]{1,30}", id in "[a-z0-9]{1,36}", local in "[a-z]{1,20}",
        ) {
            let to = Mailbox::new(
                LocalPart::from_content(&local).unwrap(),
                Host::Domain("example.test".parse().unwrap()),
            ).unwrap();
            let received = Received { helo: &helo, by: &by, id: &id, recipient: Some(&to), ..RECEIVED };
            let field = received.to_string();
            prop_assert!(field.split("\r\n").all(|line| line.len() <= 78), "{field}");
        }
    }
}
