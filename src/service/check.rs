//! What is asked of a definition beyond its own grammar: that its Python compiles, that no
//! masked secret comes back, and that the caller may have it do what it does.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::secrets::{may_use, missing_warnings};
use super::views::SECRET;
use super::{Action, Caller, Error, Permit, Service, Target};
use crate::consensus::beside;
use crate::executor::runner::check_python;
use crate::machine::State;
use crate::machine::prepare::{Intent, PutMode, prepare};
use crate::machine::reply::Rejection;
use crate::model::job::Target as Chained;
use crate::model::{Invalid, JobSpec, Name, Runner};

impl Service {
    /// Reads a definition. `before` is the one it replaces: code that stays is not checked.
    ///
    /// # Errors
    /// Every fault at once: of the fields, of the schedule and the schemas, of the code.
    pub(super) async fn read_definition(
        &self,
        map: Map<String, Value>,
        before: Option<&JobSpec>,
    ) -> Result<JobSpec, Vec<Invalid>> {
        let (mut faults, source) = (secret_faults(&map), source(&map));
        if let Some((pointer, code)) = source
            && before.and_then(code_of) != Some(&code)
            && let Some(fault) = self.syntax_fault(pointer, &code).await
        {
            faults.push(fault);
        }
        match JobSpec::from_map(map.clone()) {
            Ok(spec) if faults.is_empty() => Ok(spec),
            Ok(spec) => {
                faults.extend(self.machine_faults(spec));
                Err(faults)
            }
            Err(found) => {
                if let Some(rest) = without(map, &found) {
                    faults.extend(self.machine_faults(rest));
                }
                faults.splice(0..0, found);
                Err(faults)
            }
        }
    }

    /// What the machine would find in a definition that is refused anyway.
    pub(super) fn machine_faults(&self, spec: JobSpec) -> Vec<Invalid> {
        let (mode, expected) = (PutMode::Upsert, None);
        let intent = Intent::PutJob { spec: Arc::new(spec), mode, expected };
        let state = self.consensus().state();
        match beside(|| prepare(&state, intent, self.now(), None, None)) {
            Err(Rejection::Invalid(faults)) => faults,
            _ => Vec::new(),
        }
    }

    async fn syntax_fault(&self, pointer: &str, code: &str) -> Option<Invalid> {
        if code.trim().is_empty() {
            return None;
        }
        // Closing it is the only way to fail, and nobody does.
        let _turn = self.0.interpreters.acquire().await.ok()?;
        let fault = check_python(&self.0.deps.runners, code).await.err()?;
        Some(Invalid::new(pointer, format!("is not valid Python: {fault}")))
    }
}

/// Whether `c` may put `spec` in the place of `before`.
pub(super) fn may_put(
    c: &Caller,
    state: &State,
    before: Option<&JobSpec>,
    spec: &JobSpec,
) -> Result<Permit, Error> {
    if let Some(before) = before {
        c.permit(Action::ManageJobs, Target::from(before))?;
    }
    let permit = c.permit(Action::ManageJobs, Target::from(spec))?;
    // An unchanged runner was allowed to whoever wrote it.
    let known = |runner: &Runner| {
        before.is_some_and(|before| before.runners().any(|(_, known)| known == runner))
    };
    if spec.runners().any(|(_, runner)| runner.user().is_some() && !known(runner)) {
        c.permit(Action::RunAsUser, Target::from(spec))?;
    }
    // A task is a run of its job: who starts it must be one who may.
    let had = |job: &Name| {
        before.is_some_and(|before| before.tasks.iter().any(|task| task.job.as_ref() == Some(job)))
    };
    for name in spec.tasks.iter().filter_map(|task| task.job.as_ref()).filter(|job| !had(job)) {
        let tags = state.job(name.as_str()).map_or(&[][..], |job| &job.spec.tags);
        c.permit(Action::TriggerJobs, Target::Job { name: name.as_str(), tags })?;
    }
    may_use(c, state, before, spec)?;
    // A chain starts its targets: it must not reach where its author may not.
    for target in chained(spec)
        .filter(|target| before.is_none_or(|before| !chained(before).any(|known| known == *target)))
    {
        let name = target.job().as_str();
        let tags = state.job(name).map_or(&[][..], |job| &job.spec.tags);
        c.permit(Action::TriggerJobs, Target::Job { name, tags })?;
    }
    Ok(permit)
}

/// Warnings for jobs that `spec` names and that do not exist.
pub(super) fn unresolved_warnings(state: &State, spec: &JobSpec) -> Vec<String> {
    let missing = spec.references().filter(|(_, _, name)| !state.names.contains_key(*name));
    let told = |(field, at, name): (&str, usize, &Name)| {
        let place = if field == "tasks" { "/job" } else { "" };
        format!("/{field}/{at}{place}: there is no job {name} yet; it counts once there is one")
    };
    missing.map(told).chain(missing_warnings(state, spec)).collect()
}

fn chained(spec: &JobSpec) -> impl Iterator<Item = &Chained> {
    spec.on_success.iter().chain(&spec.on_failure).chain(&spec.on_finish)
}

/// Python source in a definition as given, with the place it stands at.
fn source(map: &Map<String, Value>) -> Option<(&'static str, String)> {
    if let Some(Value::String(code)) = map.get("code") {
        return Some(("/code", code.clone()));
    }
    let runner = map.get("runner")?.as_object()?;
    let python = runner.get("type").and_then(Value::as_str) == Some("python");
    let code = runner.get("code").and_then(Value::as_str).filter(|_| python)?;
    Some(("/runner/code", code.to_string()))
}

fn code_of(spec: &JobSpec) -> Option<&str> {
    match (&spec.code, spec.runner.as_deref()) {
        (Some(code), _) => Some(code),
        (None, Some(Runner::Python { code, .. })) => Some(code),
        _ => None,
    }
}

fn secret_faults(map: &Map<String, Value>) -> Vec<Invalid> {
    let detail = "is the mask that stands for a secret; give the secret itself, or change the \
                  other fields with PATCH";
    let masked = |runner: Option<&Value>| {
        let secret = runner.and_then(|runner| runner.get("hmac_secret"));
        secret.and_then(Value::as_str) == Some(SECRET)
    };
    let mut faults = Vec::new();
    if masked(map.get("runner")) {
        faults.push(Invalid::new("runner/hmac_secret", detail));
    }
    let tasks = map.get("tasks").and_then(Value::as_array).into_iter().flatten().enumerate();
    for (at, _) in tasks.filter(|(_, task)| masked(task.get("runner"))) {
        faults.push(Invalid::new(format!("tasks/{at}/runner/hmac_secret"), detail));
    }
    faults
}

/// The definition without its faulty fields, to find further faults in the rest.
fn without(mut map: Map<String, Value>, faults: &[Invalid]) -> Option<JobSpec> {
    for fault in faults {
        let field = fault.pointer.split('/').nth(1)?;
        map.remove(&field.replace("~1", "/").replace("~0", "~"));
    }
    map.entry("name").or_insert_with(|| Value::String("unnamed".into()));
    JobSpec::from_map(map).ok()
}
