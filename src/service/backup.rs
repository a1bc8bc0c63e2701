//! A backup of the cluster, from the node that is asked.

use bytes::Bytes;
use serde_json::json;

use super::{Action, Caller, Error, Service, Target};
use crate::backup::Encoder;
use crate::consensus::{self, BackupError};
use crate::machine::Op;
use crate::machine::command::AuditNote;

const ACTION: &str = "backup.take";

/// A backup under way: ask for its bytes until there are no more.
pub struct BackupStream {
    /// Index of the last entry that it covers.
    pub index: u64,
    first: Option<Bytes>,
    backup: consensus::Backup,
    encoder: Option<Encoder>,
}

impl BackupStream {
    /// The next bytes of the file, or `None` after the last.
    ///
    /// # Errors
    /// `Internal`: something can't be read. What was given so far is no backup.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let Some(mut encoder) = self.encoder.take() else { return Ok(None) };
        match self.backup.next().await? {
            Some(part) => {
                let bytes = encoder.part(part).map_err(internal)?;
                self.encoder = Some(encoder);
                Ok(Some(bytes))
            }
            None => encoder.end().map(Some).map_err(internal),
        }
    }
}

impl Service {
    /// Begins a backup: everything that was committed before the call, and all of it as it was
    /// at one index. With `local`, what this node has applied: for a node without a leader.
    ///
    /// # Errors
    /// `Forbidden`, `Conflict` when this node gives one already, `Unavailable`.
    pub async fn backup(&self, c: &Caller, local: bool) -> Result<BackupStream, Error> {
        let right = c.permit(Action::BackUp, Target::Cluster)?.right(c);
        let least = if local {
            self.remark(c, ACTION, "cluster", json!({ "consistency": "local" }));
            0
        } else {
            // Written down before the first byte leaves, and so part of what leaves.
            let (action, target) = (ACTION.to_owned(), "cluster".to_owned());
            let (at, actor) = (self.now(), c.actor.clone());
            let change = json!({ "node": self.consensus().node_id() });
            let entries = vec![AuditNote { at, actor, action, target, change }];
            self.plain(right, Op::Note { entries }).await?
        };
        let backup = self.consensus().backup(least).await.map_err(Error::from)?;
        let index = backup.header().index;
        let (encoder, first) = Encoder::begin(backup.header(), None).map_err(internal)?;
        Ok(BackupStream { index, first: Some(first), backup, encoder: Some(encoder) })
    }
}

fn internal(error: crate::backup::Error) -> Error {
    Error::Internal(error.to_string())
}

impl From<BackupError> for Error {
    fn from(error: BackupError) -> Self {
        let detail = error.to_string();
        match error {
            BackupError::Busy => Error::Conflict { code: "backup-running", detail },
            BackupError::NoCheckpoint => Error::unavailable(detail, false),
            BackupError::Storage(_) => Error::Internal(detail),
        }
    }
}
