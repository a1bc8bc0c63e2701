//! Explanations in a sentence that a person understands.

use crate::machine::history::VersionRow;
use crate::machine::state::Job;
use crate::model::{Misfire, Run, RunStatus, SkipReason, Span, Timestamp};

/// What is to be said.
pub(super) enum Case {
    Fired(Box<Run>),
    /// Its run is gone: when it was decided.
    FiredOnce(Timestamp),
    Skipped {
        reason: SkipReason,
        range: Option<(Timestamp, Timestamp)>,
    },
    Superseded(Timestamp),
    /// By the schedule of that version; none: the present one.
    NotNominal(Option<u64>),
    BeforeCreation,
    Future {
        due: Timestamp,
        off: bool,
    },
    Over,
    NoSchedule,
    Paused {
        come: bool,
    },
    Undecided {
        leader: bool,
    },
    Forgotten,
    /// Its job was deleted before: `updated_at`.
    Deleted,
}

pub(super) fn sentence(
    job: &Job,
    at: Timestamp,
    case: &Case,
    previous: Option<Timestamp>,
    next: Option<Timestamp>,
) -> String {
    let name = &job.spec.name;
    match case {
        Case::Fired(run) => fired(run, at),
        Case::FiredOnce(decided) => format!(
            "{at} fired {}; its run is older than the history that is kept.",
            lateness(at, *decided)
        ),
        Case::Skipped { reason, range } => {
            let range = range.map_or_else(String::new, |(from, until)| {
                format!(" It is one of a range, from {from} to before {until}.")
            });
            format!("{at} was skipped: {}.{range}", skipped(job, *reason))
        }
        Case::Superseded(decided) => format!(
            "{at} never came to be decided: at {decided} the schedule of {name} was changed, or \
             the job was paused, and with it the times that were still open."
        ),
        Case::NotNominal(version) => {
            let by = match version {
                Some(version) => format!("version {version}, in force at the time, names"),
                None => format!("the schedule of {name} names"),
            };
            format!(
                "{name} did not run for {at} because it is not one of the times that {by}; {}",
                neighbours(previous, next)
            )
        }
        Case::BeforeCreation => {
            format!("{name} did not exist at {at}: it was created at {}.", job.created_at)
        }
        Case::Future { due, off } => to_come(job, at, *due, *off),
        Case::Over => {
            let most = job.spec.max_runs.map_or_else(String::new, |most| {
                format!(" after {} of at most {most} scheduled runs", job.live.fired)
            });
            format!("{at} will not run: the schedule of {name} is over{most}.")
        }
        Case::NoSchedule if job.spec.expr.is_some() => format!(
            "the schedule of {name} was accepted by an older release and can't be read by this \
             one; write it anew."
        ),
        Case::NoSchedule => format!(
            "{name} has no schedule: it runs only by hand, by the chain of another job, or when \
             its dependencies have succeeded."
        ),
        Case::Paused { come: true } => {
            format!("{at} did not run: {name} is paused; a resume does not make up for it.")
        }
        Case::Paused { come: false } => {
            format!("{at} is to come, and will be skipped unless {name} is resumed before.")
        }
        Case::Undecided { leader } => undecided(job, at, *leader),
        Case::Deleted => {
            format!("{at} did not come to be: {name} was deleted at {}.", job.updated_at)
        }
        Case::Forgotten => format!(
            "{at} is a nominal time of {name}, but nothing is known of it any more: its record \
             is older than the history that is kept."
        ),
    }
}

fn to_come(job: &Job, at: Timestamp, due: Timestamp, off: bool) -> String {
    let name = &job.spec.name;
    if off {
        return format!(
            "{at} is to come, and will be skipped: a calendar of {name} leaves its day out."
        );
    }
    match due.since(at) {
        Span::ZERO => format!("{at} is to come: {name} will run at {due}."),
        jitter => format!(
            "{at} is to come: {name} will run at {due}, {jitter} after its nominal time because \
             of its jitter."
        ),
    }
}

fn undecided(job: &Job, at: Timestamp, leader: bool) -> String {
    if leader {
        return format!("{at} has come, and the leader is about to decide it.");
    }
    let name = &job.spec.name;
    format!(
        "{at} has come, but no leader is known that could decide it; when there is one, the \
         misfire policy of {name} says what becomes of it."
    )
}

/// What a backfill made of it.
/// Who paused the job, and when.
pub(super) fn paused_by(pause: &VersionRow) -> String {
    format!(" {} paused it at {}.", pause.by, pause.at)
}

pub(super) fn backfilled(run: &Run) -> String {
    let id = run.backfill.unwrap_or_default();
    format!(" Backfill {id} ran it at {}: run {} {}.", run.fired_at, run.id, became(run))
}

fn fired(run: &Run, at: Timestamp) -> String {
    let lateness = lateness(at, run.fired_at);
    let status = became(run);
    let attempts =
        if run.attempt > 1 { format!(", at attempt {}", run.attempt) } else { String::new() };
    format!("{at} fired {lateness}; its run {} {status}{attempts}.", run.id)
}

fn became(run: &Run) -> String {
    match run.status {
        RunStatus::Waiting => {
            format!("waits {}", run.reason.as_deref().unwrap_or("for its turn"))
        }
        RunStatus::Queued => {
            format!("is queued {}", run.reason.as_deref().unwrap_or("for a node with a free slot"))
        }
        RunStatus::Assigned => "was given to a node, which has not reported the start".to_string(),
        RunStatus::Running => "is running".to_string(),
        RunStatus::Succeeded => "succeeded".to_string(),
        RunStatus::Failed => format!("failed{}", because(run)),
        RunStatus::TimedOut => format!("was stopped by its timeout{}", because(run)),
        RunStatus::Cancelled => match &run.cancelled_by {
            Some(by) => format!("was cancelled ({by})"),
            None => "was cancelled".to_string(),
        },
        RunStatus::Lost => format!("was lost{}", because(run)),
        RunStatus::Skipped => "never started".to_string(),
    }
}

fn lateness(at: Timestamp, decided: Timestamp) -> String {
    match decided.since(at) {
        late if late < Span::from_secs(1) => "on time".to_string(),
        late => format!("{late} late"),
    }
}

fn because(run: &Run) -> String {
    run.error.as_deref().map_or_else(String::new, |error| {
        let short: String = error.chars().take(200).collect();
        format!(" ({})", short.trim_end_matches('.'))
    })
}

fn skipped(job: &Job, reason: SkipReason) -> String {
    let Misfire { policy, window, max } = job.spec.misfire();
    match reason {
        SkipReason::Overlap => {
            "an earlier run was still open, and the overlap policy allows no other".into()
        }
        SkipReason::Paused => "the job was paused".into(),
        SkipReason::WindowPassed => format!(
            "no leader decided it in time, and when there was one again it was older than the \
             misfire window (now {window})"
        ),
        SkipReason::Misfire => {
            let keeps = match policy {
                crate::model::MisfirePolicy::Latest => "only the newest missed time",
                crate::model::MisfirePolicy::All => "all missed times",
                crate::model::MisfirePolicy::Skip => "no missed time",
            };
            format!(
                "it was missed while there was no leader, and the misfire policy did not make \
                 up for it (now it makes up for {keeps})"
            )
        }
        SkipReason::Calendar => "a calendar leaves its day out".into(),
        SkipReason::DependenciesUnmet => {
            "not every dependency had a new success before its patience ended".into()
        }
        SkipReason::QueueFull => "too many runs of the job were open".into(),
        SkipReason::Limit => {
            format!("it was one missed time too many for misfire.max (now {max})")
        }
        SkipReason::Restored => {
            "the cluster was restored from a backup, and the one before may have run it".to_owned()
        }
        SkipReason::Upstream => "what the task comes after can't hold any more".to_owned(),
        SkipReason::LockBusy => {
            "another held the lock of the job, and its on_busy is skip (the run says who)".into()
        }
        SkipReason::Condition => "the condition of the task was false".to_owned(),
        SkipReason::ParametersRefused => {
            "the parameters do not fit the parameters_schema of the job".into()
        }
    }
}

fn neighbours(previous: Option<Timestamp>, next: Option<Timestamp>) -> String {
    match (previous, next) {
        (Some(previous), Some(next)) => format!("the nearest are {previous} and {next}."),
        (Some(previous), None) => format!("the last before it is {previous}, and none follows."),
        (None, Some(next)) => format!("the first after it is {next}."),
        (None, None) => "there are none near it.".to_string(),
    }
}
