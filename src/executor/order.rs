//! What an assigned run asks of its runner.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::machine::state::OpenRun;
use crate::model::{Runner, Setting, Timestamp, TraceParent, limits};

use super::runner::{Context, Filled, HttpSign, Limits, ShellCommand, Spec, Values, What};

/// Where the attempt runs.
pub(super) struct Here<'a> {
    /// This node's name, as children see it.
    pub node: &'a str,
    /// `<node tag>/<boot>`.
    pub boot_tag: &'a str,
    /// The attempt's place in its trace.
    pub trace: Option<TraceParent>,
}

/// The runner's order for the open attempt of a run; none: there is nothing to carry out.
///
/// # Errors
/// A sentence for the run: what could not be filled in.
pub(super) fn order(open: &OpenRun, here: &Here<'_>) -> Result<Option<Spec>, String> {
    let Some(attempt) = open.run.attempts.last() else { return Ok(None) };
    let task = open.run.task.as_deref();
    let nominal = open.run.nominal_time.or(task.and_then(|task| task.nominal_time));
    let context = Context {
        job: open.run.job.to_string(),
        run_id: open.run.id.to_string(),
        attempt: attempt.attempt,
        nominal_time: nominal.as_ref().map(Timestamp::to_string),
        fence: attempt.fence,
        traceparent: here.trace.as_ref().map(TraceParent::to_string),
        node: here.node.to_string(),
        trigger: open.run.trigger.as_str().to_string(),
        boot_tag: here.boot_tag.to_string(),
        task: task.map(|task| (task.name.to_string(), task.flow.to_string())),
        lock_fence: None,
        item: task.and_then(|task| task.item.clone().or(task.index.map(|_| Value::Null))),
    };
    let params = open.run.parameters.to_value();
    let values = Values::new(&context, &params);
    let Some(what) = what(open, &values)? else { return Ok(None) };
    let env = values.env(python_env(open))?;
    Ok(Some(Spec {
        what,
        filled: Filled { env, ..Filled::default() },
        context,
        params,
        timeout: open.spec.timeout.map(|span| span.std()),
        kill_grace: kill_grace(open),
        output_max: limits::OUTPUT_BYTES_MAX,
        result_max: limits::RESULT_BYTES_MAX,
        limits: bounds(open),
    }))
}

/// The texts among some settings; secrets are filled in later.
fn texts(settings: BTreeMap<String, Setting>) -> BTreeMap<String, String> {
    let text = |(name, setting)| match setting {
        Setting::Text(text) => Some((name, text)),
        Setting::Secret(_) => None,
    };
    settings.into_iter().filter_map(text).collect()
}

fn python_env(open: &OpenRun) -> BTreeMap<String, String> {
    match open.spec.runner.as_deref() {
        Some(Runner::Python { env, .. }) => texts(env.clone()),
        _ => BTreeMap::new(),
    }
}

fn kill_grace(open: &OpenRun) -> Duration {
    open.spec.kill_grace.unwrap_or(limits::KILL_GRACE_DEFAULT).std()
}

fn bounds(open: &OpenRun) -> Limits {
    let Some(bounds) = open.spec.limits.as_deref() else { return Limits::default() };
    Limits {
        memory: bounds.memory,
        processes: bounds.processes,
        open_files: bounds.open_files.map(u64::from),
        file_size: bounds.file_size,
        cpu: bounds.cpu.map(|span| span.std()),
        cpus: None,
    }
}

fn what(open: &OpenRun, values: &Values<'_>) -> Result<Option<What>, String> {
    if let Some(code) = &open.spec.code {
        return Ok(Some(What::Python { code: code.to_string() }));
    }
    let Some(runner) = open.spec.runner.as_deref() else { return Ok(None) };
    Ok(Some(match runner.clone() {
        Runner::Python { code, .. } => What::Python { code },
        Runner::Shell { command, argv, env, cwd, user, pipefail, stdin } => {
            let command = match (command, argv) {
                (Some(line), _) => ShellCommand::Line(line),
                (None, argv) => ShellCommand::Argv(values.argv(argv.unwrap_or_default())?),
            };
            let pipefail = pipefail.unwrap_or(true);
            let env = values.env(texts(env))?;
            let cwd = cwd.map(|cwd| values.cwd(cwd)).transpose()?;
            What::Shell { command, pipefail, env, cwd, user, stdin }
        }
        Runner::Http { method, url, headers, body, expect_status, hmac_secret } => What::Http {
            method,
            url,
            headers: texts(headers),
            body,
            expect_status: expect_status.iter().filter_map(|item| item.bounds()).collect(),
            sign: hmac_secret.map(|secret| HttpSign { secret }),
        },
    }))
}
