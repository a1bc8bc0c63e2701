//! What carries out one attempt of a job: start, feed, capture, time out, kill, report.
//!
//! **Owns** child processes and HTTP calls, their environment, output and end. **Does not
//! own** what to run when, retries, or where output and outcomes are kept: it knows nothing
//! of consensus, storage or the machine.
//!
//! ```text
//! Spec ──► run ─┬─ python ─┐                             ┌─► Chunks, while it runs
//!               ├─ shell ──┴─► process: start, drive, ───┤
//!               └─ http         clear, reap              └─► Outcome, at its end
//!                   └────► pump ◄── capture ◄── tail
//! ```
//!
//! Invariants: an attempt ends with its process, and none of its group is left then; no
//! signal goes to a number that may belong to somebody else; a slow reader of the output
//! delays neither the process nor its kill; output in memory is bounded by
//! [`Spec::output_max`]. Linux only: process descriptors, files in memory, `/proc`.
//!
//! To add a runner: a variant of [`What`], a file with its `run` beside `shell.rs`, an arm
//! below, a section in `docs/runners.md`, and its rules in `tests/runners.rs`.

mod capture;
pub mod cgroups;
mod check;
mod environment;
mod http;
pub mod isolation;
mod leftovers;
pub mod limits;
mod mask;
mod mask_forms;
mod node;
mod outcome;
mod pipefail;
mod process;
mod pump;
mod python;
mod shell;
mod shell_result;
mod spec;
mod start;
mod stop;
mod tail;
mod template;
mod utf8;

use tokio::sync::mpsc::Sender;

pub use self::capture::Chunk;
pub use self::check::{SyntaxFault, check_python};
pub use self::http::{Answer, addresses, post, sign};
pub use self::leftovers::reap_leftovers;
pub use self::node::RunnerEnv;
use self::outcome::shorten;
pub use self::outcome::{Ended, Outcome};
pub use self::spec::{CancelToken, Context, Filled, HttpSign, Limits, ShellCommand, Spec, What};
pub use self::start::Start;
pub(super) use self::template::Values;

use self::capture::Capture;
use self::mask::Masker;
use self::pump::Pump;
use self::stop::Stop;

/// Runs one attempt to its end.
///
/// `started` is asked before the process is started or the request is sent, and told its
/// number, or `None` for a request, once it is on its way: never when it could not be started.
/// Output goes to `output` in batches of at most 16 KiB as it comes; a dropped receiver only
/// loses the output. Returns after the last batch was taken, which the receiver may delay as
/// long as it likes: nothing runs by then.
///
/// Dropping the future kills the process group. Needs a tokio runtime with I/O and time.
pub async fn run(
    spec: Spec,
    mut cancel: CancelToken,
    output: Sender<Vec<Chunk>>,
    started: impl Start,
    now_micros: fn() -> i64,
    env: &RunnerEnv,
) -> Outcome {
    if *cancel.borrow() {
        return Stop::Cancelled.outcome(spec.timeout);
    }
    let masker = Masker::new(&masked(&spec));
    let capture = Capture::new(now_micros, spec.output_max, &masker);
    let mut pump = Pump::new(capture, output);
    let done = match params_text(&spec.params) {
        Err(refused) => Err(refused),
        Ok(params) => {
            let secret = spec.filled.params.as_ref().map(ToString::to_string);
            let (spec, pump, cancel) = (&spec, &mut pump, &mut cancel);
            let (params, secret) = (&*params, secret.as_deref());
            let attempt = Attempt { spec, params, secret, cancel, pump, node: env, now_micros };
            dispatch(attempt, started).await
        }
    };
    let mut outcome = done.unwrap_or_else(Outcome::failed);
    (outcome.output_bytes, outcome.output_cut) = pump.finish().await;
    // Cut last: the beginning of a secret alone is not known for one.
    outcome.error = outcome.error.map(|error| shorten(masker.long_text(&error)));
    outcome.result = outcome.result.map(|result| masker.json(result));
    outcome
}

/// What is masked in all that an attempt leaves.
fn masked(spec: &Spec) -> Vec<String> {
    /// Of what stands in the definition itself: a shorter one would be found in innocent words.
    const BYTES_MIN: usize = 4;
    let mut masked = spec.filled.masked.clone();
    if let What::Http { url, sign, .. } = &spec.what {
        masked.extend(http::secrets(url));
        let key = sign.as_ref().map(|sign| sign.secret.clone());
        masked.extend(key.filter(|key| key.len() >= BYTES_MIN));
    }
    masked
}

/// What every runner is handed.
struct Attempt<'a> {
    spec: &'a Spec,
    /// [`Spec::params`] as JSON text.
    params: &'a str,
    /// The same with the values of secrets, when some are.
    secret: Option<&'a str>,
    cancel: &'a mut CancelToken,
    pump: &'a mut Pump,
    node: &'a RunnerEnv,
    now_micros: fn() -> i64,
}

impl<'a> Attempt<'a> {
    /// The parameters as the job reads them: never in an environment or a log.
    fn given(&self) -> &'a str {
        self.secret.unwrap_or(self.params)
    }
}

async fn dispatch(attempt: Attempt<'_>, started: impl Start) -> Result<Outcome, String> {
    let spec = attempt.spec;
    match &spec.what {
        What::Python { code } => python::run(code, attempt, started).await,
        What::Shell { command, pipefail, env, cwd, user, stdin } => {
            let (pipefail, cwd, user) = (*pipefail, cwd.as_deref(), user.as_deref());
            let stdin = stdin.as_deref();
            let call = shell::Call { command, pipefail, env, cwd, user, stdin };
            shell::run(call, attempt, started).await
        }
        What::Http { method, url, headers, body, expect_status, sign } => {
            let (body, sign) = (body.as_deref(), sign.as_ref());
            let call = http::Call { method, url, headers, body, expect_status, sign };
            http::run(call, attempt, started).await
        }
    }
}

fn params_text(params: &serde_json::Value) -> Result<String, String> {
    match params {
        serde_json::Value::Null => Ok("{}".to_owned()),
        serde_json::Value::Object(_) => Ok(params.to_string()),
        _ => Err("the parameters are not a JSON object".to_owned()),
    }
}
