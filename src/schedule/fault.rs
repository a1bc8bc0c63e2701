//! What is wrong with a definition, said so that its author can mend it.

/// A refusal of one part of a [`Definition`](super::Definition).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {detail}")]
pub struct Fault {
    /// The part refused: `expr`, `timezone`, `start_at` or `end_at`.
    pub field: &'static str,
    /// What is wrong, where in the text, and what to write instead. English, one line.
    pub detail: String,
}

impl Fault {
    pub(super) fn expr(detail: impl Into<String>) -> Fault {
        Fault { field: "expr", detail: detail.into() }
    }

    pub(super) fn new(field: &'static str, detail: impl Into<String>) -> Fault {
        Fault { field, detail: detail.into() }
    }
}
