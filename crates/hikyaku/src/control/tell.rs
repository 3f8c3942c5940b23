//! What people do with the queue, in the audit log.

use hikyaku_audit::QueueChanged;
use hikyaku_queue::{Action, Filter, Gate, QueueKey, StateKind};
use hikyaku_wire::Timestamp;

use crate::AuditLog;

impl AuditLog {
    /// Writes down that a local user has done something to units of the queue, and to how many.
    pub fn queue_changed(&self, uid: u32, filter: &Filter, action: &Action, units: u64) {
        let (word, detail) = match action {
            Action::Hold(why) => ("hold", Some(why.to_string())),
            Action::Release(due) => ("release", Some(due.to_string())),
            Action::Retry(due) => ("retry", Some(due.to_string())),
            Action::Rekey(key) => ("rekey", Some(key.to_string())),
            Action::Remove => ("remove", None),
        };
        self.record(
            None,
            filter.msg.map(|msg| msg.to_string()).as_deref(),
            event(uid, word, selection(filter), detail, units),
        );
    }

    /// Writes down that a local user has opened or closed a key of the queue.
    pub fn gate_changed(&self, uid: u32, key: &QueueKey, gate: Gate) {
        let (word, detail) = match gate {
            Gate::Open => ("open", None),
            Gate::NotBefore(until) => ("close", Some(until.to_string())),
            Gate::Paused => ("pause", None),
        };
        self.record(None, None, event(uid, word, vec![format!("key={key}")], detail, 0));
    }
}

fn event(uid: u32, action: &str, selection: Vec<String>, detail: Option<String>, units: u64) -> QueueChanged {
    QueueChanged { by: format!("uid {uid}"), action: action.to_owned(), selection, detail, units }
}

/// Each field of a filter that is set.
fn selection(filter: &Filter) -> Vec<String> {
    let time = |name: &str, at: Option<Timestamp>| at.map(|at| format!("{name}={at}"));
    let state = |state| match state {
        StateKind::Ready => "state=ready".to_owned(),
        StateKind::Leased => "state=leased".to_owned(),
        StateKind::Held => "state=held".to_owned(),
    };
    [
        filter.unit.map(|unit| format!("unit={unit}")),
        filter.key.as_ref().map(|key| format!("key={key}")),
        filter.state.map(state),
        filter.sender.as_ref().map(|sender| format!("from={sender}")),
        filter.sender_domain.as_ref().map(|domain| format!("from_domain={domain}")),
        filter.rcpt.as_ref().map(|rcpt| format!("to={rcpt}")),
        filter.rcpt_domain.as_ref().map(|domain| format!("to_domain={domain}")),
        filter.user.as_ref().map(|user| format!("user={user}")),
        time("received_from", filter.received_from),
        time("received_before", filter.received_before),
    ]
    .into_iter()
    .flatten()
    .collect()
}
