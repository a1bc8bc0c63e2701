//! Opens a node: takes its data directory, recovers, starts the library and what runs beside it.

use std::sync::Arc;

use super::convert;
use super::handle::Handle;
use super::log_store::LogStore;
use super::opened::{OpenError, Opened, consensus};
use super::options::Options;
use super::purge_guard::PurgeGuard;
use super::recovery::{self, RecoveryError};
use super::start;
use super::transfer::Transfers;
use crate::storage::{
    self, Checkpoints, DataDirectory, DirectoryError, Fatal, Generations, Identities, Identity,
    KvLog, Log, Space,
};

/// Opens a node in its data directory, or a new cluster of one in a new directory. When the node
/// is its cluster's only voter, it leads on return and has applied its whole log, unless that
/// takes long.
///
/// # Errors
/// See [`OpenError`]. A damaged directory is refused, or moved aside if the options say so.
pub async fn open(options: Options) -> Result<Handle, OpenError> {
    let opened = match open_storage(&options).await {
        Err(OpenError::Directory(DirectoryError::Damaged { reason, .. }))
            if options.move_aside_damaged =>
        {
            let aside = DataDirectory::move_aside(&options.data_dir, options.now_ms)?;
            tracing::warn!(%reason, aside = %aside.display(), "damaged data is moved aside");
            open_storage(&options).await?
        }
        other => other?,
    };
    start::start(options, opened).await
}

async fn open_storage(options: &Options) -> Result<Opened, OpenError> {
    let fatal = Fatal::default();
    if let Some(disk) = &options.in_memory {
        let generations = Arc::clone(&disk.generations);
        let transfers = Transfers::new(Arc::clone(&disk.checkpoints), generations);
        let log = KvLog::over(Arc::clone(&disk.log) as _);
        let identities = Identities::in_memory(Arc::clone(&disk.identity));
        let opened = assemble(identities, log, transfers, disk.space.clone(), fatal).await;
        return opened.map_err(consensus);
    }
    let new = Identity::generate(options.now_ms)?;
    let mut directory = DataDirectory::open(&options.data_dir, &new)?;
    let log = storage::open_log(&mut directory, convert::index_of, &|_| ());
    let damaged = |error: storage::Error| match error {
        storage::Error::Damaged { .. } => OpenError::Directory(directory.damaged(error)),
        other => OpenError::Storage(other),
    };
    let log = log.map_err(damaged)?;
    let checkpoints = Checkpoints::open(&directory.join("checkpoints"))?;
    let generations = Generations::on_disk(&directory.join(""), directory.lock())?;
    let transfers = Transfers::new(Arc::new(checkpoints), Arc::new(generations));
    let identity = directory.identity().clone();
    let identities = Identities::in_directory(directory.identity_file(), identity);
    let space = Space::of(directory.join(""))?;
    let opened = assemble(identities, log, transfers, space, fatal).await;
    opened.map_err(|error| match error {
        RecoveryError::Storage(error) => damaged(error),
        other => OpenError::Directory(directory.damaged(other)),
    })
}

async fn assemble(
    identities: Identities,
    log: Log,
    transfers: Transfers,
    space: Space,
    fatal: Fatal,
) -> Result<Opened, RecoveryError> {
    let guard = PurgeGuard::upto(0);
    let log = LogStore::open(log, guard.clone(), fatal.clone())?;
    let (checkpoints, generations) = (transfers.checkpoints(), transfers.generations());
    let recovered = recovery::recover(&checkpoints, &log, &generations, fatal.clone());
    let (recovered, history) = recovered.await?;
    Ok(Opened { identities, log, history, transfers, recovered, guard, space, fatal })
}
