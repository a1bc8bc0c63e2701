//! `exec`: a command that a monitor is told the beginning and the end of.
//!
//! The command comes first. Whatever is wrong with the monitor, or with the way to it, the command
//! is carried out, what it writes goes where it would go, and its exit code is the one that is
//! given: only standard error says that nobody was told.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::super::client::{Client, Request};
use super::super::connection::Connection;
use super::super::exit::{Code, Failure, Outcome};
use super::super::session::{Session, variable};

/// Bytes of what the command wrote that go along: as many as a monitor keeps.
const OUTPUT_BYTES: usize = 10_000;
/// One ping, and the pauses before it is sent again.
const PING_PATIENCE: Duration = Duration::from_secs(10);
const PAUSES: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(9)];
/// A command that has ended, and whose pipe gives nothing for so long, has written all: what it
/// left in the background may hold the pipe for ever.
const REST: Duration = Duration::from_secs(1);
/// As shells have it: the command can't be carried out, or is not there.
const CANT: u8 = 126;
const NOT_FOUND: u8 = 127;

/// Which ends of what the command wrote go along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Along {
    /// Of commands that fail
    Failed,
    /// Of all
    Always,
    /// Of none
    Never,
}

/// Carry out a command, and tell a monitor.
#[derive(Debug, clap::Args)]
pub struct Exec {
    /// Where the pings of the monitor go: a URL, /ping/KEY, or @FILE whose first line says it
    #[arg(value_name = "MONITOR")]
    monitor: String,
    /// A line for the shell: $SHELL, or /bin/sh
    #[arg(
        short = 'c',
        value_name = "LINE",
        conflicts_with = "command",
        required_unless_present = "command"
    )]
    line: Option<OsString>,
    /// Whether the end of what it wrote, up to 10,000 bytes, goes along with the last ping
    #[arg(long, value_enum, value_name = "WHEN", default_value = "failed")]
    send_output: Along,
    /// The command and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Exec {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let pings = match Pings::new(session, &self.monitor) {
            Ok(pings) => Some(Arc::new(pings)),
            Err(why) => {
                untold(session, &why);
                None
            }
        };
        let begins = pings
            .clone()
            .map(|pings| tokio::spawn(async move { pings.tell("start", Vec::new(), &[]).await }));
        let (code, wrote) = self.carry_out(session).await;
        let Some((pings, begins)) = pings.zip(begins) else { return Ok(code) };
        // One that is still on its way would come after the end. It is sent once, and bounded.
        if let Ok(Err(why)) = begins.await {
            untold(session, &why);
        }
        let along = match self.send_output {
            Along::Always => true,
            Along::Failed => code != 0,
            Along::Never => false,
        };
        let body = if along { wrote } else { Vec::new() };
        if let Err(why) = pings.tell(&code.to_string(), body, &PAUSES).await {
            untold(session, &why);
        }
        Ok(code)
    }

    /// The exit code of the command, and the end of what it wrote.
    async fn carry_out(&self, session: &Session) -> (u8, Vec<u8>) {
        let mut command = self.made();
        let kept = self.send_output != Along::Never;
        if kept {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                let name = command.as_std().get_program().to_string_lossy().into_owned();
                let told = format!("{name}: {error}");
                session.say(&told);
                let code = if error.kind() == ErrorKind::NotFound { NOT_FOUND } else { CANT };
                return (code, told.into_bytes());
            }
        };
        let tail = Tail::default();
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let (over, is_over) = watch::channel(false);
        let (to, beside) = (tokio::io::stdout(), tokio::io::stderr());
        let out = tokio::spawn(pass_on(out, to, tail.clone(), is_over.clone()));
        let err = tokio::spawn(pass_on(err, beside, tail.clone(), is_over));
        let code = ended(session, &mut child).await;
        over.send_replace(true);
        let _ = tokio::join!(out, err);
        (code, tail.bytes())
    }

    fn made(&self) -> Command {
        let Some(line) = &self.line else {
            let mut words = self.command.iter();
            let mut command = Command::new(words.next().cloned().unwrap_or_default());
            command.args(words);
            return command;
        };
        let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
        let mut command = Command::new(shell.unwrap_or_else(|| "/bin/sh".into()));
        command.arg("-c").arg(line);
        command
    }
}

fn untold(session: &Session, why: &Failure) {
    session.say(format!("cronapi exec: the monitor is not told: {why}"));
}

/// Waits for the end of the command. A signal that asks this program to end is the command's.
async fn ended(session: &Session, child: &mut Child) -> u8 {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    // Without a handler the signal ends this program, and the command is left alone.
    let [mut int, mut term, mut hup] = kinds.map(|kind| unix::signal(kind).ok());
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    loop {
        let signal = tokio::select! {
            status = child.wait() => return status.map_or(CANT, code_of),
            // Ctrl-C comes to the command by itself.
            () = came(&mut int) => {
                session.not_for_us.set(true);
                continue;
            }
            () = came(&mut term) => Signal::TERM,
            () = came(&mut hup) => Signal::HUP,
        };
        if let Some(pid) = pid {
            let _ = kill_process(pid, signal);
        }
    }
}

async fn came(signal: &mut Option<unix::Signal>) {
    if let Some(signal) = signal
        && signal.recv().await.is_some()
    {
        return;
    }
    std::future::pending().await
}

/// As shells have it: one that a signal ended counts 128 more than the signal.
fn code_of(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

/// The end of what was written. Clones share it.
#[derive(Clone, Default)]
struct Tail(Arc<Mutex<VecDeque<u8>>>);

impl Tail {
    fn add(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(bytes);
        let over = kept.len().saturating_sub(OUTPUT_BYTES);
        kept.drain(..over);
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }
}

/// Writes on what is read, and keeps its end. Nobody who reads it is no reason to stop reading.
async fn pass_on<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    from: Option<R>,
    mut to: W,
    tail: Tail,
    mut is_over: watch::Receiver<bool>,
) {
    let Some(mut from) = from else { return };
    let mut bytes = vec![0; 8 * 1024];
    loop {
        let read = tokio::select! {
            read = from.read(&mut bytes) => read,
            () = silent(&mut is_over) => return,
        };
        let Ok(count @ 1..) = read else { return };
        tail.add(&bytes[..count]);
        let _ = to.write_all(&bytes[..count]).await;
        let _ = to.flush().await;
    }
}

/// Resolves once the command has ended and nothing more came for a while.
async fn silent(is_over: &mut watch::Receiver<bool>) {
    let _ = is_over.wait_for(|over| *over).await;
    sleep(REST).await;
}

/// The pings of one carrying out.
struct Pings {
    client: Client,
    path: String,
    /// Tells this one from another that goes on at the same time.
    rid: Uuid,
}

impl Pings {
    fn new(session: &Session, monitor: &str) -> Result<Self, Failure> {
        let text = match monitor.strip_prefix('@') {
            Some(file) => first_line(Path::new(file))?,
            None => monitor.to_owned(),
        };
        let (server, path) = split(&text)?;
        let connection = match server {
            Some(server) => {
                let ca =
                    session.place.ca.clone().or_else(|| variable("CRONAPI_CA").map(Into::into));
                let (tokens, context, from_variable) = (None, None, false);
                Connection { servers: vec![server], ca, tokens, context, from_variable }
            }
            None => Connection { tokens: None, context: None, ..session.connection()? },
        };
        let client = Client::new(connection, &session.settings)?;
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)
            .map_err(|e| Failure::failed(format!("the system has no random bytes: {e}")))?;
        let rid = uuid::Builder::from_random_bytes(bytes).into_uuid();
        Ok(Pings { client, path, rid })
    }

    /// Sends a ping, again after each of the pauses if need be: twice does no harm.
    async fn tell(&self, what: &str, body: Vec<u8>, pauses: &[Duration]) -> Result<(), Failure> {
        let path = format!("{}/{what}?rid={}", self.path, self.rid);
        let request = Request::new(Method::POST, path).body(body).repeatable();
        let mut pauses = pauses.iter();
        loop {
            let failure = match timeout(PING_PATIENCE, self.client.send(request.clone())).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(failure)) => failure,
                Err(_) => {
                    let told = format!("no answer within {} s", PING_PATIENCE.as_secs());
                    Failure::new(Code::Timeout, told)
                }
            };
            match pauses.next().filter(|_| failure.may_pass()) {
                Some(pause) => sleep(*pause).await,
                None => return Err(failure),
            }
        }
    }
}

fn first_line(file: &Path) -> Result<String, Failure> {
    let read = std::fs::read_to_string(file);
    let text = read.map_err(|e| Failure::usage(format!("{}: {e}", file.display())))?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

/// The server of a place for pings, if it names one, and the path of the key.
fn split(text: &str) -> Result<(Option<String>, String), Failure> {
    let wrong = || {
        Failure::usage("the monitor is named by where its pings go, such as https://host/ping/KEY")
            .advise("`cronapi monitor key NAME` makes a new key and says where its pings go")
    };
    let text = text.trim_end_matches('/');
    let (server, key) = match text.rsplit_once("/ping/") {
        Some((server, key)) => (server, key),
        None => ("", text),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if key.is_empty() || !key.chars().all(plain) {
        return Err(wrong());
    }
    let server = match server {
        "" => None,
        url if url.starts_with("http://") || url.starts_with("https://") => Some(url.to_owned()),
        _ => return Err(wrong()),
    };
    Ok((server, format!("/ping/{key}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_for_pings_is_a_url_a_path_or_a_key() {
        let of = |text: &str| split(text).ok();
        let here = (None, "/ping/0a6e".to_owned());
        assert_eq!(of("0a6e"), Some(here.clone()));
        assert_eq!(of("/ping/0a6e/"), Some(here));
        let there = (Some("https://cron.example.com/team".to_owned()), "/ping/0a6e".to_owned());
        assert_eq!(of("https://cron.example.com/team/ping/0a6e"), Some(there));
        for wrong in ["", "nightly dump", "https://cron.example.com/", "ftp://a/ping/0a6e"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn of_what_was_written_the_end_is_kept() {
        let tail = Tail::default();
        tail.add(&vec![b'a'; OUTPUT_BYTES]);
        tail.add(b"bc");
        let kept = tail.bytes();
        assert_eq!((kept.len(), &kept[OUTPUT_BYTES - 2..]), (OUTPUT_BYTES, &b"bc"[..]));
    }
}
