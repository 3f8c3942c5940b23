//! The public suite of the RFC, where `HIKYAKU_CONFORMANCE` names it: which rows fail.

use hikyaku_dns::{Data, Error, Mx, RecordType};
use serde_json::Value;

use super::*;

fn text(value: &Value) -> Vec<u8> {
    value.as_str().unwrap().chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}

fn zone(json: &Value) -> Zone {
    let mut zone = Zone::default();
    for (owner, records) in json.as_object().unwrap() {
        let Ok(name) = Name::from_labels(owner.split('.').map(str::as_bytes)) else { continue };
        let mut listed = Vec::new();
        let mut all = None;
        for record in records.as_array().unwrap() {
            let kind = record["type"].as_str().unwrap();
            if let Some(error) = record.get("error") {
                let error = if error == "TIMEOUT" { Error::Timeout } else { Error::ServerFailure };
                if kind == "*" {
                    all = Some(error)
                } else {
                    zone.failures.insert((name.clone(), kind.parse().unwrap()), error.into());
                }
                continue;
            }
            let data = &record["data"];
            let host = |value: &Value| {
                let host = value.as_str().unwrap();
                if host.is_empty() { Name::root() } else { host.parse().unwrap() }
            };
            let data = match kind {
                "TXT" => Data::Txt(Txt { strings: data.as_array().unwrap().iter().map(text).collect() }),
                "MX" => Data::Mx(Mx {
                    preference: u16::try_from(data[0].as_u64().unwrap()).unwrap(),
                    exchange: host(&data[1]),
                }),
                "A" => Data::A(data.as_str().unwrap().parse().unwrap()),
                "AAAA" => Data::Aaaa(data.as_str().unwrap().parse().unwrap()),
                "PTR" => Data::Ptr(host(data)),
                "CNAME" => Data::Cname(host(data)),
                _ => continue,
            };
            listed.push(data.record_type());
            zone.add(name.clone(), 60, data);
        }
        if let Some(error) = all {
            for record_type in [RecordType::A, RecordType::AAAA, RecordType::MX, RecordType::PTR, RecordType::TXT] {
                if !listed.contains(&record_type) {
                    zone.failures.insert((name.clone(), record_type), error.into());
                }
            }
        }
    }
    zone
}

#[test]
fn the_public_suite() {
    let Some(folder) = std::env::var_os("HIKYAKU_CONFORMANCE") else {
        println!("HIKYAKU_CONFORMANCE names no folder: the SPF suite was not run");
        return;
    };
    let text = std::fs::read_to_string(std::path::Path::new(&folder).join("spf/spf.jsonl")).unwrap();
    let mut bad = 0;
    let mut most = 0;
    for row in text.lines() {
        let row: Value = serde_json::from_str(row).unwrap();
        if row["scored"] != true {
            continue;
        }
        let zone = zone(&row["zone"]);
        let mut question =
            question(row["host"].as_str().unwrap(), row["helo"].as_str().unwrap(), row["mailfrom"].as_str().unwrap());
        if let Some(r) = row["receiver"].as_str() {
            question.receiver = r;
        }
        let trace = explained(&zone, &question, Identity::MailFrom);
        let records = Records::new(&zone);
        let lookups = records.lookups(instant(), Budget::default());
        now(check(&lookups, &question, Identity::MailFrom));
        most = most.max(lookups.asked());
        let result = trace.outcome.result.as_str();
        let explanation = row["explanation"].as_str().map(|t| if t == "DEFAULT" { "" } else { t });
        let explanation_ok = row["explanation"].is_null()
            || row["explanation"] == "DEFAULT" && trace.outcome.explanation.is_none()
            || explanation == trace.outcome.explanation.as_deref();
        if row["expected"][0] != result || !explanation_ok {
            bad += 1;
            println!(
                "=== {} {:?} {}\n expected {} {}\n{trace}\n",
                row["case"], row["spec"], row["description"], row["expected"], row["explanation"]
            );
        }
    }
    println!("most lookups: {most}");
    assert_eq!(bad, 0);
}
