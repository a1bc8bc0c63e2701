//! Names of jobs, users, queues and labels: 1 to 128 characters of `[A-Za-z0-9._-]`.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::limits::NAME_LEN_MAX;

/// A checked name; clones share the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// Checks `text`; the error says which rule it breaks.
    pub fn parse(text: &str) -> Result<Name, String> {
        if text.is_empty() {
            return Err("is empty; give 1 to 128 characters of A-Z a-z 0-9 . _ -".into());
        }
        if text.len() > NAME_LEN_MAX {
            return Err(format!(
                "has {} bytes; a name has at most {NAME_LEN_MAX} characters",
                text.len()
            ));
        }
        if let Some(c) = text.chars().find(|c| !allowed(*c)) {
            return Err(format!("has the character {c:?}; a name has only A-Z a-z 0-9 . _ -"));
        }
        if text.chars().all(|c| c == '.') {
            return Err("has only dots, which URLs resolve away; add a letter".into());
        }
        Ok(Name(Arc::from(text)))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Name::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for Name {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .min_length(Some(1))
            .max_length(Some(NAME_LEN_MAX))
            .pattern(Some("^(?=.*[A-Za-z0-9_-])[A-Za-z0-9._-]+$"))
            .into()
    }
}

impl utoipa::ToSchema for Name {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_characters_pass() {
        for good in ["a", "example-job", "A.b_c-9", &"x".repeat(128)] {
            assert!(Name::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a/b", "a b", "ä", "..", ".", "a\n", &"x".repeat(129)] {
            assert!(Name::parse(bad).is_err(), "{bad}");
        }
    }
}
