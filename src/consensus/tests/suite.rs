//! The library's own suite for log stores and state machines, on disk and in memory.

use std::sync::Arc;

use openraft::testing::{StoreBuilder, Suite};
use tempfile::TempDir;

use super::super::log_store::LogStore;
use super::super::recovery;
use super::super::state_machine::StateMachine;
use super::super::types::{StorageError, TypeConfig};
use crate::storage::{Checkpoints, Fatal, History, Kv, Limits, Log, MemoryKv, Profile, SledKv};

/// The two halves that the library drives, on any storage.
pub async fn assemble(
    log: Arc<dyn Kv>,
    state: Arc<dyn Kv>,
    checkpoints: Arc<Checkpoints>,
) -> (LogStore, StateMachine) {
    let fatal = Fatal::default();
    let log = LogStore::open(Log::new(log), fatal.clone()).unwrap();
    let history = History::open(state, fatal.clone()).unwrap();
    let recovered = recovery::recover(&checkpoints, &log, &history).await.unwrap();
    (log, StateMachine::new(recovered, history, checkpoints, fatal))
}

struct OnDisk;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, TempDir> for OnDisk {
    async fn build(&self) -> Result<(TempDir, LogStore, StateMachine), StorageError> {
        let dir = tempfile::tempdir().unwrap();
        let open = |name, profile| {
            Arc::new(SledKv::open(&dir.path().join(name), profile, Arc::new(())).unwrap())
        };
        let (log, state) = (open("log", Profile::Log), open("state", Profile::State));
        let checkpoints = Checkpoints::open(&dir.path().join("checkpoints")).unwrap();
        let (log, machine) = assemble(log, state, Arc::new(checkpoints)).await;
        Ok((dir, log, machine))
    }
}

struct InMemory;

impl StoreBuilder<TypeConfig, LogStore, StateMachine> for InMemory {
    async fn build(&self) -> Result<((), LogStore, StateMachine), StorageError> {
        let (log, state) = (MemoryKv::new(Limits::LOG), MemoryKv::new(Limits::STATE));
        let (log, machine) =
            assemble(Arc::new(log), Arc::new(state), Arc::new(Checkpoints::in_memory())).await;
        Ok(((), log, machine))
    }
}

#[test]
fn the_suite_passes_on_disk() {
    Suite::test_all(OnDisk).unwrap();
}

#[test]
fn the_suite_passes_in_memory() {
    Suite::test_all(InMemory).unwrap();
}
