//! `cronapi demo`: three nodes with believable jobs and their past, gone when it ends.
//!
//! Owns: the cast, the folder, the processes, the door for a browser. Does not own: how a past
//! comes about (`offline::rehearse`), nor anything that nodes do.
//!
//! ```text
//! cast ─> offline::rehearse ─> data of the first node ─> three processes ─> the page
//!                                        door: a browser that is logged in ────┘
//! ```
//!
//! Invariants: it listens on 127.0.0.1 alone, in a folder of its own; its nodes are given nothing
//! of this machine's settings, and end when it does, however it ends.
//!
//! To add a job: a role in `cast.rs`.

mod cast;
mod door;
mod folder;
mod nodes;
mod secret;

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Mutex;

use super::client::{Client, Request};
use super::connection::Connection;
use super::exit::{Code, Failure, Outcome};
use super::output::line;
use super::settings::Settings;
use super::terminal::Terminal;
use crate::clock;
use crate::model::{JobSpec, Name, Span, Timestamp};
use crate::offline::{Beginning, Ending, Happening, Rehearsal, Rehearsed, rehearse};
use door::Door;
use folder::Folder;
use nodes::{Nodes, Shared};
use secret::{fill, secret};

/// Who wrote the jobs, as the audit has it.
const WHO: &str = "demo";
/// Attempts at a time in the past.
const SLOTS: u32 = 64;
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How many jobs and runs may be asked for.
const JOBS_MAX: u64 = 20_000;
const RUNS_MAX: u64 = 2_000_000;

/// Show CronAPI: three nodes with jobs and their past, and the page, until Ctrl-C.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Port of the first node on 127.0.0.1; the others take the two after it. 0: any free ones
    #[arg(long, value_name = "PORT", default_value_t = 8000)]
    port: u16,
    /// Don't open the page in a browser
    #[arg(long)]
    no_open: bool,
    /// So many jobs in all, to see how the page feels with many
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=JOBS_MAX))]
    jobs: u64,
    /// So many runs of them in the past
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=RUNS_MAX), requires = "jobs")]
    runs: u64,
    /// The arguments of a node of it
    #[arg(last = true, hide = true)]
    node: Vec<String>,
}

pub(super) fn run(options: &Options, terminal: &Terminal) -> Outcome {
    if !options.node.is_empty() {
        return become_node(&options.node);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::failed(format!("no async runtime: {error}")))?;
    // On this thread: nodes are told of the end of the thread that started them.
    runtime.block_on(show(options, terminal))
}

/// This process becomes a node that ends with the demo that started it.
fn become_node(arguments: &[String]) -> Outcome {
    let failed = |what: &str| Failure::failed(format!("a node of the demo: {what}"));
    set_parent_process_death_signal(Some(Signal::TERM)).map_err(|e| failed(&e.to_string()))?;
    // The demo may have ended before that.
    if getppid().is_none_or(|parent| parent.as_raw_nonzero().get() == 1) {
        return Err(failed("the demo has ended"));
    }
    let program = std::env::current_exe().map_err(|error| failed(&error.to_string()))?;
    Err(failed(&Command::new(program).args(arguments).exec().to_string()))
}

async fn show(options: &Options, terminal: &Terminal) -> Outcome {
    // From here on nothing ends without the folder being taken away.
    let mut asked = Asked::listen()?;
    let folder = Folder::make()?;
    let mut secrets_key = [0_u8; 32];
    fill(&mut secrets_key)?;
    let shared = Shared {
        password: secret()?,
        cluster_key: secret()?,
        secrets_key: STANDARD.encode(secrets_key),
    };
    let password = shared.password.clone();
    let nodes = Nodes::place(folder.path(), options.port, shared);
    let outcome = match nodes {
        Ok(mut nodes) => {
            let rehearsing = (Arc::clone(&asked.stop), Arc::clone(&asked.rehearsing));
            let shown = tokio::select! {
                shown = on_stage(options, terminal, &folder, &mut nodes, &password, rehearsing) =>
                    shown,
                () = asked.came() => Ok(0),
            };
            if shown.is_ok() {
                terminal.say("stopping the nodes, and taking their folder away");
            }
            nodes.stop().await;
            // What makes the past writes into the folder until it sees that it is broken off.
            let _ = asked.rehearsing.lock().await;
            shown
        }
        Err(refused) => Err(refused),
    };
    folder.remove()?;
    outcome
}

/// That somebody wants it to end.
struct Asked {
    signals: [tokio::signal::unix::Signal; 3],
    /// For what is done on another thread.
    stop: Arc<AtomicBool>,
    /// Held while that is done.
    rehearsing: Arc<Mutex<()>>,
}

impl Asked {
    fn listen() -> Result<Asked, Failure> {
        let failed = |error| Failure::failed(format!("signals can't be heard: {error}"));
        let on = |kind| signal(kind).map_err(failed);
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = kinds.map(on);
        let signals = [interrupt?, terminate?, hangup?];
        Ok(Asked { signals, stop: Arc::default(), rehearsing: Arc::default() })
    }

    async fn came(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        self.stop.store(true, Ordering::Relaxed);
    }
}

async fn on_stage(
    options: &Options,
    terminal: &Terminal,
    folder: &Folder,
    nodes: &mut Nodes,
    password: &str,
    (stop, rehearsing): (Arc<AtomicBool>, Arc<Mutex<()>>),
) -> Outcome {
    terminal.say("making a past, and starting three nodes");
    let past = Past {
        data: nodes.first_data().to_owned(),
        jobs: options.jobs,
        runs: options.runs,
        now: clock::now(),
    };
    let at_work = rehearsing.lock_owned().await;
    let made = tokio::task::spawn_blocking(move || {
        let _at_work = at_work;
        past.live(&stop)
    });
    let made = made.await;
    let made = made.map_err(|error| Failure::failed(error.to_string()))??;
    nodes.start()?;
    nodes.ready().await?;
    let client = Arc::new(client(nodes.urls())?);
    let tokens = client.log_in("admin", password).await?;
    client.use_tokens(Some(tokens));
    people(&client).await?;
    let page = format!("{}/ui/", nodes.urls()[0]);
    let door = Door::build(page.clone(), password).await?;
    let (url, in_folder) = (door.url(), folder.path().display().to_string());
    line(&told(made, &page, password, &url, nodes, &in_folder))?;
    tokio::spawn(door.keep(client));
    if !options.no_open && terminal.stdout {
        open(&url);
    }
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        nodes.look_after()?.into_iter().for_each(|text| terminal.say(text));
    }
}

/// What a person sees.
fn told(
    made: Rehearsed,
    page: &str,
    password: &str,
    door: &str,
    nodes: &Nodes,
    folder: &str,
) -> String {
    let Rehearsed { jobs, runs, .. } = made;
    let mut text = format!(
        "\n  CronAPI demo: three nodes, {jobs} jobs, {runs} runs of their past\n\n  \
         Page    {page}   user admin, password {password}\n  \
         Open    {door}   the same, logged in already\n"
    );
    for (number, (address, pid)) in nodes.pids().into_iter().enumerate() {
        let head = if number == 0 { "Nodes " } else { "      " };
        let pid = pid.map_or_else(String::new, |pid| format!("process {pid}"));
        text.push_str(&format!("  {head}  http://{address}   {pid}\n"));
    }
    text.push_str(&format!(
        "  Folder  {folder}\n\n  End a node with kill -9, and watch the page go on. Ctrl-C ends \
         the demo and takes the folder away.\n"
    ));
    text
}

fn client(servers: Vec<String>) -> Result<Client, Failure> {
    let connection =
        Connection { servers, ca: None, tokens: None, context: None, from_variable: false };
    Client::new(connection, &Settings::locate(&|_| None))
}

/// Somebody who sees less, a secret, and runs to watch.
async fn people(client: &Client) -> Result<(), Failure> {
    let vera = json!({"name": "vera", "password": secret()?, "role": "operator",
        "scope": {"jobs": [], "tags": ["money", "reports"]}});
    client.send(Request::post("/users", &vera)).await?;
    let secret = json!({"value": secret()?, "scope": {"jobs": ["charge-*"], "tags": []}});
    let put = Request::new(reqwest::Method::PUT, "/secrets/bank-key").json(&secret).repeatable();
    client.send(put).await?;
    for job in cast::STARTED {
        let started = Request::post(format!("/jobs/{job}/run"), &json!({})).once()?;
        match client.send(started).await {
            Ok(_) => {}
            // It runs already.
            Err(failure) if failure.code == Code::Conflict => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

/// Opens the page where there is something to open it with.
fn open(url: &str) {
    let shown = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if !shown("DISPLAY") && !shown("WAYLAND_DISPLAY") {
        return;
    }
    let mut command = Command::new("xdg-open");
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Where there is none, the address is on the screen.
    if let Ok(mut child) = command.spawn() {
        std::thread::spawn(move || child.wait());
    }
}

/// What happens, and when.
type Script = Vec<(Timestamp, Happening)>;

/// The past of the demo.
struct Past {
    data: PathBuf,
    jobs: u64,
    runs: u64,
    now: Timestamp,
}

impl Past {
    fn live(&self, stop: &AtomicBool) -> Result<Rehearsed, Failure> {
        let (happenings, roles) = self.script()?;
        let ends = |beginning: &Beginning<'_>| -> Ending {
            let at = beginning.at.secs().unsigned_abs();
            let drawn = drawn(beginning.job, at, beginning.attempt);
            match roles.iter().find(|role| role.spec["name"] == beginning.job) {
                Some(role) => cast::plays(role, beginning, self.now.since(beginning.at), drawn),
                None => cast::crowd_plays(drawn),
            }
        };
        let crowded = if self.jobs == 0 { SLOTS } else { 10_000 };
        let rehearsal = Rehearsal {
            data: &self.data,
            who: WHO,
            slots: crowded,
            happenings,
            ends: &ends,
            until: self.now,
            stop,
        };
        Ok(rehearse(&rehearsal)?)
    }

    /// What happens and when, in order.
    fn script(&self) -> Result<(Script, Vec<cast::Role>), Failure> {
        let wrong = |what: String| Failure::failed(format!("the cast of the demo: {what}"));
        let name = |text: &str| Name::parse(text).map_err(|e| wrong(e.to_string()));
        let roles = cast::roles();
        let mut happenings = Vec::new();
        for role in &roles {
            happenings.push((self.now.minus(role.age), put(&role.spec)?));
        }
        let crowd = self.jobs.saturating_sub(roles.len() as u64);
        // Each runs once an hour.
        let hours = if crowd == 0 { 0 } else { self.runs.div_ceil(crowd) };
        let since = self.now.minus(Span::from_secs(hours * 3_600));
        for number in 0..crowd {
            happenings.push((since, put(&cast::one_of_crowd(number))?));
        }
        let (queue, most) = cast::QUEUE;
        let (paused, ago) = cast::PAUSED;
        let (before, lasted) = cast::OUTAGE;
        let hours_ago = |hours: u64| self.now.minus(Span::from_secs(hours * 3_600));
        happenings.push((hours_ago(11), Happening::Queue(name(queue)?, most)));
        happenings.push((self.now.minus(ago), Happening::Enable(name(paused)?, false)));
        happenings.push((self.now.minus(before), Happening::Away(lasted)));
        // In order of time, and of the cast where that is the same.
        happenings.sort_by_key(|(at, _)| *at);
        Ok((happenings, roles))
    }
}

fn put(spec: &Value) -> Result<Happening, Failure> {
    let Value::Object(map) = spec.clone() else {
        return Err(Failure::failed("a role of the demo is no object"));
    };
    let spec = JobSpec::from_map(map).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(|fault| format!("{fault:?}")).collect();
        Failure::failed(format!("a role of the demo: {}", faults.join(", ")))
    })?;
    Ok(Happening::Put(Arc::new(spec)))
}

/// A number that looks like chance, the same for the same attempt.
fn drawn(job: &str, at: u64, attempt: u32) -> u64 {
    let mut number = at.wrapping_mul(31).wrapping_add(u64::from(attempt));
    for byte in job.bytes() {
        number = (number ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    number ^ (number >> 29)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_is_lived_through_by_the_whole_cast() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let past = Past { data, jobs: 0, runs: 0, now: clock::now() };
        let made = past.live(&AtomicBool::new(false)).unwrap();
        assert_eq!(made.jobs as usize, cast::roles().len());
        assert!(made.runs > 1_000, "{made:?}");
    }

    #[test]
    fn a_past_that_is_broken_off_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let past = Past { data, jobs: 0, runs: 0, now: clock::now() };
        let failed = past.live(&AtomicBool::new(true)).unwrap_err();
        assert!(failed.to_string().contains("broken off"), "{failed}");
    }
}
