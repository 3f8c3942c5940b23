use std::path::Path;

use hikyaku::message::results::{AuthenticationResults, ResultInfo};
use serde_json::{Map, Value, json};

use crate::input::read;
use crate::report::{Lines, Problem, Report};

/// Reads the field, with its name or without. One that cannot be read says nothing.
pub(crate) fn run() -> Result<Report, Problem> {
    let text = read(Path::new("-"))?;
    let mut lines = Lines::default();
    let field = match AuthenticationResults::parse(value(&text)) {
        Ok(field) => field,
        Err(error) => {
            lines.line("malformed", error);
            let json = json!({ "authserv_id": "", "results": [], "error": error.to_string() });
            return Ok(Report::new(json, lines));
        }
    };
    lines.line("by", field.authserv_id());
    let mut results = Vec::new();
    for info in field.results() {
        lines.line(info.method().as_str(), info.result());
        lines.more("reason", info.reason());
        for property in info.properties() {
            lines.more(&name(property), Some(property.value()));
        }
        results.push(as_json(info));
    }
    if field.results().is_empty() {
        lines.text("no result\n");
    }
    Ok(Report::new(json!({ "authserv_id": field.authserv_id().as_str(), "results": results }), lines))
}

/// What follows the name of the field, if it is there, without the end of the last line.
fn value(text: &[u8]) -> &[u8] {
    const NAME: &[u8] = b"Authentication-Results";
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let Some((name, value)) = text.split_at_checked(NAME.len()) else { return text };
    match value.trim_ascii_start().split_first() {
        Some((b':', value)) if name.eq_ignore_ascii_case(NAME) => value,
        _ => text,
    }
}

fn as_json<T: AsRef<str>>(info: &ResultInfo<T>) -> Value {
    let mut properties = Map::new();
    for property in info.properties() {
        // The first of a kind counts, as for who reads the field by `property`.
        properties.entry(name(property)).or_insert_with(|| property.value().as_str().into());
    }
    json!({
        "method": info.method().as_str(),
        "result": info.result().as_str(),
        "reason": info.reason().map(|reason| reason.as_str()),
        "properties": properties,
    })
}

fn name<T: AsRef<str>>(property: &hikyaku::message::results::Property<T>) -> String {
    match property.ptype() {
        Some(ptype) => format!("{ptype}.{}", property.property()),
        None => property.property().to_string(),
    }
}
