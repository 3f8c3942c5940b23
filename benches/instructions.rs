//! Instructions of every row, counted by callgrind. `cargo xtask instructions` runs it, and
//! compares with what `instructions.tsv` has recorded.
#![allow(missing_docs, reason = "gungraun's macros make public modules")]

use gungraun::Callgrind;
use gungraun::prelude::*;
use hikyaku_benches::task::Task;
use hikyaku_benches::{auth, ours, peer, policy, rows};

/// Has run once, so that nothing is counted that happens only the first time.
fn warm(mut task: Task) -> Task {
    task.prepare();
    task.run();
    task.prepare();
    task
}

fn of_hikyaku(name: &'static str) -> Task {
    warm(ours::task(&(rows::row(name).work)()))
}

fn of_policy(name: &'static str) -> Task {
    warm(policy::task(name))
}

fn of_auth(name: &'static str) -> Task {
    warm(auth::ours::task(&(auth::rows::row(name).work)()))
}

fn of_smtp_proto(name: &'static str) -> Task {
    warm(peer::task(&(rows::row(name).work)()).expect("the row is among those that are compared"))
}

macro_rules! benchmarks {
    (
        compared $($compared:ident)*;
        alone $($alone:ident)*;
        policy $($policy:ident)*;
        auth $($auth:ident)*;
        timed $($timed:ident)*
    ) => {
        #[library_benchmark]
        $(#[bench::$compared(of_hikyaku(stringify!($compared)))])*
        $(#[bench::$alone(of_hikyaku(stringify!($alone)))])*
        $(#[bench::$policy(of_policy(stringify!($policy)))])*
        $(#[bench::$auth(of_auth(stringify!($auth)))])*
        fn hikyaku(mut task: Task) -> Task {
            task.run();
            task
        }

        #[library_benchmark]
        $(#[bench::$compared(of_smtp_proto(stringify!($compared)))])*
        fn smtp_proto(mut task: Task) -> Task {
            task.run();
            task
        }
    };
}
hikyaku_benches::with_every_row!(benchmarks);

library_benchmark_group!(name = instructions, benchmarks = [hikyaku, smtp_proto]);
main!(
    config = LibraryBenchmarkConfig::default().tool(Callgrind::with_args(["--cache-sim=no"])),
    library_benchmark_groups = instructions
);
