//! A channel with the values of the secrets that it names.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::model::kind::Define;
use crate::model::kind::channel::ChannelSpec;
use crate::model::{SecretRef, Setting};

/// Stands in the place of a secret.
const HIDDEN: &str = "***";
/// A shorter value would be found in innocent words.
const HIDDEN_BYTES_MIN: usize = 4;

/// A channel that can be spoken to. Its secrets are in memory only, and in no text.
#[derive(Clone)]
pub struct Opened {
    spec: Arc<ChannelSpec>,
    /// By what names them: the same secret may stand twice, with different prefixes.
    values: BTreeMap<(String, String), String>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opened({})", self.spec.name)
    }
}

impl Opened {
    /// Fills the secrets in; `value` gives each with its prefix.
    ///
    /// # Errors
    /// What `value` says of the first that is not to be had.
    pub fn new(
        spec: Arc<ChannelSpec>,
        value: impl Fn(&SecretRef) -> Result<String, String>,
    ) -> Result<Self, String> {
        let mut values = BTreeMap::new();
        for (_, place) in spec.secrets() {
            values.insert(key(place), value(place)?);
        }
        Ok(Opened { spec, values })
    }

    /// The definition.
    pub fn spec(&self) -> &ChannelSpec {
        &self.spec
    }

    /// The value of a setting.
    pub(super) fn setting(&self, setting: &Setting) -> String {
        match setting {
            Setting::Text(text) => text.clone(),
            Setting::Secret(place) => self.secret(place),
        }
    }

    /// The value of a secret.
    pub(super) fn secret(&self, place: &SecretRef) -> String {
        self.values.get(&key(place)).cloned().unwrap_or_default()
    }

    /// A text for people, without the secrets that may be in it.
    pub(super) fn hide(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for ((_, prefix), value) in &self.values {
            for value in [value.as_str(), value.strip_prefix(prefix.as_str()).unwrap_or(value)] {
                if value.len() >= HIDDEN_BYTES_MIN {
                    text = text.replace(value, HIDDEN);
                }
            }
        }
        text
    }
}

fn key(place: &SecretRef) -> (String, String) {
    (place.secret.to_string(), place.prefix.clone())
}
