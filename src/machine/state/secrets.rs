//! Secrets, sealed. Nothing here can be read without a key that is not here.

use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::{DataKey, Name, Secret};

/// What the cluster keeps of secrets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Secrets {
    /// Keys that values are sealed with, newest last; several while one takes the place of
    /// another.
    pub keys: Vec<DataKey>,
    /// By name.
    pub items: OrdMap<Name, Arc<Secret>>,
}

impl Secrets {
    /// Whether there never was any.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.items.is_empty()
    }

    /// The key of that id.
    pub fn key(&self, id: Uuid) -> Option<&DataKey> {
        self.keys.iter().find(|key| key.id == id)
    }
}
