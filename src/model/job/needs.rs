//! Which format of the cluster a definition needs.
//!
//! `deny_unknown_fields` holds for definitions in the log too: a node that does not know a field
//! can't read the entry that has it. So every field says `since` when it can be read. One of a
//! definition itself says so in `spec!`; what stands inside another is taken apart here without
//! `..`, so that a new field does not build before its format is said.

use super::{CalendarSpec, JobSpec, Target};
use crate::model::alert::Notify;
use crate::model::bounds::Bounds;
use crate::model::fields::newest;
use crate::model::lock::Lock;
use crate::model::parameters::SecretParameters;
use crate::model::placement::Placement;
use crate::model::policy::{Misfire, Retention, Retry};
use crate::model::runner::Runner;
use crate::model::span_or_auto::SpanOrAuto;
use crate::model::workflow::Task;

/// A part of something that is to be written, and the first format that reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// JSON pointer without the first slash, or the name of a kind of command.
    pub what: String,
    /// The format.
    pub format: u32,
}

impl JobSpec {
    /// What needs the newest format; none: the first format reads all of it.
    pub fn need(&self) -> Option<Need> {
        newest(self, self.inner())
    }

    fn inner(&self) -> Vec<(String, u32)> {
        let mut found = Vec::new();
        if let Some(runner) = self.runner.as_deref() {
            of_runner(runner, &mut found);
            found.extend(runner.new_templates().map(|pointer| (pointer, 5)));
        }
        if let Some(schema) = self.parameters_schema.as_deref()
            && !SecretParameters::of(schema).is_empty()
        {
            found.push(("parameters_schema".to_owned(), 5));
        }
        if let Some(retry) = self.retry.as_deref() {
            let Retry { max_attempts: _, delay: _, multiplier: _, max_delay: _, jitter: _, on: _ } =
                retry;
        }
        if let Some(misfire) = self.misfire.as_deref() {
            let Misfire { policy: _, window: _, max: _ } = misfire;
        }
        if let Some(placement) = self.placement.as_deref() {
            let Placement { require: _, prefer: _ } = placement;
        }
        if let Some(retention) = self.retention.as_deref() {
            let Retention { count: _, age: _, bytes: _ } = retention;
        }
        if let Some(limits) = self.limits.as_deref() {
            let Bounds { memory: _, processes: _, open_files: _, file_size: _, cpu: _ } = limits;
        }
        if let Some(lock) = self.lock.as_deref() {
            let Lock { key: _, redis: _, ttl: _, on_busy: _ } = lock;
        }
        if let Some(notify) = self.notify.as_deref() {
            let Notify { on: _, channels: _, min_failures: _ } = notify;
        }
        for (field, after) in [("late_after", self.late_after), ("long_after", self.long_after)] {
            if after == Some(SpanOrAuto::Auto) {
                found.push((field.to_owned(), 7));
            }
        }
        for calendar in &self.calendars {
            let CalendarSpec { exclude: _, include: _ } = calendar;
        }
        for target in self.on_success.iter().chain(&self.on_failure).chain(&self.on_finish) {
            match target {
                Target::Name(_) | Target::With(_) => {}
            }
        }
        for task in &self.tasks {
            let Task {
                name: _,
                runner: _,
                job: _,
                after: _,
                join: _,
                when: _,
                over: _,
                max_parallel: _,
                collect: _,
                parameters: _,
                retry: _,
                timeout: _,
                queue: _,
                priority: _,
                placement: _,
            } = task;
        }
        found
    }
}

/// To add a field to a runner: name it here; `found.push(("runner/field".into(), N))` when it is
/// given and format N is the first that reads it.
fn of_runner(runner: &Runner, found: &mut Vec<(String, u32)>) {
    match runner {
        Runner::Python { code: _, env: _ } => {}
        Runner::Shell { command: _, argv: _, env: _, cwd: _, user: _, pipefail, stdin } => {
            if pipefail.is_some() {
                found.push(("runner/pipefail".to_owned(), 5));
            }
            if stdin.is_some() {
                found.push(("runner/stdin".to_owned(), 5));
            }
        }
        Runner::Http {
            method: _,
            url: _,
            headers: _,
            body: _,
            expect_status: _,
            hmac_secret: _,
        } => {}
    }
}
