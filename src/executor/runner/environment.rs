//! The scrubbed environment of a child: what it is told, and nothing of the daemon's.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::os::fd::{AsRawFd, OwnedFd};

use super::limits::{ARGUMENT_BYTES_MAX, PARAMS_ENV_BYTES_MAX};
use super::process::account::Account;
use super::process::stdin_file;
use super::spec::Context;

/// The path when the daemon itself has none.
const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Names beginning so are told by the runner and can't be set by a job.
const RESERVED: &str = "CRONAPI_";

/// The part of the daemon's own environment that children see, taken once at start.
pub(super) fn inherited() -> Vec<(OsString, OsString)> {
    let passes = |name: &str| {
        matches!(name, "PATH" | "HOME" | "LANG" | "TZ" | "TMPDIR") || name.starts_with("LC_")
    };
    let mut kept: Vec<_> =
        env::vars_os().filter(|(name, _)| name.to_str().is_some_and(passes)).collect();
    if !kept.iter().any(|(name, _)| name == "PATH") {
        kept.push(("PATH".into(), PATH_DEFAULT.into()));
    }
    kept
}

/// The environment of one attempt.
pub(super) struct Environment {
    pub(super) vars: BTreeMap<OsString, OsString>,
    /// What the job should know about it.
    pub(super) note: Option<String>,
}

impl Environment {
    /// `params` is the JSON text of the parameters.
    ///
    /// # Errors
    /// A sentence, when a name or value of `job_env` can't be used.
    pub(super) fn build(
        inherited: &[(OsString, OsString)],
        context: &Context,
        params: &str,
        job_env: &BTreeMap<String, String>,
        account: Option<&Account>,
    ) -> Result<Self, String> {
        let mut vars: BTreeMap<OsString, OsString> = inherited.iter().cloned().collect();
        if let Some(account) = account {
            vars.insert("HOME".into(), account.home.clone().into());
            vars.insert("USER".into(), account.name.clone().into());
            vars.insert("LOGNAME".into(), account.name.clone().into());
        }
        if let Some(trace) = &context.traceparent {
            vars.insert("TRACEPARENT".into(), trace.into());
        }
        for (name, value) in job_env {
            check(name, value)?;
            vars.insert(name.into(), value.into());
        }
        for (name, value) in told(context) {
            vars.insert(name.into(), value.into());
        }
        if let Some((task, flow)) = &context.task {
            vars.insert("CRONAPI_TASK".into(), task.into());
            vars.insert("CRONAPI_FLOW".into(), flow.into());
        }
        if let Some(fence) = context.lock_fence {
            vars.insert("CRONAPI_LOCK_FENCE".into(), fence.to_string().into());
        }
        let note = (params.len() > PARAMS_ENV_BYTES_MAX).then(|| {
            format!(
                "CRONAPI_PARAMS is not set: the parameters have {} bytes, more than {}; \
                 read them from the file that CRONAPI_PARAMS_FILE names",
                params.len(),
                PARAMS_ENV_BYTES_MAX
            )
        });
        if note.is_none() {
            vars.insert("CRONAPI_PARAMS".into(), params.into());
        }
        Ok(Self { vars, note })
    }

    /// A file of the parameters for the child to open, where the variable alone does not tell all
    /// of them: they have secrets, whose values `secret` holds, or are too large.
    ///
    /// # Errors
    /// A sentence, when there is no room for it.
    pub(super) fn params_file(
        &mut self,
        params: &str,
        secret: Option<&str>,
    ) -> Result<Option<OwnedFd>, String> {
        if secret.is_none() && self.note.is_none() {
            return Ok(None);
        }
        let file = stdin_file::with(secret.unwrap_or(params).as_bytes())?;
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        self.vars.insert("CRONAPI_PARAMS_FILE".into(), path.into());
        Ok(Some(file))
    }

    /// Value of a variable, as the child will see it.
    pub(super) fn get(&self, name: &str) -> Option<&OsString> {
        self.vars.get(OsString::from(name).as_os_str())
    }
}

fn told(context: &Context) -> [(&'static str, String); 8] {
    [
        ("CRONAPI_JOB", context.job.clone()),
        ("CRONAPI_RUN_ID", context.run_id.clone()),
        ("CRONAPI_ATTEMPT", context.attempt.to_string()),
        ("CRONAPI_NOMINAL_TIME", context.nominal_time.clone().unwrap_or_default()),
        ("CRONAPI_FENCE", context.fence.to_string()),
        ("CRONAPI_NODE", context.node.clone()),
        ("CRONAPI_TRIGGER", context.trigger.clone()),
        ("CRONAPI_BOOT", context.boot_tag.clone()),
    ]
}

fn check(name: &str, value: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("an environment variable has an empty name".to_owned());
    }
    if name.contains(['=', '\0']) {
        return Err(format!("environment variable {name:?}: a name can't hold '=' or NUL"));
    }
    if name.starts_with(RESERVED) {
        return Err(format!("environment variable {name}: names with {RESERVED} are reserved"));
    }
    if value.contains('\0') {
        return Err(format!("environment variable {name}: a value can't hold NUL"));
    }
    if name.len() + value.len() + 1 > ARGUMENT_BYTES_MAX {
        return Err(format!("environment variable {name} is longer than {ARGUMENT_BYTES_MAX}"));
    }
    Ok(())
}
