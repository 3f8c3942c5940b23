//! RFC 7208: the suite of openspf.org, and the tests of pyspf.

use hikyaku_mailauth::spf::{self, Identity, Question};

use crate::{lookups, now, one_of, run};

#[test]
fn every_row_of_the_suite() {
    run("spf", &[], |row| {
        let records = row.records();
        let question = Question {
            client: row.text("host").parse().expect("an address"),
            hello: row.text("helo"),
            sender: row.text("mailfrom"),
            receiver: "receiver.example.org",
            now: row.now(),
        };
        let outcome = now(spf::check(&lookups(&records), &question, Identity::MailFrom));
        one_of(&row.value["expected"], outcome.result.as_str())?;
        let explanation = row.text("explanation");
        match outcome.explanation.as_deref() {
            got if ["", "DEFAULT"].contains(&explanation) || got == Some(explanation) => Ok(()),
            got => Err(format!("expected the explanation {explanation:?}, got {got:?}")),
        }
    });
}
