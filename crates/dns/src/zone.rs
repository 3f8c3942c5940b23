use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Bound;
use std::str::FromStr;
use std::time::Duration;

use crate::record::{Absolute, Data, Typed};
use crate::{Answer, Error, Mx, Name, Presence, RecordType, Resolver, Security, Tlsa, Txt};
use crate::{ZoneError, ZoneWarning, master};

/// How many aliases are followed before a lookup gives up.
pub(crate) const MAX_ALIASES: usize = 8;

/// A resolver that answers from memory: plain data, of a literal or of a master
/// file (RFC 1035 §5).
///
/// It is the whole DNS, not one zone of it: what does not stand here does not
/// exist. Aliases are followed, up to eight; wildcards work as in RFC 4592;
/// a name exists if it stands here, were it with an empty list, and if one below
/// it does (RFC 8020). A negative answer may be kept as long as
/// the SOA record at or above the name says (RFC 2308 §5), and without one not
/// at all.
///
/// Printing gives the records as a master file, one a line, which reads back as
/// the same records if they keep the limits of the DNS; `failures` and
/// `security` are not part of it.
///
/// # Incomplete support
///
/// NS records delegate nothing, and DNAME and signatures mean nothing.
///
/// ```
/// use hikyaku_dns::{Error, Name, RecordType, Zone};
///
/// let mut zone: Zone = "
/// $ORIGIN example.test.
/// @     300 IN MX 10 mx
/// mx    300 IN A  192.0.2.25
/// *.dyn 300 IN A  192.0.2.26
/// ".parse()?;
/// let slow: Name = "slow.test".parse()?;
/// zone.failures.insert((slow.clone(), RecordType::MX), Error::Timeout.into());
/// assert_eq!(zone.lookup(&slow, RecordType::MX), Err(Error::Timeout));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    /// The records of each name.
    pub records: BTreeMap<Name, Vec<Record>>,
    /// Lookups that end otherwise than the records say. [`RecordType::ANY`] stands for each type
    /// of which the name has neither records nor a failure of its own. A failure alone does not
    /// make a name exist.
    pub failures: BTreeMap<(Name, RecordType), Failure>,
    /// What every answer claims to be proved.
    pub security: Security,
}

/// A record of a [`Zone`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// How long it may be kept, in seconds.
    pub ttl: u32,
    /// What it says.
    pub data: Data,
}

/// How a lookup in a [`Zone`] ends, whatever its records say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// Nothing is known.
    Error(Error),
    /// As if the name did not exist, for this type.
    NoName,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Zone {
    /// Reads a master file (RFC 1035 §5); relative names end in `origin` until
    /// the file says otherwise.
    ///
    /// Read are the types of [`Data`], and any other as `TYPEnnn \# …`
    /// (RFC 3597 §5); class IN; TTLs also with units (`1h30m`). A record
    /// without a TTL has that of `$TTL`, else that of the record before it,
    /// else an hour.
    ///
    /// # Errors
    ///
    /// [`ZoneError`] with line and column. `$INCLUDE` is one: nothing here
    /// opens files.
    pub fn read(text: &[u8], origin: &Name) -> Result<Self, ZoneError> {
        Ok(Self::read_with_warnings(text, origin)?.0)
    }

    /// Reads a master file as [`read`](Self::read) does, and says what in it is seldom meant: for
    /// who is about to publish it.
    ///
    /// ```
    /// use hikyaku_dns::{Name, Zone};
    ///
    /// let text = b"key._domainkey.example.test. TXT v=DKIM1; k=ed25519; p=11qYAYKxCrfVS";
    /// let (_, warnings) = Zone::read_with_warnings(text, &Name::root())?;
    /// assert!(warnings[0].to_string().starts_with("line 1, column 41: the text ends here"));
    /// # Ok::<(), hikyaku_dns::ZoneError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read).
    pub fn read_with_warnings(text: &[u8], origin: &Name) -> Result<(Self, Vec<ZoneWarning>), ZoneError> {
        master::read(text, origin)
    }

    /// Reads the zone form of the public test suites of mail authentication, one JSON object:
    ///
    /// ```
    /// use hikyaku_dns::{Error, RecordType, Zone};
    ///
    /// let zone = Zone::from_json(r#"{
    ///     "example.test": [
    ///         {"type": "MX", "data": [10, "mx.example.test"]},
    ///         {"type": "TXT", "data": ["v=spf1 mx ", "-all"]},
    ///         {"type": "*", "error": "TIMEOUT"}
    ///     ],
    ///     "mx.example.test": [{"type": "A", "data": "192.0.2.25"}]
    /// }"#)?;
    /// let domain = "example.test".parse()?;
    /// assert_eq!(zone.lookup(&domain, RecordType::TXT)?.records.len(), 1);
    /// assert_eq!(zone.lookup(&domain, RecordType::AAAA), Err(Error::Timeout));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A record has a `type` (`A`, `AAAA`, `CNAME`, `MX`, `NS`, `PTR`, `SPF`, `TXT`) and its
    /// `data`: a text, for MX preference and host, for TXT and SPF the list of its strings, in
    /// which each character up to U+00FF is an octet and what is longer than 255 octets is cut
    /// into strings; or, in the place of data, an `error`: `TIMEOUT`, `SERVFAIL` or `NXDOMAIN`,
    /// also for the type `*`, which is each that is not listed ([`RecordType::ANY`]). Names stand
    /// as they are, without escapes, with or without the final dot; those with U-labels are turned
    /// into A-labels. Each name that stands here exists. Every TTL is an hour.
    ///
    /// What the DNS cannot hold is left out: a name with an empty label, one of more than 63
    /// octets or more than 253 in all, since no resolver can be asked for it, and a record that
    /// leads to such a name.
    ///
    /// # Errors
    ///
    /// [`ZoneJsonError`](crate::ZoneJsonError) with line and column, and with the name and the
    /// number of the record.
    #[cfg(feature = "json")]
    pub fn from_json(text: impl AsRef<[u8]>) -> Result<Self, crate::ZoneJsonError> {
        crate::json::read(text.as_ref())
    }

    /// Adds a record.
    pub fn add(&mut self, name: Name, ttl: u32, data: Data) {
        self.records.entry(name).or_default().push(Record { ttl, data });
    }

    /// Looks up the records of a type, following aliases.
    ///
    /// # Errors
    ///
    /// [`Error::AliasLoop`], and what stands in `failures` for the name or a
    /// name it is an alias of.
    pub fn lookup(&self, name: &Name, record_type: RecordType) -> Result<Answer<Data>, Error> {
        let mut name = name.clone();
        let mut ttl = u32::MAX;
        for _ in 0..=MAX_ALIASES {
            match self.failure(&name, record_type) {
                Some(Failure::Error(error)) => return Err(error),
                Some(Failure::NoName) => return Ok(self.nothing(&name, Presence::NoName, ttl)),
                None => {}
            }
            let Some(here) = self.node(&name) else {
                return Ok(self.nothing(&name, Presence::NoName, ttl));
            };
            let found = here.iter().filter(|record| record.data.record_type() == record_type);
            let found: Vec<&Record> = found.collect();
            if !found.is_empty() {
                let ttl = found.iter().fold(ttl, |ttl, record| ttl.min(record.ttl));
                return Ok(Answer {
                    records: found.into_iter().map(|record| record.data.clone()).collect(),
                    presence: Presence::Found,
                    security: self.security,
                    ttl: seconds(ttl),
                });
            }
            let alias = here.iter().find_map(|record| match &record.data {
                Data::Cname(target) => Some((target, record.ttl)),
                _ => None,
            });
            let Some((target, alias_ttl)) = alias else {
                return Ok(self.nothing(&name, Presence::NoData, ttl));
            };
            ttl = ttl.min(alias_ttl);
            name = target.clone();
        }
        Err(Error::AliasLoop)
    }

    fn failure(&self, name: &Name, record_type: RecordType) -> Option<Failure> {
        let of = |record_type| self.failures.get(&(name.clone(), record_type)).copied();
        of(record_type).or_else(|| {
            let mut here = self.records.get(name).into_iter().flatten();
            let any = of(RecordType::ANY)?;
            (!here.any(|record| record.data.record_type() == record_type)).then_some(any)
        })
    }

    /// The records of a name, also of one that a wildcard makes (RFC 4592
    /// §3.3.1); `None` if it does not exist.
    fn node(&self, name: &Name) -> Option<&[Record]> {
        let here = |name| self.records.get(name).map_or(&[][..], Vec::as_slice);
        if self.exists(name) {
            return Some(here(name));
        }
        let mut encloser = name.parent()?;
        while !self.exists(&encloser) {
            encloser = encloser.parent()?;
        }
        let star = Name::from_labels([&b"*"[..]]).ok()?.join(&encloser).ok()?;
        self.exists(&star).then(|| here(&star))
    }

    /// Whether there are records at or below a name; those below follow it
    /// directly in the canonical order.
    fn exists(&self, name: &Name) -> bool {
        let from = (Bound::Included(name), Bound::Unbounded);
        let next = self.records.range::<Name, _>(from).next();
        next.is_some_and(|(next, _)| next.is_within(name))
    }

    fn nothing(&self, name: &Name, presence: Presence, ttl: u32) -> Answer<Data> {
        let mut at = Some(name.clone());
        let mut kept = 0;
        while let Some(above) = at {
            let here = self.records.get(&above).into_iter().flatten();
            let mut soa = here.filter_map(|record| match &record.data {
                Data::Soa(soa) => Some(record.ttl.min(soa.minimum)),
                _ => None,
            });
            if let Some(negative) = soa.next() {
                kept = negative.min(ttl);
                break;
            }
            at = above.parent();
        }
        Answer { records: Vec::new(), presence, security: self.security, ttl: seconds(kept) }
    }

    fn typed<T: Typed>(&self, name: &Name) -> Result<Answer<T>, Error> {
        self.lookup(name, T::TYPE).map(Answer::typed)
    }
}

fn seconds(ttl: u32) -> Duration {
    Duration::from_secs(ttl.into())
}

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(text: &str) -> Result<Self, ZoneError> {
        Self::read(text.as_bytes(), &Name::root())
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, records) in &self.records {
            for Record { ttl, data } in records {
                let record_type = data.record_type();
                writeln!(out, "{} {ttl} IN {record_type} {data}", Absolute(name))?;
            }
        }
        Ok(())
    }
}

impl Resolver for Zone {
    async fn a(&self, name: &Name) -> Result<Answer<Ipv4Addr>, Error> {
        self.typed(name)
    }

    async fn aaaa(&self, name: &Name) -> Result<Answer<Ipv6Addr>, Error> {
        self.typed(name)
    }

    async fn mx(&self, name: &Name) -> Result<Answer<Mx>, Error> {
        self.typed(name)
    }

    async fn ptr(&self, name: &Name) -> Result<Answer<Name>, Error> {
        self.typed(name)
    }

    async fn tlsa(&self, name: &Name) -> Result<Answer<Tlsa>, Error> {
        self.typed(name)
    }

    async fn txt(&self, name: &Name) -> Result<Answer<Txt>, Error> {
        self.typed(name)
    }
}

#[cfg(test)]
mod tests;
