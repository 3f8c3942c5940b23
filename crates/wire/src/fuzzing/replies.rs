//! Replies, and the capabilities in the reply to EHLO.

use bytes::BytesMut;

use crate::{Capabilities, Capability, Code, EhloKeyword, EnhancedCode, Reply, ReplyError, ReplyReader};

/// Any bytes of a server: in whatever pieces they come, the replies are those of the whole; what
/// lies in the input is what is owned; and what is written parses to the same.
pub fn reply(data: &[u8]) {
    let (replies, end) = parsed(data);
    let sizes = [1, 2, 3, 7, 64, 4096];
    for size in sizes.into_iter().filter(|size| *size < data.len().max(2)) {
        assert_eq!(read(data.chunks(size)), (replies.clone(), end), "pieces of {size}");
    }
    for cut in 0..=data.len().min(128) {
        let (head, tail) = data.split_at(cut);
        assert_eq!(read([head, tail].into_iter()), (replies.clone(), end), "cut at {cut}");
    }
    for reply in &replies {
        travels(reply);
    }
}

/// All replies at the beginning of the bytes, and what is wrong behind them.
fn parsed(data: &[u8]) -> (Vec<Reply>, Option<ReplyError>) {
    let mut replies = Vec::new();
    let mut rest = data;
    loop {
        match Reply::parse(rest) {
            Ok(None) => return (replies, None),
            Ok(Some((reply, octets))) => {
                let owned = reply.clone().into_owned();
                assert_eq!(reply, owned);
                assert_eq!(reply.to_string(), owned.to_string());
                replies.push(owned);
                rest = &rest[octets..];
            }
            Err(error) => {
                assert!(error.at <= rest.len());
                assert!(error.reply().is_transient());
                return (replies, Some(error));
            }
        }
    }
}

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Reply>, Option<ReplyError>) {
    let (mut reader, mut input, mut replies) = (ReplyReader::new(), BytesMut::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match reader.next(&mut input) {
                Ok(Some(reply)) => replies.push(reply),
                Ok(None) => break,
                Err(error) => return (replies, Some(error)),
            }
        }
    }
    (replies, None)
}

/// A reply is written as lines of at most 512 octets that hold nothing else than it, and on one
/// line for a log.
fn travels(reply: &Reply) {
    let mut written = BytesMut::new();
    reply.write(&mut written);
    let text = std::str::from_utf8(&written).expect("a reply is UTF-8");
    assert!(text.ends_with("\r\n"));
    for line in text.split_terminator("\r\n") {
        assert!(line.len() <= 510 && line.starts_with(&reply.code().to_string()), "{line:?}");
        assert!(!line.contains(|c: char| c.is_control() && c != '\t'), "{line:?}");
    }
    let is_short = reply.lines().all(|line| line.len() <= 490);
    match Reply::parse(&written) {
        Ok(Some((again, octets))) => {
            assert_eq!(octets, written.len());
            assert_eq!((again.code(), again.enhanced()), (reply.code(), reply.enhanced()));
            assert!(again.lines().collect::<String>() == reply.lines().collect::<String>());
            assert!(!is_short || again == *reply);
        }
        // Broken lines may be more than a reader takes.
        other => assert!(!is_short || reply.lines().count() > 100 || written.len() > 65_536, "{other:?}"),
    }
    let line = reply.to_string();
    assert_eq!(line.parse::<Reply>().map(|again| again.to_string()), Ok(line));
}

/// A reply from a code, an enhanced code and any text: it is written, and parses to the same.
pub fn reply_value(data: &[u8]) {
    let [code, class, subject, detail, text @ ..] = data else { return };
    let Some(code) = Code::new(200 + u16::from(*code) * 2) else { return };
    let text = String::from_utf8_lossy(text).into_owned();
    let number = |octet: u8| u16::from(octet) * 3;
    let reply = match class {
        2 | 4 | 5 => Reply::new(code, EnhancedCode::new(*class, number(*subject), number(*detail)), text),
        _ => Reply::plain(code, text),
    };
    travels(&reply);
    travels(&reply.append(&String::from_utf8_lossy(data)));
}

/// What a server offers, from the bytes of its reply and from any lines: it prints, and parses
/// to the same.
pub fn ehlo(data: &[u8]) {
    if let Ok(Some((reply, _))) = Reply::parse(data) {
        offers(&reply);
    }
    offers(&Reply::plain(Code::OK_250, String::from_utf8_lossy(data).into_owned()));
}

fn offers<T: AsRef<str>>(reply: &Reply<T>) {
    let offered = Capabilities::parse(reply);
    let owned = offered.into_owned();
    assert_eq!(offered, owned);
    assert_eq!(Capabilities::parse(&offered.reply("mx.test")), offered);
    let printed = offered.reply("mx.test");
    if offered.iter().count() < 100 {
        let mut written = BytesMut::new();
        printed.write(&mut written);
        if let Ok(Some((again, _))) = Reply::parse(&written) {
            assert_eq!(Capabilities::parse(&again), offered);
        } else {
            assert!(written.len() > 65_536);
        }
    }
    for capability in offered.iter() {
        let line = capability.to_string();
        assert_eq!(Capability::parse(&line), Ok(capability));
        let keyword = capability.keyword();
        assert!(offered.has(&keyword) && owned.has(&keyword));
        let first = offered.iter().find(|other| other.keyword() == keyword);
        assert_eq!(offered.get(&keyword), first);
    }
    let size = match offered.get(&EhloKeyword::SIZE) {
        Some(Capability::Size(size)) => size.filter(|size| *size > 0),
        _ => None,
    };
    assert_eq!((offered.size(), owned.size()), (size, size));
    for name in offered.mechanisms().chain(["PLAIN", "SCRAM-SHA-256", "X-OWN"]) {
        let is_offered = offered.mechanisms().any(|other| other.eq_ignore_ascii_case(name));
        assert_eq!((offered.has_mechanism(name), owned.has_mechanism(name)), (is_offered, is_offered));
    }
    assert!(
        offered.mechanisms().chain(offered.limits().others()).all(|word| word.bytes().all(|b| b.is_ascii_graphic()))
    );
}
