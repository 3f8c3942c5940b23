//! The side of smtp-proto. Where it has no such thing there is no task.

use std::hint::black_box;

use smtp_proto::request::receiver::{DataReceiver, RequestReceiver};
use smtp_proto::response::parser::ResponseReceiver;
use smtp_proto::{
    EhloResponse, MAIL_BODY_8BITMIME, MAIL_RET_HDRS, MAIL_SMTPUTF8, RCPT_NOTIFY_DELAY, RCPT_NOTIFY_FAILURE,
    RCPT_NOTIFY_SUCCESS, Request, Response,
};

use crate::task::Task;
use crate::work::{Reads, Work};

/// What smtp-proto does of a work.
pub fn task(work: &Work) -> Option<Task> {
    Some(match work {
        Work::Commands { input, count } | Work::CommandsByLines { input, count } => {
            let (input, count) = (input.clone(), *count);
            let mut receiver = RequestReceiver::default();
            Task::plain(move || assert_eq!(commands(&mut receiver, black_box(&input)), count))
        }
        Work::EhloReply(reply) | Work::EhloReplyAll(reply) => {
            let reply = reply.clone();
            Task::plain(move || _ = black_box(ehlo_reply(black_box(&reply))))
        }
        Work::ReplyLine(reply) => {
            let reply = reply.clone();
            Task::plain(move || _ = black_box(reply_line(black_box(&reply))))
        }
        Work::Receive { message, .. } => {
            let length = message.len();
            let run = move |(reads, out): &mut (Reads, Vec<u8>)| {
                out.clear();
                assert!(receive(reads, out) && out.len() == length);
            };
            Task::prepared((Reads::new(message), Vec::new()), |(reads, _)| reads.fill(), run)
        }
        Work::Send(_) | Work::Header { .. } => return None,
    })
}

#[inline(never)]
fn commands(receiver: &mut RequestReceiver, input: &[u8]) -> usize {
    let mut octets = input.iter();
    let mut count = 0;
    while !octets.as_slice().is_empty() {
        black_box(receiver.ingest(&mut octets).expect("the commands are right"));
        count += 1;
    }
    count
}

#[inline(never)]
fn ehlo_reply(reply: &[u8]) -> EhloResponse<String> {
    EhloResponse::parse(&mut reply.iter()).expect("the reply is right")
}

#[inline(never)]
fn reply_line(reply: &[u8]) -> Response<String> {
    ResponseReceiver::default().parse(&mut reply.iter()).expect("the reply is right")
}

#[inline(never)]
fn receive(reads: &Reads, out: &mut Vec<u8>) -> bool {
    let mut receiver = DataReceiver::new();
    let mut end = false;
    for read in &reads.buffers {
        end = receiver.ingest(&mut read.iter(), out);
    }
    end
}

/// What it has read, in words; [`ours::read`](crate::ours::read) must have read the same.
pub fn read(work: &Work) -> Option<Vec<String>> {
    match work {
        Work::Commands { input, .. } | Work::CommandsByLines { input, .. } => {
            let mut octets = input.iter();
            let mut words = Vec::new();
            while !octets.as_slice().is_empty() {
                words.push(match Request::parse(&mut octets).expect("the commands are right") {
                    Request::Ehlo { host } => format!("EHLO {host}"),
                    Request::Mail { from } => format!(
                        "MAIL {} size {} utf8 {} 8bit {} headers {} envid {:?}",
                        from.address,
                        from.size,
                        from.flags & MAIL_SMTPUTF8 != 0,
                        from.flags & MAIL_BODY_8BITMIME != 0,
                        from.flags & MAIL_RET_HDRS != 0,
                        from.env_id.as_deref(),
                    ),
                    Request::Rcpt { to } => format!(
                        "RCPT {} success {} failure {} delay {} orcpt {:?}",
                        to.address,
                        to.flags & RCPT_NOTIFY_SUCCESS != 0,
                        to.flags & RCPT_NOTIFY_FAILURE != 0,
                        to.flags & RCPT_NOTIFY_DELAY != 0,
                        to.orcpt.as_deref(),
                    ),
                    Request::Data => "DATA".into(),
                    Request::Auth { initial_response, .. } => format!("AUTH {initial_response}"),
                    other => panic!("{other:?} is not in the work"),
                });
            }
            Some(words)
        }
        Work::EhloReply(reply) | Work::EhloReplyAll(reply) => {
            let offered = ehlo_reply(reply);
            let (all, mechanisms) = (offered.capabilities.count_ones(), offered.auth_mechanisms.count_ones());
            Some(vec![format!("{all} offered, size {}, {mechanisms} mechanisms", offered.size)])
        }
        Work::ReplyLine(reply) => {
            let Response { code, esc: [class, subject, detail], message } = reply_line(reply);
            Some(vec![format!("{code} {class}.{subject}.{detail} {message}")])
        }
        Work::Receive { message, .. } => {
            let mut reads = Reads::new(message);
            let mut out = Vec::new();
            reads.fill();
            assert!(receive(&reads, &mut out), "the message has its end");
            Some(vec![format!("the message: {}", out == *message)])
        }
        Work::Send(_) | Work::Header { .. } => None,
    }
}
