//! What of a job's definition its schedule needs, and the two DST choices.

pub use crate::model::{DstFold, DstGap};

/// The input of [`Schedule::parse`](super::Schedule::parse).
#[derive(Debug, Clone, Copy)]
pub struct Definition<'a> {
    /// The job's name: the seed of `H`.
    pub name: &'a str,
    /// Cron text, `@every`, `@at` or an alias; at most [`EXPR_LEN_MAX`](super::EXPR_LEN_MAX) bytes.
    pub expr: &'a str,
    /// IANA name; empty means UTC.
    pub timezone: &'a str,
    /// Unix seconds: the job's creation, from which `@every` counts.
    pub anchor: i64,
    /// Unix seconds: no nominal time before it (inclusive).
    pub start_at: Option<i64>,
    /// Unix seconds: no nominal time after it (inclusive).
    pub end_at: Option<i64>,
    /// What a fixed time does on a day whose clocks jump over it.
    pub dst_gap: DstGap,
    /// What a wall time that comes twice does; `None` is `First` for fixed times and `Both`
    /// when the hour or minute field is a wildcard.
    pub dst_fold: Option<DstFold>,
}
