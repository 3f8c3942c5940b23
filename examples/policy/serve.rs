//! The server that Postfix asks.

mod conversation;
mod current;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use hikyaku::{Address, DelegateOptions, Listener, Stopper, policy};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use self::current::Engine;
use crate::report::Problem;

/// Connections at once; Postfix opens one for each of its smtpd processes, 100 by default.
const CONNECTIONS: usize = 512;

#[derive(Args)]
pub(crate) struct Serve {
    /// The policy; SIGHUP reads it again.
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// Where Postfix asks: `127.0.0.1:10040`, or `unix:/path`.
    #[arg(long, value_name = "ADDRESS")]
    listen: Address,
    /// On what kind of listener clients are, where neither `policy_context` nor the port says it.
    #[arg(long, value_name = "KIND", default_value = "mx")]
    listener: Kind,
    /// Say OK to what is permitted, so that Postfix relays it. Without it, what is permitted is
    /// DUNNO: what is configured behind the question decides, and the policy can only take away.
    #[arg(long)]
    grant: bool,
    /// Postfix asks at the end of the message too (smtpd_end_of_data_restrictions).
    #[arg(long)]
    end_of_data: bool,
    /// Seconds after which who comes again is known (greylisting).
    #[arg(long, value_name = "SECONDS", default_value = "300")]
    wait: u64,
    /// Days for which who was seen is remembered.
    #[arg(long, value_name = "DAYS", default_value = "36")]
    keep: u64,
    /// Keys, triplets and recipients that are remembered, at most: each.
    #[arg(long, value_name = "N", default_value = "100000")]
    entries: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Mx,
    Submission,
    Submissions,
    Lmtp,
}

impl Serve {
    pub(crate) fn run(self, json: bool) -> Result<(), Problem> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        runtime.map_err(|error| Problem(error.to_string()))?.block_on(self.serve(json))
    }

    async fn serve(self, json: bool) -> Result<(), Problem> {
        let mut options = DelegateOptions::default();
        options.listener = match self.listener {
            Kind::Mx => policy::Listener::Mx,
            Kind::Submission => policy::Listener::Submission,
            Kind::Submissions => policy::Listener::Submissions,
            Kind::Lmtp => policy::Listener::Lmtp,
        };
        (options.grants, options.end_of_data, options.entries) = (self.grant, self.end_of_data, self.entries);
        options.wait = Duration::from_secs(self.wait);
        options.keep = Duration::from_secs(self.keep.saturating_mul(86400));
        let engine = Arc::new(Engine::load(self.policy, options, json)?);
        let io = |error: std::io::Error| Problem(error.to_string());
        let mut terminate = signal(SignalKind::terminate()).map_err(io)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(io)?;
        let mut hangup = signal(SignalKind::hangup()).map_err(io)?;
        let listener = Listener::bind(&self.listen).await;
        let listener = listener.map_err(|error| Problem(format!("{}: {error}", self.listen)))?;
        engine.announce(listener.address());
        let (stopper, stop) = Stopper::new();
        let mut conversations = JoinSet::new();
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => engine.reload(),
                Some(_) = conversations.join_next() => {}
                accepted = listener.accept(), if conversations.len() < CONNECTIONS => match accepted {
                    Ok((stream, _)) => {
                        conversations.spawn(conversation::converse(stream, engine.clone(), stop.clone()));
                    }
                    // No file descriptor is left; one comes back when a conversation ends.
                    Err(error) => {
                        eprintln!("policy: {error}");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
        stopper.stop();
        while conversations.join_next().await.is_some() {}
        Ok(())
    }
}
