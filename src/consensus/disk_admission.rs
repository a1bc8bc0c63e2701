//! What a leader does not take while its disk is nearly full (`storage::Pressure`).
//!
//! It is decided here and not in the machine: how full a disk is differs from node to node, and
//! what is in the log is applied by all of them.

use tokio::sync::watch;

use super::handle::Handle;
use super::proposal::{Intended, Proposal};
use super::submit::{Committed, SubmitError};
use crate::machine::prepare::Intent;
use crate::machine::{Op, Rejection};
use crate::storage::Pressure;

impl Handle {
    /// Follows what has to wait until the disk of this node has more room.
    pub fn space(&self) -> watch::Receiver<Pressure> {
        self.running.space.watch()
    }

    /// The answer to a proposal that there is no room for.
    pub(super) fn no_room_for(
        &self,
        proposal: &Proposal,
    ) -> Option<Result<Committed, SubmitError>> {
        match (self.running.space.pressure(), proposal) {
            (Pressure::None, _) => None,
            (_, Proposal::Command(command)) if matches!(command.op, Op::Output { .. }) => {
                let what = "output while the disk of the leader is nearly full".to_owned();
                let answer = Err(Rejection::Limit { what, most: 0 });
                let index = *self.running.published.applied.borrow();
                Some(Ok(Committed { answer, index }))
            }
            // The others free room, or take hardly any.
            (
                Pressure::Writes,
                Proposal::Intent(Intended {
                    intent:
                        Intent::PutJob { .. } | Intent::Trigger { .. } | Intent::TakeEntries { .. },
                    ..
                }),
            ) => Some(Err(SubmitError::NoRoom)),
            _ => None,
        }
    }
}
