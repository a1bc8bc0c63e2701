//! One job: its definition, its ledger and its runs, read side by side from the newest on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::{BackfillId, LedgerRow, Run, RunId, Span, Timestamp, Trigger};

use super::super::exit::{Code, Failure};
use super::Audit;
use super::answers::{Job, TaskOfDefinition, Version};
use super::lanes;
use super::pages::Pages;
use super::queues;
use super::replicas::Copy;
use super::report::{Findings, rule};
use super::rows::Rows;
use super::runs::{self, Gone};
use super::tasks;
use super::timeline::Timeline;

/// How often a definition is read again because it changed meanwhile.
const READ_AGAIN: usize = 10;
/// What is this new may not be in every answer yet.
const FRESH: Span = Span::from_secs(2);
/// A time that is due for this long must have been decided.
const DECIDED_WITHIN: Span = Span::from_secs(60);

/// Between the two looks at a job: what changed while it was read is as it should be by then.
const SECOND_LOOK: Duration = Duration::from_secs(1);

/// What is wrong with a job, seen twice.
pub(super) async fn look(
    audit: &Audit,
    name: String,
    others: &[usize],
) -> Result<Findings, Failure> {
    let first = Case::read(audit, &name, others).await?;
    if first.is_sound() {
        return Ok(first);
    }
    tokio::time::sleep(SECOND_LOOK).await;
    Ok(Case::read(audit, &name, others).await?.seen_before(&first))
}

/// A job that is being checked.
struct Case<'a> {
    audit: &'a Audit,
    job: Job,
    timeline: Timeline,
    /// Nominal times from here on,
    floor: Timestamp,
    /// up to, not including, this.
    cut: Timestamp,
    open: BTreeMap<RunId, Run>,
    /// What backfills ran: the backfill and the time.
    backfilled: BTreeMap<(BackfillId, Timestamp), RunId>,
    /// The queue of each version, and of each of its tasks.
    queues: BTreeMap<(u64, Option<String>), String>,
    /// Versions whose runs may start as soon as they are there and a slot is free.
    alone: BTreeSet<u64>,
    /// Closed runs of a workflow, the newest first.
    flows: Vec<RunId>,
    gone: Gone,
    found: Findings,
}

impl<'a> Case<'a> {
    /// Reads a job and everything about it.
    async fn read(audit: &'a Audit, name: &str, others: &[usize]) -> Result<Findings, Failure> {
        let (job, versions) = definition(audit, name).await?;
        let queues = versions.iter().flat_map(queues_of).collect();
        let alone = versions.iter().filter(|it| lanes::stands_alone(&it.definition));
        let alone = alone.map(|it| it.version).collect();
        let timeline = Timeline::of(&job, versions);
        let now = audit.now();
        let until = Timestamp::from_micros(audit.wanted.until.micros() + 1);
        let decided = job.next_fire_at.unwrap_or(Timestamp::MAX);
        let mut found = Findings::of(name);
        for fault in &timeline.faults {
            found.unchecked.push(format!("its schedule can't be read: {fault}"));
        }
        let late = decided.plus(job.jitter).plus(DECIDED_WITHIN);
        if late < now && decided < until {
            let secs = now.since(decided.plus(job.jitter)).secs();
            found.add(rule::OVERDUE, format!("{decided} is not decided, and is {secs} s late"));
        }
        let floor = audit.wanted.since.max(timeline.complete_from(now));
        // A deleted job has outcomes up to its end, and is asked for by its uid.
        let end = job.deleted_at.unwrap_or(Timestamp::MAX);
        let cut = until.min(decided).min(now.minus(FRESH)).min(end);
        if cut <= floor {
            return Ok(found);
        }
        let gone = Gone::new(timeline.least_kept());
        let open = BTreeMap::new();
        let backfilled = BTreeMap::new();
        let mut case = Case {
            audit,
            job,
            timeline,
            floor,
            cut,
            open,
            backfilled,
            queues,
            alone,
            flows: Vec::new(),
            gone,
            found,
        };
        case.walk().await?;
        case.tasks().await?;
        let open: BTreeSet<RunId> = case.open.keys().copied().collect();
        let Case { floor, cut, mut found, .. } = case;
        for other in others {
            let copy = Copy { audit, name, floor, cut, open: &open };
            copy.compare(*other, &mut found).await?;
        }
        Ok(found)
    }

    async fn walk(&mut self) -> Result<(), Failure> {
        let name = match self.job.deleted_at {
            Some(_) => self.job.uid.to_string(),
            None => self.job.name.clone(),
        };
        let (client, floor) = (&self.audit.client, self.floor);
        let query = format!("/jobs/{name}/runs?limit=200&status=waiting,queued,assigned,running");
        // First: what closes meanwhile is then in both lists, and not in neither.
        let mut runs: Pages<'_, Run> = Pages::new(client, 0, &query);
        while let Some(run) = runs.next().await? {
            let run = slim(run);
            self.judge(&run);
            self.open.insert(run.id, run);
        }
        let query = format!(
            "/jobs/{name}/runs?limit=200&after={floor}\
             &status=succeeded,failed,timed_out,cancelled,lost,skipped"
        );
        let mut closed: Pages<'_, Run> = Pages::new(client, 0, &query);
        let last = Timestamp::from_micros(self.cut.micros() - 1);
        let query = format!("/jobs/{name}/ledger?limit=1000&from={floor}&to={last}");
        let mut ledger: Pages<'_, LedgerRow> = Pages::new(client, 0, &query);
        let goes_on = self.job.next_fire_at.map(|_| self.job.version);
        // Apart from the case, which judges runs meanwhile.
        let timeline = std::mem::take(&mut self.timeline);
        let mut rows = Rows::new(&timeline, floor, self.cut, goes_on);
        while let Some(page) = ledger.page().await? {
            rows.judge(&page, ledger.is_over(), &mut self.found);
            for row in page.iter().filter(|row| row.run_id.is_some()) {
                self.run_of(row, &mut closed).await?;
            }
        }
        if rows.unknown > 0 {
            let text = format!("{} rows of versions that are not kept", rows.unknown);
            self.found.unchecked.push(text);
        }
        while let Some(run) = closed.next().await? {
            self.unmatched(&run);
        }
        Ok(())
    }

    /// Finds the run of a row, past the runs that are newer.
    async fn run_of(
        &mut self,
        row: &LedgerRow,
        closed: &mut Pages<'_, Run>,
    ) -> Result<(), Failure> {
        let Some(id) = row.run_id else { return Ok(()) };
        if let Some(run) = self.open.get(&id) {
            runs::fits(&self.job, row, run, &mut self.found);
            return Ok(());
        }
        while closed.peek().await?.is_some_and(|run| run.id > id) {
            if let Some(run) = closed.next().await? {
                self.unmatched(&run);
            }
        }
        if closed.peek().await?.is_none_or(|run| run.id != id) {
            self.gone.row(row, &mut self.found);
        } else if let Some(run) = closed.next().await? {
            self.gone.kept(&run, &mut self.found);
            self.judge(&run);
            runs::fits(&self.job, row, &run, &mut self.found);
        }
        Ok(())
    }

    /// A closed run that no row named.
    fn unmatched(&mut self, run: &Run) {
        self.gone.kept(run, &mut self.found);
        if self.open.contains_key(&run.id) {
            return;
        }
        match run.nominal_time.filter(|_| run.trigger == Trigger::Schedule) {
            Some(at) if at < self.floor || at >= self.cut => return,
            Some(at) => {
                let text = format!("run {} of {at} is not what the ledger tells of it", run.id);
                self.found.add(rule::RUN_OF_ROW, text);
            }
            None if run.fired_at >= self.audit.wanted.until => return,
            None => {}
        }
        self.judge(run);
    }

    fn judge(&mut self, run: &Run) {
        self.judge_backfill(run);
        if run.tasks.is_some() && run.status.is_terminal() {
            self.flows.push(run.id);
        }
        let task = run.task.as_ref().map(|of| of.name.to_string());
        // A run of this job that is a task of a workflow waits in the queue of the job.
        let queue = self.queues.get(&(run.version, task));
        if let Some(queue) = queue.or_else(|| self.queues.get(&(run.version, None))) {
            self.found.queued.extend(queues::starts(run, queue, self.audit.wanted.skew));
        }
        if self.alone.contains(&run.version) {
            self.found.waits.extend(lanes::wait(run));
        }
        if run.backfill.is_some() {
            let starts = run.attempts.iter().map(|attempt| (attempt.assigned_at, run.id));
            self.found.past.extend(starts);
        }
        runs::judge(run, self.audit.wanted.skew, &mut self.found);
    }

    /// The tasks of a workflow's runs.
    async fn tasks(&mut self) -> Result<(), Failure> {
        let flows = std::mem::take(&mut self.flows);
        if flows.len() > tasks::FLOWS_MAX {
            let more = flows.len() - tasks::FLOWS_MAX;
            self.found.unchecked.push(format!("the tasks of {more} older runs"));
        }
        for id in flows.into_iter().take(tasks::FLOWS_MAX) {
            match tasks::look(self.audit, id, &mut self.found).await {
                Ok(own) => own.into_iter().map(slim).for_each(|run| self.judge(&run)),
                // Retention took it meanwhile.
                Err(failure) if failure.code == Code::NotFound => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }
}

/// The queues that the runs of a version wait in: of a workflow, its tasks'.
fn queues_of(version: &Version) -> Vec<((u64, Option<String>), String)> {
    let Version { version, definition, .. } = version;
    let own = definition.queue.clone();
    let of = |task: &TaskOfDefinition| {
        let queue = task.queue.clone().or_else(|| own.clone())?;
        Some(((*version, Some(task.name.clone())), queue))
    };
    let tasks: Vec<_> = definition.tasks.iter().filter_map(of).collect();
    if !definition.tasks.is_empty() {
        return tasks;
    }
    own.into_iter().map(|queue| ((*version, None), queue)).collect()
}

/// A run of a backfill names its time, and no other run of that backfill does.
impl Case<'_> {
    fn judge_backfill(&mut self, run: &Run) {
        let of_one = run.trigger == Trigger::Backfill;
        let (id, at) = match (of_one, run.backfill, run.nominal_time) {
            (false, None, _) => return,
            (true, Some(id), Some(at)) => (id, at),
            _ => {
                let text = format!("run {} does not say for which backfill and time it is", run.id);
                return self.found.add(rule::BACKFILLED_ONCE, text);
            }
        };
        let first = *self.backfilled.entry((id, at)).or_insert(run.id);
        if first != run.id {
            let text = format!("backfill {id} ran {at} twice: {first} and {}", run.id);
            self.found.add(rule::BACKFILLED_ONCE, text);
        }
    }
}

/// A job and its versions, of one moment.
async fn definition(audit: &Audit, name: &str) -> Result<(Job, Vec<Version>), Failure> {
    for _ in 0..READ_AGAIN {
        let job: Job = audit.client.get(0, &format!("/jobs/{name}")).await?;
        let query = format!("/jobs/{name}/versions?limit=100");
        let versions = Pages::<Version>::new(&audit.client, 0, &query).all().await?;
        if versions.iter().map(|version| version.version).max() == Some(job.version) {
            return Ok((job, versions));
        }
    }
    let text = format!("job {name} has no history of its present version");
    Err(Failure::new(Code::Unavailable, text))
}

/// Without what is not looked at.
fn slim(mut run: Run) -> Run {
    run.result = None;
    run.parameters = crate::model::Parameters::default();
    run
}
