//! Reads, proves, explains, tests and compares relay policies, and lets Postfix ask one.

mod check;
mod described;
mod diff;
mod explain;
mod given;
mod golden;
mod plain;
mod prove;
mod report;
mod serve;
mod source;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Relay policies: who may send mail to whom, by which rule, and what is permitted in all.
///
/// The exit status is 2 where there is no answer, such as for a file that cannot be read.
#[derive(Parser)]
#[command(name = "policy", version)]
struct Arguments {
    /// Print one JSON object in place of a report.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// May the policy be used? Exit status 0: yes; 1: it is open, or a claim does not hold.
    Check(check::Check),
    /// Who can send where, and is it an open relay? Exit status 0: closed; 1: open.
    Prove(prove::Prove),
    /// What is decided of one recipient, by which rule, and what would change that.
    Explain(Box<explain::Explain>),
    /// Compares decisions with those that files expect. Exit status 0: all are as expected; 1: not.
    #[command(after_help = golden::help())]
    Test(golden::Golden),
    /// What does a new policy decide differently? Exit status 0: nothing; 1: see the table.
    Diff(diff::Diff),
    /// Answers Postfix: the server behind `check_policy_service`.
    Serve(serve::Serve),
}

fn main() -> ExitCode {
    let Arguments { json, command } = Arguments::parse();
    let report = match command {
        Command::Check(check) => check.run(),
        Command::Prove(prove) => prove.run(),
        Command::Explain(explain) => explain.run(),
        Command::Test(golden) => golden.run(),
        Command::Diff(diff) => diff.run(),
        Command::Serve(serve) => {
            return serve.run(json).map_or_else(|problem| problem.print(json), |()| ExitCode::SUCCESS);
        }
    };
    match report {
        Ok(report) => report.print(json),
        Err(problem) => problem.print(json),
    }
}
