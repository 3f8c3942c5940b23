//! Public test vectors of Authentication-Results (RFC 8601).
//!
//! The data is `authres/authres.jsonl` of the folder that `HIKYAKU_CONFORMANCE` names; without
//! that variable nothing is run, and the test says so.

use std::path::PathBuf;

use hikyaku_message::results::{AuthenticationResults, Property, ResultInfo};
use serde_json::Value;

/// Rows of which the standard says something else, each with its sentence.
const EXCEPTIONS: [(&str, &str); 1] = [(
    "parse_test.go-10",
    "RFC 8601 §2.2: authres-payload = [CFWS] authserv-id …, so an empty field is of no host and says nothing",
)];

#[test]
fn every_field_says_what_the_suite_says() {
    let Some(folder) = std::env::var_os("HIKYAKU_CONFORMANCE").map(PathBuf::from) else {
        println!("not run, because HIKYAKU_CONFORMANCE is not set: authres");
        return;
    };
    let file = folder.join("authres/authres.jsonl");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (mut scored, mut refused, mut failures) = (0, 0, Vec::new());
    for row in rows.iter().filter(|row| row["scored"] != false) {
        scored += 1;
        let case = row["case"].as_str().unwrap();
        let field = row["header"].as_str().unwrap();
        let value = field.split_once(':').unwrap().1;
        let read = AuthenticationResults::parse(value.as_bytes());
        if EXCEPTIONS.iter().any(|(exception, _)| *exception == case) {
            refused += 1;
            if read.is_ok() {
                failures.push(format!("{case}: is listed as an exception, and passes: {field}"));
            }
            continue;
        }
        match read {
            Err(error) => failures.push(format!("{case}: {error}: {field}")),
            Ok(results) => failures.extend(
                differences(&results.into_owned(), &row["expected"])
                    .map(|difference| format!("{case}: {difference}: {field}")),
            ),
        }
    }
    assert!(failures.is_empty(), "{} rows fail:\n{}", failures.len(), failures.join("\n"));
    assert_eq!((rows.len(), scored, refused), (13, 13, EXCEPTIONS.len()));
}

fn differences(results: &AuthenticationResults, expected: &Value) -> Option<String> {
    if results.authserv_id().as_str() != expected["authserv_id"] {
        return Some(format!("authserv-id is {}", results.authserv_id()));
    }
    let infos = expected["results"].as_array().unwrap();
    if results.results().len() != infos.len() {
        return Some(format!("has {} results", results.results().len()));
    }
    let wrong = results.results().iter().zip(infos).find(|(info, expected)| !agrees(info, expected));
    if let Some((info, _)) = wrong {
        return Some(format!("has the result {info}"));
    }
    let printed = results.field();
    let again = AuthenticationResults::parse(printed.split_once(':')?.1.as_bytes());
    (!again.is_ok_and(|again| again == *results)).then(|| format!("is printed as {printed}"))
}

/// The suite names properties by what they are for.
fn agrees(info: &ResultInfo, expected: &Value) -> bool {
    let value = |value: Option<&hikyaku_message::results::Value>| value.map(|value| value.as_str().to_owned());
    let first = |part: fn(&Property) -> &str| info.properties().first().map(|property| part(property).to_owned());
    let fields = expected["fields"].as_object().unwrap();
    info.method().as_str() == expected["method"]
        && info.result().as_str() == expected["result"]
        && fields.iter().all(|(name, expected)| {
            let found = match name.as_str() {
                "From" => value(info.property("smtp", "mailfrom")),
                "Auth" => value(info.property("smtp", "auth")),
                "Identifier" => value(info.property("header", "i")),
                "Reason" => value(info.reason()),
                "HeaderKey" => first(|property| property.property().as_str()),
                "HeaderValue" => first(|property| property.value().as_str()),
                other => panic!("the suite has a property that this test does not know: {other}"),
            };
            found.as_deref() == expected.as_str()
        })
}
