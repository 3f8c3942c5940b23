//! Moves of the DNS: a zone changes, time goes on, and a cache before it is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::cache::MAX_KEPT;
use crate::flight::lock;
use crate::now::now;
use crate::record::{Data, Typed};
use crate::{
    Answer, Cache, Error, Failure, Limits, MailHostsError, Mx, Name, Presence, RecordType, Resolver, Security, Soa,
    Tlsa, Txt, Zone, addresses, mail_hosts,
};

/// Moves, three octets each, behind one for the size of the cache.
pub fn answers(data: &[u8]) {
    let Some((first, moves)) = data.split_first() else {
        return;
    };
    let entries = usize::from(first % 8);
    let limits = Limits { entries, positive: Duration::from_secs(1_000), negative: Duration::from_secs(100) };
    let (world, start) = (World::default(), Instant::now());
    let cache = Cache::new(&world, limits, || start + Duration::from_secs(world_time(&world)));
    let names = names();
    for step in moves.chunks_exact(3).take(500) {
        let [kind, which, how] = [step[0], step[1], step[2]];
        let name = &names[usize::from(which) % names.len()];
        match kind % 8 {
            0 => {
                world.seconds.fetch_add(TIMES[usize::from(how) % TIMES.len()].into(), Ordering::Relaxed);
            }
            1 | 2 => lock(&world.zone).add(name.clone(), ttl(how), record(which / 8, how)),
            3 => {
                let failure = match how % 4 {
                    0 => Failure::NoName,
                    1 => Error::Timeout.into(),
                    2 => Error::ServerFailure.into(),
                    _ => Error::Bogus.into(),
                };
                let of = TYPES.get(usize::from(how / 4) % 8).copied().unwrap_or(RecordType::ANY);
                lock(&world.zone).failures.insert((name.clone(), of), failure);
            }
            4 => {
                let mut zone = lock(&world.zone);
                zone.records.remove(name);
                zone.failures.retain(|(of, _), _| of != name);
                zone.security = [Security::Secure, Security::Insecure, Security::Indeterminate][usize::from(how) % 3];
            }
            5 => {
                let record_type = TYPES[usize::from(how) % TYPES.len()];
                let (may_be_kept, _) = world.ask(&cache, limits, name, record_type);
                // Above all that there is nothing.
                let (_, was_kept) = world.ask(&cache, limits, name, record_type);
                assert_eq!(was_kept, may_be_kept && entries > 0, "{name} {record_type}");
            }
            6 => {
                let own = [names[usize::from(how) % names.len()].clone()];
                let hosts = now(mail_hosts(&cache, name, &own, how.into()));
                if entries == 0 {
                    assert_eq!(hosts, now(mail_hosts(&*lock(&world.zone), name, &own, how.into())));
                }
                if let Ok(hosts) = hosts {
                    let unique: BTreeSet<&Name> = hosts.iter().collect();
                    assert!(!hosts.is_empty() && unique.len() == hosts.len() && !unique.contains(&own[0]), "{hosts:?}");
                } else {
                    assert_ne!(hosts, Err(MailHostsError::Lookup(Error::Malformed)));
                }
            }
            _ => {
                let found = now(addresses(&cache, name));
                if entries == 0 {
                    assert_eq!(found, now(addresses(&*lock(&world.zone), name)));
                }
            }
        }
        assert!(cache.len() <= entries, "{} of {entries}", cache.len());
    }
}

const TIMES: [u32; 8] = [0, 1, 5, 60, 99, 100, 1_000, 100_000];

const TYPES: [RecordType; 6] =
    [RecordType::A, RecordType::AAAA, RecordType::MX, RecordType::PTR, RecordType::TLSA, RecordType::TXT];

fn ttl(how: u8) -> u32 {
    [0, 1, 5, 60, 99, 100, 101, 999, 1_001, 604_800, u32::MAX][usize::from(how) % 11]
}

fn names() -> Vec<Name> {
    let names = ["a.test", "b.a.test", "c.test", "*.test", "d.test", "test", "x.y.test", "."];
    names.iter().map(|name| name.parse().expect("a name")).collect()
}

fn record(which: u8, how: u8) -> Data {
    let name = names()[usize::from(how) % 8].clone();
    match which % 9 {
        0 => Data::A(Ipv4Addr::new(192, 0, 2, how)),
        1 => Data::Aaaa(Ipv6Addr::from(u128::from(how))),
        2 => Data::Mx(Mx { preference: u16::from(how) / 64, exchange: name }),
        3 => Data::Ptr(name),
        4 => Data::Tlsa(Tlsa { usage: 3, selector: 1, matching: 1, data: vec![how; usize::from(how) % 40] }),
        5 => Data::Txt(Txt { strings: vec![vec![how; 255]; usize::from(how)] }),
        6 => Data::Cname(name),
        7 => Data::Spf("v=spf1".into()),
        _ => {
            let [serial, refresh, retry, expire] = [1; 4];
            let (primary, mailbox) = (name.clone(), name);
            Data::Soa(Soa { primary, mailbox, serial, refresh, retry, expire, minimum: ttl(how / 11) })
        }
    }
}

/// What stands behind the cache, and what it has said: for each question the last answer, and
/// when.
#[derive(Default)]
struct World {
    zone: Mutex<Zone>,
    seconds: AtomicU64,
    said: Mutex<BTreeMap<(Name, RecordType), Said>>,
    asked: AtomicU64,
}

type Said = (Answer<Data>, u64);

fn world_time(world: &World) -> u64 {
    world.seconds.load(Ordering::Relaxed)
}

impl World {
    fn answer<T: Typed>(&self, name: &Name) -> Result<Answer<T>, Error> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let answer = lock(&self.zone).lookup(name, T::TYPE);
        let key = (name.clone(), T::TYPE);
        match &answer {
            Ok(answer) => lock(&self.said).insert(key, (answer.clone(), world_time(self))),
            Err(_) => lock(&self.said).remove(&key),
        };
        answer.map(Answer::typed)
    }

    /// Asks the cache: what it says is what was said behind it, now, or long enough ago that it
    /// still holds. Whether a cache may keep it, and whether it had it.
    fn ask<C: Fn() -> Instant + Send + Sync>(
        &self,
        cache: &Cache<&Self, C>,
        limits: Limits,
        name: &Name,
        record_type: RecordType,
    ) -> (bool, bool) {
        let before = self.asked.load(Ordering::Relaxed);
        let result = by_type(cache, name, record_type);
        let asked = self.asked.load(Ordering::Relaxed) - before;
        let said = lock(&self.said).get(&(name.clone(), record_type)).cloned();
        let Some((answer, at)) = said else {
            assert!(result.is_err() && asked == 1, "{result:?}");
            return (false, false);
        };
        let longest = if answer.presence == Presence::Found { limits.positive } else { limits.negative };
        let (age, kept) = (Duration::from_secs(world_time(self) - at), answer.ttl.min(longest));
        let size: usize = answer.records.iter().map(Data::wire_len).sum();
        let keepable = !kept.is_zero() && size <= MAX_KEPT;
        match asked {
            0 => {
                assert!(keepable && age < kept, "{age:?} of {kept:?}");
                assert_eq!(result, Ok(Answer { ttl: kept - age, ..answer }));
            }
            1 => assert_eq!((result, age), (Ok(answer), Duration::ZERO)),
            more => panic!("asked {more} times"),
        }
        (keepable, asked == 0)
    }
}

fn by_type(resolver: &impl Resolver, name: &Name, record_type: RecordType) -> Result<Answer<Data>, Error> {
    fn data<T: Typed>(answer: Result<Answer<T>, Error>) -> Result<Answer<Data>, Error> {
        answer.map(|answer| answer.filter_map(|record| Some(record.into_data())))
    }
    match record_type {
        RecordType::A => data(now(resolver.a(name))),
        RecordType::AAAA => data(now(resolver.aaaa(name))),
        RecordType::MX => data(now(resolver.mx(name))),
        RecordType::PTR => data(now(resolver.ptr(name))),
        RecordType::TLSA => data(now(resolver.tlsa(name))),
        _ => data(now(resolver.txt(name))),
    }
}

impl Resolver for World {
    async fn a(&self, name: &Name) -> Result<Answer<Ipv4Addr>, Error> {
        self.answer(name)
    }

    async fn aaaa(&self, name: &Name) -> Result<Answer<Ipv6Addr>, Error> {
        self.answer(name)
    }

    async fn mx(&self, name: &Name) -> Result<Answer<Mx>, Error> {
        self.answer(name)
    }

    async fn ptr(&self, name: &Name) -> Result<Answer<Name>, Error> {
        self.answer(name)
    }

    async fn tlsa(&self, name: &Name) -> Result<Answer<Tlsa>, Error> {
        self.answer(name)
    }

    async fn txt(&self, name: &Name) -> Result<Answer<Txt>, Error> {
        self.answer(name)
    }
}
