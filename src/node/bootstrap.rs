//! The first command of a cluster: a signing key, and an admin to log in with.

use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::consensus::Handle;
use crate::machine::{Command, Op, Rejection};
use crate::model::limits::{PASSWORD_LEN_MAX, PASSWORD_LEN_MIN};
use crate::model::{Name, Role, Scope, Timestamp, User};
use crate::service::access;
use crate::vault::Vault;

use super::banner;
use super::config::Secret;

/// Between two tries, while the cluster forms.
const AGAIN: Duration = Duration::from_millis(200);

/// Why there is no first admin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The given password can't be used.
    #[error("CRONAPI_ADMIN_PASSWORD: give {PASSWORD_LEN_MIN} to {PASSWORD_LEN_MAX} characters")]
    Password,
    /// There is no randomness, or hashing failed.
    #[error("the first admin can't be made: {0}")]
    Crypto(String),
    /// The log did not take it.
    #[error("the first admin can't be recorded: {0}")]
    Log(String),
}

/// Sets the cluster up if it is new. Gives the password when one was made up, to be shown
/// once.
pub async fn first_admin(
    consensus: &Handle,
    given: Option<&Secret>,
    vault: Option<&Vault>,
) -> Result<Option<String>, Error> {
    if !consensus.state().access.keys.is_empty() {
        return Ok(None);
    }
    let generated = given.is_none();
    let password = match given {
        Some(secret) => secret.0.clone(),
        None => access::generate_password().map_err(|e| Error::Crypto(e.to_string()))?,
    };
    if !(PASSWORD_LEN_MIN..=PASSWORD_LEN_MAX).contains(&password.chars().count()) {
        return Err(Error::Password);
    }
    let hash = access::hash_password(&password).map_err(|e| Error::Crypto(e.to_string()))?;
    let admin = User {
        uid: access::random_id().map_err(|e| Error::Crypto(e.to_string()))?,
        name: Name::parse("admin").map_err(Error::Crypto)?,
        role: Role::Admin,
        scope: Scope::default(),
        password: hash,
        external: None,
        epoch: 0,
        created_at: Timestamp::ZERO,
        updated_at: Timestamp::ZERO,
    };
    raise_format(consensus).await;
    let made = access::made_signing_key(vault, &consensus.state(), clock::now());
    let signing_key = made.map_err(|e| Error::Crypto(e.to_string()))?;
    let op = Op::Bootstrap { signing_key, admin: Box::new(admin) };
    match consensus.submit(command(op)).await {
        Ok(done) => match done.answer {
            Ok(_) => Ok(Some(password).filter(|_| generated)),
            Err(Rejection::Bootstrapped) => Ok(None),
            Err(refused) => Err(Error::Log(refused.to_string())),
        },
        Err(error) => Err(Error::Log(error.to_string())),
    }
}

/// Nobody can log in yet: so nobody meets a new cluster that does not take what is new. Where it
/// can't be raised at once, the leader does it as in every cluster.
async fn raise_format(consensus: &Handle) {
    let has = consensus.state().format();
    let Some(to) = consensus.format_read_by_all().filter(|to| *to > has) else { return };
    if let Err(error) = consensus.submit(command(Op::RaiseFormat { to })).await {
        tracing::debug!(%error, "the format is raised later");
    }
}

fn command(op: Op) -> Command {
    Command { at: clock::now(), actor: None, request: None, op }
}

/// Sets the cluster up as soon as this node leads it, if nobody has yet; shows a password that
/// was made up.
pub async fn when_leading(consensus: Handle, given: Option<Secret>, vault: Option<Arc<Vault>>) {
    let mut leadership = consensus.leadership();
    while leadership.wait_for(|now| now.is_leader).await.is_ok() {
        // What earlier leaders did must be seen first.
        if consensus.read_barrier().await.is_ok() {
            match first_admin(&consensus, given.as_ref(), vault.as_deref()).await {
                Ok(generated) => {
                    return generated.iter().for_each(|p| banner::show(&banner::password(p)));
                }
                Err(error) => tracing::error!(%error, "there is no admin to log in with yet"),
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// How often it is looked for signing keys that are not sealed.
const SEAL_EVERY: Duration = Duration::from_secs(5);

/// While this node leads, keeps the signing keys sealed: those of before nodes had a key for it,
/// or knew how, too.
pub async fn keep_sealed(consensus: Handle, vault: Arc<Vault>) {
    loop {
        tokio::time::sleep(SEAL_EVERY).await;
        if !consensus.leadership().borrow().is_leader {
            continue;
        }
        match access::seal_next(&vault, &consensus.state(), clock::now()) {
            Ok(None) => {}
            Ok(Some(op)) => {
                if let Err(error) = consensus.submit(command(op)).await {
                    tracing::debug!(%error, "signing keys are sealed later");
                }
            }
            Err(error) => tracing::error!(%error, "signing keys can't be sealed"),
        }
    }
}
