//! Whether everything is all right, in facts: what fails and since when, what waits, what runs,
//! what comes next.

use std::sync::Arc;

use serde::Serialize;

use super::{Action, Caller, Error, Service, Target};
use crate::machine::State;
use crate::machine::history::{runs_prefix, unpack};
use crate::machine::state::{Job, OpenRun};
use crate::model::{Name, NodeId, Run, RunId, RunStatus, Timestamp};
use crate::storage::{Direction, Scan};

/// Jobs or runs in each of the lists.
const LISTED_MAX: usize = 20;
/// Runs of a failing job looked at for when it began to fail.
const LOOKED_BACK_MAX: usize = 200;
/// An enabled job whose time has been due for longer is late.
const LATE_AFTER_SECS: i64 = 5;

/// A job whose last run did not succeed.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Failing {
    /// The job.
    #[schema(value_type = Name)]
    pub job: Name,
    /// Its last run.
    pub run_id: RunId,
    /// How that ended.
    pub status: RunStatus,
    /// What went wrong, in a sentence.
    #[schema(required)]
    pub error: Option<String>,
    /// Exit code of its last attempt.
    #[schema(required)]
    pub exit_code: Option<i32>,
    /// The end of the first run that failed after the last success.
    pub since: Timestamp,
    /// Runs that failed since, 200 at most.
    pub times: u64,
}

/// A run that is not closed.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Open {
    /// The job.
    #[schema(value_type = Name)]
    pub job: Name,
    /// The run.
    pub run_id: RunId,
    /// Where it is.
    pub status: RunStatus,
    /// Since when it is open.
    pub since: Timestamp,
    /// When its attempt began.
    #[schema(required)]
    pub started_at: Option<Timestamp>,
    /// What it waits for.
    #[schema(required)]
    pub reason: Option<String>,
    /// Where it runs.
    #[schema(required)]
    pub node: Option<NodeId>,
}

/// A nominal time to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Coming {
    /// The job.
    #[schema(value_type = Name)]
    pub job: Name,
    /// The nominal time.
    pub at: Timestamp,
}

/// Whether everything is all right. Lists have 20 items at most, counts are of all.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Overview {
    /// When.
    pub at: Timestamp,
    /// Jobs that the caller may see.
    pub jobs: u64,
    /// Those that have a schedule, are enabled, not failing and not late.
    pub on_time: u64,
    /// Those that are paused.
    pub paused: u64,
    /// Those whose next time has been due for over 5 s.
    pub late: u64,
    /// Those whose last run did not succeed.
    pub failing: u64,
    /// Incidents that are open.
    pub incidents: u64,
    /// Runs that wait.
    pub waiting: u64,
    /// Runs under way.
    pub running: u64,
    /// The failing jobs, those that failed last first.
    pub failing_jobs: Vec<Failing>,
    /// The runs that wait, the oldest first.
    pub waiting_runs: Vec<Open>,
    /// The runs under way, the oldest first.
    pub running_runs: Vec<Open>,
    /// The next fires.
    pub coming: Vec<Coming>,
    /// Who leads; none: nobody, as far as this node knows.
    #[schema(required)]
    pub leader_id: Option<NodeId>,
    /// The current term.
    pub term: u64,
}

impl Service {
    /// The facts that the first look asks for, of the jobs that the caller may see.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn overview(&self, c: &Caller) -> Result<Overview, Error> {
        c.permit(Action::ReadJobs, Target::Cluster)?;
        let (state, now) = (self.consensus().state(), self.now());
        let status = self.consensus().status();
        let mut all = Overview {
            at: now,
            jobs: 0,
            on_time: 0,
            paused: 0,
            late: 0,
            failing: 0,
            incidents: self.open_incidents(c, &state),
            waiting: 0,
            running: 0,
            failing_jobs: Vec::new(),
            waiting_runs: Vec::new(),
            running_runs: Vec::new(),
            coming: Vec::new(),
            leader_id: status.leader,
            term: status.term,
        };
        let failing = all.count_jobs(c, &state, now);
        all.count_runs(c, &state);
        for job in failing {
            all.failing_jobs.extend(self.failing(&job).await?);
        }
        Ok(all)
    }

    /// Since when a job fails.
    async fn failing(&self, job: &Job) -> Result<Option<Failing>, Error> {
        let scan = Scan::prefix(&runs_prefix(job.no), Direction::Backward, LOOKED_BACK_MAX);
        let mut found: Option<Failing> = None;
        for (_, value) in self.consensus().history().scan(scan).await? {
            let run: Run = unpack(&value)?;
            let Some(ended) = run.finished_at else { continue };
            match run.status {
                RunStatus::Succeeded => break,
                status if is_failure(status) => match &mut found {
                    Some(failing) => {
                        failing.since = failing.since.min(ended);
                        failing.times += 1;
                    }
                    None => {
                        found = Some(Failing {
                            job: run.job,
                            run_id: run.id,
                            status,
                            error: run.error,
                            exit_code: run.exit_code,
                            since: ended,
                            times: 1,
                        });
                    }
                },
                _ => {}
            }
        }
        Ok(found)
    }
}

impl Overview {
    /// Counts the jobs, and gives the failing ones whose last run ended last.
    fn count_jobs(&mut self, c: &Caller, state: &State, now: Timestamp) -> Vec<Arc<Job>> {
        let mut failing: Vec<(Timestamp, Arc<Job>)> = Vec::new();
        let mut coming: Vec<(Timestamp, &Arc<Job>)> = Vec::new();
        for job in state.jobs.values() {
            if !c.sees(job.spec.name.as_str(), &job.spec.tags) {
                continue;
            }
            self.jobs += 1;
            self.paused += u64::from(!job.spec.enabled.0);
            let fails = job.live.last_run.filter(|run| is_failure(run.status));
            if let Some(run) = fails {
                self.failing += 1;
                failing.push((run.finished_at, Arc::clone(job)));
            }
            let Some(next) = job.live.next.filter(|_| job.spec.enabled.0) else { continue };
            let late = next.due.secs() + LATE_AFTER_SECS < now.secs();
            self.late += u64::from(late);
            self.on_time += u64::from(fails.is_none() && !late);
            coming.push((next.nominal, job));
        }
        failing.sort_by(|(a, one), (b, other)| (b, one.no).cmp(&(a, other.no)));
        let by_time = |(at, job): &(Timestamp, &Arc<Job>)| (*at, job.no);
        if coming.len() > LISTED_MAX {
            coming.select_nth_unstable_by_key(LISTED_MAX, by_time);
            coming.truncate(LISTED_MAX);
        }
        coming.sort_unstable_by_key(by_time);
        self.coming =
            coming.into_iter().map(|(at, job)| Coming { job: job.spec.name.clone(), at }).collect();
        failing.into_iter().take(LISTED_MAX).map(|(_, job)| job).collect()
    }

    /// Counts open runs, the oldest first: their ids grow. A workflow's run counts for its tasks'.
    fn count_runs(&mut self, c: &Caller, state: &State) {
        for open in state.runs.values().filter(|open| open.run.task.is_none()) {
            let tags = state.jobs.get(&open.run.id.job_no()).map_or(&[][..], |job| &job.spec.tags);
            if !c.sees(open.run.job.as_str(), tags) {
                continue;
            }
            let runs = matches!(open.run.status, RunStatus::Running | RunStatus::Assigned);
            let (count, list) = if runs {
                (&mut self.running, &mut self.running_runs)
            } else {
                (&mut self.waiting, &mut self.waiting_runs)
            };
            *count += 1;
            list.push(of(open));
        }
        for list in [&mut self.running_runs, &mut self.waiting_runs] {
            list.sort_by_key(|open| open.since);
            list.truncate(LISTED_MAX);
        }
    }
}

fn of(open: &OpenRun) -> Open {
    Open {
        job: open.run.job.clone(),
        run_id: open.run.id,
        status: open.run.status,
        since: open.run.fired_at,
        started_at: open.run.started_at,
        reason: open.run.reason.clone(),
        node: open.run.node,
    }
}

fn is_failure(status: RunStatus) -> bool {
    matches!(status, RunStatus::Failed | RunStatus::TimedOut | RunStatus::Lost)
}
