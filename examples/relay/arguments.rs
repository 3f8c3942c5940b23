//! The command line.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use hikyaku::Config;

use crate::{parts::Problem, queue, user};

/// A mail relay that is closed unless its configuration says otherwise.
#[derive(Parser)]
#[command(name = "relay", version)]
pub(crate) struct Arguments {
    /// The configuration; without it the relay listens on 127.0.0.1:2525 for example.test.
    #[arg(long, value_name = "FILE.toml", global = true)]
    config: Option<PathBuf>,
    /// Read the configuration, say what is wrong with it, and stop.
    #[arg(long)]
    check: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Who may log in.
    #[command(subcommand)]
    User(user::Command),
    /// What waits, and what to do with it; whether the relay runs or not. The exit status is 0 if
    /// something was done or found, 1 if nothing matches, 2 if it could not be done.
    #[command(subcommand)]
    Queue(queue::Command),
}

/// What was asked for.
pub(crate) enum Asked {
    /// A relay with this configuration.
    Relay(Config),
    /// Something that is done, and how it went.
    Done(ExitCode),
}

impl Arguments {
    /// Does what was asked for, if it is not to run a relay.
    pub(crate) async fn asked(self) -> Result<Asked, Problem> {
        let config = self.config.as_deref().map_or_else(|| Ok(Config::default()), Config::load);
        match (self.command, config) {
            (Some(Command::Queue(_)), Err(error)) => Ok(Asked::Done(queue::could_not(&error))),
            (_, Err(error)) => Err(error.into()),
            (_, Ok(config)) if self.check => {
                config.doubts().iter().for_each(|doubt| eprintln!("{doubt}"));
                println!("the configuration is good");
                Ok(Asked::Done(ExitCode::SUCCESS))
            }
            (Some(Command::User(command)), Ok(config)) => command.run(&config).map(|()| Asked::Done(ExitCode::SUCCESS)),
            (Some(Command::Queue(command)), Ok(config)) => Ok(Asked::Done(command.run(&config).await)),
            (None, Ok(config)) => Ok(Asked::Relay(config)),
        }
    }
}
