//! PostgreSQL servers of the tests' own: on free loopback ports, in temporary folders, ended by
//! their process ids.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use hikyaku_queue_postgres::PostgresConfig;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

/// The folder with `initdb` and `postgres`, and what the loader needs to find their libraries.
const MISSING: &str = "PostgreSQL is not here: `cargo xtask test --setup` unpacks it, \
                       or install the package postgresql-15 (or newer), or put initdb, postgres and pg_basebackup on PATH";

/// Where a program of PostgreSQL is: installed, on PATH, or unpacked by the set-up.
fn path_of(name: &str) -> PathBuf {
    let mut folders: Vec<PathBuf> = Vec::new();
    if let Ok(versions) = fs::read_dir("/usr/lib/postgresql") {
        folders.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    folders.sort();
    folders.reverse();
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/interop");
    folders.extend(
        ["postgresql-15", "postgresql-client-15"].map(|one| unpacked.join(one).join("usr/lib/postgresql/15/bin")),
    );
    folders.into_iter().map(|folder| folder.join(name)).find(|path| path.exists()).expect(MISSING)
}

/// Who the servers run as: they refuse root.
fn user() -> Option<(u32, u32)> {
    if !geteuid().is_root() {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").expect("the list of users");
    let entry = |name: &str| {
        let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    Some(entry("postgres").or_else(|| entry("nobody")).expect("a user without rights"))
}

/// A program of PostgreSQL, with an empty environment.
fn program(name: &str) -> Command {
    let path = path_of(name);
    let mut command = match user() {
        None => Command::new(path),
        Some((uid, gid)) => {
            let mut command = Command::new("setpriv");
            command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()]);
            command.arg(path);
            command
        }
    };
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C").stdin(Stdio::null());
    command
}

fn done(mut command: Command) {
    let output = command.output().expect("the program runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}

/// A server, running or not; its folder goes with it.
pub(crate) struct Server {
    folder: TempDir,
    pub(crate) port: u16,
    /// Its arguments, `name=value`.
    settings: Vec<String>,
    process: Mutex<Option<Child>>,
}

impl Server {
    fn folder() -> TempDir {
        let folder = tempfile::Builder::new().prefix("hikyaku-pg-").tempdir().expect("a folder");
        if let Some((uid, gid)) = user() {
            chown(folder.path(), Some(uid), Some(gid)).expect("the folder is ours");
        }
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).expect("the folder is ours");
        folder
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A new server, with these settings beside the usual ones, running.
    pub(crate) fn start_new(settings: &[&str]) -> Self {
        let folder = Self::folder();
        let mut init = program("initdb");
        init.args(["-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C", "-D"]);
        init.arg(folder.path().join("data"));
        done(init);
        let server = Self::with(folder, settings);
        server.start();
        server
    }

    fn with(folder: TempDir, settings: &[&str]) -> Self {
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        Self { folder, port: free_port(), settings, process: Mutex::new(None) }
    }

    /// A standby of this server by the name, running.
    pub(crate) fn standby(&self, name: &str) -> Self {
        let folder = Self::folder();
        let mut backup = program("pg_basebackup");
        backup.args([
            "-h",
            "127.0.0.1",
            "-U",
            "postgres",
            "-R",
            "-X",
            "stream",
            "--no-sync",
            "-c",
            "fast",
            "-C",
            "-S",
            name,
        ]);
        backup.args(["-p", &self.port.to_string(), "-D"]).arg(folder.path().join("data"));
        done(backup);
        let mut server = Self::with(folder, &[]);
        server.follow(self, name);
        server.start();
        server
    }

    /// From its next start on it follows that one.
    pub(crate) fn follow(&mut self, primary: &Self, name: &str) {
        self.settings = vec![
            format!("primary_conninfo=host=127.0.0.1 port={} user=postgres application_name={name}", primary.port),
            format!("primary_slot_name={name}"),
        ];
    }

    pub(crate) fn start(&self) {
        let mut server = program("postgres");
        server.arg("-D").arg(self.data());
        let port = format!("port={}", self.port);
        let usual = [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=200",
            "shared_buffers=32MB",
            "max_wal_senders=8",
            "max_replication_slots=8",
            "wal_level=replica",
            "hot_standby=on",
            "lc_messages=C",
            &port,
        ];
        for setting in usual.into_iter().chain(self.settings.iter().map(String::as_str)) {
            server.args(["-c", setting]);
        }
        let log = fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join("log")).expect("a log");
        server.stdout(Stdio::null()).stderr(log);
        // After a kill its children may still hold the folder: then it ends, and is started again.
        for _ in 0..100 {
            let mut process = server.spawn().expect("the server starts");
            for _ in 0..200 {
                std::thread::sleep(Duration::from_millis(50));
                if process.try_wait().expect("a child").is_some() {
                    break;
                }
                if self.try_sql("SELECT 1").is_ok() {
                    *self.process.lock().unwrap() = Some(process);
                    return;
                }
            }
            let _ = process.kill();
            let _ = process.wait();
        }
        panic!("the server does not start: {}", self.log());
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Ends it at once, as by a failure of its machine.
    pub(crate) fn kill(&self) {
        let process = self.process.lock().unwrap().take();
        if let Some(mut process) = process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Makes a standby a primary.
    pub(crate) fn promote(&self) {
        self.sql("SELECT pg_promote(true, 60)");
    }

    /// How much of the log it has received.
    pub(crate) fn received(&self) -> u64 {
        let text = self.sql("SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')::bigint");
        text[0].parse().expect("a place in the log")
    }

    /// Runs statements one by one; the first column of the last one's rows.
    pub(crate) fn sql(&self, text: &str) -> Vec<String> {
        self.try_sql(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn try_sql(&self, text: &str) -> Result<Vec<String>, String> {
        let url = self.url("postgres");
        let work = async {
            let (client, connection) =
                tokio_postgres::connect(&url, tokio_postgres::NoTls).await.map_err(|error| format!("{error:?}"))?;
            let driver = tokio::spawn(connection);
            let mut last = Vec::new();
            for statement in text.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
                let messages = client.simple_query(statement).await.map_err(|error| format!("{error:?}"))?;
                last = messages
                    .iter()
                    .filter_map(|message| match message {
                        tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("").to_owned()),
                        _ => None,
                    })
                    .collect();
            }
            drop(client);
            let _ = driver.await;
            Ok(last)
        };
        // Callers may be inside a runtime of their own.
        std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                    runtime.expect("a runtime").block_on(async {
                        tokio::time::timeout(Duration::from_secs(90), work)
                            .await
                            .unwrap_or_else(|_| Err("it takes too long".to_owned()))
                    })
                })
                .join()
                .expect("nothing panics in it")
        })
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// A configuration with a schema of its own.
    pub(crate) fn config(&self) -> PostgresConfig {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mut config = PostgresConfig::new(&self.url("postgres")).expect("a URL");
        config.schema = format!("q{}", NEXT.fetch_add(1, Ordering::Relaxed));
        config
    }

    /// One server for all tests that need just any, for as long as one of them runs.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return server;
        }
        let server = Arc::new(Self::start_new(&[]));
        *shared = Arc::downgrade(&server);
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take() {
            // At once, and its children with it.
            let _ = kill_process(Pid::from_child(&process), Signal::QUIT);
            let _ = process.wait();
        }
    }
}
