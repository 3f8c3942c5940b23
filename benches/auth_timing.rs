//! `cargo bench --bench auth_timing -- [--check] [--tries N]`: whether the time of a failed login
//! tells if the user exists.
//!
//! A server of this tree, on loopback and under TLS, with a file of users as `relay user add`
//! writes it, and without the delays and limits that failed logins have: they would hide it.

use std::fs;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hikyaku::session::sasl::{Answer, Mechanism, Password, Question, Secret};
use hikyaku::session::server::{self, Session, TlsMode};
use hikyaku::wire::{Hello, Reply};
use hikyaku::{
    Accounts, Address, AuthConfig, CertificateFiles, Certificates, ClientCertificates, Gate, GateLimits, Handler,
    Listener, ServerTls, Service, Stopper, serve,
};
use hikyaku_benches::{readme, tls};
use rustls::{ClientConnection, StreamOwned};

const HELP: &str = "\
cargo bench --bench auth_timing -- [OPTION]…

Logs in with wrong passwords as a user that exists and as one that does not, in turns, and prints
how far the times are apart.

--check     exit with 1 if they are apart by two standard errors, each of three times
--tries N   so many of each (250)
";

type Client = StreamOwned<ClientConnection, TcpStream>;

/// Names of equal length; the first is in the file.
const USERS: [&str; 2] = ["alice", "alicf"];
/// How far apart two means may be, in standard errors of their difference.
const APART: f64 = 2.0;

struct Arguments {
    check: bool,
    tries: usize,
}

/// `None`: the arguments are wrong, or help was asked for.
fn arguments() -> Option<Arguments> {
    let mut arguments = Arguments { check: false, tries: 250 };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            // Cargo says it to every bench; these figures stand in no table.
            "--bench" | "--write" => {}
            "--check" => arguments.check = true,
            "--tries" => arguments.tries = words.next()?.parse().ok().filter(|tries| *tries > 1)?,
            _ => return None,
        }
    }
    Some(arguments)
}

fn main() -> ExitCode {
    let Some(arguments) = arguments() else {
        eprint!("{HELP}");
        return ExitCode::from(2);
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let (service, accounts) = service(Path::new(env!("CARGO_TARGET_TMPDIR")));
    let address: Address = "127.0.0.1:0".parse().expect("an address");
    let listener = runtime.block_on(Listener::bind(&address)).expect("listen on loopback");
    let Address::Tcp(address) = *listener.address() else { unreachable!("it is a TCP address") };
    let (stopper, stop) = Stopper::new();
    let handler = {
        let accounts = accounts.clone();
        move || Users(accounts.clone())
    };
    let server = runtime.spawn(serve(listener, service, handler, stop));

    let mut told = Vec::new();
    for (name, login) in [("PLAIN", plain as fn(&mut Client, &str) -> io::Result<Duration>), ("SCRAM-SHA-256", scram)] {
        let mut apart = Vec::new();
        // Chance alone puts one measurement in twenty beyond the bound.
        while apart.len() < 3 && apart.iter().all(|sigmas: &f64| sigmas.abs() >= APART) {
            let hashes = accounts.hashes();
            let times = measure(address, login, arguments.tries).expect("every login is answered");
            apart.push(report(name, &times, accounts.hashes() - hashes));
        }
        let same_side = apart.iter().all(|sigmas| sigmas.is_sign_positive())
            || apart.iter().all(|sigmas| sigmas.is_sign_negative());
        if apart.iter().all(|sigmas| sigmas.abs() >= APART) && same_side {
            told.push(name);
        }
    }
    println!("{}", readme::machine());
    stopper.stop();
    // It ends with the process if it does not end before.
    let _ = runtime.block_on(server);
    for name in &told {
        eprintln!("missed: {name}: the time of a failed login tells whether the user exists");
    }
    if arguments.check && !told.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Milliseconds of each try, of the user that exists and of the one that does not.
fn measure(
    address: SocketAddr,
    login: fn(&mut Client, &str) -> io::Result<Duration>,
    tries: usize,
) -> io::Result<Vec<[f64; 2]>> {
    let mut client = tls::connect(&tls::config(), address)?;
    tls::expect(&mut client, 220)?;
    tls::command(&mut client, "EHLO client.test", 250)?;
    for user in USERS.repeat(5) {
        login(&mut client, user)?;
    }
    (0..tries)
        .map(|round| {
            let mut times = [0.0; 2];
            // Who is first changes from round to round.
            for turn in [round % 2, 1 - round % 2] {
                times[turn] = login(&mut client, USERS[turn])?.as_secs_f64() * 1e3;
            }
            Ok(times)
        })
        .collect()
}

/// Prints the means and returns how far they are apart, in standard errors.
fn report(name: &str, times: &[[f64; 2]], hashes: u64) -> f64 {
    let count = times.len() as f64;
    let mean = |of: &dyn Fn(&[f64; 2]) -> f64| times.iter().map(of).sum::<f64>() / count;
    let (known, unknown) = (mean(&|pair| pair[0]), mean(&|pair| pair[1]));
    let difference = known - unknown;
    let variance = mean(&|pair| (pair[0] - pair[1] - difference).powi(2)) * count / (count - 1.0);
    let error = (variance / count).sqrt();
    let sigmas = difference / error;
    println!(
        "{name}: {} tries each, mean {known:.3} ms for a known user and {unknown:.3} ms for an unknown one: \
         {difference:+.4} ms = {sigmas:+.2} standard errors; {hashes} password hashes",
        times.len(),
    );
    sigmas
}

/// One `AUTH PLAIN` with a wrong password.
fn plain(client: &mut Client, user: &str) -> io::Result<Duration> {
    let line = format!("AUTH PLAIN {}", BASE64.encode(format!("\0{user}\0wrong password")));
    timed(|| tls::command(client, &line, 535))
}

/// One exchange of SCRAM with a proof that is not one: the time that the server takes.
fn scram(client: &mut Client, user: &str) -> io::Result<Duration> {
    let nonce = "bm9ib2R5IGd1ZXNzZXM";
    let first = format!("AUTH SCRAM-SHA-256 {}", BASE64.encode(format!("n,,n={user},r={nonce}")));
    let begun = Instant::now();
    client.write_all(format!("{first}\r\n").as_bytes())?;
    let challenge = line(client)?;
    let time = begun.elapsed();
    let decoded = challenge.strip_prefix("334 ").and_then(|text| BASE64.decode(text.trim_end()).ok());
    let decoded = decoded.and_then(|octets| String::from_utf8(octets).ok());
    let decoded = decoded.ok_or_else(|| io::Error::other(format!("not a challenge: {challenge:?}")))?;
    let whole = decoded.split(',').find_map(|part| part.strip_prefix("r=")).unwrap_or_default();
    let last = BASE64.encode(format!("c=biws,r={whole},p={}", BASE64.encode([7; 32])));
    Ok(time + timed(|| tls::command(client, &last, 535))?)
}

fn timed(work: impl FnOnce() -> io::Result<()>) -> io::Result<Duration> {
    let begun = Instant::now();
    work()?;
    Ok(begun.elapsed())
}

/// One line as it comes.
fn line(client: &mut Client) -> io::Result<String> {
    let (mut line, mut octet) = (Vec::new(), [0]);
    while octet[0] != b'\n' {
        io::Read::read_exact(client, &mut octet)?;
        line.push(octet[0]);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// Lets clients log in, and nothing else.
struct Users(Arc<Accounts>);

impl Handler for Users {
    type Mail = ();

    async fn connect(&mut self, _: &Session) -> Reply {
        Reply::OK_250
    }

    async fn hello(&mut self, _: &Session, _: &Hello) -> Reply {
        Reply::OK_250
    }

    async fn authenticate(&mut self, _: &Session, question: &Question<'_>) -> Answer {
        self.0.answer(question).await
    }
}

fn service(folder: &Path) -> (Service, Arc<Accounts>) {
    let folder = folder.join("auth_timing");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("make a folder");
    let users = folder.join("users.toml");
    Accounts::add(&users, USERS[0], &Password::new("right password"), &[]).expect("add a user");
    let mechanisms = vec![Mechanism::ScramSha256, Mechanism::Plain];
    let auth = AuthConfig { users: Some(users), mechanisms: mechanisms.clone(), certificates: Vec::new() };
    let accounts = Arc::new(Accounts::load(&auth, &Default::default()).expect("read the users"));

    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("make a certificate");
    let files = CertificateFiles { names: Vec::new(), cert: folder.join("cert.pem"), key: folder.join("key.pem") };
    fs::write(&files.cert, made.cert.pem()).expect("write the certificate");
    fs::write(&files.key, made.signing_key.serialize_pem()).expect("write the key");
    let certificates = Certificates::load(vec![files]).expect("read the certificate");

    let mut config = server::Config::new("localhost");
    config.tls = TlsMode::Implicit;
    config.auth.mechanisms = mechanisms;
    config.auth.secret = Secret::new([9; 32]);
    config.auth.iterations = accounts.iterations();
    let limits = &mut config.limits;
    limits.auth_delay = Duration::ZERO;
    limits.error_delay = Duration::ZERO;
    (limits.auth_attempts, limits.errors, limits.commands, limits.junk) = (u32::MAX, u32::MAX, u32::MAX, u32::MAX);
    let tls = ServerTls::new(certificates, &ClientCertificates::default()).expect("TLS");
    let mut gate = GateLimits::default();
    (gate.auth_attempts_per_ip, gate.auth_attempts_per_user) = (u32::MAX, u32::MAX);
    (Service { session: Arc::new(config), tls: Some(tls), gate: Arc::new(Gate::new(gate)) }, accounts)
}
