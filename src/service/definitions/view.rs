//! What answers show of a definition, and what of it may be sent back.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{live, manages, no_such, reads, target};
use crate::machine::State;
use crate::machine::state::Defined;
use crate::model::{Invalid, Kind, Name, Spec, Timestamp};
use crate::service::monitors::PingKey;
use crate::service::views::SECRET;
use crate::service::{Caller, Error};

/// A definition with what the cluster knows of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct DefinitionView {
    /// Its fields, and beside them `version`, `created_at`, `updated_at`, `updated_by` and what is
    /// live.
    fields: Map<String, Value>,
}

/// What the cluster sets of every definition, and a version has.
const STAMPS: [&str; 4] = ["version", "created_at", "updated_at", "updated_by"];

impl DefinitionView {
    pub(super) fn of(c: &Caller, state: &State, defined: &Defined) -> Self {
        let stamps = [
            json!(defined.version),
            json!(defined.created_at),
            json!(defined.updated_at),
            json!(defined.updated_by),
        ];
        Self::with(c, state, &defined.spec, stamps)
    }

    /// One that stands in no table: it has no version.
    pub(super) fn undefined(c: &Caller, state: &State, spec: &Spec) -> Self {
        Self::with(c, state, spec, [const { Value::Null }; 4])
    }

    /// As it was at a version that is not in force any more.
    pub(super) fn past(
        c: &Caller,
        state: &State,
        spec: &Spec,
        version: u64,
        at: Option<(Timestamp, &str)>,
    ) -> Self {
        let (at, by) = (at.map(|(at, _)| at), at.map(|(_, by)| by));
        let created = state.definitions.get(spec.kind(), spec.name().as_str());
        let created = created.map(|defined| defined.created_at);
        Self::with(c, state, spec, [json!(version), json!(created), json!(at), json!(by)])
    }

    fn with(c: &Caller, state: &State, spec: &Spec, stamps: [Value; 4]) -> Self {
        let mut fields = shown(c, spec);
        fields.extend(STAMPS.map(str::to_owned).into_iter().zip(stamps));
        fields.extend(live::fields(spec.kind(), state, spec.name()));
        DefinitionView { fields }
    }

    /// Tells the key that a monitor got, which is not told again.
    pub(super) fn tell_key(&mut self, key: PingKey) {
        self.fields.insert("ping_path".into(), key.path().into());
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.fields.get("name").and_then(Value::as_str).unwrap_or_default()
    }

    /// Its version; none: it is not defined.
    pub fn version(&self) -> Option<u64> {
        self.fields.get("version").and_then(Value::as_u64)
    }
}

/// The definition, without what the caller may not see.
pub(super) fn shown(c: &Caller, spec: &Spec) -> Map<String, Value> {
    let (kind, mut map) = (spec.kind(), spec.to_map());
    let may = c.permit(manages(kind), target(kind, spec.name().as_str(), spec.tags())).is_ok();
    if !may {
        for field in kind.masked() {
            if let Some(value) = map.get_mut(*field) {
                *value = json!(SECRET);
            }
        }
    }
    map
}

/// Whether the caller may see a definition.
pub(super) fn may_see(c: &Caller, spec: &Spec) -> bool {
    let kind = spec.kind();
    c.permit(reads(kind), target(kind, spec.name().as_str(), spec.tags())).is_ok()
}

/// The definition of that name, as if there were none where the caller may not see it.
pub(in crate::service) fn seen<'a>(
    c: &Caller,
    state: &'a State,
    kind: Kind,
    name: &str,
) -> Result<Option<&'a Arc<Defined>>, Error> {
    match state.definitions.get(kind, name) {
        Some(defined) if may_see(c, &defined.spec) => Ok(Some(defined)),
        Some(_) => Err(no_such(kind, name)),
        None => Ok(None),
    }
}

/// What answers show and only the cluster sets, when it comes with a definition: what was read may
/// be sent back as it is. What is live changes by itself and is not looked at.
pub(in crate::service) struct SentBack {
    kind: Kind,
    given: Map<String, Value>,
}

impl SentBack {
    /// Takes it out of `map`.
    pub(in crate::service) fn take(kind: Kind, map: &mut Map<String, Value>) -> Self {
        let mut given = Map::new();
        for field in STAMPS {
            if let Some(value) = map.shift_remove(field).filter(|value| !value.is_null()) {
                given.insert(field.to_owned(), value);
            }
        }
        for (field, _) in kind.live() {
            map.shift_remove(field);
        }
        map.shift_remove("warnings");
        SentBack { kind, given }
    }

    /// What of it is not as it is now.
    pub(in crate::service) fn faults(&self, c: &Caller, state: &State, name: &str) -> Vec<Invalid> {
        if self.given.is_empty() {
            return Vec::new();
        }
        let defined = state.definitions.get(self.kind, name);
        if defined.is_some_and(|defined| !may_see(c, &defined.spec)) {
            return Vec::new();
        }
        let present = defined.map(|defined| DefinitionView::of(c, state, defined).fields);
        let other = |(field, value): (&String, &Value)| {
            let now = present.as_ref().and_then(|present| present.get(field));
            if now == Some(value) || same_time(now, value) {
                return None;
            }
            let what = self.kind.as_str();
            let detail = match now {
                None => "is set by the cluster; leave it out".to_owned(),
                Some(now) => format!(
                    "is set by the cluster and is {now} now: the {what} was changed since it was \
                     read; read it again, or leave the field out"
                ),
            };
            Some(Invalid::new(field, detail))
        };
        self.given.iter().filter_map(other).collect()
    }

    /// Refuses it unless it is as it is now.
    pub(in crate::service) fn judge(
        &self,
        c: &Caller,
        state: &State,
        name: &str,
    ) -> Result<(), Error> {
        let faults = self.faults(c, state, name);
        if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
    }
}

/// Whether both are the same instant, in other words perhaps.
fn same_time(now: Option<&Value>, given: &Value) -> bool {
    let read = |value: &Value| Timestamp::parse(value.as_str()?).ok();
    now.and_then(read).is_some_and(|now| read(given) == Some(now))
}

/// What is said of what a definition names and is not there.
pub(in crate::service) fn warnings(state: &State, spec: &Spec) -> Vec<String> {
    let lacks = |kind: Kind, name: &Name| match kind {
        Kind::Job => state.job(name.as_str()).is_none(),
        kind => state.definitions.get(kind, name.as_str()).is_none(),
    };
    let named = spec.references().into_iter();
    let unresolved = named.filter(|reference| lacks(reference.kind, &reference.name));
    let told = unresolved.map(|reference| {
        let (field, what) = (&reference.field, reference.kind.as_str());
        format!("{field}: there is no {what} {}; it counts once there is one", reference.name)
    });
    let missing = spec.secrets();
    let missing =
        missing.iter().filter(|(_, place)| !state.secrets.items.contains_key(&place.secret));
    let missing = missing.map(|(field, place)| {
        let name = &place.secret;
        format!("{field}: there is no secret {name}; an admin gives it with PUT /secrets/{name}")
    });
    told.chain(missing).collect()
}
