//! From what a provider says about somebody to an account here.

use serde_json::{Map, Value};

use super::OidcOptions;
use crate::model::limits::NAME_LEN_MAX;
use crate::model::{External, Name, Timestamp, User};
use crate::service::Error;
use crate::service::access::random_id;
use crate::service::access::users::check_reserved;

/// The account that `claims` stand for.
///
/// # Errors
/// `Forbidden`: there is no name in them, or no group that has a role.
pub(super) fn of(
    options: &OidcOptions,
    claims: &Map<String, Value>,
    now: Timestamp,
) -> Result<User, Error> {
    let text = |claim: &str| claims.get(claim).and_then(Value::as_str).unwrap_or_default();
    let subject = text("sub").to_owned();
    if subject.is_empty() {
        return Err(Error::Unauthenticated("the provider names nobody".into()));
    }
    let given = text(&options.name_claim);
    let name = Name::parse(&plain(given)).map_err(|_| {
        let claim = &options.name_claim;
        Error::Forbidden(format!("the provider's claim {claim} gives no name for an account"))
    })?;
    check_reserved(&name).map_err(|_| {
        Error::Forbidden(format!(
            "{name} is the name of nobody here; the provider must give another"
        ))
    })?;
    let groups = groups(claims, &options.groups_claim);
    let counts = |group: &str| group == "*" || groups.contains(&group);
    let found = options.roles.iter().find(|line| counts(&line.group));
    let line = found.ok_or_else(|| {
        Error::Forbidden(format!("no group of {name} has a role here; an admin can give it one"))
    })?;
    Ok(User {
        uid: random_id()?,
        name,
        role: line.role,
        scope: line.scope.clone(),
        password: String::new(),
        external: Some(External { issuer: options.issuer.clone(), subject }),
        epoch: 0,
        created_at: now,
        updated_at: now,
    })
}

/// A name of ours: `ann@example.com` becomes `ann-example.com`. Two that become the same are
/// told apart by their subject.
fn plain(given: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    given.chars().take(NAME_LEN_MAX).map(|c| if fits(c) { c } else { '-' }).collect()
}

/// A list of texts, or one text.
fn groups<'a>(claims: &'a Map<String, Value>, claim: &str) -> Vec<&'a str> {
    match claims.get(claim) {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(one)) => vec![one],
        _ => Vec::new(),
    }
}
