//! A heartbeat tells of a run of its job that succeeded.

use cronapi::model::RunStatus;

use crate::history::History;

pub fn check(history: &History<'_>) -> Vec<String> {
    let Some(state) = history.state() else { return Vec::new() };
    let waiting = state.beats.all.iter().filter_map(|(no, beat)| Some((*no, beat.run?)));
    let wrong = waiting.filter(|(no, run)| {
        let run = history.runs.get(run);
        !run.is_some_and(|run| run.id.job_no() == *no && run.status == RunStatus::Succeeded)
    });
    wrong.map(|(no, run)| format!("the heartbeat of job {no} tells of {run}")).collect()
}
