//! The Python runner: one interpreter per attempt, driven by `harness.py`.
//!
//! The interpreter gets one file in memory as standard input: it holds the harness, the
//! job's source and its parameters (any size, invisible in the process list), and takes the
//! answer back. The harness puts the parameters in its place before the job's code runs.

use std::ffi::OsString;

use serde::Deserialize;
use serde_json::json;

use super::Attempt;
use super::environment::Environment;
use super::outcome::{Ended, Outcome};
use super::process::{Deadlines, Launch, Program, bounds, drive, stdin_file};
use super::pump::Pump;
use super::start::Start;
use crate::model::integers::{Unread, read_json};

const HARNESS: &str = include_str!("harness.py");

/// Reads the request and lets the harness take over.
const BOOTSTRAP: &str = "import json
with open(0, 'rb', closefd=False) as file: request = json.load(file)
names = {'__name__': 'cronapi_harness'}
exec(compile(request.pop('harness'), '<cronapi>', 'exec'), names)
names['main'](request)";

/// Isolated: no `PYTHON*` variables, no user site, and no current folder in the module
/// path; UTF-8 whatever the locale says.
pub(super) const FLAGS: [&str; 3] = ["-I", "-X", "utf8"];

/// What the harness writes back about the end, in one line.
#[derive(Deserialize, Default)]
struct About {
    error: Option<String>,
    peak_rss_bytes: Option<u64>,
}

/// Room for [`About`], beside the result: an error of 50,000 characters, each escaped.
const ABOUT_BYTES_MAX: usize = 640 * 1024;

/// # Errors
/// A sentence, when the interpreter could not be started.
pub(super) async fn run(
    code: &str,
    attempt: Attempt<'_>,
    started: impl Start,
) -> Result<Outcome, String> {
    let Attempt { spec, params, secret, cancel, pump, node, .. } = attempt;
    let Some(python) = &node.python else {
        return Err("there is no python3 (3.8 or newer) on this node".to_owned());
    };
    let account = node.isolation.account().cloned();
    let own = &spec.filled.env;
    let mut environment =
        Environment::build(&node.inherited, &spec.context, params, own, account.as_ref())?;
    let passed = environment.params_file(params, secret)?;
    if let Some(note) = &environment.note {
        pump.capture.note(note);
    }
    // The job's name is there for people who look at the process list.
    let last = ["-c", BOOTSTRAP, &spec.context.job];
    let words = FLAGS.iter().copied().chain(last).map(OsString::from);
    let argv = std::iter::once(python.as_os_str().to_owned()).chain(words).collect();
    let program = Program { file: python.clone(), argv, env: environment.vars, cwd: None, passed };
    let request = json!({
        "harness": HARNESS,
        "code": code,
        "name": spec.context.job,
        "params": spec.given().as_object().cloned().unwrap_or_default(),
        "result_max": spec.result_max,
    })
    .to_string();
    let channel = stdin_file::with(request.as_bytes())?;
    // Not a plain dup, which other children that start at this moment would inherit.
    let stdin = channel.try_clone();
    let stdin = stdin.map_err(|e| format!("can't prepare standard input: {e}"))?;
    let limits = spec.limits.within(&node.limits);
    let launch = Launch { program, stdin, account, limits, node };
    let deadlines = Deadlines { timeout: spec.timeout, kill_grace: spec.kill_grace, cancel };
    let exit = drive(launch, deadlines, pump, started).await?;
    let mut outcome = exit.outcome(spec.timeout);
    let max = ABOUT_BYTES_MAX.saturating_add(spec.result_max);
    let answer = stdin_file::read_back(channel, request.len() as u64, max);
    add(&mut outcome, &answer, spec.result_max, pump);
    let error = outcome.error.take();
    outcome.error = error.map(|error| match bounds::blame_text(&limits, &error) {
        Some(why) => format!("{error} ({why})"),
        None => error,
    });
    Ok(outcome)
}

/// Adds what the harness said to what the operating system said.
fn add(outcome: &mut Outcome, answer: &[u8], result_max: usize, pump: &mut Pump) {
    let end = answer.iter().position(|&byte| byte == b'\n').unwrap_or(answer.len());
    let (about, result) = answer.split_at(end);
    let about: About = serde_json::from_slice(about).unwrap_or_default();
    outcome.peak_rss_bytes = outcome.peak_rss_bytes.max(about.peak_rss_bytes);
    match outcome.ended {
        Ended::Failed if about.error.is_some() => outcome.error = about.error,
        // The first byte is the line's end.
        Ended::Succeeded if result.len() > 1 && result.len() <= result_max.saturating_add(1) => {
            match read_json(&result[1..]) {
                Ok(result) => outcome.result = Some(result),
                Err(Unread::NotJson(e)) => pump.capture.note(&format!("no result: {e}")),
                Err(Unread::Wide(wide)) => pump.capture.note(&format!("no result: {wide}")),
            }
        }
        _ => {}
    }
}
