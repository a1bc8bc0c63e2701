//! What happened, to be counted. Never an input to a decision.

use super::alert::NoticeEnd;
use super::ledger::SkipReason;
use super::monitor::PingKind;
use super::name::Name;
use super::run::{RunStatus, Trigger};

/// One thing that an entry of the log did. Times are in microseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A nominal time got its run, so long after it was due.
    Fired {
        /// From when it was due to the decision, both by the leader's clock; of one that was
        /// decided ahead, to its start by its node's.
        late: u64,
    },
    /// Nominal times that passed undecided, and that the misfire policy leaves at that.
    Missed {
        /// Why they have no run.
        reason: SkipReason,
        /// How many.
        times: u32,
    },
    /// Nominal times that were decided in time, against a run.
    Skipped {
        /// Why.
        reason: SkipReason,
        /// How many.
        times: u32,
    },
    /// An attempt began.
    Started {
        /// Since its run was ready to start.
        waited: Option<u64>,
        /// Since its nominal time, of the first attempt of a scheduled run.
        late: Option<u64>,
    },
    /// The attempt that began is of a task: so long after all that it waited for.
    Step {
        /// From the step of the log that made its turn come to its start by its node's clock.
        took: u64,
    },
    /// A run of a workflow was closed.
    Workflow {
        /// How it ended.
        status: RunStatus,
    },
    /// A run was closed.
    Closed {
        /// How it ended.
        status: RunStatus,
        /// Why there was one.
        trigger: Trigger,
        /// From its first start to its end, when it started.
        took: Option<u64>,
    },
    /// A notice is over.
    Notice {
        /// To whom it was.
        channel: Name,
        /// How it ended.
        end: NoticeEnd,
        /// Since it was decided.
        waited: u64,
    },
    /// A ping of a monitor came.
    Ping {
        /// What it says.
        kind: PingKind,
    },
    /// A monitor is down since no ping came.
    Overdue {
        /// From its deadline to the decision, by log time.
        late: u64,
    },
    /// A notice was counted only: too many wait.
    NoticeLeftOut {
        /// To whom it would have been.
        channel: Name,
    },
}
