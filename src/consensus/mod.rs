//! The replicated log: commands go in at the leader, and every node applies them in one order.
//!
//! Owns: the consensus library and everything that knows its types, the proposer that turns many
//! commands into one entry, what nodes say to each other, who is a member, who leads, who is
//! alive, and checkpoints. Does not own: what commands mean (`machine`), nor how bytes become
//! durable (`storage`).
//!
//! ```text
//! submit ── asking ─┬─ here: queue ─┐
//!                          └─ forward ─> the leader's asking
//!                                          ├─ proposer: up to 1,024 commands = one entry
//! propose ─> queue ────────────────────────┘        │
//!                                  raft ──> log_store, flushed; network ──> other nodes
//!    answers, in order <── state_machine: machine::apply <── committed
//!                             │ state, events, history rows
//!                             └─ checkpointer: clone, write, publish, purge the log
//! read_barrier ─ barrier ─> the leader, and a majority
//! form ─> contact (twice a second: lease, address) ─> membership (the leader's care) ─> handover
//! pulse: the leader is there; elector: it is missed, by a majority: one of them stands
//! clocks: whose clock may be decided by
//! pace: what the way and the disks take, and how patient all are by it
//! ```
//!
//! Invariants:
//! - Nothing but the proposer writes to the log: one entry costs one flush (ADR 0004).
//! - An answer means durable on a quorum and applied here. An error says whether the command may
//!   still have been applied ([`SubmitError::ambiguous`]).
//! - The machine's state is a checkpoint plus the log after it (ADR 0005), and the log is purged
//!   only as far as a durable checkpoint covers it (ADR 0011).
//! - A command that can't be decoded, or a panic in `apply`, stops the node.
//!
//! To add a member-to-member message: the message in `proto/`, its client in `network`, its
//! server beside it. To change what a checkpoint holds: `wire`'s head, `snapshot` and `recovery`.

mod administer;
mod asking;
mod backup;
mod barrier;
mod carried;
mod checkpointer;
mod clock_care;
mod clocks;
mod contact;
mod convert;
mod count;
mod disk_admission;
mod elector;
mod events;
mod form;
mod format;
mod forward;
mod ground;
mod handle;
mod handover;
mod heartbeat;
mod leadership;
mod local;
mod log_storage;
mod log_store;
mod membership;
mod network;
mod odd_one;
pub mod offline;
mod open;
mod opened;
mod options;
mod pace;
mod presence;
mod proofs;
mod proposal;
mod proposer;
mod proving;
mod published;
mod pulse;
mod purge_guard;
mod recovery;
mod rpc;
mod runtime;
mod snapshot;
mod start;
mod state_machine;
mod status;
mod stop;
mod submit;
mod tail;
mod tasks;
mod transfer;
mod transport;
mod types;
mod waiting;

#[cfg(test)]
mod tests;

pub use asking::beside;
pub use backup::{Backup, BackupError};
pub use events::TooOld;
pub use ground::Ground;
pub use handle::Handle;
pub use leadership::Leadership;
pub use membership::MemberError;
pub use open::open;
pub use opened::OpenError;
pub use options::{Founder, Options, Reach};
pub use presence::{Heard, Member};
pub use proofs::{Compared, ProofOf};
pub use proposal::{Intended, Proposal};
pub use status::{Role, Status};
pub use stop::ShutdownError;
pub use submit::{Committed, SubmitError};
pub use transport::{
    CONNECT_TIMEOUT, Connection, Connector, IdentityError, Listener, Tcp, Tls, Transport, incoming,
};
pub use types::{Node, NodeId};
