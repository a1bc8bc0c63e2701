//! A node, and a user with a home.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

pub const PASSWORD: &str = "correct horse";
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_cronapi");

/// A node that ends with the test.
pub struct Node {
    process: Child,
    pub url: String,
    _data: tempfile::TempDir,
}

impl Node {
    pub fn start() -> Node {
        Node::start_with(&[])
    }

    pub fn start_with(env: &[(&str, &str)]) -> Node {
        let data = tempfile::tempdir().unwrap();
        let mut process = Command::new(PROGRAM)
            .args(["serve", "--listen", "127.0.0.1:0", "--cluster-listen", "127.0.0.1:0", "--data"])
            .arg(data.path().join("data"))
            .env("CRONAPI_ADMIN_PASSWORD", PASSWORD)
            .envs(env.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let said = BufReader::new(process.stdout.take().unwrap()).lines();
        let url = said
            .map(|line| line.expect("the node tells where it listens"))
            .find_map(|line| line.find("http://").map(|at| line[at..].trim().to_owned()))
            .expect("the node tells where it listens");
        Node { process, url, _data: data }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// It did what it should.
    #[track_caller]
    pub fn good(self) -> Said {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// It failed with this code, saying this.
    #[track_caller]
    pub fn bad(self, code: i32, part: &str) -> Said {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.err.contains(part), "{part:?} is not in {self:?}");
        self
    }
}

/// A home of a user, and perhaps a node.
pub struct Place {
    pub node: Option<Node>,
    pub home: tempfile::TempDir,
}

impl Place {
    /// No node.
    pub fn bare() -> Place {
        Place { node: None, home: tempfile::tempdir().unwrap() }
    }

    /// A node, and nobody logged in.
    pub fn new() -> Place {
        Place { node: Some(Node::start()), ..Place::bare() }
    }

    /// A node, and the admin logged in.
    pub fn logged_in() -> Place {
        Place::logged_in_to(Node::start())
    }

    pub fn logged_in_to(node: Node) -> Place {
        let place = Place { node: Some(node), ..Place::bare() };
        let url = place.url();
        let login = ["login", "--server", &url, "--user", "admin", "--password-stdin"];
        place.with_input(&login, PASSWORD).good();
        place
    }

    pub fn url(&self) -> String {
        self.node.as_ref().unwrap().url.clone()
    }

    /// The program in this home, with nothing of the environment of the tests.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).env_clear().env("HOME", self.home.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.current_dir(self.home.path());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Said {
        self.with_input(arguments, "")
    }

    pub fn with_input(&self, arguments: &[&str], input: &str) -> Said {
        said(&mut self.command(arguments), input)
    }

    pub fn with_env(&self, arguments: &[&str], env: &[(&str, &str)]) -> Said {
        said(self.command(arguments).envs(env.iter().copied()), "")
    }

    /// A file in the home, with this text.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }
}

pub fn said(command: &mut Command, input: &str) -> Said {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || {
        // Who does not read its input closes it.
        let _ = stdin.write_all(input.as_bytes());
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
