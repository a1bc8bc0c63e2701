//! A checkpoint as it comes out of a backup.

use std::io::Write;
use std::sync::Arc;

use crate::consensus::snapshot;
use crate::machine::State;
use crate::storage::{self, Source};

/// The machine at an index.
pub struct Picture {
    /// Index of the last entry that it covers.
    pub index: u64,
    /// The term of that entry.
    pub term: u64,
    /// The state.
    pub state: State,
}

/// The bytes of a checkpoint as they come. They are held in memory, as the state will be.
#[derive(Default)]
pub struct Gathering(Vec<u8>);

impl Gathering {
    /// Takes the next bytes.
    pub fn add(&mut self, piece: &[u8]) {
        // Growable memory takes everything.
        let _ = self.0.write_all(piece);
    }

    /// Reads what came.
    ///
    /// # Errors
    /// It is damaged, or of a newer version.
    pub fn finish(self) -> Result<Picture, storage::Error> {
        let (head, state) = snapshot::read(&Source::Memory(Arc::new(self.0)))?;
        let id = head.meta.last_log_id;
        let (index, term) = id.map_or((0, 0), |id| (id.index, id.leader_id.term));
        Ok(Picture { index, term, state })
    }
}
