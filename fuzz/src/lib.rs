//! The fuzz targets: each is a function on bytes that panics where something
//! does not hold. What holds is written in the `fuzzing` module of the crate
//! that a target is named after; here stands the one table of them all. A
//! libFuzzer program in `fuzz_targets/` runs one line of it, and a test feeds
//! each with every file of its corpus.
//!
//! How to fuzz and how to add a target: `README.md`.

#[doc(hidden)]
pub use libfuzzer_sys;

/// One function for each line, and the table of them.
macro_rules! targets {
    ($($(#[$text:meta])+ $name:ident = $function:path;)+) => {
        $($(#[$text])+ pub fn $name(data: &[u8]) { $function(data) })+

        /// Each target by its name, which is also that of its program and of its corpus.
        pub const TARGETS: &[(&str, fn(&[u8]))] = &[$((stringify!($name), $name)),+];
    };
}

targets! {
    /// A line of the audit log: read, written and read again it is the same.
    audit_line = hikyaku_audit::fuzzing::line;
    /// Answers that change while time goes on: a cache keeps what it may, as long as it may.
    dns_answers = hikyaku_dns::fuzzing::answers;
    /// A zone of JSON: its records read the same as a master file, or it is refused.
    dns_json = hikyaku_dns::fuzzing::json;
    /// A master file: read and printed it reads the same, or it is refused.
    dns_zone = hikyaku_dns::fuzzing::zone;
    /// A certificate: its names are those that webpki finds, and addresses that read the same.
    hikyaku_certificate = hikyaku::fuzzing::certificate;
    /// A line of the control socket, of either side: read, printed and read again it is the same.
    hikyaku_control = hikyaku::fuzzing::control;
    /// Questions of Postfix to a policy: the same for every split, and answered in one line.
    hikyaku_delegation = hikyaku::fuzzing::delegation;
    /// A message: its forged authentication results are taken out, the same for every split.
    hikyaku_forged = hikyaku::fuzzing::forged;
    /// The digest of a public key: read, printed and read again it is the same.
    hikyaku_pin = hikyaku::fuzzing::pin;
    /// The canonical forms of bodies and fields: as the standard says them, in pieces of any size.
    mailauth_canonical = hikyaku_mailauth::fuzzing::canonical;
    /// The record of a key: what is read is a key of a size that may be used.
    mailauth_dkim_key = hikyaku_mailauth::fuzzing::dkim_key;
    /// A signature: what is read of it is read of its relaxed form too.
    mailauth_dkim_signature = hikyaku_mailauth::fuzzing::dkim_signature;
    /// Verification: bounded work, and what is signed passes only as long as it stays the same.
    mailauth_dkim_verify = hikyaku_mailauth::fuzzing::dkim_verify;
    /// Which answers of a DNS list count: read, printed and read again it is the same.
    mailauth_list_filter = hikyaku_mailauth::fuzzing::list_filter;
    /// A list of tags: read, printed and read again it is the same.
    mailauth_tags = hikyaku_mailauth::fuzzing::tags;
    /// ARC sets: judged with bounded lookups, and one more seal makes a chain of one more.
    mailauth_arc = hikyaku_mailauth::fuzzing::chain;
    /// A record of DMARC: read, printed and read again it is the same.
    mailauth_dmarc_record = hikyaku_mailauth::fuzzing::dmarc_record;
    /// An aggregate report: read, written and read again it is the same, packed or not.
    mailauth_dmarc_report = hikyaku_mailauth::fuzzing::dmarc_report;
    /// What stands in the DNS and what was authenticated: few questions, none twice, and only what passed aligns.
    mailauth_dmarc_walk = hikyaku_mailauth::fuzzing::dmarc_walk;
    /// Keys: what is read signs and is verified, and what is not is not shown.
    mailauth_pem = hikyaku_mailauth::fuzzing::pem;
    /// A message: signed it verifies, in whatever pieces it came, and with a longer body it does not.
    mailauth_sign = hikyaku_mailauth::fuzzing::sign;
    /// A check of SPF against any records: it ends within its lookups, and says the same twice.
    mailauth_spf_check = hikyaku_mailauth::fuzzing::spf_check;
    /// A macro of SPF: what it expands to is what a slow reading of the RFC gives.
    mailauth_spf_macro = hikyaku_mailauth::fuzzing::spf_macro;
    /// An SPF record: read, printed and read again it is the same.
    mailauth_spf_record = hikyaku_mailauth::fuzzing::spf_record;
    /// A delivery: in any pieces the same comes out, within the budget, and the field reads as it was meant.
    mailauth_message = hikyaku_mailauth::fuzzing::message;
    /// An address list: read, printed, folded and read again it is the same.
    message_addresses = hikyaku_message::fuzzing::addresses;
    /// Addresses put together, printed, and read again: they are the same.
    message_addresses_printed = hikyaku_message::fuzzing::addresses_printed;
    /// A date of a header: read, printed and read again it is the same.
    message_date = hikyaku_message::fuzzing::date;
    /// A delivery status, in a message or by itself: read, printed and read again it is the same.
    message_dsn = hikyaku_message::fuzzing::dsn;
    /// A header section: its fields are spans that together are the input, however it is split.
    message_header = hikyaku_message::fuzzing::header;
    /// Message identifiers: read, printed and read again they are the same.
    message_ids = hikyaku_message::fuzzing::ids;
    /// The clauses of a `Received` field, and a `Return-Path`: put together again they read the same.
    message_received = hikyaku_message::fuzzing::received;
    /// A report of any content: one message, from which the same delivery status is read.
    message_report = hikyaku_message::fuzzing::report;
    /// Authentication results: read, printed and read again they are the same.
    message_results = hikyaku_message::fuzzing::results;
    /// A field that is made: printed it is one field, and unfolds to the same value.
    message_unfolded = hikyaku_message::fuzzing::unfolded;
    /// A list of domains: parsed, printed and parsed again it is the same.
    policy_domains = hikyaku_policy::fuzzing::policy_domains;
    /// A list of networks: parsed, printed and parsed again it is the same.
    policy_networks = hikyaku_policy::fuzzing::policy_networks;
    /// A policy that a program builds: printed and parsed it is the same.
    policy_print = hikyaku_policy::fuzzing::policy_print;
    /// A policy and facts at its edges: decided as the rules say, and as it is proved.
    policy_prove = hikyaku_policy::fuzzing::policy_prove;
    /// The text of a policy: parsed, printed and parsed again it is the same, or it is refused at a place in it.
    policy_text = hikyaku_policy::fuzzing::policy_text;
    /// An envelope or a unit as JSON: read, written and read again it is the same.
    queue_envelope = hikyaku_queue::fuzzing::envelope;
    /// Segments of a journal: it opens, what it tells of can be read, and what is written then stands behind.
    queue_journal = hikyaku_queue::fuzzing::journal;
    /// Moves of a queue: after each it says the same as a naive model.
    queue_moves = hikyaku_queue::fuzzing::moves;
    /// A record of the spool, whole or damaged: read or set aside, never a panic.
    queue_record = hikyaku_queue::fuzzing::record;
    /// Moves of the client's conversation: every recipient is settled once, and an early byte ends it.
    session_client = hikyaku_session::fuzzing::client;
    /// Client against server with any TLS and AUTH: it ends as it must, and nothing secret goes in clear text.
    session_pair = hikyaku_session::fuzzing::pair;
    /// Moves of a SASL client's exchange: who has not proved to be the server is not believed.
    session_sasl_client = hikyaku_session::fuzzing::sasl_client;
    /// Moves of a SASL server's exchange: it ends, and lets in whom the application names, if it is proved.
    session_sasl_server = hikyaku_session::fuzzing::sasl_server;
    /// Moves of the server's conversation: one reply a decision, and nothing survives a transaction.
    session_server = hikyaku_session::fuzzing::server;
    /// A message in chunks: what was announced comes out, every split the same.
    wire_bdat = hikyaku_wire::fuzzing::bdat;
    /// A command line: parsed, printed and parsed again it is the same.
    wire_command = hikyaku_wire::fuzzing::command;
    /// Commands that constructors put together: printed and parsed they are the same.
    wire_compose = hikyaku_wire::fuzzing::compose;
    /// The data of a message: every split of the bytes gives the same.
    wire_dot = hikyaku_wire::fuzzing::dot;
    /// What a server offers: printed and read again it is the same.
    wire_ehlo = hikyaku_wire::fuzzing::ehlo;
    /// The values of parameters: parsed, printed and parsed again they are the same.
    wire_esmtp = hikyaku_wire::fuzzing::esmtp;
    /// Lines of any peer: only CRLF ends one, every split gives the same.
    wire_line = hikyaku_wire::fuzzing::line;
    /// A mailbox: parsed, printed and parsed again it is the same.
    wire_mailbox = hikyaku_wire::fuzzing::mailbox;
    /// The parameters of MAIL and RCPT behind a fixed path.
    wire_params = hikyaku_wire::fuzzing::params;
    /// The header of a proxy: read the same at every split, and written in both versions.
    wire_proxy = hikyaku_wire::fuzzing::proxy;
    /// Replies of a server: in pieces, borrowed and owned, printed and read again they are the same.
    wire_reply = hikyaku_wire::fuzzing::reply;
    /// A reply made from a code and a text: printed and read it is the same.
    wire_reply_value = hikyaku_wire::fuzzing::reply_value;
    /// The lines of AUTH: one text for the same octets, both ways.
    wire_sasl = hikyaku_wire::fuzzing::sasl;
    /// The argument of XCLIENT: parsed, taken apart and put together it means the same.
    wire_xclient = hikyaku_wire::fuzzing::xclient;
    /// Text in the two encodings of parameters: parsed, printed and decoded it stays the same.
    wire_xtext = hikyaku_wire::fuzzing::xtext;
}

/// The libFuzzer program of one line of [`TARGETS`].
#[macro_export]
macro_rules! target {
    ($name:ident) => {
        $crate::libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::$name(data));
    };
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::TARGETS;

    fn entries(folder: &str) -> Vec<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let entries = folder.read_dir().unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    }

    #[test]
    fn each_target_has_a_program_and_a_corpus() {
        let names: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(names.len(), TARGETS.len());
        for folder in ["fuzz_targets", "corpus"] {
            let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
            let found: BTreeSet<String> = entries(folder).into_iter().map(stem).collect();
            assert_eq!(found, names, "{folder}");
        }
    }

    #[test]
    fn every_corpus_holds() {
        let mut broken = Vec::new();
        for (name, target) in TARGETS {
            let seeds = entries(&format!("corpus/{name}"));
            assert!(!seeds.is_empty(), "{name} has no seeds");
            println!("{name}: {} seeds", seeds.len());
            for seed in seeds {
                let data = std::fs::read(&seed).unwrap();
                if std::panic::catch_unwind(|| target(&data)).is_err() {
                    broken.push(seed.display().to_string());
                }
            }
        }
        assert!(broken.is_empty(), "these seeds break their target:\n{}", broken.join("\n"));
    }
}
