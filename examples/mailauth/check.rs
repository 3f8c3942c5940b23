use clap::Args;
use hikyaku::message::results::Value as Text;
use hikyaku_dns::Name;
use hikyaku_mailauth::{ClientResults, Rules, Verifier};
use serde_json::json;

use crate::dns::{Source, lookups, made};
use crate::input::{Envelope, Message, Time};
use crate::report::{Lines, Problem, Report};
use crate::{arc, dkim, dmarc, spf};

#[derive(Args)]
pub(crate) struct Check {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    envelope: Envelope,
    #[command(flatten)]
    time: Time,
    /// Let rsa-sha1 pass, which RFC 8301 forbids.
    #[arg(long)]
    allow_legacy: bool,
    /// A domain whose ARC seals are believed; may be repeated.
    #[arg(long = "trusted-sealer", value_name = "DOMAIN")]
    trusted_sealers: Vec<Name>,
    #[command(flatten)]
    message: Message,
}

impl Check {
    pub(crate) async fn run(self) -> Result<Report, Problem> {
        let mut rules = Rules::default();
        rules.dkim = Some(dkim::rules(self.allow_legacy));
        rules.trusted_sealers = self.trusted_sealers;
        let records = self.source.open()?;
        let lookups = lookups(&records);
        let message = self.message.read()?;
        let now = self.time.get();
        let client = ClientResults::check(&rules, &lookups, &self.envelope.client(), now).await;
        let mut verifier = Verifier::new(&rules);
        verifier.push(&message);
        let done = verifier.finish(&lookups, client, now).await;
        let field = done.results(Text::lossy(&self.envelope.receiver)).field();
        let mut lines = Lines::default();
        if let Some((address, reverse)) = &done.client.iprev {
            lines.line("iprev", reverse.result);
            lines.more("address", Some(address));
            lines.more("name", reverse.name.as_ref());
        }
        spf::told(&done, &mut lines);
        dkim::told(&done, &mut lines);
        if let Some(chain) = &done.arc {
            arc::told(chain, &mut lines);
        }
        dmarc::told(dmarc::outcome(&done)?, &mut lines);
        lines.line("lookups", lookups.asked());
        lines.text("\n");
        lines.text(&field);
        let json = json!({
            "iprev": done.client.iprev.as_ref().map(|(address, reverse)| json!({
                "result": reverse.result.as_str(),
                "address": address.to_string(),
                "name": reverse.name.as_ref().map(ToString::to_string),
            })),
            "helo": done.client.helo.as_ref().map(spf::as_json),
            "spf": done.client.mail_from.as_ref().map(spf::as_json),
            "dkim": { "result": dkim::overall(&done), "signatures":
                done.dkim.iter().flatten().map(dkim::as_json).collect::<Vec<_>>() },
            "arc": done.arc.as_ref().map(arc::as_json),
            "dmarc": done.dmarc.as_ref().map(dmarc::as_json),
            "lookups": made(&lookups),
            "field": field,
        });
        Ok(Report::new(json, lines))
    }
}
