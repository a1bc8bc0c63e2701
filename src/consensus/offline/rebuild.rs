//! A new data directory, whose node is all of a new cluster.
//!
//! Its log is empty and purged up to the entry that made the state; its checkpoint has the state
//! and a membership of this node alone; its history is complete up to there. The file that says
//! whose directory it is comes last: without it a start refuses the directory.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use openraft::CommittedLeaderId;

use crate::consensus::convert::{self, Head};
use crate::consensus::snapshot;
use crate::consensus::types::{LogId, Membership, Node, SnapshotMeta, StoredMembership, Vote};
use crate::machine::{Output, Row, State};
use crate::storage::{
    self, Checkpoints, DirectoryError, Generation, Generations, Identity, Mark, NewDirectory, Write,
};
use crate::wire::proto::HistoryRow;

/// Nobody dials it: the node tells where it is as soon as it leads.
const NOWHERE: &str = "restored.invalid:1";
/// Bytes of rows after which what came is made durable.
const FLUSH_BYTES: usize = 16 * 1024 * 1024;

/// Why there is no new directory.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The directory can't be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// It can't be written.
    #[error(transparent)]
    Storage(#[from] storage::Error),
}

/// A directory in the making: give it the rows, then finish it with the state.
pub struct Rebuilding {
    directory: NewDirectory,
    identity: Identity,
    generation: Generation,
    unflushed: usize,
}

impl Rebuilding {
    /// Begins a directory, which must not exist or be empty.
    ///
    /// # Errors
    /// See [`RebuildError`]; nothing was changed when it is not empty.
    pub fn begin(path: &Path, now_ms: u64) -> Result<Self, RebuildError> {
        let mut identity = Identity::generate(now_ms)?;
        identity.cluster_id = Identity::new_cluster_id()?;
        let directory = NewDirectory::begin(path)?;
        let generation = Generations::on_disk(&directory.join(""), directory.lock())?.open(0)?;
        Ok(Self { directory, identity, generation, unflushed: 0 })
    }

    /// The new cluster.
    pub fn cluster(&self) -> &str {
        &self.identity.cluster_id
    }

    /// The node whose directory it will be.
    pub fn node(&self) -> u64 {
        self.identity.node_id
    }

    /// Adds rows of the history.
    ///
    /// # Errors
    /// They can't be written.
    pub fn rows(&mut self, rows: Vec<HistoryRow>) -> Result<(), storage::Error> {
        self.unflushed += rows.iter().map(|row| row.key.len() + row.value.len()).sum::<usize>();
        self.generation.fill(rows.into_iter().map(|row| (row.key, row.value)))?;
        if self.unflushed >= FLUSH_BYTES {
            self.unflushed = 0;
            self.generation.kv().flush_durable()?;
        }
        Ok(())
    }

    /// Adds the state, as entry `index` of a term after `term` left it, and what that entry wrote.
    ///
    /// # Errors
    /// They can't be written; the directory is of no use then.
    pub fn finish(
        self,
        index: u64,
        term: u64,
        state: &State,
        output: Output,
    ) -> Result<Identity, RebuildError> {
        let Self { directory, identity, generation, .. } = self;
        let put = |row: Row| Some((row.key.into(), row.value?.into()));
        generation.fill(output.rows.into_iter().filter_map(put))?;
        generation.complete(index)?;
        drop(generation);
        let mut identity = identity;
        identity.format = identity.format.max(state.format());
        let node = identity.node_id;
        let id = LogId::new(CommittedLeaderId::new(term + 1, node), index);
        let nodes = BTreeMap::from([(node, Node { addr: NOWHERE.to_owned() })]);
        let membership = Membership::new(vec![BTreeSet::from([node])], nodes);
        let name = snapshot::name(Some(id));
        let meta = SnapshotMeta {
            last_log_id: Some(id),
            last_membership: StoredMembership::new(Some(id), membership),
            snapshot_id: name.clone(),
        };
        let head = convert::seal_head(&Head { meta, installed: true, generation: 0 });
        Checkpoints::open(&directory.join("checkpoints"))?.publish(&name, &head, |mut out| {
            rmp_serde::encode::write_named(&mut out, state).map_err(io::Error::other)
        })?;
        let (id, vote) = (convert::seal_log_id(&id), Vote::new(term + 1, node));
        let writes = vec![
            Write::Mark(Mark::Vote, convert::seal_vote(&vote)),
            Write::Purge { upto: index, mark: id.clone() },
            Write::Mark(Mark::Committed, id),
        ];
        storage::make_log(&directory, &mut identity, writes)?;
        directory.finish(&identity)?;
        Ok(identity)
    }
}
