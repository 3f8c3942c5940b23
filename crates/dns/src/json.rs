//! The reader of zones in the form of the public test suites.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::record::{Data, cut};
use crate::{Error, Failure, Mx, Name, NameError, RecordType, Txt, Zone};

/// TTL of every record.
const TTL: u32 = 3_600;

/// What is wrong in the JSON form of a [`Zone`], and how far it was read; lines and columns count
/// from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {reason}")]
pub struct ZoneJsonError {
    /// The line.
    pub line: usize,
    /// The octet in the line.
    pub column: usize,
    /// What is wrong there, with the name and the number of the record, counted from 1.
    pub reason: String,
}

impl From<serde_json::Error> for ZoneJsonError {
    fn from(error: serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let mut reason = error.to_string();
        if let Some(length) = reason.strip_suffix(&format!(" at line {line} column {column}")).map(str::len) {
            reason.truncate(length);
        }
        Self { line, column, reason }
    }
}

pub(crate) fn read(text: &[u8]) -> Result<Zone, ZoneJsonError> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let zone = deserializer.deserialize_map(Names)?;
    deserializer.end()?;
    Ok(zone)
}

/// The object of all names.
struct Names;

impl<'de> Visitor<'de> for Names {
    type Value = Zone;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object with a list of records for each name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut names: A) -> Result<Zone, A::Error> {
        let mut zone = Zone::default();
        while let Some(text) = names.next_key::<String>()? {
            match read_name(&text) {
                Ok(name) => names.next_value_seed(Records { zone: &mut zone, text: &text, name })?,
                Err(_) => {
                    names.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(zone)
    }
}

/// The list of the records of a name.
struct Records<'a> {
    zone: &'a mut Zone,
    text: &'a str,
    name: Name,
}

impl<'de> DeserializeSeed<'de> for Records<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, records: D) -> Result<(), D::Error> {
        records.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Records<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the list of the records of {:?}", self.text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { zone, text, name } = self;
        let records = zone.records.entry(name.clone()).or_default();
        let mut number = 0;
        while let Some(value) = list.next_element::<Value>()? {
            number += 1;
            let said =
                read_record(&value).map_err(|what| A::Error::custom(format!("{text:?}, record {number}: {what}")))?;
            match said {
                Said::Data(data) => records.push(crate::Record { ttl: TTL, data }),
                Said::Failure(record_type, failure) => {
                    zone.failures.insert((name.clone(), record_type), failure);
                }
                Said::Impossible => {}
            }
        }
        Ok(())
    }
}

/// What one member of the list says.
enum Said {
    Data(Data),
    Failure(RecordType, Failure),
    /// A record that the DNS cannot hold.
    Impossible,
}

fn read_record(record: &Value) -> Result<Said, &'static str> {
    let record_type = record["type"].as_str().ok_or("no \"type\", which is a text")?;
    match (&record["data"], &record["error"]) {
        (Value::Null, Value::Null) => Err("neither \"data\" nor \"error\""),
        (data, Value::Null) => read_data(record_type, data),
        (Value::Null, error) => {
            let failure = match error.as_str() {
                Some("TIMEOUT") => Error::Timeout.into(),
                Some("SERVFAIL") => Error::ServerFailure.into(),
                Some("NXDOMAIN") => Failure::NoName,
                _ => return Err("\"error\" is none of TIMEOUT, SERVFAIL, NXDOMAIN"),
            };
            let record_type = match record_type {
                "*" => RecordType::ANY,
                named => named.parse().map_err(|_| "\"type\" is neither * nor a record type")?,
            };
            Ok(Said::Failure(record_type, failure))
        }
        _ => Err("both \"data\" and \"error\""),
    }
}

fn read_data(record_type: &str, data: &Value) -> Result<Said, &'static str> {
    let name = || data.as_str().map(read_name).ok_or("\"data\" is not a name");
    let data = match record_type {
        "A" => {
            let address = data.as_str().and_then(|text| text.parse::<Ipv4Addr>().ok());
            Ok(Data::A(address.ok_or("\"data\" is not an IPv4 address")?))
        }
        "AAAA" => {
            let address = data.as_str().and_then(|text| text.parse::<Ipv6Addr>().ok());
            Ok(Data::Aaaa(address.ok_or("\"data\" is not an IPv6 address")?))
        }
        "CNAME" => name()?.map(Data::Cname),
        "NS" => name()?.map(Data::Ns),
        "PTR" => name()?.map(Data::Ptr),
        "MX" => read_mx(data).ok_or("\"data\" is not [preference, \"host\"]")?.map(Data::Mx),
        "SPF" => Ok(Data::Spf(read_text(data)?)),
        "TXT" => Ok(Data::Txt(read_text(data)?)),
        _ => return Err("\"type\" is none of A, AAAA, CNAME, MX, NS, PTR, SPF, TXT"),
    };
    Ok(data.map_or(Said::Impossible, Said::Data))
}

fn read_mx(data: &Value) -> Option<Result<Mx, NameError>> {
    let [preference, exchange] = data.as_array()?.as_slice() else {
        return None;
    };
    let preference = preference.as_u64()?.try_into().ok()?;
    let exchange = read_name(exchange.as_str()?);
    Some(exchange.map(|exchange| Mx { preference, exchange }))
}

/// The strings of a record: a list, or one text by itself.
fn read_text(data: &Value) -> Result<Txt, &'static str> {
    let texts = match data {
        Value::Array(texts) => texts.as_slice(),
        text => std::slice::from_ref(text),
    };
    let mut strings = Vec::with_capacity(texts.len());
    for text in texts {
        let text = text.as_str().ok_or("\"data\" is not a list of texts")?;
        let octets: Option<Vec<u8>> = text.chars().map(|character| u8::try_from(character).ok()).collect();
        let octets = octets.ok_or("\"data\" holds a character that is no octet (above U+00FF)")?;
        match octets.is_empty() {
            true => strings.push(octets),
            false => strings.extend(cut(&octets)),
        }
    }
    if strings.is_empty() {
        // A record has one string or more (RFC 1035 §3.3.14).
        strings.push(Vec::new());
    }
    Ok(Txt { strings })
}

/// A name without escapes, with or without its final dot; the root is `.` or nothing.
fn read_name(text: &str) -> Result<Name, NameError> {
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.is_empty() {
        return Ok(Name::root());
    }
    let mut labels = Vec::new();
    for label in text.split('.') {
        match label.is_ascii() {
            true => labels.push(label.as_bytes().to_vec()),
            // By itself, since IDNA does not allow the underscores beside it.
            false => labels.extend(Name::from_domain(label)?.labels().map(<[u8]>::to_vec)),
        }
    }
    Name::from_labels(labels.iter().map(Vec::as_slice))
}

#[cfg(test)]
mod tests;
