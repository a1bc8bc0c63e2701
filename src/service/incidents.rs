//! Incidents and notices: look at them, say that one is known, try one again.
//!
//! Whoever sees a job sees what is told of it. Of an incident of many jobs the newest trouble
//! counts, and jobs out of scope are not named.

use super::incident_views::{IncidentState, IncidentView, NoticeState, NoticeView, sees_facts};
use super::paging::Question;
use super::{
    Action, Caller, Error, Meta, Page, Paging, Permit, Service, Target, WriteOptions, Written,
};
use crate::machine::history::{IncidentRow, NoticeRow, incident_key, notice_key, unpack};
use crate::machine::prepare::Intent;
use crate::machine::{Op, State};
use crate::model::{Facts, Name, Notice, NoticeEnd};
use crate::storage::{Direction, Scan};

/// Rows looked at for one page; past it the page ends short, with a cursor.
const LOOKED_AT_MAX: usize = 2_000;

/// Which notices are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoticeFilter {
    /// Where they are.
    pub state: NoticeState,
    /// To this channel.
    pub channel: Option<Name>,
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
            let permit = may_manage(c, state, &incident.facts)?;
            Ok(permit.grants(Intent::Plain(Box::new(Op::Acknowledge { incident: id }))))
        };
        let meta = match self.write(c, o, intend).await {
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
            let permit = may_manage(c, state, &before.facts)?;
            let there = state.outbox.get(seq).is_some();
            if !there && !state.outbox.dead.contains(&seq) {
                let detail = "the notice was sent, which can't be taken back".to_owned();
                return Err(Error::Conflict { code: "notice-sent", detail });
            }
            let dead = dead.clone().filter(|_| !there);
            Ok(permit.grants(Intent::Plain(Box::new(Op::RetryNotice { seq, dead }))))
        };
        let meta = self.write(c, o, intend).await?;
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
fn may_manage(c: &Caller, state: &State, facts: &Facts) -> Result<Permit, Error> {
    if facts.part.is_some() {
        return c.permit(Action::ManageAlerts, Target::Cluster);
    }
    let target = Target::Job { name: facts.job.as_str(), tags: state.tags(facts.job_no) };
    c.permit(Action::ManageAlerts, target)
}

fn written<T>(value: T, meta: Meta) -> Written<T> {
    Written { value, created: false, changed: true, warnings: Vec::new(), meta }
}
