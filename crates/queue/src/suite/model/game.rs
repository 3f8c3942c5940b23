//! A game: a queue and its model, and the moves of both.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hikyaku_wire::Timestamp;

use super::moves::{Move, What};
use super::naive::{Held, Message, Naive, Refused, Unit};
use crate::suite::Store;
use crate::suite::parts::{MINUTE, at, said};
use crate::{
    Action, Draft, Durability, Envelope, Filter, Gate, HoldReason, IdemKey, KeyQuota, Lease, Manage, MsgId, NewRcpt,
    NewUnit, Next, Origin, Queue, QueueError, QueueKey, RcptNo, RcptState, Receipt, Sealed, Settled, Settlement,
    SizeHint, StateKind, WorkerId,
};

pub(super) type Same = Result<(), String>;

/// So many messages are queued at a time at most.
const MESSAGES: usize = 12;
const LEASE: Duration = Duration::from_secs(300);
/// How long a submission is remembered, in minutes.
const WINDOW: i64 = 60;
pub(super) const PREPEND: &[u8] = b"Received: y\r\n";

/// A difference is an error.
pub(super) fn same<T: PartialEq + Debug>(what: &str, found: &T, expected: &T) -> Same {
    match found == expected {
        true => Ok(()),
        false => Err(format!("{what}:\n  the queue says {found:?}\n  the model says {expected:?}")),
    }
}

pub(super) fn worked<T>(what: &str, result: Result<T, QueueError>) -> Result<T, String> {
    result.map_err(|error| format!("{what} did not work: {error}"))
}

fn key(n: u8) -> QueueKey {
    QueueKey::new(["a", "b", "c", "d e"][usize::from(n % 4)])
}

pub(super) fn who() -> WorkerId {
    WorkerId::new("player")
}

pub(super) struct Game<'s, S: Store> {
    store: &'s S,
    pub(super) queue: S::Queue,
    pub(super) model: Naive,
    /// Leases of now and of long ago.
    leases: Vec<Lease>,
    sealed: Option<(Sealed, Message, Vec<NewUnit>)>,
    submitted: BTreeMap<u8, (i64, MsgId)>,
    made: u32,
    pub(super) minutes: i64,
    pub(super) latest: i64,
}

impl<'s, S: Store> Game<'s, S> {
    /// Makes the moves; the error is the first difference.
    pub(super) fn play(store: &'s S, moves: &[Move]) -> Same {
        let mut game = Game {
            store,
            queue: store.fresh(),
            model: Naive::default(),
            leases: Vec::new(),
            sealed: None,
            submitted: BTreeMap::new(),
            made: 0,
            minutes: 0,
            latest: 0,
        };
        store.block_on(game.set_clock(0));
        for made in moves {
            if let What::Reopen = made.what() {
                game.sealed = None;
                let Game { queue, .. } = game;
                let (queue, anew) = match store.reopen(queue) {
                    Ok(queue) => (queue, true),
                    Err(queue) => (queue, false),
                };
                game = Game { queue, ..game };
                if anew {
                    store.block_on(async {
                        game.set_clock(game.minutes).await;
                        game.found_again().await
                    })?;
                }
            } else {
                store.block_on(game.make(*made))?;
            }
            store.block_on(game.compare(made.0[3]))?;
        }
        Ok(())
    }

    async fn make(&mut self, made: Move) -> Same {
        let [_, a, b, c] = made.0;
        match made.what() {
            What::Commit => self.commit(a, b, c).await,
            What::CommitAgain => self.commit_again(a).await,
            What::Submit => self.submit(a, b, c).await,
            What::Seal => self.seal(a, b, c).await,
            What::DropDraft => self.drop_draft(a).await,
            What::Clock if b.is_multiple_of(32) => self.clock(i64::from(a.cast_signed()) * 24 * 60).await,
            What::Clock => self.clock(i64::from(a.cast_signed() / 8)).await,
            What::Claim => self.claim(a, b, c).await,
            What::Settle => self.settle(a, b, c, false).await,
            What::Follow => self.settle(a, b, c, true).await,
            What::Release => self.release(a, self.later(b)).await,
            What::Extend => self.extend(a).await,
            What::Act => self.act(a, b, c).await,
            What::Gate => self.gate(a, b).await,
            What::Pages => self.pages(a, b).await,
            What::Reopen => Ok(()),
        }
    }

    fn now(&self) -> Timestamp {
        at(self.minutes)
    }

    fn later(&self, n: u8) -> Timestamp {
        at(self.minutes + i64::from(n % 16))
    }

    async fn set_clock(&mut self, minutes: i64) {
        self.minutes = minutes.clamp(-1_000_000, 1_000_000);
        self.latest = self.latest.max(self.minutes);
        self.store.set_time(&self.queue, self.now()).await;
    }

    async fn clock(&mut self, by: i64) -> Same {
        self.set_clock(self.minutes + by).await;
        Ok(())
    }

    /// A new message; ids are not made in their order.
    fn new_message(&mut self, a: u8, b: u8, c: u8) -> (MsgId, Message, Vec<NewUnit>) {
        self.made += 1;
        let mut random = [0; 10];
        random[6..].copy_from_slice(&self.made.to_be_bytes());
        let id = MsgId::new(at(i64::from(self.made * 37 % 101)), random);
        let sender = ["<>", "<s@one.test>", "<s@two.test>"][usize::from(a % 3)].parse().expect("a path");
        let mut envelope = Envelope::new(sender, self.now());
        envelope.origin = Origin { user: b.is_multiple_of(2).then(|| format!("user{}", b % 4)), ..Origin::default() };
        let mut units = Vec::new();
        for n in 0..=a / 3 % 3 {
            let n = n.wrapping_mul(5).wrapping_add(b);
            let due = at(self.minutes + i64::from(c % 8));
            let expires = at(self.minutes + i64::from(n % 64));
            let mut unit = NewUnit::new(key(n), due, expires);
            for rcpt in 0..=n % 3 {
                let path = format!("<r{rcpt}@{}.test>", ["one", "two"][usize::from(n / 3 % 2)]);
                unit = unit.with(NewRcpt::new(path.parse().expect("a path")));
            }
            unit.hold = (n % 16 == 15).then(|| HoldReason::new("from the start"));
            units.push(unit);
        }
        let len = [0, 10, 100, 1_000, 1_000, 1_000, 10_000, 70_000][usize::from(c % 8)];
        let text = vec![self.made as u8; len];
        let size = (text.len() + PREPEND.len()) as u64;
        let next_unit = units.len() as u16;
        (id, Message { envelope: Arc::new(envelope), size, text, next_unit }, units)
    }

    async fn draft(&self, id: MsgId, text: &[u8]) -> Result<<S::Queue as Queue>::Draft, String> {
        let mut draft = worked("a draft", self.queue.draft(id, SizeHint::UNKNOWN).await)?;
        for piece in text.chunks(40_000) {
            worked("a write", draft.write(Bytes::copy_from_slice(piece)).await)?;
        }
        Ok(draft)
    }

    async fn enter(
        &mut self,
        (id, message, units): (MsgId, Message, Vec<NewUnit>),
        idem: Option<u8>,
        known: Option<MsgId>,
    ) -> Same {
        let draft = self.draft(id, &message.text).await?;
        let idem = idem.map(|byte| IdemKey::new([byte; 32]));
        let envelope = Envelope::clone(&message.envelope);
        let receipt =
            worked("a commit", draft.commit(envelope, Bytes::from_static(PREPEND), units.clone(), idem).await)?;
        let expected = Receipt { id: known.unwrap_or(id), duplicate: known.is_some() };
        if known.is_none() {
            self.model.insert(id, message, units);
        }
        same("the receipt", &receipt, &expected)
    }

    async fn commit(&mut self, a: u8, b: u8, c: u8) -> Same {
        if self.model.messages.len() == MESSAGES {
            return Ok(());
        }
        let message = self.new_message(a, b, c);
        self.enter(message, None, None).await
    }

    async fn commit_again(&mut self, a: u8) -> Same {
        let known: Vec<_> = self.model.messages.keys().chain(&self.model.finished).copied().collect();
        let Some(&id) = known.get(usize::from(a) % known.len().max(1)) else { return Ok(()) };
        let (_, message, units) = self.new_message(a, a, a);
        self.enter((id, message, units), None, Some(id)).await
    }

    async fn submit(&mut self, a: u8, b: u8, c: u8) -> Same {
        if self.model.messages.len() == MESSAGES {
            return Ok(());
        }
        // The window of a submission is one of a clock that does not go back.
        self.set_clock(self.latest).await;
        let message = self.new_message(a, b, c);
        let idem = b % 4;
        let known = self.submitted.get(&idem).filter(|(minutes, _)| self.minutes - minutes < WINDOW);
        let known = known.map(|(_, id)| *id);
        if known.is_none() {
            self.submitted.insert(idem, (self.minutes, message.0));
        }
        self.enter(message, Some(idem), known).await
    }

    async fn seal(&mut self, a: u8, b: u8, c: u8) -> Same {
        let (id, message, units) = self.new_message(a, b, c);
        let draft = self.draft(id, &message.text).await?;
        let envelope = Envelope::clone(&message.envelope);
        let sealed = draft.seal(envelope, Bytes::from_static(PREPEND), units.clone()).await;
        // The one before is dropped, with all there is of it.
        self.sealed = Some((worked("a seal", sealed)?, message, units));
        Ok(())
    }

    async fn drop_draft(&mut self, a: u8) -> Same {
        let (id, message, _) = self.new_message(a, a, a);
        self.draft(id, &message.text).await.map(drop)
    }

    async fn claim(&mut self, a: u8, b: u8, c: u8) -> Same {
        let now = self.now();
        let mut want = vec![KeyQuota { key: key(a), max: 1 + u32::from(b % 4) }];
        if c.is_multiple_of(2) {
            want.push(KeyQuota { key: key(a.wrapping_add(1)), max: u32::from(c % 4) });
        }
        let claimed = worked("a claim", self.queue.claim(who(), now, &want, LEASE).await)?;
        let mut of_want = 0;
        for KeyQuota { key, max } in want {
            let mut expected = self.model.claimable(&key, now);
            expected.truncate(max as usize);
            let of_key: Vec<_> = claimed.iter().filter(|claimed| claimed.key == key).collect();
            of_want += of_key.len();
            let units: Vec<_> = of_key.iter().map(|claimed| claimed.lease.unit).collect();
            same(&format!("the claim of {key}"), &units, &expected)?;
            for claimed in of_key {
                let lease = claimed.lease;
                let Some(message) = self.model.messages.get(&lease.unit.msg) else { continue };
                let Some(unit) = self.model.units.get_mut(&lease.unit) else { continue };
                let past = unit.expires <= now;
                let found = (claimed.attempts, claimed.first_attempt, claimed.expired, claimed.size, lease.expires);
                let expected = (unit.attempts, unit.first_attempt, past, message.size, now.saturating_add(LEASE));
                same("what was claimed", &found, &expected)?;
                same("the envelope", &claimed.envelope, &message.envelope)?;
                same("the open recipients", &claimed.rcpts, &unit.open())?;
                if self.leases.iter().any(|old| old.unit == lease.unit && old.token >= lease.token) {
                    return Err(format!("the token of {} does not grow", lease.unit));
                }
                unit.held_by = Some(Held { lease, past, asked: None });
                self.leases.push(lease);
            }
        }
        same("how many were claimed", &claimed.len(), &of_want)
    }

    /// A lease of now, or sometimes of long ago.
    fn lease(&self, a: u8) -> Option<Lease> {
        let current: Vec<_> = self.model.units.values().filter_map(|unit| Some(unit.held_by.as_ref()?.lease)).collect();
        let from = if a.is_multiple_of(8) { &self.leases } else { &current };
        from.get(usize::from(a / 8) % from.len().max(1)).copied()
    }

    /// Two units for the open recipients, or one too few.
    fn split(&self, lease: &Lease, b: u8) -> Next {
        let open = self.model.units.get(&lease.unit).map(Unit::open).unwrap_or_default();
        let mut parts = Vec::new();
        for (rcpt, n) in open.iter().skip(usize::from(b % 8 == 7)).zip(b..=255) {
            let unit = NewUnit::new(key(n), self.later(b), self.later(b / 2));
            parts.push(unit.with(NewRcpt::new(rcpt.addr.clone())));
        }
        Next::Split(parts)
    }

    async fn settle(&mut self, a: u8, b: u8, c: u8, follows: bool) -> Same {
        let Some(lease) = self.lease(a) else { return Ok(()) };
        let attempt = said(self.minutes, 451, (4, 3, 0), "said");
        let mut results = Vec::new();
        let count = self.model.units.get(&lease.unit).map_or(1, |unit| unit.rcpts.len());
        for no in 0..count {
            let state = match c >> (2 * no) & 3 {
                0 => continue,
                1 => RcptState::Deferred(attempt.clone()),
                2 => RcptState::Relayed(attempt.clone()),
                _ => RcptState::Failed(attempt.clone()),
            };
            results.push((RcptNo(no as u32), state));
        }
        let next = match b % 8 {
            0 | 1 => Next::Finish,
            2 => Next::Hold(HoldReason::new("settled")),
            3 => self.split(&lease, c),
            _ => Next::RetryAt(self.later(b / 8)),
        };
        let lazy = b >= 128;
        let durability = if lazy { Durability::Lazy } else { Durability::Sync };
        let mut settlement = Settlement { results: results.clone(), ..Settlement::new(next.clone()) };
        let following = if follows { self.sealed.take() } else { None };
        let lazy = lazy && following.is_none();
        let expected = self.model.settle(&lease, &results, &next, lazy);
        if let Some((sealed, message, units)) = following {
            if expected.is_ok() {
                self.model.insert(sealed.id(), message, units);
            }
            settlement.follow_up.push(sealed);
        }
        let found = self.queue.settle(lease, settlement, durability).await;
        let found: Result<Settled, Refused> = match found {
            Ok(settled) => Ok(settled),
            Err(QueueError::LeaseLost) => Err(Refused::Lost),
            Err(QueueError::Invalid(_)) => Err(Refused::Invalid),
            Err(error) => return Err(format!("a settlement did not work: {error}")),
        };
        same("the settlement", &found, &expected)
    }

    async fn release(&mut self, a: u8, due: Timestamp) -> Same {
        let Some(lease) = self.lease(a) else { return Ok(()) };
        let released = match self.queue.release(lease, due).await {
            Err(QueueError::LeaseLost) => false,
            result => worked("a release", result).map(|()| true)?,
        };
        same("the release", &released, &self.model.release(&lease, due))
    }

    async fn extend(&mut self, a: u8) -> Same {
        let Some(lease) = self.lease(a) else { return Ok(()) };
        let found = match self.queue.extend(&lease, MINUTE).await {
            Err(QueueError::LeaseLost) => None,
            result => Some(worked("an extension", result)?),
        };
        let expected = self.model.held(&lease).and_then(|(unit, _)| {
            let held = unit.held_by.as_mut()?;
            held.lease.expires = held.lease.expires.saturating_add(MINUTE);
            Some(held.lease)
        });
        same("the longer lease", &found, &expected)
    }

    fn filter(&self, a: u8) -> Filter {
        let all = Filter::all;
        let units: Vec<_> = self.model.units.keys().collect();
        let some = units.get(usize::from(a / 16) % units.len().max(1)).map(|unit| **unit);
        let domain = || Some(["one.test", "two.test"][usize::from(a / 16 % 2)].parse().expect("a domain"));
        match (a % 16, some) {
            (0..5, Some(unit)) => Filter::message(unit.msg),
            (5 | 6, Some(unit)) => Filter { unit: Some(unit.unit), ..Filter::message(unit.msg) },
            (7, _) => Filter::key(key(a / 16)),
            (8, _) => {
                let kinds = [StateKind::Ready, StateKind::Leased, StateKind::Held];
                Filter { state: Some(kinds[usize::from(a / 16 % 3)]), ..all() }
            }
            (9, _) => Filter { sender: Some("<s@one.test>".parse().expect("a path")), ..all() },
            (10, _) => Filter { sender_domain: domain(), ..all() },
            (11, _) => Filter { rcpt: Some("<r1@two.test>".parse().expect("a path")), ..all() },
            (12, _) => Filter { rcpt_domain: domain(), ..all() },
            (13, _) => Filter { user: Some(format!("user{}", a / 16 % 4)), ..all() },
            (14, _) => Filter { received_from: Some(at(self.minutes - i64::from(a / 16))), ..all() },
            (15, _) => Filter { received_before: Some(at(self.minutes - i64::from(a / 16))), ..all() },
            _ => all(),
        }
    }

    async fn act(&mut self, a: u8, b: u8, c: u8) -> Same {
        let filter = self.filter(a);
        let action = match b % 8 {
            0 | 1 => Action::Hold(HoldReason::new("acted")),
            2 | 3 => Action::Release(self.later(c)),
            4 | 5 => Action::Retry(self.later(c)),
            6 => Action::Rekey(key(c)),
            _ => Action::Remove,
        };
        let meant = self.model.meant(&filter, &who());
        let found = worked("an action", self.queue.apply(&filter, action.clone()).await)?;
        same(&format!("{action:?} of {filter:?}"), &found, &self.model.act(&meant, &action))
    }

    async fn gate(&mut self, a: u8, b: u8) -> Same {
        let gate = [Gate::Open, Gate::Open, Gate::Paused, Gate::NotBefore(self.later(b / 4))][usize::from(b % 4)];
        worked("a gate", self.queue.gate(&key(a), gate).await)?;
        self.model.gates.insert(key(a), gate);
        Ok(())
    }

    async fn pages(&mut self, a: u8, b: u8) -> Same {
        let filter = self.filter(a);
        let mut listed = Vec::new();
        let mut after = None;
        loop {
            let page = worked("a list", self.queue.list(&filter, after, 1 + usize::from(b % 5)).await)?;
            listed.extend(page.entries.into_iter().map(|entry| entry.unit));
            after = page.next;
            if after.is_none() || listed.len() > self.model.units.len() {
                break;
            }
        }
        let expected = Vec::from_iter(self.model.meant(&filter, &who()));
        same(&format!("the pages of {filter:?}"), &listed, &expected)
    }
}
