//! Addresses of a public test suite: is each an RFC 5321 Mailbox?
//!
//! The data is the file `address/address.jsonl` of the folder that `HIKYAKU_CONFORMANCE` names.

use hikyaku_wire::{ForwardPath, Mailbox};
use serde_json::Value;

/// Rows of the suite, and how many of them are mailboxes.
const ROWS: (usize, usize) = (185, 37);

/// Rows where the suite's answer is not ours, by their number in it, and why.
const EXCEPTIONS: [(&str, &str); 2] = [("24", TOP_LEVEL), ("25", TOP_LEVEL)];
const TOP_LEVEL: &str = "RFC 1123 §2.1: \"a valid host name can never have the dotted-decimal form #.#.#.#, since at \
                         least the highest-level component label will be alphabetic\"; RFC 5321 §2.3.5 wants names \
                         that resolve";

#[test]
fn the_addresses_of_the_suite() {
    let Some(folder) = std::env::var_os("HIKYAKU_CONFORMANCE") else {
        println!("not run, because HIKYAKU_CONFORMANCE is not set: address");
        return;
    };
    let file = std::path::Path::new(&folder).join("address/address.jsonl");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let (mut seen, mut excepted, mut failures) = ((0, 0), vec![], vec![]);
    for row in text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        if row["scored"] == false {
            continue;
        }
        let case = row["case"].as_str().unwrap();
        let address = row["address"].as_str().unwrap();
        let expected = row["expected"]["smtp_mailbox"].as_bool().unwrap();
        seen.0 += 1;
        seen.1 += usize::from(expected);
        let mailbox = Mailbox::parse(address);
        let path = format!("<{address}>");
        // A path is a mailbox in brackets; only the bare postmaster is another.
        let same = ForwardPath::parse(&path).is_ok_and(|path| path.mailbox().is_some()) == mailbox.is_ok();
        if EXCEPTIONS.iter().any(|(excepted, _)| *excepted == case) {
            assert_ne!(mailbox.is_ok(), expected, "row {case} is no exception any more");
            excepted.push(case.to_owned());
        } else if mailbox.is_ok() != expected || !same {
            failures.push(format!("{case}: {address:?} ({}) gave {mailbox:?}", row["diagnosis"]));
        }
    }
    assert!(failures.is_empty(), "{} rows fail:\n{}", failures.len(), failures.join("\n"));
    assert_eq!(seen, ROWS);
    assert_eq!(excepted, EXCEPTIONS.map(|(case, _)| case));
}
