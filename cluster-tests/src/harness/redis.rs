//! A real Redis, on a port of this machine.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::sandbox::Sandbox;

/// How long it may take to have read what it kept.
const PATIENCE: Duration = Duration::from_secs(30);

/// In its folder.
const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";

fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    free.local_addr().expect("it has an address").port()
}

/// Redis, and where it keeps what it has.
pub struct Redis {
    /// Where it listens.
    pub port: u16,
    /// Where it listens for TLS; 0: it does not.
    pub tls_port: u16,
    folder: PathBuf,
    process: Child,
}

impl Redis {
    /// Starts one in a folder of its own; none: it is not installed.
    ///
    /// # Panics
    /// There is no free port, or no room.
    pub fn start(sandbox: &Sandbox) -> Option<Redis> {
        Redis::begin(0, sandbox.path().join("redis"))
    }

    /// The same, which also listens for TLS: with this certificate of `localhost`, and its key.
    ///
    /// # Panics
    /// There is no free port, or no room.
    pub fn start_tls(sandbox: &Sandbox, certificate: &str, key: &str) -> Option<Redis> {
        let folder = sandbox.path().join("redis");
        std::fs::create_dir_all(&folder).expect("the sandbox is writable");
        std::fs::write(folder.join(CERTIFICATE), certificate).expect("there is room");
        std::fs::write(folder.join(KEY), key).expect("there is room");
        let mut redis = Redis::begin(free_port(), folder)?;
        redis.ready();
        Some(redis)
    }

    fn begin(tls_port: u16, folder: PathBuf) -> Option<Redis> {
        std::fs::create_dir_all(&folder).expect("the sandbox is writable");
        let port = free_port();
        let process = Redis::spawn(port, tls_port, &folder)?;
        Some(Redis { port, tls_port, folder, process })
    }

    fn spawn(port: u16, tls_port: u16, folder: &Path) -> Option<Child> {
        let mut server = Command::new("redis-server");
        server.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        server.args(["--appendonly", "yes", "--appendfsync", "always"]);
        server.args(["--repl-diskless-sync-delay", "0"]);
        if tls_port > 0 {
            server.args(["--tls-port", &tls_port.to_string(), "--tls-auth-clients", "no"]);
            server.args(["--tls-cert-file", CERTIFICATE, "--tls-key-file", KEY]);
            server.args(["--tls-ca-cert-file", CERTIFICATE]);
        }
        server.current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
        server.spawn().ok()
    }

    /// A replica of it, which has all that it has.
    ///
    /// # Panics
    /// It does not follow in time.
    pub fn replica(&self, sandbox: &Sandbox) -> Redis {
        let replica = Redis::begin(0, sandbox.path().join("redis-replica"));
        let mut replica = replica.expect("the other one was started");
        replica.ready();
        replica.ask(&["REPLICAOF", "127.0.0.1", &self.port.to_string()]);
        let deadline = Instant::now() + PATIENCE;
        while replica.ask(&["ROLE"])[3] != "connected" {
            assert!(Instant::now() < deadline, "the replica does not follow");
            sleep(Duration::from_millis(20));
        }
        replica
    }

    /// It is dead, and a replica takes its place, at its address, with what that has.
    ///
    /// # Panics
    /// The replica does not begin in time.
    pub fn replaced_by(&mut self, mut replica: Redis) {
        replica.kill();
        self.folder.clone_from(&replica.folder);
        self.again();
    }

    /// Sends a signal to its process.
    ///
    /// # Panics
    /// It does not run.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.process);
        kill_process(pid, signal).expect("it runs");
    }

    /// Ends it at once.
    ///
    /// # Panics
    /// It does not run.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.process.wait().expect("it ends");
    }

    /// Starts it again, and waits until it has what it had.
    ///
    /// # Panics
    /// It does not answer in time.
    pub fn again(&mut self) {
        self.process = Redis::spawn(self.port, self.tls_port, &self.folder).expect("it was there");
        self.ready();
    }

    fn ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.ask(&["PING"]) != "PONG" {
            assert!(Instant::now() < deadline, "Redis does not answer");
            sleep(Duration::from_millis(20));
        }
    }

    /// What it answers.
    ///
    /// # Panics
    /// There is no `redis-cli`.
    pub fn ask(&self, words: &[&str]) -> Value {
        Redis::asked(self.port, words)
    }

    /// What the one at this port answers.
    ///
    /// # Panics
    /// There is no `redis-cli`.
    pub fn asked(port: u16, words: &[&str]) -> Value {
        let mut client = Command::new("redis-cli");
        client.args(["-p", &port.to_string(), "--json"]).args(words);
        let told = client.output().expect("redis-cli comes with redis-server").stdout;
        serde_json::from_slice(&told).unwrap_or_default()
    }

    /// The ids in a stream, in its order.
    ///
    /// # Panics
    /// There is no such stream.
    pub fn ids(&self, key: &str) -> Vec<String> {
        let all = self.ask(&["XRANGE", key, "-", "+"]);
        let entries = all.as_array().expect("the stream is there").iter();
        entries.map(|entry| entry[0].as_str().unwrap_or_default().to_owned()).collect()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
