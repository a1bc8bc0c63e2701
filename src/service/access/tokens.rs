//! Long-lived tokens for programs.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::jwt::random_id;
use super::token_text;
use super::users::check_scope;
use crate::machine::Op;
use crate::model::limits::{NAME_LEN_MAX, SPAN_MAX};
use crate::model::{ApiToken, Invalid, Name, Role, Scope, Span, Timestamp};
use crate::service::caller::{Action, Target};
use crate::service::{Caller, Error, Meta, RequestKey, Service};

/// A token, as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TokenView {
    /// Identity.
    pub id: Uuid,
    /// What it is for.
    pub name: String,
    /// Whose it is.
    pub owner: Name,
    /// At most this role, and at most the owner's.
    pub role: Role,
    /// The jobs its role counts for, within the owner's; empty: all of those.
    pub scope: Scope,
    /// Creation.
    pub created_at: Timestamp,
    /// The end; null: it does not end by itself.
    #[schema(required)]
    pub expires_at: Option<Timestamp>,
    /// Last use, to the minute; null: never used.
    #[schema(required)]
    pub last_used_at: Option<Timestamp>,
}

impl From<&ApiToken> for TokenView {
    fn from(token: &ApiToken) -> Self {
        TokenView {
            id: token.id,
            name: token.name.clone(),
            owner: token.owner.clone(),
            role: token.role,
            scope: token.scope.clone(),
            created_at: token.created_at,
            expires_at: token.expires_at,
            last_used_at: token.last_used_at,
        }
    }
}

/// A token to create.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it is for, in 1 to 128 characters.
    #[schema(min_length = 1, max_length = 128)]
    pub name: String,
    /// At most this role; default: the caller's.
    #[serde(default)]
    pub role: Option<Role>,
    /// The jobs its role counts for; default: the caller's.
    #[serde(default)]
    #[schema(required = false)]
    pub scope: Scope,
    /// How long it is good; default: without end.
    #[serde(default)]
    pub expires_in: Option<Span>,
}

/// A token just made. Its text is shown here and never again.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct TokenCreated {
    /// For `Authorization: Bearer …`.
    pub token: String,
    /// Identity.
    pub id: Uuid,
    /// What it is for.
    pub name: String,
    /// At most this role, and at most the owner's.
    pub role: Role,
    /// The jobs its role counts for, within the owner's; empty: all of those.
    pub scope: Scope,
    /// The end; null: it does not end by itself.
    #[schema(required)]
    pub expires_at: Option<Timestamp>,
}

impl NewToken {
    fn check(&self, c: &Caller) -> Result<(), Error> {
        let mut faults = Vec::new();
        let length = self.name.chars().count();
        if length == 0 || length > NAME_LEN_MAX || self.name.chars().any(char::is_control) {
            let detail = format!("must be 1 to {NAME_LEN_MAX} printable characters");
            faults.push(Invalid::new("name", detail));
        }
        if self.role.is_some_and(|role| role > c.role) {
            let detail = format!("is more than the role of {}, {}", c.user, c.role.as_str());
            faults.push(Invalid::new("role", detail));
        }
        if self.expires_in.is_some_and(|span| span == Span::ZERO || span > SPAN_MAX) {
            faults.push(Invalid::new("expires_in", "must be over 0 and at most ten years"));
        }
        if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
    }
}

impl Service {
    /// The caller's tokens; for an admin, those of everybody.
    ///
    /// # Errors
    /// None but those of the cluster.
    pub async fn tokens(&self, c: &Caller) -> Result<Vec<TokenView>, Error> {
        let all = c.permit(Action::ReadUsers, Target::Cluster).is_ok();
        let state = self.consensus().state();
        let seen = state.access.tokens.values().filter(|token| all || token.owner == c.user);
        Ok(seen.map(|token| TokenView::from(&**token)).collect())
    }

    /// Creates a token of the caller's.
    ///
    /// # Errors
    /// `Forbidden` with an API token, `Invalid`, or as any write.
    pub async fn create_token(&self, c: &Caller, new: NewToken) -> Result<TokenCreated, Error> {
        if c.via_token.is_some() {
            let detail = "an API token can't make another one; log in for that";
            return Err(Error::Forbidden(detail.into()));
        }
        new.check(c)?;
        check_scope("scope", &new.scope)?;
        let now = self.now();
        let id = random_id()?;
        let (text, hash) = token_text::make(id)?;
        let owner_uid = self.user(c, c.user.as_str()).await?.uid;
        let token = ApiToken {
            id,
            name: new.name,
            owner: c.user.clone(),
            owner_uid,
            role: new.role.unwrap_or(c.role),
            scope: new.scope,
            hash,
            created_at: now,
            expires_at: new.expires_in.map(|span| now.plus(span)),
            last_used_at: None,
        };
        let created = TokenCreated {
            token: text,
            id,
            name: token.name.clone(),
            role: token.role,
            scope: token.scope.clone(),
            expires_at: token.expires_at,
        };
        let session = c.session.clone();
        self.plain(c.own(), Op::CreateToken { token: Box::new(token), session }).await?;
        Ok(created)
    }

    /// Removes a token: the caller's own, or anybody's for an admin. An API token that is no
    /// admin's removes itself only: others of its owner may do more than it.
    ///
    /// # Errors
    /// `NotFound`, also for those of others; `Forbidden`; or as any write.
    pub async fn delete_token(
        &self,
        c: &Caller,
        id: Uuid,
        request: Option<RequestKey>,
    ) -> Result<Meta, Error> {
        if let Some(meta) = self.removed_before(c, request)? {
            return Ok(meta);
        }
        let permit = c.permit(Action::ManageUsers, Target::Cluster).ok();
        let all = permit.is_some();
        let state = self.consensus().state();
        let found = state.access.tokens.get(&id);
        if found.is_none_or(|token| !all && token.owner != c.user) {
            return Err(Error::NotFound { what: "token".into(), name: id.to_string() });
        }
        if !all && c.via_token.is_some_and(|own| own != id) {
            let detail = "an API token can delete no other one; log in for that";
            return Err(Error::Forbidden(detail.into()));
        }
        let right = permit.map_or_else(|| c.own(), |permit| permit.right(c));
        self.remove_once(c, right, Op::DeleteToken { id }, request).await
    }
}
