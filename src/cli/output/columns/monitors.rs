//! How monitors, their pings, and windows are shown.

use super::{Columns, cell, col, field, time};

pub(in crate::cli) const MONITORS: Columns = Columns {
    columns: &[
        col("NAME", |v, _| cell(v, "/name")),
        col("STATUS", |v, _| cell(v, "/status")),
        col("LAST PING", |v, o| time(v, "/last_ping_at", o)),
        col("DUE", |v, o| time(v, "/expected_at", o)),
        col("DOWN AT", |v, o| time(v, "/deadline", o)),
        col("PINGS", |v, _| cell(v, "/pings")),
    ],
    name: |v| field(v, "/name"),
};

pub(in crate::cli) const WINDOWS: Columns = Columns {
    columns: &[
        col("NAME", |v, _| cell(v, "/name")),
        col("MODE", |v, _| cell(v, "/mode")),
        col("ACTIVE", |v, _| cell(v, "/active")),
        col("UNTIL", |v, o| time(v, "/until", o)),
        col("DEFERRED", |v, _| cell(v, "/deferred")),
        col("REASON", |v, _| cell(v, "/reason")),
    ],
    name: |v| field(v, "/name"),
};

pub(in crate::cli) const PINGS: Columns = Columns {
    columns: &[
        col("SEQ", |v, _| cell(v, "/seq")),
        col("AT", |v, o| time(v, "/at", o)),
        col("KIND", |v, _| cell(v, "/kind")),
        col("EXIT", |v, _| cell(v, "/exit_code")),
        col("FROM", |v, _| cell(v, "/from")),
        col("BYTES", |v, _| cell(v, "/body_bytes")),
    ],
    name: |v| field(v, "/seq"),
};
