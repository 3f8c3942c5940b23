//! How values stand in a line: everything that is not a number is a string or
//! an array of strings.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use hikyaku_wire::{ForwardPath, Mailbox, Reply, ReversePath, Timestamp};

use crate::line::{read_json, write_text};

/// A value of an event: JSON text both ways.
pub(crate) trait Value: Sized {
    /// Appends the value; `false`, and nothing, if the key is to be left out.
    fn write(&self, out: &mut String) -> bool;
    /// Reads the value; `json` is `None` where the key is missing.
    fn read(json: Option<&str>) -> Option<Self>;
}

/// Values that stand as a string in the form that they print.
macro_rules! texts {
    ($($type:ty),*) => { $(
        impl Value for $type {
            fn write(&self, out: &mut String) -> bool {
                write_text(&self.to_string(), out);
                true
            }

            fn read(json: Option<&str>) -> Option<Self> {
                Self::from_str(&read_json::<String>(json?)?).ok()
            }
        }
    )* };
}

texts!(IpAddr, SocketAddr, ForwardPath, Mailbox, ReversePath, Timestamp);

/// A reply stands as `550 5.7.1 text`, its further lines after an escaped LF:
/// `Display` joins them, and a long reply would not read as it was.
impl Value for Reply {
    fn write(&self, out: &mut String) -> bool {
        let mut lines = self.lines();
        let mut text = self.code().to_string();
        if let Some(enhanced) = self.enhanced() {
            text.push_str(&format!(" {enhanced}"));
        }
        if let Some(first) = lines.next().filter(|line| !line.is_empty()) {
            text.push_str(&format!(" {first}"));
        }
        for line in lines {
            text.push_str(&format!("\n{line}"));
        }
        write_text(&text, out);
        true
    }

    fn read(json: Option<&str>) -> Option<Self> {
        let text: String = read_json(json?)?;
        let Some((first, more)) = text.split_once('\n') else {
            return text.parse().ok();
        };
        let first: Self = first.parse().ok()?;
        let mut text = first.lines().collect::<Vec<_>>().join("\n");
        text.push_str(&format!("\n{more}"));
        Some(match first.enhanced() {
            Some(enhanced) => Self::new(first.code(), enhanced, text),
            None => Self::plain(first.code(), text),
        })
    }
}

impl Value for String {
    fn write(&self, out: &mut String) -> bool {
        write_text(self, out);
        true
    }

    fn read(json: Option<&str>) -> Option<Self> {
        read_json(json?)
    }
}

/// Values that stand as a number.
macro_rules! numbers {
    ($($type:ty),*) => { $(
        impl Value for $type {
            fn write(&self, out: &mut String) -> bool {
                out.push_str(&self.to_string());
                true
            }

            fn read(json: Option<&str>) -> Option<Self> {
                read_json(json?)
            }
        }
    )* };
}

numbers!(u32, u64);

impl<T: Value> Value for Option<T> {
    fn write(&self, out: &mut String) -> bool {
        self.as_ref().is_some_and(|value| value.write(out))
    }

    fn read(json: Option<&str>) -> Option<Self> {
        match json {
            None => Some(None),
            json => T::read(json).map(Some),
        }
    }
}

impl<T: Value> Value for Vec<T> {
    fn write(&self, out: &mut String) -> bool {
        out.push('[');
        for (index, value) in self.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            value.write(out);
        }
        out.push(']');
        true
    }

    fn read(json: Option<&str>) -> Option<Self> {
        // A line of before the key was there has nothing to say of it.
        let Some(json) = json else { return Some(Self::new()) };
        read_json::<Vec<&serde_json::value::RawValue>>(json)?
            .into_iter()
            .map(|value| T::read(Some(value.get())))
            .collect()
    }
}
