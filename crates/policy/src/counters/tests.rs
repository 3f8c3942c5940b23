use std::time::Duration;

use hikyaku_wire::Timestamp;

use super::{
    Rates, Triplets,
    lines::{key, word},
    recent::Recent,
};
use crate::{
    Condition, Facts, Listener, Per, Period, Policy, PolicyBuilder, Rate, Rule, Test, Window, random::Choices,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86400);

/// 2026-11-24, a little after midnight.
fn start() -> Timestamp {
    Timestamp::from_civil(2026, 11, 24, 0, 0, 1).unwrap()
}

fn counting(windows: &[Window]) -> Policy {
    let rule = |window: &Window| Rule::permit(Test::Rate(Rate { limit: 5, window: *window }));
    PolicyBuilder { rules: windows.iter().map(rule).collect(), ..PolicyBuilder::default() }.build().unwrap()
}

fn per(per: Per) -> Window {
    Window { period: Period::Hour, per }
}

fn facts(client: &str, sender: &str) -> Facts {
    let mut facts = Facts::new(Some(client.parse().unwrap()), Listener::Mx);
    facts.sender = Some(sender.parse().unwrap());
    facts.recipient = Some("<alice@example.org>".parse().unwrap());
    facts
}

fn count(rates: &mut Rates, policy: &Policy, facts: &Facts, now: Timestamp) -> u64 {
    let mut facts = facts.clone();
    rates.fill(policy, &mut facts, now);
    assert_eq!(facts.rates.len(), 1);
    facts.rates[0].1
}

#[test]
fn each_key_is_counted_by_itself() {
    let all = [Per::Ip, Per::Network, Per::User, Per::Sender, Per::Domain].map(per);
    let policy = counting(&all);
    let mut rates = Rates::new(100);
    let mut bob = facts("192.0.2.1", "<bob@sender.example>");
    bob.user = Some("bob".to_owned());
    for _ in 0..3 {
        rates.charge(&policy, &bob, start());
    }
    let mut counts = |facts: &Facts| {
        let mut facts = facts.clone();
        facts.rates = vec![(all[0], 77)];
        rates.fill(&policy, &mut facts, start());
        assert_eq!(facts.rates.iter().map(|(window, _)| *window).collect::<Vec<_>>(), all);
        facts.rates.iter().map(|(_, count)| *count).collect::<Vec<_>>()
    };
    assert_eq!(counts(&bob), [3, 3, 3, 3, 3]);
    assert_eq!(counts(&facts("::ffff:192.0.2.1", "<BOB@Sender.example>")), [3, 3, 0, 3, 3]);
    assert_eq!(counts(&facts("192.0.2.255", "<eve@sender.example>")), [0, 3, 0, 0, 3]);
    assert_eq!(counts(&facts("192.0.3.1", "<>")), [0; 5]);
    let mut nobody = facts("192.0.2.1", "<>");
    nobody.client = None;
    rates.charge(&policy, &nobody, start());
    assert_eq!(rates.len(), 5, "nothing is counted of who is nobody");

    let policy = counting(&[per(Per::Network)]);
    let mut rates = Rates::new(10);
    rates.charge(&policy, &facts("2001:db8:1:2::1", "<>"), start());
    assert_eq!(count(&mut rates, &policy, &facts("2001:db8:1:2:ffff::9", "<>"), start()), 1);
    assert_eq!(count(&mut rates, &policy, &facts("2001:db8:1:3::1", "<>"), start()), 0);
}

/// The count is never less than what came in the last period, and never more than what came in
/// the last nine eighths of it.
#[test]
fn the_count_is_of_the_last_period_and_at_most_an_eighth_more() {
    let mut choices = Choices::seeded(3);
    for period in [Period::Second, Period::Minute, Period::Hour, Period::Day] {
        let length = period.duration();
        let policy = counting(&[Window { period, per: Per::Ip }]);
        let who = facts("192.0.2.1", "<>");
        let mut rates = Rates::new(1);
        let (mut now, mut times) = (start(), Vec::new());
        let (mut least, mut most) = (0, 0);
        for _ in 0..2000 {
            now = now.saturating_add(length * choices.below(300) as u32 / 2000);
            let counted = count(&mut rates, &policy, &who, now);
            let since = |span: Duration| times.iter().filter(|time| now.saturating_since(**time) < span).count() as u64;
            let bounds = (since(length), since(length + length / 8));
            assert!(bounds.0 <= counted && counted <= bounds.1, "{counted} {bounds:?}");
            least += u64::from(bounds.0 == counted);
            most += u64::from(bounds.0 < counted);
            if choices.one_in(2) {
                rates.charge(&policy, &who, now);
                times.push(now);
            }
        }
        assert!(least > 100 && most > 100, "{least} {most}");
        assert_eq!(count(&mut rates, &policy, &who, now.saturating_add(length + length / 8)), 0);
        rates.charge(&policy, &who, now.saturating_add(DAY * 10_000));
        assert_eq!(count(&mut rates, &policy, &who, now.saturating_add(DAY * 10_000)), 1);
    }
}

#[test]
fn a_clock_that_is_set_back_forgets_nothing_and_locks_nobody_out() {
    let policy = counting(&[per(Per::Ip)]);
    let who = facts("192.0.2.1", "<>");
    let mut rates = Rates::new(10);
    let ahead = start().saturating_add(DAY * 365);
    rates.charge(&policy, &who, ahead);
    rates.charge(&policy, &who, ahead);
    assert_eq!(count(&mut rates, &policy, &who, start()), 2);
    assert_eq!(count(&mut rates, &policy, &who, start().saturating_add(HOUR - SECOND * 2)), 2);
    assert_eq!(count(&mut rates, &policy, &who, start().saturating_add(HOUR + HOUR / 8)), 0);
    for millis in [i64::MIN, i64::MAX, 0, -1] {
        let now = Timestamp::from_millis(millis);
        rates.charge(&policy, &who, now);
        assert!(count(&mut rates, &policy, &who, now) > 0);
    }
}

#[test]
fn what_was_not_asked_about_for_longest_is_forgotten() {
    let policy = counting(&[per(Per::Ip)]);
    let client = |n: u8| facts(&format!("192.0.2.{n}"), "<>");
    let mut rates = Rates::new(3);
    for n in [1, 2, 3] {
        rates.charge(&policy, &client(n), start());
    }
    assert_eq!(count(&mut rates, &policy, &client(1), start()), 1);
    rates.charge(&policy, &client(4), start());
    let counts = [1, 2, 3, 4].map(|n| count(&mut rates, &policy, &client(n), start()));
    assert_eq!(counts, [1, 0, 1, 1]);
    assert_eq!(rates.len(), 3);
    // What is only asked about takes no room.
    assert_eq!(count(&mut rates, &policy, &client(9), start()), 0);
    assert_eq!(rates.len(), 3);
}

#[test]
fn a_table_never_holds_more_than_it_may() {
    let mut recent = Recent::new(1000);
    for n in 0..1_000_000_u32 {
        *recent.touch(&(n % 1500).to_be_bytes(), || 0) += 1_u32;
        if n % 7 == 0 {
            recent.touch_known(&(n % 900).to_be_bytes());
        }
        assert!(recent.len() <= 1000);
    }
    assert_eq!((recent.len(), recent.iter().count()), (1000, 1000));
    assert_eq!(Recent::<()>::new(0).len(), 0);
    let mut one = Recent::new(0);
    one.touch(b"a", || 1);
    one.touch(b"b", || 2);
    assert_eq!(one.iter().map(|(key, value)| (key.to_vec(), *value)).collect::<Vec<_>>(), [(b"b".to_vec(), 2)]);
    assert_eq!((one.remove(b"a"), one.remove(b"b"), one.len(), one.iter().count()), (None, Some(2), 0, 0));
}

#[test]
fn counts_live_through_a_restart() {
    let policy = counting(&[per(Per::Sender)]);
    let odd = facts("192.0.2.1", "<\"a b%\u{fc}\"@sender.example>");
    let mut rates = Rates::new(10);
    for _ in 0..4 {
        rates.charge(&policy, &odd, start());
    }
    rates.charge(&policy, &facts("192.0.2.1", "<bob@sender.example>"), start());
    let snapshot = rates.snapshot();
    assert_eq!(snapshot.lines().count(), 2);
    let mut again = Rates::new(10);
    again.restore(&snapshot, start());
    assert_eq!(again.snapshot(), snapshot);
    assert_eq!(count(&mut again, &policy, &odd, start().saturating_add(HOUR / 2)), 4);
    let mut late = Rates::new(10);
    late.restore(&snapshot, start().saturating_add(HOUR * 2));
    assert!(late.is_empty(), "what has passed takes no room");
    let mut small = Rates::new(1);
    small.restore(&snapshot, start());
    assert_eq!(count(&mut small, &policy, &odd, start()), 0, "the newest are kept");
    let good = snapshot.lines().next().unwrap();
    for bad in [
        "",
        "x",
        "h sender",
        "y sender a 1 1,2,3,4,5,6,7,8,9",
        "h all a 1 1,2,3,4,5,6,7,8,9",
        "h ip a x 1,2,3,4,5,6,7,8,9",
        "h ip a 1 1,2,3",
        "h ip %zz 1 1,2,3,4,5,6,7,8,9",
        "h ip a 1 1,2,3,4,5,6,7,8,99999999999",
    ] {
        let mut rates = Rates::new(10);
        rates.restore(&format!("{bad}\n{good}\n{bad}"), start());
        assert_eq!(rates.len(), 1, "{bad}");
    }
}

#[test]
fn keys_are_words_and_back() {
    let mut choices = Choices::seeded(1);
    for length in 0..200 {
        let octets: Vec<u8> = (0..length).map(|_| choices.below(256) as u8).collect();
        let word = word(&octets);
        assert!(word.bytes().all(|b| b.is_ascii_graphic()) && !word.is_empty());
        assert_eq!(key(&word), Some(octets));
    }
    for text in ["", "%", "%4", "%zz", "%41", "a-b", "%2D", "a b", "%+1"] {
        assert_eq!(key(text), None, "{text}");
    }
    assert_eq!((word(b""), word(b"-"), key("-")), ("-".to_owned(), "%2d".to_owned(), Some(Vec::new())));
}

fn triplets() -> Triplets {
    Triplets::new(100, 5 * MINUTE, 35 * DAY)
}

fn after(time: Duration) -> Timestamp {
    start().saturating_add(time)
}

#[test]
fn who_comes_again_is_known() {
    let who = facts("192.0.2.1", "<bob@sender.example>");
    let mut seen = triplets();
    assert!(!seen.see(&who, start()));
    assert!(!seen.see(&who, after(5 * MINUTE - SECOND)), "too early, and that does not begin anew");
    assert!(seen.see(&who, after(5 * MINUTE)));
    assert!(seen.see(&facts("192.0.2.99", "<BOB@SENDER.example>"), after(6 * MINUTE)), "the same network");
    for other in [
        facts("192.0.3.1", "<bob@sender.example>"),
        facts("192.0.2.1", "<eve@sender.example>"),
        facts("192.0.2.1", "<>"),
    ] {
        assert!(!seen.see(&other, after(7 * MINUTE)), "{other:?}");
    }
    let mut other = who.clone();
    other.recipient = Some("<carol@example.org>".parse().unwrap());
    assert!(!seen.see(&other, after(7 * MINUTE)));
    assert_eq!(seen.len(), 5);
    // It is known for as long as it keeps coming, and for `keep` after that.
    assert!(seen.see(&who, after(30 * DAY)));
    assert!(seen.see(&who, after(60 * DAY)));
    assert!(!seen.see(&who, after(95 * DAY)));
    assert!(!seen.see(&who, after(95 * DAY + MINUTE)));
    assert!(seen.see(&who, after(95 * DAY + 6 * MINUTE)));
}

#[test]
fn who_comes_again_too_late_is_new() {
    let who = facts("2001:db8::1", "<>");
    let mut seen = triplets();
    assert!(!seen.see(&who, start()));
    assert!(!seen.see(&who, after(DAY + SECOND)));
    assert!(seen.see(&facts("2001:db8::ffff:1", "<>"), after(2 * DAY + SECOND)));
    let mut seen = triplets().retry_within(2 * DAY);
    assert!(!seen.see(&who, start()));
    assert!(seen.see(&who, after(2 * DAY)));
}

#[test]
fn without_sender_or_recipient_nothing_is_known() {
    let mut seen = Triplets::new(100, Duration::ZERO, DAY);
    let mut who = facts("192.0.2.1", "<>");
    assert!(seen.see(&who, start()));
    who.client = None;
    assert!(seen.see(&who, start()), "a client without an address is one client");
    who.recipient = None;
    assert!(!seen.see(&who, start()));
    who.recipient = Some("<postmaster>".parse().unwrap());
    who.sender = None;
    assert!(!seen.see(&who, start()));
    assert_eq!(seen.len(), 2);
}

#[test]
fn senders_that_change_from_message_to_message_are_one() {
    for (first, second, same) in [
        ("bounce-4711-alice=example.org@list.example", "bounce-9-alice=example.org@list.example", true),
        ("SRS0=HHaa=TT=sender.example=bob@fwd.example", "srs0=x+/y=UU=sender.example=bob@fwd.example", true),
        (
            "SRS1=HHaa=a.example==h=t=b.example=bob@fwd.example",
            "SRS1=ii=a.example==h=t=b.example=bob@fwd.example",
            true,
        ),
        ("SRS0=HH=TT=sender.example=bob@fwd.example", "SRS0=HH=TT=sender.example=eve@fwd.example", false),
        ("SRS1=HH=a.example==h=t=b.example=bob@fwd.example", "SRS1=HH=c.example==h=t=b.example=bob@fwd.example", false),
        ("a1@sender.example", "a@sender.example", false),
        ("a@1.example", "a@2.example", false),
        ("srs0@fwd.example", "srs0=a=b@fwd.example", false),
    ] {
        let mut seen = triplets();
        assert!(!seen.see(&facts("192.0.2.1", &format!("<{first}>")), start()));
        assert_eq!(seen.see(&facts("192.0.2.1", &format!("<{second}>")), after(HOUR)), same, "{first} {second}");
    }
}

#[test]
fn a_flood_of_new_ones_displaces_no_known_one() {
    let mut seen = Triplets::new(10, MINUTE, 35 * DAY);
    let known = facts("192.0.2.1", "<bob@sender.example>");
    assert!(!seen.see(&known, start()) && seen.see(&known, after(MINUTE)));
    for n in 0..1000 {
        let client = format!("203.0.{}.1", n % 256);
        assert!(!seen.see(&facts(&client, &format!("<{}@sender.example>", "x".repeat(1 + n / 20))), after(MINUTE)));
        assert!(seen.len() <= 10);
    }
    assert_eq!(seen.len(), 6);
    assert!(seen.see(&known, after(HOUR)));
}

#[test]
fn a_greylist_with_a_clock_set_back() {
    let who = facts("192.0.2.1", "<bob@sender.example>");
    let mut seen = triplets();
    assert!(!seen.see(&who, after(DAY)));
    assert!(!seen.see(&who, start()), "it counts as first seen now");
    assert!(seen.see(&who, after(5 * MINUTE)));
    let mut seen = triplets();
    assert!(!seen.see(&who, after(DAY)) && seen.see(&who, after(DAY + HOUR)));
    assert!(seen.see(&who, start()), "what is known stays so");
    assert!(!seen.see(&who, after(35 * DAY)));
    for millis in [i64::MIN, i64::MAX, 0] {
        seen.see(&who, Timestamp::from_millis(millis));
    }
}

#[test]
fn a_greylist_lives_through_a_restart() {
    let (old, new) = (facts("192.0.2.1", "<\"b b\"@sender.example>"), facts("2001:db8::1", "<>"));
    let mut seen = triplets();
    assert!(!seen.see(&old, start()) && seen.see(&old, after(HOUR)));
    assert!(!seen.see(&new, after(HOUR)));
    let snapshot = seen.snapshot();
    assert_eq!(snapshot.lines().count(), 2);
    let restored = |snapshot: &str, now| {
        let mut seen = triplets();
        seen.restore(snapshot, now);
        seen
    };
    let mut again = restored(&snapshot, after(HOUR));
    assert_eq!(again.snapshot(), snapshot);
    assert!(again.see(&old, after(HOUR)) && !again.see(&new, after(HOUR + MINUTE)) && again.see(&new, after(2 * HOUR)));
    assert_eq!(restored(&snapshot, after(10 * DAY)).len(), 1, "who did not come again in time");
    assert_eq!(restored(&snapshot, after(40 * DAY)).len(), 0);
    let mut early = restored(&snapshot, start());
    assert!(early.see(&old, start()) && early.see(&new, after(5 * MINUTE)), "the future counts as now");
    for bad in ["", "known", "known a", "seen a 1", "known %zz 1", "known a x", "known a 1 2"] {
        assert_eq!(restored(&format!("{bad}\n{snapshot}{bad}"), after(HOUR)).len(), 2, "{bad}");
    }
}

#[test]
fn nothing_is_counted_for_a_policy_that_does_not_ask() {
    let policy = PolicyBuilder { rules: vec![Rule::permit(Condition::Always)], ..PolicyBuilder::default() };
    let (policy, mut rates) = (policy.build().unwrap(), Rates::new(10));
    let mut who = facts("192.0.2.1", "<>");
    who.rates = vec![(per(Per::Ip), 5)];
    rates.charge(&policy, &who, start());
    rates.fill(&policy, &mut who, start());
    assert!(rates.is_empty() && who.rates.is_empty());
}
