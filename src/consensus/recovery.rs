//! What a node begins with: the newest usable checkpoint, and the checks that nothing is missing.
//!
//! The log after the checkpoint is applied by the consensus library. Every check here is about
//! losing data without a word: a log, a history or a checkpoint that is shorter than the others
//! say it was.

use super::convert::Head;
use super::log_store::LogStore;
use super::snapshot;
use super::types::SnapshotMeta;
use crate::machine::State;
use crate::storage::{self, Checkpoints, Fatal, Generations, History, Source, off_thread};

/// The machine at the index of a checkpoint.
#[derive(Default)]
pub(super) struct Recovered {
    pub meta: SnapshotMeta,
    pub state: State,
    installed: bool,
    generation: u32,
    source: Option<Source>,
}

impl Recovered {
    /// The checkpoint it was read from, if it was.
    pub fn checkpoint(&self) -> Option<(SnapshotMeta, Source)> {
        self.source.clone().map(|source| (self.meta.clone(), source))
    }

    /// What the name of its history's directory ends with.
    pub fn suffix(&self) -> String {
        if self.generation == 0 { String::new() } else { format!(".{}", self.generation) }
    }

    fn index(&self) -> Option<u64> {
        self.meta.last_log_id.map(|id| id.index)
    }
}

/// Why a data directory can't be gone on from.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecoveryError {
    #[error(transparent)]
    Storage(#[from] storage::Error),
    #[error(
        "no checkpoint can be read ({damaged}) and the log begins after entry {purged}, so the \
         state can't be rebuilt"
    )]
    NoCheckpoint { damaged: String, purged: u64 },
    #[error(
        "the newest checkpoint is damaged ({damaged}), the one before it ends at entry {index}, \
         and the log begins after entry {purged}"
    )]
    Gap { damaged: String, index: u64, purged: u64 },
    #[error("the log ends at entry {log} and the {what} at entry {index}: the log lost entries")]
    LogShort { what: &'static str, log: String, index: u64 },
    #[error("the history ends at entry {history} and the checkpoint at entry {index}")]
    HistoryShort { history: String, index: u64 },
}

/// Reads one checkpoint off the async threads.
async fn read(source: Source) -> Result<Recovered, storage::Error> {
    let blocks = matches!(source, Source::File(_));
    let work = move || {
        let (Head { meta, installed, generation }, state) = snapshot::read(&source)?;
        Ok(Recovered { meta, state, installed, generation, source: Some(source) })
    };
    off_thread(blocks, "read a checkpoint", work).await
}

/// Chooses where to begin, and opens the history that goes with it; or refuses. What nothing
/// refers to is removed only when everything else was found to be in order.
pub(super) async fn recover(
    checkpoints: &Checkpoints,
    log: &LogStore,
    generations: &Generations,
    fatal: Fatal,
) -> Result<(Recovered, History), RecoveryError> {
    let mut damaged = Vec::new();
    let mut chosen = None;
    for (name, source) in checkpoints.list()? {
        match read(source).await {
            Ok(recovered) => {
                chosen = Some(recovered);
                break;
            }
            Err(error) => damaged.push((name, error.to_string())),
        }
    }
    let texts: Vec<&str> = damaged.iter().map(|(_, text)| text.as_str()).collect();
    let text = if texts.is_empty() { "there is none".to_owned() } else { texts.join("; ") };
    let recovered = chosen.unwrap_or_default();
    check_reach(&recovered, log, text)?;
    let history = History::open(generations.open(recovered.generation)?, fatal)?;
    check_ends(&recovered, log, &history)?;
    for (name, reason) in damaged {
        tracing::warn!(%name, %reason, "a damaged checkpoint is set aside; the log replaces it");
        checkpoints.set_aside(&name)?;
    }
    checkpoints.sweep()?;
    generations.sweep(recovered.generation)?;
    Ok((recovered, history))
}

/// The log must go on where the checkpoint ends.
fn check_reach(
    recovered: &Recovered,
    log: &LogStore,
    damaged: String,
) -> Result<(), RecoveryError> {
    let Some(purged) = log.purged().map(|id| id.index) else {
        return Ok(());
    };
    match recovered.index() {
        None => Err(RecoveryError::NoCheckpoint { damaged, purged }),
        Some(index) if index < purged => Err(RecoveryError::Gap { damaged, index, purged }),
        Some(_) => Ok(()),
    }
}

/// Log and history must reach as far as what was built on them. A checkpoint from a leader is
/// built on neither: it came with its history, and the log goes on after it.
fn check_ends(
    recovered: &Recovered,
    log: &LogStore,
    history: &History,
) -> Result<(), RecoveryError> {
    let checkpoint = recovered.index();
    let history = history.durable_index();
    let end = log.last().map(|id| id.index);
    let end = if recovered.installed { end.max(checkpoint) } else { end };
    for (what, index) in [("checkpoint", checkpoint), ("history", history)] {
        if let Some(index) = index
            && end < Some(index)
        {
            return Err(RecoveryError::LogShort { what, log: shown(end), index });
        }
    }
    match checkpoint {
        Some(index) if history < Some(index) => {
            Err(RecoveryError::HistoryShort { history: shown(history), index })
        }
        _ => Ok(()),
    }
}

fn shown(index: Option<u64>) -> String {
    index.map_or("the beginning".to_owned(), |index| index.to_string())
}
