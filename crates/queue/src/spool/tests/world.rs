//! A spool on a played disk, moved on by hand, beside what must be in it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use hikyaku_wire::{Code, EnhancedCode, Reply};

use super::super::vfs::played::Played;
use super::seen::*;
use super::*;
use crate::unit::{Acted, Outcome, Unit};
use crate::{Attempt, FenceToken, Lease, Next, RcptNo, RcptState, UnitId};

pub(super) const KEYS: [&str; 3] = ["a.test", "b.test", "bounce"];

/// What must be in a spool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) messages: BTreeMap<MsgId, Kept>,
    pub(super) gates: BTreeMap<QueueKey, Gate>,
    pub(super) finished: BTreeSet<MsgId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) text: Sum,
    pub(super) next: u16,
    pub(super) units: BTreeMap<u16, Unit>,
}

/// The length and the checksum of a text.
pub(super) type Sum = (u64, u32);

pub(super) fn sum(text: &[u8]) -> Sum {
    (text.len() as u64, crc32fast::hash(text))
}

impl Model {
    fn end(&mut self, id: UnitId, parts: Vec<Unit>) {
        let Some(kept) = self.messages.get_mut(&id.msg) else { return };
        kept.units.remove(&id.unit);
        for part in parts {
            kept.units.insert(kept.next, part);
            kept.next += 1;
        }
        if kept.units.is_empty() {
            self.messages.remove(&id.msg);
            self.finished.insert(id.msg);
        }
    }

    fn come(&mut self, id: MsgId, text: &[u8], units: Vec<NewUnit>) {
        let text = sum(text);
        let next = u16::try_from(units.len()).unwrap();
        let units = (0..).zip(units.into_iter().map(|unit| Unit::new(unit).unwrap())).collect();
        self.messages.insert(id, Kept { text, next, units });
    }
}

/// Numbers that a seed stands for.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def1)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end.max(1)
    }
}

pub(super) fn config() -> SpoolConfig {
    SpoolConfig { reserve_bytes: 0, cache: 1 << 20, segment: 64 << 10, ..SpoolConfig::default() }
}

/// Everything is due then.
pub(super) fn late() -> Timestamp {
    now().saturating_add(Duration::from_secs(86_400))
}

fn said(code: u16, class: u8) -> Attempt {
    Attempt::new(now(), Reply::new(Code::new(code).unwrap(), EnhancedCode::new(class, 1, 1), "said"))
}

/// A spool in one of its lives.
pub(super) struct World {
    pub(super) disk: Played,
    pub(super) engine: Engine<Played>,
    /// With everything that was said to be done.
    pub(super) model: Model,
    /// What the spool may hold after a crash, the newest last: of what was lazy, or not answered
    /// yet, the beginning.
    pub(super) trail: Vec<Model>,
    pub(super) leases: Vec<(Lease, bool)>,
    pub(super) token: FenceToken,
    pub(super) next_id: u16,
    /// Calls fail, so that what is lazy may not happen.
    pub(super) fragile: bool,
}

impl World {
    /// Opens what is on the disk.
    pub(super) fn open(disk: Played) -> std::result::Result<Engine<Played>, OpenError> {
        Engine::open(Arc::new(disk), config(), Runner::Here)
    }

    pub(super) fn new(disk: Played) -> Self {
        let engine = Self::open(disk.clone()).unwrap();
        let model = Model::default();
        let trail = vec![model.clone()];
        Self { disk, engine, model, trail, leases: Vec::new(), token: FenceToken::new(0), next_id: 1, fragile: false }
    }

    /// Runs a future to its end, and the engine whenever it waits.
    pub(super) fn run<T>(&mut self, future: impl Future<Output = T>) -> T {
        run(&mut self.engine, future)
    }

    /// Something was begun that may have happened, to whatever there may be.
    fn may_be(&mut self, happens: impl Fn(&mut Model)) {
        let mut with = self.trail.clone();
        with.iter_mut().for_each(happens);
        self.trail.append(&mut with);
    }

    /// What was read tells of all that was begun, if that can still be made durable.
    fn seen(&mut self) {
        if !self.fragile && !self.disk.is_off() {
            self.settled();
        }
    }

    /// Everything that was said to be done is durable by now.
    fn settled(&mut self) {
        self.trail = vec![self.model.clone()];
    }

    pub(super) fn core(&self) -> Arc<Core<Played>> {
        Arc::clone(&self.engine.core)
    }

    fn units(dice: &mut Dice) -> Vec<NewUnit> {
        let count = 1 + dice.below(2);
        let rcpts = |dice: &mut Dice| match dice.below(2) {
            0 => &["<a@a.test>"][..],
            _ => &["<a@a.test>", "<b@a.test>"][..],
        };
        (0..count).map(|_| unit(KEYS[dice.below(2) as usize], rcpts(dice))).collect()
    }

    fn text(dice: &mut Dice, n: u16) -> Vec<u8> {
        // Shorter and longer than what stands in the journal (8 KiB of a segment of 64 KiB).
        let len = [0, 30, 3_000, 8_192, 8_193, 70_000][dice.below(6) as usize];
        (0..len).map(|at: usize| (at as u8).wrapping_mul(31) ^ n as u8 ^ (at >> 8) as u8).collect()
    }

    fn commit(core: &Arc<Core<Played>>, id: MsgId, text: Vec<u8>, units: Vec<NewUnit>) -> Step<Receipt> {
        let core = Arc::clone(core);
        Box::pin(async move {
            let mut draft = core.open_draft(id, SizeHint::UNKNOWN)?;
            for piece in text.chunks(5_000) {
                draft.write(Bytes::copy_from_slice(piece)).await?;
            }
            let envelope = Envelope::new("<s@s.test>".parse().unwrap(), now());
            draft.commit(envelope, Bytes::from_static(b"R: x\r\n"), units, None).await
        })
    }

    /// Some commits at once.
    pub(super) fn commits(&mut self, dice: &mut Dice) -> Result<()> {
        let core = self.core();
        let (mut coming, mut steps) = (Vec::new(), Vec::new());
        for _ in 0..=dice.below(3) {
            let id = id(self.next_id);
            let (text, units) = (Self::text(dice, self.next_id), Self::units(dice));
            self.next_id += 1;
            steps.push(Self::commit(&core, id, text.clone(), units.clone()));
            coming.push((id, text, units));
        }
        let mut refused = Vec::new();
        let mut first = None;
        for (coming, receipt) in coming.into_iter().zip(run_all(&mut self.engine, steps)) {
            match receipt {
                Ok(receipt) => {
                    assert_eq!(receipt, Receipt { id: coming.0, duplicate: false });
                    self.model.come(coming.0, &coming.1, coming.2);
                    // What was lazy before it is durable with it.
                    self.settled();
                }
                Err(error) => {
                    first.get_or_insert(error);
                    refused.push(coming);
                }
            }
        }
        // Those were acknowledged; of the others each may be there after a crash.
        for (id, text, units) in refused {
            self.may_be(|model| model.come(id, &text, units.clone()));
        }
        first.map_or(Ok(()), Err)
    }

    pub(super) fn claim(&mut self, dice: &mut Dice) -> Result<()> {
        let core = self.core();
        let key = QueueKey::new(KEYS[dice.below(3) as usize]);
        let want = [KeyQuota { key: key.clone(), max: 1 + dice.below(3) as u32 }];
        let lease = Duration::from_secs(1 << 20);
        let claimed = self.run(async { core.claim(WorkerId::new("w"), late(), &want, lease).await })?;
        if self.model.gates.get(&key) == Some(&Gate::Paused) {
            assert_eq!(claimed, []);
        }
        for claimed in claimed {
            let id = claimed.lease.unit;
            assert!(claimed.lease.token > self.token, "tokens grow");
            self.token = claimed.lease.token;
            let unit = &self.model.messages[&id.msg].units[&id.unit];
            assert_eq!((&claimed.key, claimed.attempts), (&unit.key, unit.attempts));
            assert!(claimed.rcpts.iter().eq(unit.open()) && unit.hold.is_none());
            self.leases.push((claimed.lease, false));
        }
        self.seen();
        Ok(())
    }

    pub(super) fn settle(&mut self, dice: &mut Dice) -> Result<()> {
        if self.leases.is_empty() {
            return Ok(());
        }
        let (lease, lost) = self.leases.swap_remove(dice.below(self.leases.len() as u64) as usize);
        let core = self.core();
        let mut settlement = Settlement::new(Next::RetryAt(now()));
        let mut bounce = None;
        let known = self.model.messages.get(&lease.unit.msg).and_then(|kept| kept.units.get(&lease.unit.unit));
        let Some(unit) = known.cloned().filter(|_| !lost) else {
            let settled = self.run(core.settle(lease, settlement, Durability::Sync));
            assert!(matches!(settled, Err(QueueError::LeaseLost)), "{settled:?}");
            return Ok(());
        };
        let open: Vec<RcptNo> = unit.open().map(|rcpt| rcpt.no).collect();
        let each = |state: fn(Attempt) -> RcptState, code, class| -> Vec<_> {
            open.iter().map(|no| (*no, state(said(code, class)))).collect()
        };
        let mut durability = Durability::Sync;
        match dice.below(6) {
            0 | 1 => {
                settlement.results = each(RcptState::Deferred, 451, 4);
                durability = Durability::Lazy;
            }
            2 => settlement.results = each(RcptState::Failed, 550, 5)[..1].to_vec(),
            3 => {
                settlement.results = each(RcptState::Relayed, 250, 2);
                settlement.next = Next::Finish;
            }
            4 => {
                let part = |rcpt: &crate::Rcpt| {
                    let mut unit = unit_of(KEYS[1]);
                    unit.rcpts.push(NewRcpt::new(rcpt.addr.clone()));
                    unit
                };
                settlement.next = Next::Split(unit.open().map(part).collect());
            }
            _ => {
                settlement.results = each(RcptState::Failed, 550, 5);
                settlement.next = Next::Finish;
                let (bounce_id, text) = (id(self.next_id), Self::text(dice, self.next_id));
                self.next_id += 1;
                let units = vec![unit_of(KEYS[2]).with(NewRcpt::new("<s@s.test>".parse().unwrap()))];
                let sealed = {
                    let (text, units) = (text.clone(), units.clone());
                    let core = Arc::clone(&core);
                    self.run(async move {
                        let mut draft = core.open_draft(bounce_id, SizeHint::UNKNOWN)?;
                        draft.write(Bytes::from(text)).await?;
                        let envelope = Envelope::new("<>".parse().unwrap(), now());
                        draft.seal(envelope, Bytes::from_static(b"R: x\r\n"), units).await
                    })?
                };
                settlement.follow_up.push(sealed);
                bounce = Some((bounce_id, text, units));
            }
        }
        let before = self.model.clone();
        let settling = unit.settle(&settlement, late() >= unit.expires, None).unwrap();
        match settling.outcome {
            Outcome::Stays(unit) => {
                _ = self.model.messages.get_mut(&lease.unit.msg).unwrap().units.insert(lease.unit.unit, unit)
            }
            Outcome::Ends(parts) => self.model.end(lease.unit, parts),
        }
        if let Some((id, text, units)) = bounce {
            self.model.come(id, &text, units);
        }
        self.trail.push(self.model.clone());
        let lazy = durability == Durability::Lazy && !settling.must_sync;
        let settled = self.run(core.settle(lease, settlement, durability))?;
        if lazy && self.fragile {
            let found = picture(&mut self.engine);
            if is(&self.model, &found) {
                self.settled();
            } else {
                self.model = before;
                assert!(is(&self.model, &found), "what is lazy may be lost, and is nothing else then");
            }
        }
        if !lazy {
            assert_eq!(settled.message_done, !self.model.messages.contains_key(&lease.unit.msg));
            assert_eq!(
                settled.unit_done,
                !self.model.messages.get(&lease.unit.msg).is_some_and(|kept| kept.units.contains_key(&lease.unit.unit))
            );
            self.settled();
        }
        Ok(())
    }

    pub(super) fn act(&mut self, dice: &mut Dice) -> Result<()> {
        let filter = match dice.below(3) {
            0 => Filter::key(QueueKey::new(KEYS[dice.below(3) as usize])),
            _ => Filter::message(id(1 + dice.below(u64::from(self.next_id)) as u16)),
        };
        let action = match dice.below(6) {
            0 => Action::Hold(crate::HoldReason::new("why")),
            1 | 2 => Action::Release(now()),
            3 => Action::Retry(now().saturating_add(Duration::from_secs(60))),
            4 => Action::Rekey(QueueKey::new(KEYS[dice.below(3) as usize])),
            _ => Action::Remove,
        };
        let core = self.core();
        let mut met = 0;
        let mut ids = Vec::new();
        for (id, kept) in &self.model.messages {
            ids.extend(
                kept.units
                    .iter()
                    .filter(|(_, unit)| {
                        filter.msg.is_none_or(|msg| msg == *id)
                            && filter.key.as_ref().is_none_or(|key| *key == unit.key)
                    })
                    .map(|(number, _)| UnitId { msg: *id, unit: *number }),
            );
        }
        // One entry a message: all of a message's units change, or none.
        let mut last = None;
        for id in ids {
            let unit = self.model.messages[&id.msg].units[&id.unit].clone();
            let Some(acted) = unit.act(&action) else { continue };
            met += 1;
            if last.is_some_and(|last| last != id.msg) {
                self.trail.push(self.model.clone());
            }
            last = Some(id.msg);
            match acted {
                Acted::Amended(unit, _) => {
                    _ = self.model.messages.get_mut(&id.msg).unwrap().units.insert(id.unit, unit)
                }
                Acted::Removed => {
                    self.model.end(id, Vec::new());
                    self.leases.iter_mut().filter(|(lease, _)| lease.unit == id).for_each(|(_, lost)| *lost = true);
                }
            }
        }
        self.trail.push(self.model.clone());
        // What a person asks for of a leased unit changes what its settlement makes of it: end those leases first.
        let leased: Vec<_> = self.leases.drain(..).collect();
        drop(leased);
        let acted = self.run(core.act(&filter, action))?;
        assert_eq!(acted, met);
        if met > 0 {
            self.settled()
        } else {
            self.seen()
        }
        Ok(())
    }

    pub(super) fn gate(&mut self, dice: &mut Dice) -> Result<()> {
        let key = QueueKey::new(KEYS[dice.below(2) as usize]);
        let gate = [Gate::Paused, Gate::NotBefore(now()), Gate::Open, Gate::Open][dice.below(4) as usize];
        match gate {
            Gate::Open => _ = self.model.gates.remove(&key),
            gate => _ = self.model.gates.insert(key.clone(), gate),
        }
        self.trail.push(self.model.clone());
        let core = self.core();
        self.run(core.gate(&key, gate))?;
        self.settled();
        Ok(())
    }

    pub(super) fn again(&mut self, dice: &mut Dice) -> Result<()> {
        let Some(id) = self.model.finished.iter().nth(dice.below(self.model.finished.len() as u64) as usize).copied()
        else {
            return Ok(());
        };
        let core = self.core();
        let receipt = self.run(Self::commit(&core, id, vec![1], Self::units(dice)))?;
        assert_eq!(receipt, Receipt { id, duplicate: true }, "a finished message does not come back");
        Ok(())
    }

    /// One thing after another, until one does not work.
    pub(super) fn step(&mut self, dice: &mut Dice) -> Result<()> {
        match dice.below(16) {
            0..=3 => self.commits(dice),
            4..=6 => self.claim(dice),
            7..=10 => self.settle(dice),
            11 | 12 => self.act(dice),
            13 => self.gate(dice),
            14 => self.again(dice),
            _ => {
                self.engine.tidy();
                self.core().writable()
            }
        }
    }

    /// Opens the disk as it is and finds what it holds among what it may hold; goes on from there.
    pub(super) fn reopen(mut self, disk: Played, seed: u64) -> Self {
        drop(self.engine);
        self.engine = Self::open(disk.clone()).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        self.disk = disk;
        assert_eq!(self.engine.core.quarantined, [], "seed {seed}");
        let found = picture(&mut self.engine);
        let at = self.trail.iter().position(|model| is(model, &found));
        let Some(at) = at else {
            panic!("seed {seed}: {}", none_of(&self.trail, &found));
        };
        self.model = self.trail.swap_remove(at);
        self.trail = vec![self.model.clone()];
        self.leases.clear();
        self
    }

    /// What was tried last says that it did not happen, or not all of it. What was written of it may
    /// count after all if the process dies before it writes again.
    pub(super) fn refused(&mut self) {
        let found = picture(&mut self.engine);
        let at = self.trail.iter().position(|model| is(model, &found));
        let at = at.unwrap_or_else(|| panic!("{}", none_of(&self.trail, &found)));
        self.model = self.trail[at].clone();
        self.leases.clear();
    }

    /// Opens the disk with other settings.
    pub(super) fn set(&mut self, config: SpoolConfig) {
        self.engine = Engine::open(Arc::new(self.disk.clone()), config, Runner::Here).unwrap();
    }

    /// The spool says what the model says.
    pub(super) fn check(&mut self, what: &str) {
        let found = picture(&mut self.engine);
        assert!(is(&self.model, &found), "{what}: {}", none_of(std::slice::from_ref(&self.model), &found));
    }
}

fn unit_of(key: &str) -> NewUnit {
    unit(key, &[])
}

pub(super) type Step<T> = Pin<Box<dyn Future<Output = Result<T>>>>;

/// Runs a future to its end, and the engine whenever it waits.
pub(super) fn run<T>(engine: &mut Engine<Played>, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    for _ in 0..10_000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
        engine.turn();
    }
    panic!("it waits for nothing");
}

/// Runs futures side by side: all of them wait before the engine moves.
pub(super) fn run_all<T>(engine: &mut Engine<Played>, mut steps: Vec<Step<T>>) -> Vec<Result<T>> {
    let mut done: Vec<Option<Result<T>>> = steps.iter().map(|_| None).collect();
    for _ in 0..10_000 {
        for (step, done) in steps.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            if let Poll::Ready(output) = step.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                *done = Some(output);
            }
        }
        if done.iter().all(Option::is_some) {
            return done.into_iter().flatten().collect();
        }
        engine.turn();
    }
    panic!("they wait for nothing");
}
