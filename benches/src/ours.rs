//! The side of hikyaku: what is called is what an application calls.

use std::borrow::Cow;
use std::hint::black_box;

use bytes::{Buf, BytesMut};
use hikyaku_message::{HeaderLimits, HeaderScan};
use hikyaku_wire::{
    BareLineEnds, Body, Capabilities, Command, Decoded, DotDecoder, DotEncoder, EhloKeyword, Lines, Mail, Notify,
    Recipient, Reply, Ret,
};

use crate::task::Task;
use crate::work::{READ, Reads, Work};

/// What hikyaku does of a work.
pub fn task(work: &Work) -> Task {
    match work {
        Work::Commands { input, count } => {
            let (input, count) = (input.clone(), *count);
            Task::plain(move || assert_eq!(commands(black_box(&input)), count))
        }
        Work::CommandsByLines { input, count } => {
            let (input, count) = (input.clone(), *count);
            let fill = move |buffer: &mut BytesMut| {
                buffer.clear();
                buffer.extend_from_slice(&input);
            };
            Task::prepared(BytesMut::new(), fill, move |buffer| assert_eq!(commands_by_lines(buffer), count))
        }
        Work::EhloReply(reply) => {
            let reply = reply.clone();
            Task::plain(move || ehlo_reply(black_box(&reply)))
        }
        Work::EhloReplyAll(reply) => {
            let reply = reply.clone();
            Task::plain(move || ehlo_reply_all(black_box(&reply)))
        }
        Work::ReplyLine(reply) => {
            let reply = reply.clone();
            Task::plain(move || _ = black_box(reply_line(black_box(&reply))))
        }
        Work::Receive { message, refuse_bare } => {
            let (length, bare) = (message.len(), policy(*refuse_bare));
            Task::prepared(Reads::new(message), Reads::fill, move |reads| {
                assert_eq!(receive(reads, bare, |piece| _ = black_box(piece)), length);
            })
        }
        Work::Send(message) => {
            let message = message.clone();
            let mut out = BytesMut::with_capacity(2 * READ);
            Task::plain(move || send(black_box(&message), &mut out, |piece| _ = black_box(piece)))
        }
        Work::Header { section, fields } => {
            let (section, fields) = (section.clone(), *fields);
            Task::plain(move || assert_eq!(header(black_box(&section)), fields))
        }
    }
}

/// Every command of the buffer, its line ends included.
fn each_command(mut input: &[u8], mut see: impl FnMut(Command<&str>)) {
    while let Some(end) = memchr::memchr(b'\n', input) {
        let (line, rest) = input.split_at(end + 1);
        let line = line.strip_suffix(b"\r\n").expect("each line ends in CRLF");
        see(Command::parse(line).expect("the commands are right"));
        input = rest;
    }
}

#[inline(never)]
fn commands(input: &[u8]) -> usize {
    let mut count = 0;
    each_command(input, |command| {
        black_box(command);
        count += 1;
    });
    count
}

#[inline(never)]
fn commands_by_lines(input: &mut BytesMut) -> usize {
    let mut lines = Lines::new(2048);
    let mut count = 0;
    while let Some(line) = lines.next(input) {
        let line = line.expect("the commands are lines");
        black_box(Command::parse(&line).expect("the commands are right"));
        count += 1;
    }
    count
}

#[inline(never)]
fn reply_line(reply: &[u8]) -> Reply<Cow<'_, str>> {
    let (reply, used) = Reply::parse(reply).expect("the reply is right").expect("the reply is whole");
    black_box(used);
    reply
}

/// Keywords, SIZE and mechanisms are typed while the reply is read, as smtp-proto does.
#[inline(never)]
fn ehlo_reply(reply: &[u8]) {
    let reply = reply_line(reply);
    let offered = Capabilities::parse(&reply);
    black_box((offered.size(), offered.has_mechanism("PLAIN"), offered.has(&EhloKeyword::PIPELINING)));
    black_box(&offered);
}

#[inline(never)]
fn ehlo_reply_all(reply: &[u8]) {
    let reply = reply_line(reply);
    for capability in Capabilities::parse(&reply).iter() {
        black_box(capability);
    }
}

fn policy(refuse_bare: bool) -> BareLineEnds {
    if refuse_bare { BareLineEnds::Refuse } else { BareLineEnds::Keep }
}

#[inline(never)]
fn receive(reads: &mut Reads, bare: BareLineEnds, mut see: impl FnMut(&[u8])) -> usize {
    let mut decoder = DotDecoder::new(bare);
    let mut octets = 0;
    for read in &mut reads.buffers {
        loop {
            match decoder.decode(read) {
                Decoded::Data(piece) => {
                    octets += piece.len();
                    see(&piece);
                }
                Decoded::More => break,
                Decoded::End(verdict) => {
                    verdict.expect("no line end is bare");
                    return octets;
                }
            }
        }
    }
    panic!("the message has its end");
}

#[inline(never)]
fn send(message: &[u8], out: &mut BytesMut, mut see: impl FnMut(&[u8])) {
    let mut encoder = DotEncoder::new(BareLineEnds::Refuse);
    for piece in message.chunks(READ) {
        encoder.encode(piece, out).expect("every line of the message ends in CRLF");
        see(out);
        out.clear();
    }
    encoder.finish(out).expect("every line of the message ends in CRLF");
    see(out);
    out.clear();
}

#[inline(never)]
fn header(section: &[u8]) -> u64 {
    let mut scan = HeaderScan::new(HeaderLimits::default());
    assert_eq!(scan.push(section), section.len());
    black_box(&scan).fields()
}

/// What it has read, in words; [`peer::read`](crate::peer::read) must have read the same.
pub fn read(work: &Work) -> Vec<String> {
    match work {
        Work::Commands { input, .. } | Work::CommandsByLines { input, .. } => {
            let mut words = Vec::new();
            each_command(input, |command| {
                words.push(match command {
                    Command::Ehlo(hello) => format!("EHLO {hello}"),
                    Command::Mail(Mail { from, params }) => format!(
                        "MAIL {} size {} utf8 {} 8bit {} headers {} envid {:?}",
                        from.mailbox().expect("the path is not null"),
                        params.size.unwrap_or_default(),
                        params.smtputf8,
                        params.body == Some(Body::EightBitMime),
                        params.ret == Some(Ret::Headers),
                        params.envid.as_ref().map(|envid| envid.decode()),
                    ),
                    Command::Rcpt(Recipient { to, params }) => {
                        let asked = |when: fn(Notify) -> bool| params.notify.is_some_and(when);
                        format!(
                            "RCPT {} success {} failure {} delay {} orcpt {:?}",
                            to.mailbox().expect("the path is a mailbox"),
                            asked(Notify::on_success),
                            asked(Notify::on_failure),
                            asked(Notify::on_delay),
                            params.orcpt.as_ref().map(|orcpt| orcpt.decode()),
                        )
                    }
                    Command::Data => "DATA".into(),
                    Command::Auth(auth) => format!("AUTH {}", auth.initial_response().unwrap_or_default()),
                    other => panic!("{other:?} is not in the work"),
                });
            });
            words
        }
        Work::EhloReply(reply) | Work::EhloReplyAll(reply) => {
            let reply = reply_line(reply);
            let offered = Capabilities::parse(&reply);
            let (all, mechanisms) = (offered.iter().count(), offered.mechanisms().count());
            let size = offered.size().unwrap_or_default();
            vec![format!("{all} offered, size {size}, {mechanisms} mechanisms")]
        }
        Work::ReplyLine(reply) => vec![reply_line(reply).to_string()],
        Work::Receive { message, refuse_bare } => {
            let mut reads = Reads::new(message);
            let mut out = Vec::new();
            reads.fill();
            receive(&mut reads, policy(*refuse_bare), |piece| out.extend_from_slice(piece));
            assert!(reads.buffers.iter().all(|read| !read.has_remaining()), "nothing is left behind the end");
            vec![format!("the message: {}", out == *message)]
        }
        Work::Send(message) => {
            let mut out = Vec::new();
            send(message, &mut BytesMut::new(), |piece| out.extend_from_slice(piece));
            vec![format!("the message: {}", out == crate::work::on_the_wire(message))]
        }
        Work::Header { section, fields } => vec![format!("all fields: {}", header(section) == *fields)],
    }
}
