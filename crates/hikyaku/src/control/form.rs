//! The lines of the control socket.

use hikyaku_queue::{
    Health, QueueError,
    backend::{ActionRecord, CountRecord, FilterRecord, GateRecord, PageRecord},
};
use serde::{Deserialize, Serialize};

/// The version of these lines.
pub(crate) const VERSION: u32 = 1;
/// The longest line of a request, in octets.
pub(crate) const REQUEST: usize = 64 * 1024;
/// The longest line of an answer.
pub(crate) const ANSWER: usize = 64 * 1024 * 1024;
/// Units in one answer at the most.
pub(crate) const ENTRIES: usize = 500;
/// Octets of a text in one answer at the most.
pub(crate) const PIECE: usize = 64 * 1024;

/// A line from a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    v: u32,
    pub(crate) ask: Ask,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Ask {
    Health,
    Counts(By),
    List {
        #[serde(default)]
        filter: FilterRecord,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<usize>,
    },
    Apply {
        filter: FilterRecord,
        action: ActionRecord,
    },
    Gate {
        key: String,
        gate: GateRecord,
    },
    Gates {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<String>,
    },
    Text {
        msg: String,
        offset: u64,
        max: usize,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum By {
    All,
    Key,
}

/// A line from the relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Answer {
    Health(HealthForm),
    Counts(Vec<CountRecord>),
    Page(PageRecord),
    /// So many units, or none where it is a gate.
    Done(u64),
    Gates(Vec<(String, GateRecord)>),
    /// What stands before the text, how long the text is, and a piece of it, both as base64.
    Text {
        before: String,
        len: u64,
        piece: String,
    },
    Error {
        kind: Kind,
        text: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HealthForm {
    state: HealthWord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum HealthWord {
    Ok,
    Degraded,
    ReadOnly,
    Failed,
}

/// What kind of error it is; `request` is one of the line itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Request,
    Full,
    ReadOnly,
    LeaseLost,
    NotFound,
    Unknown,
    Other,
}

impl Request {
    pub(crate) fn new(ask: Ask) -> Self {
        Self { v: VERSION, ask }
    }

    /// Reads a line without its end, or says what is wrong with it.
    pub(crate) fn read(line: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Version {
            v: u32,
        }
        let version = serde_json::from_slice(line).map(|Version { v }| v);
        match version {
            Ok(VERSION) => serde_json::from_slice(line).map_err(|error| format!("not a request: {error}")),
            Ok(other) => Err(format!("this relay speaks version {VERSION}, not {other}")),
            Err(error) => Err(format!("not a request with a version `v`: {error}")),
        }
    }
}

/// A line with its end.
pub(crate) fn line(object: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(object).expect("the keys of these objects are strings");
    line.push(b'\n');
    line
}

impl Answer {
    pub(crate) fn wrong(text: impl Into<String>) -> Self {
        Self::Error { kind: Kind::Request, text: text.into() }
    }

    pub(crate) fn of(error: &QueueError) -> Self {
        let kind = match error {
            QueueError::Full => Kind::Full,
            QueueError::ReadOnly => Kind::ReadOnly,
            QueueError::LeaseLost => Kind::LeaseLost,
            QueueError::NotFound => Kind::NotFound,
            QueueError::Unknown => Kind::Unknown,
            _ => Kind::Other,
        };
        Self::Error { kind, text: error.to_string() }
    }
}

impl From<Health> for HealthForm {
    fn from(health: Health) -> Self {
        let (state, why) = match health {
            Health::Ok => (HealthWord::Ok, None),
            Health::Degraded(why) => (HealthWord::Degraded, Some(why)),
            Health::ReadOnly(why) => (HealthWord::ReadOnly, Some(why)),
            Health::Failed(why) => (HealthWord::Failed, Some(why)),
        };
        Self { state, why }
    }
}

impl HealthForm {
    pub(crate) fn read(self) -> Health {
        let why = self.why.unwrap_or_default();
        match self.state {
            HealthWord::Ok => Health::Ok,
            HealthWord::Degraded => Health::Degraded(why),
            HealthWord::ReadOnly => Health::ReadOnly(why),
            HealthWord::Failed => Health::Failed(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use hikyaku_queue::MsgId;

    use super::*;

    #[test]
    fn lines_of_the_manual() {
        for text in [
            r#"{"v":1,"ask":{"list":{"filter":{"key":"mx:example.org"},"max":100}}}"#,
            r#"{"v":1,"ask":{"list":{}}}"#,
            r#"{"v":1,"ask":{"apply":{"filter":{"state":"held"},"action":{"release":1795499520000}}}}"#,
            r#"{"v":1,"ask":{"apply":{"filter":{},"action":"remove"}}}"#,
            r#"{"v":1,"ask":"health"}"#,
            r#"{"v":1,"ask":{"counts":"key"}}"#,
            r#"{"v":1,"ask":{"gate":{"key":"a","gate":"paused"}}}"#,
            r#"{"v":1,"ask":{"gates":{}}}"#,
            r#"{"v":1,"ask":{"text":{"msg":"x","offset":0,"max":65536}}}"#,
        ] {
            let request = Request::read(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(Request::read(line(&request).trim_ascii_end()), Ok(request));
        }
    }

    #[test]
    fn what_is_no_request_is_told_why() {
        for (text, why) in [
            ("", "a version"),
            ("[]", "a version"),
            (r#"{"ask":"health"}"#, "a version"),
            (r#"{"v":2,"ask":"fly"}"#, "speaks version 1, not 2"),
            (r#"{"v":1,"ask":"fly"}"#, "unknown variant `fly`"),
            (r#"{"v":1,"ask":"health","more":1}"#, "unknown field `more`"),
            (r#"{"v":1,"ask":{"apply":{"action":"remove"}}}"#, "missing field `filter`"),
            (r#"{"v":1,"ask":{"apply":{"filter":{"sate":"held"},"action":"remove"}}}"#, "unknown field `sate`"),
            (r#"{"v":1,"ask":{"list":{"max":-1}}}"#, "invalid value"),
        ] {
            let error = Request::read(text.as_bytes()).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn answers_come_back() {
        let why = || "why".to_owned();
        for health in [Health::Ok, Health::Degraded(why()), Health::ReadOnly(why()), Health::Failed(why())] {
            assert_eq!(HealthForm::from(health.clone()).read(), health);
        }
        for (error, kind) in [
            (QueueError::Full, Kind::Full),
            (QueueError::ReadOnly, Kind::ReadOnly),
            (QueueError::LeaseLost, Kind::LeaseLost),
            (QueueError::NotFound, Kind::NotFound),
            (QueueError::Unknown, Kind::Unknown),
            (QueueError::Duplicate(MsgId::from_bytes([0; 16])), Kind::Other),
        ] {
            assert_eq!(Answer::of(&error), Answer::Error { kind, text: error.to_string() });
        }
    }
}
