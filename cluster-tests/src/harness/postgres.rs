//! A real PostgreSQL of its own, on a port of this machine.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getuid, kill_process};
use tempfile::TempDir;

/// How long it may take to begin or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server, until it is dropped.
pub struct Postgres {
    programs: PathBuf,
    /// Where it listens.
    pub port: u16,
    folder: TempDir,
    process: Child,
}

/// Where its programs are.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let folders = versions.filter_map(|version| Some(version.ok()?.path().join("bin")));
    folders.filter(|folder| folder.join("initdb").exists()).max()
}

fn id(what: &str) -> Option<u32> {
    let told = Command::new("id").args([what, "postgres"]).output().ok()?.stdout;
    String::from_utf8_lossy(&told).trim().parse().ok()
}

/// A command of it. It does not run as root: then as the user that its package made.
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    if getuid().is_root() {
        command.uid(id("-u").expect("the package made the user"));
        command.gid(id("-g").expect("the package made the group"));
    }
    command.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null());
    command
}

impl Postgres {
    /// Starts one. None: it is not installed.
    ///
    /// # Panics
    /// It is installed and does not start.
    pub fn start() -> Option<Postgres> {
        Postgres::begin(None)
    }

    /// The same, which also speaks TLS: with this certificate of `localhost`, and its key.
    ///
    /// # Panics
    /// It is installed and does not start.
    pub fn start_tls(certificate: &str, key: &str) -> Option<Postgres> {
        Postgres::begin(Some([("server.crt", certificate), ("server.key", key)]))
    }

    fn begin(tls: Option<[(&str, &str); 2]>) -> Option<Postgres> {
        let programs = programs()?;
        let free = TcpListener::bind("127.0.0.1:0").expect("there is a port");
        let port = free.local_addr().expect("it has an address").port();
        drop(free);
        // Not in the sandbox: another user may not go there.
        let folder =
            tempfile::Builder::new().prefix("cronapi-postgres").tempdir().expect("a folder");
        let owned = folder.path().join("data");
        std::fs::create_dir(&owned).expect("the folder is writable");
        let public = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), public).expect("it is ours");
        if let (true, Some(uid), Some(gid)) = (getuid().is_root(), id("-u"), id("-g")) {
            std::os::unix::fs::chown(&owned, Some(uid), Some(gid)).expect("root may");
        }
        let mut made = command(&programs.join("initdb"));
        made.args([
            "-A",
            "trust",
            "-U",
            "postgres",
            "-E",
            "UTF8",
            "--no-locale",
            "--no-sync",
            "-D",
        ]);
        assert!(made.arg(&owned).status().expect("it is there").success(), "initdb failed");
        if let Some(files) = tls {
            for (name, text) in files {
                let file = owned.join(name);
                std::fs::write(&file, text).expect("there is room");
                let private = std::fs::Permissions::from_mode(0o600);
                std::fs::set_permissions(&file, private).expect("it is ours");
                if let (true, Some(uid), Some(gid)) = (getuid().is_root(), id("-u"), id("-g")) {
                    std::os::unix::fs::chown(&file, Some(uid), Some(gid)).expect("root may");
                }
            }
        }
        let process = Postgres::spawn(&programs, port, &owned);
        let postgres = Postgres { programs, port, folder, process };
        postgres.ready();
        Some(postgres)
    }

    fn spawn(programs: &Path, port: u16, data: &Path) -> Child {
        let mut server = command(&programs.join("postgres"));
        server.args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        if data.join("server.key").exists() {
            server.args(["-c", "ssl=on"]);
        }
        server.args(["-c", "unix_socket_directories=", "-D"]).arg(data);
        server.spawn().expect("it is there")
    }

    fn ready(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.ask("SELECT 1").is_err() {
            assert!(Instant::now() < deadline, "PostgreSQL does not answer");
            sleep(Duration::from_millis(50));
        }
    }

    /// Stops it, or lets it go on.
    ///
    /// # Panics
    /// It does not run.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).expect("it runs");
    }

    /// Ends as after a crash: what is not in its log is gone.
    ///
    /// # Panics
    /// It does not run.
    pub fn crash(&mut self) {
        self.signal(Signal::QUIT);
        self.process.wait().expect("it ends");
    }

    /// Starts it again, on its data.
    ///
    /// # Panics
    /// It does not start.
    pub fn again(&mut self) {
        self.process = Postgres::spawn(&self.programs, self.port, &self.folder.path().join("data"));
        self.ready();
    }

    /// The address, as a sink has it.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }

    /// What SQL answers: a line a row, its columns between `|`.
    ///
    /// # Errors
    /// What the server says against it.
    ///
    /// # Panics
    /// There is no `psql`.
    pub fn ask(&self, sql: &str) -> Result<Vec<String>, String> {
        let mut client = Command::new(self.programs.join("psql"));
        client.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, &self.url()]);
        let done = client.output().expect("psql comes with it");
        if !done.status.success() {
            return Err(String::from_utf8_lossy(&done.stderr).into_owned());
        }
        Ok(String::from_utf8_lossy(&done.stdout).lines().map(str::to_owned).collect())
    }

    /// The same, where it is due to succeed.
    ///
    /// # Panics
    /// It does not.
    pub fn told(&self, sql: &str) -> Vec<String> {
        self.ask(sql).unwrap_or_else(|fault| panic!("{sql}: {fault}"))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.signal(Signal::QUIT);
        let _ = self.process.wait();
    }
}
