//! Data directories and checkpoints while no node runs on them.
//!
//! Owns: a checkpoint read whole, a new data directory made of one. Does not own: the form of a
//! backup (`backup`), nor what is made of a picture (`offline`).
//!
//! To add a check of directories: `inspect`. To add something to what a restore writes: `rebuild`,
//! where it must be durable before the identity is.

mod inspect;
mod picture;
mod rebuild;

pub use inspect::{Fault, Inspected, inspect};
pub use picture::{Gathering, Picture};
pub use rebuild::{RebuildError, Rebuilding};
