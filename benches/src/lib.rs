//! Measurements of the hikyaku crates, each beside a peer and the limit of the machine.
//! It never decides what is fast enough by itself: [`rows`] holds what is asked.
//!
//! A [`Work`](work::Work) is the same octets for all: [`ours`] reads them with hikyaku, [`peer`]
//! with smtp-proto, [`limits`] only searches or copies them. The programs around this library
//! measure time (`ratios`), count instructions (`instructions`) and allocations (`allocations`).
//! [`auth`] has the same for message authentication, where the peer is mail-auth (bench `auth`).
//! [`policy`] has policies to prove, beside bounds in time and memory (bench `policy`).
//! [`queue`] has the spool, beside the disk's limit and one file a message (bench `queue`).
//! Two more look at the whole: `load` at the memory of the relay program, `auth_timing` at what
//! the time of a failed login tells.
#![forbid(unsafe_code)]

pub mod arguments;
pub mod auth;
pub mod limits;
pub mod measure;
pub mod ours;
pub mod peer;
pub mod plot;
pub mod policy;
pub mod program;
pub mod queue;
pub mod readme;
pub mod report;
pub mod rows;
pub mod task;
pub mod tls;
pub mod work;

/// Hands the names of all rows to a macro: one list for the programs that need a function a row.
/// What stands behind `alone` smtp-proto does not do; behind `policy` are those of the policy
/// engine, which are only counted. What stands behind `auth` is message authentication; behind
/// `timed` too, but not counted in instructions: signing draws random numbers, and some take long.
#[macro_export]
macro_rules! with_every_row {
    ($with:ident) => {
        $with! {
            compared
            commands_plain
            commands_params
            commands_by_lines
            line_ehlo
            line_mail
            line_mail_params
            line_rcpt
            line_rcpt_dsn
            line_rcpt_xtext
            line_data
            line_auth
            ehlo_reply
            ehlo_reply_all
            reply_line
            receive_text
            receive_text_keep
            receive_base64
            receive_base64_keep
            receive_dots
            receive_dots_keep
            receive_only_dots
            receive_only_dots_keep;
            alone
            send_text
            header;
            policy
            decide_100
            decide_100_last
            policy_verdict
            policy_surface;
            auth
            verify_rsa_4k
            verify_rsa_64k
            verify_ed25519_4k
            hash_relaxed_64k
            spf_includes
            dmarc
            check_4k;
            timed
            verify_rsa_10m
            hash_relaxed_10m
            hash_relaxed_ragged
            sign_rsa_4k
            sign_rsa_64k
            sign_ed25519_4k
            bound_signatures
            bound_names
            bound_from
            bound_includes
        }
    };
}
