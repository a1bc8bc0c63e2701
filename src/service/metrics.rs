//! The page of metrics: what was counted, and what is read off now.
//!
//! What is true of the cluster is told by its leader alone, what is true of a node by that node.
//! So values can be added up over all nodes, and a node that is cut off tells no old story.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::cluster::LIVE;
use super::{Action, Caller, Error, Service, Target};
use crate::consensus::{Role, Status};
use crate::executor::runner::isolation::Files;
use crate::machine::State;
use crate::metrics::{self, Gauges};
use crate::model::{DutyKind, MonitorStatus, RunStatus, Timestamp};
use crate::storage::Pressure;

/// Queues with a series of their own; the runs of the others are told together.
const QUEUES_MAX: usize = 200;
/// The label that those others have; no queue can be called so.
const OTHERS: &str = "(others)";

impl Service {
    /// The page that Prometheus reads. Whoever has a role for some jobs sees the series of those.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn metrics(&self, c: &Caller) -> Result<String, Error> {
        c.permit(Action::ReadCluster, Target::Cluster)?;
        let page = self.open_metrics()?;
        if c.scope.is_all() {
            return Ok(page);
        }
        let state = self.consensus().state();
        let seen = |name: &str| {
            state.job(name).is_some_and(|job| c.sees(job.spec.name.as_str(), &job.spec.tags))
        };
        let lines = page.split_inclusive('\n').filter(|line| job_of(line).is_none_or(seen));
        Ok(lines.collect())
    }

    /// The same, for whoever reaches the listener that is open to all.
    ///
    /// # Errors
    /// A bug: two metrics of one name.
    pub fn open_metrics(&self) -> Result<String, Error> {
        let page = Page { service: self, state: &self.consensus().state(), now: Gauges::default() };
        let page = page.fill().and_then(|gauges| self.0.deps.metrics.page(&gauges));
        page.map_err(|error| Error::Internal(error.to_string()))
    }

    /// Whether it leads, and a majority follows it: of two that take themselves for the leader
    /// only one does.
    fn leads(&self) -> bool {
        let leads = self.consensus().leadership().borrow().is_leader;
        leads && *self.consensus().lease().borrow() > Instant::now()
    }
}

struct Page<'a> {
    service: &'a Service,
    state: &'a State,
    now: Gauges,
}

impl Page<'_> {
    fn fill(self) -> Result<Gauges, metrics::Error> {
        let leads = self.service.leads();
        self.node()?;
        self.raft(&self.service.consensus().status(), leads)?;
        self.disk(&self.service.consensus().status())?;
        if leads {
            self.cluster()?;
            self.jobs()?;
            self.monitors()?;
        }
        Ok(self.now)
    }

    fn isolation(&self) -> Result<(), metrics::Error> {
        let found = self.service.0.deps.runners.isolation().in_force();
        let value = |held: bool| if held { 1.0 } else { 0.0 };
        let all = [
            ("account", found.own_account),
            ("files", found.files != Files::Open),
            ("memory", found.memory),
            ("signals", found.signals),
            ("processes", found.processes),
        ];
        let cgroups = self.service.0.deps.runners.cgroups().bounded().cgroups;
        self.now.one(
            "cronapi_attempt_cgroups",
            "1 where each attempt of this node has a cgroup that bounds it; else 0.",
            value(cgroups),
        )?;
        self.now.many(
            "cronapi_isolation",
            "Whether jobs of this node are kept from it and from each other in this regard.",
            ["what"],
            all.map(|(what, held)| ([what.to_string()], value(held))),
        )
    }

    fn node(&self) -> Result<(), metrics::Error> {
        self.isolation()?;
        let (now, local) = (&self.now, &self.service.0.deps.local);
        let own = self.service.consensus().node_id();
        now.many(
            "cronapi_build_info",
            "The program; always 1.",
            ["version"],
            [([local.version.clone()], 1.0)],
        )?;
        now.many(
            "cronapi_node_info",
            "The node's id; always 1.",
            ["node"],
            [([own.to_string()], 1.0)],
        )?;
        let ready = if self.service.ready().is_ok() { 1.0 } else { 0.0 };
        now.one("cronapi_ready", "1 while this node can serve, as /readyz says.", ready)?;
        if let Some(until) = self.service.0.deps.metrics.parts.certificate_until() {
            let help = "When the certificate that this node shows, or one above it, expires.";
            now.one("cronapi_tls_certificate_expiry_timestamp_seconds", help, until as f64)?;
        }
        let node = self.state.nodes.get(&own);
        let busy = node.map_or(0, |node| node.busy);
        let free = local.slots.saturating_sub(busy);
        now.many(
            "cronapi_run_slots",
            "Slots for attempts on this node.",
            ["state"],
            [(["busy".to_string()], busy.into()), (["free".to_string()], free.into())],
        )
    }

    fn raft(&self, status: &Status, leads: bool) -> Result<(), metrics::Error> {
        let now = &self.now;
        let flag = |is| if is { 1.0 } else { 0.0 };
        now.one("cronapi_raft_term", "The term that this node is in.", status.term as f64)?;
        let help = "1 while this node leads and a majority follows it.";
        now.one("cronapi_raft_is_leader", help, flag(leads))?;
        if let Some(micros) = self.service.consensus().clock_ahead() {
            let help = "How far this node's clock is ahead of most voters' clocks.";
            now.one("cronapi_clock_ahead_seconds", help, micros as f64 / 1e6)?;
        }
        let voter = matches!(status.role, Role::Leader | Role::Follower | Role::Candidate);
        now.one("cronapi_raft_is_voter", "1 while this node votes.", flag(voter))?;
        let help = "The last entry of the log that this node applied.";
        now.one("cronapi_raft_last_applied_index", help, status.applied as f64)?;
        let help = "The last entry that this node knows to be committed.";
        now.one("cronapi_raft_commit_index", help, status.committed as f64)?;
        if let Some((Some(at), _)) = self.service.consensus().checkpoint() {
            let help = "When this node's newest checkpoint was written.";
            now.one("cronapi_raft_snapshot_timestamp_seconds", help, seconds(at))?;
        }
        if !leads {
            return Ok(());
        }
        let lag = self.service.consensus().lag().into_iter();
        let lag = lag.map(|(peer, entries)| ([peer.to_string()], entries as f64));
        let help = "Entries that another node lacks, as the leader sees it.";
        now.many("cronapi_raft_replication_lag_entries", help, ["peer"], lag)
    }

    fn disk(&self, status: &Status) -> Result<(), metrics::Error> {
        let checkpoint = self.service.consensus().checkpoint().map_or(0, |(_, bytes)| bytes);
        let kinds = [
            ("log", status.log_bytes),
            ("history", status.history_bytes),
            ("history_waiting", status.history_waiting_bytes),
            ("checkpoint", checkpoint),
        ];
        let kinds = kinds.map(|(kind, bytes)| ([kind.to_string()], bytes as f64));
        let help = "Bytes that this node keeps.";
        self.now.many("cronapi_storage_bytes", help, ["kind"], kinds)?;
        let (room, pressure) = self.service.consensus().room();
        if room.total > 0 {
            let help = "Bytes that are free on the disk of the data directory.";
            self.now.one("cronapi_disk_free_bytes", help, room.free as f64)?;
            let help = "Bytes that the disk of the data directory has.";
            self.now.one("cronapi_disk_size_bytes", help, room.total as f64)?;
        }
        let level = match pressure {
            Pressure::None => 0.0,
            Pressure::Output => 1.0,
            Pressure::Writes => 2.0,
        };
        let help = "1: no output is kept for want of room; 2: jobs and triggers are refused, too.";
        self.now.one("cronapi_disk_pressure", help, level)
    }

    fn cluster(&self) -> Result<(), metrics::Error> {
        let (now, state) = (&self.now, self.state);
        let members = self.service.consensus().members_told();
        let live = |of: &&crate::consensus::Member| of.silent_for.is_some_and(|span| span < LIVE);
        let live = members.iter().filter(live).count();
        now.many(
            "cronapi_nodes",
            "Members of the cluster.",
            ["state"],
            [
                (["live".to_string()], live as f64),
                (["silent".to_string()], (members.len() - live) as f64),
            ],
        )?;
        let differ = members.iter().filter(|member| member.differs.is_some()).count();
        let help = "Members whose digests differ from the leader's at the same entry.";
        now.one("cronapi_replica_digest_mismatches", help, differ as f64)?;
        let counts = state.open_by_status();
        use RunStatus::{Assigned, Queued, Running, Waiting};
        let open = [Waiting, Queued, Assigned, Running].map(|status| {
            ([status.as_str().to_string()], counts.get(&status).copied().unwrap_or(0) as f64)
        });
        now.many("cronapi_open_runs", "Runs that have not ended.", ["status"], open)?;
        let depth = self.depth().into_iter().map(|(queue, runs)| ([queue], runs as f64));
        let help = "Runs that wait for a slot, by queue; empty: those without one.";
        now.many("cronapi_queue_depth", help, ["queue"], depth)?;
        let sinks = state.duties.all.iter().filter(|(key, _)| key.kind == DutyKind::Sink);
        let behind = sinks.map(|(key, duty)| {
            let behind = state.events.last.saturating_sub(duty.position.number);
            ([key.name.to_string()], behind as f64)
        });
        now.many("cronapi_sink_behind", "Events that a sink does not have yet.", ["sink"], behind)
    }

    fn monitors(&self) -> Result<(), metrics::Error> {
        let now = self.state.last_at;
        let mut counts: BTreeMap<MonitorStatus, u64> =
            MonitorStatus::ALL.iter().map(|status| (*status, 0)).collect();
        for monitor in self.state.monitors.all.values() {
            *counts.entry(monitor.status_at(now)).or_default() += 1;
        }
        let counts = counts.into_iter();
        let counts = counts.map(|(status, count)| ([status.as_str().to_string()], count as f64));
        self.now.many("cronapi_monitors", "Monitors, by where they are.", ["status"], counts)
    }

    /// Runs that wait, by their queue.
    fn depth(&self) -> BTreeMap<String, u64> {
        let mut depth = BTreeMap::from([(String::new(), 0)]);
        let limited = self.state.queues.iter().filter(|(_, queue)| queue.concurrency.is_some());
        depth.extend(limited.take(QUEUES_MAX).map(|(name, _)| (name.to_string(), 0)));
        for (_, _, id) in &self.state.ready {
            let Some(open) = self.state.runs.get(id) else { continue };
            let queue = open.spec.queue.as_ref().map_or("", |name| name.as_str());
            let known = depth.len() < QUEUES_MAX || depth.contains_key(queue);
            *depth.entry(if known { queue } else { OTHERS }.to_string()).or_insert(0) += 1;
        }
        for (name, queue) in self.state.queues.iter().filter(|(_, queue)| queue.waiting() > 0) {
            let known = depth.len() < QUEUES_MAX || depth.contains_key(name.as_str());
            let waiting = queue.waiting() as u64;
            *depth.entry(if known { name.as_str() } else { OTHERS }.to_string()).or_insert(0) +=
                waiting;
        }
        depth
    }

    fn jobs(&self) -> Result<(), metrics::Error> {
        let (now, jobs) = (&self.now, &self.state.jobs);
        let paused = jobs.values().filter(|job| !job.spec.enabled.0).count();
        now.many(
            "cronapi_jobs",
            "Definitions.",
            ["state"],
            [
                (["enabled".to_string()], (jobs.len() - paused) as f64),
                (["paused".to_string()], paused as f64),
            ],
        )?;
        let most = self.service.0.deps.metrics.jobs_max;
        if most == 0 {
            return Ok(());
        }
        // By name, so that they are the same from page to page.
        let chosen = self.state.names.iter().take(most);
        let chosen: Vec<_> =
            chosen.filter_map(|(name, no)| Some((name.to_string(), jobs.get(no)?))).collect();
        let help = "Jobs without series of their own, past the number that was asked for.";
        let rest = jobs.len() - chosen.len();
        now.one("cronapi_jobs_without_series", help, rest as f64)?;
        let next = chosen
            .iter()
            .filter_map(|(name, job)| Some(([name.clone()], seconds(job.live.next?.due))));
        let help = "When the job fires next.";
        now.many("cronapi_job_next_fire_timestamp_seconds", help, ["job_name"], next)?;
        let ended = chosen.iter().filter_map(|(name, job)| {
            Some(([name.clone()], seconds(job.live.last_run?.finished_at)))
        });
        let help = "When the job's last run ended.";
        now.many("cronapi_job_last_run_timestamp_seconds", help, ["job_name"], ended)?;
        let failed = chosen.iter().filter_map(|(name, job)| {
            let bad = [RunStatus::Failed, RunStatus::TimedOut, RunStatus::Lost];
            let failed = bad.contains(&job.live.last_run?.status);
            Some(([name.clone()], if failed { 1.0 } else { 0.0 }))
        });
        let help = "1 when the job's last run failed, timed out or was lost.";
        now.many("cronapi_job_last_run_failed", help, ["job_name"], failed)?;
        let open = chosen.iter().map(|(name, job)| ([name.clone()], job.live.open.into()));
        now.many(
            "cronapi_job_open_runs",
            "Runs of the job that have not ended.",
            ["job_name"],
            open,
        )
    }
}

/// The job that a line of the page is about. Names have nothing in them that would be escaped.
fn job_of(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("job_name=\"")?;
    rest.split_once('"').map(|(name, _)| name)
}

fn seconds(at: Timestamp) -> f64 {
    at.micros() as f64 / 1e6
}
