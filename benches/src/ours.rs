//! The side of hikyaku: what is called is what an application calls.

use std::borrow::Cow;
use std::hint::black_box;

use bytes::{Buf, BytesMut};
use hikyaku_message::{HeaderLimits, HeaderScan};
use hikyaku_wire::{BareLineEnds, Capabilities, Command, Decoded, DotDecoder, DotEncoder, Lines, Reply};

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
            Task::plain(move || _ = black_box(ehlo_reply(black_box(&reply))))
        }
        Work::ReplyLine(reply) => {
            let reply = reply.clone();
            Task::plain(move || _ = black_box(reply_line(black_box(&reply))))
        }
        Work::Receive { message, refuse_bare } => {
            let (length, policy) = (message.len(), policy(*refuse_bare));
            Task::prepared(Reads::new(message), Reads::fill, move |reads| {
                assert_eq!(receive(reads, policy, |piece| _ = black_box(piece)), length);
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

fn a_reply(reply: &[u8]) -> Reply<Cow<'_, str>> {
    let (reply, length) = Reply::parse(reply).expect("the reply is right").expect("the reply is whole");
    black_box(length);
    reply
}

/// Reads every extension as its type, which is more than it takes to ask for one.
#[inline(never)]
fn ehlo_reply(reply: &[u8]) -> Option<u64> {
    let reply = a_reply(reply);
    let capabilities = Capabilities::parse(&reply);
    capabilities.iter().for_each(|capability| _ = black_box(capability));
    capabilities.size()
}

#[inline(never)]
fn reply_line(reply: &[u8]) -> Reply<Cow<'_, str>> {
    a_reply(reply)
}

fn policy(refuse_bare: bool) -> BareLineEnds {
    if refuse_bare { BareLineEnds::Refuse } else { BareLineEnds::Keep }
}

#[inline(never)]
fn receive(reads: &mut Reads, policy: BareLineEnds, mut see: impl FnMut(&[u8])) -> usize {
    let mut decoder = DotDecoder::new(policy);
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
                    verdict.expect("each line ends in CRLF");
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
                words.push(
                    match command {
                        Command::Ehlo(hello) => format!("EHLO {hello}"),
                        Command::Mail(mail) => format!("MAIL {} {}", mail.from, mail.params.size.unwrap_or_default()),
                        Command::Rcpt(recipient) => format!("RCPT {}", recipient.to),
                        Command::Data => "DATA".into(),
                        Command::Auth(auth) => format!("AUTH {}", auth.initial_response().unwrap_or_default()),
                        other => panic!("{other:?} is not in the work"),
                    }
                    .replace(['<', '>'], ""),
                );
            });
            words
        }
        Work::EhloReply(reply) => vec![format!("size {}", ehlo_reply(reply).unwrap_or_default())],
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
