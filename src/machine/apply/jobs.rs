//! Definitions: create, replace, pause, resume, delete.

use std::sync::Arc;

use crate::machine::command::{Next, PutJob, Range};
use crate::machine::history::{VersionRow, version_key};
use crate::machine::reply::{Answer, Rejection, Reply};
use crate::machine::state::{FORMAT_OF_PAST, Job, Live};
use crate::model::{JobNo, JobSpec, JobUid, Name, RunStatus, Timestamp, limits};

use super::Cx;
use super::audit::difference;

impl Cx<'_> {
    pub(super) fn put_job(&mut self, put: &PutJob) -> Answer {
        let name = &put.spec.name;
        let present = self.s.job(name.as_str()).cloned();
        match (&present, put.based_on) {
            (None, None) => {}
            // Made or gone meanwhile: whether that matters depends on what was meant, which
            // `prepare` knows.
            (Some(_), None) | (None, Some(_)) => return Err(Rejection::Stale),
            (Some(job), Some((no, version))) if (job.no, job.version) != (no, version) => {
                if put.pinned {
                    let actual = job.version;
                    return Err(Rejection::VersionConflict { expected: version, actual });
                }
                return Err(Rejection::Stale);
            }
            _ => {}
        }
        self.check_graph(&put.spec)?;
        match present {
            Some(job) if job.spec == put.spec => {
                let (no, version) = (job.no, job.version);
                Ok(Reply::Job { no, version, created: false, changed: false })
            }
            Some(job) => {
                self.none_ahead(job.no)?;
                if overtaken(&job, put.settled, put.next) {
                    return Err(Rejection::Stale);
                }
                self.replace_job(&job, put)
            }
            None => self.create_job(put),
        }
    }

    fn create_job(&mut self, put: &PutJob) -> Answer {
        if self.s.jobs.len() >= limits::JOBS_MAX {
            return Err(Rejection::Limit { what: "jobs".into(), most: limits::JOBS_MAX as u64 });
        }
        self.s.counters.job_no += 1;
        let no = self.s.counters.job_no;
        let live = Live { join_mark: self.s.counters.success, ..Live::default() };
        let job = Job {
            no,
            uid: JobUid::new(self.at, no),
            version: 1,
            spec: put.spec.clone(),
            // Not log time: `@every` counts from here, and `put.next` was computed from it.
            created_at: self.command.at,
            updated_at: self.dated(None),
            live,
        };
        self.s.names.insert(put.spec.name.clone(), no);
        self.s.jobs.insert(no, Arc::new(job));
        self.link(no, &put.spec.name);
        self.set_next(no, put.next);
        self.record_version(no, put);
        self.event("job.created", Some(&put.spec.name), None);
        self.audit("job.create", put.spec.name.as_str(), difference(None, Some(&put.spec)));
        self.beats_of(no);
        Ok(Reply::Job { no, version: 1, created: true, changed: true })
    }

    fn replace_job(&mut self, job: &Job, put: &PutJob) -> Answer {
        let no = job.no;
        let at = match self.dated(Some(job)) {
            at if self.s.format() >= FORMAT_OF_PAST && keeps_times(job, &put.spec) => {
                at.max(job.updated_at)
            }
            at => at,
        };
        self.settle(job, put.settled);
        self.unlink(no);
        let spec = put.spec.clone();
        self.edit_job(no, |job| {
            job.spec = spec;
            job.version += 1;
            job.updated_at = at;
        });
        self.link(no, &put.spec.name);
        // A fire since the edit was prepared may have been the last one allowed.
        let over = put.spec.max_runs.is_some_and(|most| job.live.fired >= most);
        self.set_next(no, put.next.filter(|_| !over));
        self.record_version(no, put);
        let kind = format!("job.{}d", put.verb);
        self.event(&kind, Some(&put.spec.name), None);
        let action = format!("job.{}", put.verb);
        let change = difference(Some(&job.spec), Some(&put.spec));
        self.audit(&action, put.spec.name.as_str(), change);
        self.own_rule_changed(no);
        self.beats_of(no);
        self.release(no);
        Ok(Reply::Job { no, version: job.version + 1, created: false, changed: true })
    }

    pub(super) fn delete_job(
        &mut self,
        no: JobNo,
        based_on: u64,
        pinned: bool,
        settled: Option<Range>,
    ) -> Answer {
        let job = self.job(no).ok_or_else(|| Rejection::no_job(format!("number {no}")))?;
        if job.version != based_on {
            return Err(if pinned {
                Rejection::VersionConflict { expected: based_on, actual: job.version }
            } else {
                Rejection::Stale
            });
        }
        self.none_ahead(no)?;
        if overtaken(&job, settled, None) {
            return Err(Rejection::Stale);
        }
        let dated = self.dated(Some(&job));
        self.settle(&job, settled);
        self.cancel_backfills_of(no);
        let open: Vec<_> = self.s.open_of(no).map(|run| run.run.id).collect();
        for id in open {
            self.edit_run(id, |run| run.orphan = true);
            self.stop_run(id, "the job was deleted");
        }
        self.job_leaves_incidents(no);
        self.unlink(no);
        self.set_next(no, None);
        self.s.names.remove(&job.spec.name);
        let last = self.s.jobs.remove(&no).unwrap_or(job.clone());
        self.beats_of(no);
        if self.s.format() < FORMAT_OF_PAST {
            self.s.deleted.insert(no);
        } else {
            let by = self.who();
            for forgotten in self.s.graves.bury(&last, dated, by) {
                self.s.deleted.insert(forgotten);
            }
        }
        self.event("job.deleted", Some(&job.spec.name), None);
        self.audit("job.delete", job.spec.name.as_str(), difference(Some(&job.spec), None));
        Ok(Reply::Done)
    }

    /// Puts the next nominal time in force. Of a paused job it is kept as the first of the
    /// range that pausing skips.
    pub(super) fn set_next(&mut self, no: JobNo, next: Option<Next>) {
        let Some(job) = self.job(no) else { return };
        if let Some(old) = job.live.next {
            self.s.due.remove(&(old.due, no));
        }
        // Never at or before what was decided: see `Live::decided`.
        let next = next.filter(|next| next.nominal > job.live.decided);
        let enabled = job.spec.enabled.0;
        if let (true, Some(next)) = (enabled, next) {
            self.s.due.insert((next.due, no));
        }
        self.edit_job(no, |job| {
            job.live.next = next.filter(|_| enabled);
            job.live.paused_from = next.filter(|_| !enabled).map(|next| next.nominal);
        });
    }

    /// Records the nominal times that the definition before left undecided.
    fn settle(&mut self, job: &Job, settled: Option<Range>) {
        if let Some(range) = settled {
            self.record_range(job.no, &job.spec.name, job.version, range);
            let last = Timestamp::from_micros(range.until.micros() - 1);
            self.edit_job(job.no, |job| job.live.decided = job.live.decided.max(last));
        }
    }

    /// The instant of an edit: up to it the times of the definition before count, from it on those
    /// of the new one. That is the look at the clock that the next time was computed from, or the
    /// last time that was decided since, if that is later. Log time may have gone on further.
    fn dated(&self, before: Option<&Job>) -> Timestamp {
        if self.s.format() < FORMAT_OF_PAST {
            return self.at;
        }
        // Nominal times are whole seconds: a range that was settled to the end of one holds no
        // other, and does not put the edit off.
        let decided = before.map_or(0, |job| job.live.decided.secs());
        self.command.at.max(Timestamp::from_secs(decided))
    }

    fn record_version(&mut self, no: JobNo, put: &PutJob) {
        let Some(job) = self.job(no) else { return };
        let (by, verb, at) = (self.who(), put.verb.clone(), job.updated_at);
        let (version, spec) = (job.version, job.spec.clone());
        let exact = self.s.format() >= FORMAT_OF_PAST;
        let row = VersionRow { version, at, by, verb, spec, exact };
        self.out.put(version_key(no, job.version), &row);
    }

    fn link(&mut self, no: JobNo, name: &Name) {
        let Some(job) = self.job(no) else { return };
        debug_assert_eq!(&job.spec.name, name);
        if job.spec.is_workflow() && !self.s.task_numbers.of_job.contains_key(&no) {
            self.s.counters.job_no += 1;
            let tasks = self.s.counters.job_no;
            self.s.task_numbers.of_job.insert(no, tasks);
            self.s.task_numbers.jobs.insert(tasks, no);
        }
        for (field, _, target) in job.spec.references() {
            self.s.references.insert((target.clone(), field == "dependencies", no));
        }
        for channel in job.spec.notify.iter().flat_map(|notify| &notify.channels) {
            self.s.alerts.naming.insert((channel.clone(), no));
        }
    }

    fn unlink(&mut self, no: JobNo) {
        let Some(job) = self.job(no) else { return };
        for (field, _, target) in job.spec.references() {
            self.s.references.remove(&(target.clone(), field == "dependencies", no));
        }
        for channel in job.spec.notify.iter().flat_map(|notify| &notify.channels) {
            self.s.alerts.naming.remove(&(channel.clone(), no));
        }
    }

    /// Stops a run for a reason other than its own end: at once when no node has it,
    /// else by asking its node.
    pub(super) fn stop_run(&mut self, id: crate::model::RunId, why: &str) {
        let Some(open) = self.s.runs.get(&id).cloned() else { return };
        if self.s.flows.contains_key(&id) {
            self.stop_flow(id, why);
        } else if open.held().is_some() {
            self.edit_run(id, |run| {
                run.cancel = true;
                run.run.cancelled_by.get_or_insert(why.to_string());
            });
            let status = open.run.status;
            self.event_because(
                "run.cancelling",
                Some(&open.run.job),
                Some((id, status)),
                Some(why),
            );
        } else {
            self.edit_run(id, |run| {
                run.run.cancelled_by.get_or_insert(why.to_string());
            });
            self.close(id, RunStatus::Cancelled, Some(why.to_string()));
        }
    }
}

/// Whether nominal times were decided since the edit was prepared that it settles or has as
/// its next one. A fire does not change the version, so this is checked beside it: else a
/// time would have two outcomes, or the schedule would end for want of a next time.
fn overtaken(job: &Job, settled: Option<Range>, next: Option<Next>) -> bool {
    let decided = job.live.decided;
    settled.is_some_and(|range| range.from <= decided)
        || next.is_some_and(|next| next.nominal <= decided)
}

/// Whether the times go on as the definition before has them, though a clock that is behind
/// the one that dated it says that it is earlier.
fn keeps_times(job: &Job, spec: &JobSpec) -> bool {
    let begun = job.live.next.is_some() || job.live.paused_from.is_some();
    let pausing = job.spec.enabled.0;
    begun && job.spec.same_schedule(spec) && (pausing || job.spec.enabled == spec.enabled)
}
