//! The nouns of the domain, parsed and validated.
//!
//! Owns: names, instants, durations, identifiers, job definitions, runs, ledger rows,
//! people and tokens, and every limit (`limits.rs`). A value that exists is valid on its
//! own: what only the whole cluster can judge (does the target exist, is there a cycle)
//! belongs to `machine`.
//!
//! Does not own: cron text (`schedule`), decisions (`machine`), bytes (`wire`).
//!
//! Two serialisations are served by the same types: JSON for people (RFC 3339 times,
//! durations as `1m30s`) and MessagePack for the log (integers). They differ only by
//! `is_human_readable`, so such types must not stand inside internally tagged enums:
//! serde buffers those and loses the distinction.
//!
//! To add a job field: `job.rs` (its line in `spec!`, its check), `limits.rs` if it is
//! bounded, docs/jobs.md; then `docs/checklists/job-field.md` has the rest. To add a kind of
//! definition: `docs/checklists/kind.md`.

pub mod access;
pub mod address;
pub mod alert;
pub mod audit;
pub mod backfill;
pub mod bounds;
pub mod duty;
pub mod event;
pub mod fact;
pub mod fields;
pub mod flow;
pub mod ids;
pub mod integers;
pub mod invalid;
pub mod job;
pub mod kind;
pub mod ledger;
pub mod limits;
pub mod lock;
pub mod monitor;
pub mod name;
pub mod notice;
pub mod parameters;
pub mod placement;
pub mod policy;
pub mod push;
pub mod rate;
pub mod run;
pub mod runner;
pub mod secret;
pub mod span;
pub mod span_or_auto;
pub mod stream;
pub mod template;
pub mod time;
pub mod trace;
pub mod workflow;

pub use access::{Actor, ApiToken, External, Role, Scope, Session, User};
pub use alert::{Delivery, Facts, Notice, NoticeEnd, NoticeKind, Notify, Part, Trouble};
pub use audit::{AUDIT_ACTIONS, AuditRecord, audit_actions};
pub use backfill::{
    BackfillCounts, BackfillId, BackfillOrder, BackfillStatus, BackfillWhich, Backfilled, Became,
};
pub use duty::{DutyKey, DutyKind, EntryId, Position};
pub use event::{EVENT_TYPES, Event};
pub use fact::Fact;
pub use ids::{BootId, Fence, JobNo, JobUid, NodeId, RunId};
pub use invalid::Invalid;
pub use job::JobSpec;
pub use kind::{Kind, Spec};
pub use ledger::{LedgerRow, Outcome, SkipReason};
pub use monitor::{Expected, KeyHash, MonitorStatus, PingKind};
pub use name::Name;
pub use notice::{Message, MessageKind};
pub use parameters::Parameters;
pub use placement::Placement;
pub use policy::{
    DstFold, DstGap, Misfire, MisfirePolicy, OnLeaseLost, Overlap, Retention, Retry, RetryOn,
};
pub use push::{PushKey, PushNotice, PushOutcome, PushSubscription, Pushed};
pub use run::{Attempt, Run, RunStatus, Trigger, Usage};
pub use runner::Runner;
pub use secret::{DataKey, Sealed, Secret, SecretRef, Setting};
pub use span::Span;
pub use span_or_auto::SpanOrAuto;
pub use stream::{LogStream, letter};
pub use time::Timestamp;
pub use trace::TraceParent;
pub use workflow::{Task, TaskCounts, TaskEnd, TaskOf};
