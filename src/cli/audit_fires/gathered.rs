//! What is gathered of all jobs, to be held against each other.

use crate::model::{Fence, RunId, Timestamp};

/// A fencing token, and the attempt that has it.
pub(super) struct Held {
    pub(super) fence: Fence,
    pub(super) run: RunId,
    pub(super) attempt: u32,
}

/// A live run that waited for its first attempt.
pub(super) struct Wait {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
    pub(super) run: RunId,
}

/// A start from a queue, and the end of it.
pub(super) struct Start {
    pub(super) queue: String,
    pub(super) at: Timestamp,
    /// When its place was surely still taken.
    pub(super) until: Timestamp,
    pub(super) run: RunId,
}
