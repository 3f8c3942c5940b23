//! The lookups of one message: counted, bounded, written down, with what was read of the answers
//! kept for the next message.

use std::any::{Any, TypeId};
use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use hikyaku_dns::{Answer, Kept, Limits, Mx, Name, Presence, RecordType, Resolver, Txt};

/// What was read of larger answers, or is larger itself, is not kept, so that the bound on entries
/// is one on memory too. In octets.
const MAX_KEPT: usize = 16 * 1024;

/// A resolver, and the records of SPF, DKIM and DMARC that were read of its answers.
///
/// A record is read once and kept as long as its answer says, also that there is none; what failed
/// is asked for again. It is what makes a check of known domains cheap; answers of other types are
/// kept, if at all, by the resolver ([`hikyaku_dns::Cache`]).
#[derive(Debug)]
pub struct Records<R> {
    resolver: R,
    limits: Limits,
    kept: Mutex<Kept<Key, Arc<dyn Any + Send + Sync>>>,
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
///
/// Every question counts, also one whose answer was kept: whether a message is within its budget
/// depends on the message alone, and not on what was asked before it.
#[derive(Debug)]
pub struct Lookups<'a, R> {
    records: &'a Records<R>,
    now: Instant,
    budget: Budget,
    asked: AtomicU32,
    /// Questions that may not be asked now, because something later needs them.
    held: AtomicU32,
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

    /// About how many octets the value takes, where that can be much more than its text does.
    fn size(&self) -> usize {
        size_of::<Self>()
    }
}

impl<R: Resolver> Records<R> {
    /// Puts the records in front of a resolver: at most 10,000, with records for at most a day,
    /// without for at most an hour.
    pub fn new(resolver: R) -> Self {
        Self::limited(resolver, Limits::default())
    }

    /// The same within other limits; 0 entries keep nothing.
    pub fn limited(resolver: R, limits: Limits) -> Self {
        Self { resolver, limits, kept: Mutex::new(Kept::new(limits.entries)) }
    }

    /// The lookups of one message, which begins now. What is kept at that time is taken until its
    /// end.
    pub fn lookups(&self, now: Instant, budget: Budget) -> Lookups<'_, R> {
        Lookups { records: self, now, budget, asked: AtomicU32::new(0), held: AtomicU32::new(0), log: None }
    }

    /// How many records are kept, those included whose time is over.
    pub fn len(&self) -> usize {
        lock(&self.kept).len()
    }

    /// Whether no record is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn recall<T: Published>(&self, name: &Name, now: Instant) -> Option<Arc<T>> {
        let question: &dyn Question = &(TypeId::of::<T>(), name);
        let value = Arc::clone(lock(&self.kept).get(question, now)?.0);
        value.downcast().ok()
    }

    fn keep<T: Published>(&self, name: &Name, answer: &Answer<Txt>, value: &Arc<T>, now: Instant) {
        let longest = match answer.presence {
            Presence::Found => self.limits.positive,
            Presence::NoData | Presence::NoName => self.limits.negative,
        };
        let ttl = answer.ttl.min(longest);
        let strings = answer.records.iter().flat_map(|record| &record.strings);
        let text: usize = strings.map(|string| 1 + string.len()).sum();
        // A time past the end of the clock is no time to plan for.
        let Some(until) = now.checked_add(ttl) else {
            return;
        };
        if !ttl.is_zero() && text <= MAX_KEPT && value.size() <= MAX_KEPT {
            let key = Key { kind: TypeId::of::<T>(), name: name.clone() };
            let value: Arc<dyn Any + Send + Sync> = Arc::<T>::clone(value);
            lock(&self.kept).insert(key, value, until);
        }
    }
}

impl<R: Resolver> Lookups<'_, R> {
    /// The same, with a list of what is asked.
    #[must_use]
    pub fn logged(self) -> Self {
        Self { log: Some(Mutex::default()), ..self }
    }

    /// The list, if there is one, in the order of asking; also what was answered from what is kept.
    pub fn log(&self) -> Vec<Lookup> {
        self.log.as_ref().map(|log| lock(log).clone()).unwrap_or_default()
    }

    /// How many questions were asked so far, also those whose answer was kept; at most the budget.
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
        self.count(name, RecordType::TXT)?;
        if let Some(value) = self.records.recall(name, self.now) {
            return Ok(value);
        }
        let answer = self.records.resolver.txt(name).await?;
        let value = Arc::new(T::read(&answer));
        self.records.keep(name, &answer, &value, self.now);
        Ok(value)
    }

    /// Leaves so many questions of the budget, at most half of it, for what comes later; 0 ends that.
    pub(crate) fn hold(&self, questions: u32) {
        self.held.store(questions.min(self.budget.queries / 2), Ordering::Relaxed);
    }

    fn count(&self, name: &Name, record_type: RecordType) -> Result<(), LookupError> {
        let most = self.budget.queries.saturating_sub(self.held.load(Ordering::Relaxed));
        let within = |asked| (asked < most).then_some(asked + 1);
        if self.asked.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_err() {
            return Err(LookupError::Budget);
        }
        if let Some(log) = &self.log {
            lock(log).push(Lookup { name: name.clone(), record_type });
        }
        Ok(())
    }
}

/// Under what a record is kept.
#[derive(Debug)]
struct Key {
    kind: TypeId,
    name: Name,
}

/// A [`Key`], or the same by reference, so that looking for one copies no name.
trait Question {
    fn parts(&self) -> (TypeId, &Name);
}

impl Question for Key {
    fn parts(&self) -> (TypeId, &Name) {
        (self.kind, &self.name)
    }
}

impl Question for (TypeId, &Name) {
    fn parts(&self) -> (TypeId, &Name) {
        *self
    }
}

impl<'a> Borrow<dyn Question + 'a> for Key {
    fn borrow(&self) -> &(dyn Question + 'a) {
        self
    }
}

impl Hash for dyn Question + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

impl PartialEq for dyn Question + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for dyn Question + '_ {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Key {}

/// What these locks guard is whole after each statement, so that a panic of somebody who held one
/// spoils nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hikyaku_dns::{Data, Error, Zone};

    use super::*;
    use crate::now::now;

    /// A resolver that counts its questions.
    struct Counted {
        zone: Zone,
        asked: AtomicU32,
    }

    impl Counted {
        fn asked(&self) -> u32 {
            self.asked.swap(0, Ordering::Relaxed)
        }
    }

    macro_rules! counted {
        ($($method:ident -> $record:ty),*) => {
            impl Resolver for Counted {
                $(async fn $method(&self, name: &Name) -> Result<Answer<$record>, Error> {
                    self.asked.fetch_add(1, Ordering::Relaxed);
                    self.zone.$method(name).await
                })*
            }
        };
    }
    counted!(a -> Ipv4Addr, aaaa -> Ipv6Addr, mx -> Mx, ptr -> Name, tlsa -> hikyaku_dns::Tlsa, txt -> Txt);

    /// The text of an answer, and how many octets it pretends to take.
    #[derive(Debug, PartialEq)]
    struct Text(Option<String>, usize);

    impl Published for Text {
        fn read(answer: &Answer<Txt>) -> Self {
            let text = answer.records.first().map(|txt| String::from_utf8(txt.concat()).unwrap());
            let size = text.as_ref().and_then(|text| text.parse().ok()).unwrap_or_default();
            Self(text, size)
        }

        fn size(&self) -> usize {
            self.1
        }
    }

    /// Another reading of the same answer.
    #[derive(Debug, PartialEq)]
    struct Length(usize);

    impl Published for Length {
        fn read(answer: &Answer<Txt>) -> Self {
            Self(answer.records.first().map_or(0, |txt| txt.concat().len()))
        }
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn counted() -> Counted {
        let mut zone: Zone = "
$ORIGIN example.test.
@     SOA ns admin 1 2 3 4 60
a     300 TXT one
zero  0 TXT none
long  604800 TXT long
fits  300 TXT 16384
large 300 TXT 16385
"
        .parse()
        .unwrap();
        zone.failures.insert((name("fails.example.test"), RecordType::TXT), Error::ServerFailure.into());
        // 64 strings with their lengths, and one octet more.
        zone.add(name("full.example.test"), 300, Data::Txt((&*"x".repeat(MAX_KEPT - 64)).into()));
        zone.add(name("over.example.test"), 300, Data::Txt((&*"x".repeat(MAX_KEPT - 63)).into()));
        Counted { zone, asked: AtomicU32::new(0) }
    }

    #[test]
    fn every_question_counts_and_none_is_asked_beyond_the_budget() {
        let records = Records::new(counted());
        assert_eq!(Budget::default().queries, 50);
        let lookups = records.lookups(Instant::now(), Budget { queries: 7 }).logged();
        let domain = name("a.example.test");
        now(lookups.a(&domain)).unwrap();
        now(lookups.aaaa(&domain)).unwrap();
        now(lookups.mx(&domain)).unwrap();
        now(lookups.ptr(&domain)).unwrap();
        now(lookups.txt(&domain)).unwrap();
        now(lookups.published::<Text>(&domain)).unwrap();
        assert_eq!(records.resolver.asked(), 6);
        // Kept, and counted nevertheless.
        now(lookups.published::<Text>(&domain)).unwrap();
        assert_eq!((records.resolver.asked(), lookups.asked()), (0, 7));
        assert_eq!(now(lookups.published::<Text>(&domain)), Err(LookupError::Budget));
        assert_eq!(now(lookups.a(&domain)), Err(LookupError::Budget));
        assert_eq!((records.resolver.asked(), lookups.asked()), (0, 7));
        let types: Vec<_> = lookups.log().iter().map(|lookup| lookup.record_type.to_string()).collect();
        assert_eq!(types, ["A", "AAAA", "MX", "PTR", "TXT", "TXT", "TXT"]);
        assert!(lookups.log().iter().all(|lookup| lookup.name == domain));
        // The next message has its own budget, and no log unless it wants one.
        let lookups = records.lookups(Instant::now(), Budget { queries: 1 });
        assert!(now(lookups.a(&domain)).is_ok() && now(lookups.a(&domain)).is_err());
        assert_eq!(lookups.log(), []);
    }

    #[test]
    fn what_is_held_is_left_for_later() {
        let records = Records::new(counted());
        let domain = name("a.example.test");
        for (held, before, after) in [(0, 10, 0), (3, 7, 3), (5, 5, 5), (100, 5, 5)] {
            let lookups = records.lookups(Instant::now(), Budget { queries: 10 });
            lookups.hold(held);
            for _ in 0..before {
                now(lookups.a(&domain)).unwrap();
            }
            assert_eq!(now(lookups.a(&domain)), Err(LookupError::Budget), "{held}");
            assert_eq!(lookups.asked(), before);
            lookups.hold(0);
            for _ in 0..after {
                now(lookups.a(&domain)).unwrap();
            }
            assert_eq!(now(lookups.a(&domain)), Err(LookupError::Budget), "{held}");
            assert_eq!(lookups.asked(), 10);
        }
    }

    #[test]
    fn records_live_as_long_as_their_answers() {
        let limits =
            Limits { positive: Duration::from_secs(1_000), negative: Duration::from_secs(50), ..Limits::default() };
        let records = Records::limited(counted(), limits);
        let start = Instant::now();
        let asks = |domain: &str, seconds| {
            let lookups = records.lookups(start + Duration::from_secs(seconds), Budget::default());
            assert_eq!(lookups.now(), start + Duration::from_secs(seconds));
            let text = now(lookups.published::<Text>(&name(domain)));
            (text.map(|text| text.0.clone()), records.resolver.asked())
        };
        let one = || Ok(Some("one".to_owned()));
        for (seconds, asked) in [(0, 1), (1, 0), (299, 0), (300, 1), (599, 0), (600, 1)] {
            assert_eq!(asks("a.example.test", seconds), (one(), asked), "{seconds}");
        }
        // That there is nothing is kept as long as the zone says, at most as long as is allowed.
        for (seconds, asked) in [(0, 1), (49, 0), (50, 1)] {
            assert_eq!(asks("no.example.test", seconds), (Ok(None), asked), "{seconds}");
            assert_eq!(asks("example.test", seconds), (Ok(None), asked), "{seconds}");
        }
        for (seconds, asked) in [(0, 1), (999, 0), (1_000, 1)] {
            assert_eq!(asks("long.example.test", seconds).1, asked, "{seconds}");
        }
        // A failure is no answer, and what is over at once takes no room.
        let kept = records.len();
        for _ in 0..2 {
            assert_eq!(asks("fails.example.test", 0), (Err(LookupError::Dns(Error::ServerFailure)), 1));
            assert_eq!(asks("zero.example.test", 0).1, 1);
        }
        assert_eq!(records.len(), kept);
    }

    #[test]
    fn what_is_large_is_not_kept_and_the_bound_holds() {
        let records = Records::limited(counted(), Limits { entries: 10, ..Limits::default() });
        let lookups = records.lookups(Instant::now(), Budget { queries: u32::MAX });
        for (domain, again) in [("fits", 0), ("large", 1), ("full", 0), ("over", 1)] {
            let domain = name(&format!("{domain}.example.test"));
            now(lookups.published::<Text>(&domain)).unwrap();
            records.resolver.asked();
            now(lookups.published::<Text>(&domain)).unwrap();
            assert_eq!(records.resolver.asked(), again, "{domain}");
        }
        for number in 0..100 {
            now(lookups.published::<Text>(&name(&format!("n{number}.example.test")))).unwrap();
            assert!((1..=10).contains(&records.len()), "{}", records.len());
        }
        let none = Records::limited(counted(), Limits { entries: 0, ..Limits::default() });
        now(none.lookups(Instant::now(), Budget::default()).published::<Text>(&name("a.example.test"))).unwrap();
        assert!(none.is_empty() && !records.is_empty());
    }

    #[test]
    fn one_answer_is_read_for_each_who_reads_it_otherwise() {
        let records = Records::new(counted());
        let lookups = records.lookups(Instant::now(), Budget::default());
        let domain = name("a.example.test");
        let text = now(lookups.published::<Text>(&domain)).unwrap();
        let length = now(lookups.published::<Length>(&domain)).unwrap();
        assert_eq!((text.0.as_deref(), length.0), (Some("one"), 3));
        assert_eq!(records.resolver.asked(), 2);
        let again = now(lookups.published::<Text>(&name("A.Example.Test"))).unwrap();
        assert!(Arc::ptr_eq(&text, &again));
        assert_eq!(*now(lookups.published::<Length>(&domain)).unwrap(), Length(3));
        assert_eq!((records.resolver.asked(), records.len()), (0, 2));
    }
}
