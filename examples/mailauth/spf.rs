use clap::{Args, ValueEnum};
use hikyaku_mailauth::spf::{Identity, Outcome, Question, check};
use hikyaku_mailauth::{Authentication, Client};
use serde_json::{Value, json};

use crate::dns::{Source, lookups, made};
use crate::input::{Envelope, Time};
use crate::report::{Lines, Problem, Report};

#[derive(Args)]
pub(crate) struct Spf {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    envelope: Envelope,
    #[command(flatten)]
    time: Time,
    /// Which name is checked.
    #[arg(long, value_name = "WHICH", default_value = "mail-from")]
    identity: Claim,
}

#[derive(Clone, Copy, ValueEnum)]
enum Claim {
    MailFrom,
    Helo,
}

impl Spf {
    pub(crate) async fn run(self) -> Result<Report, Problem> {
        let records = self.source.open()?;
        let lookups = lookups(&records);
        let Client { address, hello, sender, receiver } = self.envelope.client();
        let question = Question { client: address, hello, sender, receiver, now: self.time.get() };
        let identity = match self.identity {
            Claim::MailFrom => Identity::MailFrom,
            Claim::Helo => Identity::Helo,
        };
        let outcome = check(&lookups, &question, identity).await;
        let mut lines = Lines::default();
        told_one(&outcome, &mut lines);
        let made = made(&lookups);
        for lookup in &made {
            lines.more("asked for", Some(lookup));
        }
        let mut json = as_json(&outcome);
        json["lookups"] = made.into();
        Ok(Report::new(json, lines))
    }
}

fn told_one(outcome: &Outcome, lines: &mut Lines) {
    let what = if outcome.identity == Identity::Helo { "spf of HELO" } else { "spf of MAIL FROM" };
    lines.line(what, outcome.result);
    lines.more("domain", outcome.domain.as_ref());
    lines.more("the domain says", outcome.explanation.as_ref());
}

pub(crate) fn told(done: &Authentication, lines: &mut Lines) {
    for outcome in [&done.client.mail_from, &done.client.helo].into_iter().flatten() {
        told_one(outcome, lines);
    }
}

pub(crate) fn as_json(outcome: &Outcome) -> Value {
    json!({
        "result": outcome.result.as_str(),
        "identity": if outcome.identity == Identity::Helo { "helo" } else { "mailfrom" },
        "domain": outcome.domain.as_ref().map(ToString::to_string),
        "explanation": outcome.explanation,
    })
}
