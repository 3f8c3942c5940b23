//! Checks a message, or an address, against what its domains publish in the DNS, or are about to:
//! with `--zone` the records come from a file.

mod address;
mod arc;
mod authres;
mod check;
mod dkim;
mod dmarc;
mod dns;
mod input;
mod notes;
mod report;
mod spf;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use report::{Problem, Report};

/// Checks mail against what its domains publish in the DNS, or are about to publish.
///
/// The exit status is 0 where something was evaluated, whatever the result is, and 2 where it could
/// not be.
#[derive(Parser)]
#[command(name = "mailauth", version)]
struct Arguments {
    /// Print one JSON object in place of a report.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// May a client use a name (SPF, RFC 7208)?
    Spf(spf::Spf),
    /// Signatures (DKIM, RFC 6376).
    #[command(subcommand)]
    Dkim(dkim::Dkim),
    /// What hosts on the way have found (ARC, RFC 8617).
    #[command(subcommand)]
    Arc(arc::Arc),
    /// What the author's domain asks for (DMARC, RFC 9989).
    Dmarc(dmarc::Dmarc),
    /// All of these, and the Authentication-Results field that says so (RFC 8601).
    Check(check::Check),
    /// Is it an address of SMTP (RFC 5321 §4.1.2)?
    Address(address::Address),
    /// Reads an Authentication-Results field on standard input (RFC 8601).
    Authres,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Arguments { json, command } = Arguments::parse();
    match run(command).await {
        Ok(report) => report.print(json),
        Err(problem) => problem.print(json),
    }
}

async fn run(command: Command) -> Result<Report, Problem> {
    match command {
        Command::Spf(spf) => spf.run().await,
        Command::Dkim(dkim) => dkim.run().await,
        Command::Arc(arc) => arc.run().await,
        Command::Dmarc(dmarc) => dmarc.run().await,
        Command::Check(check) => check.run().await,
        Command::Address(address) => Ok(address.run()),
        Command::Authres => authres::run(),
    }
}
