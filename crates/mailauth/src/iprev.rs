//! The name of an address (RFC 8601 §3).

use std::net::IpAddr;

use hikyaku_dns::{Name, Resolver};
use hikyaku_message::results;

use crate::{LookupError, Lookups};

/// Names of an address that are looked up at most: whoever holds an address can give it thousands.
const MAX_NAMES: usize = 10;

/// What the reverse name of an address is worth (RFC 8601 §3): forward-confirmed or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReverseName {
    /// The result.
    pub result: results::Iprev,
    /// The name that leads back to the address.
    pub name: Option<Name>,
}

impl ReverseName {
    /// Looks it up: of at most ten names the first that leads back.
    ///
    /// An IPv4-mapped IPv6 address is the IPv4 address. The result is that of RFC 8601 §2.7.3: pass
    /// if a name leads back; permerror if the address has no name; temperror if the names could not
    /// be had, or if none leads back and one of them could not be looked up; else fail. What would
    /// go beyond the budget of the message is temperror.
    pub async fn look_up<R: Resolver>(lookups: &Lookups<'_, R>, address: IpAddr) -> Self {
        let address = address.to_canonical();
        let without_name = |result| Self { result, name: None };
        let names = match lookups.ptr(&Name::reverse(address)).await {
            Ok(answer) => answer.records,
            Err(_) => return without_name(results::Iprev::TempError),
        };
        if names.is_empty() {
            return without_name(results::Iprev::PermError);
        }
        let mut result = results::Iprev::Fail;
        for name in names.into_iter().take(MAX_NAMES) {
            match leads_to(lookups, &name, address).await {
                Ok(true) => return Self { result: results::Iprev::Pass, name: Some(name) },
                Ok(false) => {}
                Err(error) => {
                    result = results::Iprev::TempError;
                    if error == LookupError::Budget {
                        break;
                    }
                }
            }
        }
        without_name(result)
    }
}

async fn leads_to<R: Resolver>(lookups: &Lookups<'_, R>, name: &Name, address: IpAddr) -> Result<bool, LookupError> {
    Ok(match address {
        IpAddr::V4(v4) => lookups.a(name).await?.records.contains(&v4),
        IpAddr::V6(v6) => lookups.aaaa(name).await?.records.contains(&v6),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use hikyaku_dns::{Data, Error, RecordType, Zone};
    use results::Iprev;

    use super::*;
    use crate::now::now;
    use crate::{Budget, Records};

    fn zone() -> Zone {
        let mut zone: Zone = "
$TTL 300
$ORIGIN 2.0.192.in-addr.arpa.
1 PTR mail.example.test.
2 PTR other.example.test.
3 PTR no.example.test.
4 PTR six.example.test.
5 PTR fails.example.test.
6 PTR fails.example.test.
6 PTR two.example.test.
7 TXT \"no name\"
9 PTR fails.example.test.
9 PTR other.example.test.
$ORIGIN 8.b.d.0.1.0.0.2.ip6.arpa.
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 PTR mail.example.test.
2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 PTR other.example.test.
$ORIGIN example.test.
mail  A 192.0.2.9
mail  A 192.0.2.1
mail  AAAA 2001:db8::1
other A 192.0.2.99
six   AAAA ::ffff:192.0.2.4
two   A 192.0.2.6
"
        .parse()
        .unwrap();
        let fails: Name = "fails.example.test".parse().unwrap();
        zone.failures.insert((fails, RecordType::A), Error::Timeout.into());
        zone.failures.insert((Name::reverse([192, 0, 2, 8].into()), RecordType::PTR), Error::ServerFailure.into());
        for number in 0..=12 {
            let name: Name = format!("n{number:02}.example.test").parse().unwrap();
            for (last, good) in [(10, 9), (11, 10)] {
                zone.add(Name::reverse([192, 0, 2, last].into()), 300, Data::Ptr(name.clone()));
                if number == good {
                    zone.add(name.clone(), 300, Data::A([192, 0, 2, last].into()));
                }
            }
        }
        zone
    }

    /// The result, the name, and how many questions there were.
    fn look_up(address: &str, queries: u32) -> (Iprev, Option<String>, u32) {
        let records = Records::new(zone());
        let lookups = records.lookups(Instant::now(), Budget { queries });
        let found = now(ReverseName::look_up(&lookups, address.parse().unwrap()));
        (found.result, found.name.map(|name| name.to_string()), lookups.asked())
    }

    /// RFC 8601 §2.7.3 and §3.
    #[test]
    fn rfc_8601_2_7_3_the_words_of_iprev() {
        for (address, result, name, asked) in [
            ("192.0.2.1", Iprev::Pass, Some("mail.example.test"), 2),
            ("::ffff:192.0.2.1", Iprev::Pass, Some("mail.example.test"), 2),
            ("2001:db8::1", Iprev::Pass, Some("mail.example.test"), 2),
            // The name has another address, none, or one of another family.
            ("192.0.2.2", Iprev::Fail, None, 2),
            ("192.0.2.3", Iprev::Fail, None, 2),
            ("192.0.2.4", Iprev::Fail, None, 2),
            ("2001:db8::2", Iprev::Fail, None, 2),
            // One name fails, the next leads back or not.
            ("192.0.2.5", Iprev::TempError, None, 2),
            ("192.0.2.6", Iprev::Pass, Some("two.example.test"), 3),
            ("192.0.2.9", Iprev::TempError, None, 3),
            // No name: NODATA and NXDOMAIN.
            ("192.0.2.7", Iprev::PermError, None, 1),
            ("192.0.2.77", Iprev::PermError, None, 1),
            ("2001:db8::77", Iprev::PermError, None, 1),
            ("192.0.2.8", Iprev::TempError, None, 1),
        ] {
            assert_eq!(look_up(address, 50), (result, name.map(str::to_owned), asked), "{address}");
        }
    }

    #[test]
    fn of_thirteen_names_ten_are_looked_up() {
        assert_eq!(look_up("192.0.2.10", 50), (Iprev::Pass, Some("n09.example.test".into()), 11));
        assert_eq!(look_up("192.0.2.11", 50), (Iprev::Fail, None, 11));
        // Within what the message may ask.
        assert_eq!(look_up("192.0.2.11", 5), (Iprev::TempError, None, 5));
        assert_eq!(look_up("192.0.2.1", 0), (Iprev::TempError, None, 0));
    }
}
