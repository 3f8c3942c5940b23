//! The resolver of a relay, chosen at run time.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
    time::Instant,
};

use hikyaku_dns::{Answer, Cache, Error, Limits, Mx, Name, Resolver, System, Tlsa, Txt, Zone};

/// Answers from a zone only, or from real servers with a cache in front.
pub enum Dns {
    /// Nothing but this zone exists.
    Zone(Box<Zone>),
    /// Real servers.
    Servers(Box<Cache<System>>),
}

impl fmt::Debug for Dns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zone(_) => "Dns::Zone",
            Self::Servers(_) => "Dns::Servers",
        })
    }
}

impl From<Zone> for Dns {
    fn from(zone: Zone) -> Self {
        Self::Zone(Box::new(zone))
    }
}

impl From<System> for Dns {
    fn from(system: System) -> Self {
        Self::Servers(Box::new(Cache::new(system, Limits::default(), Instant::now)))
    }
}

macro_rules! either {
    ($($lookup:ident -> $record:ty;)*) => {
        impl Resolver for Dns {
            $(async fn $lookup(&self, name: &Name) -> Result<Answer<$record>, Error> {
                match self {
                    Self::Zone(zone) => zone.$lookup(name).await,
                    Self::Servers(servers) => servers.$lookup(name).await,
                }
            })*
        }
    };
}

either! {
    a -> Ipv4Addr;
    aaaa -> Ipv6Addr;
    mx -> Mx;
    ptr -> Name;
    tlsa -> Tlsa;
    txt -> Txt;
}
