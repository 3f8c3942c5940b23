//! Whole dialogues over a stream, with `Framed` on both sides.

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncWriteExt, DuplexStream, Join, ReadHalf, SimplexStream, WriteHalf, duplex, join, simplex};
use tokio_util::codec::{Decoder, Encoder, Framed};

use super::*;
use crate::{BareLineEndKind, BareLineEnds, ChunkError, Code, Command, LineErrorKind, Reply};

type Stream = Join<ReadHalf<SimplexStream>, WriteHalf<SimplexStream>>;

/// Both ends of a stream that carries `octets` at a time to the server.
fn pair(octets: usize) -> (Framed<Stream, ServerCodec>, Framed<Stream, ClientCodec>) {
    let (up_read, up_write) = simplex(octets);
    // All replies have room, so that neither side waits for the other to read.
    let (down_read, down_write) = simplex(4096);
    let server = Framed::new(join(up_read, down_write), ServerCodec::new(2048, 1000));
    (server, Framed::new(join(down_read, up_write), ClientCodec::default()))
}

/// A server over bytes that a client wrote before it closed.
async fn server_of(bytes: &[u8]) -> Framed<DuplexStream, ServerCodec> {
    let (server, mut client) = duplex(bytes.len().max(1));
    client.write_all(bytes).await.unwrap();
    Framed::new(server, ServerCodec::new(2048, 1000))
}

fn command(line: &str) -> Command {
    Command::parse(line.as_bytes()).unwrap().into_owned()
}

/// Answers whatever comes, and returns the messages.
async fn serve(mut server: Framed<Stream, ServerCodec>) -> Vec<Vec<u8>> {
    let (mut messages, mut message) = (Vec::new(), Vec::new());
    server.send(&Reply::plain(Code::GREETING_220, "mx.test")).await.unwrap();
    while let Some(item) = server.next().await {
        let reply = match item.unwrap() {
            FromClient::Command(Ok(Command::Data)) => {
                server.codec_mut().receive_data();
                Reply::START_INPUT_354
            }
            FromClient::Command(Ok(Command::Quit)) => {
                server.send(&Reply::BYE_221).await.unwrap();
                server.close().await.unwrap();
                break;
            }
            FromClient::Command(Ok(Command::Bdat { .. })) => continue,
            FromClient::Command(Ok(_)) => Reply::OK_250,
            FromClient::Command(Err(error)) => error.reply(),
            FromClient::Line(_) => panic!("nobody asked for a line"),
            FromClient::Data(piece) => {
                message.extend_from_slice(&piece);
                continue;
            }
            FromClient::Chunk(verdict) => verdict.map_or_else(ChunkError::reply, |()| Reply::OK_250),
            FromClient::End(Ok(())) => {
                messages.push(std::mem::take(&mut message));
                Reply::OK_250
            }
            FromClient::End(Err(error)) => {
                message.clear();
                error.reply()
            }
        };
        server.send(&reply).await.unwrap();
    }
    messages
}

#[tokio::test]
async fn a_dialogue_with_messages_in_data() {
    for octets in [1, 2, 3, 7, 4096] {
        let (server, mut client) = pair(octets);
        let talk = async move {
            assert_eq!(client.next().await.unwrap().unwrap().code(), Code::GREETING_220);
            for line in ["EHLO a.test", "MAIL FROM:<a@a.test>", "RCPT TO:<b@b.test>"] {
                client.send(&command(line)).await.unwrap();
                assert_eq!(client.next().await.unwrap().unwrap(), Reply::OK_250, "{line}");
            }
            for _ in 0..2 {
                client.send(&Command::Data).await.unwrap();
                assert_eq!(client.next().await.unwrap().unwrap(), Reply::START_INPUT_354);
                client.send(Content::Data(b".dot\r\n..\r")).await.unwrap();
                client.send(Content::Data(b"\n.")).await.unwrap();
                // Commands right behind the end, in one write with it.
                client.feed(Content::DataEnd).await.unwrap();
                client.feed(&Command::Rset).await.unwrap();
                client.send(&Command::Noop(None)).await.unwrap();
                for _ in 0..3 {
                    assert_eq!(client.next().await.unwrap().unwrap(), Reply::OK_250);
                }
            }
            client.send(&Command::Quit).await.unwrap();
            assert_eq!(client.next().await.unwrap().unwrap(), Reply::BYE_221);
            assert!(client.next().await.is_none());
        };
        let (messages, ()) = tokio::join!(serve(server), talk);
        assert_eq!(messages, [b".dot\r\n..\r\n.\r\n"; 2], "{octets} octets at a time");
    }
}

#[tokio::test]
async fn a_dialogue_with_a_message_in_chunks() {
    for octets in [1, 3, 4096] {
        let (server, mut client) = pair(octets);
        let talk = async move {
            assert_eq!(client.next().await.unwrap().unwrap().code(), Code::GREETING_220);
            client.feed(Content::Chunk(b"\r\n.\r\nRSET\r")).await.unwrap();
            client.feed(Content::Chunk(b"")).await.unwrap();
            client.feed(Content::LastChunk(b"\n")).await.unwrap();
            // The next message, of more than the server takes, and a small one behind it.
            client.feed(Content::LastChunk(&[b'x'; 1001])).await.unwrap();
            client.feed(Content::LastChunk(b"")).await.unwrap();
            client.send(&Command::Quit).await.unwrap();
            for reply in [Reply::OK_250, Reply::OK_250, Reply::TOO_BIG_552, Reply::OK_250, Reply::BYE_221] {
                assert_eq!(client.next().await.unwrap().unwrap(), reply);
            }
            assert!(client.next().await.is_none());
        };
        let (messages, ()) = tokio::join!(serve(server), talk);
        assert_eq!(messages, [&b"\r\n.\r\nRSET\r\n"[..], b""], "{octets} octets at a time");
    }
}

#[test]
fn d21_behind_a_chunk_of_unknown_size_nothing_is_a_command() {
    for line in [
        &b"BDAT\r\n"[..],
        b"BDAT 5 LAST X\r\n",
        b"BDAT -1\r\n",
        b"bdat 1e3\r\n",
        b"BDAT 0x10\r\n",
        b"BDAT +5\r\n",
        b"BDAT 18446744073709551616\r\n",
        b"BDAT 99999999999999999999999 LAST\r\n",
        b"BDAT 5\n",
        b"BDAT 5\0\r\n",
        &[b"BDAT 5", &[b' '; 3000][..], b"\r\n"].concat(),
    ] {
        for size in [1, 3, 5000] {
            let wire = [line, b"RSET\r\n"].concat();
            let (mut server, mut input, mut items) = (ServerCodec::default(), BytesMut::new(), Vec::new());
            let mut stopped = false;
            for piece in wire.chunks(size) {
                input.extend_from_slice(piece);
                loop {
                    match server.decode(&mut input) {
                        Ok(Some(item)) => items.push(item),
                        Ok(None) => break,
                        Err(error) => {
                            assert!(matches!(error, CodecError::ChunkSize));
                            stopped = true;
                            break;
                        }
                    }
                }
            }
            assert!(stopped, "{line:?}");
            assert!(matches!(items[..], [FromClient::Command(Err(_))]), "{items:?}");
        }
    }
    // Another verb is another verb.
    let (mut server, mut input) = (ServerCodec::default(), BytesMut::from("BDATA 5\r\nRSET\r\n"));
    assert!(matches!(server.decode(&mut input).unwrap(), Some(FromClient::Command(Ok(Command::Unknown { .. })))));
    assert_eq!(server.decode(&mut input).unwrap(), Some(FromClient::Command(Ok(Command::Rset))));
}

#[tokio::test]
async fn d31_a_bare_line_end_is_the_verdict_of_the_end() {
    let mut server = server_of(b"DATA\r\nx\n.\r\n.\r\nNOOP\nQUIT\r\n").await;
    assert_eq!(server.next().await.unwrap().unwrap(), FromClient::Command(Ok(Command::Data)));
    server.codec_mut().receive_data();
    let mut message = Vec::new();
    let end = loop {
        match server.next().await.unwrap().unwrap() {
            FromClient::Data(piece) => message.extend_from_slice(&piece),
            end => break end,
        }
    };
    // `LF . CRLF` is not the end, and its dot is an octet of the message.
    assert_eq!(message, b"x\n.\r\n");
    let bare = BareLineEnd { kind: BareLineEndKind::Lf, at: 1 };
    assert_eq!(end, FromClient::End(Err(bare.into())));
    let Some(Ok(FromClient::Command(Err(error)))) = server.next().await else { panic!("NOOP LF is not a line") };
    assert!(matches!(error, InputError::Line(line) if line.kind == LineErrorKind::BareLf && line.at == 4));
    assert_eq!(error.reply().code(), Code::SYNTAX_ERROR_500);
    assert_eq!(server.next().await.unwrap().unwrap(), FromClient::Command(Ok(Command::Quit)));
    assert!(server.next().await.is_none());
}

#[tokio::test]
async fn d22_a_line_of_ten_mebibytes_is_one_item_and_no_memory() {
    let (server, mut client) = duplex(64 << 10);
    let mut server = Framed::new(server, ServerCodec::default());
    let write = async move {
        for _ in 0..160 {
            client.write_all(&[b'x'; 64 << 10]).await.unwrap();
        }
        client.write_all(b"\r\nQUIT\r\n").await.unwrap();
    };
    let read = async {
        let Some(Ok(FromClient::Command(Err(InputError::Line(error))))) = server.next().await else {
            panic!("no item")
        };
        assert_eq!((error.kind, error.at), (LineErrorKind::TooLong, 2048));
        assert_eq!(server.next().await.unwrap().unwrap(), FromClient::Command(Ok(Command::Quit)));
        assert_eq!(server.codec().discarded(), (10 << 20) + 2);
        assert!(server.read_buffer().capacity() <= 64 << 10, "{}", server.read_buffer().capacity());
        assert!(server.next().await.is_none());
    };
    tokio::join!(write, read);
}

/// What comes out of all of `bytes` and the end of the stream behind them.
async fn last(mut server: Framed<DuplexStream, ServerCodec>) -> Option<CodecError> {
    while let Some(item) = server.next().await {
        match item {
            Ok(FromClient::Command(Ok(Command::Data))) => server.codec_mut().receive_data(),
            Ok(FromClient::Command(Ok(Command::Rset))) => server.codec_mut().receive_line(),
            Ok(_) => {}
            Err(error) => return Some(error),
        }
    }
    None
}

#[tokio::test]
async fn d40_the_end_of_the_stream() {
    let long = [b'x'; 3000];
    for (bytes, cut) in [
        (&b""[..], None),
        (b"QUIT\r\n", None),
        (b"QUI", Some(CutIn::Line)),
        (b"QUIT\r", Some(CutIn::Line)),
        (b"RSET\r\n", Some(CutIn::Line)),
        (b"RSET\r\nabc\r\n", None),
        (&long, Some(CutIn::Line)),
        (b"DATA\r\n", Some(CutIn::Message)),
        (b"DATA\r\nabc\r\n", Some(CutIn::Message)),
        (b"DATA\r\nabc\r\n.", Some(CutIn::Message)),
        (b"DATA\r\nabc\r\n.\r", Some(CutIn::Message)),
        (b"DATA\r\nabc\r\n.\r\n", None),
        (b"BDAT 3 LAST\r\n", Some(CutIn::Message)),
        (b"BDAT 3 LAST\r\nab", Some(CutIn::Message)),
        (b"BDAT 3 LAST\r\nabc", None),
        (b"BDAT 3 LAST\r\nabcQ", Some(CutIn::Line)),
    ] {
        let error = last(server_of(bytes).await).await;
        let found = match &error {
            Some(CodecError::Cut(cut)) => Some(*cut),
            None => None,
            Some(other) => panic!("{other}"),
        };
        assert_eq!(found, cut, "{:?}", String::from_utf8_lossy(bytes));
    }
    for (bytes, cut) in [("", false), ("250 ok\r\n", false), ("250-ok\r\n", true), ("250 o", true)] {
        let (mut server, client) = duplex(100);
        server.write_all(bytes.as_bytes()).await.unwrap();
        drop(server);
        let mut client = Framed::new(client, ClientCodec::default());
        let mut error = None;
        while let Some(item) = client.next().await {
            error = item.err();
        }
        assert_eq!(matches!(error, Some(CodecError::Cut(CutIn::Reply))), cut, "{bytes}");
        assert_eq!(error.is_some(), cut);
    }
}

#[test]
fn c1_2_a_chunk_that_is_too_big_is_read_and_refused_at_its_end() {
    let mut server = ServerCodec::new(2048, 10);
    let mut input = BytesMut::from("BDAT 11\r\n0123456789\nNOOP\r\n");
    let bdat = Command::Bdat { size: 11, last: false };
    assert_eq!(server.decode(&mut input).unwrap(), Some(FromClient::Command(Ok(bdat))));
    let too_big = FromClient::Chunk(Err(ChunkError::TooBig { limit: 10 }));
    assert_eq!(server.decode(&mut input).unwrap(), Some(too_big));
    assert_eq!(server.decode(&mut input).unwrap(), Some(FromClient::Command(Ok(command("NOOP")))));
    // Nothing of a transaction survives its reset.
    server.reset();
    input.extend_from_slice(b"BDAT 1 LAST\r\nx");
    assert!(matches!(server.decode(&mut input).unwrap(), Some(FromClient::Command(Ok(_)))));
    assert_eq!(server.decode(&mut input).unwrap(), Some(FromClient::Data("x".into())));
    assert_eq!(server.decode(&mut input).unwrap(), Some(FromClient::End(Ok(()))));
}

#[test]
fn bare_line_ends_pass_where_that_is_said() {
    let (mut client, mut server) = (ClientCodec::default(), ServerCodec::default());
    let mut wire = BytesMut::new();
    assert!(client.encode(Content::LastChunk(b"a\nb"), &mut wire).is_err());
    assert!(wire.is_empty());
    client.set_bare_line_ends(BareLineEnds::Keep);
    server.set_bare_line_ends(BareLineEnds::Keep);
    for content in [Content::Data(b"a\n.b\r"), Content::DataEnd, Content::LastChunk(b"a\n\r")] {
        client.encode(content, &mut wire).unwrap();
    }
    assert_eq!(wire, "a\n.b\r\r\n.\r\nBDAT 3 LAST\r\na\n\r");
    server.receive_data();
    assert_eq!(server.decode(&mut wire).unwrap(), Some(FromClient::Data("a\n.b\r\r\n".into())));
    assert_eq!(server.decode(&mut wire).unwrap(), Some(FromClient::End(Ok(()))));
    assert!(matches!(server.decode(&mut wire).unwrap(), Some(FromClient::Command(Ok(Command::Bdat { .. })))));
    assert_eq!(server.decode(&mut wire).unwrap(), Some(FromClient::Data(Bytes::from_static(b"a\n\r"))));
    assert_eq!(server.decode(&mut wire).unwrap(), Some(FromClient::End(Ok(()))));
}

#[test]
fn a_spoilt_message_cannot_be_finished() {
    let (mut client, mut out) = (ClientCodec::default(), BytesMut::new());
    client.encode(Content::Data(b"a\r\n"), &mut out).unwrap();
    for content in [Content::Data(b"\n"), Content::Data(b"b\r\n"), Content::DataEnd, Content::DataEnd] {
        let error = client.encode(content, &mut out).unwrap_err();
        assert!(matches!(error, CodecError::Message(_)), "{content:?}");
    }
    assert_eq!(out, "a\r\n");
}

#[test]
fn the_next_message_begins_with_its_first_octet() {
    let (mut client, mut out) = (ClientCodec::default(), BytesMut::new());
    for content in [Content::LastChunk(b"one\r\n"), Content::Data(b"two\r\n"), Content::DataEnd] {
        client.encode(content, &mut out).unwrap();
    }
    for content in [Content::LastChunk(b"x\n"), Content::Data(b"x\n")] {
        let Err(CodecError::Message(bare)) = client.encode(content, &mut out) else { panic!("{content:?}") };
        assert_eq!((bare.kind, bare.at), (BareLineEndKind::Lf, 1), "{content:?}");
    }
}
