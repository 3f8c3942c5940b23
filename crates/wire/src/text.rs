//! What all values that are one checked text have in common.

/// Comparison, printing and `FromStr` of a type that is generic over its text, has `as_str`,
/// a borrowing `parse` and `into_owned`: what is compared and printed is the form on the wire.
macro_rules! wire_text {
    ($name:ident, $error:ty) => {
        impl<T: AsRef<str>, U: AsRef<str>> PartialEq<$name<U>> for $name<T> {
            fn eq(&self, other: &$name<U>) -> bool {
                self.as_str() == other.as_str()
            }
        }

        impl<T: AsRef<str>> Eq for $name<T> {}

        impl<T: AsRef<str>> std::hash::Hash for $name<T> {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                self.as_str().hash(state);
            }
        }

        impl<T: AsRef<str>> std::fmt::Display for $name<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                $name::parse(text).map($name::into_owned)
            }
        }
    };
}

pub(crate) use wire_text;
