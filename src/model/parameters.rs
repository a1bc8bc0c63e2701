//! A run's parameters: a JSON object of at most 32 KiB.

mod defaults;
mod secrets;
mod walk;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use secrets::SecretParameters;

use super::limits::PARAMETERS_BYTES_MAX;

/// A JSON object; clones share it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Parameters(std::sync::Arc<Map<String, Value>>);

impl Parameters {
    /// Wraps `map`; refused past the size limit.
    pub fn new(map: Map<String, Value>) -> Result<Self, String> {
        let parameters = Parameters(std::sync::Arc::new(map));
        let bytes = parameters.to_json().len();
        if bytes > PARAMETERS_BYTES_MAX {
            return Err(format!(
                "are {bytes} bytes of JSON; at most {PARAMETERS_BYTES_MAX} fit, pass a reference"
            ));
        }
        Ok(parameters)
    }

    /// No parameter at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The object.
    pub fn map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The object as a JSON value.
    pub fn to_value(&self) -> Value {
        Value::Object((*self.0).clone())
    }

    /// The object as JSON text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&*self.0).unwrap_or_default()
    }

    /// These, with each of `over` added or put in place; size as in [`Parameters::new`].
    pub fn overlaid(&self, over: &Parameters) -> Result<Self, String> {
        if over.is_empty() {
            return Ok(self.clone());
        }
        let mut map = (*self.0).clone();
        map.extend(over.0.iter().map(|(k, v)| (k.clone(), v.clone())));
        Parameters::new(map)
    }

    /// These, with the defaults of the schema for what is not given; size as in
    /// [`Parameters::new`].
    pub fn with_defaults(self, schema: Option<&Value>) -> Result<Self, String> {
        let Some(schema) = schema else { return Ok(self) };
        match defaults::filled(&self.0, schema)? {
            Some(filled) => Parameters::new(filled),
            None => Ok(self),
        }
    }
}

impl utoipa::PartialSchema for Parameters {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::Object)
            .additional_properties(Some(utoipa::openapi::schema::AdditionalProperties::FreeForm(
                true,
            )))
            .into()
    }
}

impl utoipa::ToSchema for Parameters {}

#[cfg(test)]
mod tests;
