//! A message is signed while it streams in (RFC 6376 §5).

use std::sync::Arc;

use hikyaku_dns::Name;
use hikyaku_mailauth::dkim::{SignError, Signing};
use hikyaku_message::{AddressList, Header, HeaderLimits};
use hikyaku_wire::{Reply, Timestamp};

use crate::signing::Keys;

/// The signatures of one message.
#[derive(Debug)]
pub(super) enum Signature {
    /// Who the author is, and so which keys sign, is not known before the header section is over.
    Author { keys: Arc<Keys>, limits: HeaderLimits, section: Vec<u8> },
    /// It is being signed.
    Signing(Box<Signing>),
    /// There is no key for its author.
    Nobody,
}

impl Signature {
    pub(super) fn new(keys: Arc<Keys>, limits: HeaderLimits) -> Self {
        Self::Author { keys, limits, section: Vec::new() }
    }

    /// Takes the next piece. What comes before [`begin`](Self::begin) is kept.
    pub(super) fn push(&mut self, piece: &[u8]) {
        match self {
            Self::Author { section, .. } => section.extend_from_slice(piece),
            Self::Signing(signing) => signing.push(piece),
            Self::Nobody => {}
        }
    }

    /// The message is over: the fields that go in front of it and of what stands before it.
    ///
    /// # Errors
    /// The keys do not sign, and the client is to come again; or nobody should sign such a header
    /// section (554 5.6.0).
    pub(super) fn finish(mut self, before: &str, now: Timestamp) -> Result<String, Reply> {
        self.begin();
        match self {
            Self::Signing(signing) => signing.finish(before, now).map_err(|error| {
                let reply = match error {
                    SignError::Malformed | SignError::NoFrom | SignError::SeveralFrom => Reply::BAD_CONTENT_554,
                    _ => Reply::LOCAL_ERROR_451,
                };
                reply.append(&format!(": the message cannot be signed: {error}"))
            }),
            Self::Author { .. } | Self::Nobody => Ok(String::new()),
        }
    }

    /// The header section is over, as large as the intake lets it be.
    pub(super) fn begin(&mut self) {
        let Self::Author { keys, limits, section } = self else { return };
        let signers = author(section, *limits).map(|author| keys.signers(&author)).unwrap_or_default();
        *self = if signers.is_empty() {
            Self::Nobody
        } else {
            let mut signing = Signing::with_limits(signers, *limits);
            signing.push(section);
            Self::Signing(Box::new(signing))
        };
    }
}

/// The domain of the author; of the first, if there are several.
fn author(section: &[u8], limits: HeaderLimits) -> Option<Name> {
    let from = Header::parse(section, limits).ok()?.only("From")?;
    let authors = AddressList::parse(from.raw_value()).ok()?;
    let mailbox = authors.mailboxes().next()?.address().mailbox().ok()?;
    Name::from_domain(&mailbox.host().to_string()).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bytes::Bytes;
    use hikyaku_dns::Zone;
    use hikyaku_mailauth::{Authentication, Budget, ClientResults, Records, Rules, Verifier, dkim};
    use hikyaku_message::{Received, results};
    use hikyaku_queue::{BodyReader, Envelope, Memory, NewRcpt, NewUnit, Queue, QueueKey};

    use super::*;
    use crate::{
        Intake, SigningKeys, Submission,
        signing::testing::{Folder, record},
    };

    /// What the queue holds of a message that was submitted: in front, and its own text.
    async fn submit(keys: &SigningKeys, message: &[u8], step: usize) -> Result<(String, Vec<u8>), Reply> {
        let queue = Memory::new();
        let mut intake = Intake::open(&queue, None, HeaderLimits::default(), "mx.hik.test").await?;
        intake.submitted(Submission { hostname: "mx.hik.test".to_owned(), owns: None });
        intake.signed(keys);
        for piece in message.chunks(step) {
            intake.push(Bytes::copy_from_slice(piece)).await?;
        }
        let (id, time) = (intake.id(), Timestamp::from_millis(1_795_499_520_000));
        let trace = Received { helo: "c", peer: None, by: "mx", with: "ESMTPSA", id: "1", recipient: None, time };
        let unit = NewUnit::new(QueueKey::new("maildir"), time, time);
        let unit = unit.with(NewRcpt::new("<b@hik.test>".parse().unwrap()));
        intake.commit(Envelope::new("<a@hik.test>".parse().unwrap(), time), trace, vec![unit]).await?;
        let body = queue.body(id).await.unwrap();
        let mut text = Vec::new();
        while (text.len() as u64) < body.len() {
            text.extend_from_slice(&body.read_at(text.len() as u64, usize::MAX).await.unwrap());
        }
        Ok((String::from_utf8(body.prepend().to_vec()).unwrap(), text))
    }

    async fn verified(zone: &Zone, message: &[u8]) -> Authentication {
        let mut rules = Rules::none();
        rules.dkim = Some(dkim::Rules::default());
        let mut verifier = Verifier::new(&rules);
        verifier.push(message);
        let records = Records::new(zone);
        let lookups = records.lookups(Instant::now(), Budget::default());
        verifier.finish(&lookups, ClientResults::default(), Timestamp::from_millis(1_795_499_530_000)).await
    }

    #[tokio::test]
    async fn what_goes_out_has_good_signatures() {
        let folder = Folder::new();
        let keys = SigningKeys::load(vec![folder.key("hik.test", "s1"), folder.key("hik.test", "s2")]).unwrap();
        let zone = record(&keys, 0) + &record(&keys, 1);
        let zone: Zone = zone.parse().unwrap();
        let forged = "Authentication-Results: mx.hik.test;\r\n dkim=pass\r\n";
        let rest = "From: Anna <anna@sub.hik.test>\r\nSubject: =?x?=\r\n\tx \r\n\r\nbody  \r\n\r\n.\r\n";
        let message = format!("X: y\r\n{forged}{rest}{forged}");
        let mut signatures = None;
        for step in [1, 2, 7, 50, message.len()] {
            let (prepend, text) = submit(&keys, message.as_bytes(), step).await.unwrap();
            assert_eq!(String::from_utf8_lossy(&text), format!("X: y\r\n{rest}{forged}"));
            let fields = prepend.lines().filter(|line| !line.starts_with([' ', '\t']));
            let names: Vec<_> = fields.filter_map(|field| field.split_once(':')).map(|(name, _)| name).collect();
            assert_eq!(names, ["Received", "DKIM-Signature", "DKIM-Signature", "Date", "Message-ID"]);
            let whole = [prepend.as_bytes(), &text].concat();
            let found = verified(&zone, &whole).await.dkim.unwrap();
            let results: Vec<_> = found.iter().map(|one| (one.result, one.selector.clone().unwrap())).collect();
            let pass = |selector: &str| (results::Dkim::Pass, selector.to_owned());
            assert_eq!(results, [pass("s1"), pass("s2")], "{prepend}");
            // A Date that was added is signed like one that was there; the trace field is not.
            let changed = String::from_utf8(whole.clone()).unwrap().replacen("Date: ", "Date: x", 1);
            assert_eq!(verified(&zone, changed.as_bytes()).await.dkim.unwrap()[0].result, results::Dkim::Fail);
            let moved = String::from_utf8(whole).unwrap().replacen("with ESMTPSA", "with ESMTP", 1);
            assert_eq!(verified(&zone, moved.as_bytes()).await.dkim.unwrap()[0].result, results::Dkim::Pass);
            // The body is hashed alike for every split.
            let hashes: Vec<_> = prepend.split("bh=").skip(1).map(|hash| hash[..40].to_owned()).collect();
            assert_eq!(*signatures.get_or_insert(hashes.clone()), hashes);
        }
    }

    #[tokio::test]
    async fn what_nobody_here_has_written_is_not_signed() {
        let folder = Folder::new();
        let keys = SigningKeys::load(vec![folder.key("hik.test", "s1")]).unwrap();
        for message in [
            "From: a@elsewhere.test\r\n\r\nbody\r\n",
            "From: a@evilhik.test\r\n\r\nbody\r\n",
            "Subject: x\r\n\r\nFrom: a@hik.test\r\n",
            "From: a@hik.test\r\nFrom: b@hik.test\r\n\r\n",
            "From: a\r\n\r\n",
            "",
        ] {
            let (prepend, _) = submit(&keys, message.as_bytes(), 5).await.unwrap();
            assert!(!prepend.contains("DKIM-Signature"), "{message:?}");
        }
        // One that ends within its header section has an author all the same.
        for message in ["From: a@hik.test\r\n", "From: a@hik.test\r\nSubject: x"] {
            let (prepend, _) = submit(&keys, message.as_bytes(), 5).await.unwrap();
            assert!(prepend.contains("DKIM-Signature"), "{message:?}");
        }
        let nobody = SigningKeys::load(Vec::new()).unwrap();
        let (prepend, _) = submit(&nobody, b"From: a@hik.test\r\n\r\n", 5).await.unwrap();
        assert!(!prepend.contains("DKIM-Signature"));
    }
}
