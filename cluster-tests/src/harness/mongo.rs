//! A server that speaks MongoDB's wire, on a port of this machine: `nx-27017`, over SQLite. MongoDB
//! itself is in no registry that tests have.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::sandbox::Sandbox;

/// How long it may take to begin.
const PATIENCE: Duration = Duration::from_secs(60);

/// The database that is asked and written.
const DATABASE: &str = "reports";

/// Asks for what a command answers: the port, the database, and the command as extended JSON.
const ASK: &str = "
import sys, pymongo
from bson import json_util
port, database, command = sys.argv[1:]
options = {'directConnection': True, 'serverSelectionTimeoutMS': 2000}
client = pymongo.MongoClient('127.0.0.1', int(port), **options)
command = json_util.loads(command)
print(json_util.dumps(client[database].command(command)))
";

/// A server, until it is dropped.
pub struct Mongo {
    /// Where it listens.
    pub port: u16,
    folder: PathBuf,
    process: Child,
}

/// A way to a server that goes over TLS and by a login, until it is dropped.
pub struct Door {
    /// Where it listens.
    pub port: u16,
    process: Child,
}

/// Who may pass, and the password.
pub const USER: [&str; 2] = ["cron", "p@ss:word"];

fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    free.local_addr().expect("it has an address").port()
}

/// The Python that has it; none: it can't be installed.
fn python() -> Option<&'static Path> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = PYTHON.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
        let venv = root.join("target/ci/mongodb");
        let python = venv.join("bin/python");
        let quiet = |command: &mut Command| {
            let command = command.stdin(Stdio::null()).stdout(Stdio::null());
            command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
        };
        let ready = || quiet(Command::new(&python).args(["-c", "import nx_27017, pymongo"]));
        if !ready() {
            quiet(Command::new("python3").args(["-m", "venv"]).arg(&venv));
            let wanted = root.join("ci/mongodb.txt");
            quiet(Command::new(&python).args(["-m", "pip", "install", "-q", "-r"]).arg(wanted));
        }
        ready().then_some(python)
    });
    found.as_deref()
}

impl Mongo {
    /// Starts one in a folder of its own; none: it is not installed, and can't be.
    ///
    /// # Panics
    /// It is installed and does not start.
    pub fn start(sandbox: &Sandbox) -> Option<Mongo> {
        let python = python()?;
        let folder = sandbox.path().join("mongodb");
        std::fs::create_dir_all(folder.join("data")).expect("the sandbox is writable");
        let port = free_port();
        let process = Mongo::spawn(python, port, &folder);
        let mongo = Mongo { port, folder, process };
        mongo.ready();
        Some(mongo)
    }

    fn spawn(python: &Path, port: u16, folder: &Path) -> Child {
        let said = File::create(folder.join("said")).expect("the sandbox is writable");
        let mut server = Command::new(python.with_file_name("nx-27017"));
        server.args(["--host", "127.0.0.1", "-p", &port.to_string()]);
        server.args(["--data-dir", "data", "--log-file", "log", "--pid-file", "pid"]);
        server.current_dir(folder).stdin(Stdio::null());
        server.stdout(said.try_clone().expect("a handle")).stderr(said);
        server.spawn().expect("Python is there")
    }

    fn ready(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.ask(&json!({ "ping": 1 })).is_err() {
            assert!(Instant::now() < deadline, "the server does not answer");
            sleep(Duration::from_millis(50));
        }
    }

    /// Opens a door of [`USER`], with this certificate of `localhost`, and its key. `role` is what
    /// the server says it is: `primary` or `secondary`.
    ///
    /// # Panics
    /// It does not open.
    pub fn door(&self, certificate: &str, key: &str, role: &str) -> Door {
        let files = [("certificate.pem", certificate), ("key.pem", key)];
        for (name, text) in files {
            std::fs::write(self.folder.join(name), text).expect("there is room");
        }
        let port = free_port();
        let mut door = Command::new(python().expect("it was there"));
        door.args(["-c", include_str!("mongo_door.py")]);
        door.args([port, self.port].map(|port| port.to_string()));
        door.args(files.map(|(name, _)| name)).arg(role).args(USER).current_dir(&self.folder);
        door.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let door = Door { port, process: door.spawn().expect("Python is there") };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "the door does not open");
            sleep(Duration::from_millis(50));
        }
        door
    }

    /// Sends a signal to its process.
    ///
    /// # Panics
    /// It does not run.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).expect("it runs");
    }

    /// Ends it at once.
    ///
    /// # Panics
    /// It does not run.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.process.wait().expect("it ends");
    }

    /// Starts it again, with what it had.
    ///
    /// # Panics
    /// It does not answer in time.
    pub fn again(&mut self) {
        let python = python().expect("it was there");
        self.process = Mongo::spawn(python, self.port, &self.folder);
        self.ready();
    }

    /// The address, as a sink has it.
    pub fn url(&self) -> String {
        format!("mongodb://127.0.0.1:{}/{DATABASE}", self.port)
    }

    /// What a command answers; both are extended JSON.
    ///
    /// # Errors
    /// What the server says against it, or that there is none.
    ///
    /// # Panics
    /// There is no Python.
    pub fn ask(&self, command: &Value) -> Result<Value, String> {
        let mut client = Command::new(python().expect("it was there"));
        client.args(["-c", ASK, &self.port.to_string(), DATABASE, &command.to_string()]);
        let done = client.output().expect("Python is there");
        if !done.status.success() {
            return Err(String::from_utf8_lossy(&done.stderr).into_owned());
        }
        serde_json::from_slice(&done.stdout).map_err(|fault| fault.to_string())
    }

    /// The same, where it is due to succeed.
    ///
    /// # Panics
    /// It does not.
    pub fn told(&self, command: &Value) -> Value {
        self.ask(command).unwrap_or_else(|fault| panic!("{command}: {fault}"))
    }

    /// The documents of a collection that a filter names.
    ///
    /// # Errors
    /// There is no server.
    pub fn find(&self, collection: &str, filter: &Value) -> Result<Vec<Value>, String> {
        let find = json!({ "find": collection, "filter": filter, "batchSize": 1_000_000 });
        let mut answer = self.ask(&find)?;
        match answer["cursor"]["firstBatch"].take() {
            Value::Array(found) => Ok(found),
            _ => Ok(Vec::new()),
        }
    }
}

impl Drop for Mongo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
