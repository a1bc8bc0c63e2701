//! Who is asked for locks: a node's adapter, or what a test puts in its place.

use std::time::Duration;

use futures_util::future::BoxFuture;

/// A lock as one attempt asks for it.
#[derive(Clone)]
pub struct LockOrder {
    /// Where it is.
    pub url: String,
    /// Whether the definition names that place, so that it may not lead inside.
    pub guarded: bool,
    /// Its name.
    pub key: String,
    /// Says whose it is: `{cluster}/{job}/{run}/{fence}`.
    pub holder: String,
    /// It is freed so long after it was last renewed.
    pub ttl: Duration,
}

/// Who is asked for locks. Each call ends within a bound.
///
/// Errors say why there is no answer, without the address: a password may be in it.
pub trait Locks: Send + Sync + 'static {
    /// Takes it. `Ok(Ok)`: a number that grows with each holder; `Ok(Err)`: who holds it.
    fn take<'a>(
        &'a self,
        lock: &'a LockOrder,
    ) -> BoxFuture<'a, Result<Result<u64, String>, String>>;

    /// Holds it on; false: it is another's, or nobody's.
    fn renew<'a>(&'a self, lock: &'a LockOrder) -> BoxFuture<'a, Result<bool, String>>;

    /// Frees it, if it is still this holder's.
    fn free<'a>(&'a self, lock: &'a LockOrder) -> BoxFuture<'a, Result<(), String>>;
}
