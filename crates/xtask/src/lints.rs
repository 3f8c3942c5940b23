//! Clippy, three times: what holds everywhere, what holds outside tests, and
//! what holds below the top floor (`clippy.toml` has the list).

use std::fs;

use crate::floors::FLOORS;
use crate::run::{cargo, output, succeed};
use crate::{root, target};

const BELOW_THE_TOP: [&str; 4] = ["-D", "clippy::disallowed_methods", "-D", "clippy::disallowed_types"];

/// Everything that can be compiled, with warnings denied.
pub(crate) fn all_targets() -> Result<(), String> {
    let arguments = ["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
    succeed(&mut cargo(&arguments))
}

/// Libraries and programs as they are shipped: no `unwrap`.
pub(crate) fn no_unwrap() -> Result<(), String> {
    let arguments = ["clippy", "--workspace", "--lib", "--bins", "--all-features", "--"];
    succeed(cargo(&arguments).args(["-D", "warnings", "-D", "clippy::unwrap_used"]))
}

/// The libraries below the top floor name no clock, socket, file or thread.
///
/// Without default features: the named exceptions, the spool of the queue and
/// the system resolver, are features. Without tests: those make their own
/// instants and read the corpus.
pub(crate) fn below_the_top() -> Result<(), String> {
    canary()?;
    let mut clippy = cargo(&["clippy", "--lib", "--no-default-features"]);
    let top = FLOORS.iter().map(|(_, floor)| *floor).max().unwrap_or_default();
    for (name, _) in FLOORS.iter().filter(|(_, floor)| *floor < top) {
        clippy.args(["--package", name]);
    }
    succeed(clippy.args(["--", "-D", "warnings"]).args(BELOW_THE_TOP))
}

/// A crate that does what the lint forbids; a list that no longer bites would
/// pass everything.
const CANARY: &str = r#"
pub fn clock() -> std::time::Instant { std::time::Instant::now() }
pub fn wall() { let _ = std::time::SystemTime::now(); }
pub fn file() { let _ = std::fs::read("x"); }
pub fn handle() { let _ = std::fs::File::open("x"); }
pub fn socket() { let _ = std::net::TcpStream::connect("x"); }
pub fn wait() { std::thread::sleep(std::time::Duration::ZERO); }
pub fn entropy() { let _ = std::hash::RandomState::new(); }
"#;

fn canary() -> Result<(), String> {
    let folder = target().join("xtask-canary");
    let write = |name: &str, text: &str| fs::write(folder.join(name), text);
    fs::create_dir_all(folder.join("src"))
        .and_then(|()| write("Cargo.toml", "[package]\nname = \"canary\"\nedition = \"2024\"\n\n[workspace]\n"))
        .and_then(|()| write("src/lib.rs", CANARY))
        .map_err(|error| format!("the canary in {}: {error}", folder.display()))?;
    let mut clippy = cargo(&["clippy", "--quiet", "--offline", "--"]);
    clippy.args(BELOW_THE_TOP).current_dir(&folder).env("CLIPPY_CONF_DIR", root());
    clippy.env("CARGO_TARGET_DIR", folder.join("target"));
    let Err(said) = output(&mut clippy) else {
        return Err("clippy.toml forbids nothing: the canary passes".into());
    };
    let silent: Vec<&str> = CANARY
        .lines()
        .enumerate()
        .filter(|(number, line)| !line.is_empty() && !said.contains(&format!("src/lib.rs:{}:", number + 1)))
        .map(|(_, line)| line)
        .collect();
    if silent.is_empty() { Ok(()) } else { Err(format!("clippy.toml allows {silent:?}\n{said}")) }
}
