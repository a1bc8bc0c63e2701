//! A backfill runs each of its times once, and a run of it is of a time before it was made.

use std::collections::BTreeMap;

use super::Findings;
use crate::history::{History, Run};
use crate::moment::Moment;

pub(super) fn once(history: &History, findings: &mut Findings) {
    let mut seen: BTreeMap<(u64, &str, Moment), &Run> = BTreeMap::new();
    for run in history.runs.values() {
        let evidence = || vec![format!("run: {run:?}")];
        let (id, at) = match (run.trigger == "backfill", run.backfill, run.nominal_time) {
            (false, None, _) => continue,
            (true, Some(id), Some(at)) if at <= run.fired_at => (id, at),
            _ => {
                findings.add(&run.job, "a run of a backfill without its time", evidence());
                continue;
            }
        };
        let key = (id, run.job_uid.as_str(), at);
        if let Some(first) = seen.insert(key, run) {
            let what = format!("backfill {id} ran {at} twice");
            findings.add(&run.job, what, vec![format!("{first:?}"), format!("{run:?}")]);
        }
    }
}
