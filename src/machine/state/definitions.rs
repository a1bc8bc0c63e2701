//! Definitions of every kind but jobs, which have a table of their own.

use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use crate::model::{Kind, Name, Spec, Timestamp};

/// A definition in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Defined {
    /// What it says.
    pub spec: Spec,
    /// From 1, one more with each change. A name that was free in between begins anew.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// Who changed it last.
    pub updated_by: String,
    /// Its number, which none had before and none will have: its versions stand under it.
    #[serde(default)]
    pub no: u64,
}

/// All of them, by kind and name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Definitions(OrdMap<Kind, OrdMap<Name, Arc<Defined>>>);

impl Definitions {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many of a kind there are.
    pub fn count(&self, kind: Kind) -> usize {
        self.0.get(&kind).map_or(0, OrdMap::len)
    }

    /// The definition of that kind and name.
    pub fn get(&self, kind: Kind, name: &str) -> Option<&Arc<Defined>> {
        self.0.get(&kind)?.get(name)
    }

    /// Those of a kind, by name.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = (&Name, &Arc<Defined>)> {
        self.0.get(&kind).into_iter().flat_map(OrdMap::iter)
    }

    /// Those of all kinds.
    pub fn all(&self) -> impl Iterator<Item = (Kind, &Name, &Arc<Defined>)> {
        self.0.iter().flat_map(|(kind, table)| table.iter().map(|(name, d)| (*kind, name, d)))
    }

    pub(in crate::machine) fn put(&mut self, defined: Defined) {
        let (kind, name) = (defined.spec.kind(), defined.spec.name().clone());
        let mut table = self.0.get(&kind).cloned().unwrap_or_default();
        table.insert(name, Arc::new(defined));
        self.0.insert(kind, table);
    }

    pub(in crate::machine) fn remove(&mut self, kind: Kind, name: &Name) {
        let Some(table) = self.0.get_mut(&kind) else { return };
        table.remove(name);
        if table.is_empty() {
            self.0.remove(&kind);
        }
    }
}
