//! What follows from what was found out: the first check that is enforced and fails refuses.

use hikyaku_mailauth::{Authentication, ClientResults, dmarc, spf::Reason};
use hikyaku_message::results;
use hikyaku_wire::{Code, EnhancedCode, Reply};

use super::{Check, Refusal, Verification};

impl<R> Verification<R> {
    /// What is refused at RCPT.
    pub(crate) fn refuses_client(&self, client: &ClientResults) -> Option<Refusal> {
        self.spf(client).or_else(|| self.iprev(client))
    }

    /// What is refused at the end of the message.
    pub(crate) fn refuses(&self, found: &Authentication) -> Option<Refusal> {
        self.dmarc(found).or_else(|| self.dkim(found)).or_else(|| self.arc(found))
    }

    /// Whether the author's domain wants to see the message in quarantine.
    pub(crate) fn quarantines(&self, found: &Authentication) -> bool {
        let wanted = |dmarc: &dmarc::Outcome| dmarc.disposition == dmarc::Policy::Quarantine;
        self.config.dmarc == Check::Enforce && found.dmarc.as_ref().is_some_and(wanted)
    }

    fn spf(&self, client: &ClientResults) -> Option<Refusal> {
        let spf = client.mail_from.as_ref().filter(|_| self.config.spf == Check::Enforce)?;
        let domain = spf.domain.as_ref().map_or_else(|| "the sender".to_owned(), ToString::to_string);
        let reply = match spf.result {
            results::Spf::Fail => {
                let mut text = format!("SPF: this host may not send as {domain}");
                if let Some(explanation) = &spf.explanation {
                    // RFC 7208 §6.2: it is to be seen whose words these are.
                    text += &format!("; {domain} explains: {explanation}");
                }
                refused(23, text)
            }
            // Too many lookups for one message will be too many tomorrow.
            results::Spf::TempError if matches!(spf.reason, Some(Reason::Budget { .. })) => return None,
            results::Spf::TempError => later(24, format!("SPF of {domain} cannot be looked up now")),
            _ => return None,
        };
        Some(("spf", reply))
    }

    fn iprev(&self, client: &ClientResults) -> Option<Refusal> {
        let (address, name) = client.iprev.as_ref().filter(|_| self.config.iprev == Check::Enforce)?;
        let reply = match name.result {
            results::Iprev::Pass => return None,
            results::Iprev::TempError => later(25, format!("the name of {address} cannot be looked up now")),
            results::Iprev::Fail | results::Iprev::PermError => {
                refused(25, format!("{address} has no name that leads back to it"))
            }
        };
        Some(("iprev", reply))
    }

    fn dmarc(&self, found: &Authentication) -> Option<Refusal> {
        let dmarc = found.dmarc.as_ref().filter(|_| self.config.dmarc == Check::Enforce)?;
        let text = match &dmarc.author {
            Some(author) if dmarc.disposition == dmarc::Policy::Reject => {
                format!("the DMARC policy of {author} asks to refuse this message")
            }
            // Else whoever can make a lookup fail or wait could send as anybody.
            Some(author) if dmarc.result == results::Dmarc::TempError && dmarc.policy != Some(dmarc::Policy::None) => {
                return Some(("dmarc", later(1, format!("the DMARC policy of {author} cannot be evaluated now"))));
            }
            Some(_) => return None,
            None => {
                let reason = dmarc.reason.as_deref().unwrap_or("the From field does not name one author's domain");
                format!("nobody can be held to be the author: {reason}")
            }
        };
        Some(("dmarc", refused(1, text)))
    }

    fn dkim(&self, found: &Authentication) -> Option<Refusal> {
        let signatures = found.dkim.as_ref().filter(|_| self.config.dkim == Check::Enforce)?;
        let any = |result| signatures.iter().any(|signature| signature.result == result);
        let reply = if any(results::Dkim::Pass) {
            return None;
        } else if any(results::Dkim::TempError) {
            later(20, "the key of a signature cannot be looked up now".to_owned())
        } else {
            refused(20, "no good DKIM signature".to_owned())
        };
        Some(("dkim", reply))
    }

    fn arc(&self, found: &Authentication) -> Option<Refusal> {
        let arc = found.arc.as_ref().filter(|_| self.config.arc == Check::Enforce)?;
        let reply = match arc.result {
            results::Arc::Fail if arc.is_temporary() => {
                later(29, "the chain of ARC sets cannot be verified now".to_owned())
            }
            results::Arc::Fail => refused(29, "the chain of ARC sets is broken".to_owned()),
            results::Arc::None | results::Arc::Pass => return None,
        };
        Some(("arc", reply))
    }
}

/// 550 5.7.x (RFC 7372, RFC 8617 §10.4).
fn refused(detail: u16, text: String) -> Reply {
    Reply::new(Code::MAILBOX_UNAVAILABLE_550, EnhancedCode::new(5, 7, detail), text)
}

/// 451 4.7.x.
fn later(detail: u16, text: String) -> Reply {
    Reply::new(Code::LOCAL_ERROR_451, EnhancedCode::new(4, 7, detail), text)
}
