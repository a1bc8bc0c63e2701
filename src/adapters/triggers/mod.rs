//! Reads the triggers whose duty this node has: each entry of a stream starts a run.
//!
//! ```text
//! Redis, XRANGE ─> Entry ─> Intent::TakeEntries ─> leader: parameters, version ─> Op::TakeEntries
//!                                    runs, and how far the stream was read: one entry of the log
//! ```
//!
//! Owns: what is read of a stream, and what of an entry are parameters. Does not own: which node
//! reads (the state), whether a run may start (`machine`).
//!
//! Nothing is written to the stream, and no group of Redis remembers what was read: the position
//! stands in the log, in the same entry as the runs. So a run is started once, though a reader that
//! was taken for dead goes on: its fence is refused, and so is what was taken before.
//!
//! What is wrong with an entry is told, and the next one is taken. What is wrong with the cluster
//! (the job is not there, its queue is full) is waited for: nothing is passed over.
//!
//! Why it is so: docs/adr/0041-triggers.md. To add a type: a variant of `TriggerType` with its
//! fields, a file here beside `stream`, an arm in `reader.rs`, a section in docs/triggers.md.

#[cfg(feature = "redis")]
mod entry;
mod reader;
#[cfg(feature = "redis")]
mod stream;

pub use reader::keep_triggers;
