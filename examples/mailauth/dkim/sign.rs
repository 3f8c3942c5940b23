use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use hikyaku_dns::Name;
use hikyaku_mailauth::dkim::{Signer, Signing};
use hikyaku_mailauth::{Canonicalization, SigningKey};
use serde_json::json;

use crate::input::{Message, Time, read};
use crate::report::{Problem, Report};

#[derive(Args)]
pub(crate) struct Sign {
    /// A file with a private key in PEM form. Repeated, with a domain and a selector for each, the
    /// message gets several signatures.
    #[arg(long = "key", value_name = "PEM", required = true)]
    keys: Vec<PathBuf>,
    /// The signing domain of each key, or one for all.
    #[arg(long = "domain", value_name = "DOMAIN", required = true)]
    domains: Vec<String>,
    /// The selector of each key.
    #[arg(long = "selector", value_name = "SELECTOR", required = true)]
    selectors: Vec<String>,
    /// The canonical form of the header section.
    #[arg(long, value_name = "FORM", default_value = "relaxed")]
    header: Form,
    /// The canonical form of the body.
    #[arg(long, value_name = "FORM", default_value = "relaxed")]
    body: Form,
    #[command(flatten)]
    time: Time,
    #[command(flatten)]
    message: Message,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    Simple,
    Relaxed,
}

impl Sign {
    pub(crate) fn run(self) -> Result<Report, Problem> {
        let mut signing = Signing::new(self.signers()?);
        let message = self.message.read()?;
        signing.push(&message);
        let fields = signing.finish("", self.time.get()).map_err(|error| Problem(error.to_string()))?;
        let mut signed = fields.clone().into_bytes();
        signed.extend_from_slice(&message);
        Ok(Report::new(json!({ "fields": fields }), signed))
    }

    fn signers(&self) -> Result<Vec<Signer>, Problem> {
        let one_domain = self.domains.len() == 1;
        if self.selectors.len() != self.keys.len() || !one_domain && self.domains.len() != self.keys.len() {
            return Err(Problem("each --key needs a --selector and, unless there is but one, a --domain".to_owned()));
        }
        let mut signers = Vec::new();
        for (at, (file, selector)) in self.keys.iter().zip(&self.selectors).enumerate() {
            let domain = &self.domains[if one_domain { 0 } else { at }];
            signers.push(Signer {
                domain: name(domain)?,
                selector: name(selector)?,
                key: Arc::new(key(file)?),
                header: self.header.into(),
                body: self.body.into(),
            });
        }
        Ok(signers)
    }
}

/// Reads a private key; the error names the file and nothing of what is in it.
pub(super) fn key(file: &Path) -> Result<SigningKey, Problem> {
    let told = |error: &dyn std::fmt::Display| Problem(format!("{}: {error}", file.display()));
    let pem = String::from_utf8(read(file)?).map_err(|_| told(&"not a PEM file"))?;
    SigningKey::from_pem(&pem).map_err(|error| told(&error))
}

pub(super) fn name(text: &str) -> Result<Name, Problem> {
    Name::from_domain(text).map_err(|error| Problem(format!("{text}: {error}")))
}

impl From<Form> for Canonicalization {
    fn from(form: Form) -> Self {
        match form {
            Form::Simple => Self::Simple,
            Form::Relaxed => Self::Relaxed,
        }
    }
}
