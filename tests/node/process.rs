//! A node as a process of its own, on ports of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

pub const PATIENCE: Duration = Duration::from_secs(60);

/// The program, without anything of this process's settings.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cronapi"));
    let ours = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for name in ours.filter(|name| name.starts_with("CRONAPI_")) {
        command.env_remove(name);
    }
    command.env_remove("DATABASE_PATH").env_remove("NOTIFY_SOCKET");
    command.env("CRONAPI_ADMIN_PASSWORD", "correct horse");
    command
}

/// A running node. It ends with its value.
pub struct Node {
    pub child: Child,
    pub address: SocketAddr,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address that is free, and that nobody is given meanwhile: each is handed out once, and
/// below those that the system takes for outgoing connections (32768 and up on Linux), of which
/// tests beside this one open many.
pub fn free() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = 10_000 + (std::process::id() % 40) as u16 * 500;
    loop {
        let address =
            SocketAddr::from(([127, 0, 0, 1], begin + NEXT.fetch_add(1, Ordering::Relaxed)));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

impl Node {
    /// Starts one; it logs JSON at `log`.
    pub fn start(data: &Path, log: &str, prepare: impl FnOnce(&mut Command)) -> Node {
        Node::launch(program(), data, log, prepare)
    }

    /// The same by another command, which gets the arguments.
    pub fn launch(
        mut command: Command,
        data: &Path,
        log: &str,
        prepare: impl FnOnce(&mut Command),
    ) -> Node {
        let address = free();
        command.args(["serve", "--cluster-listen", "127.0.0.1:0", "--log-format", "json"]);
        command.args(["--listen", &address.to_string()]).arg("--data").arg(data);
        if !log.is_empty() {
            command.args(["--log", log]);
        }
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        prepare(&mut command);
        let mut child = command.spawn().unwrap();
        let (send, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).try_for_each(|line| send.send(line))
        });
        Node { child, address, lines, seen: Vec::new() }
    }

    /// The first line of the log, from now on, with this message; parsed.
    pub fn line(&mut self, message: &str) -> serde_json::Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("no {message:?} in {}", self.seen.join("\n"))
            };
            self.seen.push(line.clone());
            if line.starts_with("cronapi: warning:") {
                continue;
            }
            let value: serde_json::Value = serde_json::from_str(&line).expect(&line);
            if value["message"].as_str().is_some_and(|found| found.contains(message)) {
                return value;
            }
        }
    }

    /// What was logged up to here.
    pub fn logged(&self) -> String {
        self.seen.join("\n")
    }

    /// Everything that was logged up to the end.
    pub fn rest(mut self) -> String {
        let _ = self.child.wait();
        self.seen.extend(self.lines.iter());
        std::mem::take(&mut self.seen).join("\n")
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Asks once; the whole answer.
    pub fn ask(&self, head: &str, body: &str) -> String {
        ask(self.address, head, body)
    }

    /// The admin's token.
    pub fn login(&self) -> String {
        login(self.address)
    }
}

/// The admin's token, from a node at an address.
pub fn login(address: SocketAddr) -> String {
    let head = "POST /auth/token HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded";
    let body = "grant_type=password&username=admin&password=correct+horse";
    let answer = ask(address, head, body);
    let body = answer.split("\r\n\r\n").nth(1).unwrap();
    let body: serde_json::Value = serde_json::from_str(body).expect(&answer);
    body["access_token"].as_str().unwrap().to_string()
}

pub fn ask(address: SocketAddr, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    let text =
        format!("{head}\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
