//! What the cluster is asked to do.
//!
//! Owns: definitions, the choice of them from a seed, the writes during a run and the record
//! of what was acknowledged. Does not own: faults, judgement.
//!
//! `definition.rs` says what a job is and how it testifies, `examples.rs` has the ones of the
//! README, `flows.rs` a workflow, `mixed.rs` draws jobs, `operations.rs` edits, pauses, deletes
//! and triggers them.

pub mod definition;
pub mod examples;
pub mod flows;
pub mod mixed;
pub mod operations;
pub mod record;

pub use definition::{Definition, Fails, Overlap, Policy, Retry, Sites, Work};
pub use record::Record;
