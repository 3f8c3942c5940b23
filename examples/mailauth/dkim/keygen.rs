use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use hikyaku_dns::{Data, Name, Txt, Zone};
use hikyaku_mailauth::SigningKey;
use serde_json::json;

use super::sign::{key, name};
use crate::report::{Lines, Problem, Report};

#[derive(Args)]
pub(crate) struct Keygen {
    /// The selector under which the key is to be published.
    #[arg(long, value_name = "SELECTOR", default_value = "mail")]
    selector: String,
    /// The domain that signs.
    #[arg(long, value_name = "DOMAIN", default_value = "example.org")]
    domain: String,
    /// Write the private key to this file, which must not exist, readable for its owner only.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "rsa"])]
    out: Option<PathBuf>,
    /// Make no key, but print the record of this one, which may be RSA too.
    #[arg(long, value_name = "PEM")]
    key: Option<PathBuf>,
    /// Say how to make an RSA key, which openssl does.
    #[arg(long, conflicts_with = "key")]
    rsa: bool,
}

impl Keygen {
    pub(crate) fn run(self) -> Result<Report, Problem> {
        let at = name(&format!("{}._domainkey.{}", self.selector, self.domain))?;
        if self.rsa {
            return Ok(self.openssl());
        }
        let (key, pem) = match &self.key {
            Some(file) => (key(file)?, None),
            None => {
                let mut random = [0; 32];
                getrandom::fill(&mut random).map_err(|error| Problem(format!("no random octets: {error}")))?;
                let (key, pem) = SigningKey::ed25519(&random).map_err(|error| Problem(error.to_string()))?;
                (key, Some(pem))
            }
        };
        let record = key.record();
        let published = master_file(&at, &record);
        let mut lines = Lines::default();
        let mut json = json!({
            "algorithm": key.algorithm(),
            "name": at.to_string(),
            "record": record,
            "master_file": published,
        });
        match (pem, &self.out) {
            (Some(pem), Some(file)) => {
                write_new(file, &pem)?;
                lines.line("private key", file.display());
                lines.text("\n");
                json["private_key_file"] = file.display().to_string().into();
            }
            (Some(pem), None) => {
                lines.text(&pem);
                lines.text("\n");
                json["private_key"] = pem.into();
            }
            (None, _) => {}
        }
        lines.text(&published);
        Ok(Report::new(json, lines))
    }

    fn openssl(&self) -> Report {
        let Self { selector, domain, .. } = self;
        let commands = [
            format!("(umask 077 && openssl genrsa -out {selector}.pem 2048)"),
            format!("mailauth dkim keygen --key {selector}.pem --selector {selector} --domain {domain}"),
        ];
        let text = format!("{}\n", commands.join("\n"));
        Report::new(json!({ "algorithm": "rsa-sha256", "commands": commands }), text)
    }
}

/// The record as a line of a master file, its text in strings that fit.
fn master_file(at: &Name, record: &str) -> String {
    let mut zone = Zone::default();
    zone.add(at.clone(), 3600, Data::Txt(Txt::from(record)));
    zone.to_string()
}

/// Writes what nobody else may read, and never over anything.
fn write_new(file: &Path, pem: &str) -> Result<(), Problem> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let done = opened.and_then(|mut opened| opened.write_all(pem.as_bytes()).and_then(|()| opened.sync_all()));
    done.map_err(|error| Problem(format!("{}: {error}", file.display())))
}
