//! The key that nodes of a cluster share: given, or made at the first start and kept in the data
//! directory. No listener for other nodes opens without one, on a loopback address neither.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::OnceCell;

use super::config::{Config, Secret};
use crate::consensus::{Connection, Listener, Tcp, Tls, Transport};

/// Where it is kept in a data directory.
const FILE: &str = "cluster-key";
/// Random bytes of one that is made.
const BYTES: usize = 32;

/// A new key.
///
/// # Errors
/// The system gives no random numbers.
pub fn new() -> io::Result<String> {
    let mut random = [0; BYTES];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The key in a data directory; none: there is none yet.
///
/// # Errors
/// It can't be read.
pub fn kept(data: &Path) -> io::Result<Option<Secret>> {
    let path = data.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let open = fs::metadata(&path)?.permissions().mode() & 0o077 != 0;
            if open {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
                tracing::warn!(path = %path.display(), "others could read the cluster's key");
            }
            Ok(Some(Secret(text.trim().to_owned())))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The key of a data directory, made if there is none.
fn kept_or_made(data: &Path) -> io::Result<Secret> {
    let named = |error: io::Error| {
        io::Error::new(error.kind(), format!("{}: {error}", data.join(FILE).display()))
    };
    if let Some(key) = kept(data).map_err(named)? {
        return Ok(key);
    }
    let (key, path) = (new()?, data.join(FILE));
    let unfinished = data.join("cluster-key.unfinished");
    let write = || {
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(format!("{key}\n").as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        fs::File::open(data)?.sync_all()
    };
    write().map_err(named)?;
    tracing::info!(path = %path.display(), "made the cluster's key; see `cronapi cluster key`");
    Ok(Secret(key))
}

/// Why a node that is to be part of a cluster can't be without its key.
pub(super) fn missing(config: &Config) -> Option<String> {
    let alone = config.join.iter().all(|addr| is_own(config, addr));
    if config.cluster_key.is_some() || alone || matches!(kept(&config.data), Ok(Some(_))) {
        return None;
    }
    Some(
        "is needed to join others: all nodes of a cluster have the same. For a new cluster: \
         export CRONAPI_CLUSTER_KEY=$(cronapi cluster key --new). That of a node which made its \
         own: cronapi cluster key --data DIR, on its machine. For a cluster whose nodes had none, \
         as before format 5: stop all of them, then start them with the same key"
            .into(),
    )
}

/// Whether this start makes a key.
pub(super) fn is_made_now(config: &Config) -> bool {
    config.cluster_key.is_none() && !matches!(kept(&config.data), Ok(Some(_)))
}

/// Says that the others of a cluster can't know the key that this node has just made.
pub(super) fn tell_of_others(key_is_new: bool, members: usize) {
    if !key_is_new || members < 2 {
        return;
    }
    tracing::error!(
        members,
        "this node had no cluster key and has made one, which the other members of its cluster do \
         not have: they will not talk to each other. Stop all of them, then start them with the \
         same key: export CRONAPI_CLUSTER_KEY=$(cronapi cluster key --new)"
    );
}

fn is_own(config: &Config, addr: &str) -> bool {
    config.advertise.as_deref() == Some(addr) || config.cluster_listen.to_string() == addr
}

/// Streams between those that have the key. It is asked for when the data directory is held.
pub(super) struct Keyed {
    given: Option<(Secret, Option<Secret>)>,
    data: PathBuf,
    tls: Arc<OnceCell<Tls>>,
}

impl Keyed {
    pub(super) fn new(config: &Config) -> Self {
        let given = config.cluster_key.clone().map(|key| (key, config.cluster_key_old.clone()));
        Keyed { given, data: config.data.clone(), tls: Arc::default() }
    }

    fn tls(&self) -> BoxFuture<'static, io::Result<Tls>> {
        let (given, data, tls) = (self.given.clone(), self.data.clone(), Arc::clone(&self.tls));
        Box::pin(async move {
            let made = tls.get_or_try_init(|| async move {
                let made = tokio::task::spawn_blocking(move || identity(given, &data));
                made.await.map_err(io::Error::other)?
            });
            made.await.cloned()
        })
    }
}

fn identity(given: Option<(Secret, Option<Secret>)>, data: &Path) -> io::Result<Tls> {
    let (key, old) = match given {
        Some(given) => given,
        None => (kept_or_made(data)?, None),
    };
    let old = old.as_ref().map(|old| old.0.as_str());
    Tls::rotating(Arc::new(Tcp), &key.0, old).map_err(io::Error::other)
}

impl Transport for Keyed {
    fn connect(&self, addr: String) -> BoxFuture<'static, io::Result<Connection>> {
        let tls = self.tls();
        Box::pin(async move { tls.await?.connect(addr).await })
    }

    fn lookup(&self, addr: String) -> BoxFuture<'static, Vec<String>> {
        Tcp.lookup(addr)
    }

    fn listen(&self, addr: String) -> BoxFuture<'static, io::Result<Box<dyn Listener>>> {
        let tls = self.tls();
        Box::pin(async move { tls.await?.listen(addr).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        assert!(kept(folder.path()).unwrap().is_none());
        let made = kept_or_made(folder.path()).unwrap();
        assert_eq!(made.0.len(), 2 * BYTES);
        assert_eq!(kept_or_made(folder.path()).unwrap().0, made.0);
        let path = folder.path().join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(kept(folder.path()).unwrap().unwrap().0, made.0);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_ne!(new().unwrap(), made.0);
    }
}
