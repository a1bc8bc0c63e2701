//! What starts what: jobs, the chains between them and the gates that hold them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Action, Caller, Error, Service, Target};
use crate::machine::State;
use crate::machine::state::Job;
use crate::model::limits::GRAPH_JOBS_MAX;
use crate::model::{Name, RunStatus, Timestamp};

/// Why there is an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EdgeKind {
    /// When a run of the first succeeds, the second is started.
    OnSuccess,
    /// When a run of the first fails, the second is started.
    OnFailure,
    /// When a run of the first ends, however it does, the second is started.
    OnFinish,
    /// The second waits until the first has succeeded.
    Dependency,
    /// The second is a task of the first, a workflow.
    Task,
}

/// From one job to another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
pub struct Edge {
    /// What ends.
    #[schema(value_type = Name)]
    pub from: Name,
    /// What is started, or waits.
    #[schema(value_type = Name)]
    pub to: Name,
    /// Why.
    pub kind: EdgeKind,
}

/// A job in a graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct GraphJob {
    /// The job.
    #[schema(value_type = Name)]
    pub name: Name,
    /// False: others name it, but there is no such job, or none that the caller may see.
    pub known: bool,
    /// False: paused.
    pub enabled: bool,
    /// The next nominal time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub next_fire_at: Option<Timestamp>,
    /// How its last run ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub last_status: Option<RunStatus>,
    /// Open runs.
    pub open_runs: u32,
}

/// Jobs that chains and gates connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Graph {
    /// By name.
    pub jobs: Vec<GraphJob>,
    /// In order.
    pub edges: Vec<Edge>,
    /// There are more jobs than are given: ask for those around one of them.
    pub cut: bool,
}

/// Neighbours both ways.
type Around = BTreeMap<Name, BTreeSet<Name>>;

impl Service {
    /// The jobs that the caller may see and that chains or gates connect, in whole groups; with
    /// `job` those that a way leads to from it. 1,000 at most.
    ///
    /// # Errors
    /// `NotFound` for a job that is not there.
    pub async fn graph(&self, c: &Caller, job: Option<&str>) -> Result<Graph, Error> {
        c.permit(Action::ReadJobs, Target::Cluster)?;
        let state = self.consensus().state();
        let edges = edges(c, &state);
        let mut around = Around::new();
        for edge in &edges {
            around.entry(edge.from.clone()).or_default().insert(edge.to.clone());
            around.entry(edge.to.clone()).or_default().insert(edge.from.clone());
        }
        let (mut chosen, mut cut) = (BTreeSet::new(), false);
        match job {
            Some(name) => {
                let job = super::lookup::job_for(c, Action::ReadJobs, &state, name)?;
                cut = gather(&around, &job.spec.name, &mut chosen);
            }
            None => {
                for name in around.keys() {
                    if cut {
                        break;
                    }
                    cut = gather(&around, name, &mut chosen);
                }
            }
        }
        let jobs = chosen.iter().map(|name| shown(seen(c, &state, name), name)).collect();
        let within = |edge: &Edge| chosen.contains(&edge.from) && chosen.contains(&edge.to);
        let edges = edges.into_iter().filter(within).collect();
        Ok(Graph { jobs, edges, cut })
    }
}

/// All edges out of and into the jobs in sight.
fn edges(c: &Caller, state: &State) -> BTreeSet<Edge> {
    let mut edges = BTreeSet::new();
    for job in state.jobs.values().filter(|job| c.sees(job.spec.name.as_str(), &job.spec.tags)) {
        for (field, _, other) in job.spec.references() {
            let kind = match field {
                "on_success" => EdgeKind::OnSuccess,
                "on_failure" => EdgeKind::OnFailure,
                "on_finish" => EdgeKind::OnFinish,
                "tasks" => EdgeKind::Task,
                _ => EdgeKind::Dependency,
            };
            let (own, other) = (job.spec.name.clone(), other.clone());
            edges.insert(match kind {
                EdgeKind::Dependency => Edge { from: other, to: own, kind },
                _ => Edge { from: own, to: other, kind },
            });
        }
    }
    edges
}

/// Adds all that a way leads to from `name`, nearest first; true: there are more than fit.
fn gather(around: &Around, name: &Name, chosen: &mut BTreeSet<Name>) -> bool {
    if chosen.contains(name) {
        return false;
    }
    let mut border = vec![name.clone()];
    while !border.is_empty() {
        let mut beyond = Vec::new();
        for name in border {
            if chosen.contains(&name) {
                continue;
            }
            if chosen.len() == GRAPH_JOBS_MAX {
                return true;
            }
            beyond.extend(around.get(&name).into_iter().flatten().cloned());
            chosen.insert(name);
        }
        border = beyond;
    }
    false
}

fn seen<'a>(c: &Caller, state: &'a State, name: &Name) -> Option<&'a Job> {
    let job = state.job(name.as_str())?;
    c.sees(name.as_str(), &job.spec.tags).then_some(job)
}

fn shown(job: Option<&Job>, name: &Name) -> GraphJob {
    GraphJob {
        name: name.clone(),
        known: job.is_some(),
        enabled: job.is_some_and(|job| job.spec.enabled.0),
        next_fire_at: job.and_then(|job| job.live.next).map(|next| next.nominal),
        last_status: job.and_then(|job| job.live.last_run).map(|run| run.status),
        open_runs: job.map_or(0, |job| job.live.open),
    }
}
