//! Faults, at times drawn from a seed.
//!
//! Owns: the plan of a run, and its execution: what is begun is always ended. Does not own:
//! how a fault is done to processes and links, which is the harness's.
//!
//! `fault.rs` says what there is, `plan.rs` draws from it, `inflict.rs` does it.
//!
//! To add one: a variant of [`Fault`] and of [`Kind`], its place in `plan.rs`, and what it
//! does and how it ends in `inflict.rs`.

mod fault;
mod inflict;
mod plan;

pub use fault::{Fault, Kind, Planned, Who};
pub use inflict::run;
pub use plan::draw;
