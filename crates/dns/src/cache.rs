use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::flight::{Flights, lock};
use crate::record::{Data, Typed};
use crate::{Answer, Error, Kept, Mx, Name, Presence, RecordType, Resolver, Tlsa, Txt};

/// Answers with more data than this, in octets, are passed on and not kept, so
/// that the bound on entries is one on memory too.
pub(crate) const MAX_KEPT: usize = 16 * 1024;

/// How much a [`Cache`] keeps, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Answers kept at most; 0 keeps none.
    pub entries: usize,
    /// Longest time for answers with records, whatever their TTL.
    pub positive: Duration,
    /// Longest time for answers without (RFC 2308 §5).
    pub negative: Duration,
}

impl Default for Limits {
    /// 10,000 entries, a day, an hour.
    fn default() -> Self {
        Self { entries: 10_000, positive: Duration::from_secs(86_400), negative: Duration::from_secs(3_600) }
    }
}

/// A resolver that keeps the answers of another, negative ones too, as long as
/// their TTL says.
///
/// Of those who ask the same question at the same time one asks the resolver
/// behind, and all have its answer (single flight). Failures are shared in this
/// way but not kept. The TTL of a kept answer is what is left of it.
///
/// When full, the entries that were not used for the longest time go first, in
/// halves. `clock` tells the monotonic time: the top floor passes
/// `Instant::now`.
pub struct Cache<R, C = fn() -> Instant> {
    resolver: R,
    clock: C,
    limits: Limits,
    kept: Mutex<Kept<Key, Answer<Data>>>,
    flights: Flights<Key, Result<Answer<Data>, Error>>,
}

type Key = (Name, RecordType);

impl<R: Resolver, C: Fn() -> Instant + Send + Sync> Cache<R, C> {
    /// Puts a cache in front of a resolver.
    pub fn new(resolver: R, limits: Limits, clock: C) -> Self {
        Self { resolver, clock, limits, kept: Mutex::new(Kept::new(limits.entries)), flights: Flights::new() }
    }

    /// How many answers are kept, those included whose time is over.
    pub fn len(&self) -> usize {
        lock(&self.kept).len()
    }

    /// Whether no answer is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    async fn through<T: Typed>(
        &self,
        name: &Name,
        ask: impl Future<Output = Result<Answer<T>, Error>>,
    ) -> Result<Answer<T>, Error> {
        let key = (name.clone(), T::TYPE);
        let known = || self.recall(&key).map(Ok);
        let learn = |result: &Result<Answer<Data>, Error>| {
            if let Ok(answer) = result {
                self.keep(&key, answer);
            }
        };
        let ask = async { Ok(ask.await?.filter_map(|record| Some(record.into_data()))) };
        let result = self.flights.join(&key, known, learn, ask).await;
        result.map(Answer::typed)
    }

    fn recall(&self, key: &Key) -> Option<Answer<Data>> {
        let now = (self.clock)();
        let mut kept = lock(&self.kept);
        let (answer, left) = kept.get(key, now)?;
        Some(Answer { ttl: left, ..answer.clone() })
    }

    fn keep(&self, key: &Key, answer: &Answer<Data>) {
        let longest = match answer.presence {
            Presence::Found => self.limits.positive,
            Presence::NoData | Presence::NoName => self.limits.negative,
        };
        let ttl = answer.ttl.min(longest);
        let size: usize = answer.records.iter().map(Data::wire_len).sum();
        // A time past the end of the clock is no time to plan for.
        let Some(until) = (self.clock)().checked_add(ttl) else {
            return;
        };
        if !ttl.is_zero() && size <= MAX_KEPT {
            lock(&self.kept).insert(key.clone(), answer.clone(), until);
        }
    }
}

impl<R: Resolver, C: Fn() -> Instant + Send + Sync> Resolver for Cache<R, C> {
    async fn a(&self, name: &Name) -> Result<Answer<Ipv4Addr>, Error> {
        self.through(name, self.resolver.a(name)).await
    }

    async fn aaaa(&self, name: &Name) -> Result<Answer<Ipv6Addr>, Error> {
        self.through(name, self.resolver.aaaa(name)).await
    }

    async fn mx(&self, name: &Name) -> Result<Answer<Mx>, Error> {
        self.through(name, self.resolver.mx(name)).await
    }

    async fn ptr(&self, name: &Name) -> Result<Answer<Name>, Error> {
        self.through(name, self.resolver.ptr(name)).await
    }

    async fn tlsa(&self, name: &Name) -> Result<Answer<Tlsa>, Error> {
        self.through(name, self.resolver.tlsa(name)).await
    }

    async fn txt(&self, name: &Name) -> Result<Answer<Txt>, Error> {
        self.through(name, self.resolver.txt(name)).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::Zone;
    use crate::now::now;

    /// Counts the questions that reach the zone behind it, and answers each
    /// after as many polls as `delay` says.
    struct Counted {
        zone: Zone,
        asked: AtomicUsize,
        delay: usize,
    }

    impl Counted {
        async fn count(&self) {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let mut left = self.delay;
            std::future::poll_fn(|_| match left {
                0 => Poll::Ready(()),
                _ => {
                    left -= 1;
                    Poll::Pending
                }
            })
            .await;
        }
    }

    macro_rules! counted {
        ($($method:ident -> $record:ty),*) => {
            impl Resolver for Counted {
                $(async fn $method(&self, name: &Name) -> Result<Answer<$record>, Error> {
                    self.count().await;
                    self.zone.$method(name).await
                })*
            }
        };
    }

    counted! {
        a -> Ipv4Addr, aaaa -> Ipv6Addr, mx -> Mx, ptr -> Name, tlsa -> Tlsa, txt -> Txt
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn counted(delay: usize) -> Counted {
        let mut zone: Zone = "
$ORIGIN example.test.
@    SOA  ns admin 1 2 3 4 60
@    300 MX 10 mx
mx   0 A 192.0.2.1
long 604800 TXT x
"
        .parse()
        .unwrap();
        zone.failures.insert((name("fails.test"), RecordType::MX), Error::ServerFailure.into());
        let big = Txt::from(&*"x".repeat(MAX_KEPT));
        zone.add(name("big.example.test"), 300, Data::Txt(big));
        zone.add(name("nosoa"), 300, Data::A([192, 0, 2, 1].into()));
        Counted { zone, asked: AtomicUsize::new(0), delay }
    }

    /// A cache whose clock shows the seconds of the counter.
    fn cache<'a>(
        resolver: &'a Counted,
        seconds: &'a AtomicU64,
        limits: Limits,
    ) -> Cache<&'a Counted, impl Fn() -> Instant + Send + Sync + 'a> {
        let start = Instant::now();
        let clock = move || start + Duration::from_secs(seconds.load(Ordering::Relaxed));
        Cache::new(resolver, limits, clock)
    }

    #[test]
    fn answers_live_as_long_as_they_say() {
        let (resolver, clock) = (counted(0), AtomicU64::new(0));
        let limits =
            Limits { positive: Duration::from_secs(1_000), negative: Duration::from_secs(50), ..Limits::default() };
        let cache = cache(&resolver, &clock, limits);
        let asked = || resolver.asked.swap(0, Ordering::Relaxed);
        let at = |seconds| clock.store(seconds, Ordering::Relaxed);

        let domain = name("example.test");
        let first = now(cache.mx(&domain)).unwrap();
        assert_eq!((first.ttl.as_secs(), asked()), (300, 1));
        at(299);
        let left = now(cache.mx(&name("EXAMPLE.test"))).unwrap();
        assert_eq!((left.ttl.as_secs(), asked()), (1, 0));
        assert_eq!(left.records, first.records);
        at(300);
        assert_eq!((now(cache.mx(&domain)).unwrap().ttl.as_secs(), asked()), (300, 1));

        // Other types and names are other questions.
        at(0);
        assert_eq!(now(cache.txt(&domain)).unwrap().presence, Presence::NoData);
        assert_eq!(now(cache.mx(&name("no.example.test"))).unwrap().presence, Presence::NoName);
        assert_eq!(asked(), 2);
        // Negative answers are kept, up to the cap of 50 s.
        at(49);
        assert_eq!(now(cache.txt(&domain)).unwrap().presence, Presence::NoData);
        assert_eq!(now(cache.mx(&name("no.example.test"))).unwrap().presence, Presence::NoName);
        assert_eq!(asked(), 0);
        at(50);
        now(cache.txt(&domain)).unwrap();
        now(cache.mx(&name("no.example.test"))).unwrap();
        assert_eq!(asked(), 2);

        // A week is capped.
        at(0);
        now(cache.txt(&name("long.example.test"))).unwrap();
        at(999);
        now(cache.txt(&name("long.example.test"))).unwrap();
        assert_eq!(asked(), 1);
        at(1_000);
        now(cache.txt(&name("long.example.test"))).unwrap();
        assert_eq!(asked(), 1);

        // Not kept: TTL 0, negative without SOA, failures, what is too big.
        for _ in 0..2 {
            now(cache.a(&name("mx.example.test"))).unwrap();
            now(cache.mx(&name("nosoa"))).unwrap();
            assert_eq!(now(cache.mx(&name("fails.test"))), Err(Error::ServerFailure));
            now(cache.txt(&name("big.example.test"))).unwrap();
        }
        assert_eq!(asked(), 8);
    }

    #[test]
    fn the_bound_holds_and_what_is_used_stays() {
        for entries in [0, 1, 2, 3, 10] {
            let (resolver, clock) = (counted(0), AtomicU64::new(0));
            let limits = Limits { entries, ..Limits::default() };
            let cache = cache(&resolver, &clock, limits);
            let used = name("example.test");
            for number in 0..100 {
                now(cache.mx(&name(&format!("n{number}.example.test")))).unwrap();
                assert!(cache.len() <= entries, "{} of {entries}", cache.len());
                now(cache.mx(&used)).unwrap();
                assert!(cache.len() <= entries, "{} of {entries}", cache.len());
            }
            assert_eq!(cache.is_empty(), entries == 0);
            if entries == 10 {
                assert_eq!(resolver.asked.load(Ordering::Relaxed), 101);
                assert!(cache.len() >= entries / 2);
            }
        }
    }

    #[test]
    fn of_many_who_ask_at_once_one_asks() {
        let (resolver, clock) = (counted(3), AtomicU64::new(0));
        let cache = cache(&resolver, &clock, Limits::default());
        for domain in ["example.test", "no.example.test", "fails.test"] {
            let domain = name(domain);
            resolver.asked.store(0, Ordering::Relaxed);
            let mut context = Context::from_waker(Waker::noop());
            let mut asking: Vec<_> = (0..100).map(|_| Box::pin(cache.mx(&domain))).collect();
            let mut results = Vec::new();
            while !asking.is_empty() {
                asking.retain_mut(|one| match one.as_mut().poll(&mut context) {
                    Poll::Ready(result) => {
                        results.push(result);
                        false
                    }
                    Poll::Pending => true,
                });
            }
            assert_eq!(resolver.asked.load(Ordering::Relaxed), 1, "{domain}");
            assert_eq!(results.len(), 100);
            assert!(results.iter().all(|result| *result == resolver_answer(&resolver, &domain)));
        }
    }

    fn resolver_answer(resolver: &Counted, domain: &Name) -> Result<Answer<Mx>, Error> {
        now(resolver.zone.mx(domain))
    }
}
