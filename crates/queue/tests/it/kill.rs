//! `kill -9` at any moment: what was acknowledged is there, what was gone stays away, and nothing is
//! there twice or in part.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hikyaku_queue::*;
use hikyaku_wire::{Code, EnhancedCode, Reply};

use super::mail::*;

/// So many times a child is killed; `HIKYAKU_LONG=20` makes twenty times as many of it.
const POINTS: u64 = 200;
const TASKS: u64 = 4;
/// The folder of the spool, for the child.
const FOLDER: &str = "HIKYAKU_KILL_FOLDER";
/// The first number that the child gives to a message; without one it only opens the spool.
const FIRST: &str = "HIKYAKU_KILL_FIRST";
const LEASE: Duration = Duration::from_secs(300);

fn config() -> SpoolConfig {
    let mut config = SpoolConfig::default();
    // So that segments fill, are cleaned and used again all the time.
    config.segment = 256 << 10;
    config.reserve_bytes = 0;
    config
}

// ---- the child ----

/// Tells the parent a fact, at once and whole.
fn tell(fact: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{fact}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

fn failed() -> RcptState {
    RcptState::Failed(Attempt::new(now(), Reply::new(Code::new(550).unwrap(), EnhancedCode::new(5, 1, 1), "no")))
}

fn deferred() -> RcptState {
    RcptState::Deferred(Attempt::new(now(), Reply::new(Code::new(451).unwrap(), EnhancedCode::new(4, 3, 0), "later")))
}

/// Works on the messages of one key, one step after the other, until it is killed.
async fn work(spool: Spool, task: u64, numbers: &AtomicU64, random: u64) {
    let key = format!("key{task}");
    let filter = |n| Filter::message(id(n));
    let mut random = random;
    for step in 0_u64.. {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let choice = random >> 33;
        let claimed = match choice % 5 {
            0..2 => Vec::new(),
            _ => {
                let want = [KeyQuota { key: QueueKey::new(key.as_str()), max: 1 }];
                spool.claim(WorkerId::new("child"), later(60), &want, LEASE).await.unwrap()
            }
        };
        let Some(claimed) = claimed.first() else {
            let n = numbers.fetch_add(1, Ordering::SeqCst);
            tell(&format!("begin enqueue {n}"));
            enqueue(&spool, n, &key).await.unwrap();
            tell(&format!("done enqueue {n}"));
            continue;
        };
        let (lease, n, attempts) = (claimed.lease, number(claimed.lease.unit.msg), claimed.attempts + 1);
        let open: Vec<_> = claimed.rcpts.iter().map(|rcpt| rcpt.no).collect();
        let all = |state: RcptState| open.iter().map(|no| (*no, state.clone())).collect();
        match choice / 5 % 8 {
            0 => {
                tell(&format!("begin retry {n} {attempts}"));
                let settlement = Settlement { results: all(deferred()), ..Settlement::new(Next::RetryAt(now())) };
                spool.settle(lease, settlement, Durability::Sync).await.unwrap();
                tell(&format!("done retry {n} {attempts}"));
            }
            1 => {
                tell(&format!("begin lazy {n} {attempts}"));
                let settlement = Settlement { results: all(deferred()), ..Settlement::new(Next::RetryAt(now())) };
                spool.settle(lease, settlement, Durability::Lazy).await.unwrap();
                tell(&format!("done lazy {n} {attempts}"));
            }
            2 => {
                let bounce = numbers.fetch_add(1, Ordering::SeqCst);
                tell(&format!("begin bounce {n} {bounce}"));
                let sealed = draft(&spool, bounce).await.unwrap();
                let sealed = sealed.seal(envelope(), Bytes::from_static(PREPEND), vec![unit(&key)]).await.unwrap();
                let settlement = Settlement { results: all(failed()), next: Next::Finish, follow_up: vec![sealed] };
                spool.settle(lease, settlement, Durability::Sync).await.unwrap();
                tell(&format!("done bounce {n} {bounce}"));
            }
            3 if step % 4 == 0 => {
                tell(&format!("begin hold {n}"));
                spool.apply(&filter(n), Action::Hold(HoldReason::new("x"))).await.unwrap();
                tell(&format!("done hold {n}"));
                spool.release(lease, now()).await.unwrap();
                tell(&format!("begin unhold {n}"));
                spool.apply(&filter(n), Action::Release(now())).await.unwrap();
                tell(&format!("done unhold {n}"));
            }
            3 => {
                let gate = format!("gate{}", choice % 7);
                let closed = choice / 64 % 2;
                // One task only, so that there is an order.
                if task == 0 {
                    tell(&format!("begin gate {gate} {closed}"));
                    let state = if closed == 1 { Gate::Paused } else { Gate::Open };
                    spool.gate(&QueueKey::new(gate.as_str()), state).await.unwrap();
                    tell(&format!("done gate {gate} {closed}"));
                }
                spool.release(lease, now()).await.unwrap();
            }
            4 => {
                tell(&format!("begin remove {n}"));
                assert_eq!(spool.apply(&filter(n), Action::Remove).await.unwrap(), 1);
                tell(&format!("done remove {n}"));
            }
            _ => {
                tell(&format!("begin finish {n}"));
                let settlement = Settlement { results: all(failed()), ..Settlement::new(Next::Finish) };
                spool.settle(lease, settlement, Durability::Sync).await.unwrap();
                tell(&format!("done finish {n}"));
            }
        }
    }
}

fn child(folder: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let spool = runtime.block_on(Spool::open(folder, config())).unwrap();
    // On a line of its own, whatever the test harness has begun to say.
    tell("\nopen");
    let first: Option<u64> = std::env::var(FIRST).ok().map(|first| first.parse().unwrap());
    runtime.block_on(async {
        if let Some(first) = first {
            let numbers: &AtomicU64 = Box::leak(Box::new(AtomicU64::new(first)));
            let mut tasks = Vec::new();
            for task in 0..TASKS {
                tasks.push(tokio::spawn(work(spool.clone(), task, numbers, first ^ (task << 40))));
            }
            for task in tasks {
                task.await.unwrap();
            }
        }
        std::future::pending::<()>().await;
    });
}

// ---- the parent ----

/// What is known of a message.
#[derive(Debug, Clone, PartialEq)]
struct Known {
    there: bool,
    held: bool,
    /// As many attempts at least, and at most, since some may be undone.
    attempts: (u32, u32),
}

#[derive(Default)]
struct Facts {
    known: BTreeMap<u64, Known>,
    gates: BTreeMap<String, bool>,
    /// What was begun and not acknowledged, by what it is about.
    begun: BTreeMap<String, Vec<String>>,
    acknowledged: u64,
}

const NOTHING: Known = Known { there: false, held: false, attempts: (0, 0) };

impl Facts {
    fn hear(&mut self, line: &str) {
        let words: Vec<_> = line.split(' ').collect();
        match words.as_slice() {
            ["begin", fact @ ..] => {
                let fact: Vec<_> = fact.iter().map(|word| (*word).to_owned()).collect();
                self.begun.insert(fact[1].clone(), fact);
            }
            ["done", fact @ ..] => {
                let begun = self.begun.remove(fact[1]).unwrap();
                assert_eq!(begun, fact, "a task does one thing at a time");
                self.carry_out(&begun);
                self.acknowledged += 1;
            }
            _ => {}
        }
    }

    fn carry_out(&mut self, fact: &[String]) {
        if fact[0] == "gate" {
            self.gates.insert(fact[1].clone(), fact[2] == "1");
            return;
        }
        let n: u64 = fact[1].parse().unwrap();
        let arg: u64 = fact.get(2).map_or(0, |arg| arg.parse().unwrap());
        let known = self.known.entry(n).or_insert(NOTHING);
        match fact[0].as_str() {
            "enqueue" => *known = Known { there: true, ..NOTHING },
            "retry" => known.attempts = (arg as u32, arg as u32),
            "lazy" => known.attempts.1 = arg as u32,
            "hold" => known.held = true,
            "unhold" => known.held = false,
            "bounce" => {
                *known = NOTHING;
                self.known.insert(arg, Known { there: true, ..NOTHING });
            }
            _ => *known = NOTHING,
        }
    }

    /// Compares with what there is, which then is what is known.
    async fn check(&mut self, spool: &Spool) -> u64 {
        assert_eq!(spool.health(), Health::Ok);
        assert_eq!(spool.quarantined(), []);
        let mut found = BTreeMap::new();
        for entry in spool.list(&Filter::all(), None, usize::MAX).await.unwrap().entries {
            let n = number(entry.unit.msg);
            assert_eq!((entry.unit.unit, entry.unit.msg), (0, id(n)), "it is one of ours");
            assert!(is_whole(spool, n).await.unwrap(), "message {n} is not whole");
            let held = entry.state.kind() == StateKind::Held;
            let known = Known { there: true, held, attempts: (entry.attempts, entry.attempts) };
            assert!(found.insert(n, known).is_none(), "message {n} is there twice");
        }
        let gates: BTreeMap<_, _> =
            spool.gates(None).await.unwrap().into_iter().map(|(key, _)| (key.as_str().to_owned(), true)).collect();
        let fits = |known: &Known, found: Option<&Known>| match found {
            None => !known.there,
            Some(found) => {
                let attempts = known.attempts.0..=known.attempts.1;
                known.there && known.held == found.held && attempts.contains(&found.attempts.0)
            }
        };
        // Each thing that was begun happened whole, or not at all.
        let mut happened = 0;
        for fact in std::mem::take(&mut self.begun).into_values() {
            let mut after = Self { known: self.known.clone(), gates: self.gates.clone(), ..Self::default() };
            after.carry_out(&fact);
            let about: Vec<u64> = fact[1..].iter().filter_map(|word| word.parse().ok()).collect();
            let agrees = |facts: &Self| match fact[0].as_str() {
                "gate" => facts.gates.get(&fact[1]).copied().unwrap_or(false) == gates.contains_key(&fact[1]),
                "bounce" => about.iter().all(|n| fits(facts.known.get(n).unwrap_or(&NOTHING), found.get(n))),
                _ => fits(facts.known.get(&about[0]).unwrap_or(&NOTHING), found.get(&about[0])),
            };
            if agrees(&after) {
                happened += 1;
                (self.known, self.gates) = (after.known, after.gates);
            } else {
                let seen: Vec<_> = about.iter().map(|n| (n, self.known.get(n), found.get(n))).collect();
                assert!(agrees(self), "{fact:?} happened in part: {seen:?}");
            }
        }
        for (n, known) in &self.known {
            let found = found.get(n);
            assert!(fits(known, found), "message {n}: acknowledged {known:?}, found {found:?}");
        }
        for n in found.keys() {
            assert!(self.known.contains_key(n), "message {n} was never sent, or it is back");
        }
        for (gate, closed) in &self.gates {
            assert_eq!(gates.contains_key(gate), *closed, "{gate}");
        }
        self.known = found;
        happened
    }
}

/// What a child says, and a way to end it.
struct Life {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Life {
    fn begin(folder: &Path, first: Option<u64>) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([
            "kill::kill_9_loses_nothing_that_was_acknowledged",
            "--exact",
            "--nocapture",
            "--test-threads=1",
        ]);
        command.env(FOLDER, folder).env_remove(FIRST).stdout(Stdio::piped());
        first.map(|first| command.env(FIRST, first.to_string()));
        let mut child = command.spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut life = Self { child, said };
        while life.line().expect("the child opens the spool") != "open" {}
        life
    }

    /// A whole line; what was cut by the end is none.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.strip_suffix('\n').map(str::to_owned)
    }

    fn kill(&mut self) {
        assert!(self.child.try_wait().unwrap().is_none(), "the child ended by itself");
        // This is SIGKILL.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn kill_9_loses_nothing_that_was_acknowledged() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return child(Path::new(&folder));
    }
    let long: u64 = std::env::var("HIKYAKU_LONG").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    let points = POINTS * long;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("spool");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut facts = Facts::default();
    let mut happened = 0;
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for point in 0..points {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let choice = random >> 33;
        let mut life = Life::begin(&folder, Some((point + 1) * 1_000_000));
        // Most lives are short; some are long enough for many segments and a checkpoint or two.
        let lines = if choice.is_multiple_of(25) { choice / 25 % 2_000 } else { choice / 25 % 150 };
        for _ in 0..lines {
            facts.hear(&life.line().expect("the child goes on"));
        }
        // Anywhere between two lines, too.
        (0..choice / 64 % 50_000).for_each(|spin| _ = std::hint::black_box(spin));
        life.kill();
        while let Some(line) = life.line() {
            facts.hear(&line);
        }
        // Sometimes the next life is killed while it opens, or right after.
        if choice.is_multiple_of(3) {
            Life::begin(&folder, None).kill();
        }
        let spool = runtime.block_on(Spool::open(&folder, config())).unwrap();
        happened += runtime.block_on(facts.check(&spool));
        drop(spool);
    }
    let queued = facts.known.values().filter(|known| known.there).count();
    println!(
        "\nsum: {points} points, {} acknowledged, 0 lost, {happened} more that were begun happened whole, {queued} queued in the end",
        facts.acknowledged
    );
    assert!(facts.acknowledged > points * 20, "too little was done to say anything: {}", facts.acknowledged);
}
