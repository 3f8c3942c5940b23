//! RFC 8617: the validation suite of Valimail, and messages of dkimpy.

use hikyaku_mailauth::{ClientResults, Rules, Verifier};

use crate::{lookups, now, one_of, run};

#[test]
fn every_row_of_the_suite() {
    run("arc", &[], |row| {
        let mut rules = Rules::none();
        rules.arc = true;
        let records = row.records();
        let mut verifier = Verifier::new(&rules);
        // In pieces: where they are cut means nothing.
        row.message().chunks(7).for_each(|piece| verifier.push(piece));
        let done = now(verifier.finish(&lookups(&records), ClientResults::default(), row.now()));
        one_of(&row.value["expected"], done.arc.expect("asked for").result.as_str())
    });
}
