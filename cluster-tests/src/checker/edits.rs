//! Nothing of an old definition is decided after the acknowledgement of a new one.

use super::Findings;
use crate::history::{History, Life, Run, Version};
use crate::moment::Moment;

/// From the acknowledgement of a deletion to the end of what was on its way.
const AFTER_DELETION_MS: i64 = 5_000;

pub(super) fn count(history: &History, findings: &mut Findings) {
    for life in &history.lives {
        for (at, version) in life.versions.iter().enumerate() {
            let next = life.versions.get(at + 1);
            let until = next.map_or(Moment(i64::MAX), |next| next.written.sent);
            version_rules(history, life, version, until, findings);
        }
        witnessed(history, life, findings);
    }
}

fn version_rules(
    history: &History,
    life: &Life,
    version: &Version,
    until: Moment,
    findings: &mut Findings,
) {
    let acked = version.written.acked;
    let told = format!(
        "{} to v{} acknowledged at {acked}, next change sent at {until:?}",
        version.written.verb, version.version
    );
    // A backfill keeps the version that it was begun with, and is not held up by a pause.
    let fired = |run: &&Run| run.fired_at > acked && run.backfill.is_none();
    for run in history.runs_of(life).filter(fired) {
        let evidence = || vec![told.clone(), format!("run: {run:?}")];
        if run.version < version.version {
            findings.add(&life.name, "fired with an old version", evidence());
        }
        let paused = !version.definition.enabled && run.fired_at < until;
        let by_itself = run.trigger == "schedule"
            || (run.trigger != "manual" && run.skip.as_deref() != Some("paused"));
        if paused && by_itself {
            findings.add(&life.name, "fired while it was paused", evidence());
        }
    }
}

/// The witness carries the edit itself, whatever the API says.
fn witnessed(history: &History, life: &Life, findings: &mut Findings) {
    let marks = history.marks.iter().filter(|mark| mark.job == life.name && !mark.end);
    for mark in marks {
        let show = || vec![format!("witness: {}  ({})", mark.line(), mark.at)];
        let run = history.runs.get(&mark.run);
        if let Some(run) = run.filter(|run| run.job_uid == life.uid)
            && let Some(version) = life.version(run.version)
            && version.definition.generation != mark.generation
        {
            let what = format!("v{} ran the source of another version", run.version);
            findings.add(&life.name, what, show());
        }
        // Nominal times after an acknowledgement, of whichever life of the name.
        let own = life.versions.iter().any(|v| v.definition.generation == mark.generation);
        let Some(nominal) = mark.nominal.filter(|_| own) else { continue };
        let newer = life.versions.iter().find(|version| {
            version.definition.generation > mark.generation && version.written.acked < nominal
        });
        if let Some(newer) = newer {
            let what = format!("the source of before v{} ran after its edit", newer.version);
            findings.add(&life.name, what, show());
        }
        if let Some(deleted) = &life.deleted {
            let late =
                mark.at > deleted.acked.plus_ms(AFTER_DELETION_MS) && !history.unsettled(mark.at);
            if nominal > deleted.acked || late {
                findings.add(&life.name, "ran after its deletion", show());
            }
        }
    }
}
