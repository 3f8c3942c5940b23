//! Which failures of DMARC a trusted sealer says were none (RFC 8617 §7.2.1).

use hikyaku_dns::Name;
use hikyaku_message::Header;
use hikyaku_message::results::{self, ArcAuthenticationResults, AuthenticationResults};

use crate::dmarc;

/// The lowest instance whose sealer has seen DMARC pass for this author, if it is trusted and all
/// that sealed after it are: each of them could have changed the message.
///
/// The sealers are those of a chain that passes, instance 1 first.
pub(super) fn vouched(header: &Header<'_>, sealers: &[Name], author: &Name, trusted: &[Name]) -> Option<u8> {
    let believed = sealers.iter().rev().take_while(|sealer| trusted.contains(sealer)).count();
    if believed == 0 {
        return None;
    }
    let first = sealers.len() - believed;
    let fields = header.all("ARC-Authentication-Results").filter_map(|field| {
        let set = ArcAuthenticationResults::parse(field.raw_value()).ok()?;
        let instance = set.instance();
        (usize::from(instance) > first && passed(set.results(), author)).then_some(instance)
    });
    fields.min()
}

/// What a trusted sealer vouches for is not treated as its author's domain asks for; the result
/// stays fail.
pub(super) fn excuse(outcome: &mut dmarc::Outcome, instance: u8, sealers: &[Name]) {
    let sealer = usize::from(instance).checked_sub(1).and_then(|at| sealers.get(at));
    let by = sealer.map(|sealer| format!(" as[{instance}].d={sealer}")).unwrap_or_default();
    let reason =
        dmarc::Override { reason: dmarc::OverrideReason::TrustedForwarder, comment: Some(format!("arc=pass{by}")) };
    outcome.override_with(dmarc::Policy::None, reason);
}

/// Whether the results say that DMARC passed for the author's domain, and that one alone.
fn passed<T: AsRef<str>>(found: &AuthenticationResults<T>, author: &Name) -> bool {
    let known = matches!(found.version(), None | Some(1));
    let dmarc = found.results().iter().filter(|info| *info.method() == *results::Dmarc::METHOD);
    let says = |info| results::Dmarc::of(info) == Some(results::Dmarc::Pass);
    let mut dmarc = dmarc.map(|info| (says(info), info.property("header", "from")));
    let (Some((true, Some(from))), None) = (dmarc.next(), dmarc.next()) else { return false };
    known && Name::from_domain(from.as_str()).is_ok_and(|from| from == *author)
}
