//! What sinks of rows have in common: which rows events tell of, and where a sink goes on.
//!
//! ```text
//! Line ─> Reader (history, rows `r` and `l`) ─> Rows ─┬─> postgres: one transaction a batch
//! There, Duty ─> begin ─> Plan ───────────────────────┴─> mongodb: upserts, then the position
//! ```
//!
//! Owns: what a row of a run and of a nominal time has in it, the copy of the history of before,
//! and what a database that is behind, ahead or empty means. Does not own: how anything is
//! written, and who may write it.
//!
//! Rows are keyed by what they tell of, and what they tell of has ended: it does not change any
//! more. So the same row written again is the same row.
//!
//! To add a field: `row.rs`, then as `postgres/mod.rs` says.

mod plan;
mod reader;
mod row;

pub(super) use plan::{Place, Plan, There, Words, begin, signed};
pub(super) use reader::{PIECE, Piece, Reader};
pub(super) use row::{LEDGER, RUNS, Rows};
