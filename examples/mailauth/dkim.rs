mod keygen;
mod sign;

use clap::{Args, Subcommand};
use hikyaku::wire::Timestamp;
use hikyaku_mailauth::dkim::{Partial, Rules, Verified};
use hikyaku_mailauth::{Authentication, ClientResults, Verifier};
use serde_json::{Value, json};

use crate::dns::{Source, lookups};
use crate::input::{Message, Time};
use crate::report::{Lines, Problem, Report};

#[derive(Subcommand)]
pub(crate) enum Dkim {
    /// Are the signatures good?
    Verify(Verify),
    /// Prints the message with signatures in front of it.
    Sign(sign::Sign),
    /// Makes a key, and prints it with the record to publish.
    Keygen(keygen::Keygen),
}

#[derive(Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    time: Time,
    /// Let rsa-sha1 pass, which RFC 8301 forbids.
    #[arg(long)]
    allow_legacy: bool,
    #[command(flatten)]
    message: Message,
}

impl Dkim {
    pub(crate) async fn run(self) -> Result<Report, Problem> {
        match self {
            Self::Verify(verify) => verify.run().await,
            Self::Sign(sign) => sign.run(),
            Self::Keygen(keygen) => keygen.run(),
        }
    }
}

impl Verify {
    async fn run(self) -> Result<Report, Problem> {
        let mut all = hikyaku_mailauth::Rules::none();
        let mut rules = rules(self.allow_legacy);
        // What the standard alone says; how much of the body is covered is told beside it.
        rules.partial = Partial::Pass;
        all.dkim = Some(rules);
        let records = self.source.open()?;
        let mut verifier = Verifier::new(&all);
        verifier.push(&self.message.read()?);
        let done = verifier.finish(&lookups(&records), ClientResults::default(), self.time.get()).await;
        let mut lines = Lines::default();
        told(&done, &mut lines);
        let signatures: Vec<_> = done.dkim.iter().flatten().map(as_json).collect();
        let reason = done.over.map(|limit| limit.to_string());
        Ok(Report::new(json!({ "result": overall(&done), "signatures": signatures, "reason": reason }), lines))
    }
}

pub(crate) fn rules(allow_legacy: bool) -> Rules {
    let mut rules = Rules::default();
    rules.allow_legacy = allow_legacy;
    rules
}

/// Pass if one signature is good, else what the first came to.
pub(crate) fn overall(done: &Authentication) -> &'static str {
    if done.over.is_some() {
        return "neutral";
    }
    let words = || done.dkim.iter().flatten().map(|one| one.result.as_str());
    words().find(|word| *word == "pass").or_else(|| words().next()).unwrap_or("none")
}

pub(crate) fn told(done: &Authentication, lines: &mut Lines) {
    if let Some(limit) = done.over {
        lines.line("dkim", limit);
    }
    if done.dkim.as_ref().is_some_and(Vec::is_empty) {
        lines.line("dkim", "none");
    }
    for one in done.dkim.iter().flatten() {
        lines.line("dkim", one.result);
        lines.more("domain", one.domain.as_ref());
        lines.more("selector", one.selector.as_ref());
        lines.more("for", one.identity.as_ref());
        let bits = one.key_bits.map(|bits| format!(", {bits} bit")).unwrap_or_default();
        lines.more("algorithm", one.algorithm.map(|algorithm| format!("{}{bits}", algorithm.as_str())));
        lines.more("reason", one.reason.as_ref());
        if let (Some(covered), Some(body)) = (one.covered, one.body)
            && one.is_partial()
        {
            lines.more("covers", Some(format!("{covered} of {body} octets of the body")));
        }
        lines.more("the domain tests", one.testing.then_some("a failure is not to count (t=y)"));
    }
}

pub(crate) fn as_json(one: &Verified) -> Value {
    let seconds = |time: Option<Timestamp>| time.map(|time| time.as_millis().div_euclid(1000));
    json!({
        "result": one.result.as_str(),
        "domain": one.domain.as_ref().map(ToString::to_string),
        "selector": one.selector,
        "reason": one.reason.as_ref().map(ToString::to_string),
        "identity": one.identity,
        "algorithm": one.algorithm.map(|algorithm| algorithm.as_str()),
        "key_bits": one.key_bits,
        "b": one.signature,
        "signed_at": seconds(one.timestamp),
        "expires_at": seconds(one.expiration),
        "covers_all": !one.is_partial(),
        "testing": one.testing,
    })
}
