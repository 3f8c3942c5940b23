use clap::Subcommand;
use hikyaku_mailauth::arc::Outcome;
use hikyaku_mailauth::{ClientResults, Rules, Verifier};
use serde_json::{Value, json};

use crate::dns::{Source, lookups};
use crate::input::{Message, Time};
use crate::report::{Lines, Problem, Report};

#[derive(Subcommand)]
pub(crate) enum Arc {
    /// Is the chain of ARC sets whole?
    Verify {
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        time: Time,
        #[command(flatten)]
        message: Message,
    },
}

impl Arc {
    pub(crate) async fn run(self) -> Result<Report, Problem> {
        let Self::Verify { source, time, message } = self;
        let mut rules = Rules::none();
        rules.arc = true;
        let records = source.open()?;
        let mut verifier = Verifier::new(&rules);
        verifier.push(&message.read()?);
        let done = verifier.finish(&lookups(&records), ClientResults::default(), time.get()).await;
        let limit = done.over.map(|limit| limit.to_string());
        let chain = done.arc.ok_or_else(|| Problem(limit.unwrap_or_else(|| "no header section".to_owned())))?;
        let mut lines = Lines::default();
        told(&chain, &mut lines);
        Ok(Report::new(as_json(&chain), lines))
    }
}

pub(crate) fn told(chain: &Outcome, lines: &mut Lines) {
    lines.line("arc", chain.result);
    lines.more("reason", chain.reason.as_ref());
    for (at, sealer) in chain.sealers.iter().enumerate() {
        lines.more("sealed by", Some(format!("{sealer} (i={})", at + 1)));
    }
}

pub(crate) fn as_json(chain: &Outcome) -> Value {
    json!({
        "cv": chain.result.as_str(),
        "reason": chain.reason.as_ref().map(ToString::to_string),
        "sealers": chain.sealers.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
