//! The relay binary as a process of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::JoinHandle;

use serde_json::Value;

/// A folder of its own with a configuration file in it.
pub(crate) struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    /// `top` are keys, `tables` what follows the listener, both TOML. Unless they say otherwise
    /// there is nothing in the DNS, so that no test asks a server of this network.
    pub(crate) fn new(top: &str, tables: &str) -> Self {
        let site = Self { folder: tempfile::tempdir().expect("make a temporary folder") };
        let dns = if tables.contains("[dns]") { String::new() } else { format!("[dns]\nzone = {:?}\n", site.zone()) };
        std::fs::write(site.zone(), "").expect("write the zone");
        let data = site.data();
        let text = format!(
            "hostname = \"mx.example.test\"\ndata_dir = {data:?}\n{top}\n\n\
             [[listener]]\naddress = \"127.0.0.1:0\"\nmode = \"mx\"\n\n{tables}\n{dns}"
        );
        std::fs::write(site.config(), text).expect("write the configuration");
        site
    }

    /// For `example.test` with any user, closed to all others.
    pub(crate) fn closed() -> Self {
        Self::new("local_domains = [\"example.test\"]", "")
    }

    /// Open to the loopback, everything to one smart host.
    pub(crate) fn to_smart_host(address: SocketAddr) -> Self {
        Self::new(
            "local_domains = [\"example.test\"]\ntrusted_networks = [\"127.0.0.0/8\"]",
            &format!("[delivery]\nroute = \"smarthost\"\nsmarthost = \"{address}\""),
        )
    }

    /// With a policy in a file of its own, and `tables` behind the listener.
    pub(crate) fn with_policy(policy: &str, tables: &str) -> Self {
        let site = Self::new("policy = \"relay.policy\"", tables);
        // The folder is known only when it is there.
        let text = std::fs::read_to_string(site.config()).expect("read the configuration");
        let text = text.replace("\"relay.policy\"", &format!("{:?}", site.policy()));
        std::fs::write(site.config(), text).expect("write the configuration");
        site.write_policy(policy);
        site
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn policy(&self) -> PathBuf {
        self.path().join("relay.policy")
    }

    pub(crate) fn write_policy(&self, text: &str) {
        std::fs::write(self.policy(), text).expect("write the policy");
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path().join("relay.toml")
    }

    /// The zone file in the place of the DNS.
    pub(crate) fn zone(&self) -> PathBuf {
        self.path().join("zone")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    pub(crate) fn mail(&self) -> PathBuf {
        self.data().join("mail")
    }

    /// The audit log so far, line by line. A torn last line is not there yet.
    pub(crate) fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.data().join("audit.jsonl")).unwrap_or_default();
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        complete
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("audit line {line:?}: {error}")))
            .collect()
    }

    /// Starts the relay and waits until it listens.
    pub(crate) fn start(&self) -> Relay {
        self.launch(Command::new(env!("CARGO_BIN_EXE_relay")))
    }

    /// The same, in a process that may have only so many files and sockets open.
    pub(crate) fn start_with_open_files(&self, most: u32) -> Relay {
        let mut shell = Command::new("sh");
        let script = format!("ulimit -n {most} && exec \"$0\" \"$@\"");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_relay")]);
        self.launch(shell)
    }

    fn launch(&self, mut program: Command) -> Relay {
        let stderr = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.path().join("stderr"))
            .expect("open a file for the error output");
        let mut child = program
            .arg("--config")
            .arg(self.config())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("start the relay");
        let mut output = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut relay = Relay { child, listening: Vec::new(), output: None, errors: self.path().join("stderr") };
        let config = std::fs::read_to_string(self.config()).expect("read the configuration");
        let listeners = config.matches("[[listener]]").count();
        let (mut seen, mut found) = (String::new(), 0);
        while found < listeners {
            let start = seen.len();
            let read = output.read_line(&mut seen).expect("read what the relay says");
            assert!(read > 0, "the relay has ended before it listened; it said: {seen}");
            if let Some(listener) = seen[start..].trim_end().strip_prefix("listening on ") {
                found += 1;
                relay.listening.extend(listening(listener));
            }
        }
        // The rest is read on, so that the relay never waits for us.
        relay.output = Some(std::thread::spawn(move || {
            let _ = output.read_to_string(&mut seen);
            seen
        }));
        relay
    }

    /// Runs the relay with arguments until it ends.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.run_with_input(arguments, "")
    }

    /// The same, with this on its standard input.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_relay"));
        command.args(arguments).current_dir(self.path()).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("run the relay");
        // It may end without reading.
        let _ = child.stdin.take().expect("stdin is piped").write_all(input.as_bytes());
        child.wait_with_output().expect("wait for the relay")
    }
}

/// Mode and address in `127.0.0.1:2525 (mx)`; none for a Unix socket.
fn listening(listener: &str) -> Option<(String, SocketAddr)> {
    let (address, mode) = listener.split_once(" (")?;
    Some((mode.trim_end_matches(')').to_owned(), address.parse().ok()?))
}

/// A running relay; it is killed when it is dropped.
pub(crate) struct Relay {
    child: Child,
    /// Mode and address of each TCP listener.
    listening: Vec<(String, SocketAddr)>,
    output: Option<JoinHandle<String>>,
    errors: PathBuf,
}

impl Relay {
    pub(crate) fn address(&self) -> SocketAddr {
        self.listener("mx")
    }

    /// The address of the first listener of this mode.
    pub(crate) fn listener(&self, mode: &str) -> SocketAddr {
        let found = self.listening.iter().find(|(known, _)| known == mode);
        found.unwrap_or_else(|| panic!("no listener for {mode} in {:?}", self.listening)).1
    }

    /// `kill -9`, and wait until it is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("kill the relay");
        self.child.wait().expect("wait for the relay");
    }

    /// `SIGTERM`, and no waiting. The shell's own `kill` is everywhere.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// `SIGHUP`: the relay reads its files anew.
    pub(crate) fn hang_up(&self) {
        self.signal("HUP");
    }

    fn signal(&self, name: &str) {
        let script = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &script]).status().expect("run the shell");
        assert!(status.success(), "{script}");
    }

    /// Waits for the end after `terminate`: exit status and all that was said.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().expect("wait for the relay");
        let output = self.output.take().expect("a started relay has an output");
        (status, output.join().expect("read what the relay said"))
    }

    /// `SIGTERM`; the relay must end with status 0.
    pub(crate) fn stop(self) -> String {
        self.terminate();
        let (status, output) = self.wait();
        assert!(status.success(), "{status}: {output}");
        output
    }

    /// The most memory the process has held so far, in KiB (`VmHWM`).
    #[cfg(target_os = "linux")]
    pub(crate) fn peak_memory(&self) -> u64 {
        self.status("VmHWM")
    }

    /// The memory the process holds now, in KiB (`VmRSS`).
    #[cfg(target_os = "linux")]
    pub(crate) fn memory(&self) -> u64 {
        self.status("VmRSS")
    }

    #[cfg(target_os = "linux")]
    fn status(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("read the process status");
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let value = line.expect("a line of this name").trim().trim_end_matches("kB").trim();
        value.parse().expect("a number of kB")
    }

    /// The processor time the process has used, in hundredths of a second.
    #[cfg(target_os = "linux")]
    pub(crate) fn processor_time(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("read the process state");
        // The name before it, in parentheses, may hold spaces.
        let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
        let field = |number: usize| fields.split_whitespace().nth(number).and_then(|field| field.parse::<u64>().ok());
        field(11).zip(field(12)).map(|(user, system)| user + system).expect("numbers of ticks")
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // Already gone after `kill` or `wait`: then both do nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the relay's error output:\n{}", std::fs::read_to_string(&self.errors).unwrap_or_default());
        }
    }
}
