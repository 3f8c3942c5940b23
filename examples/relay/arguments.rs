//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use hikyaku::Config;

use crate::{parts::Problem, user};

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
}

impl Arguments {
    /// Does what was asked for; what a relay is then to run with, if that was it.
    pub(crate) fn config(self) -> Result<Option<Config>, Problem> {
        let config = self.config.as_deref().map_or_else(|| Ok(Config::default()), Config::load)?;
        match self.command {
            _ if self.check => {
                config.doubts().iter().for_each(|doubt| eprintln!("{doubt}"));
                println!("the configuration is good");
                Ok(None)
            }
            Some(Command::User(command)) => command.run(&config).map(|()| None),
            None => Ok(Some(config)),
        }
    }
}
