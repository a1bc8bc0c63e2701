//! Columns of what is told: incidents, notices, and the browsers that are.

use super::{Columns, cell, col, field, time, wide};
use serde_json::Value;

/// A job by its name, another as `monitor/tape`, `node/2` or `sink/reports`.
fn whose(v: &Value) -> String {
    let other = ["monitor", "node", "sink"].into_iter().find(|kind| !v[*kind].is_null());
    match other {
        Some(kind) => format!("{kind}/{}", field(v, &format!("/{kind}"))),
        None => field(v, "/job"),
    }
}

pub(in crate::cli) const INCIDENTS: Columns = Columns {
    columns: &[
        col("ID", |v, _| cell(v, "/id")),
        col("STATE", |v, _| cell(v, "/state")),
        col("TROUBLE", |v, _| cell(v, "/trouble")),
        col("WHOSE", |v, _| whose(v).into()),
        col("TIMES", |v, _| cell(v, "/troubles")),
        col("SINCE", |v, o| time(v, "/since", o)),
        col("KNOWN TO", |v, _| cell(v, "/acknowledged_by")),
        wide("RULE", |v, _| cell(v, "/rule")),
        wide("RUN", |v, _| cell(v, "/run_id")),
        wide("DETAIL", |v, _| cell(v, "/detail")),
        wide("RESOLVED", |v, o| time(v, "/resolved_at", o)),
    ],
    name: |v| field(v, "/id"),
};

pub(in crate::cli) const NOTICES: Columns = Columns {
    columns: &[
        col("SEQ", |v, _| cell(v, "/seq")),
        col(
            "STATE",
            |v, _| if v["held"] == true { "held".to_owned().into() } else { cell(v, "/state") },
        ),
        col("CHANNEL", |v, _| cell(v, "/channel")),
        col("KIND", |v, _| cell(v, "/kind")),
        col("WHOSE", |v, _| whose(v).into()),
        col("INCIDENT", |v, _| cell(v, "/incident")),
        col("DECIDED", |v, o| time(v, "/at", o)),
        col("TRIES", |v, _| cell(v, "/tries")),
        col("ERROR", |v, _| cell(v, "/error")),
        wide("ENDED", |v, o| time(v, "/ended_at", o)),
        wide("RUN", |v, _| cell(v, "/run_id")),
    ],
    name: |v| field(v, "/seq"),
};

pub(in crate::cli) const PUSHES: Columns = Columns {
    columns: &[
        col("LABEL", |v, _| cell(v, "/label")),
        col("SERVICE", |v, _| cell(v, "/service")),
        col("SENT", |v, o| time(v, "/sent_at", o)),
        col("WAIT", |v, _| cell(v, "/waiting")),
        col("FAULT", |v, _| cell(v, "/fault")),
        col("ID", |v, _| cell(v, "/id")),
        wide("ON", |v, _| cell(v, "/on")),
        wide("CREATED", |v, o| time(v, "/created_at", o)),
    ],
    name: |v| field(v, "/id"),
};
