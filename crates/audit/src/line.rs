//! One JSON object on one line, with its keys in order.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::value::Value;

/// At most so many octets of a text are written; a longer one ends in `…`.
const TEXT_MAX: usize = 1024;
const CUT: char = '…';

/// An object being written, from `{` to `}`.
pub(crate) struct Object<'a> {
    out: &'a mut String,
    empty: bool,
}

impl<'a> Object<'a> {
    pub(crate) fn new(out: &'a mut String) -> Self {
        out.push('{');
        Self { out, empty: true }
    }

    /// Adds a key with its value, unless the value is absent.
    pub(crate) fn field(&mut self, key: &str, value: &impl Value) {
        let mut json = String::new();
        if value.write(&mut json) {
            self.json(key, &json);
        }
    }

    /// Adds a key with a value that is JSON already.
    pub(crate) fn json(&mut self, key: &str, json: &str) {
        if !std::mem::take(&mut self.empty) {
            self.out.push(',');
        }
        write_json_string(key, self.out);
        self.out.push(':');
        escape_unseen(json, self.out);
    }

    pub(crate) fn end(self) {
        self.out.push('}');
    }
}

/// Appends a text as a JSON string, cut to [`TEXT_MAX`] octets.
pub(crate) fn write_text(text: &str, out: &mut String) {
    if text.len() <= TEXT_MAX {
        return write_json_string(text, out);
    }
    let end = text.floor_char_boundary(TEXT_MAX - CUT.len_utf8());
    write_json_string(&format!("{}{CUT}", &text[..end]), out);
}

fn write_json_string(text: &str, out: &mut String) {
    let json = serde_json::to_string(text).expect("a string always has a JSON form");
    escape_unseen(&json, out);
}

/// Appends JSON so that what a reader of the log would not see, or see in
/// another order, stands as an escape. Such characters occur only in strings.
fn escape_unseen(json: &str, out: &mut String) {
    for c in json.chars() {
        if is_unseen(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
}

/// Controls, line separators, and the default-ignorable and bidirectional
/// formatting characters of Unicode.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Reads a JSON value; `None` if it is of another type.
pub(crate) fn read_json<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
    serde_json::from_str(json).ok()
}

/// The keys and values of an object that has been read, in order.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// Takes a key out; `None` if it is missing and must not be, or if its
    /// value is of another form.
    pub(crate) fn take<T: Value>(&mut self, key: &str) -> Option<T> {
        let index = self.0.iter().position(|(name, _)| name == key);
        let json = index.map(|index| self.0.remove(index).1.get());
        T::read(json)
    }

    /// Puts all keys back if `take` gives up.
    pub(crate) fn all_or_nothing<T>(&mut self, take: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let mut fields = self.clone();
        let taken = take(&mut fields)?;
        *self = fields;
        Some(taken)
    }

    /// A key that occurs twice.
    pub(crate) fn duplicate(&self) -> Option<&str> {
        let mut keys: Vec<&str> = self.0.iter().map(|(key, _)| key.as_str()).collect();
        keys.sort_unstable();
        keys.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
    }

    /// What has not been taken, in the form in which it is written.
    pub(crate) fn rest(self) -> impl Iterator<Item = (String, String)> {
        self.0.into_iter().map(|(key, value)| {
            let mut json = String::new();
            // A tab can only be white space between values.
            escape_unseen(&value.get().replace('\t', " "), &mut json);
            (key, json)
        })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;

        impl<'de> Visitor<'de> for Keys {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(fields)
            }
        }

        deserializer.deserialize_map(Keys).map(Self)
    }
}
