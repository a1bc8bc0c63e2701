//! Columns of what reaches out of the cluster, and into it: sinks and triggers.

use super::{Columns, cell, col, field, time};

pub(in crate::cli) const SINKS: Columns = Columns {
    columns: &[
        col("NAME", |v, _| cell(v, "/name")),
        col("TYPE", |v, _| cell(v, "/type")),
        col("POSITION", |v, _| cell(v, "/position")),
        col("BEHIND", |v, _| cell(v, "/behind")),
        col("NODE", |v, _| cell(v, "/node")),
        col("PAUSED", |v, _| cell(v, "/paused")),
        col("FAULT", |v, _| cell(v, "/fault")),
        col("SINCE", |v, o| time(v, "/since", o)),
    ],
    name: |v| field(v, "/name"),
};

pub(in crate::cli) const TRIGGERS: Columns = Columns {
    columns: &[
        col("NAME", |v, _| cell(v, "/name")),
        col("TYPE", |v, _| cell(v, "/type")),
        col("JOB", |v, _| cell(v, "/job")),
        col("POSITION", |v, _| cell(v, "/position")),
        col("REFUSED", |v, _| cell(v, "/refused")),
        col("NODE", |v, _| cell(v, "/node")),
        col("PAUSED", |v, _| cell(v, "/paused")),
        col("FAULT", |v, _| cell(v, "/fault")),
        col("SINCE", |v, o| time(v, "/since", o)),
    ],
    name: |v| field(v, "/name"),
};
