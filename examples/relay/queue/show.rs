//! Everything about one message.

use std::io::{self, Write};

use hikyaku::{
    queue::{Entry, Filter, MsgId, Rcpt, UnitState},
    wire::Timestamp,
};

use super::{
    Part,
    access::{Access, Failure},
    json,
    plain::{size, span, until, visible, visible_lines},
};

/// So much of a text is searched for the end of its header section.
const HEADER: usize = 1024 * 1024;

/// Shows a message, and says how many units it has.
pub(super) async fn show(
    access: &Access,
    msg: MsgId,
    part: Option<Part>,
    now: Timestamp,
    as_json: bool,
    out: &mut impl Write,
) -> Result<u64, Failure> {
    let (mut entries, mut after) = (Vec::new(), None);
    loop {
        let page = access.list(&Filter::message(msg), after, 500).await?;
        entries.extend(page.entries);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let Some(first) = entries.first() else {
        writeln!(out, "there is no message {msg}").map_err(Failure::Output)?;
        return Ok(0);
    };
    if as_json {
        let mut text = Vec::new();
        if let Some(part) = part {
            copy(access, msg, part, |piece| {
                text.extend_from_slice(piece);
                Ok(())
            })
            .await?;
        }
        let text = part.map(|_| String::from_utf8_lossy(&text).into_owned());
        writeln!(out, "{}", json::line(&json::message(&entries, text))).map_err(Failure::Output)?;
        return Ok(entries.len() as u64);
    }
    message(first, now, out).map_err(Failure::Output)?;
    entries.iter().try_for_each(|entry| unit(entry, now, out)).map_err(Failure::Output)?;
    if let Some(part) = part {
        writeln!(out).map_err(Failure::Output)?;
        let mut lines = Lines::default();
        copy(access, msg, part, |piece| lines.write(piece, out)).await?;
        lines.end(out).map_err(Failure::Output)?;
    }
    Ok(entries.len() as u64)
}

fn message(entry: &Entry, now: Timestamp, out: &mut impl Write) -> io::Result<()> {
    let (envelope, origin) = (&entry.envelope, &entry.envelope.origin);
    let mut field = |name: &str, value: Option<String>| match value {
        Some(value) => writeln!(out, "{name:<9}{}", visible(&value)),
        None => Ok(()),
    };
    field("message", Some(entry.unit.msg.to_string()))?;
    field("from", Some(envelope.sender.to_string()))?;
    let age = span(now.saturating_since(envelope.received));
    field("received", Some(format!("{} ({age} ago)", envelope.received)))?;
    let by = [
        origin.address.map(|address| address.to_string()),
        origin.hello.as_ref().map(|hello| format!("as {hello}")),
        origin.user.as_ref().map(|user| format!("user {user}")),
        origin.listener.as_ref().map(|listener| format!("on {listener}")),
        origin.session.as_ref().map(|session| format!("session {session}")),
    ];
    let by: Vec<_> = by.into_iter().flatten().collect();
    field("by", (!by.is_empty()).then(|| by.join(", ")))?;
    let mut kind = vec![format!("{} octets ({})", entry.size, size(entry.size)), envelope.body.as_str().to_owned()];
    kind.extend(envelope.smtputf8.then(|| "SMTPUTF8".to_owned()));
    kind.extend(envelope.require_tls.then(|| "REQUIRETLS".to_owned()));
    kind.extend(envelope.ret.map(|ret| format!("RET={ret}")));
    kind.extend(envelope.envid.as_ref().map(|envid| format!("ENVID={envid}")));
    kind.extend(envelope.by.map(|by| format!("BY={by}")));
    kind.extend(envelope.priority.map(|priority| format!("MT-PRIORITY={}", priority.get())));
    field("size", Some(kind.join(", ")))
}

fn unit(entry: &Entry, now: Timestamp, out: &mut impl Write) -> io::Result<()> {
    let state = match &entry.state {
        UnitState::Ready => format!("ready, next {}", until(entry.due, now)),
        UnitState::Leased { by, expires } => format!("leased by {by}, {} more", span(expires.saturating_since(now))),
        UnitState::Held(why) => format!("held: {why}"),
    };
    let attempts = match entry.attempts {
        1 => "1 attempt".to_owned(),
        attempts => format!("{attempts} attempts"),
    };
    let expires = match entry.expires.saturating_since(now) {
        left if left.is_zero() => "expired".to_owned(),
        left => format!("expires in {}", span(left)),
    };
    let text = format!("{}  {}  {state}; {attempts}, {expires}", entry.unit, entry.key);
    writeln!(out, "\nunit     {}", visible(&text))?;
    entry.rcpts.iter().try_for_each(|rcpt| recipient(rcpt, now, out))
}

fn recipient(rcpt: &Rcpt, now: Timestamp, out: &mut impl Write) -> io::Result<()> {
    let mut text = format!("{}  {}", rcpt.addr, json::state(&rcpt.state));
    text.extend(rcpt.notify.map(|notify| format!("  NOTIFY={notify}")));
    text.extend(rcpt.orcpt.as_ref().map(|orcpt| format!("  ORCPT={orcpt}")));
    writeln!(out, "  to     {}", visible(&text))?;
    let Some(attempt) = rcpt.state.attempt() else { return Ok(()) };
    let mut by = attempt.host.clone().unwrap_or_else(|| "this relay".to_owned());
    by.extend(attempt.address.map(|address| format!(" [{address}]")));
    let text = format!("{} ago, {by}: {}", span(now.saturating_since(attempt.when)), json::reply(&attempt.reply));
    writeln!(out, "         {}", visible(&text))
}

/// Gives the text piece by piece: what was put before it too.
async fn copy(
    access: &Access,
    msg: MsgId,
    part: Part,
    mut to: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut give = |piece: &[u8]| to(piece).map_err(Failure::Output);
    let (mut at, mut header) = (0, Vec::new());
    loop {
        let text = access.text(msg, at).await?;
        if at == 0 {
            give(&text.before)?;
        }
        if text.piece.is_empty() {
            break;
        }
        at += text.piece.len() as u64;
        if part == Part::Whole {
            give(&text.piece)?;
            continue;
        }
        header.extend_from_slice(&text.piece);
        if let Some(end) = end_of_header(&header) {
            header.truncate(end);
            break;
        }
        if header.len() >= HEADER {
            break;
        }
    }
    give(&header)
}

/// Where the first empty line begins.
fn end_of_header(text: &[u8]) -> Option<usize> {
    if text.starts_with(b"\r\n") {
        return Some(0);
    }
    text.windows(4).position(|octets| octets == b"\r\n\r\n").map(|at| at + 2)
}

/// Octets as lines that a terminal does not obey, however they are split.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn write(&mut self, piece: &[u8], out: &mut impl Write) -> io::Result<()> {
        self.0.extend_from_slice(piece);
        // Only whole lines: a character is never cut. A line that is too long to wait for is.
        let end = match self.0.iter().rposition(|octet| *octet == b'\n') {
            Some(at) => at + 1,
            None if self.0.len() > HEADER => self.0.len(),
            None => return Ok(()),
        };
        out.write_all(visible_lines(&self.0[..end]).as_bytes())?;
        self.0.drain(..end);
        Ok(())
    }

    fn end(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.0.is_empty() { Ok(()) } else { writeln!(out, "{}", visible_lines(&self.0)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_section_ends_at_its_empty_line() {
        for (text, end) in [("\r\nx", Some(0)), ("a: b\r\n\r\nc\r\n\r\n", Some(6)), ("a: b\r\n", None), ("", None)] {
            assert_eq!(end_of_header(text.as_bytes()), end, "{text:?}");
        }
    }

    #[test]
    fn lines_are_the_same_however_they_come() {
        let text = "Subject: ü\u{1b}\r\n\r\nend\u{202e}".as_bytes();
        let whole = |step: usize| {
            let (mut lines, mut out) = (Lines::default(), Vec::new());
            text.chunks(step).for_each(|piece| lines.write(piece, &mut out).unwrap());
            lines.end(&mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        for step in 1..=text.len() {
            assert_eq!(whole(step), "Subject: ü\\u{1b}\n\nend\\u{202e}\n");
        }
    }
}
