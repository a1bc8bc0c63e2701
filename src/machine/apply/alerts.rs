//! Troubles of jobs become incidents, and incidents notices, in the entry that has the trouble: an
//! event without its notice can't be. `outbox.rs` has what becomes of a notice after.
//!
//! A trouble opens an incident of each rule that tells of it, or counts on the one that is open. An
//! incident is over once every job in it has succeeded, or is gone. What has not happened by a time
//! (`watch`) is looked at again here: the leader only says that the time has come.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use crate::machine::history::{IncidentRow, incident_key};
use crate::machine::reply::{Answer, Rejection, Reply};
use crate::machine::state::{FORMAT_OF_ALERTS, Incident, IncidentKey, WatchKey};
use crate::model::alert::ON_DEFAULT;
use crate::model::kind::rule::{GroupBy, RuleSpec};
use crate::model::{
    Facts, JobNo, Kind, Name, NoticeKind, Notify, Run, RunId, RunStatus, SkipReason, Span, Spec,
    Timestamp, Trouble, limits,
};

use super::Cx;
use super::outbox::Put;

/// What has trouble: a job, or a monitor.
pub(super) struct Subject<'a> {
    pub no: JobNo,
    pub name: &'a Name,
    pub tags: &'a [String],
    /// What it tells by itself of what it has.
    pub own: Option<&'a Notify>,
}

/// What is well again.
struct Well<'a> {
    what: Trouble,
    name: &'a Name,
    no: JobNo,
    run: Option<(RunId, RunStatus)>,
}

/// What a rule says that has to do with its incidents.
struct Terms {
    key: IncidentKey,
    channels: Vec<Name>,
    tells_end: bool,
    min_failures: u64,
    group_wait: Span,
    repeat: Option<Span>,
}

impl Terms {
    /// Of the own rule of a job, or of a monitor.
    fn own(no: JobNo, notify: &Notify, what: Trouble) -> Self {
        let on = if notify.on.is_empty() { ON_DEFAULT } else { &notify.on };
        Terms {
            key: IncidentKey { rule: None, job: Some(no) },
            channels: notify.channels.clone(),
            tells_end: on.contains(&end_of(what)),
            min_failures: notify.min_failures.unwrap_or(1).into(),
            group_wait: Span::ZERO,
            repeat: None,
        }
    }

    fn of(no: JobNo, rule: &RuleSpec, what: Trouble) -> Self {
        let alone = rule.group_by.unwrap_or_default() == GroupBy::Job;
        Terms {
            key: IncidentKey { rule: Some(rule.name.clone()), job: alone.then_some(no) },
            channels: rule.channels.clone(),
            tells_end: rule.on().contains(&end_of(what)),
            min_failures: rule.min_failures.unwrap_or(1).into(),
            group_wait: rule.group_wait.unwrap_or(Span::ZERO),
            repeat: rule.repeat,
        }
    }
}

/// How the end of a trouble is called.
fn end_of(what: Trouble) -> Trouble {
    if what.is_of_monitors() { Trouble::MonitorUp } else { Trouble::Recovered }
}

/// A trouble, as it came.
pub(super) struct Came<'a> {
    pub what: Trouble,
    pub run: Option<(RunId, RunStatus)>,
    pub detail: Option<&'a str>,
    pub times: u64,
}

impl Cx<'_> {
    /// What the end of a run means for alerts.
    pub(super) fn judge_end(&mut self, run: &Run) {
        let at = Some((run.id, run.status));
        let why = run.error.as_deref().or(run.reason.as_deref());
        match run.status {
            RunStatus::Succeeded => self.well(run),
            RunStatus::Failed | RunStatus::TimedOut | RunStatus::Lost => {
                let what = Trouble::Failed;
                self.trouble(run.id.job_no(), &Came { what, run: at, detail: why, times: 1 });
            }
            RunStatus::Skipped => {
                if let Some(reason) = run.skip {
                    self.trouble_skipped(run.id.job_no(), reason, 1, at);
                }
            }
            _ => {}
        }
    }

    /// Times that have no run, or a run that was not started.
    pub(super) fn trouble_skipped(
        &mut self,
        no: JobNo,
        reason: SkipReason,
        times: u32,
        run: Option<(RunId, RunStatus)>,
    ) {
        let what = match reason {
            SkipReason::WindowPassed | SkipReason::Misfire | SkipReason::Limit => Trouble::Missed,
            SkipReason::Overlap
            | SkipReason::DependenciesUnmet
            | SkipReason::QueueFull
            | SkipReason::ParametersRefused => Trouble::Skipped,
            // Meant so, or not known.
            SkipReason::Paused | SkipReason::Calendar | SkipReason::Restored => return,
            // Of tasks: the run of their workflow tells of it.
            SkipReason::Upstream | SkipReason::Condition => return,
        };
        let (detail, times) = (Some(reason.as_str()), times.into());
        self.trouble(no, &Came { what, run, detail, times });
    }

    pub(super) fn trouble(&mut self, no: JobNo, came: &Came<'_>) {
        if self.s.format() < FORMAT_OF_ALERTS {
            return;
        }
        // A job that is gone has nobody whom it concerns.
        let Some(job) = self.job(no) else { return };
        let (name, tags) = (&job.spec.name, &job.spec.tags);
        let own = job.spec.notify.as_deref().filter(|notify| {
            let on = if notify.on.is_empty() { ON_DEFAULT } else { &notify.on };
            on.contains(&came.what)
        });
        self.tell(&Subject { no, name, tags, own }, came);
    }

    /// Raises a trouble for whoever is to be told of it.
    pub(super) fn tell(&mut self, subject: &Subject<'_>, came: &Came<'_>) {
        let no = subject.no;
        let mut terms: Vec<Terms> =
            subject.own.map(|notify| Terms::own(no, notify, came.what)).into_iter().collect();
        for (_, defined) in self.s.definitions.of(Kind::Rule) {
            if let Spec::Rule(rule) = &defined.spec
                && rule.tells(came.what, subject.name.as_str(), subject.tags)
            {
                terms.push(Terms::of(no, rule, came.what));
            }
        }
        for terms in terms {
            self.raise(&terms, subject, came);
        }
    }

    /// Counts a trouble on the incident of a rule, and opens it when it is time.
    fn raise(&mut self, terms: &Terms, subject: &Subject<'_>, came: &Came<'_>) {
        let before = self.s.alerts.incidents.get(&terms.key).cloned();
        if before.is_none() && self.s.alerts.incidents.len() >= limits::INCIDENTS_MAX {
            self.s.alerts.left_out += 1;
            return;
        }
        let mut incident = match before {
            Some(before) => (*before).clone(),
            None => self.begun_with(terms, subject, came),
        };
        incident.last_at = self.at;
        if came.what == Trouble::Failed {
            incident.failures += came.times;
        }
        let (no, name) = (subject.no, subject.name);
        let known = incident.jobs.contains_key(&no);
        if known || incident.jobs.len() < limits::INCIDENT_JOBS_MAX {
            incident.jobs.insert(no, name.clone());
            self.s.alerts.by_job.insert((no, terms.key.clone()));
        }
        let facts = &mut incident.facts;
        (facts.trouble, facts.job, facts.job_no) = (came.what, name.clone(), no);
        facts.run = came.run.map(|(id, _)| id);
        facts.status = came.run.map(|(_, status)| status);
        facts.detail = came.detail.map(short);
        facts.troubles += came.times;
        facts.jobs = incident.jobs.len() as u32;
        let opens = came.what != Trouble::Failed || incident.failures >= terms.min_failures;
        if incident.id != 0 {
            self.keep_first_up_to_date(&incident);
        } else if opens {
            self.open(terms, &mut incident);
        }
        self.s.alerts.incidents.insert(terms.key.clone(), Arc::new(incident));
    }

    fn begun_with(&self, terms: &Terms, subject: &Subject<'_>, came: &Came<'_>) -> Incident {
        let facts = Facts {
            kind: NoticeKind::Opened,
            incident: 0,
            rule: terms.key.rule.clone(),
            trouble: came.what,
            job: subject.name.clone(),
            job_no: subject.no,
            run: None,
            status: None,
            detail: None,
            since: self.at,
            troubles: 0,
            jobs: 0,
            left_out: 0,
        };
        Incident {
            id: 0,
            since: self.at,
            opened_at: None,
            last_at: self.at,
            failures: 0,
            facts,
            jobs: BTreeMap::new(),
            acknowledged: None,
            channels: Vec::new(),
            tells_end: false,
            first: Vec::new(),
            muted: Vec::new(),
            repeat_at: None,
        }
    }

    fn open(&mut self, terms: &Terms, incident: &mut Incident) {
        self.s.alerts.last += 1;
        incident.id = self.s.alerts.last;
        incident.facts.incident = incident.id;
        incident.opened_at = Some(self.at);
        incident.channels.clone_from(&terms.channels);
        incident.tells_end = terms.tells_end;
        self.s.alerts.by_id.insert(incident.id, terms.key.clone());
        let not_before = self.at.plus(terms.group_wait);
        for channel in &terms.channels {
            match self.put_notice(channel, incident.facts.clone(), not_before) {
                Put::Waits(seq) => incident.first.push((channel.clone(), seq)),
                Put::Muted => incident.muted.push(channel.clone()),
                Put::LeftOut => {}
            }
        }
        if let Some(repeat) = terms.repeat {
            self.repeat_at(incident, Some(not_before.plus(repeat)));
        }
        let told = told(incident);
        self.event_because("incident.opened", Some(&incident.facts.job), None, Some(&told));
    }

    fn repeat_at(&mut self, incident: &mut Incident, at: Option<Timestamp>) {
        let key = WatchKey::Repeat(incident.id);
        if let Some(before) = incident.repeat_at {
            self.s.watch.remove(&(before, key));
        }
        incident.repeat_at = at;
        self.s.watch.extend(at.map(|at| (at, key)));
    }

    /// A job has succeeded: it has no trouble any more.
    fn well(&mut self, run: &Run) {
        let (no, at) = (run.id.job_no(), Some((run.id, run.status)));
        let well = Well { what: Trouble::Recovered, name: &run.job, no, run: at };
        self.leave_incidents(no, Some(&well), None);
    }

    /// A monitor is up again.
    pub(super) fn monitor_well(&mut self, no: JobNo, name: &Name) {
        let well = Well { what: Trouble::MonitorUp, name, no, run: None };
        self.leave_incidents(no, Some(&well), None);
    }

    /// A job is gone: its incidents are over, or go on without it.
    pub(super) fn job_leaves_incidents(&mut self, no: JobNo) {
        self.leaves_incidents(no, "its job was deleted");
    }

    /// A job or a monitor is gone, or not looked at.
    pub(super) fn leaves_incidents(&mut self, no: JobNo, why: &str) {
        self.leave_incidents(no, None, Some(why));
    }

    fn leave_incidents(&mut self, no: JobNo, well: Option<&Well<'_>>, removed: Option<&str>) {
        let keys: Vec<IncidentKey> = self.s.alerts.of_job(no).cloned().collect();
        for key in keys {
            self.s.alerts.by_job.remove(&(no, key.clone()));
            let Some(incident) = self.s.alerts.incidents.get_mut(&key) else { continue };
            let incident = Arc::make_mut(incident);
            incident.jobs.remove(&no);
            incident.facts.jobs = incident.jobs.len() as u32;
            if incident.jobs.is_empty() {
                self.end_incident(&key, well, removed);
            }
        }
    }

    /// A rule is gone, or a job's own: nobody is told of the end of its incidents.
    pub(super) fn rule_removed(&mut self, rule: &Name) {
        let keys: Vec<IncidentKey> = self.s.alerts.of_rule(rule).cloned().collect();
        for key in keys {
            self.end_incident(&key, None, Some("its rule was deleted"));
        }
    }

    /// A job has another definition. Without a rule of its own, what that told is over.
    pub(super) fn own_rule_changed(&mut self, no: JobNo) {
        let has = self.job(no).is_some_and(|job| job.spec.notify.is_some());
        if !has {
            self.own_rule_gone(no, "its job does not tell of itself any more");
        }
    }

    /// What it told of itself is over.
    pub(super) fn own_rule_gone(&mut self, no: JobNo, why: &str) {
        let key = IncidentKey { rule: None, job: Some(no) };
        if self.s.alerts.incidents.contains_key(&key) {
            self.end_incident(&key, None, Some(why));
        }
    }

    /// `well` is what ends it; `removed` says why it ends otherwise.
    fn end_incident(&mut self, key: &IncidentKey, well: Option<&Well<'_>>, removed: Option<&str>) {
        let Some(incident) = self.s.alerts.incidents.remove(key) else { return };
        let mut incident = Arc::unwrap_or_clone(incident);
        for no in incident.jobs.keys() {
            self.s.alerts.by_job.remove(&(*no, key.clone()));
        }
        // What was never told is over without a word.
        if incident.id == 0 {
            return;
        }
        self.s.alerts.by_id.remove(&incident.id);
        self.repeat_at(&mut incident, None);
        if let Some(well) = well.filter(|_| incident.tells_end) {
            let facts = Facts {
                kind: NoticeKind::Resolved,
                trouble: well.what,
                job: well.name.clone(),
                job_no: well.no,
                run: well.run.map(|(id, _)| id),
                status: well.run.map(|(_, status)| status),
                detail: None,
                ..incident.facts.clone()
            };
            for channel in incident.channels.clone() {
                if incident.muted.contains(&channel) {
                    let why = "its beginning was not told: a window was open";
                    self.keep_muted(&channel, facts.clone(), None, why);
                    continue;
                }
                // Not before its beginning is told.
                let first = incident.first.iter().find(|(of, _)| *of == channel);
                let first = first.and_then(|first| self.s.outbox.waiting.get(first));
                let not_before = first.map_or(self.at, |first| first.not_before.max(self.at));
                self.put_notice(&channel, facts.clone(), not_before);
            }
        }
        let (at, removed) = (self.at, removed.map(str::to_owned));
        self.s.alerts.kept += 1;
        let told = told(&incident);
        let job = incident.facts.job.clone();
        let row = IncidentRow { key: key.clone(), incident, at, removed };
        self.out.put(incident_key(row.incident.id), &row);
        self.event_because("incident.resolved", Some(&job), None, Some(&told));
    }

    pub(super) fn acknowledge(&mut self, id: u64) -> Answer {
        let (key, incident) = self.s.alerts.open(id).ok_or_else(|| no_incident(id))?;
        let (key, mut incident) = (key.clone(), (**incident).clone());
        if incident.acknowledged.is_some() {
            return Ok(Reply::Done);
        }
        incident.acknowledged = Some((self.who(), self.at));
        self.repeat_at(&mut incident, None);
        let told = told(&incident);
        let job = incident.facts.job.clone();
        self.s.alerts.incidents.insert(key, Arc::new(incident));
        self.event_because("incident.acknowledged", Some(&job), None, Some(&told));
        self.audit("incident.acknowledge", &id.to_string(), json!({ "job": job }));
        Ok(Reply::Done)
    }

    /// A time has come by which something should have happened.
    pub(super) fn watch(&mut self, at: Timestamp, key: WatchKey) -> Answer {
        if at > self.at || !self.s.watch.contains(&(at, key)) {
            return Err(Rejection::Stale);
        }
        match key {
            WatchKey::Late(id) => self.look_if_begun(id),
            WatchKey::Long(id) => self.look_if_ended(id),
            WatchKey::Repeat(id) => self.remind(id),
            WatchKey::Monitor(no) => self.look_at_monitor(no),
        }
        Ok(Reply::Done)
    }

    fn remind(&mut self, id: u64) {
        let Some((key, incident)) = self.s.alerts.open(id) else { return };
        let (key, mut incident) = (key.clone(), (**incident).clone());
        let repeat = key.rule.as_ref().and_then(|rule| {
            match self.s.definitions.get(Kind::Rule, rule.as_str()).map(|d| &d.spec) {
                Some(Spec::Rule(rule)) => rule.repeat,
                _ => None,
            }
        });
        if repeat.is_some() {
            let facts = Facts { kind: NoticeKind::Reminder, ..incident.facts.clone() };
            for channel in incident.channels.clone() {
                if self.put_notice(&channel, facts.clone(), self.at) != Put::Muted {
                    incident.muted.retain(|muted| *muted != channel);
                }
            }
        }
        let next = repeat.map(|repeat| self.at.plus(repeat));
        self.repeat_at(&mut incident, next);
        self.s.alerts.incidents.insert(key, Arc::new(incident));
    }
}

fn told(incident: &Incident) -> String {
    format!("incident {}: {}", incident.id, incident.facts.trouble.as_str())
}

pub(super) fn no_incident(id: u64) -> Rejection {
    Rejection::NotFound { what: "open incident".into(), name: id.to_string() }
}

/// The beginning of a text, within the bytes that a notice has for it.
pub(super) fn short(text: &str) -> String {
    let mut end = text.len().min(limits::NOTICE_DETAIL_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
