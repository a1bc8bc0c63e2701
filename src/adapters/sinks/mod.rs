//! Writes events to the sinks whose duty this node has, and records how far each is.
//!
//! ```text
//! history, rows `e` ─> kept ─> Line ─> Out (file, stream, rows) ─> Op::DutyMoved ─> State.duties
//! ```
//!
//! Owns: who writes a sink and from where on, what an event is there, what each type does. Does not
//! own: which node has the duty and how long events are kept (the state, `scheduler/retention`).
//!
//! A sink has a task of its own, so that one that is down holds up no other. It writes in the order
//! of the log, a batch at a time, only while the node's lease holds and the state shows the
//! duty under the fence that the task began with, and only events of entries that this state has.
//! The position that is recorded may lag what was written and never leads it: killed in between,
//! whoever follows writes it again (files, tables) or goes on from what the other side has.
//!
//! Why it is so: docs/adr/0033-sinks.md, docs/adr/0037-rows-of-runs.md. To add a type: a variant
//! of `SinkType` with its fields, a file here, its arms in `out.rs`, a section in docs/sinks.md.

mod file;
mod line;
#[cfg(feature = "redis")]
mod mirror;
#[cfg(feature = "mongodb")]
mod mongodb;
mod out;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "postgres", feature = "mongodb"))]
mod rows;
mod writer;

pub use writer::keep_sinks;
