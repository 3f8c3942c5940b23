//! The canonical forms of header fields and bodies (RFC 6376 §3.4).

use hikyaku_message::Field;

/// How much of the form of a text a signature covers (RFC 6376 §3.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Canonicalization {
    /// Every octet.
    #[default]
    Simple,
    /// White space is folded.
    Relaxed,
}

/// Appends the canonical form of a field, its CRLF included (RFC 6376 §3.4.1, §3.4.2).
pub(crate) fn field(_field: &Field<'_>, _form: Canonicalization, _out: &mut Vec<u8>) {
    unimplemented!("c: canonical.rs")
}

/// The canonical form of a body that comes in pieces (RFC 6376 §3.4.3, §3.4.4), in constant memory.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    form: Canonicalization,
}

impl Body {
    pub(crate) fn new(form: Canonicalization) -> Self {
        Self { form }
    }

    pub(crate) fn push(&mut self, _piece: &[u8], _out: impl FnMut(&[u8])) {
        let _ = self.form;
        unimplemented!("c: canonical.rs")
    }

    pub(crate) fn finish(self, _out: impl FnMut(&[u8])) {
        unimplemented!("c: canonical.rs")
    }
}
