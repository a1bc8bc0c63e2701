//! Runs that somebody, or something, starts.

use serde::{Deserialize, Serialize};

use super::Place;
use crate::machine::state::Kept;
use crate::model::{EntryId, Fence, JobNo, Name, Parameters, RunId};

/// See [`super::Op::Trigger`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TriggerRun {
    /// The job.
    pub no: JobNo,
    /// The version its parameters were checked against.
    pub version: u64,
    /// All parameters of the run.
    pub parameters: Parameters,
    /// Pass over dependencies and overlap.
    pub force: bool,
    /// The run this one repeats.
    pub cause: Option<RunId>,
    /// Where it may start at once.
    pub place: Option<Place>,
    /// What it takes over from the run that it repeats. Format 6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Box<Kept>>,
}

/// See [`super::Op::TakeEntries`]. They stand in the order of the stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TakeEntries {
    /// The trigger.
    pub trigger: Name,
    /// Of the duty: whoever has an older one is not listened to.
    pub fence: Fence,
    /// What was read.
    pub entries: Vec<Entry>,
}

/// An entry of a stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its id.
    pub id: EntryId,
    /// What becomes of it.
    pub taken: Taken,
}

/// What becomes of an entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Taken {
    /// It starts a run.
    Run(Box<TriggerRun>),
    /// It starts none, for what is in it.
    Refused(String),
}

/// What is asked of a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TriggerEdit {
    /// Nothing is read, or it goes on.
    Pause(bool),
    /// What comes after this entry is taken next, though it may have been before.
    Rewind(EntryId),
}
