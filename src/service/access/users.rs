//! Accounts.

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::Origin;
use super::jwt::random_id;
use super::password::check_new;
use crate::machine::Op;
use crate::model::limits::NAME_LEN_MAX;
use crate::model::{Invalid, Name, Role, Scope, Timestamp, User};
use crate::service::caller::{Action, Target};
use crate::service::{Caller, Error, Meta, RequestKey, Service};

/// Items of each list of a scope.
const SCOPE_ITEMS_MAX: usize = 32;

/// A user, as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct UserView {
    /// The name to log in with.
    pub name: Name,
    /// Identity: new when a name is created again.
    pub uid: Uuid,
    /// What it may do.
    pub role: Role,
    /// The jobs its role counts for; empty: all.
    pub scope: Scope,
    /// The login provider that knows it, and gives it its role at each login; null: it has a
    /// password.
    #[schema(required)]
    pub provider: Option<String>,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

impl From<&User> for UserView {
    fn from(user: &User) -> Self {
        UserView {
            name: user.name.clone(),
            uid: user.uid,
            role: user.role,
            scope: user.scope.clone(),
            provider: user.external.as_ref().map(|external| external.issuer.clone()),
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

/// A user to create.
#[derive(Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// The name to log in with.
    pub name: Name,
    /// 8 to 512 bytes.
    #[schema(min_length = 8, max_length = 512)]
    pub password: String,
    /// What it may do.
    pub role: Role,
    /// The jobs its role counts for; default: all.
    #[serde(default)]
    #[schema(required = false)]
    pub scope: Scope,
}

/// Refuses scopes outside the limits.
pub(in crate::service) fn check_scope(pointer: &str, scope: &Scope) -> Result<(), Error> {
    let mut faults = Vec::new();
    for (field, list) in [("jobs", &scope.jobs), ("tags", &scope.tags)] {
        if list.len() > SCOPE_ITEMS_MAX {
            let detail = format!("has over {SCOPE_ITEMS_MAX} items");
            faults.push(Invalid::new(format!("{pointer}/{field}"), detail));
        }
        for (at, text) in list.iter().enumerate() {
            // A pattern is a name with `*` in it.
            let plain = if field == "jobs" { text.replace('*', "x") } else { text.clone() };
            let fault = match Name::parse(&plain) {
                _ if text.len() > NAME_LEN_MAX => Some(format!("has over {NAME_LEN_MAX} bytes")),
                parsed => parsed.err(),
            };
            if let Some(detail) = fault {
                faults.push(Invalid::new(format!("{pointer}/{field}/{at}"), detail));
            }
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
}

/// Names that the audit gives to nobody in particular.
const RESERVED: [&str; 2] = ["system", "anonymous"];

/// Refuses names that could be taken for nobody's.
pub(super) fn check_reserved(name: &Name) -> Result<(), Error> {
    if !RESERVED.iter().any(|reserved| name.as_str().eq_ignore_ascii_case(reserved)) {
        return Ok(());
    }
    let detail = format!("{name} is what the audit calls whoever is no user; take another name");
    Err(Error::Invalid(vec![Invalid::new("name", detail)]))
}

/// Refuses what an API token may not do to the account that it belongs to.
fn not_its_owner(c: &Caller, name: &str) -> Result<(), Error> {
    if c.via_token.is_some() && c.user.as_str() == name {
        let detail = "an API token can't change the account that it belongs to; log in for that";
        return Err(Error::Forbidden(detail.into()));
    }
    Ok(())
}

fn parse_name(name: &str) -> Result<Name, Error> {
    Name::parse(name).map_err(|_| Error::NotFound { what: "user".into(), name: name.into() })
}

impl Service {
    /// All users, by name.
    ///
    /// # Errors
    /// `Forbidden` to all but an admin.
    pub async fn users(&self, c: &Caller) -> Result<Vec<UserView>, Error> {
        c.permit(Action::ReadUsers, Target::Cluster)?;
        let state = self.consensus().state();
        Ok(state.access.users.values().map(|user| UserView::from(&**user)).collect())
    }

    /// One user; everybody may see oneself.
    ///
    /// # Errors
    /// `Forbidden` to others than an admin, `NotFound`.
    pub async fn user(&self, c: &Caller, name: &str) -> Result<UserView, Error> {
        if c.user.as_str() != name {
            c.permit(Action::ReadUsers, Target::Cluster)?;
        }
        let state = self.consensus().state();
        let found = state.access.users.get(name).map(|user| UserView::from(&**user));
        found.ok_or_else(|| Error::NotFound { what: "user".into(), name: name.into() })
    }

    /// Creates a user.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`, `Exists`, or as any write.
    pub async fn create_user(
        &self,
        c: &Caller,
        new: NewUser,
        request: Option<RequestKey>,
    ) -> Result<(UserView, Meta), Error> {
        let permit = c.permit(Action::ManageUsers, Target::Cluster)?;
        if let Some(done) = self.replay(c, &self.consensus().state(), request)? {
            return Ok((self.user(c, new.name.as_str()).await?, done.meta));
        }
        check_reserved(&new.name)?;
        check_new("password", &new.password)?;
        check_scope("scope", &new.scope)?;
        if self.consensus().state().access.users.contains_key(&new.name) {
            return Err(Error::Exists { what: "user".into(), name: new.name.to_string() });
        }
        let now = self.now();
        let user = User {
            uid: random_id()?,
            name: new.name.clone(),
            role: new.role,
            scope: new.scope,
            password: self.0.access.hashing.hash(&new.password).await?,
            external: None,
            epoch: 0,
            created_at: now,
            updated_at: now,
        };
        let view = UserView::from(&user);
        let session = c.session.clone();
        let op = Op::CreateUser { user: Box::new(user), session };
        let (meta, _) = self.carry_out(permit.right(c), op, request).await?;
        // The log may have dated it otherwise; somebody may have removed it already.
        Ok((self.user(c, new.name.as_str()).await.unwrap_or(view), meta))
    }

    /// Changes what a user may do; it counts from the next request on, on every node.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Conflict` for the last admin, or as any write.
    pub async fn set_role(
        &self,
        c: &Caller,
        name: &str,
        role: Role,
        scope: Scope,
    ) -> Result<UserView, Error> {
        let permit = c.permit(Action::ManageUsers, Target::Cluster)?;
        not_its_owner(c, name)?;
        check_scope("scope", &scope)?;
        let op = Op::SetRole { name: parse_name(name)?, role, scope };
        self.plain(permit.right(c), op).await?;
        let state = self.consensus().state();
        let found = state.access.users.get(name).map(|user| UserView::from(&**user));
        found.ok_or_else(|| Error::NotFound { what: "user".into(), name: name.into() })
    }

    /// Changes a password; every access and refresh token of the user ends. Anybody may
    /// change the own one, with the old one; an admin may set that of others.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`, `NotFound`, or as any write.
    pub async fn set_password(
        &self,
        c: &Caller,
        name: &str,
        old: Option<&str>,
        new: &str,
    ) -> Result<(), Error> {
        let right = if let Some(old) = old.filter(|_| c.user.as_str() == name) {
            self.check_old(c, old).await?;
            c.own()
        } else {
            let permit = c.permit(Action::ManageUsers, Target::Cluster)?;
            not_its_owner(c, name)?;
            permit.right(c)
        };
        check_new("password", new)?;
        let name = parse_name(name)?;
        match self.account(name.as_str()) {
            None => return Err(Error::NotFound { what: "user".into(), name: name.to_string() }),
            Some(user) if user.external.is_some() => {
                let detail = "has no place here: the login provider vouches for this user";
                return Err(Error::Invalid(vec![Invalid::new("password", detail)]));
            }
            Some(_) => {}
        }
        let password = self.0.access.hashing.hash(new).await?;
        let session = c.session.clone();
        self.plain(right, Op::SetPassword { name, password, session }).await.map(|_| ())
    }

    async fn check_old(&self, c: &Caller, old: &str) -> Result<(), Error> {
        if c.via_token.is_some() {
            let detail = "an API token can't change its owner's password; log in for that";
            return Err(Error::Forbidden(detail.into()));
        }
        let now = self.now();
        let key = c.user.as_str();
        let actor = &c.actor;
        let (from, request_id) = (actor.from.clone(), actor.request_id.clone());
        let from = Origin { from, request_id, trace: actor.trace.clone() };
        self.take_turn(key, &from, now)?;
        let state = self.consensus().state();
        let hash = state.access.users.get(&c.user).map(|user| user.password.clone());
        if !self.0.access.hashing.verify(old, hash).await? {
            let change = json!({ "at": "change of password" });
            self.count_failure(actor.clone(), key, change).await;
            let detail = "is not the present password";
            return Err(Error::Invalid(vec![Invalid::new("old_password", detail)]));
        }
        self.0.access.by_user.give_back(key, now);
        self.0.access.by_address.give_back(&from.bucket(), now);
        Ok(())
    }

    /// Ends every access and refresh token of a user, and the API tokens too if told.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, or as any write.
    pub async fn revoke(&self, c: &Caller, name: &str, api_tokens: bool) -> Result<(), Error> {
        let right = c.permit(Action::ManageUsers, Target::Cluster)?.right(c);
        not_its_owner(c, name)?;
        let name = parse_name(name)?;
        self.plain(right, Op::RevokeUser { name: name.clone() }).await?;
        if api_tokens {
            let state = self.consensus().state();
            let owned = state.access.tokens.values().filter(|token| token.owner == name);
            for id in owned.map(|token| token.id).collect::<Vec<_>>() {
                match self.plain(right, Op::DeleteToken { id }).await {
                    Ok(_) | Err(Error::NotFound { .. }) => {}
                    Err(other) => return Err(other),
                }
            }
        }
        Ok(())
    }

    /// Removes a user with its tokens.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Conflict` for the last admin, or as any write.
    pub async fn delete_user(
        &self,
        c: &Caller,
        name: &str,
        request: Option<RequestKey>,
    ) -> Result<Meta, Error> {
        let right = c.permit(Action::ManageUsers, Target::Cluster)?.right(c);
        not_its_owner(c, name)?;
        self.remove_once(c, right, Op::DeleteUser { name: parse_name(name)? }, request).await
    }
}
