//! A cluster begins anew from a backup of another one.
//!
//! What the old cluster did after the backup is not known here, and may have been anything. So a
//! nominal time that it may have decided, and a run that it may have started or ended, is not
//! started here: the one is skipped, the other is lost, each with its reason, and nothing follows.

use serde_json::json;

use crate::machine::command::Restored;
use crate::machine::reply::{Answer, Reply};
use crate::machine::state::Wait;
use crate::model::{RunId, RunStatus};

use super::Cx;

/// Fences that the old cluster may have given out since: at 10,000 attempts a second, three years'.
const FENCES: u64 = 1_000_000_000_000;
/// The same for runs, whose number has 42 bits in their id: 1,000 restores.
const RUNS: u64 = 1 << 32;

impl Cx<'_> {
    pub(super) fn restored(&mut self, restored: &Restored) -> Answer {
        let open = self.s.runs.len();
        let held: Vec<_> = self.s.backfills.open.iter().map(|(_, id)| *id).collect();
        for id in held {
            self.pause_backfill(id, Some("the cluster was restored from a backup"));
        }
        self.s.counters.fence += FENCES;
        self.s.counters.run += RUNS;
        if restored.stopped {
            let why = "its cluster was restored from a backup that was taken while it ran";
            let nodes: Vec<_> = self.s.nodes.keys().copied().collect();
            nodes.into_iter().for_each(|node| self.lose_all(node, why));
        } else {
            self.lose_open();
        }
        let duties: Vec<_> = self.s.duties.all.keys().cloned().collect();
        duties.iter().for_each(|key| self.free_duty(key));
        self.begin_sinks_anew();
        self.hold_triggers();
        self.look_at_windows();
        self.hold_notices();
        self.drop_pushes();
        self.drop_beats();
        self.nodes_leave_incidents("the cluster was restored from a backup");
        self.s.nodes.clear();
        let mut settled = 0;
        for job in &restored.settled {
            // Whatever moved since was not prepared on this state: nothing can have.
            settled += u32::from(self.skip(job.no, job.version, job.range, job.next).is_ok());
        }
        self.s.access.keys = vec![restored.signing_key.clone()];
        self.write_format(restored.format);
        let change = json!({
            "cluster": restored.cluster,
            "index": restored.index,
            "as_of": restored.as_of,
            "open_runs": open,
            "skipped_jobs": settled,
        });
        self.audit("cluster.restore", "cluster", change);
        Ok(Reply::Done)
    }

    /// Closes every open run. Those that wait behind others first, so that none takes a place
    /// that is given back; orphans all, so that nothing follows.
    fn lose_open(&mut self) {
        let why = "open when the backup was taken: what became of it in the cluster before is not \
                   known here";
        let behind = |wait: &Option<Wait>| matches!(wait, Some(Wait::Behind { .. }));
        let runs = self.s.runs.values();
        let mut ids: Vec<(bool, RunId)> =
            runs.map(|open| (!behind(&open.wait), open.run.id)).collect();
        ids.sort_unstable();
        self.lose_flows();
        for (_, id) in &ids {
            self.edit_run(*id, |open| open.orphan = true);
        }
        for (_, id) in ids {
            let Some(open) = self.s.runs.get(&id).cloned() else { continue };
            if open.held().is_some() {
                self.lose(id, why);
            } else {
                self.edit_run(id, |open| open.run.error = Some(why.to_owned()));
                self.close(id, RunStatus::Lost, None);
            }
        }
        debug_assert!(self.s.runs.is_empty());
    }
}
