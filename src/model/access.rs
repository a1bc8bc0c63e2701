//! People, programs, and what they may do.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::name::Name;
use super::time::Timestamp;
use super::trace::TraceParent;

/// What a user or a token may do, least first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Read.
    Viewer,
    /// Read, and trigger jobs.
    Runner,
    /// Manage jobs and runs.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Runner => "runner",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }
}

/// The jobs a role counts for. Empty: all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Scope {
    /// Job-name patterns; `*` stands for any characters.
    #[schema(max_items = 32)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<String>,
    /// Tags; a job with one of them counts.
    #[schema(max_items = 32)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

impl Scope {
    /// Whether every job counts.
    pub fn is_all(&self) -> bool {
        self.jobs.is_empty() && self.tags.is_empty()
    }

    /// Whether a job of this name with these tags counts.
    pub fn covers(&self, name: &str, tags: &[String]) -> bool {
        self.is_all()
            || self.jobs.iter().any(|pattern| glob(pattern, name))
            || self.tags.iter().any(|tag| tags.contains(tag))
    }
}

/// `*` matches any characters, everything else itself; linear in the text.
pub(in crate::model) fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

/// Somebody whom a login provider knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct External {
    /// The provider.
    pub issuer: String,
    /// Whom it means: the same for good, whatever the name.
    pub subject: String,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Identity: new when a name is created again, so old tokens do not come back.
    pub uid: Uuid,
    /// The name to log in with.
    pub name: Name,
    /// What it may do.
    pub role: Role,
    /// The jobs its role counts for.
    #[serde(default)]
    pub scope: Scope,
    /// argon2id hash (PHC string); empty: no password opens it.
    pub password: String,
    /// Who vouches for it instead of a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<External>,
    /// Raised to refuse every token issued so far.
    pub epoch: u64,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// Who was logged in when something was asked for: the identity and epoch of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The account.
    pub user: Name,
    /// Its identity.
    pub uid: Uuid,
    /// Its epoch; the session is over when that is raised.
    pub epoch: u64,
}

/// A long-lived token of a program; only a hash of its secret is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiToken {
    /// Identity, part of the token's text.
    pub id: Uuid,
    /// What it is for.
    pub name: String,
    /// Whose it is.
    pub owner: Name,
    /// The owner's identity when it was made.
    pub owner_uid: Uuid,
    /// At most this role, and at most the owner's.
    pub role: Role,
    /// The jobs its role counts for, within the owner's.
    #[serde(default)]
    pub scope: Scope,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// Creation.
    pub created_at: Timestamp,
    /// The end; none: it does not expire.
    pub expires_at: Option<Timestamp>,
    /// Last use, to the minute; none: never used.
    #[serde(default)]
    pub last_used_at: Option<Timestamp>,
}

/// Who asked for a change, as the audit keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// User name, `token:<id>` of a user, or `system`.
    pub name: String,
    /// Address of the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Id of the request, as in its answer and in the logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The trace that the request belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceParent>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, text, hit) in [
            ("etl-*", "etl-a", true),
            ("etl-*", "my-etl-a", false),
            ("*", "", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxc", false),
            ("a", "ab", false),
            ("*b", "ab", true),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(glob(pattern, text), hit, "{pattern} {text}");
        }
    }
}
