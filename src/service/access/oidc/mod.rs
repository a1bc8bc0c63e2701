//! Login by an OpenID Connect provider: authorization code with PKCE, then tokens of our own.
//!
//! Owns: what is said to a provider, what makes its ID token good, and which account and role
//! come of it. Does not own: our tokens (`jwt.rs`), nor cookies and redirects (`api`).
//!
//! ```text
//! begin:  state, nonce, verifier ──> a signed cookie; the browser goes to the provider
//! finish: cookie + state fit ─> code and verifier for an ID token ─> signature, issuer,
//!         audience, time, nonce ─> groups ─> role ─> account in the log ─> Issued
//! ```
//!
//! Nothing is kept between the two: the cookie carries it, signed with the cluster's key, so
//! that any node can finish what another began.
//!
//! To add a rule for ID tokens: `id_token.rs`, and a row in `tests/api/oidc.rs`. To add a claim
//! that counts: `account.rs`, and the section `[oidc]` of the configuration.

mod account;
mod id_token;
mod provider;

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use self::provider::Provider;
use super::jwt;
use super::{Issued, Origin, cut};
use crate::machine::Op;
use crate::model::{Actor, Role, Scope, Span, User};
use crate::service::caller::Right;
use crate::service::{Error, Service};

/// How long somebody may take to log in at the provider.
const PATIENCE: Span = Span::from_secs(600);

/// A provider, and what its users may do here.
#[derive(Clone)]
pub struct OidcOptions {
    /// The provider, as its tokens name it.
    pub issuer: String,
    /// What this cluster is called there.
    pub client_id: String,
    /// What proves that; none: a public client.
    pub client_secret: Option<String>,
    /// Where the provider sends the browser back to.
    pub redirect_url: String,
    /// What is asked for; `openid` at least.
    pub scopes: Vec<String>,
    /// The claim that is the name of the account.
    pub name_claim: String,
    /// The claim that lists groups.
    pub groups_claim: String,
    /// What groups may do; the first line with a group of the user counts.
    pub roles: Vec<GroupRole>,
    /// How long a login lasts at most.
    pub session: Span,
    /// Authorities of the provider's certificate, PEM, beside those of the system.
    pub ca_file: Option<PathBuf>,
}

/// What the members of a group may do.
#[derive(Clone, Debug)]
pub struct GroupRole {
    /// The group, or `*`: everybody whom the provider knows.
    pub group: String,
    /// Its role.
    pub role: Role,
    /// The jobs that counts for.
    pub scope: Scope,
}

/// Login by a provider. Cheap to clone.
#[derive(Clone)]
pub struct Oidc(Arc<Inner>);

struct Inner {
    options: OidcOptions,
    provider: Provider,
}

impl std::fmt::Debug for Oidc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Oidc").field(&self.0.options.issuer).finish()
    }
}

impl Oidc {
    /// Sets it up; the provider is not asked yet.
    ///
    /// # Errors
    /// What of the options can't be used.
    pub fn new(options: OidcOptions) -> Result<Oidc, String> {
        let provider = Provider::new(&options)?;
        Ok(Oidc(Arc::new(Inner { options, provider })))
    }

    /// Whether browsers come back by HTTPS: cookies are for that only then.
    pub fn is_secure(&self) -> bool {
        self.0.options.redirect_url.starts_with("https:")
    }
}

/// A login that was begun.
pub struct Begun {
    /// Where the browser goes.
    pub location: String,
    /// What it brings back.
    pub cookie: String,
    /// How long that is good.
    pub lasts: Span,
}

/// What the browser brings back from the provider.
#[derive(Clone, Debug, Default)]
pub struct Returned {
    /// For tokens.
    pub code: Option<String>,
    /// As it was given to the provider.
    pub state: Option<String>,
    /// Why there is no code.
    pub error: Option<String>,
    /// Who says so (RFC 9207).
    pub iss: Option<String>,
}

/// What the cookie says.
#[derive(Serialize, Deserialize)]
struct Pending {
    kind: String,
    state: String,
    nonce: String,
    verifier: String,
    exp: i64,
    /// Where in the page the browser was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    back: Option<String>,
}

const KIND: &str = "oidc";

/// 256 bits that nobody guesses.
fn secret() -> Result<String, Error> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::Internal(format!("a login: {error}")))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn refuse(why: impl Into<String>) -> Error {
    Error::Unauthenticated(why.into())
}

impl Service {
    /// Begins a login at the provider. `back` is where in the page it ends.
    ///
    /// # Errors
    /// `Unavailable`: the provider can't be reached.
    pub async fn oidc_begin(&self, oidc: &Oidc, back: Option<String>) -> Result<Begun, Error> {
        let exp = self.now().plus(PATIENCE).secs();
        let (state, nonce, verifier) = (secret()?, secret()?, secret()?);
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        let location = oidc.0.provider.login_page(&state, &nonce, &challenge).await?;
        let pending = Pending { kind: KIND.into(), state, nonce, verifier, exp, back };
        let cookie = jwt::sign(&self.opened_keys(&self.consensus().state())?, &pending)?;
        Ok(Begun { location, cookie, lasts: PATIENCE })
    }

    /// Where in the page a login was begun, if it was there.
    ///
    /// # Errors
    /// `Unauthenticated`: it was not begun here.
    pub fn oidc_back(
        &self,
        cookie: Option<&str>,
        returned: &Returned,
    ) -> Result<Option<String>, Error> {
        Ok(self.pending(cookie, returned)?.back)
    }

    /// Ends a login that was begun on any node: tokens of this cluster.
    ///
    /// # Errors
    /// `Unauthenticated`, `Forbidden` when no group of the user has a role, `Exists` when the
    /// name is that of somebody else, `Unavailable`, or as any write.
    pub async fn oidc_finish(
        &self,
        oidc: &Oidc,
        cookie: Option<&str>,
        returned: Returned,
        from: &Origin,
    ) -> Result<Issued, Error> {
        let done = self.oidc_account(oidc, cookie, returned, from).await;
        let issuer = &oidc.0.options.issuer;
        match done {
            Ok(user) => {
                let now = self.now();
                self.0.access.by_address.give_back(&from.bucket(), now);
                let until = now.plus(oidc.0.options.session);
                let issued = self.issue(&user, jwt::Ticket::new(now, Some(until))?)?;
                let name = user.name.to_string();
                let change = json!({ "role": user.role, "via": issuer });
                self.note(from.actor(&name), "login", &name, change);
                Ok(issued)
            }
            Err((name, error)) => {
                // Anybody can come back from nowhere: what a flood brings is counted only.
                let access = &self.0.access;
                if access.denials.take(&from.bucket(), self.now()).is_err() {
                    access.journal.skip();
                    return Err(error);
                }
                let change = json!({ "why": cut(&error.to_string()) });
                let name = name.unwrap_or_else(|| "anonymous".into());
                self.note(from.actor(name), "login.refused", issuer, change);
                Err(error)
            }
        }
    }

    /// The account of whom the provider vouches for; the error comes with its name, if that
    /// is known.
    async fn oidc_account(
        &self,
        oidc: &Oidc,
        cookie: Option<&str>,
        returned: Returned,
        from: &Origin,
    ) -> Result<User, (Option<String>, Error)> {
        let nobody = |error| (None, error);
        let (provider, options) = (&oidc.0.provider, &oidc.0.options);
        let pending = self.pending(cookie, &returned).map_err(nobody)?;
        if returned.iss.as_ref().is_some_and(|iss| *iss != options.issuer) {
            return Err(nobody(refuse("the answer is of another provider")));
        }
        if let Some(error) = &returned.error {
            return Err(nobody(refuse(format!("the provider refuses: {}", cut(error)))));
        }
        let code = returned.code.ok_or_else(|| nobody(refuse("the provider sent no code")))?;
        let now = self.now();
        // Who comes with codes that are none would have the provider asked for each.
        let turn = self.0.access.by_address.take(&from.bucket(), now);
        turn.map_err(|retry_after| nobody(Error::Throttled { retry_after }))?;
        let tokens = provider.exchange(&code, &pending.verifier).await.map_err(nobody)?;
        let claims = provider.verified(&tokens.id_token, &pending.nonce, now).await;
        let claims = claims.map_err(nobody)?;
        let claims = provider.with_groups(claims, &tokens, &options.groups_claim).await;
        let claims = claims.map_err(nobody)?;
        let account = account::of(options, &claims, now).map_err(nobody)?;
        let name = account.name.clone();
        self.admit(account, from).await.map_err(|error| (Some(name.to_string()), error))
    }

    /// What the cookie says, if it is ours and the state fits.
    fn pending(&self, cookie: Option<&str>, returned: &Returned) -> Result<Pending, Error> {
        let again = || refuse("this login was not begun here, or took too long; begin again");
        let (keys, now) = (&self.opened_keys(&self.consensus().state())?, self.now());
        let pending: Pending =
            jwt::signed(keys, cookie.ok_or_else(again)?, now).map_err(|_| again())?;
        let state = returned.state.as_deref().unwrap_or_default();
        let fits: bool = state.as_bytes().ct_eq(pending.state.as_bytes()).into();
        if !fits || pending.kind != KIND || pending.exp <= now.secs() {
            return Err(again());
        }
        Ok(pending)
    }

    /// Writes the account down as it is now, and gives it as it is kept.
    async fn admit(&self, account: User, from: &Origin) -> Result<User, Error> {
        let name = account.name.clone();
        // What was changed on another node must be seen, or it would stay as it was.
        self.catch_up().await?;
        let known = self.account(name.as_str());
        let same = known.as_ref().is_some_and(|known| {
            known.external == account.external
                && known.role == account.role
                && known.scope == account.scope
        });
        if !same {
            self.format_of_access("accounts of login providers")?;
            let actor: Actor = from.actor(name.to_string());
            self.plain(Right::proved(&actor), Op::ExternalLogin { user: Box::new(account) })
                .await?;
        }
        let kept = self.account(name.as_str()).map(|user| User::clone(&user));
        kept.ok_or_else(|| Error::NotFound { what: "user".into(), name: name.to_string() })
    }
}
