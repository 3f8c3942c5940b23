//! What a request of Postfix says, as facts of a policy.

use std::net::IpAddr;

use hikyaku_message::results::Iprev;
use hikyaku_policy::{Certificate, Facts, Finding, Listener, Message, Stage};
use hikyaku_wire::{
    Code, Domain, EnhancedCode, ForwardPath, Hello, Host, LocalPart, Mailbox, Reply, ReversePath, Timestamp, Xtext,
};

use super::DelegationRequest;
use crate::SpkiPin;

impl DelegationRequest {
    /// The stage that it is asked at; `None` for what a policy is not asked about: ETRN.
    /// At DATA nothing is known that was not known at RCPT.
    pub fn stage(&self) -> Option<Stage> {
        Some(match self.text("protocol_state")? {
            "CONNECT" => Stage::Connect,
            "EHLO" | "HELO" => Stage::Hello,
            "MAIL" => Stage::Mail,
            "RCPT" | "VRFY" | "DATA" => Stage::Recipient,
            "END-OF-MESSAGE" => Stage::Message,
            _ => return None,
        })
    }

    /// What it says, for a policy to decide on.
    ///
    /// - The listener is the one that `policy_context` names, else that of `server_port` (25, 465,
    ///   587), else `listener`; and what the proof of a policy takes for granted holds here too: who
    ///   has authenticated came in on a listener for users, and `submissions` is encrypted.
    /// - `client_name` is a name that leads back. Postfix does not say why there is none: then it
    ///   could not be found out.
    /// - `ccert_pubkey_fingerprint` is the pin of a certificate where Postfix computes SHA-256
    ///   (`smtpd_tls_fingerprint_digest = sha256`); `ccert_subject` is there only where an authority
    ///   that Postfix trusts vouches for it.
    /// - `size` counts at the end of the message; before it is what the client has announced.
    ///   Fields `Received` are not counted by Postfix, and are none here.
    ///
    /// # Errors
    /// The sender or the recipient is no address: with this reply.
    pub fn facts(&self, listener: Listener, now: Timestamp) -> Result<Facts, Reply> {
        let client = self.text("client_address").and_then(|text| text.parse::<IpAddr>().ok());
        let mut facts = Facts::new(client, self.listener(listener));
        let time = now.civil();
        facts.minute = Finding::Is(u16::from(time.hour) * 60 + u16::from(time.minute));
        let known = |name| self.text(name).filter(|text| !text.eq_ignore_ascii_case("unknown"));
        let name = known("client_name").and_then(|name| name.parse::<Domain>().ok()).filter(|_| client.is_some());
        (facts.iprev, facts.name) = match name {
            Some(name) => (Finding::Is(Iprev::Pass), Finding::Is(Some(name))),
            None => (Finding::Unknown, Finding::Unknown),
        };
        facts.tls = self.text("encryption_protocol").is_some();
        facts.certificate = if facts.tls { self.certificate() } else { None };
        facts.user = self.text("sasl_username").map(str::to_owned);
        let stage = self.stage();
        if stage >= Some(Stage::Hello) {
            facts.hello = self.text("helo_name").and_then(|name| Hello::parse(name).ok()).map(Hello::into_owned);
        }
        if stage >= Some(Stage::Mail) {
            facts.sender = Some(self.sender()?);
        }
        if stage >= Some(Stage::Recipient) {
            facts.recipient = self.recipient()?;
        }
        if stage >= Some(Stage::Message) {
            facts.message = Some(Message::new(self.number("size")));
        }
        Ok(facts)
    }

    fn listener(&self, otherwise: Listener) -> Listener {
        let named = |name: &str| Listener::ALL.into_iter().find(|listener| listener.to_string() == name);
        let by_port = match self.text("server_port") {
            Some("25") => Some(Listener::Mx),
            Some("465") => Some(Listener::Submissions),
            Some("587") => Some(Listener::Submission),
            _ => None,
        };
        let listener = self.text("policy_context").and_then(named).or(by_port).unwrap_or(otherwise);
        let (is_encrypted, is_user) =
            (self.text("encryption_protocol").is_some(), self.text("sasl_username").is_some());
        match listener {
            Listener::Submissions if !is_encrypted => Listener::Submission,
            Listener::Mx | Listener::Lmtp if is_user => Listener::Submission,
            listener => listener,
        }
    }

    fn certificate(&self) -> Option<Certificate> {
        let pin = self.text("ccert_pubkey_fingerprint")?.parse::<SpkiPin>().ok()?;
        let is_trusted = self.text("ccert_issuer").is_some();
        let subject = self.text("ccert_subject").filter(|_| is_trusted).and_then(|text| Xtext::parse(text).ok());
        let name = subject.and_then(|subject| subject.decode().parse::<Domain>().ok());
        Some(Certificate { spki: pin.0, names: name.into_iter().collect() })
    }

    fn sender(&self) -> Result<ReversePath, Reply> {
        match self.attribute("sender") {
            None | Some(b"") => Ok(ReversePath::Null),
            Some(text) => mailbox(text).map(ReversePath::Mailbox).ok_or_else(|| {
                Reply::new(Code::MAILBOX_NAME_553, EnhancedCode::new(5, 1, 7), "the sender is no address")
            }),
        }
    }

    /// Where there are several recipients, Postfix names none at DATA and at the end.
    fn recipient(&self) -> Result<Option<ForwardPath>, Reply> {
        match self.attribute("recipient") {
            None | Some(b"") => Ok(None),
            Some(text) if text.eq_ignore_ascii_case(b"postmaster") => Ok(Some(ForwardPath::Postmaster)),
            Some(text) => mailbox(text).map(|mailbox| Some(ForwardPath::Mailbox(mailbox))).ok_or_else(|| {
                let text = "the recipient is no address with a domain";
                Reply::new(Code::MAILBOX_NAME_553, EnhancedCode::new(5, 1, 3), text)
            }),
        }
    }

    fn number(&self, name: &str) -> u64 {
        self.text(name).and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}

/// Postfix writes addresses without the quotes that they have in SMTP.
fn mailbox(text: &[u8]) -> Option<Mailbox> {
    let text = std::str::from_utf8(text).ok()?;
    if let Ok(mailbox) = text.parse() {
        return Some(mailbox);
    }
    let (local, host) = text.rsplit_once('@').filter(|(local, _)| !local.is_empty())?;
    Mailbox::new(LocalPart::from_content(local).ok()?, host.parse::<Host>().ok()?).ok()
}

/// Whether Postfix may take the mailbox for one of another domain (`allow_percent_hack`,
/// `swap_bangpath`): what a policy says of its domain says nothing then.
pub(super) fn is_routed(recipient: &ForwardPath) -> bool {
    recipient.mailbox().is_some_and(|mailbox| mailbox.local().content().contains(['%', '!', '@']))
}
