//! The versions that a definition went through, and answers to writes that others wrote over.

use serde::Serialize;
use serde_json::{Map, Value};

use super::view::{DefinitionView, may_see, seen, shown, warnings};
use super::{live, no_such, reads};
use crate::machine::history::{DefinitionRow, definition_key, definitions_prefix, unpack};
use crate::machine::{Reply, State};
use crate::model::{Kind, Name, Spec, Timestamp};
use crate::service::jobs::unexpected;
use crate::service::paging::Question;
use crate::service::submit::Done;
use crate::service::{Caller, Error, Page, Paging, Service, Target, Written};
use crate::storage::{Direction, Scan};

/// A version of a definition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DefinitionVersion {
    /// From 1.
    pub version: u64,
    /// When it took effect.
    pub at: Timestamp,
    /// Who made it.
    pub by: String,
    /// `create` or `update`.
    pub verb: String,
    /// The definition, without what the caller may not see.
    pub definition: Map<String, Value>,
}

impl DefinitionVersion {
    fn of(c: &Caller, row: DefinitionRow) -> Self {
        let definition = shown(c, &row.spec);
        let DefinitionRow { version, at, by, verb, .. } = row;
        DefinitionVersion { version, at, by, verb, definition }
    }
}

impl Service {
    /// The versions of a definition, newest first, the last hundred.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Malformed`.
    pub async fn definition_versions(
        &self,
        c: &Caller,
        kind: Kind,
        name: &Name,
        p: Paging,
    ) -> Result<Page<DefinitionVersion>, Error> {
        let no = self.defined(c, kind, name)?;
        let limit = p.limit()?;
        let question = Question::new(&("definition-versions", no));
        let prefix = definitions_prefix(no);
        let mut scan = Scan::prefix(&prefix, Direction::Backward, limit + 1);
        if let Some(last) = question.after::<u64>(&p)? {
            scan = scan.after(&definition_key(no, last));
        }
        let mut items = Vec::new();
        for (_, value) in self.consensus().history().scan(scan).await? {
            items.push(DefinitionVersion::of(c, unpack(&value)?));
        }
        Ok(question.page(items, limit, |version| version.version))
    }

    /// One version of a definition.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn definition_version(
        &self,
        c: &Caller,
        kind: Kind,
        name: &Name,
        version: u64,
    ) -> Result<DefinitionVersion, Error> {
        let no = self.defined(c, kind, name)?;
        let row = self.definition_row(no, version).await?;
        let (what, named) = ("version".to_owned(), format!("{version} of {name}"));
        let row = row.map(|row| DefinitionVersion::of(c, row));
        row.ok_or(Error::NotFound { what, name: named })
    }

    /// The answer to a change of a definition, the first time and every time. `wanted` is what was
    /// to be written.
    pub(super) async fn shown_definition(
        &self,
        c: &Caller,
        state: &State,
        kind: Kind,
        name: &Name,
        wanted: Option<Spec>,
        done: Done,
    ) -> Result<Written<DefinitionView>, Error> {
        let (version, created, changed) = match done.reply {
            Reply::Definition { version, created, changed } => (version, created, changed),
            // In the form of before there were versions.
            Reply::Done => (0, false, true),
            other => return Err(unexpected(&other)),
        };
        let present = state.definitions.get(kind, name.as_str());
        let (value, spec) = match present.filter(|defined| defined.version == version) {
            Some(defined) => (DefinitionView::of(c, state, defined), Some(defined.spec.clone())),
            None if version == 0 => {
                let live = || live::undefined(kind, state).into_iter();
                let spec = wanted.or_else(|| live().find(|spec| spec.name() == name));
                let spec = spec.ok_or_else(|| no_such(kind, name))?;
                (DefinitionView::undefined(c, state, &spec), Some(spec))
            }
            None => {
                let row = match present {
                    Some(present) => self.definition_row(present.no, version).await?,
                    None => None,
                };
                let at = row.as_ref().map(|row| (row.at, row.by.as_str()));
                let spec = row.as_ref().map(|row| row.spec.clone()).or(wanted);
                let spec = spec.ok_or_else(|| no_such(kind, name))?;
                (DefinitionView::past(c, state, &spec, version, at), Some(spec))
            }
        };
        // A repeated request may be of somebody whose role counts for less by now.
        if spec.as_ref().is_some_and(|spec| !may_see(c, spec)) {
            return Err(no_such(kind, name));
        }
        let warnings = spec.map(|spec| warnings(state, &spec)).unwrap_or_default();
        Ok(Written { value, created, changed, warnings, meta: done.meta })
    }

    /// The number of a definition that the caller may see.
    fn defined(&self, c: &Caller, kind: Kind, name: &Name) -> Result<u64, Error> {
        c.permit(reads(kind), Target::Cluster)?;
        let state = self.consensus().state();
        let defined = seen(c, &state, kind, name.as_str())?;
        defined.map(|defined| defined.no).ok_or_else(|| no_such(kind, name))
    }

    async fn definition_row(&self, no: u64, version: u64) -> Result<Option<DefinitionRow>, Error> {
        match self.consensus().history().get(&definition_key(no, version)).await? {
            Some(value) => Ok(Some(unpack(&value)?)),
            None => Ok(None),
        }
    }
}
