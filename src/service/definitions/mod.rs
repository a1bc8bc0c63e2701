//! Definitions of every kind but jobs: one service for all of them.
//!
//! Owns: the use cases, what is asked of a caller, the views. Does not own: what a kind is
//! (`model/kind.rs`), what becomes of a write (`machine/apply/definitions.rs`).
//!
//! To add a kind: docs/checklists/kind.md. Only what is shown live of it is written here, in
//! `live.rs`.

mod before;
mod history;
mod live;
mod view;

use serde_json::{Map, Value};

use self::view::may_see;
use super::caller::Granted;
use super::jobs::merge;
use super::monitors::PingKey;
use super::paging::Question;
use super::submit::Judged;
use super::{
    Action, Caller, Error, Meta, Page, Paging, Permit, PutMode, Service, Target, WriteOptions,
    Written,
};
use crate::machine::State;
use crate::machine::prepare::Intent;
use crate::machine::reply::Rejection;
use crate::machine::state::{Defined, FORMAT_OF_KINDS};
use crate::model::kind::Area;
use crate::model::{Kind, Name, Spec};

pub use self::history::DefinitionVersion;
pub use self::view::DefinitionView;
pub(super) use self::view::{SentBack, seen, warnings};

/// What it takes to read definitions of a kind.
fn reads(kind: Kind) -> Action {
    match kind.area() {
        Area::Jobs => Action::ReadJobs,
        Area::Alerts => Action::ReadAlerts,
        Area::Cluster | Area::Outside => Action::ReadCluster,
    }
}

/// What it takes to write definitions of a kind.
pub fn manages(kind: Kind) -> Action {
    match kind.area() {
        Area::Jobs => Action::ManageJobs,
        Area::Cluster => Action::ManageCluster,
        Area::Alerts => Action::ManageAlerts,
        Area::Outside => Action::ManageOutside,
    }
}

/// What a caller is judged by: the whole cluster, or the name and the tags of the definition.
pub(super) fn target<'a>(kind: Kind, name: &'a str, tags: &'a [String]) -> Target<'a> {
    match kind.area() {
        Area::Cluster | Area::Outside => Target::Cluster,
        Area::Jobs => Target::Job { name, tags },
        Area::Alerts => Target::Definition { kind, name, tags },
    }
}

pub(super) fn no_such(kind: Kind, name: impl ToString) -> Error {
    Error::NotFound { what: kind.as_str().into(), name: name.to_string() }
}

impl Service {
    /// The definitions of a kind that the caller may see, by name; those with `q` in their name.
    ///
    /// # Errors
    /// `Forbidden`, `Malformed`.
    pub async fn definitions(
        &self,
        c: &Caller,
        kind: Kind,
        q: Option<&str>,
        p: Paging,
    ) -> Result<Page<DefinitionView>, Error> {
        c.permit(reads(kind), Target::Cluster)?;
        let (limit, question) = (p.limit()?, Question::new(&("definitions", kind, q)));
        let after: Option<Name> = question.after(&p)?;
        let state = self.consensus().state();
        let wanted = |name: &Name| {
            after.as_ref().is_none_or(|after| name > after)
                && q.is_none_or(|q| name.as_str().contains(q))
        };
        let known = state.definitions.of(kind).filter(|(name, _)| wanted(name));
        let known = known.filter(|(_, defined)| may_see(c, &defined.spec));
        let undefined = live::undefined(kind, &state);
        let undefined = undefined.into_iter().filter(|spec| wanted(spec.name()));
        let mut items: Vec<DefinitionView> =
            undefined.map(|spec| DefinitionView::undefined(c, &state, &spec)).collect();
        let of = |(_, defined): (&Name, &std::sync::Arc<Defined>)| {
            DefinitionView::of(c, &state, defined)
        };
        items.extend(known.take(limit + 1).map(of));
        items.sort_by(|a, b| a.name().cmp(b.name()));
        Ok(question.page(items, limit, |item| item.name().to_owned()))
    }

    /// A definition.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn definition(
        &self,
        c: &Caller,
        kind: Kind,
        name: &Name,
    ) -> Result<DefinitionView, Error> {
        c.permit(reads(kind), Target::Cluster)?;
        let state = self.consensus().state();
        if let Some(defined) = seen(c, &state, kind, name.as_str())? {
            return Ok(DefinitionView::of(c, &state, defined));
        }
        let mut undefined = live::undefined(kind, &state).into_iter();
        let found = undefined.find(|spec| spec.name() == name);
        let found = found.ok_or_else(|| no_such(kind, name))?;
        Ok(DefinitionView::undefined(c, &state, &found))
    }

    /// Creates or replaces a definition. Faults are reported all at once; references to what is
    /// not there are warnings.
    ///
    /// # Errors
    /// `Invalid`, `Forbidden`, `Exists`, `NotFound` (update), `Precondition`, `KeyReused`,
    /// `Limit`, `Unavailable`.
    pub async fn put_definition(
        &self,
        c: &Caller,
        kind: Kind,
        mut map: Map<String, Value>,
        mode: PutMode,
        o: WriteOptions,
    ) -> Result<Written<DefinitionView>, Error> {
        c.permit(manages(kind), Target::Cluster)?;
        let back = SentBack::take(kind, &mut map);
        let name = map.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let spec = kind.read(map).map_err(|mut faults| {
            faults.extend(back.faults(c, &self.consensus().state(), &name));
            Error::Invalid(faults)
        })?;
        let key = new_key(kind)?;
        let written = self.write_definition(c, o, kind, spec.name(), Some(&spec), |state| {
            let permit = may_write(c, state, &spec)?;
            back.judge(c, state, spec.name().as_str())?;
            Ok(permit.grants(put_intent(state, spec.clone(), mode, o.expected, key)?))
        });
        let mut written = written.await?;
        if let Some(key) = key.filter(|_| written.created && !written.meta.replayed && !o.dry_run) {
            written.value.tell_key(key);
        }
        Ok(written)
    }

    /// Changes the fields that `patch` (RFC 7396) names.
    ///
    /// # Errors
    /// As [`Service::put_definition`].
    pub async fn patch_definition(
        &self,
        c: &Caller,
        kind: Kind,
        name: &Name,
        patch: Value,
        o: WriteOptions,
    ) -> Result<Written<DefinitionView>, Error> {
        c.permit(manages(kind), Target::Cluster)?;
        let Value::Object(mut patch) = patch else {
            return Err(Error::fault("", "must be a JSON object with the fields to change"));
        };
        if patch.get("name").is_some_and(|given| given.as_str() != Some(name.as_str())) {
            let what = kind.as_str();
            return Err(Error::fault("name", format!("can't be changed; create another {what}")));
        }
        let back = SentBack::take(kind, &mut patch);
        self.write_definition(c, o, kind, name, None, |state| {
            let before = present(c, state, kind, name)?;
            let mut map = before.to_map();
            merge(&mut map, &patch);
            let spec = kind.read(map).map_err(Error::Invalid)?;
            let permit = may_write(c, state, &spec)?;
            back.judge(c, state, name.as_str())?;
            Ok(permit.grants(put_intent(state, spec, PutMode::Update, o.expected, None)?))
        })
        .await
    }

    /// Removes a definition and its versions.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `Precondition`, `KeyReused`, `Unavailable`.
    pub async fn delete_definition(
        &self,
        c: &Caller,
        kind: Kind,
        name: &Name,
        o: WriteOptions,
    ) -> Result<Meta, Error> {
        c.permit(manages(kind), Target::Cluster)?;
        let intend = |state: &State| {
            let spec = present(c, state, kind, name)?;
            let permit = c.permit(manages(kind), target(kind, name.as_str(), spec.tags()))?;
            let intent = match before::removal(state, &spec, o.expected)? {
                Some(intent) => intent,
                None => Intent::Remove { kind, name: name.clone(), expected: o.expected },
            };
            Ok(permit.grants(intent))
        };
        self.write(c, o, intend).await
    }

    /// The version in force, for conditions that name several; none: there is no such definition,
    /// or none that the caller may see.
    pub fn definition_version_now(&self, c: &Caller, kind: Kind, name: &Name) -> Option<u64> {
        let state = self.consensus().state();
        let defined = state.definitions.get(kind, name.as_str())?;
        may_see(c, &defined.spec).then_some(defined.version)
    }

    /// Submits a change of a definition, or only judges it, and shows what came of it. `wanted` is
    /// what it writes, where that does not hang on what is there.
    async fn write_definition(
        &self,
        c: &Caller,
        o: WriteOptions,
        kind: Kind,
        name: &Name,
        wanted: Option<&Spec>,
        intend: impl Fn(&State) -> Result<Granted, Error>,
    ) -> Result<Written<DefinitionView>, Error> {
        let wanted = wanted.cloned();
        if !o.dry_run {
            let done = self.submit(c, o.request, intend).await?;
            let state = self.consensus().state();
            return self.shown_definition(c, &state, kind, name, wanted, done).await;
        }
        let state = self.consensus().state();
        let granted = intend(&state)?;
        let wanted = before::spec_of(granted.intent()).or(wanted);
        let Judged { after, done, .. } = self.judge(c, &state, granted)?;
        self.shown_definition(c, &after, kind, name, wanted, done).await
    }
}

/// The definition that a write is of. One out of scope is refused, as a job is.
fn present(c: &Caller, state: &State, kind: Kind, name: &Name) -> Result<Spec, Error> {
    if let Some(defined) = state.definitions.get(kind, name.as_str()) {
        c.permit(manages(kind), target(kind, name.as_str(), defined.spec.tags()))?;
        return Ok(defined.spec.clone());
    }
    let mut undefined = live::undefined(kind, state).into_iter();
    let limited = undefined.find(|spec| spec.name() == name && before::counts(state, spec));
    limited.ok_or_else(|| no_such(kind, name))
}

/// Whether the caller may put this definition in the place of the one that is there.
fn may_write(c: &Caller, state: &State, spec: &Spec) -> Result<Permit, Error> {
    let (kind, name) = (spec.kind(), spec.name().as_str());
    if let Some(before) = state.definitions.get(kind, name) {
        c.permit(manages(kind), target(kind, name, before.spec.tags()))?;
    }
    c.permit(manages(kind), target(kind, name, spec.tags()))
}

/// What a definition of a set wants of `state`.
pub(super) fn upsert(
    c: &Caller,
    state: &State,
    spec: &Spec,
    back: &SentBack,
    key: Option<PingKey>,
) -> Result<Granted, Error> {
    let permit = may_write(c, state, spec)?;
    back.judge(c, state, spec.name().as_str())?;
    Ok(permit.grants(put_intent(state, spec.clone(), PutMode::Upsert, None, key)?))
}

/// How a definition is put, by what the members of the cluster can read.
fn put_intent(
    state: &State,
    spec: Spec,
    mode: PutMode,
    expected: Option<u64>,
    key: Option<PingKey>,
) -> Result<Intent, Error> {
    if let Some(intent) = before::put(state, &spec, mode, expected)? {
        return Ok(intent);
    }
    let (need, has) = (spec.need(), state.format());
    let needs = need.format.max(FORMAT_OF_KINDS);
    if needs > has {
        return Err(Rejection::UpgradeNeeded { what: need.what, needs, has }.into());
    }
    if spec.kind() == Kind::Monitor {
        let key = key.map(PingKey::hash);
        return Ok(Intent::PutMonitor { spec, mode, expected, key });
    }
    Ok(Intent::Put { spec, mode, expected })
}

/// The key that a monitor gets when it is new.
pub(super) fn new_key(kind: Kind) -> Result<Option<PingKey>, Error> {
    if kind == Kind::Monitor { PingKey::draw().map(Some) } else { Ok(None) }
}
