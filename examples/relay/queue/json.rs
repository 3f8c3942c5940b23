//! What waits, for programs.

use hikyaku::{
    queue::{Attempt, Count, Entry, Gate, QueueKey, Rcpt, RcptState, UnitState},
    wire::{Reply, Timestamp},
};
use serde_json::{Map, Value, json};

use super::plain::is_unseen;

/// An object as one line, in which what a terminal would obey, or a reader not see, is an escape.
pub(crate) fn line(value: &Value) -> String {
    let json = value.to_string();
    let mut line = String::with_capacity(json.len());
    for c in json.chars() {
        // They stand in strings only.
        if is_unseen(c) {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| line.push_str(&format!("\\u{unit:04x}")));
        } else {
            line.push(c);
        }
    }
    line
}

/// A unit: one line of `list`.
pub(crate) fn entry(entry: &Entry) -> Value {
    let envelope = &entry.envelope;
    let mut object = unit(entry);
    let fields = [
        ("message", json!(entry.unit.msg.to_string())),
        ("size", json!(entry.size)),
        ("received", time(envelope.received)),
        ("sender", json!(envelope.sender.to_string())),
        ("user", json!(envelope.origin.user)),
    ];
    object.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    Value::Object(object)
}

/// What is the unit's own.
pub(crate) fn unit(entry: &Entry) -> Map<String, Value> {
    let (state, hold, lease) = match &entry.state {
        UnitState::Ready => ("ready", Value::Null, Value::Null),
        UnitState::Held(why) => ("held", json!(why.as_str()), Value::Null),
        UnitState::Leased { by, expires } => {
            ("leased", Value::Null, json!({"by": by.as_str(), "expires": expires.to_string()}))
        }
    };
    let fields = [
        ("id", json!(entry.unit.to_string())),
        ("key", json!(entry.key.as_str())),
        ("state", json!(state)),
        ("hold", hold),
        ("lease", lease),
        ("due", time(entry.due)),
        ("expires", time(entry.expires)),
        ("attempts", json!(entry.attempts)),
        ("recipients", entry.rcpts.iter().map(recipient).collect()),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A message with its units.
pub(crate) fn message(entries: &[Entry], text: Option<String>) -> Value {
    let Some(first) = entries.first() else { return Value::Null };
    let (envelope, origin) = (&first.envelope, &first.envelope.origin);
    json!({
        "id": first.unit.msg.to_string(),
        "size": first.size,
        "received": time(envelope.received),
        "sender": envelope.sender.to_string(),
        "body": envelope.body.as_str(),
        "smtputf8": envelope.smtputf8,
        "ret": envelope.ret.map(|ret| ret.to_string()),
        "envid": envelope.envid.as_ref().map(|envid| envid.to_string()),
        "require_tls": envelope.require_tls,
        "by": envelope.by.map(|by| by.to_string()),
        "priority": envelope.priority.map(|priority| priority.get()),
        "origin": {
            "address": origin.address.map(|address| address.to_string()),
            "hello": origin.hello,
            "user": origin.user,
            "session": origin.session,
            "listener": origin.listener,
        },
        "units": entries.iter().map(|entry| Value::Object(unit(entry))).collect::<Vec<_>>(),
        "text": text,
    })
}

fn recipient(rcpt: &Rcpt) -> Value {
    json!({
        "address": rcpt.addr.to_string(),
        "state": state(&rcpt.state),
        "notify": rcpt.notify.map(|notify| notify.to_string()),
        "orcpt": rcpt.orcpt.as_ref().map(|orcpt| orcpt.to_string()),
        "attempt": rcpt.state.attempt().map(attempt),
    })
}

/// The word for what became of a recipient.
pub(crate) fn state(state: &RcptState) -> &'static str {
    match state {
        RcptState::Pending => "pending",
        RcptState::Deferred(_) => "deferred",
        RcptState::Delivered(_) => "delivered",
        RcptState::Relayed(_) => "relayed",
        RcptState::Failed(_) => "failed",
        RcptState::Expired(_) => "expired",
    }
}

fn attempt(attempt: &Attempt) -> Value {
    json!({
        "when": time(attempt.when),
        "host": attempt.host,
        "address": attempt.address.map(|address| address.to_string()),
        "reply": reply(&attempt.reply),
    })
}

/// A reply on one line, its further lines after ` / `.
pub(crate) fn reply(reply: &Reply) -> String {
    let mut text = reply.code().to_string();
    if let Some(enhanced) = reply.enhanced() {
        text.push_str(&format!(" {enhanced}"));
    }
    let lines = reply.lines().collect::<Vec<_>>().join(" / ");
    if lines.is_empty() { text } else { format!("{text} {lines}") }
}

/// One key of `summary`.
pub(crate) fn count(key: &QueueKey, count: Option<&Count>, gate: Option<Gate>) -> Value {
    let (gate, until) = match gate {
        None | Some(Gate::Open) => ("open", Value::Null),
        Some(Gate::NotBefore(until)) => ("closed", time(until)),
        Some(Gate::Paused) => ("paused", Value::Null),
    };
    let number = |of: fn(&Count) -> u64| count.map_or(0, of);
    json!({
        "key": key.as_str(),
        "ready": number(|count| count.ready),
        "leased": number(|count| count.leased),
        "held": number(|count| count.held),
        "oldest": count.and_then(|count| count.oldest).map(time),
        "gate": gate,
        "until": until,
    })
}

fn time(at: Timestamp) -> Value {
    json!(at.to_string())
}
