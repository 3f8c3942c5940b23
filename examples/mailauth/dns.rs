//! Where records come from: files, or the resolver of the system.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use hikyaku_dns::{Answer, Cache, Error, Limits, Mx, Name, Resolver, System, Timing, Tlsa, Txt, Zone};
use hikyaku_mailauth::{Budget, Lookups, Records};
use tokio::time::timeout_at;

use crate::input::read;
use crate::notes;
use crate::report::Problem;

/// For all lookups together (RFC 7208 §4.6.4 asks for at least 20 s).
const PATIENCE: Duration = Duration::from_secs(20);

/// Where records come from.
#[derive(Args)]
pub(crate) struct Source {
    /// A file with all there is in the DNS: a master file (RFC 1035 §5) or JSON; may be repeated.
    /// Without it, the system's name servers are asked.
    #[arg(long = "zone", value_name = "FILE")]
    zones: Vec<PathBuf>,
}

impl Source {
    /// Opens it; what is wrong with the records of the files is told on standard error.
    pub(crate) fn open(&self) -> Result<Records<Dns>, Problem> {
        let until = tokio::time::Instant::now() + PATIENCE;
        let from = match self.zone()? {
            Some(zone) => From::Zone(zone),
            None => {
                let timing = Timing { timeout: Duration::from_secs(4), attempts: 2 };
                let system = System::from_configuration(timing);
                let hint = "name a file with --zone, or see to /etc/resolv.conf";
                let system = system.map_err(|error| Problem(format!("{error}; {hint}")))?;
                From::System(Box::new(Cache::new(system, Limits::default(), Instant::now)))
            }
        };
        Ok(Records::new(Dns { from, until }))
    }

    fn zone(&self) -> Result<Option<Zone>, Problem> {
        let mut all: Option<Zone> = None;
        for file in &self.zones {
            let text = read(file)?;
            let told = |error: &dyn std::fmt::Display| Problem(format!("{}: {error}", file.display()));
            let first = text.iter().find(|octet| !octet.is_ascii_whitespace());
            let zone = if first == Some(&b'{') {
                Zone::from_json(&text).map_err(|error| told(&error))?
            } else {
                let read = Zone::read_with_warnings(&text, &Name::root());
                let (zone, warnings) = read.map_err(|error| told(&error))?;
                warnings.iter().for_each(|warning| eprintln!("mailauth: {}: {warning}", file.display()));
                zone
            };
            notes::of(&zone).iter().for_each(|note| eprintln!("mailauth: {}: {note}", file.display()));
            let all = all.get_or_insert_default();
            for (name, records) in zone.records {
                all.records.entry(name).or_default().extend(records);
            }
            all.failures.extend(zone.failures);
        }
        Ok(all)
    }
}

/// The lookups of one message.
pub(crate) fn lookups(records: &Records<Dns>) -> Lookups<'_, Dns> {
    records.lookups(Instant::now(), Budget::default()).logged()
}

/// The lookups that were made, for JSON.
pub(crate) fn made(lookups: &Lookups<'_, Dns>) -> Vec<String> {
    lookups.log().iter().map(|lookup| format!("{} {}", lookup.name, lookup.record_type)).collect()
}

/// What answers, until the time is over.
#[derive(Debug)]
pub(crate) struct Dns {
    from: From,
    until: tokio::time::Instant,
}

enum From {
    Zone(Zone),
    System(Box<Cache<System>>),
}

impl std::fmt::Debug for From {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::Zone(_)) { "Zone" } else { "System" })
    }
}

macro_rules! ask {
    ($($method:ident -> $record:ty),*) => {
        impl Resolver for Dns {
            $(async fn $method(&self, name: &Name) -> Result<Answer<$record>, Error> {
                match &self.from {
                    From::Zone(zone) => zone.$method(name).await,
                    From::System(system) => {
                        timeout_at(self.until, system.$method(name)).await.unwrap_or(Err(Error::Timeout))
                    }
                }
            })*
        }
    };
}

ask!(a -> Ipv4Addr, aaaa -> Ipv6Addr, mx -> Mx, ptr -> Name, tlsa -> Tlsa, txt -> Txt);
