//! A terminal that a command believes in, of 100 columns by default.

use std::io::{Read, Write};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::place::{PROGRAM, Place};

/// For busy machines.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Screen {
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    pieces: Receiver<Vec<u8>>,
    parser: vt100::Parser,
    /// All that was ever written.
    pub written: String,
    _master: Box<dyn MasterPty + Send>,
}

impl Screen {
    pub fn start(place: &Place, arguments: &[&str], env: &[(&str, &str)]) -> Screen {
        Screen::of(100, place, arguments, env)
    }

    /// Of so many columns.
    pub fn of(cols: u16, place: &Place, arguments: &[&str], env: &[(&str, &str)]) -> Screen {
        let size = PtySize { rows: 30, cols, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(PROGRAM);
        command.args(arguments);
        command.env_clear();
        command.env("HOME", place.home.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("TERM", "xterm-256color");
        for (name, value) in env {
            command.env(name, value);
        }
        command.cwd(place.home.path());
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (sender, pieces) = mpsc::channel();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut piece) {
                if sender.send(piece[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        let keys = pair.master.take_writer().unwrap();
        let parser = vt100::Parser::new(30, cols, 0);
        Screen { child, keys, pieces, parser, written: String::new(), _master: pair.master }
    }

    /// Waits until the screen shows this.
    #[track_caller]
    pub fn shows(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.parser.screen().contents().contains(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.pieces.recv_timeout(left) {
                Ok(piece) => self.take(&piece),
                Err(_) => panic!("{text:?} is not on:\n{}", self.parser.screen().contents()),
            }
        }
    }

    fn take(&mut self, piece: &[u8]) {
        self.parser.process(piece);
        self.written.push_str(&String::from_utf8_lossy(piece));
        // A question for the place of the cursor, as terminals answer it.
        if piece.windows(4).any(|part| part == b"\x1b[6n") {
            self.types("\x1b[1;1R");
        }
    }

    pub fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits for its end; the exit code.
    pub fn ends(&mut self) -> u32 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.pieces.recv_timeout(left) {
                Ok(piece) => self.take(&piece),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("it does not end: {}", self.written),
            }
        }
        self.child.wait().unwrap().exit_code()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}
