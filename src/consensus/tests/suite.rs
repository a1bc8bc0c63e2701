//! The library's own suite for log stores and state machines, on disk and in memory.

use std::sync::Arc;

use openraft::RaftLogReader;
use openraft::storage::{RaftLogStorage, RaftLogStorageExt};
use openraft::testing::{StoreBuilder, Suite, blank_ent, log_id};
use tempfile::TempDir;

use super::super::count::Count;
use super::super::log_store::LogStore;
use super::super::purge_guard::PurgeGuard;
use super::super::recovery;
use super::super::state_machine::StateMachine;
use super::super::transfer::Transfers;
use super::super::types::{StorageError, TypeConfig};
use crate::model::Span;
use crate::storage::{Checkpoints, Fatal, Generations, KvLog, Limits, Log, MemoryKv, Wal};

/// The two halves that the library drives, on any storage.
pub async fn assemble(
    log: Log,
    checkpoints: Arc<Checkpoints>,
    generations: Arc<Generations>,
) -> (LogStore, StateMachine) {
    let fatal = Fatal::default();
    // The suite purges without a checkpoint.
    let purge_guard = PurgeGuard::upto(u64::MAX);
    let log = LogStore::open(log, purge_guard.clone(), fatal.clone()).unwrap();
    let recovered = recovery::recover(&checkpoints, &log, &generations, fatal.clone()).await;
    let (recovered, history) = recovered.unwrap();
    let transfers = Transfers::new(checkpoints, generations);
    let count = Count::new(None, 1, None);
    (
        log,
        StateMachine::new(
            recovered,
            history,
            transfers,
            purge_guard,
            fatal,
            count,
            Span::from_secs(1),
        ),
    )
}

struct OnDisk;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, TempDir> for OnDisk {
    async fn build(&self) -> Result<(TempDir, LogStore, StateMachine), StorageError> {
        let dir = tempfile::tempdir().unwrap();
        let log = Wal::create(&dir.path().join("wal"), 1, Arc::new(())).unwrap();
        let checkpoints = Checkpoints::open(&dir.path().join("checkpoints")).unwrap();
        let generations = Generations::on_disk(dir.path(), Arc::new(())).unwrap();
        let (checkpoints, generations) = (Arc::new(checkpoints), Arc::new(generations));
        let (log, machine) = assemble(Arc::new(log), checkpoints, generations).await;
        Ok((dir, log, machine))
    }
}

struct InMemory;

impl StoreBuilder<TypeConfig, LogStore, StateMachine> for InMemory {
    async fn build(&self) -> Result<((), LogStore, StateMachine), StorageError> {
        let log = KvLog::over(Arc::new(MemoryKv::new(Limits::LOG)));
        let checkpoints = Arc::new(Checkpoints::in_memory());
        let generations = Arc::new(Generations::in_memory());
        let (log, machine) = assemble(log, checkpoints, generations).await;
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

/// A follower that is sent entries after a hole takes them for those that it lacks.
#[tokio::test]
async fn what_is_sent_to_a_follower_has_no_hole_though_the_log_was_purged() {
    let (_, mut log, _) = InMemory.build().await.unwrap();
    log.blocking_append((0..10).map(|index| blank_ent(1, 1, index))).await.unwrap();
    log.purge(log_id(1, 1, 4)).await.unwrap();
    for (from, found) in [(3, 0), (4, 0), (5, 4), (8, 1)] {
        let entries = log.limited_get_log_entries(from, 9).await.unwrap();
        assert_eq!(entries.len(), found, "from {from}");
        assert!(entries.first().is_none_or(|entry| entry.log_id.index == from));
    }
    let all = log.try_get_log_entries(..).await.unwrap();
    assert_eq!(all.len(), 5, "all there is may begin anywhere");
}
