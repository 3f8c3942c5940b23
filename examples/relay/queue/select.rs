//! Which units are meant.

use std::{str::FromStr, time::Duration};

use clap::{Args, ValueEnum};
use hikyaku::{
    queue::{Filter, MsgId, QueueKey, StateKind, UnitId},
    wire::{Domain, ForwardPath, ReversePath, Timestamp},
};

use super::access::Failure;

/// All that is given must hold.
#[derive(Args, Default)]
pub(crate) struct Selection {
    /// Messages, or with `.number` behind them single units.
    #[arg(value_name = "ID")]
    ids: Vec<Id>,
    /// To this destination: a key as `list` and `summary` show it.
    #[arg(long)]
    key: Option<String>,
    /// From this sender; `<>` is that of bounces.
    #[arg(long, value_name = "ADDRESS")]
    from: Option<Path<ReversePath>>,
    /// From a sender at this domain.
    #[arg(long, value_name = "DOMAIN")]
    from_domain: Option<Domain>,
    /// With this recipient.
    #[arg(long, value_name = "ADDRESS")]
    to: Option<Path<ForwardPath>>,
    /// With a recipient at this domain.
    #[arg(long, value_name = "DOMAIN")]
    to_domain: Option<Domain>,
    /// Submitted by this user.
    #[arg(long)]
    user: Option<String>,
    /// In this state.
    #[arg(long, value_enum)]
    state: Option<State>,
    /// Received longer ago than this: `90s`, `10m`, `2h`, `1d12h`.
    #[arg(long, value_name = "TIME")]
    older: Option<Span>,
    /// Received since then.
    #[arg(long, value_name = "TIME")]
    newer: Option<Span>,
    /// Everything.
    #[arg(long)]
    all: bool,
}

/// A message or one unit of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Id(MsgId, Option<u16>);

impl FromStr for Id {
    type Err = hikyaku::queue::IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<MsgId>() {
            Ok(msg) => Ok(Self(msg, None)),
            Err(_) => text.parse().map(|UnitId { msg, unit }| Self(msg, Some(unit))),
        }
    }
}

/// An address, with or without the angle brackets of a path.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Path<T>(T);

impl<T: FromStr> FromStr for Path<T> {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = text.parse().or_else(|_| format!("<{text}>").parse());
        path.map(Self).map_err(|_| "not an address such as `alice@example.org`")
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum State {
    /// Waits to be delivered.
    Ready,
    /// Is being delivered.
    Leased,
    /// Is kept back.
    Held,
}

/// How long: `90s`, `10m`, `2h`, `1d12h`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span(pub(crate) Duration);

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "not a time such as `90s`, `10m`, `2h` or `1d12h`";
        let (mut sum, mut number) = (0_u64, None::<u64>);
        for c in text.chars() {
            if let Some(digit) = c.to_digit(10) {
                let next = number.unwrap_or(0).checked_mul(10).and_then(|n| n.checked_add(u64::from(digit)));
                number = Some(next.ok_or(WRONG)?);
                continue;
            }
            let unit = match c {
                's' => 1,
                'm' => 60,
                'h' => 3600,
                'd' => 86_400,
                'w' => 7 * 86_400,
                _ => return Err(WRONG),
            };
            let seconds = number.take().and_then(|n| n.checked_mul(unit)).and_then(|n| sum.checked_add(n));
            sum = seconds.ok_or(WRONG)?;
        }
        if text.is_empty() || number.is_some() { Err(WRONG) } else { Ok(Self(Duration::from_secs(sum))) }
    }
}

impl Selection {
    /// The filters that together mean what was asked for; everything if nothing was.
    pub(crate) fn filters(&self, now: Timestamp) -> Result<Vec<Filter>, Failure> {
        let mut filter = Filter::all();
        filter.key = self.key.as_deref().map(QueueKey::new);
        filter.sender = self.from.clone().map(|path| path.0);
        filter.sender_domain.clone_from(&self.from_domain);
        filter.rcpt = self.to.clone().map(|path| path.0);
        filter.rcpt_domain.clone_from(&self.to_domain);
        filter.user.clone_from(&self.user);
        filter.state = self.state.map(|state| match state {
            State::Ready => StateKind::Ready,
            State::Leased => StateKind::Leased,
            State::Held => StateKind::Held,
        });
        filter.received_before = self.older.map(|span| now.saturating_sub(span.0));
        filter.received_from = self.newer.map(|span| now.saturating_sub(span.0));
        if self.all && (!self.ids.is_empty() || filter != Filter::all()) {
            return Err(Failure::Selection("`--all` means everything: leave it out, or all else"));
        }
        if self.ids.is_empty() {
            return Ok(vec![filter]);
        }
        let of = |Id(msg, unit): &Id| {
            let mut filter = filter.clone();
            (filter.msg, filter.unit) = (Some(*msg), *unit);
            filter
        };
        Ok(self.ids.iter().map(of).collect())
    }

    /// The same for what changes something: then everything must be asked for in words.
    pub(crate) fn chosen(&self, now: Timestamp) -> Result<Vec<Filter>, Failure> {
        let filters = self.filters(now)?;
        if !self.all && filters == [Filter::all()] {
            return Err(Failure::Selection("say which units: by id, `--key`, `--from` and so on, or `--all`"));
        }
        Ok(filters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(10_000_000);

    #[test]
    fn nothing_is_not_everything_for_what_changes() {
        let nothing = Selection::default();
        assert_eq!(nothing.filters(NOW).unwrap(), [Filter::all()]);
        assert!(nothing.chosen(NOW).is_err());
        let all = Selection { all: true, ..Selection::default() };
        assert_eq!(all.chosen(NOW).unwrap(), [Filter::all()]);
        let both = Selection { all: true, key: Some("k".to_owned()), ..Selection::default() };
        assert!(both.filters(NOW).is_err());
        let both = Selection { all: true, ids: vec![Id(MsgId::from_bytes([1; 16]), None)], ..Selection::default() };
        assert!(both.filters(NOW).is_err());
    }

    #[test]
    fn every_field_goes_into_every_filter() {
        let msg = MsgId::from_bytes([1; 16]);
        let selection = Selection {
            ids: vec![msg.to_string().parse().unwrap(), format!("{msg}.7").parse().unwrap()],
            key: Some("mx:a.test".to_owned()),
            from: Some("<>".parse().unwrap()),
            from_domain: Some("a.test".parse().unwrap()),
            to: Some("b@c.test".parse().unwrap()),
            to_domain: Some("c.test".parse().unwrap()),
            user: Some("u".to_owned()),
            state: Some(State::Held),
            older: Some("1h".parse().unwrap()),
            newer: Some("2h".parse().unwrap()),
            all: false,
        };
        let [message, unit] = &selection.chosen(NOW).unwrap()[..] else { panic!("two ids") };
        assert_eq!((message.msg, message.unit, unit.msg, unit.unit), (Some(msg), None, Some(msg), Some(7)));
        for filter in [message, unit] {
            assert_eq!(filter.key, Some(QueueKey::new("mx:a.test")));
            assert_eq!(filter.sender, Some(ReversePath::Null));
            assert_eq!(filter.sender_domain, "a.test".parse().ok());
            assert_eq!(filter.rcpt, "<b@c.test>".parse().ok());
            assert_eq!(filter.rcpt_domain, "c.test".parse().ok());
            assert_eq!(filter.user.as_deref(), Some("u"));
            assert_eq!(filter.state, Some(StateKind::Held));
            assert_eq!(filter.received_before, Some(Timestamp::from_millis(10_000_000 - 3_600_000)));
            assert_eq!(filter.received_from, Some(Timestamp::from_millis(10_000_000 - 7_200_000)));
        }
    }

    #[test]
    fn times() {
        for (text, seconds) in [("0s", 0), ("90s", 90), ("10m", 600), ("2h", 7200), ("1d12h", 129_600), ("1w", 604_800)]
        {
            assert_eq!(text.parse(), Ok(Span(Duration::from_secs(seconds))), "{text}");
        }
        for text in ["", "2", "h", "2 h", "-2h", "2h3", "2y", "18446744073709551616s", "18446744073709551615w"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
