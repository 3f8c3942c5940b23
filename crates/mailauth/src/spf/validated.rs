//! The names of the client's address that lead back to it (RFC 7208 §5.5, §7.3).

use hikyaku_dns::{Data, Name, RecordType, Resolver};

use super::evaluate::{Evaluation, failed, lookup};
use super::reason::MAX_NAMES;
use super::trace::{Looked, Verdict, Watch};
use super::{Prefixes, Reason};

/// The names of the client's address, looked up once in a check.
#[derive(Debug, Default)]
pub(super) struct ClientNames {
    /// The first ten, and whether they lead back, as far as that was asked.
    names: Vec<(Name, Option<bool>)>,
    /// Whether it is known that there are none.
    nothing: bool,
}

impl<R: Resolver, W: Watch> Evaluation<'_, '_, R, W> {
    /// Whether one of the validated names is `target` or below it (RFC 7208 §5.5).
    pub(super) async fn ptr(&mut self, target: &Name) -> Result<Verdict, Reason> {
        let mut client = self.client_names().await?;
        let mut verdict = if client.nothing { Verdict::Nothing } else { Verdict::NotValidated };
        for (name, leads_back) in client.names.iter_mut().filter(|(name, _)| name.is_within(target)) {
            if self.leads_back(name, leads_back).await? {
                verdict = Verdict::Matched;
                break;
            }
        }
        self.client_names = Some(client);
        Ok(verdict)
    }

    /// The value of the macro `p`: the validated name that is `domain`, else one below it, else any
    /// (RFC 7208 §7.3).
    pub(super) async fn validated(&mut self, domain: &Name) -> Result<Option<Name>, Reason> {
        let mut client = self.client_names().await?;
        let mut found = None;
        'found: for closeness in 0..3 {
            for (name, leads_back) in &mut client.names {
                let fits = match closeness {
                    0 => name == domain,
                    1 => name.is_within(domain),
                    _ => true,
                };
                if fits && self.leads_back(name, leads_back).await? {
                    found = Some(name.clone());
                    break 'found;
                }
            }
        }
        self.client_names = Some(client);
        Ok(found)
    }

    /// A lookup that fails finds no name (RFC 7208 §5.5); one that the budget does not allow ends
    /// the check.
    async fn client_names(&mut self) -> Result<ClientNames, Reason> {
        if let Some(names) = self.client_names.take() {
            return Ok(names);
        }
        let reverse = Name::reverse(self.claim.client);
        let answer = self.lookups.ptr(&reverse).await;
        self.watch.note(self.depth(), || lookup(&reverse, RecordType::PTR, Looked::of(&answer, Data::Ptr)));
        match answer.map_err(|error| failed(&reverse, RecordType::PTR, error)) {
            Ok(answer) => Ok(ClientNames {
                nothing: answer.records.is_empty(),
                names: answer.records.into_iter().take(MAX_NAMES).map(|name| (name, None)).collect(),
            }),
            Err(Reason::Dns { .. }) => Ok(ClientNames::default()),
            Err(reason) => Err(reason),
        }
    }

    async fn leads_back(&mut self, name: &Name, known: &mut Option<bool>) -> Result<bool, Reason> {
        if let Some(known) = known {
            return Ok(*known);
        }
        let leads_back = match self.client_at(name, Prefixes::default()).await {
            Ok(verdict) => verdict == Verdict::Matched,
            Err(Reason::Dns { .. }) => false,
            Err(reason) => return Err(reason),
        };
        *known = Some(leads_back);
        Ok(leads_back)
    }
}
