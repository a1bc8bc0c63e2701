//! What is done to pushes.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::{Fence, PushKey, PushSubscription, Pushed, Session};

/// What is done to pushes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PushStep {
    /// The key that pushes are signed with: the first, or the same one sealed anew.
    PutKey {
        /// The key.
        key: Box<PushKey>,
        /// There is one already, which this one takes the place of.
        again: bool,
    },
    /// A browser is to be told.
    Subscribe {
        /// What it gave, and who asks for it.
        subscription: Box<PushSubscription>,
        /// Where the caller is logged in.
        session: Option<Session>,
    },
    /// It is not to be told any more.
    Unsubscribe {
        /// Which.
        id: Uuid,
    },
    /// What became of pushes.
    Done {
        /// The fence of whoever sent them.
        fence: Fence,
        /// Each with what became of it.
        pushed: Vec<Pushed>,
    },
}

impl PushStep {
    /// Whether somebody has to have asked for it.
    pub fn needs_actor(&self) -> bool {
        match self {
            PushStep::Subscribe { .. } | PushStep::Unsubscribe { .. } => true,
            PushStep::PutKey { .. } | PushStep::Done { .. } => false,
        }
    }
}
