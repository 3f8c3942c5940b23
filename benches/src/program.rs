//! The relay program as a process of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::readme;

/// A running relay; it is killed when it is dropped.
pub struct Relay {
    child: Child,
    /// Where it listens, and for what.
    pub listeners: Vec<(SocketAddr, String)>,
}

/// Builds the relay of this tree as it is released, below `folder`.
///
/// # Panics
/// It cannot be built.
pub fn build(folder: &Path) -> PathBuf {
    let manifest = readme::folder().join("../Cargo.toml");
    let target = folder.join("relay");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--locked", "--package", "hikyaku-examples", "--bin", "relay"])
        .arg("--manifest-path")
        .arg(manifest)
        .arg("--target-dir")
        .arg(&target)
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the relay cannot be built: {status}");
    target.join("release/relay")
}

impl Relay {
    /// Starts the program in an empty folder with this configuration, and waits until it listens
    /// at all of so many addresses.
    ///
    /// # Panics
    /// It does not come so far.
    pub fn start(program: &Path, folder: &Path, config: &str, listeners: usize) -> Self {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).expect("make a folder");
        fs::write(folder.join("users.toml"), "").expect("write the users");
        fs::write(folder.join("relay.toml"), config).expect("write the configuration");
        let mut child = Command::new(program)
            .args(["--config", "relay.toml"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the relay");
        let mut output = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut relay = Self { child, listeners: Vec::new() };
        while relay.listeners.len() < listeners {
            let mut line = String::new();
            let read = output.read_line(&mut line).expect("read what the relay says");
            assert!(read > 0, "the relay has ended before it listened");
            let words = line.trim_end().strip_prefix("listening on ").and_then(|words| words.split_once(' '));
            if let Some((address, mode)) = words {
                let address = address.parse().expect("an address and a port");
                relay.listeners.push((address, mode.trim_matches(['(', ')']).to_owned()));
            }
        }
        // The rest is read on, so that the relay never waits for us.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        relay
    }

    /// The address of the listener of this mode.
    ///
    /// # Panics
    /// There is none.
    pub fn address(&self, mode: &str) -> SocketAddr {
        self.listeners.iter().find(|(_, its)| its == mode).expect("a listener of this mode").0
    }

    /// The memory that the process holds now, in KiB (`VmRSS`).
    ///
    /// # Panics
    /// The system does not say it.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("read the process status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line VmRSS");
        line.trim().trim_end_matches("kB").trim().parse().expect("a number of kB")
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
