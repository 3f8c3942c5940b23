//! How envelopes, units and recipients are written down: serde types, of which JSON is the form in
//! mind. Keys are short, and what is as usual is absent; unknown keys and values are a fault.
//!
//! A store says itself which version of them it holds. What came from a peer is a string here, so
//! it cannot begin a record of its own.

use std::net::IpAddr;

use hikyaku_wire::{Body, Code, EnhancedCode, Priority, Reply, Timestamp};
use serde::{Deserialize, Serialize};

use crate::unit::Unit;
use crate::{Attempt, Envelope, HoldReason, Origin, QueueKey, Rcpt, RcptNo, RcptState};

/// What is wrong with a record, in words.
pub type Fault = &'static str;

/// An [`Envelope`] as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvelopeRecord {
    #[serde(rename = "s")]
    sender: String,
    #[serde(rename = "r")]
    received: i64,
    #[serde(rename = "b", default, skip_serializing_if = "is_default")]
    body: BodyWord,
    #[serde(rename = "u", default, skip_serializing_if = "is_default")]
    smtputf8: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ret: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    envid: Option<String>,
    #[serde(rename = "tls", default, skip_serializing_if = "is_default")]
    require_tls: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    priority: Option<i8>,
    #[serde(rename = "o", default, skip_serializing_if = "is_default")]
    origin: OriginRecord,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
enum BodyWord {
    #[default]
    #[serde(rename = "7BIT")]
    SevenBit,
    #[serde(rename = "8BITMIME")]
    EightBitMime,
    #[serde(rename = "BINARYMIME")]
    BinaryMime,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OriginRecord {
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    hello: Option<String>,
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    listener: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    tls: bool,
}

/// A [`Unit`] as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitRecord {
    #[serde(rename = "k")]
    key: String,
    #[serde(rename = "d")]
    due: i64,
    #[serde(rename = "x")]
    expires: i64,
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    hold: Option<String>,
    #[serde(rename = "n", default, skip_serializing_if = "is_default")]
    attempts: u32,
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    first_attempt: Option<i64>,
    #[serde(rename = "r")]
    rcpts: Vec<RcptRecord>,
}

/// A [`Rcpt`] as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RcptRecord {
    #[serde(rename = "n", default, skip_serializing_if = "is_default")]
    no: u32,
    #[serde(rename = "a")]
    addr: String,
    #[serde(rename = "y", default, skip_serializing_if = "Option::is_none")]
    notify: Option<String>,
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    orcpt: Option<String>,
    #[serde(rename = "s", default, skip_serializing_if = "is_default")]
    state: StateWord,
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    attempt: Option<AttemptRecord>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StateWord {
    #[default]
    Pending,
    Deferred,
    Delivered,
    Relayed,
    Failed,
    Expired,
}

/// An [`Attempt`] as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptRecord {
    #[serde(rename = "w")]
    when: i64,
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(rename = "c")]
    code: u16,
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    enhanced: Option<String>,
    #[serde(rename = "t", default, skip_serializing_if = "String::is_empty")]
    text: String,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Reads a word or a path, if it is there.
fn read<T: std::str::FromStr>(text: Option<&String>, fault: Fault) -> Result<Option<T>, Fault> {
    text.map(|text| text.parse().map_err(|_| fault)).transpose()
}

impl From<&Envelope> for EnvelopeRecord {
    fn from(envelope: &Envelope) -> Self {
        let origin = &envelope.origin;
        Self {
            sender: envelope.sender.to_string(),
            received: envelope.received.as_millis(),
            body: match envelope.body {
                Body::SevenBit => BodyWord::SevenBit,
                Body::EightBitMime => BodyWord::EightBitMime,
                Body::BinaryMime => BodyWord::BinaryMime,
            },
            smtputf8: envelope.smtputf8,
            ret: envelope.ret.map(|ret| ret.to_string()),
            envid: envelope.envid.as_ref().map(|envid| envid.to_string()),
            require_tls: envelope.require_tls,
            by: envelope.by.map(|by| by.to_string()),
            priority: envelope.priority.map(Priority::get),
            origin: OriginRecord {
                address: origin.address,
                hello: origin.hello.clone(),
                user: origin.user.clone(),
                session: origin.session.clone(),
                listener: origin.listener.clone(),
                tls: origin.tls,
            },
        }
    }
}

impl EnvelopeRecord {
    /// The envelope.
    ///
    /// # Errors
    /// What is not a path, or not a value of its parameter.
    pub fn read(&self) -> Result<Envelope, Fault> {
        let sender = self.sender.parse().map_err(|_| "the sender is not a path")?;
        let priority = |number| Priority::new(number).ok_or("the priority is not one");
        let origin = self.origin.clone();
        Ok(Envelope {
            body: match self.body {
                BodyWord::SevenBit => Body::SevenBit,
                BodyWord::EightBitMime => Body::EightBitMime,
                BodyWord::BinaryMime => Body::BinaryMime,
            },
            smtputf8: self.smtputf8,
            ret: read(self.ret.as_ref(), "what is to be returned is neither FULL nor HDRS")?,
            envid: read(self.envid.as_ref(), "the envelope's identifier is not one")?,
            require_tls: self.require_tls,
            by: read(self.by.as_ref(), "the deadline is not one")?,
            priority: self.priority.map(priority).transpose()?,
            origin: Origin {
                address: origin.address,
                hello: origin.hello,
                user: origin.user,
                session: origin.session,
                listener: origin.listener,
                tls: origin.tls,
            },
            ..Envelope::new(sender, Timestamp::from_millis(self.received))
        })
    }
}

impl From<&Unit> for UnitRecord {
    fn from(unit: &Unit) -> Self {
        Self {
            key: unit.key.as_str().to_owned(),
            due: unit.due.as_millis(),
            expires: unit.expires.as_millis(),
            hold: unit.hold.as_ref().map(|why| why.as_str().to_owned()),
            attempts: unit.attempts,
            first_attempt: unit.first_attempt.map(Timestamp::as_millis),
            rcpts: unit.rcpts.iter().map(RcptRecord::from).collect(),
        }
    }
}

impl UnitRecord {
    /// The unit.
    ///
    /// # Errors
    /// A unit without recipients, recipients whose numbers do not ascend, and what
    /// [`RcptRecord::read`] finds.
    pub fn read(&self) -> Result<Unit, Fault> {
        if self.rcpts.is_empty() {
            return Err("a unit has no recipient");
        }
        if !self.rcpts.is_sorted_by(|a, b| a.no < b.no) {
            return Err("the numbers of a unit's recipients do not ascend");
        }
        Ok(Unit {
            key: QueueKey::new(self.key.as_str()),
            due: Timestamp::from_millis(self.due),
            expires: Timestamp::from_millis(self.expires),
            hold: self.hold.as_deref().map(HoldReason::new),
            attempts: self.attempts,
            first_attempt: self.first_attempt.map(Timestamp::from_millis),
            rcpts: self.rcpts.iter().map(RcptRecord::read).collect::<Result<_, _>>()?,
        })
    }
}

impl From<&Rcpt> for RcptRecord {
    fn from(rcpt: &Rcpt) -> Self {
        Self {
            no: rcpt.no.0,
            addr: rcpt.addr.to_string(),
            notify: rcpt.notify.map(|notify| notify.to_string()),
            orcpt: rcpt.orcpt.as_ref().map(|orcpt| orcpt.to_string()),
            state: match rcpt.state {
                RcptState::Pending => StateWord::Pending,
                RcptState::Deferred(_) => StateWord::Deferred,
                RcptState::Delivered(_) => StateWord::Delivered,
                RcptState::Relayed(_) => StateWord::Relayed,
                RcptState::Failed(_) => StateWord::Failed,
                RcptState::Expired(_) => StateWord::Expired,
            },
            attempt: rcpt.state.attempt().map(AttemptRecord::from),
        }
    }
}

impl RcptRecord {
    /// The recipient.
    ///
    /// # Errors
    /// What is not a path, or not a value of its parameter; a result without an attempt, or an
    /// attempt without a result; what [`AttemptRecord::read`] finds.
    pub fn read(&self) -> Result<Rcpt, Fault> {
        let attempt = self.attempt.as_ref().map(AttemptRecord::read).transpose()?;
        let state = match (self.state, attempt) {
            (StateWord::Pending, None) => RcptState::Pending,
            (StateWord::Deferred, Some(attempt)) => RcptState::Deferred(attempt),
            (StateWord::Delivered, Some(attempt)) => RcptState::Delivered(attempt),
            (StateWord::Relayed, Some(attempt)) => RcptState::Relayed(attempt),
            (StateWord::Failed, Some(attempt)) => RcptState::Failed(attempt),
            (StateWord::Expired, Some(attempt)) => RcptState::Expired(attempt),
            (StateWord::Pending, Some(_)) => return Err("an attempt has no result"),
            (_, None) => return Err("a result has no attempt"),
        };
        Ok(Rcpt {
            no: RcptNo(self.no),
            addr: self.addr.parse().map_err(|_| "a recipient is not a path")?,
            notify: read(self.notify.as_ref(), "what a recipient's sender wants to be told is not readable")?,
            orcpt: read(self.orcpt.as_ref(), "an original recipient is not one")?,
            state,
        })
    }
}

impl From<&Attempt> for AttemptRecord {
    fn from(attempt: &Attempt) -> Self {
        let reply = &attempt.reply;
        Self {
            when: attempt.when.as_millis(),
            host: attempt.host.clone(),
            address: attempt.address,
            code: reply.code().as_u16(),
            enhanced: reply.enhanced().map(|code| code.to_string()),
            text: reply.lines().collect::<Vec<_>>().join("\n"),
        }
    }
}

impl AttemptRecord {
    /// The attempt.
    ///
    /// # Errors
    /// A code that is none.
    pub fn read(&self) -> Result<Attempt, Fault> {
        let code = Code::new(self.code).ok_or("a reply's code is not one")?;
        let enhanced: Option<EnhancedCode> = read(self.enhanced.as_ref(), "a reply's enhanced code is not one")?;
        let reply = match enhanced {
            None => Reply::plain(code, self.text.clone()),
            Some(enhanced) => Reply::new(code, enhanced, self.text.clone()),
        };
        let when = Timestamp::from_millis(self.when);
        Ok(Attempt { when, host: self.host.clone(), address: self.address, reply })
    }
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;

    use super::*;

    fn parse<T: DeserializeOwned>(json: &str) -> Result<T, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    fn unit(json: &str) -> Result<Unit, String> {
        Ok(parse::<UnitRecord>(json)?.read()?)
    }

    fn envelope(json: &str) -> Result<Envelope, String> {
        Ok(parse::<EnvelopeRecord>(json)?.read()?)
    }

    #[test]
    fn what_is_as_usual_is_absent() {
        let sender = "<s@s.test>".parse().unwrap();
        let usual = Envelope::new(sender, Timestamp::from_millis(5));
        let json = serde_json::to_string(&EnvelopeRecord::from(&usual)).unwrap();
        assert_eq!(json, r#"{"s":"<s@s.test>","r":5}"#);
        assert_eq!(envelope(&json), Ok(usual));
        let json = r#"{"k":"a","d":1,"x":2,"r":[{"a":"<r@r.test>"},{"n":1,"a":"<postmaster>"}]}"#;
        assert_eq!(serde_json::to_string(&UnitRecord::from(&unit(json).unwrap())).unwrap(), json);
    }

    #[test]
    fn everything_comes_back() {
        let whole = concat!(
            r#"{"s":"<>","r":-5,"b":"BINARYMIME","u":true,"ret":"FULL","envid":"a+20b","tls":true,"by":"-7;NT","p":-9,"#,
            r#""o":{"a":"2001:db8::1","h":"x\u0000","u":"u","s":"5","l":"l","tls":true}}"#
        );
        let read = envelope(whole).unwrap();
        assert_eq!(serde_json::to_string(&EnvelopeRecord::from(&read)).unwrap(), whole);
        assert_eq!((read.body, read.priority, read.origin.tls), (Body::BinaryMime, Priority::new(-9), true));
        for state in ["deferred", "delivered", "relayed", "failed", "expired"] {
            let whole = format!(
                "{}{state}{}",
                r#"{"k":"é","d":-1,"x":0,"h":"why","n":4,"f":9,"r":[{"n":7,"a":"<r@r.test>","y":"SUCCESS,DELAY","o":"rfc822;a+2Bb","s":""#,
                r#"","t":{"w":3,"h":"mx","a":"192.0.2.1","c":451,"e":"4.3.0","t":"later\nplease"}}]}"#
            );
            let read = unit(&whole).unwrap();
            assert_eq!(serde_json::to_string(&UnitRecord::from(&read)).unwrap(), whole);
            assert_eq!(read.rcpts[0].state.is_final(), state != "deferred");
        }
    }

    #[test]
    fn faults_are_named() {
        let rcpt = |json: &str| unit(&format!(r#"{{"k":"a","d":1,"x":2,"r":[{json}]}}"#));
        let attempt = |json: &str| rcpt(&format!(r#"{{"a":"<r@r.test>","s":"failed","t":{{"w":1,{json}}}}}"#));
        let faults = [
            (rcpt("").err(), "a unit has no recipient"),
            (rcpt(r#"{"a":"r@r.test"}"#).err(), "a recipient is not a path"),
            (
                rcpt(r#"{"a":"<a@b.test>"},{"a":"<b@b.test>"}"#).err(),
                "the numbers of a unit's recipients do not ascend",
            ),
            (rcpt(r#"{"a":"<r@r.test>","s":"failed"}"#).err(), "a result has no attempt"),
            (rcpt(r#"{"a":"<r@r.test>","t":{"w":1,"c":250}}"#).err(), "an attempt has no result"),
            (
                rcpt(r#"{"a":"<r@r.test>","y":"NOW"}"#).err(),
                "what a recipient's sender wants to be told is not readable",
            ),
            (rcpt(r#"{"a":"<r@r.test>","o":"x"}"#).err(), "an original recipient is not one"),
            (attempt(r#""c":99"#).err(), "a reply's code is not one"),
            (attempt(r#""c":550,"e":"5.1""#).err(), "a reply's enhanced code is not one"),
            (envelope(r#"{"s":"x","r":1}"#).err(), "the sender is not a path"),
            (envelope(r#"{"s":"<>","r":1,"p":10}"#).err(), "the priority is not one"),
            (envelope(r#"{"s":"<>","r":1,"by":"0;R"}"#).err(), "the deadline is not one"),
            (envelope(r#"{"s":"<>","r":1,"envid":"a b"}"#).err(), "the envelope's identifier is not one"),
            (envelope(r#"{"s":"<>","r":1,"ret":""}"#).err(), "what is to be returned is neither FULL nor HDRS"),
        ];
        for (found, fault) in faults {
            assert_eq!(found.as_deref(), Some(fault));
        }
        for strange in [r#"{"s":"<>","r":1,"new":2}"#, r#"{"s":"<>","r":1,"b":"9BIT"}"#, r#"{"s":"<>","r":1.5}"#, "{}"]
        {
            assert!(envelope(strange).is_err(), "{strange}");
        }
        assert!(rcpt(r#"{"a":"<r@r.test>","s":"lost"}"#).is_err());
        assert!(attempt(r#""c":250,"new":1"#).is_err());
    }
}
