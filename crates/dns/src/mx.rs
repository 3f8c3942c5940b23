use std::net::IpAddr;
use std::pin::pin;
use std::task::Poll;

use crate::{Answer, Error, Mx, Name, Presence, Resolver};

/// Why a domain has no host to deliver to; each has an enhanced status code of
/// its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum MailHostsError {
    /// The domain does not exist: 5.1.2, for good.
    #[error("the domain does not exist")]
    NoDomain,
    /// The domain says that it accepts no mail (RFC 7505): 5.1.10, for good.
    #[error("the domain accepts no mail")]
    NoMail,
    /// The mail is where it should go, but nobody here takes it: 5.4.6, for
    /// good (RFC 5321 §5.1).
    #[error("the best mail host of the domain is this host")]
    Loop,
    /// It is not known: 4.4.3, later again.
    #[error("looking for the mail hosts failed: {0}")]
    Lookup(#[from] Error),
}

/// Finds the hosts that take the mail of a domain, in the order in which they
/// are to be tried (RFC 5321 §5.1).
///
/// Lower preferences come first; among equal ones `random` chooses the order.
/// A domain without MX is its own host. If one of the hosts is this one, which
/// is called by all names in `own`, those that are not better are left out. A
/// null MX beside others is ignored (RFC 7505 §3).
///
/// The hosts are not empty, and each stands once. That a host has an address
/// is for [`addresses`] to find out.
///
/// # Errors
///
/// [`MailHostsError`]; a failed lookup is never taken for a domain without MX.
pub async fn mail_hosts<R: Resolver>(
    resolver: &R,
    domain: &Name,
    own: &[Name],
    random: u64,
) -> Result<Vec<Name>, MailHostsError> {
    select(resolver.mx(domain).await?, domain, own, random)
}

/// Finds the addresses of a host, IPv6 first.
///
/// Both lookups run at the same time. Nothing is an empty list.
///
/// # Errors
///
/// [`Error`] if a lookup fails and the other one finds nothing: then it is not
/// known whether there are addresses.
pub async fn addresses<R: Resolver>(resolver: &R, host: &Name) -> Result<Vec<IpAddr>, Error> {
    let (aaaa, a) = join(resolver.aaaa(host), resolver.a(host)).await;
    let mut error = None;
    let mut found: Vec<IpAddr> = Vec::new();
    match aaaa {
        Ok(answer) => found.extend(answer.records.into_iter().map(IpAddr::from)),
        Err(failed) => error = Some(failed),
    }
    match a {
        Ok(answer) => found.extend(answer.records.into_iter().map(IpAddr::from)),
        Err(failed) => error = error.or(Some(failed)),
    }
    match error {
        Some(error) if found.is_empty() => Err(error),
        _ => Ok(found),
    }
}

fn select(answer: Answer<Mx>, domain: &Name, own: &[Name], random: u64) -> Result<Vec<Name>, MailHostsError> {
    let mut exchanges = match answer.presence {
        Presence::NoName => return Err(MailHostsError::NoDomain),
        Presence::NoData => vec![Mx { preference: 0, exchange: domain.clone() }],
        Presence::Found => answer.records,
    };
    exchanges.retain(|mx| !mx.exchange.is_root());
    if exchanges.is_empty() {
        return Err(MailHostsError::NoMail);
    }
    let is_own = |mx: &&Mx| own.contains(&mx.exchange);
    if let Some(limit) = exchanges.iter().filter(is_own).map(|mx| mx.preference).min() {
        exchanges.retain(|mx| mx.preference < limit);
        if exchanges.is_empty() {
            return Err(MailHostsError::Loop);
        }
    }
    shuffle(&mut exchanges, random);
    exchanges.sort_by_key(|mx| mx.preference);
    let mut hosts: Vec<Name> = Vec::with_capacity(exchanges.len());
    let mut seen = std::collections::HashSet::new();
    for mx in exchanges {
        if seen.insert(mx.exchange.clone()) {
            hosts.push(mx.exchange);
        }
    }
    Ok(hosts)
}

/// Fisher-Yates on the numbers that SplitMix64 makes of the seed: fair enough
/// to share load, which is all that RFC 5321 §5.1 wants of it.
fn shuffle<T>(items: &mut [T], mut seed: u64) {
    for last in (1..items.len()).rev() {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let other = mixed % (last as u64 + 1);
        items.swap(last, usize::try_from(other).unwrap_or(last));
    }
}

/// Runs two futures at the same time, in the same task.
async fn join<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut a_done, mut b_done) = (None, None);
    std::future::poll_fn(|context| {
        if a_done.is_none()
            && let Poll::Ready(output) = a.as_mut().poll(context)
        {
            a_done = Some(output);
        }
        if b_done.is_none()
            && let Poll::Ready(output) = b.as_mut().poll(context)
        {
            b_done = Some(output);
        }
        match (a_done.take(), b_done.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (a, b) => {
                (a_done, b_done) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::now::now;
    use crate::{RecordType, Zone};

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn zone() -> Zone {
        let mut zone: Zone = "
$ORIGIN test.
null     MX 0 .
null2    MX 10 .
         MX 20 .
mixed    MX 0 .
         MX 10 mx1
plain    A 192.0.2.1
v6       AAAA 2001:db8::1
three    MX 30 mx3
         MX 10 mx1
         MX 20 mx2
twice    MX 20 mx1
         MX 10 mx2
         MX 10 mx1
backup   MX 10 mx1
         MX 20 own
         MX 20 mx2
         MX 30 mx3
self     MX 20 mx1
         MX 10 own
own      A 192.0.2.9
alias    CNAME three
dangling CNAME nowhere
loop     CNAME loop
mxloop   MX 10 loop
         MX 20 both
both     A 192.0.2.2
         A 192.0.2.3
         AAAA 2001:db8::2
half     A 192.0.2.4
"
        .parse()
        .unwrap();
        for (text, record_type, error) in [
            ("servfail.test", RecordType::MX, Error::ServerFailure),
            ("timeout.test", RecordType::MX, Error::Timeout),
            ("bogus.test", RecordType::MX, Error::Bogus),
            ("half.test", RecordType::AAAA, Error::Timeout),
            ("v6.test", RecordType::A, Error::ServerFailure),
            ("mx1.test", RecordType::AAAA, Error::Timeout),
        ] {
            zone.failures.insert((name(text), record_type), error.into());
        }
        zone
    }

    /// D71, and what else RFC 5321 §5.1 and RFC 7505 say.
    #[test]
    fn d71_mail_hosts() {
        use MailHostsError as E;

        let cases: [(&str, Result<&[&str], E>); 17] = [
            ("null.test", Err(E::NoMail)),
            ("null2.test", Err(E::NoMail)),
            ("mixed.test", Ok(&["mx1.test"])),
            ("nowhere.test", Err(E::NoDomain)),
            ("dangling.test", Err(E::NoDomain)),
            ("servfail.test", Err(E::Lookup(Error::ServerFailure))),
            ("timeout.test", Err(E::Lookup(Error::Timeout))),
            ("bogus.test", Err(E::Lookup(Error::Bogus))),
            ("loop.test", Err(E::Lookup(Error::AliasLoop))),
            ("plain.test", Ok(&["plain.test"])),
            ("v6.test", Ok(&["v6.test"])),
            ("three.test", Ok(&["mx1.test", "mx2.test", "mx3.test"])),
            ("alias.test", Ok(&["mx1.test", "mx2.test", "mx3.test"])),
            ("backup.test", Ok(&["mx1.test"])),
            ("self.test", Err(E::Loop)),
            ("own.test", Err(E::Loop)),
            // The loop is found when the addresses are, and the next host tried.
            ("mxloop.test", Ok(&["loop.test", "both.test"])),
        ];
        let own = [name("other.test"), name("own.test")];
        for (domain, expected) in cases {
            let expected = expected.map(|hosts| hosts.iter().copied().map(name).collect());
            for random in 0..8 {
                let found = now(mail_hosts(&zone(), &name(domain), &own, random));
                assert_eq!(found, expected, "{domain}");
            }
        }
        // Each host once, with its best preference.
        for random in 0..8 {
            let hosts = now(mail_hosts(&zone(), &name("twice.test"), &own, random)).unwrap();
            assert_eq!(hosts.len(), 2, "{hosts:?}");
        }
    }

    #[test]
    fn equal_preferences_are_shuffled_and_others_are_not() {
        let zone: Zone = "
d. MX 5 first.
d. MX 10 a.
d. MX 10 b.
d. MX 10 c.
d. MX 20 last.
"
        .parse()
        .unwrap();
        let orders: HashSet<Vec<Name>> = (0..1000)
            .map(|random| now(mail_hosts(&zone, &name("d"), &[], random)).unwrap())
            .inspect(|hosts| assert!(hosts[0] == name("first") && hosts[4] == name("last")))
            .collect();
        assert_eq!(orders.len(), 6);
        let again = |random| now(mail_hosts(&zone, &name("d"), &[], random)).unwrap();
        assert_eq!(again(7), again(7));
    }

    #[test]
    fn one_failed_address_lookup_does_not_hide_the_other() {
        let cases: [(&str, Result<&[&str], Error>); 6] = [
            ("both.test", Ok(&["2001:db8::2", "192.0.2.2", "192.0.2.3"])),
            ("half.test", Ok(&["192.0.2.4"])),
            ("v6.test", Ok(&["2001:db8::1"])),
            // Nothing and a failure: it is not known.
            ("mx1.test", Err(Error::Timeout)),
            ("loop.test", Err(Error::AliasLoop)),
            ("nowhere.test", Ok(&[])),
        ];
        for (host, expected) in cases {
            let expected = expected.map(|found| found.iter().map(|text| text.parse().unwrap()).collect());
            assert_eq!(now(addresses(&zone(), &name(host))), expected, "{host}");
        }
    }

    #[test]
    fn both_lookups_run_at_the_same_time() {
        // Each is ready only once the other one has been polled.
        let gate = std::cell::Cell::new(0);
        let side = || {
            let mut mine = None;
            let gate = &gate;
            std::future::poll_fn(move |context| {
                mine.get_or_insert_with(|| gate.set(gate.get() + 1));
                context.waker().wake_by_ref();
                if gate.get() == 2 { Poll::Ready(()) } else { Poll::Pending }
            })
        };
        let mut both = pin!(join(side(), side()));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(both.as_mut().poll(&mut context).is_pending());
        assert!(both.as_mut().poll(&mut context).is_ready());
    }
}
