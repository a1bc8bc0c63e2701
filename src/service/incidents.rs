//! Incidents and notices: look at them, say that one is known, try one again.
//!
//! Whoever sees a job sees what is told of it. Of an incident of many jobs the newest trouble
//! counts, and jobs out of scope are not named.

use serde::Serialize;

use super::paging::Question;
use super::{Action, Caller, Error, Meta, Page, Paging, Service, Target, WriteOptions, Written};
use crate::machine::history::{IncidentRow, NoticeRow, incident_key, notice_key, unpack};
use crate::machine::prepare::Intent;
use crate::machine::state::{Incident, IncidentKey};
use crate::machine::{Op, State};
use crate::model::{Facts, JobNo, Name, Notice, NoticeEnd, NoticeKind, RunId, RunStatus};
use crate::model::{Timestamp, Trouble};
use crate::storage::{Direction, Scan};

/// Rows looked at for one page; past it the page ends short, with a cursor.
const LOOKED_AT_MAX: usize = 2_000;
/// Jobs of an incident that are named.
const JOBS_MAX: usize = 100;

/// Whether an incident goes on.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum IncidentState {
    /// It does.
    #[default]
    Open,
    /// It is over.
    Resolved,
}

/// Trouble that was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct IncidentView {
    /// Its number.
    pub id: u64,
    /// Whether it goes on.
    pub state: IncidentState,
    /// The rule that tells it; null: the own `notify` of the job, or of the monitor.
    #[schema(required)]
    pub rule: Option<Name>,
    /// The trouble: the newest.
    pub trouble: Trouble,
    /// The job that has it; null: a monitor does.
    #[schema(required)]
    pub job: Option<Name>,
    /// The monitor that has it; null: a job does.
    #[schema(required)]
    pub monitor: Option<Name>,
    /// The run that has it.
    #[schema(required)]
    pub run_id: Option<RunId>,
    /// How that run ended.
    #[schema(required)]
    pub status: Option<RunStatus>,
    /// Why, in a few words.
    #[schema(required)]
    pub detail: Option<String>,
    /// The first trouble.
    pub since: Timestamp,
    /// When it was told first.
    #[schema(required)]
    pub opened_at: Option<Timestamp>,
    /// The newest trouble.
    pub last_at: Timestamp,
    /// When it ended; null: it goes on.
    #[schema(required)]
    pub resolved_at: Option<Timestamp>,
    /// Why it ended without a success; null: it did not.
    #[schema(required)]
    pub ended_since: Option<String>,
    /// Troubles so far.
    pub troubles: u64,
    /// Jobs that have not succeeded since, and monitors that are down, as far as the caller may see
    /// them; 100 at most.
    #[schema(max_items = 100)]
    pub jobs: Vec<Name>,
    /// Channels that it was told to.
    pub channels: Vec<Name>,
    /// Who knows of it; null: nobody said so.
    #[schema(required)]
    pub acknowledged_by: Option<String>,
    /// Since when.
    #[schema(required)]
    pub acknowledged_at: Option<Timestamp>,
}

/// Where a notice is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum NoticeState {
    /// It waits to be sent.
    #[default]
    Pending,
    /// It was sent.
    Sent,
    /// It was given up.
    Dead,
    /// It is kept and was not to be sent: a window was open.
    Muted,
}

/// A notice, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct NoticeView {
    /// Its number. It is sent under it, however often.
    pub seq: u64,
    /// Where it is.
    pub state: NoticeState,
    /// To whom it is.
    pub channel: Name,
    /// What it says of its incident.
    pub kind: NoticeKind,
    /// The incident.
    pub incident: u64,
    /// The rule; null: the own `notify` of the job, or of the monitor.
    #[schema(required)]
    pub rule: Option<Name>,
    /// The trouble.
    pub trouble: Trouble,
    /// The job that has it; null: a monitor does.
    #[schema(required)]
    pub job: Option<Name>,
    /// The monitor that has it; null: a job does.
    #[schema(required)]
    pub monitor: Option<Name>,
    /// The run that has it.
    #[schema(required)]
    pub run_id: Option<RunId>,
    /// Why, in a few words.
    #[schema(required)]
    pub detail: Option<String>,
    /// Troubles by then.
    pub troubles: u64,
    /// Notices to this channel that were left out before it: too many waited.
    pub left_out: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// It is not sent before; null: it is over.
    #[schema(required)]
    pub not_before: Option<Timestamp>,
    /// How often it was tried in vain.
    pub tries: u32,
    /// Why the last try failed.
    #[schema(required)]
    pub error: Option<String>,
    /// It goes out once somebody says so (`POST /notices/{seq}/retry`): the cluster was restored.
    pub held: bool,
    /// The window that holds it back until its end, or that muted it.
    #[schema(required)]
    pub window: Option<Name>,
    /// When it was sent or given up; null: it waits.
    #[schema(required)]
    pub ended_at: Option<Timestamp>,
}

/// Which notices are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoticeFilter {
    /// Where they are.
    pub state: NoticeState,
    /// To this channel.
    pub channel: Option<Name>,
}

/// Whether the caller sees a job of that number, as it is or was called.
fn sees(c: &Caller, state: &State, no: JobNo, name: &Name) -> bool {
    c.sees(name.as_str(), state.tags(no))
}

fn sees_facts(c: &Caller, state: &State, facts: &Facts) -> bool {
    sees(c, state, facts.job_no, &facts.job)
}

impl IncidentView {
    fn of(
        c: &Caller,
        state: &State,
        key: &IncidentKey,
        incident: &Incident,
        ended: Option<(Timestamp, Option<String>)>,
    ) -> Self {
        let facts = &incident.facts;
        let jobs = incident.jobs.iter().filter(|(no, name)| sees(c, state, **no, name));
        let (resolved_at, ended_since) = match ended {
            Some((at, why)) => (Some(at), why),
            None => (None, None),
        };
        let open = resolved_at.is_none();
        let (by, at) = incident.acknowledged.clone().unzip();
        IncidentView {
            id: incident.id,
            state: if open { IncidentState::Open } else { IncidentState::Resolved },
            rule: key.rule.clone(),
            trouble: facts.trouble,
            job: facts.of_job().cloned(),
            monitor: facts.of_monitor().cloned(),
            run_id: facts.run,
            status: facts.status,
            detail: facts.detail.clone(),
            since: incident.since,
            opened_at: incident.opened_at,
            last_at: incident.last_at,
            resolved_at,
            ended_since,
            troubles: facts.troubles,
            jobs: jobs.map(|(_, name)| name.clone()).take(JOBS_MAX).collect(),
            channels: incident.channels.clone(),
            acknowledged_by: by,
            acknowledged_at: at,
        }
    }

    fn of_row(c: &Caller, state: &State, row: IncidentRow) -> Self {
        Self::of(c, state, &row.key, &row.incident, Some((row.at, row.removed)))
    }
}

impl NoticeView {
    fn of(notice: &Notice, ended: Option<(NoticeEnd, Timestamp)>) -> Self {
        let facts = notice.facts.clone();
        let (job, monitor) = (facts.of_job().cloned(), facts.of_monitor().cloned());
        NoticeView {
            seq: notice.seq,
            state: match ended.map(|(end, _)| end) {
                None => NoticeState::Pending,
                Some(NoticeEnd::Sent) => NoticeState::Sent,
                Some(NoticeEnd::Dead) => NoticeState::Dead,
                Some(NoticeEnd::Muted) => NoticeState::Muted,
            },
            channel: notice.channel.clone(),
            kind: facts.kind,
            incident: facts.incident,
            rule: facts.rule,
            trouble: facts.trouble,
            job,
            monitor,
            run_id: facts.run,
            detail: facts.detail,
            troubles: facts.troubles,
            left_out: facts.left_out,
            at: notice.at,
            not_before: ended.is_none().then_some(notice.not_before),
            tries: notice.tries,
            error: notice.error.clone(),
            held: notice.held,
            window: notice.window.clone(),
            ended_at: ended.map(|(_, at)| at),
        }
    }
}

fn no_incident(id: u64) -> Error {
    Error::NotFound { what: "incident".into(), name: id.to_string() }
}

fn no_notice(seq: u64) -> Error {
    Error::NotFound { what: "notice".into(), name: seq.to_string() }
}

impl Service {
    /// Incidents, the newest first.
    ///
    /// # Errors
    /// `Forbidden`, `Malformed`.
    pub async fn incidents(
        &self,
        c: &Caller,
        wanted: IncidentState,
        p: Paging,
    ) -> Result<Page<IncidentView>, Error> {
        c.permit(Action::ReadAlerts, Target::Cluster)?;
        let (limit, question) = (p.limit()?, Question::new(&("incidents", wanted)));
        let below: u64 = question.after(&p)?.unwrap_or(u64::MAX);
        let state = self.consensus().state();
        if wanted == IncidentState::Open {
            let open = state.alerts.by_id.range(..below).rev();
            let open = open.filter_map(|(_, key)| Some((key, state.alerts.incidents.get(key)?)));
            let open = open.filter(|(_, incident)| sees_facts(c, &state, &incident.facts));
            let open = open.map(|(key, incident)| IncidentView::of(c, &state, key, incident, None));
            let items: Vec<IncidentView> = open.take(limit + 1).collect();
            return Ok(question.page(items, limit, |item| item.id));
        }
        let read = |value: &[u8]| -> Result<_, Error> {
            let row: IncidentRow = unpack(value)?;
            let seen = sees_facts(c, &state, &row.incident.facts);
            Ok((row.incident.id, seen.then(|| IncidentView::of_row(c, &state, row))))
        };
        self.rows_below(&question, b"i", incident_key(below), limit, read).await
    }

    /// How many incidents are open that the caller may see.
    pub(super) fn open_incidents(&self, c: &Caller, state: &State) -> u64 {
        let open = state.alerts.by_id.values().filter_map(|key| state.alerts.incidents.get(key));
        open.filter(|incident| sees_facts(c, state, &incident.facts)).count() as u64
    }

    /// An incident.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn incident(&self, c: &Caller, id: u64) -> Result<IncidentView, Error> {
        c.permit(Action::ReadAlerts, Target::Cluster)?;
        let state = self.consensus().state();
        if let Some((key, incident)) = state.alerts.open(id) {
            let seen = sees_facts(c, &state, &incident.facts);
            let view = seen.then(|| IncidentView::of(c, &state, key, incident, None));
            return view.ok_or_else(|| no_incident(id));
        }
        let row = self.consensus().history().get(&incident_key(id)).await?;
        let row: IncidentRow = unpack(&row.ok_or_else(|| no_incident(id))?)?;
        if !sees_facts(c, &state, &row.incident.facts) {
            return Err(no_incident(id));
        }
        Ok(IncidentView::of_row(c, &state, row))
    }

    /// Says that somebody knows of an incident: it is not told again until it is over.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound` (it is over, too), `KeyReused`, `Unavailable`.
    pub async fn acknowledge_incident(
        &self,
        c: &Caller,
        id: u64,
        o: WriteOptions,
    ) -> Result<Written<IncidentView>, Error> {
        c.permit(Action::ManageAlerts, Target::Cluster)?;
        let intend = |state: &State| {
            let (_, incident) = state.alerts.open(id).ok_or_else(|| no_incident(id))?;
            if !sees_facts(c, state, &incident.facts) {
                return Err(no_incident(id));
            }
            may_manage(c, state, &incident.facts)?;
            Ok(Intent::Plain(Box::new(Op::Acknowledge { incident: id })))
        };
        let meta = match self.write_or_judge(c, o, intend).await {
            Err(Error::NotFound { .. }) => {
                // Whoever may see it learns that it is over.
                let view = self.incident(c, id).await?;
                let detail = format!("the incident is {:?} already", view.state).to_lowercase();
                return Err(Error::Conflict { code: "incident-over", detail });
            }
            done => done?,
        };
        Ok(written(self.incident(c, id).await?, meta))
    }

    /// Notices: those that wait, the first to go first; those that are over, the newest first.
    ///
    /// # Errors
    /// `Forbidden`, `Malformed`.
    pub async fn notices(
        &self,
        c: &Caller,
        f: NoticeFilter,
        p: Paging,
    ) -> Result<Page<NoticeView>, Error> {
        c.permit(Action::ReadAlerts, Target::Cluster)?;
        let (limit, question) = (p.limit()?, Question::new(&("notices", &f)));
        let state = self.consensus().state();
        let seen = |notice: &Notice| {
            f.channel.as_ref().is_none_or(|channel| *channel == notice.channel)
                && sees_facts(c, &state, &notice.facts)
        };
        if f.state == NoticeState::Pending {
            let after: u64 = question.after(&p)?.unwrap_or(0);
            let waiting = state.outbox.waiting.values();
            let mut items: Vec<NoticeView> = waiting
                .filter(|notice| notice.seq > after && seen(notice))
                .map(|notice| NoticeView::of(notice, None))
                .collect();
            items.sort_unstable_by_key(|item| item.seq);
            items.truncate(limit + 1);
            return Ok(question.page(items, limit, |item| item.seq));
        }
        let below: u64 = question.after(&p)?.unwrap_or(u64::MAX);
        let end = match f.state {
            NoticeState::Muted => NoticeEnd::Muted,
            NoticeState::Dead => NoticeEnd::Dead,
            NoticeState::Pending | NoticeState::Sent => NoticeEnd::Sent,
        };
        let read = |value: &[u8]| -> Result<_, Error> {
            let row: NoticeRow = unpack(value)?;
            let wanted = row.end == end && seen(&row.notice);
            let ended = Some((row.end, row.at));
            Ok((row.notice.seq, wanted.then(|| NoticeView::of(&row.notice, ended))))
        };
        self.rows_below(&question, b"n", notice_key(below), limit, read).await
    }

    /// Sends a notice at once: one that waits, or one that was given up.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Conflict` (`notice-sent`), `Limit`, `KeyReused`, `Unavailable`.
    pub async fn retry_notice(
        &self,
        c: &Caller,
        seq: u64,
        o: WriteOptions,
    ) -> Result<Written<NoticeView>, Error> {
        c.permit(Action::ManageAlerts, Target::Cluster)?;
        let row = self.consensus().history().get(&notice_key(seq)).await?;
        let row: Option<NoticeRow> = row.map(|row| unpack(&row)).transpose()?;
        let before = match &row {
            Some(row) => Some(row.notice.clone()),
            None => self.consensus().state().outbox.get(seq).map(|notice| (**notice).clone()),
        };
        let before = before.ok_or_else(|| no_notice(seq))?;
        let dead = row.filter(|row| row.end == NoticeEnd::Dead).map(|row| Box::new(row.notice));
        let intend = |state: &State| {
            if !sees_facts(c, state, &before.facts) {
                return Err(no_notice(seq));
            }
            may_manage(c, state, &before.facts)?;
            let there = state.outbox.get(seq).is_some();
            if !there && !state.outbox.dead.contains(&seq) {
                let detail = "the notice was sent, which can't be taken back".to_owned();
                return Err(Error::Conflict { code: "notice-sent", detail });
            }
            let dead = dead.clone().filter(|_| !there);
            Ok(Intent::Plain(Box::new(Op::RetryNotice { seq, dead })))
        };
        let meta = self.write_or_judge(c, o, intend).await?;
        let state = self.consensus().state();
        let view = match state.outbox.get(seq) {
            Some(notice) => NoticeView::of(notice, None),
            None => self.ended_notice(seq).await?.unwrap_or_else(|| NoticeView::of(&before, None)),
        };
        Ok(written(view, meta))
    }

    async fn ended_notice(&self, seq: u64) -> Result<Option<NoticeView>, Error> {
        let row = self.consensus().history().get(&notice_key(seq)).await?;
        let row: Option<NoticeRow> = row.map(|row| unpack(&row)).transpose()?;
        Ok(row.map(|row| NoticeView::of(&row.notice, Some((row.end, row.at)))))
    }

    async fn write_or_judge(
        &self,
        c: &Caller,
        o: WriteOptions,
        intend: impl Fn(&State) -> Result<Intent, Error>,
    ) -> Result<Meta, Error> {
        if o.dry_run {
            let state = self.consensus().state();
            let intent = intend(&state)?;
            return Ok(self.judge(c, &state, intent)?.done.meta);
        }
        Ok(self.submit(c, o.request, intend).await?.meta)
    }

    /// A page of rows with numbers, the newest first. `read` gives the number of a row, and what is
    /// shown of it.
    async fn rows_below<T>(
        &self,
        question: &Question,
        prefix: &[u8],
        below: Vec<u8>,
        limit: usize,
        read: impl Fn(&[u8]) -> Result<(u64, Option<T>), Error>,
    ) -> Result<Page<T>, Error> {
        let (from, direction) = (prefix.to_vec(), Direction::Backward);
        let scan = Scan { from, to: below, direction, limit: LOOKED_AT_MAX + 1 };
        let rows = self.consensus().history().scan(scan).await?;
        let (mut items, mut last) = (Vec::new(), 0);
        for (at, (_, value)) in rows.iter().enumerate() {
            if items.len() == limit || at == LOOKED_AT_MAX {
                return Ok(Page { items, next_cursor: question.cursor(&last) });
            }
            let (number, shown) = read(value)?;
            last = number;
            items.extend(shown);
        }
        Ok(Page { items, next_cursor: None })
    }
}

/// Whether the caller may change what is told of that job.
fn may_manage(c: &Caller, state: &State, facts: &Facts) -> Result<(), Error> {
    let target = Target::Job { name: facts.job.as_str(), tags: state.tags(facts.job_no) };
    c.permit(Action::ManageAlerts, target).map(drop)
}

fn written<T>(value: T, meta: Meta) -> Written<T> {
    Written { value, created: false, changed: true, warnings: Vec::new(), meta }
}
