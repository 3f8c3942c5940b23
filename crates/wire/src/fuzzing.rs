//! What the fuzz targets call, and what the ordinary tests replay from the corpus.

mod commands;
mod framing;
mod replies;
mod values;

pub use commands::{command, compose, mailbox, params};
pub use framing::{bdat, dot, line};
pub use replies::{ehlo, reply, reply_value};
#[cfg(feature = "sasl")]
pub use values::sasl;
pub use values::{esmtp, proxy, xclient, xtext};

#[cfg(test)]
mod tests {
    use std::path::Path;

    fn replay(target: &str, run: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
        let files: Vec<_> = std::fs::read_dir(&folder).expect("the corpus is part of the project").collect();
        assert!(!files.is_empty(), "{} is empty", folder.display());
        for file in files {
            run(&std::fs::read(file.unwrap().path()).unwrap());
        }
    }

    #[test]
    fn the_corpus_replays() {
        replay("wire_command", super::command);
        replay("wire_mailbox", super::mailbox);
        replay("wire_params", super::params);
        replay("wire_compose", super::compose);
        replay("wire_reply", super::reply);
        replay("wire_reply_value", super::reply_value);
        replay("wire_ehlo", super::ehlo);
        replay("wire_dot", super::dot);
        replay("wire_xtext", super::xtext);
        replay("wire_esmtp", super::esmtp);
        replay("wire_xclient", super::xclient);
        replay("wire_proxy", super::proxy);
        #[cfg(feature = "sasl")]
        replay("wire_sasl", super::sasl);
        replay("wire_line", super::line);
        replay("wire_bdat", super::bdat);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_hold_the_invariants(data: Vec<u8>) {
            super::command(&data);
            super::mailbox(&data);
            super::params(&data);
            super::compose(&data);
            super::reply(&data);
            super::reply_value(&data);
            super::ehlo(&data);
            super::dot(&data);
            super::xtext(&data);
            super::esmtp(&data);
            super::xclient(&data);
            super::proxy(&data);
            #[cfg(feature = "sasl")]
            super::sasl(&data);
            super::line(&data);
            super::bdat(&data);
        }

        #[test]
        fn likely_framing_holds_the_invariants(data in "[\r\n.a\x00]{0,60}") {
            super::dot(data.as_bytes());
            super::line(data.as_bytes());
            super::bdat(data.as_bytes());
        }

        #[test]
        fn likely_values_hold_the_invariants(text in "(rfc822;|utf-8;|NEVER|SUCCESS|,|;R|;NT|2026-11-24T05:52:00Z|\\\\x\\{FC\\}|\\+2B|[ -~ü\r]){0,6}") {
            super::xtext(text.as_bytes());
            super::esmtp(text.as_bytes());
        }

        #[test]
        fn likely_attributes_hold_the_invariants(text in "((NAME|ADDR|PORT|PROTO|LOGIN|X)=(\\[UNAVAILABLE\\]|\\+2B|IPV6:::1|1\\.2\\.3\\.4|E?SMTP|[!-~]){0,2} ?){0,4}") {
            super::xclient(text.as_bytes());
        }

        #[test]
        fn likely_proxy_lines_hold_the_invariants(text in "PROXY (TCP4|TCP6|UNKNOWN)( [0-9.]{7}| ::[0-9a-f]{1,4}| [0-9]{1,5}){0,5}\r?\n?") {
            super::proxy(text.as_bytes());
        }

        #[test]
        fn likely_lines_hold_the_invariants(line in "(MAIL FROM:|RCPT TO:|EHLO |AUTH |BDAT |VRFY |ETRN )[ -~\r\n\tü]{0,40}") {
            super::command(line.as_bytes());
        }

        #[test]
        fn likely_addresses_hold_the_invariants(text in r#"("([a-c.@ >ü]|\\[ -~]){0,5}"|[a-c.ü]{1,5})@(\[(IPv6:)?[0-9a-d.:]{1,12}\]|[ab-]{1,4}\.[a-cö]{1,3})"#) {
            super::mailbox(text.as_bytes());
        }

        #[test]
        fn likely_parameters_hold_the_invariants(tail in "( (SIZE|BODY|SMTPUTF8|AUTH|RET|ENVID|REQUIRETLS|HOLDFOR|BY|MT-PRIORITY|NOTIFY|ORCPT|X-[AB])(=([0-9]{1,3}|7BIT|<>|FULL|120;R|NEVER|rfc822;a|[!-~ü]{1,4}))?){0,4}") {
            super::params(tail.as_bytes());
        }

        #[test]
        fn likely_replies_hold_the_invariants(lines in "(2[0-5][0-9][- ]([245]\\.[0-9]\\.[0-9])? ?[a-z .5]{0,10}\r\n){0,4}") {
            super::reply(lines.as_bytes());
        }

        #[test]
        fn likely_multiline_replies_hold_the_invariants(
            lines in "(250-(2\\.0\\.0)? ?[ -~ü\t\u{1}]{0,12}\r\n){0,4}250( [2-5. a]{0,9})?\r?\n?",
        ) {
            super::reply(lines.as_bytes());
        }

        #[test]
        fn likely_reply_values_hold_the_invariants(code: u8, class in 0..6u8, text in "[2-5. a\n]{0,12}[ -~\n]{0,600}") {
            super::reply_value(&[&[code, class, 1, 3], text.as_bytes()].concat());
        }

        #[test]
        fn likely_offers_hold_the_invariants(
            lines in "250-mx(\r\n250-(SIZE|DSN|auth=|AUTH|LIMITS|DELIVERBY|FUTURERELEASE|X)[ \t]?[A-Z0-9=:. -]{0,20}){0,6}\r\n250 HELP\r\n",
        ) {
            super::ehlo(lines.as_bytes());
        }
    }
}
