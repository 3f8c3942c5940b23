use std::time::Instant;

use hikyaku_dns::{Data, Error, Name, RecordType, Zone};

use super::*;
use crate::dmarc::{Destination, Record};
use crate::now::now;
use crate::{Budget, Records};

mod collecting;
mod destinations;
mod form;

fn name(text: &str) -> Name {
    Name::from_domain(text).unwrap()
}

fn read_xml(text: &str) -> Result<Report, ReportError> {
    Report::read(text.as_bytes(), &ReportLimits::default())
}

fn zone(entries: &[(&str, &str)]) -> Zone {
    let mut zone = Zone::default();
    for (owner, text) in entries {
        match *text {
            "SERVFAIL" => {
                zone.failures.insert((name(owner), RecordType::TXT), Error::ServerFailure.into());
            }
            text => zone.add(name(owner), 60, Data::Txt(text.into())),
        }
    }
    zone
}
