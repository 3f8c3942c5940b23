//! Lists of tags (RFC 6376 §3.2), which signatures, keys and seals are written in.

/// A list of tags, in the order in which they stand; names are case-sensitive.
#[derive(Clone, Debug)]
pub(crate) struct Tags<'a> {
    pub(crate) tags: Vec<Tag<'a>>,
}

/// One tag.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tag<'a> {
    pub(crate) name: &'a [u8],
    /// The value without the white space around it; what is within stays.
    pub(crate) value: &'a [u8],
}

/// Why a text is no list of tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TagsError {
    #[error("not a list of tags")]
    Syntax,
    #[error("a tag stands twice")]
    Twice,
}

impl<'a> Tags<'a> {
    pub(crate) fn parse(_text: &'a [u8]) -> Result<Self, TagsError> {
        unimplemented!("c: tags.rs")
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.tags.iter().find(|tag| tag.name == name.as_bytes()).map(|tag| tag.value)
    }
}
