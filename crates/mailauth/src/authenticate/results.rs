use hikyaku_message::results::{self, AuthenticationResults, ResultInfo, Value};

use super::Authentication;
use crate::{arc, dkim, dmarc, spf};

/// How many signatures the field tells of.
const SIGNATURES: usize = 16;
const KEYWORD: &str = "the words of RFC 8601 are keywords";

impl Authentication {
    /// The field that says all of it (RFC 8601): one result for each check and each signature, of
    /// which it tells the first 16.
    ///
    /// What the peer has said is quoted or, where it cannot be said, replaced: read again, the
    /// field holds these results and no other. Without an identifier it is that of `localhost`.
    #[must_use]
    pub fn results(&self, authserv_id: Value) -> AuthenticationResults {
        let field = AuthenticationResults::new(authserv_id);
        let mut field = field.or_else(|_| AuthenticationResults::new(Value::lossy("localhost"))).expect("not empty");
        for info in self.infos() {
            field = field.with(info);
        }
        field
    }

    fn infos(&self) -> Vec<ResultInfo> {
        let mut infos = Vec::new();
        let client = &self.client;
        if let Some((address, reverse)) = &client.iprev {
            infos.push(with(reverse.result, "policy", "iprev", address));
        }
        infos.extend(client.helo.as_ref().map(|helo| of_spf(helo, "helo", client.hello.as_ref())));
        infos.extend(client.mail_from.as_ref().map(|from| of_spf(from, "mailfrom", client.sender.as_ref())));
        if let Some(signatures) = &self.dkim {
            self.signatures(signatures, &mut infos);
        }
        if let Some(chain) = &self.arc {
            infos.push(self.chain(chain));
        }
        infos.extend(self.dmarc.as_ref().map(of_dmarc));
        infos
    }

    fn signatures(&self, signatures: &[dkim::Verified], infos: &mut Vec<ResultInfo>) {
        match self.over {
            Some(_) => infos.push(because(results::Dkim::Neutral.into(), self.over.as_ref())),
            None if signatures.is_empty() => infos.push(results::Dkim::None.into()),
            None => {}
        }
        infos.extend(signatures.iter().take(SIGNATURES).map(of_dkim));
        if let Some(more) = signatures.len().checked_sub(SIGNATURES).filter(|more| *more > 0) {
            let reason = Value::lossy(&format!("{more} more signatures"));
            infos.push(ResultInfo::from(results::Dkim::Policy).because(reason));
        }
    }

    /// RFC 8617 §10.2.
    fn chain(&self, chain: &arc::Outcome) -> ResultInfo {
        let info = because(because(chain.result.into(), chain.reason.as_ref()), self.over.as_ref());
        match self.client.address {
            Some(address) if chain.result != results::Arc::None => add(info, "smtp", "remote-ip", &address),
            _ => info,
        }
    }
}

/// RFC 8601 §2.7.2.
fn of_spf(outcome: &spf::Outcome, property: &str, said: Option<&Value>) -> ResultInfo {
    let info = because(outcome.result.into(), outcome.reason.as_ref());
    match said {
        Some(said) => info.with("smtp", property, said.clone()).expect(KEYWORD),
        None => info,
    }
}

/// RFC 8601 §2.7.1, RFC 6008.
fn of_dkim(one: &dkim::Verified) -> ResultInfo {
    let mut info = because(one.result.into(), one.reason.as_ref());
    for (property, value) in [
        ("d", one.domain.as_ref().map(ToString::to_string)),
        ("i", one.identity.clone()),
        ("s", one.selector.clone()),
        ("a", one.algorithm.map(|algorithm| algorithm.as_str().to_owned())),
        ("b", one.signature.clone()),
    ] {
        if let Some(value) = value {
            info = add(info, "header", property, &value);
        }
    }
    info
}

/// The policy is the one that applies, whatever is done in the end; where that differs, the reason
/// says so.
fn of_dmarc(outcome: &dmarc::Outcome) -> ResultInfo {
    let excuse = outcome.overrides.first().map(|excuse| match &excuse.comment {
        Some(comment) => format!("{}: {comment}", excuse.reason),
        None => excuse.reason.to_string(),
    });
    let mut info = because(outcome.result.into(), outcome.reason.as_ref().or(excuse.as_ref()));
    if let Some(author) = &outcome.author {
        info = add(info, "header", "from", author);
    }
    if let Some(policy) = outcome.policy {
        info = add(info, "policy", "dmarc", &policy);
    }
    if let Some(found_at) = outcome.found_at.as_ref().filter(|at| Some(*at) != outcome.author.as_ref()) {
        info = add(info, "polrec", "domain", found_at);
    }
    info
}

fn with(info: impl Into<ResultInfo>, ptype: &str, property: &str, value: &impl ToString) -> ResultInfo {
    add(info.into(), ptype, property, value)
}

fn add(info: ResultInfo, ptype: &str, property: &str, value: &impl ToString) -> ResultInfo {
    info.with(ptype, property, Value::lossy(&value.to_string())).expect(KEYWORD)
}

fn because(info: ResultInfo, reason: Option<&impl ToString>) -> ResultInfo {
    match reason {
        Some(reason) => info.because(Value::lossy(&reason.to_string())),
        None => info,
    }
}
