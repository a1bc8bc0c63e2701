//! The audit chain is whole, and has one record for each acknowledged write.

use std::collections::BTreeMap;

use super::Findings;
use crate::history::{Audit, History};
use crate::moment::Moment;
use crate::register::NAME;
use crate::workload::flows;

/// Log time is read between sending and acknowledging.
const EDGE_MS: i64 = 100;

pub(super) fn complete(history: &History, findings: &mut Findings) {
    if let Some(broken) = &history.audit_broken {
        findings.add("", "the audit chain does not verify", vec![broken.clone()]);
    }
    let mut records: BTreeMap<(&str, &str), Vec<&Audit>> = BTreeMap::new();
    for record in history.audit.iter().filter(|record| record.action.starts_with("job.")) {
        records.entry((&record.action, &record.target)).or_default().push(record);
    }
    let mut writes: BTreeMap<(String, &str), Vec<(Moment, Moment)>> = BTreeMap::new();
    for life in &history.lives {
        for written in life.writes() {
            let action = format!("job.{}", written.verb);
            let span = (written.sent.plus_ms(-EDGE_MS), written.acked.plus_ms(EDGE_MS));
            writes.entry((action, &life.name)).or_default().push(span);
        }
    }
    for ((action, target), spans) in &writes {
        let found = records.remove(&(action.as_str(), *target)).unwrap_or_default();
        let missing = spans.iter().filter(|(from, until)| {
            !found.iter().any(|record| *from <= record.at && record.at <= *until)
        });
        let missing: Vec<_> = missing.collect();
        if found.len() != spans.len() || (!missing.is_empty() && !history.clocks_moved) {
            let what = format!("{} records of {} {action}", found.len(), spans.len());
            findings.add(target, what, vec![format!("without a record: {missing:?}")]);
        }
    }
    // Clients of the register do not know which of their writes were done.
    let others = [NAME, flows::NAME];
    for ((action, target), found) in records {
        if others.contains(&target) {
            continue;
        }
        findings.add(target, format!("{action} that nobody asked for"), vec![format!("{found:?}")]);
    }
}
