//! Tells the sender what could not be delivered (RFC 3464).

use hikyaku_dns::Name;
use hikyaku_message::{Action, Report, ReportRecipient, Returned};
use hikyaku_queue::{
    Attempt, BodyReader, Claimed, Draft, Envelope, MsgId, NewRcpt, NewUnit, Queue, QueueError, Schedule, Sealed,
    SizeHint,
};
use hikyaku_wire::{Body, EnhancedCode, ForwardPath, Host, LocalPart, Mailbox, ReversePath, Timestamp};

use crate::{Routes, SigningKeys, id, random};

/// Octets of the original that are searched for its header section.
const HEADER_LIMIT: usize = 64 * 1024;

/// What every bounce of a relay has in common.
pub(crate) struct Bounce<'a> {
    pub(crate) hostname: &'a str,
    pub(crate) keys: &'a SigningKeys,
    pub(crate) routes: &'a Routes,
    pub(crate) schedule: &'a Schedule,
    pub(crate) now: Timestamp,
}

impl Bounce<'_> {
    /// Seals a message to the sender of `claimed` about the recipients that failed, to become
    /// visible with the settlement. `None` if nobody failed, or if the sender is `<>`: a bounce
    /// never causes another.
    pub(crate) async fn seal<Q: Queue>(
        &self,
        queue: &Q,
        claimed: &Claimed,
        body: Option<&Q::Body>,
        failed: Vec<(ForwardPath, Attempt)>,
    ) -> Result<Option<(Sealed, Mailbox)>, QueueError> {
        let Some(to) = claimed.envelope.sender.mailbox().filter(|_| !failed.is_empty()) else { return Ok(None) };
        let Some(from) = self.postmaster() else { return Ok(None) };
        let msg = MsgId::new(self.now, random());
        let report = Report {
            reporting_mta: self.hostname.to_owned(),
            received_from: None,
            arrival: claimed.envelope.received,
            now: self.now,
            envelope_id: None,
            from,
            to: to.clone(),
            id: msg.to_string(),
            boundary: id(),
            recipients: failed.into_iter().map(recipient).collect(),
            smtputf8: claimed.envelope.smtputf8,
            returned: Returned::Headers,
            original: header::<Q>(body).await,
        };
        let mut envelope = Envelope::new(ReversePath::Null, self.now);
        envelope.smtputf8 = report.needs_smtputf8();
        envelope.body = if report.needs_8bitmime() { Body::EightBitMime } else { Body::SevenBit };
        let mut text = Vec::new();
        report.write(&mut text);
        let author = Name::from_domain(self.hostname);
        let signatures = author.map(|author| self.keys.sign(&author, &text, self.now)).unwrap_or_default();
        let mut draft = queue.draft(msg, SizeHint(Some(text.len() as u64))).await?;
        draft.write(text.into()).await?;
        let path = ForwardPath::Mailbox(to.clone());
        let unit = NewUnit::new(self.routes.route(&path).key(), self.now, self.schedule.expires(self.now));
        let sealed = draft.seal(envelope, signatures.into(), vec![unit.with(NewRcpt::new(path))]).await?;
        Ok(Some((sealed, to.clone())))
    }

    fn postmaster(&self) -> Option<Mailbox> {
        let host = Host::Domain(self.hostname.parse().ok()?);
        Mailbox::new(LocalPart::from_content("postmaster").ok()?, host).ok()
    }
}

fn recipient((path, attempt): (ForwardPath, Attempt)) -> ReportRecipient {
    let status = match (attempt.reply.is_permanent(), attempt.reply.enhanced()) {
        (true, Some(enhanced)) => enhanced,
        (true, None) => EnhancedCode::new(5, 0, 0),
        // It was tried for too long: the last word was "later" (RFC 3463 §3.5, X.4.7).
        (false, _) => EnhancedCode::new(5, 4, 7),
    };
    ReportRecipient {
        diagnostic: Some(attempt.reply),
        remote_mta: attempt.host,
        last_attempt: Some(attempt.when),
        ..ReportRecipient::new(path, Action::Failed, status)
    }
}

/// The beginning of the original, which holds its header section; nothing where it cannot be
/// read, because the sender must be told all the same.
async fn header<Q: Queue>(body: Option<&Q::Body>) -> Vec<u8> {
    let Some(body) = body else { return Vec::new() };
    let mut header = body.prepend().to_vec();
    header.extend_from_slice(&body.read_at(0, HEADER_LIMIT).await.unwrap_or_default());
    header
}
