//! The lock of a job: taken before an attempt begins, renewed while it runs, freed when it is over.
//!
//! Owns: when that happens, and what a lock that is lost means for the attempt. Does not own: how
//! Redis is asked ([`Locks`]), nor what becomes of a run whose lock is busy (`machine::apply`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::fill::secret_for;
use super::locks::{LockOrder, Locks};
use super::parts::Parts;
use super::runner::Spec;
use crate::machine::State;
use crate::machine::state::OpenRun;
use crate::model::{OnLeaseLost, Setting, limits};

/// The end of an attempt is not told later than this for a lock that is not freed.
const FREE_WITHIN: Duration = Duration::from_millis(500);

/// Why an attempt does not have its lock.
pub(super) enum NoLock {
    /// It is another's; or, unless `held`, nobody could be asked.
    Busy { held: bool, why: String },
    /// It can't be had on this node, now or later.
    Never(String),
}

/// A lock that an attempt has.
pub(super) struct Locked {
    locks: Arc<dyn Locks>,
    order: LockOrder,
    /// When it was surely ours: the begin of the last call that said so.
    known: Instant,
    /// The attempt is stopped when it is lost.
    kill: bool,
    lost: AtomicBool,
}

/// The lock of a run's job; none: it has none.
pub(super) async fn take(
    parts: &Parts,
    open: &OpenRun,
    spec: &mut Spec,
) -> Result<Option<Locked>, NoLock> {
    let Some(lock) = open.spec.lock.as_deref() else { return Ok(None) };
    let locks = parts.locks.clone();
    let locks = locks.ok_or_else(|| {
        NoLock::Never("its lock can't be taken: this node was built without Redis".to_owned())
    })?;
    let (url, guarded) = address(parts, open, &parts.consensus.state()).map_err(NoLock::Never)?;
    let fence = open.run.attempts.last().map(|attempt| attempt.fence).unwrap_or_default();
    let (job, run) = (&open.run.job, open.run.id);
    let holder = format!("{}/{job}/{run}/{fence}", parts.consensus.status().cluster_id);
    let order = LockOrder { url, guarded, key: lock.key.clone(), holder, ttl: lock.ttl().std() };
    let known = Instant::now();
    match locks.take(&order).await {
        Ok(Ok(fence)) => {
            spec.context.lock_fence = Some(fence);
            let kill = open.spec.on_lease_lost() == OnLeaseLost::Kill;
            Ok(Some(Locked { locks, order, known, kill, lost: AtomicBool::default() }))
        }
        Ok(Err(holder)) => {
            let why = format!("{} is held by {holder}", lock.key);
            Err(NoLock::Busy { held: true, why: short(&why) })
        }
        Err(why) => {
            let why = format!("{} can't be asked for: {why}", lock.key);
            // It may have been taken without an answer.
            tokio::spawn(async move { locks.free(&order).await });
            Err(NoLock::Busy { held: false, why: short(&why) })
        }
    }
}

/// Where it is, and whether the definition says so.
fn address(parts: &Parts, open: &OpenRun, state: &State) -> Result<(String, bool), String> {
    let named = open.spec.lock.as_deref().and_then(|lock| lock.redis.as_ref());
    match named {
        Some(Setting::Text(url)) => Ok((url.clone(), true)),
        Some(Setting::Secret(place)) => {
            let value = secret_for(place, open, state, parts.vault.as_deref())?;
            Ok((format!("{}{value}", place.prefix), true))
        }
        None => {
            let why = "its lock can't be taken: this node was started without REDIS_URL, and the \
                       definition names no lock.redis";
            Ok((parts.redis_url.clone().ok_or_else(|| why.to_owned())?, false))
        }
    }
}

fn short(why: &str) -> String {
    why.chars().filter(|c| !c.is_control()).take(limits::LOCK_WHY_CHARS_MAX).collect()
}

impl Locked {
    /// Holds it on, and returns when it is lost.
    async fn hold(&self) {
        let (mut known, third) = (self.known, self.order.ttl / 3);
        let mut pause = third;
        loop {
            sleep(pause).await;
            let asked = Instant::now();
            match timeout_at(known + self.order.ttl, self.locks.renew(&self.order)).await {
                Ok(Ok(true)) => (known, pause) = (asked, third),
                // Redis has freed it by now, or says that it did.
                Ok(Ok(false)) | Err(_) => break,
                Ok(Err(why)) => {
                    tracing::debug!(why, key = self.order.key, "a lock is not renewed yet");
                    pause = (third / 4).min(known + self.order.ttl - Instant::now());
                }
            }
        }
        self.lost.store(true, Ordering::Release);
        tracing::warn!(key = self.order.key, kill = self.kill, "the lock of an attempt is lost");
    }

    /// Holds it on; stops an attempt whose lock is lost, if its job wants that.
    pub(super) async fn watch(&self, cancel: &watch::Sender<bool>) {
        self.hold().await;
        if self.kill {
            cancel.send_replace(true);
        }
    }

    /// Whether another may have it by now.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Frees it: the attempt is over, or did not begin. What follows does not wait for long.
    pub(super) async fn free(self) {
        let Locked { locks, order, .. } = self;
        let freed = tokio::spawn(async move {
            if let Err(why) = locks.free(&order).await {
                tracing::warn!(why, key = order.key, "a lock is freed when its time is over");
            }
        });
        let _ = timeout(FREE_WITHIN, freed).await;
    }
}

#[cfg(test)]
mod tests;
