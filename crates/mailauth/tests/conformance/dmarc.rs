//! RFC 9989: the tests of mail-auth.

use hikyaku_dns::Name;
use hikyaku_mailauth::dmarc::{self, Alignment, Identifiers, Record};
use hikyaku_message::AddressList;
use hikyaku_message::results::{Dkim, Spf};
use serde_json::{Value, json};

use crate::{Row, lookups, now, run};

#[test]
fn every_row_of_the_suite() {
    run("dmarc", &[], |row| {
        let expected = row.value["expected"].as_object().expect("an object");
        let got = match row.text("kind") {
            "record" => record(row.text("record")),
            _ => verdict(row),
        };
        let differs = |key: &&String| expected[*key] != got[*key];
        match expected.keys().filter(differs).map(|key| format!("{key} is {}", got[key])).collect::<Vec<_>>() {
            differences if differences.is_empty() => Ok(()),
            differences => Err(format!("expected {}, but {}", row.value["expected"], differences.join(", "))),
        }
    });
}

fn domain(text: &str) -> Name {
    Name::from_domain(text).expect("a domain")
}

fn verdict(row: &Row) -> Value {
    let from = AddressList::parse(row.text("header_from").as_bytes()).expect("an address");
    let author = domain(from.author_domain().expect("one author").as_str());
    let spf = row.value["spf"].as_object();
    let spf_domain = spf.map(|spf| domain(spf["domain"].as_str().expect("a domain")));
    let spf_result = spf.and_then(|spf| Spf::parse(spf["result"].as_str()?));
    let signatures = row.value["dkim"].as_array().into_iter().flatten();
    let signature = |one: &Value| Some((Dkim::parse(one["result"].as_str()?)?, domain(one["d"].as_str()?)));
    let dkim: Vec<_> = signatures.map(|one| signature(one).expect("a signature")).collect();
    let identifiers = Identifiers { author: &author, spf: spf_result.zip(spf_domain.as_ref()), dkim: &dkim };
    let records = row.records();
    let outcome = now(dmarc::evaluate(&lookups(&records), &identifiers));
    json!({
        "result": outcome.result.as_str(),
        "dkim_aligned": outcome.dkim_aligned,
        "spf_aligned": outcome.spf_aligned,
        "policy": outcome.policy.map(dmarc::Policy::as_str),
    })
}

fn record(text: &str) -> Value {
    let Some(record) = Record::parse(text.as_bytes()) else { return Value::Null };
    let alignment = |mode| if mode == Alignment::Strict { "strict" } else { "relaxed" };
    let policy = |policy: Option<dmarc::Policy>| policy.map(dmarc::Policy::as_str);
    let destinations = |all: &[dmarc::Destination]| {
        let one = |one: &dmarc::Destination| json!({ "uri": one.mailbox(), "max": one.limit().unwrap_or(0) });
        all.iter().map(one).collect::<Vec<_>>()
    };
    json!({
        "adkim": alignment(record.adkim),
        "aspf": alignment(record.aspf),
        "p": policy(record.p),
        "sp": policy(record.sp.or(record.p)),
        "np": policy(record.np.or(record.sp).or(record.p)),
        "psd": match record.psd { Some(true) => "yes", Some(false) => "no", None => "default" },
        "t": record.t,
        "rua": destinations(&record.rua),
        "ruf": destinations(&record.ruf),
    })
}
