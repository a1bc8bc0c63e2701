//! What runs beside the library, and how each of it is stopped.

use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What runs beside the library, in the order it is stopped.
pub(super) struct Tasks {
    pub proposer: JoinHandle<()>,
    /// What talks to other nodes, and answers them.
    pub beside: Vec<JoinHandle<()>>,
    pub checkpointer: JoinHandle<()>,
    pub write_behind: JoinHandle<()>,
    pub leadership: JoinHandle<()>,
    pub stop_proposer: watch::Sender<bool>,
    pub stop_beside: watch::Sender<bool>,
    pub stop_checkpointer: watch::Sender<bool>,
    pub stop_rest: watch::Sender<bool>,
}
