//! Public test vectors of delivery status notifications (RFC 3464): real bounces.
//!
//! The data is `dsn/dsn.jsonl` and the files it names, in the folder that `HIKYAKU_CONFORMANCE`
//! names; without that variable nothing is run, and the test says so.

use std::collections::BTreeSet;
use std::path::PathBuf;

use hikyaku_message::{Action, DeliveryStatus};
use serde_json::Value;

#[test]
fn every_bounce_says_what_the_suite_says() {
    let Some(folder) = std::env::var_os("HIKYAKU_CONFORMANCE").map(PathBuf::from) else {
        println!("not run, because HIKYAKU_CONFORMANCE is not set: dsn");
        return;
    };
    let list = folder.join("dsn/dsn.jsonl");
    let text = std::fs::read_to_string(&list).unwrap_or_else(|error| panic!("{}: {error}", list.display()));
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (mut standard, mut others, mut failures) = (0, 0, Vec::new());
    for row in &rows {
        let case = row["case"].as_str().unwrap();
        let file = folder.join(row["file"].as_str().unwrap());
        let message = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        // As it was stored, and as it was on the wire.
        let crlf = String::from_utf8_lossy(&message).replace("\r\n", "\n").replace('\n', "\r\n").into_bytes();
        for message in [message, crlf] {
            let read = DeliveryStatus::of_message(&message);
            if row["standard_dsn"] == true {
                standard += 1;
                match read {
                    Err(error) => failures.push(format!("{case}: {error}")),
                    Ok(status) => {
                        failures.extend(difference(&status, &row["expected"]).map(|d| format!("{case}: {d}")))
                    }
                }
            } else {
                // What is told to people only, or in a form of its own, is no report of RFC 3464:
                // nothing is made up from it.
                others += 1;
                if read.as_ref().is_ok_and(|status| !status.recipients.is_empty()) {
                    failures.push(format!("{case}: is no delivery status, and is read as {read:?}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} rows fail:\n{}", failures.len(), failures.join("\n"));
    assert_eq!((rows.len(), standard, others), (28, 2 * 7, 2 * 21));
}

fn difference(status: &DeliveryStatus, expected: &Value) -> Option<String> {
    let with = |outcome| -> BTreeSet<&str> {
        status.recipients.iter().filter(|r| r.outcome() == Some(outcome)).filter_map(|r| r.address()).collect()
    };
    let listed = |name: &str| -> BTreeSet<&str> {
        expected[name].as_array().unwrap().iter().map(|address| address.as_str().unwrap()).collect()
    };
    if with(Action::Failed) != listed("permanent") || with(Action::Delayed) != listed("temporary") {
        return Some(format!("is read as {status:?}"));
    }
    let again = DeliveryStatus::parse(status.to_string().as_bytes());
    (again.as_ref() != Ok(status)).then(|| format!("is printed as {status}"))
}
