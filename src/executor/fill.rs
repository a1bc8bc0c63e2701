//! Fills in the secrets that a job names, on the node that runs it and nowhere else.

use crate::machine::State;
use crate::machine::state::OpenRun;
use crate::model::parameters::SecretParameters;
use crate::model::secret::{SecretRef, Setting};
use crate::model::{JobSpec, Runner, Scope};
use crate::vault::Vault;

use super::runner::Spec;

/// Fills in the present values.
///
/// # Errors
/// A sentence for the run: which secret is missing, or why it can't be used.
pub(super) fn fill(
    spec: &mut Spec,
    open: &OpenRun,
    state: &State,
    vault: Option<&Vault>,
) -> Result<(), String> {
    fill_parameters(spec, open, state, vault)?;
    let (settings, headers) = match open.spec.runner.as_deref() {
        Some(Runner::Python { env, .. } | Runner::Shell { env, .. }) => (env, false),
        Some(Runner::Http { headers, .. }) => (headers, true),
        None => return Ok(()),
    };
    for (place, setting) in settings {
        let Setting::Secret(wanted) = setting else { continue };
        let value = secret_for(wanted, open, state, vault)?;
        let whole = format!("{}{value}", wanted.prefix);
        spec.filled.masked.push(value);
        let into = if headers { &mut spec.filled.headers } else { &mut spec.filled.env };
        into.insert(place.clone(), whole);
    }
    Ok(())
}

/// The parameters that are secrets: their values are for standard input and for the file of the
/// parameters, and nowhere else.
fn fill_parameters(
    spec: &mut Spec,
    open: &OpenRun,
    state: &State,
    vault: Option<&Vault>,
) -> Result<(), String> {
    let Some(schema) = &open.spec.parameters_schema else { return Ok(()) };
    let secrets = SecretParameters::of(schema);
    if secrets.is_empty() {
        return Ok(());
    }
    let mut masked = Vec::new();
    let filled = secrets.filled(&spec.params, |wanted| {
        let value = secret_for(wanted, open, state, vault)?;
        masked.push(value.clone());
        Ok(value)
    })?;
    spec.filled.params = filled;
    spec.filled.masked.extend(masked);
    Ok(())
}

/// The present value of a secret that the definition of a run names, without what comes before it.
///
/// # Errors
/// A sentence for the run.
pub(super) fn secret_for(
    wanted: &SecretRef,
    open: &OpenRun,
    state: &State,
    vault: Option<&Vault>,
) -> Result<String, String> {
    let may = |scope: &Scope| scope.covers(open.run.job.as_str(), &open.spec.tags);
    value(wanted, may, state, vault)
}

/// The present value of a secret that a definition names which an admin wrote: such a one may name
/// any.
///
/// # Errors
/// A sentence: that it is missing, or why it can't be read.
pub fn secret_value(
    wanted: &SecretRef,
    state: &State,
    vault: Option<&Vault>,
) -> Result<String, String> {
    let value = value(wanted, |_| true, state, vault)?;
    Ok(format!("{}{value}", wanted.prefix))
}

/// The present text of a setting of a job.
///
/// # Errors
/// A sentence: that a secret is missing, is not for the job, or can't be read.
pub fn job_setting(
    setting: &Setting,
    job: &JobSpec,
    state: &State,
    vault: Option<&Vault>,
) -> Result<String, String> {
    let wanted = match setting {
        Setting::Text(text) => return Ok(text.clone()),
        Setting::Secret(wanted) => wanted,
    };
    let may = |scope: &Scope| scope.covers(job.name.as_str(), &job.tags);
    Ok(format!("{}{}", wanted.prefix, value(wanted, may, state, vault)?))
}

fn value(
    wanted: &SecretRef,
    may: impl Fn(&Scope) -> bool,
    state: &State,
    vault: Option<&Vault>,
) -> Result<String, String> {
    let name = &wanted.secret;
    let secret = state.secrets.items.get(name).ok_or_else(|| {
        format!("there is no secret {name}: an admin gives it with PUT /secrets/{name}")
    })?;
    if !may(&secret.jobs) {
        return Err(format!("the secret {name} is not for this job; an admin can widen its scope"));
    }
    let vault = vault.ok_or_else(|| {
        format!("the secret {name} can't be read: this node has no CRONAPI_SECRETS_KEY")
    })?;
    let key = state.secrets.key(secret.sealed.key);
    let key = key.ok_or_else(|| format!("the secret {name} has lost its key"))?;
    vault.open(key, name, &secret.sealed).map_err(|e| format!("the secret {name}: {e}"))
}
