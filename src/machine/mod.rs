//! The replicated machine: three pure functions, and plumbing elsewhere.
//!
//! ```text
//! prepare(&State, Intent, now) -> Command | Rejection    leader: stamps time, evaluates cron
//! plan(&State, now, ..)        -> commands, wake_at      leader: what is due, who runs it
//! apply(&mut State, Command)   -> Answer, rows, events   every node: the only writer
//! ```
//!
//! Owns: the state, the commands, what they do, what they leave in history, and the
//! invariants that hold between any two of them (`invariants.rs`).
//!
//! Does not own: time (it comes inside commands), bytes on disk, who leads, processes.
//!
//! `apply` reads no clock, chance, time zones or I/O: two nodes with different time-zone
//! data can't diverge, because cron is evaluated in `prepare` and `plan` only and the
//! result travels in the command. docs/adr/0002 and 0003 say why.
//!
//! To add a command: `docs/checklists/command.md`.

pub mod apply;
pub mod chain;
pub mod command;
pub mod event_rows;
pub mod history;
pub mod invariants;
pub mod needs;
mod packed_bytes;
pub mod past;
pub mod plan;
pub mod prepare;
pub mod reply;
pub mod state;

pub use crate::model::Event;
#[cfg(debug_assertions)]
pub use apply::PANIC_FOR_TESTS;
pub use apply::apply_entry;
pub use command::{Command, Op};
pub use history::{Output, Row};
pub use reply::{Answer, Rejection, Reply};
pub use state::State;
