//! Facts, decisions and what was proved of them, as JSON.

use hikyaku::policy::{Change, Decision, Facts, Flip, Outcome, Policy, Step, Surface, Verdict, Why, Witness};
use serde_json::{Map, Value, json};

/// An object with a member a fact.
pub(crate) fn facts(facts: &Facts) -> Value {
    let mut object = Map::new();
    for (name, value) in facts.words() {
        let is_text = ["client", "helo", "user", "sender", "to", "certificate", "name"].contains(&name.as_str());
        let value = match (name.as_str(), value.as_str()) {
            ("user", _) => facts.user.clone().into(),
            (_, text) if is_text => text.into(),
            (_, "yes") => true.into(),
            (_, "no") => false.into(),
            (_, text) => text.parse::<i64>().map_or_else(|_| Value::from(text), Value::from),
        };
        object.insert(name, value);
    }
    Value::Object(object)
}

pub(crate) fn decision(policy: &Policy, decision: &Decision<'_>) -> Value {
    let shadows = decision.shadows.iter();
    json!({
        "reply": decision.reply.to_string(),
        "permitted": decision.is_permitted(),
        "provisional": decision.provisional,
        "rule": decision.rule,
        "line": decision.line,
        "route": decision.route,
        "quarantine": decision.quarantine,
        "tags": decision.tags,
        "shadows": shadows.map(|rule| json!({
            "rule": policy.rules()[*rule].to_string(), "line": policy.line(*rule),
        })).collect::<Vec<_>>(),
    })
}

pub(crate) fn step(step: &Step<'_>) -> Value {
    let tests = step.tests.iter();
    json!({
        "rule": step.rule,
        "line": step.line,
        "value": step.value.to_string(),
        "tests": tests.map(|(test, value, fact)| json!({
            "test": test, "value": value.to_string(), "fact": fact,
        })).collect::<Vec<_>>(),
    })
}

pub(crate) fn flip(flip: &Flip) -> Value {
    let changes = flip.changes.iter().map(|(name, value)| (name.clone(), value.as_str().into()));
    json!({
        "changes": changes.collect::<Map<_, _>>(),
        "verb": flip.verb.to_string(),
        "line": flip.line,
        "facts": facts(&flip.facts),
    })
}

pub(crate) fn witness(witness: &Witness) -> Value {
    let customs = witness.customs.iter().map(|(name, value)| (name.to_string(), Value::from(*value)));
    json!({
        "facts": facts(&witness.facts),
        "rule": witness.rule,
        "line": witness.line,
        "custom": customs.collect::<Map<_, _>>(),
        "dialogue": witness.dialogue(),
    })
}

pub(crate) fn surface(surface: &Surface) -> Value {
    let found = match &surface.verdict {
        Verdict::Open(found) => witness(found),
        Verdict::Closed => Value::Null,
    };
    let rows = surface
        .rows
        .iter()
        .map(|row| json!({ "who": row.who, "to": row.to, "when": row.when, "line": row.line, "except": row.except }));
    let idle = surface.idle.iter().map(|idle| match &idle.why {
        Why::Contradictory => json!({ "line": idle.line, "why": "contradictory" }),
        Why::NeverReached(covers) => json!({ "line": idle.line, "why": "never reached", "covered_by": covers }),
        Why::Redundant => json!({ "line": idle.line, "why": "redundant" }),
    });
    let claims = surface.claims.iter().map(
        |(line, broken)| json!({ "line": line, "holds": broken.is_none(), "witness": broken.as_ref().map(witness) }),
    );
    let cells =
        surface.grid.rows.iter().map(
            |(who, cells)| json!({ "who": who, "cells": cells.iter().map(ToString::to_string).collect::<Vec<_>>() }),
        );
    json!({
        "verdict": if found.is_null() { "closed" } else { "open" },
        "declared": surface.declared_open,
        "witness": found,
        "assumptions": surface.assumptions,
        "notes": surface.notes.iter().map(|note| json!({ "line": note.line, "text": note.text })).collect::<Vec<_>>(),
        "grid": { "columns": surface.grid.columns, "rows": cells.collect::<Vec<_>>() },
        "rows": rows.collect::<Vec<_>>(),
        "idle": idle.collect::<Vec<_>>(),
        "claims": claims.collect::<Vec<_>>(),
    })
}

pub(crate) fn change(change: &Change) -> Value {
    json!({ "witness": facts(&change.witness), "before": outcome(&change.before), "after": outcome(&change.after) })
}

fn outcome(outcome: &Outcome) -> Value {
    let Outcome { verb, reply, route, rule, line, marks, .. } = outcome;
    json!({
        "verb": verb.to_string(), "reply": reply, "route": route, "rule": rule, "line": line, "marks": marks,
    })
}
