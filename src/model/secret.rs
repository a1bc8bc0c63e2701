//! Secrets: values that jobs name and nobody reads.

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use super::access::Scope;
use super::name::Name;
use super::time::Timestamp;

/// The place of a secret in a definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretRef {
    /// The name of the secret.
    pub secret: Name,
    /// Comes before its value: `Bearer `.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schema(required = false, max_length = 256)]
    pub prefix: String,
}

/// A value in a definition: a text, or the place of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Setting {
    /// The text itself.
    Text(String),
    /// It is filled in where the job runs.
    Secret(SecretRef),
}

impl Setting {
    /// The text, unless it is a secret.
    pub fn text(&self) -> Option<&str> {
        match self {
            Setting::Text(text) => Some(text),
            Setting::Secret(_) => None,
        }
    }

    /// The secret that it is.
    pub fn secret(&self) -> Option<&SecretRef> {
        match self {
            Setting::Text(_) => None,
            Setting::Secret(place) => Some(place),
        }
    }

    /// What of it stands in the definition: the text, or what comes before the secret.
    pub fn fixed(&self) -> &str {
        match self {
            Setting::Text(text) => text,
            Setting::Secret(place) => &place.prefix,
        }
    }
}

impl From<&str> for Setting {
    fn from(text: &str) -> Self {
        Setting::Text(text.to_owned())
    }
}

// By hand, so that what is wrong can be told: "data did not match any variant" helps nobody.
impl<'de> Deserialize<'de> for Setting {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Setting;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text or {\"secret\": \"name\"}")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Setting, E> {
                Ok(Setting::Text(text.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Setting, A::Error> {
                let map = de::value::MapAccessDeserializer::new(map);
                SecretRef::deserialize(map).map(Setting::Secret)
            }
        }
        d.deserialize_any(Either)
    }
}

/// Bytes that only the holder of a key can read.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The data key they are sealed with.
    pub key: Uuid,
    /// Used once.
    pub nonce: [u8; 24],
    /// Ciphertext and tag.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} bytes)", self.bytes.len())
    }
}

/// A key of the cluster, itself sealed with a key that nodes are started with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataKey {
    /// Its name; also in `sealed`.
    pub id: Uuid,
    /// Names the key it is sealed with: a part of that key's digest.
    pub under: String,
    /// The key itself.
    pub sealed: Sealed,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// Its name.
    pub name: Name,
    /// From 1; one more at each new value.
    pub version: u64,
    /// The jobs that may use it. Empty: all.
    pub jobs: Scope,
    /// When it was first given.
    pub created_at: Timestamp,
    /// When it was last given.
    pub updated_at: Timestamp,
    /// Who gave it last.
    pub updated_by: String,
    /// The value.
    pub sealed: Sealed,
}
