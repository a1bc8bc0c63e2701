//! The audit chain: each record's hash covers the one before it.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::machine::chain::{chain_hash, hex};
use crate::machine::command::AuditNote;
use crate::machine::reply::{Answer, Reply};
use crate::machine::state::FORMAT_OF_ACCESS;
use crate::model::{AuditRecord, JobSpec, Kind, Timestamp};

use super::Cx;

/// Texts in `change` are cut to this many characters.
const TEXT_MAX: usize = 256;

/// The action of a note about a login that failed: it counts against the next ones.
pub const LOGIN_FAILED: &str = "login.failed";

impl Cx<'_> {
    /// Adds a record of what the command's actor did. Steps of the cluster itself (no
    /// actor) stand in the ledger and are not audited.
    pub(super) fn audit(&mut self, action: &str, target: &str, change: Value) {
        let Some(actor) = self.command.actor.clone() else { return };
        self.push(self.at, actor.name, action, target, actor.from, actor.request_id, change);
    }

    /// Logins and denials.
    pub(super) fn note(&mut self, entries: &[AuditNote]) -> Answer {
        for note in entries {
            #[cfg(debug_assertions)]
            assert_ne!(note.action, super::PANIC_FOR_TESTS);
            let actor = note.actor.clone();
            let change = cut(&note.change);
            let (from, id) = (actor.from, actor.request_id);
            self.push(note.at, actor.name, &note.action, &note.target, from, id, change);
            if note.action == LOGIN_FAILED && self.s.format() >= FORMAT_OF_ACCESS {
                self.login_failed(note);
            }
        }
        Ok(Reply::Done)
    }

    #[allow(clippy::too_many_arguments)]
    fn push(
        &mut self,
        at: Timestamp,
        actor: String,
        action: &str,
        target: &str,
        from: Option<String>,
        request_id: Option<String>,
        change: Value,
    ) {
        self.s.counters.audit += 1;
        let mut record = AuditRecord {
            seq: self.s.counters.audit,
            at,
            actor,
            action: clip(action),
            target: clip(target),
            from,
            request_id,
            change,
            hash: String::new(),
        };
        self.s.audit_hash = chain_hash(&self.s.audit_hash, &record);
        record.hash = hex(&self.s.audit_hash);
        self.out.audit.push(record);
    }
}

/// `{field: {before, after}}` of what differs between two definitions. What a secret may
/// stand in (code, runner, parameters) is told by its hash.
pub(super) fn difference(before: Option<&JobSpec>, after: Option<&JobSpec>) -> Value {
    let map = |spec: Option<&JobSpec>| spec.map(JobSpec::to_map);
    difference_of(Kind::Job.masked(), map(before).as_ref(), map(after).as_ref())
}

/// The same of any definition, as JSON. The fields `masked` are told by their hash.
pub(super) fn difference_of(
    masked: &[&str],
    before: Option<&Map<String, Value>>,
    after: Option<&Map<String, Value>>,
) -> Value {
    let none = Map::new();
    let (old, new) = (before.unwrap_or(&none), after.unwrap_or(&none));
    let mut change = Map::new();
    for field in old.keys().chain(new.keys()) {
        let (was, is) = (old.get(field), new.get(field));
        if was != is && !change.contains_key(field) {
            let show = |value: Option<&Value>| value.map(|v| mask(masked, field, v));
            change.insert(field.clone(), json!({"before": show(was), "after": show(is)}));
        }
    }
    Value::Object(change)
}

fn mask(masked: &[&str], field: &str, value: &Value) -> Value {
    if masked.contains(&field) {
        let digest: [u8; 32] = Sha256::digest(value.to_string().as_bytes()).into();
        return json!(format!("sha256:{}", hex(&digest[..8])));
    }
    cut(value)
}

fn cut(value: &Value) -> Value {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.chars().count() <= TEXT_MAX {
        return value.clone();
    }
    Value::String(clip(&text))
}

fn clip(text: &str) -> String {
    if text.chars().count() <= TEXT_MAX {
        return text.to_string();
    }
    text.chars().take(TEXT_MAX).chain("…".chars()).collect()
}
