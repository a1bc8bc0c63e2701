//! From a job's schedule to its nominal times: cron text, zones, DST, calendars.
//!
//! *Owns*: the dialect of `expr`, what a wall time means in a zone, the stable spread by name
//! (`H`, jitter) and date sets. *Does not own*: what "now" is, what a fire is, catch-up,
//! overlap or storage. Nothing here reads a clock, draws randomness, does I/O or panics.
//!
//! ```text
//! Definition ─ expr ──► expr ──► field, special, every      text  -> sets of values
//!            └ timezone ──► zone                            name  -> offsets
//! Schedule::next_after(t)
//!   nominal: local clock of t ──► wall: next wall time ──► zone: wall -> instant(s) ──► t'
//!                                  │ the `cron` crate on naive time; `days` for L, W, #
//!                                  └ never given a zone: the crate repeats and rewinds in folds
//! ```
//!
//! Instants are unix seconds, UTC (`i64`); a *wall* is what a local clock shows, counted as if
//! it were UTC. Both stay below the year 2100, where the zone data and the crate end.
//!
//! Invariants: `next_after(t) > t`; its cost is bounded for every accepted expression; the same
//! definition gives the same times on every node with the same zone data.
//!
//! To add a field symbol: parse it in `field.rs` (plain values) or `special.rs` (depends on the
//! month), give it a phrase in `describe.rs`, a case in the oracle (`tests/schedule_oracle.rs`)
//! and a row in `docs/schedules.md`. To add an alias: `expr.rs` only.

mod advice;
mod calendar;
mod days;
mod definition;
mod describe;
mod every;
mod expr;
mod fault;
mod field;
mod names;
mod nominal;
mod special;
mod spread;
#[cfg(test)]
mod tests;
mod wall;
mod zone;

pub use calendar::{Calendar, CalendarFault};
pub use definition::{Definition, DstFold, DstGap};
pub use expr::EXPR_LEN_MAX;
pub use fault::Fault;
pub use nominal::Schedule;
pub use spread::spread;
pub use zone::zone_names;

/// The end of schedules: 2100-01-01T00:00:00 (as wall time and as instant), exclusive. The zone
/// data and the `cron` crate say nothing dependable after it.
pub const HORIZON_S: i64 = 4_102_444_800;

/// The edition of the IANA zone data compiled in, such as `2025b`: for version reports.
pub const ZONE_DATA_VERSION: &str = chrono_tz::IANA_TZDB_VERSION;
