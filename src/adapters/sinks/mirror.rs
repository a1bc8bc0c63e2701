//! The state beside a stream of Redis: two hashes that hold every job and every open run as they
//! are now, for programs that would otherwise ask for them all the time.
//!
//! What changed is found by comparing two states, which share whatever did not. One script writes
//! it, and refuses a holder whose fence is old. At the beginning of each holder, and after any
//! fault, everything is written, and what is there and should not be is taken away.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use imbl::OrdMap;
use imbl::ordmap::DiffItem;
use serde_json::json;
use tokio::time::Instant;

use crate::adapters::redis::Redis;
use crate::machine::State;
use crate::machine::state::{Job, OpenRun};
use crate::model::limits::SINK_BATCH_MAX;
use crate::model::{Fence, JobNo, Name, RunId, Timestamp};

/// What changes is written so often, at most.
const EVERY: Duration = Duration::from_millis(250);

/// Fields of the hashes of jobs (2) and runs (3), with a value, or without one to take it away. The
/// first hash says whose they are, how new, and who wrote them. Answers with why it did not.
const WRITE: &str = r"
local cluster = redis.call('HGET', KEYS[1], 'cluster')
if cluster and cluster ~= ARGV[1] then
  return 'another cluster writes ' .. KEYS[1] .. ': ' .. cluster
end
local fence = tonumber(redis.call('HGET', KEYS[1], 'fence') or '0')
if fence > tonumber(ARGV[2]) then
  return 'a newer holder writes ' .. KEYS[1] .. ', under the fence ' .. fence
end
for at = 5, #ARGV, 3 do
  local key = KEYS[tonumber(ARGV[at])]
  if ARGV[at + 2] == '' then
    redis.call('HDEL', key, ARGV[at + 1])
  else
    redis.call('HSET', key, ARGV[at + 1], ARGV[at + 2])
  end
end
redis.call('HSET', KEYS[1], 'cluster', ARGV[1], 'fence', ARGV[2], 'entry', ARGV[3], 'at', ARGV[4])
return ''
";

const JOBS: u8 = 2;
const RUNS: u8 = 3;

/// What is to be written. Values are made a batch at a time: a cluster may have a million jobs.
enum Change {
    /// A field of a hash goes.
    Gone(u8, String),
    /// A job is there, or is another.
    Job(Arc<Job>),
    /// A run is open, or is another.
    Run(Arc<OpenRun>),
}

/// What there is now. A state itself would be kept in memory for as long as Redis is waited for.
pub(super) struct Now {
    jobs: OrdMap<JobNo, Arc<Job>>,
    runs: OrdMap<RunId, Arc<OpenRun>>,
    at: Timestamp,
    /// The fence of whoever writes.
    fence: Fence,
    /// The entry of the log that the state is of, at least.
    entry: u64,
}

impl Now {
    /// What a state has, which is of `entry` at least.
    pub fn of(state: &State, fence: Fence, entry: u64) -> Now {
        let (jobs, runs) = (state.jobs.clone(), state.runs.clone());
        Now { jobs, runs, at: state.last_at, fence, entry }
    }
}

/// What is in the hashes.
#[derive(Default)]
pub(super) struct Written {
    jobs: OrdMap<JobNo, Arc<Job>>,
    runs: OrdMap<RunId, Arc<OpenRun>>,
    at: Option<Instant>,
}

/// Where the hashes are, and what is wanted of them.
pub(super) struct Mirror {
    /// The cluster that they are of.
    pub cluster: String,
    /// The key of the stream; theirs are in the same slot of a Redis Cluster.
    pub key: String,
    /// Of these jobs; empty: of all.
    pub jobs: Vec<String>,
    /// What addresses of the page begin with.
    pub pages: String,
    /// What was written; none: it is not known what is there.
    pub written: Option<Written>,
}

impl Mirror {
    /// Writes what has changed, if it is time to.
    pub async fn follow(&mut self, redis: &mut Redis, now: Now) -> Result<(), String> {
        let soon = |written: &Written| written.at.is_some_and(|at| at.elapsed() < EVERY);
        if self.written.as_ref().is_some_and(soon) {
            return Ok(());
        }
        let before = match self.written.take() {
            Some(written) => written,
            None => {
                self.take_away(redis, &now).await?;
                Written::default()
            }
        };
        let mut changes = self.jobs_since(&before.jobs, &now.jobs);
        changes.extend(self.runs_since(&before.runs, &now.runs));
        if !changes.is_empty() {
            self.write(redis, &now, &changes).await?;
        }
        let Now { jobs, runs, .. } = now;
        self.written = Some(Written { jobs, runs, at: Some(Instant::now()) });
        Ok(())
    }

    fn keys(&self) -> [String; 3] {
        ["state", "jobs", "runs"].map(|part| format!("{{{}}}:{part}", self.key))
    }

    /// Takes away what is there and should not be.
    async fn take_away(&self, redis: &mut Redis, now: &Now) -> Result<(), String> {
        let [_, jobs, runs] = self.keys();
        let names: Vec<String> = redis.call(redis::cmd("HKEYS").arg(jobs)).await?;
        let ids: Vec<String> = redis.call(redis::cmd("HKEYS").arg(runs)).await?;
        let wanted = |job: &Name| self.takes(job.as_str());
        let jobs = now.jobs.values().map(|job| &job.spec.name).filter(|name| wanted(name));
        let runs = now.runs.values().map(|open| &open.run).filter(|run| wanted(&run.job));
        let known: BTreeSet<&str> = jobs.map(Name::as_str).collect();
        let open: BTreeSet<String> = runs.map(|run| run.id.to_string()).collect();
        let gone = names.into_iter().filter(|name| !known.contains(name.as_str()));
        let gone = gone.map(|name| Change::Gone(JOBS, name));
        let over = ids.into_iter().filter(|id| !open.contains(id));
        let over = over.map(|id| Change::Gone(RUNS, id));
        let changes: Vec<Change> = gone.chain(over).collect();
        self.write(redis, now, &changes).await
    }

    fn takes(&self, job: &str) -> bool {
        self.jobs.is_empty() || self.jobs.iter().any(|wanted| wanted == job)
    }

    fn jobs_since(
        &self,
        before: &OrdMap<JobNo, Arc<Job>>,
        now: &OrdMap<JobNo, Arc<Job>>,
    ) -> Vec<Change> {
        let (mut gone, mut there) = (Vec::new(), Vec::new());
        for change in before.diff(now) {
            match change {
                DiffItem::Add(_, job) | DiffItem::Update { new: (_, job), .. } => {
                    if self.takes(job.spec.name.as_str()) {
                        there.push(Change::Job(Arc::clone(job)));
                    }
                }
                DiffItem::Remove(_, job) => {
                    gone.push(Change::Gone(JOBS, job.spec.name.to_string()));
                }
            }
        }
        // One that was made again under its name stays.
        gone.extend(there);
        gone
    }

    fn runs_since(
        &self,
        before: &OrdMap<RunId, Arc<OpenRun>>,
        now: &OrdMap<RunId, Arc<OpenRun>>,
    ) -> Vec<Change> {
        let changes = before.diff(now).filter_map(|change| match change {
            DiffItem::Add(_, open) | DiffItem::Update { new: (_, open), .. } => {
                let takes = self.takes(open.run.job.as_str());
                takes.then(|| Change::Run(Arc::clone(open)))
            }
            DiffItem::Remove(id, _) => Some(Change::Gone(RUNS, id.to_string())),
        });
        changes.collect()
    }

    fn job(&self, job: &Job) -> String {
        let (spec, live) = (&job.spec, &job.live);
        json!({
            "uid": job.uid,
            "version": job.version,
            "enabled": spec.enabled.0,
            "next_fire_at": live.next.map(|next| next.nominal),
            "last_run": live.last_run,
            "open_runs": live.open,
            "page": format!("{}/ui/jobs/{}", self.pages, spec.name),
        })
        .to_string()
    }

    fn run(&self, open: &OpenRun) -> String {
        let run = &open.run;
        json!({
            "job": run.job,
            "status": run.status,
            "trigger": run.trigger,
            "nominal_time": run.nominal_time,
            "fired_at": run.fired_at,
            "started_at": run.started_at,
            "attempt": run.attempt,
            "node": run.node,
            "page": format!("{}/ui/runs/{}", self.pages, run.id),
        })
        .to_string()
    }

    async fn write(&self, redis: &mut Redis, now: &Now, changes: &[Change]) -> Result<(), String> {
        let keys = self.keys();
        let at = now.at.to_string();
        // Without a change, too: whose they are and how new is told.
        let (mut rest, mut first) = (changes, true);
        while first || !rest.is_empty() {
            let (some, others) = rest.split_at(rest.len().min(SINK_BATCH_MAX));
            (rest, first) = (others, false);
            let mut call = redis::cmd("EVAL");
            call.arg(WRITE).arg(keys.len()).arg(&keys);
            call.arg(&self.cluster).arg(now.fence).arg(now.entry).arg(&at);
            for change in some {
                match change {
                    Change::Gone(hash, field) => call.arg(*hash).arg(field).arg(""),
                    Change::Job(job) => {
                        call.arg(JOBS).arg(job.spec.name.as_str()).arg(self.job(job))
                    }
                    Change::Run(open) => {
                        call.arg(RUNS).arg(open.run.id.to_string()).arg(self.run(open))
                    }
                };
            }
            let refused: String = redis.call(&call).await?;
            if !refused.is_empty() {
                return Err(refused);
            }
        }
        Ok(())
    }
}
