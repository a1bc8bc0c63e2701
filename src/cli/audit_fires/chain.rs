//! The audit: each record's hash covers the one before it.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::model::{Span, Timestamp};

use super::super::exit::{Code, Failure};
use super::Audit;
use super::pages::Pages;
use super::report::{Findings, Report, rule};

/// How much later than its time a note may stand in the chain.
const NOTED_LATE: Span = Span::from_secs(60);

/// What `/audit/verify` answers.
#[derive(serde::Deserialize)]
struct Verdict {
    intact: bool,
    detail: Option<String>,
}

/// Asks every node for its verdict, and works out the hashes of the time that is wanted.
pub(super) async fn check(audit: &Audit, report: &mut Report) -> Result<(), Failure> {
    let mut found = Findings::default();
    for place in 0..audit.client.places() {
        let name = audit.client.name(place);
        match audit.client.get::<Verdict>(place, "/audit/verify?consistency=local").await {
            Ok(Verdict { intact: true, .. }) => {}
            Ok(Verdict { detail, .. }) => {
                let why = detail.unwrap_or_default();
                found.add(rule::AUDIT_CHAIN, format!("{name} says that it is broken: {why}"));
            }
            Err(failure) if failure.code == Code::Access => {
                report.unchecked("the audit, which only an admin may read".to_owned());
                return Ok(());
            }
            Err(failure) => return Err(failure),
        }
    }
    // All of them, not those of the time that is wanted: a note of a login bears the time of the
    // login, and may follow one of a later time from another node.
    let mut records: Pages<'_, Value> = Pages::new(&audit.client, 0, "/audit?limit=1000");
    let mut newer: Option<Value> = None;
    while let Some(record) = records.next().await? {
        let at = time(&record);
        if at.is_some_and(|at| at < audit.wanted.since.minus(NOTED_LATE)) {
            break;
        }
        if at.is_some_and(|at| audit.wanted.since <= at && at < audit.wanted.until) {
            report.records += 1;
        } else if newer.is_none() {
            continue;
        }
        if let Some(fault) = newer.as_ref().and_then(|newer| broken(&record, newer)) {
            found.add(rule::AUDIT_CHAIN, fault);
        }
        newer = Some(record);
    }
    if let Some(fault) = newer.as_ref().filter(|first| first["seq"] == 1).and_then(first) {
        found.add(rule::AUDIT_CHAIN, fault);
    }
    report.add(found);
    Ok(())
}

fn time(record: &Value) -> Option<Timestamp> {
    Timestamp::parse(record["at"].as_str()?).ok()
}

/// What is wrong between two records that should follow each other.
fn broken(older: &Value, newer: &Value) -> Option<String> {
    let seq = |record: &Value| record["seq"].as_u64().unwrap_or_default();
    if seq(newer) != seq(older) + 1 {
        return Some(format!("between records {} and {} some are missing", seq(older), seq(newer)));
    }
    let before = older["hash"].as_str().and_then(bytes);
    judged(&before.unwrap_or_default(), newer)
}

fn first(record: &Value) -> Option<String> {
    judged(&[0; 32], record)
}

fn judged(before: &[u8], record: &Value) -> Option<String> {
    let mut without = record.clone();
    without["hash"] = Value::from("");
    let hash = Sha256::new().chain_update(before).chain_update(without.to_string()).finalize();
    let is = record["hash"].as_str().and_then(bytes);
    let same = is.as_deref() == Some(hash.as_slice());
    (!same).then(|| format!("record {} is not as it was written", record["seq"]))
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pairs = (0..hex.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()).collect()
}
