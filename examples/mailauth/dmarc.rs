use clap::Args;
use hikyaku_mailauth::dmarc::Outcome;
use hikyaku_mailauth::{Authentication, ClientResults, Rules, Verifier};
use serde_json::{Value, json};

use crate::dns::{Source, lookups, made};
use crate::input::{Envelope, Message, Time};
use crate::report::{Lines, Problem, Report};
use crate::{dkim, spf};

#[derive(Args)]
pub(crate) struct Dmarc {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    envelope: Envelope,
    #[command(flatten)]
    time: Time,
    /// Let rsa-sha1 pass, which RFC 8301 forbids.
    #[arg(long)]
    allow_legacy: bool,
    #[command(flatten)]
    message: Message,
}

impl Dmarc {
    pub(crate) async fn run(self) -> Result<Report, Problem> {
        let mut rules = Rules::default();
        rules.iprev = false;
        rules.arc = false;
        rules.dkim = Some(dkim::rules(self.allow_legacy));
        let records = self.source.open()?;
        let lookups = lookups(&records);
        let message = self.message.read()?;
        let now = self.time.get();
        let client = ClientResults::check(&rules, &lookups, &self.envelope.client(), now).await;
        let mut verifier = Verifier::new(&rules);
        verifier.push(&message);
        let done = verifier.finish(&lookups, client, now).await;
        let dmarc = outcome(&done)?;
        let mut lines = Lines::default();
        told(dmarc, &mut lines);
        spf::told(&done, &mut lines);
        dkim::told(&done, &mut lines);
        let mut json = as_json(dmarc);
        json["spf"] = done.client.mail_from.as_ref().map(spf::as_json).into();
        json["dkim"] = done.dkim.iter().flatten().map(dkim::as_json).collect();
        json["lookups"] = made(&lookups).into();
        Ok(Report::new(json, lines))
    }
}

/// It is always asked for.
pub(crate) fn outcome(done: &Authentication) -> Result<&Outcome, Problem> {
    done.dmarc.as_ref().ok_or_else(|| Problem("the message could not be read".to_owned()))
}

pub(crate) fn told(dmarc: &Outcome, lines: &mut Lines) {
    lines.line("dmarc", dmarc.result);
    lines.more("author's domain", dmarc.author.as_ref());
    lines.more("reason", dmarc.reason.as_ref());
    lines.more("record found at", dmarc.found_at.as_ref().map(|at| format!("_dmarc.{at}")));
    lines.more("policy that applies", dmarc.policy);
    let yes = |aligned| if aligned { "aligned" } else { "no" };
    lines.more("SPF passes and aligns", Some(yes(dmarc.spf_aligned)));
    lines.more("a signature passes and aligns", Some(yes(dmarc.dkim_aligned)));
    for excuse in &dmarc.overrides {
        let comment = excuse.comment.as_ref().map(|comment| format!(", {comment}")).unwrap_or_default();
        lines.more("not as the domain asks", Some(format!("{}{comment}", excuse.reason)));
    }
    lines.more("to be done", Some(dmarc.disposition));
}

pub(crate) fn as_json(dmarc: &Outcome) -> Value {
    json!({
        "result": dmarc.result.as_str(),
        "policy": dmarc.policy.map(|policy| policy.as_str()),
        "disposition": dmarc.disposition.as_str(),
        "author": dmarc.author.as_ref().map(ToString::to_string),
        "found_at": dmarc.found_at.as_ref().map(ToString::to_string),
        "spf_aligned": dmarc.spf_aligned,
        "dkim_aligned": dmarc.dkim_aligned,
        "overrides": dmarc.overrides.iter().map(|one| json!({
            "reason": one.reason.as_str(),
            "comment": one.comment,
        })).collect::<Vec<_>>(),
        "reason": dmarc.reason,
    })
}
