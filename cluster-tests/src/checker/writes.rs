//! Every acknowledged write is there, and was done once.

use std::collections::BTreeSet;

use super::Findings;
use crate::history::{History, Life};

/// Log time is read between sending and acknowledging.
const EDGE_MS: i64 = 100;

pub(super) fn are_there(history: &History, findings: &mut Findings) {
    let mut uids = BTreeSet::new();
    for life in &history.lives {
        if life.uid.is_empty() || !uids.insert(&life.uid) {
            findings.add(&life.name, format!("its uid {:?} is not new", life.uid), Vec::new());
        }
        versions(history, life, findings);
        present(history, life, findings);
        triggered(history, life, findings);
    }
}

fn versions(history: &History, life: &Life, findings: &mut Findings) {
    for (number, version) in (1..).zip(&life.versions) {
        let evidence = || vec![format!("{:?} v{}", version.written, version.version)];
        if version.version != number {
            let what = format!("the {number}. definition has version {}", version.version);
            findings.add(&life.name, what, evidence());
        }
        let (sent, acked) = (version.written.sent, version.written.acked);
        let effective = version.effective;
        let outside = effective < sent.plus_ms(-EDGE_MS) || effective > acked.plus_ms(EDGE_MS);
        if outside && !history.clocks_moved {
            let what = format!("took effect at {effective}, outside the request");
            findings.add(&life.name, what, evidence());
        }
    }
}

fn present(history: &History, life: &Life, findings: &mut Findings) {
    let present = history.present.get(&life.name).filter(|present| present.uid == life.uid);
    match (present, &life.deleted) {
        (Some(present), Some(deleted)) => {
            let evidence = vec![format!("{deleted:?}"), present.text.clone()];
            findings.add(&life.name, "was deleted and is there", evidence);
        }
        (None, None) => {
            let found = history.present.get(&life.name).map(|present| present.text.clone());
            findings.add(&life.name, "was acknowledged and is gone", found.into_iter().collect());
        }
        (Some(present), None) => {
            let last = life.last();
            let mark = format!("generation={}", last.definition.generation);
            let shell = format!(" {} %s %s", last.definition.generation);
            let python = format!("'{}', word", last.definition.generation);
            let texts = [mark, shell, python];
            let own = !last.definition.testifies()
                || texts.iter().any(|text| present.text.contains(text));
            if present.version != last.version || !own {
                let what = format!("the latest definition, v{}, is not there", last.version);
                findings.add(&life.name, what, vec![present.text.clone()]);
            }
        }
        (None, Some(_)) => {}
    }
}

fn triggered(history: &History, life: &Life, findings: &mut Findings) {
    let asked: BTreeSet<&str> = life.triggered.iter().map(|t| t.run_id.as_str()).collect();
    if asked.len() != life.triggered.len() {
        let evidence = life.triggered.iter().map(|t| format!("{t:?}")).collect();
        findings.add(&life.name, "two runs by hand are one", evidence);
    }
    if life.deleted.is_none() {
        for triggered in &life.triggered {
            let run = history.runs.get(&triggered.run_id);
            if run.is_none_or(|run| run.trigger != "manual" || run.job_uid != life.uid) {
                let evidence = vec![format!("{triggered:?}"), format!("run: {run:?}")];
                findings.add(&life.name, "an acknowledged run by hand is not there", evidence);
            }
        }
    }
    let by_hand = history.runs_of(life).filter(|run| run.trigger == "manual");
    for run in by_hand.filter(|run| !asked.contains(run.id.as_str())) {
        findings.add(&life.name, "a run by hand nobody asked for", vec![format!("run: {run:?}")]);
    }
}
