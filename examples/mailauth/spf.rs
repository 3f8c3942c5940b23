use clap::{Args, ValueEnum};
use hikyaku_mailauth::spf::{Event, Identity, Outcome, Question, Trace, Verdict, explain};
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
        let trace = explain(&lookups, &question, identity).await;
        let mut lines = Lines::default();
        let whose = trace.outcome.domain.as_ref().map(|domain| format!(" for {domain}")).unwrap_or_default();
        lines.line("spf", format!("{}{whose}, client {address}", trace.outcome.result));
        lines.text(&format!("\n{trace}\n"));
        let mut json = as_json(&trace.outcome);
        json["mechanism"] = matched(&trace).into();
        json["terms"] = trace.terms.into();
        json["void_lookups"] = trace.void_lookups.into();
        json["trace"] = trace.steps.iter().map(ToString::to_string).collect();
        json["lookups"] = made(&lookups).into();
        Ok(Report::new(json, lines))
    }
}

/// The term of the outermost record that gave the result, if one did.
fn matched(trace: &Trace) -> Option<String> {
    trace.steps.iter().rev().find_map(|step| match &step.event {
        Event::Directive { directive, verdict: Verdict::Matched, .. } if step.depth == 0 => Some(directive.to_string()),
        _ => None,
    })
}

fn told_one(outcome: &Outcome, lines: &mut Lines) {
    let what = if outcome.identity == Identity::Helo { "spf of HELO" } else { "spf of MAIL FROM" };
    lines.line(what, outcome.result);
    lines.more("domain", outcome.domain.as_ref());
    lines.more("reason", outcome.reason.as_ref());
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
        "reason": outcome.reason.as_ref().map(ToString::to_string),
    })
}
