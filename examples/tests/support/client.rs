//! An SMTP client of a few lines: it sends what it is told, also what no
//! client should send, and reads replies strictly.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::PATIENCE;
use super::tls::Trust;

/// One connection to a server.
pub(crate) struct Client {
    stream: BufReader<Box<dyn Stream>>,
    socket: TcpStream,
    /// What binds an authentication to this connection (RFC 9266).
    pub(crate) exporter: Option<[u8; 32]>,
}

/// What is spoken over: TCP, or TLS on top of it.
pub(crate) trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// A reply, one text a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) code: u16,
    pub(crate) lines: Vec<String>,
}

impl Reply {
    /// The whole text in one line.
    pub(crate) fn text(&self) -> String {
        self.lines.join(" ")
    }

    /// The words of the text without the punctuation around them.
    pub(crate) fn words(&self) -> Vec<String> {
        let text = self.text();
        let split = |c: char| c.is_whitespace() || matches!(c, '=' | '(' | ')' | '[' | ']' | '<' | '>' | ',' | ':');
        text.split(split).map(|word| word.trim_matches('.').to_owned()).filter(|word| !word.is_empty()).collect()
    }
}

impl Client {
    /// Connects and takes the greeting, which must be a 220.
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let mut client = Self::open(address)?;
        let greeting = client.reply()?;
        if greeting.code == 220 { Ok(client) } else { Err(io::Error::other(format!("greeting {greeting:?}"))) }
    }

    /// Connects and says nothing.
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let socket = stream.try_clone()?;
        Ok(Self { stream: BufReader::new(Box::new(stream)), socket, exporter: None })
    }

    /// The handshake of TLS, now. The octets of before are gone with the stream.
    pub(crate) fn into_tls(self, trust: &Trust) -> io::Result<Self> {
        assert!(self.stream.buffer().is_empty(), "the server spoke before the handshake");
        let (stream, exporter) = trust.handshake(self.socket.try_clone()?)?;
        Ok(Self { stream: BufReader::new(Box::new(stream)), socket: self.socket, exporter: Some(exporter) })
    }

    /// `EHLO`, `STARTTLS`, the handshake, and `EHLO` again.
    pub(crate) fn start_tls(address: SocketAddr, trust: &Trust) -> io::Result<Self> {
        let mut client = Self::hello(address)?;
        let reply = client.command("STARTTLS")?;
        if reply.code != 220 {
            return Err(io::Error::other(format!("STARTTLS: {reply:?}")));
        }
        client.into_tls(trust)?.ready()
    }

    /// TLS from the first octet, the greeting, and `EHLO`.
    pub(crate) fn implicit_tls(address: SocketAddr, trust: &Trust) -> io::Result<Self> {
        let mut client = Self::open(address)?.into_tls(trust)?;
        let greeting = client.reply()?;
        if greeting.code != 220 {
            return Err(io::Error::other(format!("greeting {greeting:?}")));
        }
        client.ready()
    }

    fn ready(mut self) -> io::Result<Self> {
        let reply = self.command("EHLO client.sender.test")?;
        if reply.code == 250 { Ok(self) } else { Err(io::Error::other(format!("EHLO: {reply:?}"))) }
    }

    /// `AUTH PLAIN` (RFC 4616).
    pub(crate) fn plain(&mut self, user: &str, password: &str) -> io::Result<Reply> {
        self.command(format!("AUTH PLAIN {}", base64(format!("\0{user}\0{password}").as_bytes())))
    }

    /// Connects, takes the greeting and says `EHLO`.
    pub(crate) fn hello(address: SocketAddr) -> io::Result<Self> {
        let mut client = Self::connect(address)?;
        let reply = client.command("EHLO client.sender.test")?;
        if reply.code == 250 { Ok(client) } else { Err(io::Error::other(format!("EHLO: {reply:?}"))) }
    }

    /// The connection itself, to read from and write to without this client.
    pub(crate) fn stream(&self) -> TcpStream {
        assert!(self.stream.buffer().is_empty(), "{:?} would be lost", self.stream.buffer());
        self.socket.try_clone().expect("one more handle of a socket")
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Sends one line with its CRLF in one piece and reads the reply.
    pub(crate) fn command(&mut self, line: impl AsRef<[u8]>) -> io::Result<Reply> {
        let mut bytes = line.as_ref().to_vec();
        bytes.extend_from_slice(b"\r\n");
        self.send(&bytes)?;
        self.reply()
    }

    /// Reads one reply; the end of the stream is `UnexpectedEof`.
    pub(crate) fn reply(&mut self) -> io::Result<Reply> {
        let wrong = |line: &[u8]| io::Error::other(format!("not a reply line: {:?}", String::from_utf8_lossy(line)));
        let mut lines = Vec::new();
        loop {
            let mut line = Vec::new();
            if self.stream.read_until(b'\n', &mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let text = line.strip_suffix(b"\r\n").ok_or_else(|| wrong(&line))?;
            let text = std::str::from_utf8(text).map_err(|_| wrong(&line))?;
            let code = text.get(..3).and_then(|code| code.parse().ok()).ok_or_else(|| wrong(&line))?;
            lines.push(text.get(4..).unwrap_or_default().to_owned());
            match text.as_bytes().get(3) {
                Some(b'-') => {}
                Some(b' ') | None => return Ok(Reply { code, lines }),
                Some(_) => return Err(wrong(&line)),
            }
        }
    }

    /// True when the server has closed the connection without another byte.
    pub(crate) fn is_closed(&mut self) -> bool {
        match self.stream.fill_buf() {
            Ok(rest) => rest.is_empty(),
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    /// One transaction, command by command: the final reply, or the first that is not the expected one.
    pub(crate) fn transaction(&mut self, from: &str, to: &[&str], message: &[u8]) -> io::Result<Reply> {
        let reply = self.command(format!("MAIL FROM:<{from}>"))?;
        if reply.code != 250 {
            return Ok(reply);
        }
        for to in to {
            let reply = self.command(format!("RCPT TO:<{to}>"))?;
            if reply.code != 250 {
                return Ok(reply);
            }
        }
        self.data(message)
    }

    /// `DATA` and a message: the final reply, or what came in the place of the 354.
    pub(crate) fn data(&mut self, message: &[u8]) -> io::Result<Reply> {
        let reply = self.command("DATA")?;
        if reply.code != 354 {
            return Ok(reply);
        }
        self.send(&stuffed(message))?;
        self.reply()
    }
}

/// The message with its dots stuffed, a CRLF at the end if it lacks one, and the final dot.
/// Only CRLF ends a line: bare CR and LF go out as they are.
pub(crate) fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 64);
    let mut line_start = true;
    for &byte in message {
        if line_start && byte == b'.' {
            out.push(b'.');
        }
        out.push(byte);
        line_start = byte == b'\n' && out.ends_with(b"\r\n");
    }
    if !line_start {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

/// Octets as base64.
pub(crate) fn base64(octets: &[u8]) -> String {
    hikyaku::wire::Base64::encode(octets).expect("short enough for a line").to_string()
}
