//! The deterministic answer to a command.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::{
    BackfillId, BackfillStatus, Invalid, JobNo, Kind, Name, RunId, RunStatus, SkipReason, Timestamp,
};

/// Every node computes the same one.
pub type Answer = Result<Reply, Rejection>;

/// What a command did.
#[allow(missing_docs, reason = "the text of a variant covers its fields")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// It did what it says, and there is no more to tell.
    Done,
    /// A definition stands at this version.
    Job { no: JobNo, version: u64, created: bool, changed: bool },
    /// A definition that is no job stands at this version.
    Definition { version: u64, created: bool, changed: bool },
    /// A run was created, and may even have ended.
    Run { id: RunId },
    /// A nominal time was decided without a run.
    Skipped(SkipReason),
    /// A user or a token exists.
    Created(Uuid),
    /// A backfill stands so.
    Backfill { id: BackfillId },
    /// A refresh token came a second time: its session has ended.
    SessionEnded,
    /// The same request was answered before; this is that answer.
    Replayed(Box<Reply>),
}

impl Reply {
    /// The answer itself, and whether it is a repeated one.
    pub fn unwrap_replay(self) -> (Reply, bool) {
        match self {
            Reply::Replayed(inner) => (*inner, true),
            other => (other, false),
        }
    }
}

/// Why a legal command was refused. Nothing was changed.
#[allow(missing_docs, reason = "the text of a variant covers its fields")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Rejection {
    /// It was prepared on a state that has moved: prepare again.
    #[error("the state moved while the request was on its way")]
    Stale,
    /// There is no such thing.
    #[error("there is no {what} {name}")]
    NotFound { what: String, name: String },
    /// There is one already.
    #[error("there is a {what} {name} already")]
    Exists { what: String, name: String },
    /// The version named in `If-Match` is not the present one.
    #[error("{}", differs(*.expected, *.actual))]
    VersionConflict { expected: u64, actual: u64 },
    /// The attempt is not, or no longer, this node's to report on.
    #[error("the attempt is closed or belongs to another")]
    Fenced,
    /// Chains and dependencies would lead in a circle.
    #[error("{field} would make a circle: {}", path.join(" -> "))]
    Cycle { field: String, path: Vec<String> },
    /// Chains and dependencies would lead through too many jobs.
    #[error("chains and dependencies would lead through {depth} jobs, at most {most} may")]
    TooDeep { depth: u32, most: u32 },
    /// The overlap policy forbids the run.
    #[error(
        "{job} has open runs (such as {run}), and its overlap policy forbids another: wait, cancel \
         it, or run with force=true"
    )]
    Overlap { job: Name, run: String },
    /// A start of the job is planned: it is withdrawn first, or has come by then.
    #[error("run {run} of the job is about to start, at {until}")]
    Ahead { run: RunId, until: Timestamp },
    /// A limit was reached.
    #[error("{what}: at most {most} are allowed")]
    Limit { what: String, most: u64 },
    /// Others count on it.
    #[error("the {what} {name} is used by {}; change or delete them first", by.join(", "))]
    InUse { what: String, name: String, by: Vec<String> },
    /// The cluster would have no admin.
    #[error("{name} is the last admin; make another user admin first")]
    LastAdmin { name: Name },
    /// A backfill of the job covers some of the times already.
    #[error(
        "backfill {id} of {job} covers some of these times and has not ended: wait, cancel it, or \
         choose times outside of it"
    )]
    BackfillOpen { job: Name, id: BackfillId },
    /// The backfill is over.
    #[error("backfill {id} has ended already: {}", status.as_str())]
    BackfillEnded { id: BackfillId, status: BackfillStatus },
    /// The run is closed.
    #[error("the run has ended already: {}", status.as_str())]
    Ended { status: RunStatus },
    /// The session that asked for it has ended since.
    #[error("the session was ended while the request was on its way; log in again")]
    SessionOver,
    /// The `Idempotency-Key` was used for another request.
    #[error("this Idempotency-Key was used for a different request")]
    KeyReused,
    /// The cluster was set up before.
    #[error("the cluster is set up already")]
    Bootstrapped,
    /// Some member is of a version that could not read it.
    #[error(
        "{what} needs format {needs}, and the cluster has format {has} as long as some node runs \
         an older version: upgrade all nodes; a second after the last one it is taken"
    )]
    UpgradeNeeded { what: String, needs: u32, has: u32 },
    /// What was sent is faulty.
    #[error("{} faults", .0.len())]
    Invalid(Vec<Invalid>),
}

impl Rejection {
    /// There is no such job.
    pub fn no_job(name: impl ToString) -> Self {
        Rejection::NotFound { what: "job".into(), name: name.to_string() }
    }

    /// There is no such definition of that kind.
    pub fn no_definition(kind: Kind, name: impl ToString) -> Self {
        Rejection::NotFound { what: kind.as_str().into(), name: name.to_string() }
    }

    /// There is no such run.
    pub fn no_run(id: impl ToString) -> Self {
        Rejection::NotFound { what: "run".into(), name: id.to_string() }
    }

    /// There is no such node.
    pub fn no_node(id: impl ToString) -> Self {
        Rejection::NotFound { what: "node".into(), name: id.to_string() }
    }

    /// There is no such user.
    pub fn no_user(name: impl ToString) -> Self {
        Rejection::NotFound { what: "user".into(), name: name.to_string() }
    }
}

/// What to say to one who expected another version; 0 is what no definition has.
pub fn differs(expected: u64, actual: u64) -> String {
    match expected {
        0 => format!(
            "none of the ETags given is one of a version: it is the number in quotes, and a weak \
             one (W/) never matches here; version {actual} is present"
        ),
        _ => format!("version {expected} was expected, {actual} is present"),
    }
}
