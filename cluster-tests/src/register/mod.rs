//! A register: one value that several clients write and read at any node, and the question
//! whether what they were told can have happened one after the other.
//!
//! Owns: the operations, who performs them, and the search for an order of them. Does not
//! own: what goes on in the cluster meanwhile.
//!
//! The register is the `description` of a job without a schedule. Its version rises by one
//! with each write, so an operation knows more than a value: which write it saw. A write whose
//! answer is lost may take effect at any later time, or never.
//!
//! To add an operation: a variant of [`Asked`], what it does in `op.rs`, who sends it in
//! `clients.rs`.

mod clients;
mod culprit;
mod op;
mod search;

pub use clients::{NAME, operate};
pub use culprit::culprit;
pub use op::{Asked, Op, State, Told};
pub use search::{Stuck, order};
