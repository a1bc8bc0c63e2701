//! What is replicated. Every value is already decided: `apply` looks nothing up outside.
//!
//! Commands are encoded with named fields (MessagePack), so that fields may be added with
//! a default; a variant or field never changes its meaning, and none is ever reused.

mod backfill;
mod beats;
mod monitor;
mod note;
mod push;
mod put;
mod restored;
mod trigger;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::state::{Offers, WatchKey};
use crate::model::access::{Actor, ApiToken, Role, Scope, Session, User};
use crate::model::placement::Labels;
use crate::model::{
    BackfillId, BootId, DataKey, Delivery, DutyKey, Fence, JobNo, Kind, LedgerRow, LogStream, Name,
    NodeId, Notice, Outcome, Position, RunId, RunStatus, Sealed, SkipReason, Span, Timestamp,
    Usage,
};

pub use self::backfill::{BackfillEdit, StartBackfill};
pub use self::beats::Beaten;
pub use self::monitor::{MonitorEdit, Ping, PutMonitor, SendPing};
pub use self::note::AuditNote;
pub use self::push::PushStep;
pub use self::put::{PutDefinition, PutJob};
pub use self::restored::{Restored, Settled};
pub use self::trigger::{Entry, TakeEntries, Taken, TriggerEdit, TriggerRun};

/// One replicated step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// Log time, stamped by the leader; `apply` never lets it run backwards.
    pub at: Timestamp,
    /// Who asked; none: the cluster itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
    /// Makes a repeated request harmless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestKey>,
    /// What to do.
    pub op: Op,
}

/// A caller's `Idempotency-Key`, scoped to user and route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestKey {
    /// Hash of user, route and key.
    pub key: Uuid,
    /// Hash of the request's content.
    pub fingerprint: Uuid,
}

/// The next nominal time of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// The instant that the schedule names.
    pub nominal: Timestamp,
    /// When the fire is due: the nominal time and the job's share of its jitter.
    pub due: Timestamp,
}

/// Undecided nominal times that are settled at one go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The first of them.
    pub from: Timestamp,
    /// The instant before which the last of them lies.
    pub until: Timestamp,
    /// How many, when counted.
    pub count: Option<u32>,
    /// Their outcome: skipped or superseded.
    pub outcome: Outcome,
    /// Why, when skipped.
    pub reason: Option<SkipReason>,
}

/// A node, and the boot of it that is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The node.
    pub node: NodeId,
    /// Its boot; an assignment to an earlier one is void.
    pub boot: BootId,
}

/// How an attempt ended, as its node reports it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// `succeeded`, `failed`, `timed_out` or `cancelled`.
    pub status: RunStatus,
    /// Start, by the node's clock.
    pub started_at: Option<Timestamp>,
    /// End, by the node's clock.
    pub finished_at: Timestamp,
    /// Exit code of the process.
    pub exit_code: Option<i32>,
    /// Signal that ended it.
    pub signal: Option<i32>,
    /// HTTP status of the answer.
    pub http_status: Option<u16>,
    /// What went wrong.
    pub error: Option<String>,
    /// What it gave back.
    pub result: Option<Value>,
    /// What it used.
    pub usage: Option<Usage>,
    /// How long the server asked to be left alone; format 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Span>,
    /// The last of its output, so that a short attempt is told in one command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output: Vec<OutputChunk>,
}

/// A piece of captured output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputChunk {
    /// Order within the attempt, from 0.
    pub seq: u32,
    /// Where it came from.
    #[serde(with = "crate::model::letter")]
    pub stream: LogStream,
    /// When it was read, by the node's clock.
    pub at: Timestamp,
    /// The bytes, not always UTF-8.
    #[serde(with = "super::packed_bytes")]
    pub bytes: Vec<u8>,
}

/// The kinds of step. See `apply/` for what each does.
#[allow(missing_docs, reason = "the text of a variant covers its fields")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Op {
    /// The first command of a cluster: its signing key and its first admin.
    Bootstrap { signing_key: SigningKey, admin: Box<User> },
    /// Creates or replaces a definition.
    PutJob(Box<PutJob>),
    /// Removes a definition; its open runs are cancelled.
    DeleteJob { no: JobNo, based_on: u64, pinned: bool, settled: Option<Range> },
    /// A nominal time fires.
    Fire {
        no: JobNo,
        version: u64,
        scheduled_for: Timestamp,
        next: Option<Next>,
        place: Option<Place>,
        /// Decided ahead: the attempt begins then, by its node's clock.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        start_at: Option<Timestamp>,
    },
    /// Nominal times pass without a run.
    Skip { no: JobNo, version: u64, range: Range, next: Option<Next> },
    /// Someone starts a run.
    Trigger(Box<TriggerRun>),
    /// A queued run is given to a node.
    Assign { run: RunId, attempt: u32, place: Place },
    /// A queued run can't start: its parameters do not fit.
    Refuse { run: RunId, error: String },
    /// The time a run waited for has come: a retry, or the end of its patience.
    Due { run: RunId },
    /// A node has started an attempt.
    Started { run: RunId, attempt: u32, fence: Fence, started_at: Timestamp },
    /// A node reports the end of an attempt.
    Ended { run: RunId, attempt: u32, fence: Fence, end: Box<End> },
    /// A node did not begin an attempt and never will.
    Unbegun { run: RunId, attempt: u32, fence: Fence },
    /// The same, for the lock of its job is held by another; or, unless `held`, can't be asked for.
    LockBusy { run: RunId, attempt: u32, fence: Fence, held: bool, why: String },
    /// A start that is planned ahead is not wanted any more: its node is asked to leave it.
    Withdraw { run: RunId },
    /// Captured output of an attempt.
    Output { run: RunId, attempt: u32, fence: Fence, chunks: Vec<OutputChunk> },
    /// Someone stops a run.
    Cancel { run: RunId },
    /// Someone has a workflow's run start nothing for a while, or go on.
    PauseFlow { run: RunId, paused: bool },
    /// A node has started; what its earlier boots had is lost. Of a boot that was given up:
    /// it is there after all, and takes attempts again.
    NodeUp {
        node: NodeId,
        boot: BootId,
        address: String,
        /// Where its REST interface is reached; empty in commands of earlier builds.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        api: String,
        slots: u32,
        labels: Labels,
    },
    /// A node says what it can do, and what it was started with.
    NodeOffers { node: NodeId, boot: BootId, offers: Offers },
    /// A node is leaving: it gets no more attempts.
    NodeDraining { node: NodeId, boot: BootId },
    /// A boot of a node was not heard of for its lease and the grace: what it has is lost.
    NodeLost { node: NodeId, boot: BootId },
    /// A node is no longer a member: what it has is lost, and it is forgotten.
    NodeRemoved { node: NodeId },
    /// A duty goes to a node. It had that fence before, and nobody.
    GiveDuty { key: DutyKey, former: Fence, place: Place },
    /// How far a duty is done, and what is in its way; told at most once a second.
    DutyMoved {
        key: DutyKey,
        fence: Fence,
        position: Position,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<String>,
    },
    /// Nothing is written to a sink for a while, or it goes on.
    PauseSink { name: Name, paused: bool },
    /// Events after that place go to a sink again.
    RewindSink { name: Name, to: Position },
    /// Entries of a stream are taken: each starts its run, or is passed over.
    TakeEntries(Box<TakeEntries>),
    /// Someone pauses a trigger, lets it go on, or has it go on from another entry.
    EditTrigger { name: Name, edit: TriggerEdit },
    /// What had not happened by a time has to be looked at.
    Watch { at: Timestamp, key: WatchKey },
    /// A window, by that version of it, is open or is not, and when that changes.
    Window { name: Name, version: u64, active: bool, until: Option<Timestamp> },
    /// What became of a message to a channel, with these notices.
    Delivered { channel: Name, seqs: Vec<u64>, fence: Fence, outcome: Delivery },
    /// Somebody knows of an incident: it is not told again until it is over.
    Acknowledge { incident: u64 },
    /// A notice is tried again at once; one that was given up comes along.
    RetryNotice { seq: u64, dead: Option<Box<Notice>> },
    /// Creates a user. Refused when the session that asked for it is over, as are the two below.
    CreateUser {
        user: Box<User>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<Session>,
    },
    /// Somebody whom a login provider knows has logged in: the account is there from here on,
    /// with that role.
    ExternalLogin { user: Box<User> },
    /// Changes role and scope.
    SetRole { name: Name, role: Role, scope: Scope },
    /// Changes the password hash; every token issued so far is refused from here on.
    SetPassword {
        name: Name,
        password: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<Session>,
    },
    /// Refuses every token issued to the user so far.
    RevokeUser { name: Name },
    /// Removes a user and its tokens.
    DeleteUser { name: Name },
    /// Creates an API token.
    CreateToken {
        token: Box<ApiToken>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<Session>,
    },
    /// Removes an API token.
    DeleteToken { id: Uuid },
    /// New tokens for a refresh token: that one is used up. One that was used up before ends the
    /// session, since somebody else has it too.
    RefreshSession {
        id: Uuid,
        session: Session,
        generation: u64,
        until: Timestamp,
        /// Of the page, whose tabs may renew at the same moment.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        tabs: bool,
    },
    /// Notes the use of an API token; of earlier builds, see `TokensUsed`.
    TokenUsed { id: Uuid },
    /// Notes the use of API tokens, to the minute.
    TokensUsed { ids: Vec<Uuid> },
    /// The secret of a signing key is kept sealed from here on, or under another key.
    SealKey {
        /// The signing key.
        id: Uuid,
        /// Its secret.
        sealed: Box<DataKey>,
    },
    /// Replaces the signing key; tokens of those before stay good until they expire, or are
    /// refused from here on.
    RotateKey {
        signing_key: SigningKey,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        revoke: bool,
    },
    /// Logins and denials, for the audit.
    Note { entries: Vec<AuditNote> },
    /// Sets or removes the limits of a queue.
    SetQueue { name: Name, concurrency: Option<u32> },
    /// Removes history rows that retention no longer wants.
    Trim { keys: Vec<TrimKey> },
    /// A data key of secrets, after the one that was the newest.
    PutSecretKey { key: DataKey, after: Option<Uuid> },
    /// A data key that nothing is sealed with goes.
    DropSecretKey { id: Uuid },
    /// A new value of a secret, and the jobs that may use it.
    PutSecret {
        name: Name,
        jobs: Scope,
        sealed: Sealed,
        /// The version that must be in force; 0: there must be none. Format 5.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expected: Option<u64>,
    },
    /// The same value, sealed with another key: refused unless it was sealed with the nonce
    /// `replaced`, if one is given. Versions begin anew with the name, nonces never come again.
    ResealSecret {
        name: Name,
        version: u64,
        sealed: Sealed,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaced: Option<[u8; 24]>,
    },
    /// Removes a secret.
    DeleteSecret {
        name: Name,
        /// The version that must be in force. Format 5.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expected: Option<u64>,
    },
    /// Creates or replaces a definition of a kind that is not a job.
    Put(Box<PutDefinition>),
    /// Removes a definition of a kind that is not a job.
    Remove { kind: Kind, name: Name, based_on: u64, pinned: bool },
    /// Creates or replaces the definition of a monitor.
    PutMonitor(Box<PutMonitor>),
    /// Work that a monitor is of tells of itself.
    Ping(Box<SendPing>),
    /// Someone pauses a monitor, resumes it, or gives it another key.
    EditMonitor { no: JobNo, edit: MonitorEdit },
    /// Past times of a job are to be run.
    StartBackfill(Box<StartBackfill>),
    /// Someone pauses, resumes, cancels or bounds a backfill.
    EditBackfill { id: BackfillId, edit: BackfillEdit },
    /// A backfill makes the runs of these times, and is at `next` then; `passed` others need none.
    BackfillStep {
        id: BackfillId,
        cursor: Timestamp,
        times: Vec<Timestamp>,
        next: Timestamp,
        passed: u32,
    },
    /// Something is done to pushes.
    Push(PushStep),
    /// What became of heartbeats of jobs.
    Beaten { fence: Fence, beaten: Vec<Beaten> },
    /// Every member reads this format: from here on it is written.
    RaiseFormat { to: u32 },
    /// A new cluster begins from a backup. It stands in no log: a restore applies it by itself.
    Restored(Box<Restored>),
}

impl Op {
    /// Whether somebody wants it, and the audit has to say who. The others are what nodes do.
    pub fn needs_actor(&self) -> bool {
        match self {
            Op::Bootstrap { .. }
            | Op::PutJob(_)
            | Op::DeleteJob { .. }
            | Op::Trigger(_)
            | Op::Cancel { .. }
            | Op::PauseFlow { .. }
            | Op::CreateUser { .. }
            | Op::ExternalLogin { .. }
            | Op::SetRole { .. }
            | Op::SetPassword { .. }
            | Op::RevokeUser { .. }
            | Op::DeleteUser { .. }
            | Op::CreateToken { .. }
            | Op::DeleteToken { .. }
            | Op::RefreshSession { .. }
            | Op::RotateKey { .. }
            | Op::SetQueue { .. }
            | Op::PutSecretKey { .. }
            | Op::PutSecret { .. }
            | Op::ResealSecret { .. }
            | Op::DeleteSecret { .. }
            | Op::Put(_)
            | Op::Remove { .. }
            | Op::PutMonitor(_)
            | Op::EditMonitor { .. }
            | Op::StartBackfill(_)
            | Op::EditBackfill { .. }
            | Op::Acknowledge { .. }
            | Op::RetryNotice { .. }
            | Op::PauseSink { .. }
            | Op::RewindSink { .. }
            | Op::EditTrigger { .. }
            | Op::Restored(_) => true,
            Op::Push(step) => step.needs_actor(),
            Op::Fire { .. }
            | Op::Skip { .. }
            | Op::Assign { .. }
            | Op::Refuse { .. }
            | Op::Due { .. }
            | Op::Started { .. }
            | Op::Ended { .. }
            | Op::Unbegun { .. }
            | Op::LockBusy { .. }
            | Op::Withdraw { .. }
            | Op::Output { .. }
            | Op::NodeUp { .. }
            | Op::NodeOffers { .. }
            | Op::NodeDraining { .. }
            | Op::NodeLost { .. }
            | Op::NodeRemoved { .. }
            | Op::GiveDuty { .. }
            | Op::DutyMoved { .. }
            | Op::TakeEntries(_)
            | Op::Watch { .. }
            | Op::Window { .. }
            | Op::Delivered { .. }
            | Op::TokenUsed { .. }
            | Op::TokensUsed { .. }
            | Op::SealKey { .. }
            | Op::Note { .. }
            | Op::Trim { .. }
            | Op::DropSecretKey { .. }
            | Op::BackfillStep { .. }
            | Op::Ping(_)
            | Op::Beaten { .. }
            | Op::RaiseFormat { .. } => false,
        }
    }
}

/// A history row to remove.
#[allow(missing_docs, reason = "the text of a variant covers its fields")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrimKey {
    /// A closed run and its output: per attempt, chunk rows below the bound.
    Run {
        id: RunId,
        outputs: Vec<(u32, u32)>,
        /// Stays as the outcome of its nominal time.
        ledger: Option<Box<LedgerRow>>,
    },
    /// A ledger row.
    Ledger { no: JobNo, nominal: Timestamp },
    /// A version of a definition.
    Version { no: JobNo, version: u64 },
    /// A block of the feed of closed runs.
    Feed { first: u64 },
    /// Nothing is left of a deleted job.
    Gone { no: JobNo },
    /// A deleted job is shown to nobody any more; its history goes.
    Forget { no: JobNo },
    /// Events of entries before `from`, in rows that begin at these places; the first that is left
    /// has the number `first`.
    Events { rows: Vec<(u64, u32)>, from: u64, first: u64 },
    /// What is kept of runs that backfills made.
    Backfilled { runs: Vec<RunId> },
    /// Output of a closed run, which goes later: as in `Run`.
    Output { id: RunId, rows: Vec<(u32, u32)> },
    /// Notices and incidents that are over.
    Alerts { notices: Vec<u64>, incidents: Vec<u64> },
}

/// A key that access tokens are signed with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKey {
    /// `kid` of the tokens.
    pub id: Uuid,
    /// 32 random bytes.
    pub secret: [u8; 32],
    /// Creation; none in commands, and for the first of a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When another took its place; none: it signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<Timestamp>,
    /// The secret, sealed with the key that nodes are started with; then `secret` is all zeros.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Box<DataKey>>,
}

impl SigningKey {
    /// A key that signs from when it is put in force.
    pub fn new(id: Uuid, secret: [u8; 32]) -> Self {
        SigningKey { id, secret, created_at: None, retired_at: None, sealed: None }
    }

    /// The same key, its secret sealed.
    #[must_use]
    pub fn sealed(self, sealed: DataKey) -> Self {
        SigningKey { secret: [0; 32], sealed: Some(Box::new(sealed)), ..self }
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.id)
    }
}
