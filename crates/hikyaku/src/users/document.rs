//! The TOML form of a file of users.

use std::{collections::HashSet, fmt, marker::PhantomData, path::Path, str::FromStr};

use hikyaku_session::sasl::ScramKeys;
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};
use toml::Spanned;

use super::{Account, SenderPattern, hash::Hash};
use crate::{
    ConfigError,
    config::{UserName, document::Parsed},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct File {
    #[serde(default)]
    user: Vec<UserTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct UserTable {
    name: Spanned<Parsed<UserName>>,
    password: Option<Hidden<Hash>>,
    scram: Option<Hidden<ScramKeys>>,
    senders: Option<Vec<Parsed<SenderPattern>>>,
    #[serde(default)]
    disabled: bool,
}

pub(super) fn load(file: &Path) -> Result<Vec<(Box<str>, Account)>, ConfigError> {
    let text = std::fs::read_to_string(file).map_err(|error| ConfigError::new(error.to_string()));
    text.and_then(|text| read(&text)).map_err(|error| ConfigError { file: Some(file.to_owned()), ..error })
}

pub(super) fn read(text: &str) -> Result<Vec<(Box<str>, Account)>, ConfigError> {
    let file: File = toml::from_str(text).map_err(|error| ConfigError::from_toml(text, &error))?;
    let mut names = HashSet::new();
    let user = |table: UserTable| {
        let span = table.name.span();
        let Parsed(UserName(name)) = table.name.into_inner();
        if !names.insert(name.clone()) {
            return Err(ConfigError::at(text, span, format!("{name} is there twice")));
        }
        let account = Account {
            password: table.password.map(|hash| hash.0.into()),
            scram: table.scram.map(|keys| keys.0),
            senders: table.senders.map(|senders| senders.into_iter().map(|sender| sender.0).collect()),
            disabled: table.disabled,
        };
        Ok((name, account))
    };
    file.user.into_iter().map(user).collect()
}

/// A value that is written as a string, which errors do not show.
struct Hidden<T>(T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Hidden<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text<T>(PhantomData<T>);

        impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Text<T> {
            type Value = Hidden<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Hidden<T>, E> {
                text.parse().map(Hidden).map_err(E::custom)
            }

            // A password of digits that stands without quotes.
            fn visit_i64<E: de::Error>(self, _: i64) -> Result<Hidden<T>, E> {
                Err(E::custom("expected a string"))
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<Hidden<T>, E> {
                Err(E::custom("expected a string"))
            }

            fn visit_bool<E: de::Error>(self, _: bool) -> Result<Hidden<T>, E> {
                Err(E::custom("expected a string"))
            }
        }

        deserializer.deserialize_str(Text(PhantomData))
    }
}
