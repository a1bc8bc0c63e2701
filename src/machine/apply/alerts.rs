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
    Facts, JobNo, Kind, Name, NoticeKind, Notify, Part, Run, RunId, RunStatus, SkipReason, Span,
    Spec, Timestamp, Trouble, limits,
};

use super::Cx;
use super::outbox::Put;

/// What has trouble: a job, a monitor, or a part of the cluster.
pub(super) struct Subject<'a> {
    /// 0: it is a part of the cluster.
    pub no: JobNo,
    pub part: Option<&'a Part>,
    pub name: &'a Name,
    pub tags: &'a [String],
    /// What it tells by itself of what it has.
    pub own: Option<&'a Notify>,
}

/// What is well again.
pub(super) struct Well<'a> {
    pub what: Trouble,
    pub name: &'a Name,
    pub no: JobNo,
    pub run: Option<(RunId, RunStatus)>,
}

/// What a rule says that has to do with its incidents.
pub(super) struct Terms {
    pub key: IncidentKey,
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
            key: IncidentKey { rule: None, job: Some(no), part: None },
            channels: notify.channels.clone(),
            tells_end: on.contains(&end_of(what)),
            min_failures: notify.min_failures.unwrap_or(1).into(),
            group_wait: Span::ZERO,
            repeat: None,
        }
    }

    fn of(subject: &Subject<'_>, rule: &RuleSpec, what: Trouble) -> Self {
        let alone = rule.group_by.unwrap_or_default() == GroupBy::Job;
        let job = (alone && subject.part.is_none()).then_some(subject.no);
        Terms {
            key: IncidentKey { rule: Some(rule.name.clone()), job, part: subject.part.cloned() },
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
            RunStatus::Succeeded => {
                self.beat(run);
                self.well(run);
            }
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
            | SkipReason::LockBusy
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
        self.tell(&Subject { no, part: None, name, tags, own }, came);
    }

    /// Raises a trouble for whoever is to be told of it.
    pub(super) fn tell(&mut self, subject: &Subject<'_>, came: &Came<'_>) {
        for terms in self.terms(subject, came) {
            self.raise(&terms, subject, came);
        }
        self.push_trouble(subject, came);
    }

    /// Whoever tells of it, and how.
    pub(super) fn terms(&self, subject: &Subject<'_>, came: &Came<'_>) -> Vec<Terms> {
        let no = subject.no;
        let mut terms: Vec<Terms> =
            subject.own.map(|notify| Terms::own(no, notify, came.what)).into_iter().collect();
        for (_, defined) in self.s.definitions.of(Kind::Rule) {
            let Spec::Rule(rule) = &defined.spec else { continue };
            let tells = match subject.part {
                Some(_) => rule.tells_of_cluster(came.what),
                None => rule.tells(came.what, subject.name.as_str(), subject.tags),
            };
            if tells {
                terms.push(Terms::of(subject, rule, came.what));
            }
        }
        terms
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
        if came.what == Trouble::Failed {
            incident.failures += came.times;
        }
        let (no, name) = (subject.no, subject.name);
        let known = incident.jobs.contains_key(&no);
        if let Some(part) = subject.part {
            self.s.alerts.by_part.insert((part.clone(), terms.key.clone()));
        } else if known || incident.jobs.len() < limits::INCIDENT_JOBS_MAX {
            incident.jobs.insert(no, name.clone());
            self.s.alerts.by_job.insert((no, terms.key.clone()));
        }
        self.newest(&mut incident, subject, came);
        let opens = came.what != Trouble::Failed || incident.failures >= terms.min_failures;
        if incident.id != 0 {
            self.keep_first_up_to_date(&incident);
        } else if opens {
            self.open(terms, &mut incident);
        }
        self.s.alerts.incidents.insert(terms.key.clone(), Arc::new(incident));
    }

    /// The newest of an incident.
    pub(super) fn newest(&self, incident: &mut Incident, subject: &Subject<'_>, came: &Came<'_>) {
        incident.last_at = self.at;
        let facts = &mut incident.facts;
        (facts.trouble, facts.job, facts.job_no) = (came.what, subject.name.clone(), subject.no);
        facts.run = came.run.map(|(id, _)| id);
        facts.status = came.run.map(|(_, status)| status);
        facts.detail = came.detail.map(short);
        facts.troubles += came.times;
        facts.jobs = incident.jobs.len() as u32;
    }

    pub(super) fn begun_with(
        &self,
        terms: &Terms,
        subject: &Subject<'_>,
        came: &Came<'_>,
    ) -> Incident {
        let facts = first_facts(terms.key.rule.clone(), subject, came, self.at);
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
        let first = self.tell_first(terms, incident);
        self.s.alerts.by_id.insert(incident.id, terms.key.clone());
        if let Some(repeat) = terms.repeat {
            self.repeat_at(incident, Some(first.plus(repeat)));
        }
    }

    /// An incident gets its number, and its first notices, which go out from the time that this
    /// gives.
    pub(super) fn tell_first(&mut self, terms: &Terms, incident: &mut Incident) -> Timestamp {
        self.s.alerts.last += 1;
        incident.id = self.s.alerts.last;
        incident.facts.incident = incident.id;
        incident.opened_at = Some(self.at);
        incident.channels.clone_from(&terms.channels);
        incident.tells_end = terms.tells_end;
        let not_before = self.at.plus(terms.group_wait);
        for channel in &terms.channels {
            match self.put_notice(channel, incident.facts.clone(), not_before) {
                Put::Waits(seq) => incident.first.push((channel.clone(), seq)),
                Put::Muted => incident.muted.push(channel.clone()),
                Put::LeftOut => {}
            }
        }
        let told = told(incident);
        self.event_because("incident.opened", incident.facts.of_work(), None, Some(&told));
        not_before
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
        self.push_over((no, None), well);
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
        let key = IncidentKey { rule: None, job: Some(no), part: None };
        if self.s.alerts.incidents.contains_key(&key) {
            self.end_incident(&key, None, Some(why));
        }
    }

    /// `well` is what ends it; `removed` says why it ends otherwise.
    pub(super) fn end_incident(
        &mut self,
        key: &IncidentKey,
        well: Option<&Well<'_>>,
        removed: Option<&str>,
    ) {
        let Some(incident) = self.s.alerts.incidents.remove(key) else { return };
        let mut incident = Arc::unwrap_or_clone(incident);
        for no in incident.jobs.keys() {
            self.s.alerts.by_job.remove(&(*no, key.clone()));
        }
        if let Some(part) = &key.part {
            self.s.alerts.by_part.remove(&(part.clone(), key.clone()));
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
        self.keep_incident(key, incident, removed);
    }

    /// An incident that is over can be read.
    pub(super) fn keep_incident(
        &mut self,
        key: &IncidentKey,
        incident: Incident,
        removed: Option<&str>,
    ) {
        let (at, removed) = (self.at, removed.map(str::to_owned));
        self.s.alerts.kept += 1;
        let (told, of) = (told(&incident), incident.facts.of_work().cloned());
        let row = IncidentRow { key: key.clone(), incident, at, removed };
        self.out.put(incident_key(row.incident.id), &row);
        self.event_because("incident.resolved", of.as_ref(), None, Some(&told));
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
        let (job, of) = (incident.facts.job.clone(), incident.facts.of_work().cloned());
        self.s.alerts.incidents.insert(key, Arc::new(incident));
        self.event_because("incident.acknowledged", of.as_ref(), None, Some(&told));
        self.audit("incident.acknowledge", &id.to_string(), json!({ "job": job }));
        Ok(Reply::Done)
    }

    /// Nobody acknowledged an incident by its time.
    pub(super) fn remind(&mut self, id: u64) {
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

/// What is told of a trouble that begins now.
pub(super) fn first_facts(
    rule: Option<Name>,
    subject: &Subject<'_>,
    came: &Came<'_>,
    since: Timestamp,
) -> Facts {
    Facts {
        kind: NoticeKind::Opened,
        incident: 0,
        rule,
        trouble: came.what,
        job: subject.name.clone(),
        part: subject.part.cloned(),
        job_no: subject.no,
        run: None,
        status: None,
        detail: None,
        since,
        troubles: 0,
        jobs: 0,
        left_out: 0,
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
