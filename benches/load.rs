//! `cargo bench --bench load -- [--check] [--write] [--connections N] [--relay FILE]`: what an
//! idle connection costs the relay in memory, plain and under TLS.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use hikyaku_benches::program::{self, Relay};
use hikyaku_benches::{readme, tls};

/// What the README says of this table.
const PLACE: &str = "cargo bench --bench load -- --write";

const HELP: &str = "\
cargo bench --bench load -- [OPTION]…

Opens idle connections to the relay program and prints what each costs in memory.

--check           exit with 1 if one costs more than is asked
--write           put table, machine and commit into README.md
--connections N   so many (10000)
--relay FILE      this program in the place of one that is built from this tree
";

/// Files that a process has open besides its connections.
const BESIDES: u64 = 100;

struct Arguments {
    check: bool,
    write: bool,
    connections: u64,
    relay: Option<PathBuf>,
}

/// `None`: the arguments are wrong, or help was asked for.
fn arguments() -> Option<Arguments> {
    let mut arguments = Arguments { check: false, write: false, connections: 10_000, relay: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            // Cargo says it to every bench.
            "--bench" => {}
            "--check" => arguments.check = true,
            "--write" => arguments.write = true,
            "--connections" => arguments.connections = words.next()?.parse().ok().filter(|number| *number > 0)?,
            "--relay" => arguments.relay = Some(words.next()?.into()),
            _ => return None,
        }
    }
    Some(arguments)
}

/// What was measured; memory in KiB.
struct Idle {
    what: &'static str,
    connections: u64,
    before: u64,
    held: u64,
    left: u64,
    again: u64,
    /// KiB a connection must stay below, and those that are hoped for.
    asked: (f64, Option<f64>),
}

impl Idle {
    fn each(&self) -> f64 {
        self.held.saturating_sub(self.before) as f64 / self.connections as f64
    }

    fn is_missed(&self) -> bool {
        self.each() >= self.asked.0
    }
}

fn main() -> ExitCode {
    let Some(mut arguments) = arguments() else {
        eprint!("{HELP}");
        return ExitCode::from(2);
    };
    let files = open_files();
    if arguments.connections + BESIDES > files {
        arguments.connections = files.saturating_sub(BESIDES).max(1);
        eprintln!("only {files} files may be open: {} connections are measured", arguments.connections);
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let program = arguments.relay.clone().unwrap_or_else(|| program::build(folder));
    let all = [
        idle(&program, arguments.connections, "idle, plain", "mx", (8.0, Some(3.0))),
        idle(&program, arguments.connections, "idle, TLS 1.3", "submissions", (40.0, None)),
    ];
    let table = table(&all);
    let machine = format!("{}\n{}", kernel(files), readme::machine());
    println!("{table}\n{machine}");
    if arguments.write {
        readme::write(PLACE, &format!("{table}\n{machine}\n"));
    }
    let missed: Vec<_> = all.iter().filter(|idle| idle.is_missed()).collect();
    for idle in &missed {
        eprintln!("missed: {}: {:.1} KiB a connection, asked are less than {}", idle.what, idle.each(), idle.asked.0);
    }
    if arguments.check && !missed.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn table(all: &[Idle]) -> String {
    let mut table = String::from(
        "| what | connections | KiB each | asked (goal) | MiB before | MiB with them | MiB when they have gone | MiB with as many again |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for idle in all {
        let each = format!("{:.1}", idle.each());
        let each = if idle.is_missed() { format!("**{each}**") } else { each };
        let goal = idle.asked.1.map_or(String::new(), |goal| format!(" ({goal})"));
        let mib = |kib: u64| format!("{:.1}", kib as f64 / 1024.0);
        let _ = writeln!(
            table,
            "| {} | {} | {each} | < {}{goal} | {} | {} | {} | {} |",
            idle.what,
            idle.connections,
            idle.asked.0,
            mib(idle.before),
            mib(idle.held),
            mib(idle.left),
            mib(idle.again),
        );
    }
    table
}

fn idle(program: &Path, connections: u64, what: &'static str, mode: &str, asked: (f64, Option<f64>)) -> Idle {
    let config = format!(
        "hostname = \"localhost\"\nlocal_domains = [\"example.test\"]\ndata_dir = \"data\"\n\
         [[listener]]\naddress = \"127.0.0.1:0\"\nmode = \"mx\"\n\
         [[listener]]\naddress = \"127.0.0.1:0\"\nmode = \"submissions\"\n\
         [auth]\nusers = \"users.toml\"\n\
         [limits]\nconnections = {}\n",
        // A table that is nearly full would send idle clients away.
        connections * 2
    );
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("load");
    let relay = Relay::start(program, &folder, &config, 2);
    let open = |number: u64| -> Vec<TcpStream> {
        let address = relay.address(mode);
        let config = tls::config();
        (0..number)
            .map(|_| {
                let opened = if mode == "mx" {
                    TcpStream::connect(address).and_then(hello)
                } else {
                    // What the client knows of TLS is not kept: nothing more is said.
                    tls::connect(&config, address).and_then(hello).map(|stream| stream.sock)
                };
                opened.unwrap_or_else(|error| panic!("a connection: {error}"))
            })
            .collect()
    };
    // What the first ones need is not what each one needs.
    drop(open(connections.min(100)));
    let before = settled(&relay);
    let crowd = open(connections);
    let held = settled(&relay);
    drop(crowd);
    let left = settled(&relay);
    let crowd = open(connections);
    let again = settled(&relay);
    drop(crowd);
    Idle { what, connections, before, held, left, again, asked }
}

/// The greeting and `EHLO`.
fn hello<S: Read + Write>(mut stream: S) -> io::Result<S> {
    tls::expect(&mut stream, 220)?;
    tls::command(&mut stream, "EHLO client.test", 250)?;
    Ok(stream)
}

/// The memory when it has stopped to change.
fn settled(relay: &Relay) -> u64 {
    let mut last = relay.memory();
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let now = relay.memory();
        if now.abs_diff(last) < 64 {
            return now;
        }
        last = now;
    }
}

/// How many files this process, and one that it starts, may have open.
fn open_files() -> u64 {
    let limits = fs::read_to_string("/proc/self/limits").expect("the system says its limits");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("a line of open files");
    line.split_whitespace().next().and_then(|soft| soft.parse().ok()).expect("a number of files")
}

/// The limits of the kernel that matter here.
fn kernel(files: u64) -> String {
    let read = |name: &str| {
        let text = fs::read_to_string(format!("/proc/sys/net/{name}")).unwrap_or_else(|_| "unknown".into());
        text.split_whitespace().collect::<Vec<_>>().join(" to ")
    };
    format!(
        "Kernel: {files} open files a process, local ports {}, somaxconn {}; sockets of the kernel itself are not counted.",
        read("ipv4/ip_local_port_range"),
        read("core/somaxconn"),
    )
}
