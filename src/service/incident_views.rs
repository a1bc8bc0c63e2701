//! What is shown of incidents and of notices, and to whom.

use serde::Serialize;

use super::Caller;
use crate::machine::State;
use crate::machine::history::IncidentRow;
use crate::machine::state::{Incident, IncidentKey};
use crate::model::{
    Facts, JobNo, Name, NodeId, Notice, NoticeEnd, NoticeKind, RunId, RunStatus, Timestamp, Trouble,
};

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
    /// The job that has it; null: something else does.
    #[schema(required)]
    pub job: Option<Name>,
    /// The monitor that has it; null: something else does.
    #[schema(required)]
    pub monitor: Option<Name>,
    /// The node that has it; null: something else does.
    #[schema(required)]
    pub node: Option<NodeId>,
    /// The sink that has it; null: something else does.
    #[schema(required)]
    pub sink: Option<Name>,
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
    /// The job that has it; null: something else does.
    #[schema(required)]
    pub job: Option<Name>,
    /// The monitor that has it; null: something else does.
    #[schema(required)]
    pub monitor: Option<Name>,
    /// The node that has it; null: something else does.
    #[schema(required)]
    pub node: Option<NodeId>,
    /// The sink that has it; null: something else does.
    #[schema(required)]
    pub sink: Option<Name>,
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

/// Whether the caller sees a job of that number, as it is or was called.
fn sees(c: &Caller, state: &State, no: JobNo, name: &Name) -> bool {
    c.sees(name.as_str(), state.tags(no))
}

pub(super) fn sees_facts(c: &Caller, state: &State, facts: &Facts) -> bool {
    match facts.part {
        // Of the cluster: nothing of it is in a scope.
        Some(_) => c.scope.is_all(),
        None => sees(c, state, facts.job_no, &facts.job),
    }
}

impl IncidentView {
    pub(super) fn of(
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
            node: facts.of_node(),
            sink: facts.of_sink().cloned(),
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

    pub(super) fn of_row(c: &Caller, state: &State, row: IncidentRow) -> Self {
        Self::of(c, state, &row.key, &row.incident, Some((row.at, row.removed)))
    }
}

impl NoticeView {
    pub(super) fn of(notice: &Notice, ended: Option<(NoticeEnd, Timestamp)>) -> Self {
        let facts = notice.facts.clone();
        let (job, monitor) = (facts.of_job().cloned(), facts.of_monitor().cloned());
        let (node, sink) = (facts.of_node(), facts.of_sink().cloned());
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
            node,
            sink,
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
