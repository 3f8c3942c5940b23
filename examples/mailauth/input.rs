//! Files, times, and the arguments that several commands have.

use std::fs;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use hikyaku::wire::Timestamp;
use hikyaku_mailauth::Client;

use crate::report::Problem;

/// The time at which the check is made.
#[derive(Args)]
pub(crate) struct Time {
    /// Seconds since 1970; without it, the time of the clock.
    #[arg(long, value_name = "UNIX")]
    now: Option<i64>,
}

impl Time {
    pub(crate) fn get(&self) -> Timestamp {
        self.now.map_or_else(hikyaku::now, |seconds| Timestamp::from_millis(seconds.saturating_mul(1000)))
    }
}

/// The client and what it says.
#[derive(Args)]
pub(crate) struct Envelope {
    /// The address of the client.
    #[arg(long, value_name = "ADDRESS")]
    ip: IpAddr,
    /// What it says in HELO or EHLO.
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    helo: String,
    /// What it says in MAIL FROM; empty for the null path.
    #[arg(long, value_name = "ADDRESS", allow_hyphen_values = true)]
    mail_from: String,
    /// The name of the host that checks.
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    pub(crate) receiver: String,
}

impl Envelope {
    pub(crate) fn client(&self) -> Client<'_> {
        let path = self.mail_from.strip_prefix('<').and_then(|path| path.strip_suffix('>'));
        let sender = path.unwrap_or(&self.mail_from);
        Client { address: self.ip, hello: &self.helo, sender, receiver: &self.receiver }
    }
}

/// The message to look at.
#[derive(Args)]
pub(crate) struct Message {
    /// The file; `-` is standard input.
    #[arg(value_name = "MESSAGE")]
    file: PathBuf,
}

impl Message {
    /// The message as it goes over the wire: where no line ends in CR LF, as in files that were
    /// saved on Unix, each LF becomes one.
    pub(crate) fn read(&self) -> Result<Vec<u8>, Problem> {
        let text = read(&self.file)?;
        let ends = |lf: usize| lf > 0 && text[lf - 1] == b'\r';
        let mut lines = text.iter().enumerate().filter(|(_, octet)| **octet == b'\n').map(|(lf, _)| lf).peekable();
        if lines.peek().is_none() || lines.any(ends) {
            return Ok(text);
        }
        eprintln!("mailauth: {}: the lines end in LF; read as CR LF", self.file.display());
        let mut lines = Vec::with_capacity(text.len() + text.len() / 16);
        for line in text.split_inclusive(|octet| *octet == b'\n') {
            match line.strip_suffix(b"\n") {
                Some(line) => lines.extend(line.iter().chain(b"\r\n")),
                None => lines.extend(line),
            }
        }
        Ok(lines)
    }
}

/// A file, or standard input for `-`.
pub(crate) fn read(file: &Path) -> Result<Vec<u8>, Problem> {
    let mut text = Vec::new();
    let done = match file == Path::new("-") {
        true => io::stdin().lock().read_to_end(&mut text).map(|_| ()),
        false => fs::read(file).map(|read| text = read),
    };
    done.map(|()| text).map_err(|error| Problem(format!("{}: {error}", file.display())))
}
