//! The rows of the table: which work, and what is asked of it.

use crate::work::{self, Work, lines};

/// One row.
pub struct Row<W = Work> {
    /// One word, for programs.
    pub name: &'static str,
    /// What is done, for people.
    pub what: &'static str,
    /// Makes the octets; large ones take a moment.
    pub work: fn() -> W,
    /// What a figure is for: one of so many equal things, or the octets of all.
    pub per: Per,
    /// What the row must reach.
    pub asked: Asked,
}

/// What a time is divided by for people.
#[derive(Clone, Copy)]
pub enum Per {
    /// By the number of things of this name.
    Each(u32),
    /// Not: it is a rate in octets.
    Octets,
}

/// Bounds on times, as ratios measured in the same run; smaller is faster.
#[derive(Clone, Copy, Default)]
pub struct Asked {
    /// At most this ratio of the time of the peer.
    pub of_peer: Option<f64>,
    /// The ratio that is hoped for.
    pub goal: Option<f64>,
    /// At most this ratio of the time of the first limit.
    pub of_limit: Option<f64>,
    /// At most this ratio of the time of the peer, after that of the first limit is taken from both.
    pub of_peer_beyond: Option<f64>,
    /// No allocation at all.
    pub no_allocation: bool,
}

/// Nothing is asked.
pub const NOTHING: Asked =
    Asked { of_peer: None, goal: None, of_limit: None, of_peer_beyond: None, no_allocation: false };
/// Command lines: as fast as the peer, and nothing allocated.
const COMMAND: Asked = Asked { of_peer: Some(1.0), goal: Some(0.7), no_allocation: true, ..NOTHING };

/// Half of the peer's throughput where bare line ends are looked for, which it does not do; all of
/// it where they are not.
const fn receive(of_peer: f64) -> Asked {
    Asked { of_peer: Some(of_peer), goal: if of_peer > 1.0 { Some(1.0) } else { None }, ..NOTHING }
}

const COMMANDS: Per = Per::Each(51);
const TEN: Per = Per::Each(10);
const ONE: Per = Per::Each(1);

macro_rules! names {
    (compared $($compared:ident)*; alone $($alone:ident)*; $($_auth:tt)*) => {
        /// The names of all rows, in the order of the table.
        pub const NAMES: &[&str] = &[$(stringify!($compared),)* $(stringify!($alone)),*];
    };
}
crate::with_every_row!(names);

fn message(octets: Vec<u8>, refuse_bare: bool) -> Work {
    Work::Receive { message: octets, refuse_bare }
}

fn commands(params: bool) -> Work {
    Work::Commands { input: work::envelope(params), count: 51 }
}

const KIB_64: usize = 64 << 10;
const MIB: usize = 1 << 20;

/// The row of this name.
///
/// # Panics
/// There is none.
pub fn row(name: &'static str) -> Row {
    let (what, work, per, asked): (_, fn() -> Work, _, _) = match name {
        "commands_plain" => ("1 MAIL and 50 RCPT, plain", || commands(false), COMMANDS, COMMAND),
        "commands_params" => ("1 MAIL and 50 RCPT with parameters", || commands(true), COMMANDS, COMMAND),
        "commands_by_lines" => (
            "1 MAIL and 50 RCPT, plain, as `Bytes` by `Lines`",
            || Work::CommandsByLines { input: work::envelope(false), count: 51 },
            COMMANDS,
            NOTHING,
        ),
        "line_ehlo" => ("EHLO", || work::ten(lines::EHLO), TEN, COMMAND),
        "line_mail" => ("MAIL", || work::ten(lines::MAIL), TEN, COMMAND),
        "line_mail_params" => ("MAIL SIZE BODY SMTPUTF8 RET ENVID", || work::ten(lines::MAIL_PARAMS), TEN, COMMAND),
        "line_rcpt" => ("RCPT", || work::ten(lines::RCPT), TEN, COMMAND),
        "line_rcpt_dsn" => ("RCPT NOTIFY ORCPT", || work::ten(lines::RCPT_DSN), TEN, COMMAND),
        "line_rcpt_xtext" => ("RCPT NOTIFY ORCPT with `+2B`", || work::ten(lines::RCPT_XTEXT), TEN, COMMAND),
        "line_data" => ("DATA", || work::ten(lines::DATA), TEN, COMMAND),
        "line_auth" => ("AUTH PLAIN with initial response", || work::ten(lines::AUTH), TEN, COMMAND),
        "ehlo_reply" => (
            "EHLO reply of 12 lines",
            || Work::EhloReply(work::EHLO_REPLY.into()),
            ONE,
            Asked { of_peer: Some(1.0), goal: Some(0.7), ..NOTHING },
        ),
        "ehlo_reply_all" => {
            ("the same, each line as a typed value", || Work::EhloReplyAll(work::EHLO_REPLY.into()), ONE, NOTHING)
        }
        "reply_line" => (
            "reply of one line",
            || Work::ReplyLine(work::REPLY_LINE.into()),
            ONE,
            Asked { goal: Some(0.7), no_allocation: true, ..NOTHING },
        ),
        "receive_text" => ("DATA, 64 KiB text", || message(work::text(KIB_64), true), Per::Octets, receive(2.0)),
        "receive_text_keep" => {
            ("the same, bare CR and LF kept", || message(work::text(KIB_64), false), Per::Octets, receive(1.0))
        }
        "receive_base64" => {
            ("DATA, 10 MiB base64", || message(work::base64(10 * MIB), true), Per::Octets, receive(2.0))
        }
        "receive_base64_keep" => {
            ("the same, bare CR and LF kept", || message(work::base64(10 * MIB), false), Per::Octets, receive(1.0))
        }
        "receive_dots" => (
            "DATA, 1 MiB, each line begins with a dot",
            || message(work::dots(MIB, 76), true),
            Per::Octets,
            receive(1.0),
        ),
        "receive_dots_keep" => {
            ("the same, bare CR and LF kept", || message(work::dots(MIB, 76), false), Per::Octets, receive(1.0))
        }
        "receive_only_dots" => {
            ("DATA, 1 MiB, each line is a dot", || message(work::dots(MIB, 1), true), Per::Octets, receive(0.2))
        }
        "receive_only_dots_keep" => {
            ("the same, bare CR and LF kept", || message(work::dots(MIB, 1), false), Per::Octets, receive(0.2))
        }
        "send_text" => ("64 KiB text put on the wire", || Work::Send(work::text(KIB_64)), Per::Octets, NOTHING),
        "header" => ("header section of 4 KiB", work::header, Per::Each(1), Asked { of_limit: Some(2.0), ..NOTHING }),
        other => panic!("there is no row {other}"),
    };
    Row { name, what, work, per, asked }
}

/// Every row, in the order of the table.
pub fn all() -> impl Iterator<Item = Row> {
    NAMES.iter().map(|name| row(name))
}
