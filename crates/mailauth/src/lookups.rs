//! The lookups of one message: counted, bounded, written down, with what was read of the answers
//! kept for the next message.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use hikyaku_dns::{Answer, Mx, Name, RecordType, Resolver, Txt};

/// A resolver, and the records of SPF, DKIM and DMARC that were read of its answers.
#[derive(Debug)]
pub struct Records<R> {
    resolver: R,
}

/// What one message may cause in the DNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Questions over all checks; default 50.
    pub queries: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { queries: 50 }
    }
}

/// The lookups of one message.
#[derive(Debug)]
pub struct Lookups<'a, R> {
    records: &'a Records<R>,
    now: Instant,
    budget: Budget,
    asked: AtomicU32,
    log: Option<Mutex<Vec<Lookup>>>,
}

/// A question that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// Of which name.
    pub name: Name,
    /// For records of which type.
    pub record_type: RecordType,
}

/// Why a lookup has no answer. Either is temporary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// It failed.
    #[error(transparent)]
    Dns(#[from] hikyaku_dns::Error),
    /// The message has asked for too much already.
    #[error("the message has caused too many DNS lookups")]
    Budget,
}

/// What is published in TXT records, read once and kept as long as its answer.
pub(crate) trait Published: Send + Sync + Sized + 'static {
    /// Reads an answer: also that there is nothing, or something wrong, is a value.
    fn read(answer: &Answer<Txt>) -> Self;
}

impl<R: Resolver> Records<R> {
    /// Puts the records in front of a resolver.
    pub fn new(resolver: R) -> Self {
        Self { resolver }
    }

    /// The lookups of one message, which begins now.
    pub fn lookups(&self, now: Instant, budget: Budget) -> Lookups<'_, R> {
        Lookups { records: self, now, budget, asked: AtomicU32::new(0), log: None }
    }
}

impl<R: Resolver> Lookups<'_, R> {
    /// The same, with a list of what is asked.
    #[must_use]
    pub fn logged(self) -> Self {
        Self { log: Some(Mutex::default()), ..self }
    }

    /// The list, if there is one, in the order of asking.
    pub fn log(&self) -> Vec<Lookup> {
        self.log.as_ref().map(|log| log.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap_or_default()
    }

    /// How many questions were asked so far, what was kept not counted apart.
    pub fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }

    /// When the message began.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// IPv4 addresses.
    ///
    /// # Errors
    /// [`LookupError`].
    pub async fn a(&self, name: &Name) -> Result<Answer<Ipv4Addr>, LookupError> {
        self.count(name, RecordType::A)?;
        Ok(self.records.resolver.a(name).await?)
    }

    /// IPv6 addresses.
    ///
    /// # Errors
    /// [`LookupError`].
    pub async fn aaaa(&self, name: &Name) -> Result<Answer<Ipv6Addr>, LookupError> {
        self.count(name, RecordType::AAAA)?;
        Ok(self.records.resolver.aaaa(name).await?)
    }

    /// Mail exchanges.
    ///
    /// # Errors
    /// [`LookupError`].
    pub async fn mx(&self, name: &Name) -> Result<Answer<Mx>, LookupError> {
        self.count(name, RecordType::MX)?;
        Ok(self.records.resolver.mx(name).await?)
    }

    /// Names of an address.
    ///
    /// # Errors
    /// [`LookupError`].
    pub async fn ptr(&self, name: &Name) -> Result<Answer<Name>, LookupError> {
        self.count(name, RecordType::PTR)?;
        Ok(self.records.resolver.ptr(name).await?)
    }

    /// Texts.
    ///
    /// # Errors
    /// [`LookupError`].
    pub async fn txt(&self, name: &Name) -> Result<Answer<Txt>, LookupError> {
        self.count(name, RecordType::TXT)?;
        Ok(self.records.resolver.txt(name).await?)
    }

    /// What is published under a name, read before or now.
    pub(crate) async fn published<T: Published>(&self, name: &Name) -> Result<Arc<T>, LookupError> {
        let answer = self.txt(name).await?;
        Ok(Arc::new(T::read(&answer)))
    }

    fn count(&self, name: &Name, record_type: RecordType) -> Result<(), LookupError> {
        if self.asked.fetch_add(1, Ordering::Relaxed) >= self.budget.queries {
            return Err(LookupError::Budget);
        }
        if let Some(log) = &self.log {
            let lookup = Lookup { name: name.clone(), record_type };
            log.lock().unwrap_or_else(PoisonError::into_inner).push(lookup);
        }
        Ok(())
    }
}
