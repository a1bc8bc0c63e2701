//! Never more attempt starts of a queue in any window of time than its rates allow, by the times of
//! the log and by what was seen; whoever led.

use std::collections::BTreeMap;

use cronapi::model::{Kind, Spec, Timestamp};

use crate::history::History;

pub fn check(history: &History<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    let Some(state) = history.state() else { return broken };
    let mut starts: BTreeMap<String, Vec<(Timestamp, u64)>> = BTreeMap::new();
    for run in history.runs.values() {
        let Some(queue) = history.spec_of(run).and_then(|spec| spec.queue) else { continue };
        let of = starts.entry(queue.to_string()).or_default();
        of.extend(run.attempts.iter().map(|attempt| (attempt.assigned_at, attempt.fence)));
    }
    for (name, mut starts) in starts {
        let Some(defined) = state.definitions.get(Kind::Queue, &name) else { continue };
        let Spec::Queue(queue) = &defined.spec else { continue };
        starts.retain(|(at, _)| *at > defined.updated_at);
        starts.sort_unstable();
        for rate in &queue.rates {
            let most = rate.limit as usize;
            let full = |window: &&[(Timestamp, u64)]| window[most].0 < window[0].0.plus(rate.per);
            if let Some(window) = starts.windows(most + 1).find(full) {
                let (from, until) = (window[0].0, window[most].0);
                broken.push(format!("queue {name}: {} starts from {from} to {until}", most + 1));
            }
        }
    }
    broken
}
