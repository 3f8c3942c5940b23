//! The canonical forms of header fields and bodies (RFC 6376 §3.4).

mod clean;
#[cfg(any(fuzzing, test))]
pub(crate) mod slow;
#[cfg(test)]
mod tests;

use hikyaku_message::Field;

use clean::{clean, clean_value};

/// How much of the form of a text a signature covers (RFC 6376 §3.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Canonicalization {
    /// Every octet.
    #[default]
    Simple,
    /// White space is folded.
    Relaxed,
}

impl Canonicalization {
    /// The word that stands in `c=`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Relaxed => "relaxed",
        }
    }
}

/// Appends the canonical form of a field, its CRLF included (RFC 6376 §3.4.1, §3.4.2).
pub(crate) fn field(field: &Field<'_>, form: Canonicalization, out: &mut Vec<u8>) {
    match form {
        Canonicalization::Simple => {
            out.extend_from_slice(field.octets());
            if !field.octets().ends_with(b"\r\n") {
                out.extend_from_slice(b"\r\n");
            }
        }
        Canonicalization::Relaxed => {
            field_name(field, form, out);
            relaxed_value(field.raw_value(), out);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Appends what stands before the value of a field, its colon included.
pub(crate) fn field_name(field: &Field<'_>, form: Canonicalization, out: &mut Vec<u8>) {
    match form {
        Canonicalization::Simple => {
            let whole = field.octets();
            let value = field.raw_value().len() + if whole.ends_with(b"\r\n") { 2 } else { 0 };
            out.extend_from_slice(&whole[..whole.len() - value]);
        }
        Canonicalization::Relaxed => {
            out.extend(field.name().iter().map(u8::to_ascii_lowercase));
            out.push(b':');
        }
    }
}

/// Appends a value unfolded, with one space for each run of white space, and none at its ends.
///
/// Only a CR LF that white space follows is a fold; any other CR or LF is an octet like others.
pub(crate) fn relaxed_value(value: &[u8], out: &mut Vec<u8>) {
    let (start, mut rest, mut space) = (out.len(), value, false);
    loop {
        match rest {
            [] => return,
            [b' ' | b'\t', after @ ..] => {
                space = true;
                rest = after;
            }
            [b'\r', b'\n', b' ' | b'\t', after @ ..] => {
                space = true;
                rest = after;
            }
            _ => {
                if space && out.len() > start {
                    out.push(b' ');
                }
                // The first octet is none that is changed, also if it is a CR.
                let (run, after) = rest.split_at(1 + clean_value(&rest[1..]));
                let kept = run.strip_suffix(b" ").unwrap_or(run);
                out.extend_from_slice(kept);
                space = kept.len() < run.len();
                rest = after;
            }
        }
    }
}

/// The canonical form of a body that comes in pieces (RFC 6376 §3.4.3, §3.4.4), in constant memory.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    form: Canonicalization,
    /// Something was given out, so that what is held back is behind it.
    begun: bool,
    /// Line ends that are held back: at the end of the body they do not count.
    ends: u64,
    /// White space behind them is held back: at the end of a line it does not count. Relaxed only.
    space: bool,
    /// A CR behind it is held back: it may belong to a line end.
    cr: bool,
}

impl Body {
    pub(crate) fn new(form: Canonicalization) -> Self {
        Self { form, begun: false, ends: 0, space: false, cr: false }
    }

    /// Takes the next piece, and gives out what of the canonical form is certain.
    pub(crate) fn push(&mut self, piece: &[u8], mut out: impl FnMut(&[u8])) {
        let mut rest = piece;
        if self.cr && !rest.is_empty() {
            if let [b'\n', after @ ..] = rest {
                self.end();
                rest = after;
            } else {
                self.give(&mut out);
            }
        }
        match self.form {
            Canonicalization::Simple => self.simple(rest, &mut out),
            Canonicalization::Relaxed => self.relaxed(rest, &mut out),
        }
    }

    /// The body is over: gives out the rest.
    pub(crate) fn finish(&mut self, mut out: impl FnMut(&[u8])) {
        if self.cr {
            self.give(&mut out);
        }
        // An empty body is a line end in the simple form, and nothing in the relaxed one.
        if self.begun || self.form == Canonicalization::Simple {
            out(b"\r\n");
        }
    }

    /// What is held back ends with a line end.
    fn end(&mut self) {
        (self.cr, self.space) = (false, false);
        self.ends += 1;
    }

    /// Gives out what is held back, because something follows it.
    fn give(&mut self, out: &mut impl FnMut(&[u8])) {
        const ENDS: [u8; 64] = *b"\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\
            \r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n";
        while self.ends > 0 {
            let count = self.ends.min(32);
            out(&ENDS[..count as usize * 2]);
            self.ends -= count;
        }
        if self.space {
            out(b" ");
        }
        if self.cr {
            out(b"\r");
        }
        (self.begun, self.space, self.cr) = (true, false, false);
    }

    /// Nothing is changed but the line ends at the end of the body.
    fn simple(&mut self, piece: &[u8], out: &mut impl FnMut(&[u8])) {
        let (mut kept, cr) = match piece {
            [kept @ .., b'\r'] => (kept, true),
            kept => (kept, false),
        };
        let mut ends = 0;
        while let [before @ .., b'\r', b'\n'] = kept {
            kept = before;
            ends += 1;
        }
        if !kept.is_empty() {
            self.give(out);
            out(kept);
        }
        self.ends += ends;
        self.cr = cr;
    }

    fn relaxed(&mut self, piece: &[u8], out: &mut impl FnMut(&[u8])) {
        let mut rest = piece;
        loop {
            match rest {
                [] => return,
                [b' ' | b'\t', after @ ..] => {
                    self.space = true;
                    rest = after;
                }
                [b'\r', b'\n', after @ ..] => {
                    self.end();
                    rest = after;
                }
                [b'\r'] => {
                    self.cr = true;
                    return;
                }
                _ => {
                    // The first octet is none that is held back, whatever follows it.
                    let (run, after) = rest.split_at(1 + clean(&rest[1..]));
                    self.run(run, after.is_empty(), out);
                    rest = after;
                }
            }
        }
    }

    /// Takes octets that are their own canonical form, but for what follows the last visible one,
    /// on which what comes next decides.
    fn run(&mut self, run: &[u8], last: bool, out: &mut impl FnMut(&[u8])) {
        let (mut kept, space, cr) = match run {
            [kept @ .., b' '] => (kept, true, false),
            [kept @ .., b'\r'] if last => (kept, false, true),
            kept => (kept, false, false),
        };
        let mut ends = 0;
        while let [before @ .., b'\r', b'\n'] = kept {
            kept = before;
            ends += 1;
        }
        self.give(out);
        out(kept);
        (self.ends, self.space, self.cr) = (ends, space, cr);
    }
}
