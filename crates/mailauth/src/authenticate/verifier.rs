use hikyaku_dns::{Name, Resolver};
use hikyaku_message::{AddressList, Field, FieldSpan, Header, HeaderLimit, HeaderScan, results};
use hikyaku_wire::Timestamp;

use super::{Authentication, ClientResults, Rules, trust};
use crate::{BodyHashes, Lookups, arc, dkim, dmarc};

/// A message that streams by.
///
/// Kept is the header section, as far as the limits of the rules allow; the body is hashed as it
/// comes, whatever the pieces are.
#[derive(Debug)]
pub struct Verifier {
    /// Boxed, as it is handed from one future to the next.
    state: Box<State>,
}

#[derive(Debug)]
struct State {
    rules: Rules,
    scan: HeaderScan,
    header: Vec<u8>,
    /// Where its fields lie, until the signatures are found.
    spans: Vec<FieldSpan>,
    found: Option<Found>,
    bodies: BodyHashes,
    over: Option<HeaderLimit>,
}

/// What the header section holds.
#[derive(Debug)]
struct Found {
    signatures: Option<dkim::Signatures>,
    chain: Option<arc::Chain>,
    /// Read for DMARC.
    author: Option<Result<Name, String>>,
}

impl Verifier {
    /// Before the first octet.
    #[must_use]
    pub fn new(rules: &Rules) -> Self {
        let state = Box::new(State {
            rules: rules.clone(),
            scan: HeaderScan::new(rules.header),
            header: Vec::new(),
            spans: Vec::with_capacity(32),
            found: None,
            bodies: BodyHashes::default(),
            over: None,
        });
        Self { state }
    }

    /// Takes the next piece, from the first octet of the header section on.
    pub fn push(&mut self, piece: &[u8]) {
        self.state.push(piece);
    }

    /// The message is over: looks up what is needed and judges.
    pub async fn finish<R: Resolver>(
        self,
        lookups: &Lookups<'_, R>,
        client: ClientResults,
        now: Timestamp,
    ) -> Authentication {
        self.state.finish(lookups, client, now).await
    }
}

impl State {
    fn push(&mut self, piece: &[u8]) {
        if self.found.is_some() {
            return self.bodies.push(piece);
        }
        if self.over.is_some() || !self.rules.read_message() {
            return;
        }
        let used = self.scan.push_each(piece, |span| self.spans.push(span));
        self.over = self.scan.over();
        if self.over.is_some() {
            (self.header, self.spans) = (Vec::new(), Vec::new());
            return;
        }
        self.header.extend_from_slice(&piece[..used]);
        if self.scan.is_done() {
            self.read();
            self.bodies.push(&piece[used..]);
        }
    }

    async fn finish<R: Resolver>(
        mut self: Box<Self>,
        lookups: &Lookups<'_, R>,
        client: ClientResults,
        now: Timestamp,
    ) -> Authentication {
        if self.found.is_none() && self.over.is_none() && self.rules.read_message() {
            self.spans.extend(self.scan.finish());
            self.read();
        }
        let mut done = Authentication { client, dkim: None, arc: None, dmarc: None, author: None, over: self.over };
        if let Some(limit) = self.over {
            done.dkim = self.rules.dkim.as_ref().map(|_| Vec::new());
            done.arc = self.rules.arc.then(|| arc::Outcome::new(results::Arc::Fail, Vec::new(), None));
            done.dmarc = self.rules.dmarc.then(|| dmarc::Outcome::without_author(limit.to_string()));
            return done;
        }
        let digests = std::mem::take(&mut self.bodies).finish();
        let (Some(found), Some(header)) = (&mut self.found, self.scan.header(&self.header)) else { return done };
        let author = found.author.as_ref();
        done.author = author.and_then(|author| author.as_ref().ok()).cloned();
        // Before the keys: a signature whose key never comes must not hide what the author asks for.
        let before = lookups.asked();
        let discovery = match author.filter(|_| self.rules.dmarc) {
            None => None,
            Some(Ok(author)) => Some(Ok((author, dmarc::Discovery::begin(lookups, author).await))),
            Some(Err(reason)) => Some(Err(reason)),
        };
        let used = lookups.asked().saturating_sub(before);
        lookups.hold(self.rules.held_for_dmarc().saturating_sub(used));
        if let Some(signatures) = found.signatures.take() {
            done.dkim = Some(signatures.verify(&header, &digests, lookups, now).await);
        }
        lookups.hold(0);
        done.dmarc = match discovery {
            None => None,
            Some(Ok((author, discovery))) => {
                Some(evaluate(discovery, author, &done.client, done.dkim.as_deref()).await)
            }
            Some(Err(reason)) => Some(dmarc::Outcome::without_author(reason.clone())),
        };
        // Last, because it can only excuse, and may take all the lookups that are left.
        if let Some(chain) = found.chain.take() {
            let chain = chain.verify(&header, &digests, lookups, now).await;
            if let (Some(dmarc), Some(Ok(author))) = (&mut done.dmarc, author)
                && dmarc.result == results::Dmarc::Fail
                && chain.result == results::Arc::Pass
                && !chain.is_partial
                && let Some(instance) = trust::vouched(&header, &chain.sealers, author, &self.rules.trusted_sealers)
            {
                trust::excuse(dmarc, instance, &chain.sealers);
            }
            done.arc = Some(chain);
        }
        done
    }

    /// The header section is complete.
    fn read(&mut self) {
        let Some(header) = self.scan.header(&self.header) else { return };
        let default = dkim::Rules::default();
        let rules = self.rules.dkim.as_ref();
        let bodies = &mut self.bodies;
        let author = (self.rules.dmarc || self.rules.author).then(|| author(&header, &self.spans));
        let spans = std::mem::take(&mut self.spans);
        let signatures = rules.map(|rules| dkim::Signatures::among(spans, &header, rules, bodies));
        let chain = self.rules.arc.then(|| arc::Chain::find(&header, rules.unwrap_or(&default), bodies));
        self.found = Some(Found { signatures, chain, author });
        // A line without a colon ends the section and is the first of the body, and what stands
        // before the first field belongs to nothing: dropped, they would leave a signature good
        // over a message that others read differently.
        self.bodies.push(&header.octets()[..header.span().start]);
        let rest = &header.octets()[header.span().end..];
        if rest != b"\r\n" {
            self.bodies.push(rest);
        }
    }
}

#[cfg(test)]
impl Verifier {
    /// How many octets are kept.
    pub(super) fn kept(&self) -> usize {
        self.state.header.len()
    }

    /// How many hashes of the body are computed.
    pub(super) fn hashes(&self) -> usize {
        self.state.bodies.count()
    }
}

/// The one domain of the author (RFC 9989 §5.3.1), or why there is none, in words for people.
fn author(header: &Header<'_>, spans: &[FieldSpan]) -> Result<Name, String> {
    let all = || spans.iter().filter_map(|span| span.field(header.octets()));
    // Others may see another From field there, or read on behind it.
    let rest = &header.octets()[header.span().end..];
    let has_bad_name = |field: Field<'_>| {
        let name = field.name();
        name.is_empty() || !name.iter().all(|octet| (b'!'..=b'~').contains(octet))
    };
    if header.span().start > 0 || !matches!(rest, b"" | b"\r" | b"\r\n") || all().any(has_bad_name) {
        return Err("the header section is malformed, so that others may see another author".to_owned());
    }
    let mut fields = all().filter(|field| field.is("from"));
    let Some(field) = fields.next() else { return Err("the message has no From field".to_owned()) };
    if fields.next().is_some() {
        return Err("the message has more than one From field".to_owned());
    }
    let list = AddressList::parse(field.raw_value()).map_err(|error| format!("the From field: {error}"))?;
    let domain = list.author_domain().map_err(|error| error.to_string())?;
    Name::from_domain(domain.as_str()).map_err(|error| format!("the author's domain: {error}"))
}

async fn evaluate<R: Resolver>(
    discovery: dmarc::Discovery<'_, '_, R>,
    author: &Name,
    client: &ClientResults,
    dkim: Option<&[dkim::Verified]>,
) -> dmarc::Outcome {
    let spf = client.mail_from.as_ref().and_then(|spf| Some((spf.result, spf.domain.as_ref()?)));
    let signed = dkim.into_iter().flatten();
    let dkim: Vec<_> = signed.filter_map(|one| Some((one.result, one.domain.clone()?))).collect();
    discovery.evaluate(&dmarc::Identifiers { author, spf, dkim: &dkim }).await
}
