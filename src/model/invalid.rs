//! One fault in what a caller sent: where and what to do. Faults are collected, so that
//! a person mends all of them at once.

use serde::{Deserialize, Serialize};

/// A field that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Invalid {
    /// JSON pointer (RFC 6901) into the body, such as `/retry/max_attempts`.
    pub pointer: String,
    /// What is wrong and what to do about it.
    pub detail: String,
}

impl Invalid {
    /// A fault at `pointer`; a leading `/` is added when it is missing.
    pub fn new(pointer: impl AsRef<str>, detail: impl Into<String>) -> Self {
        let pointer = pointer.as_ref();
        let slash = if pointer.is_empty() || pointer.starts_with('/') { "" } else { "/" };
        Invalid { pointer: format!("{slash}{pointer}"), detail: detail.into() }
    }
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.pointer, self.detail)
    }
}
