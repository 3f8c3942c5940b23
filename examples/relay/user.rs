//! `relay user`: who may log in.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    path::Path,
};

use clap::Subcommand;
use hikyaku::{Accounts, Config, SenderPattern, session::sasl::Password};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::parts::Problem;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Add a user to the file that `[auth] users` names; the password is asked for, or is the
    /// first line of standard input if that is no terminal.
    Add {
        /// Who logs in: a name, or an address.
        name: String,
        /// Addresses that the user may send as: `alice@example.org`, `*@example.org`, or `*`.
        /// Without any, the name at each local domain.
        #[arg(long, value_name = "ADDRESS")]
        sender: Vec<SenderPattern>,
    },
}

impl Command {
    pub(crate) fn run(self, config: &Config) -> Result<(), Problem> {
        let Self::Add { name, sender } = self;
        let file = config.auth.as_ref().and_then(|auth| auth.users.as_deref()).ok_or(Problem::NoUsers)?;
        let password = password(&name).map_err(|source| Problem::Password { source })?;
        Accounts::add(file, &name, &password, &sender)?;
        println!("{name} is in {}; a relay that runs reads it again on SIGHUP", show(file));
        Ok(())
    }
}

fn show(file: &Path) -> String {
    file.display().to_string()
}

/// Asks twice, without showing what is typed.
fn password(name: &str) -> io::Result<Password> {
    if !io::stdin().is_terminal() {
        return line();
    }
    let quiet = Quiet::start()?;
    let first = ask(&format!("password for {name}: "))?;
    let second = ask("the same again: ")?;
    drop(quiet);
    if first == second { Ok(first) } else { Err(io::Error::other("these are two passwords")) }
}

fn ask(question: &str) -> io::Result<Password> {
    let mut terminal = io::stderr();
    terminal.write_all(question.as_bytes())?;
    terminal.flush()?;
    let password = line();
    // The line end that was typed has not been shown either.
    terminal.write_all(b"\n")?;
    password
}

fn line() -> io::Result<Password> {
    let mut line = String::new();
    // The text goes into the password as it is, so that no second copy of it stays.
    if io::stdin().lock().read_line(&mut line)? == 0 || line.contains('\x03') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    while line.ends_with(['\n', '\r']) {
        line.pop();
    }
    Ok(Password::new(line))
}

/// A terminal that does not show what is typed, until this is dropped.
struct Quiet(Termios);

impl Quiet {
    fn start() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        // Ctrl-C is read as an octet, so that it does not end the program before the echo is back.
        quiet.local_modes -= LocalModes::ECHO | LocalModes::ISIG;
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}
