//! Locks of jobs in Redis: a key that holds who has it, and a counter beside it that never goes
//! back, whose value is the fence of a holder.
//!
//! Each call opens a connection of its own and drops it: it is asked three times a `ttl`, and a
//! connection that went bad is then no question. A Redis that did not answer is not asked for locks
//! again for a moment: who asks has a slot of the node meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::redis::Redis;
use crate::executor::runner::RunnerEnv;
use crate::executor::{LockOrder, Locks};

/// Comes before the key that a definition names.
const PREFIX: &str = "cronapi:lock:";
/// Takes it, or says who has it. A holder that asks again, as its answer was lost, has it still.
const TAKE: &str = "local has = redis.call('GET', KEYS[1]) \
                    if has and has ~= ARGV[1] then return {0, has} end \
                    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) \
                    return {redis.call('INCR', KEYS[2]), ARGV[1]}";
const RENEW: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end \
                     return redis.call('PEXPIRE', KEYS[1], ARGV[2])";
const FREE: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end \
                    return redis.call('DEL', KEYS[1])";

/// Who gave no answer is not asked for so long.
const REST: Duration = Duration::from_secs(5);
/// Such addresses that are remembered.
const DOWN_MAX: usize = 1_000;

/// Redis, asked for locks.
pub struct RedisLocks {
    /// Which addresses may be reached.
    env: Arc<RunnerEnv>,
    /// By address: until when it is not asked, and why.
    down: Mutex<BTreeMap<String, (Instant, String)>>,
}

impl RedisLocks {
    /// `env` says which addresses may be reached.
    pub fn new(env: Arc<RunnerEnv>) -> Self {
        RedisLocks { env, down: Mutex::default() }
    }

    /// Why nobody asks there at this moment.
    fn rests(&self, url: &str) -> Option<String> {
        let down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        let (until, why) = down.get(url)?;
        (Instant::now() < *until).then(|| why.clone())
    }

    fn rest(&self, url: &str, why: &str) {
        let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if down.len() >= DOWN_MAX {
            down.retain(|_, (until, _)| now < *until);
        }
        if down.len() < DOWN_MAX {
            down.insert(url.to_owned(), (now + REST, why.to_owned()));
        }
    }

    async fn ask<T: redis::FromRedisValue>(
        &self,
        script: &str,
        lock: &LockOrder,
    ) -> Result<T, String> {
        let guard = lock.guarded.then_some(&*self.env);
        let opened = Redis::open(&lock.url, guard).await;
        let mut redis = opened.inspect_err(|why| self.rest(&lock.url, why))?;
        let key = format!("{PREFIX}{}", lock.key);
        let ttl = u64::try_from(lock.ttl.as_millis()).unwrap_or(u64::MAX);
        let mut call = redis::cmd("EVAL");
        call.arg(script).arg(2).arg(&key).arg(format!("{key}:fence")).arg(&lock.holder).arg(ttl);
        redis.call(&call).await
    }
}

impl Locks for RedisLocks {
    fn take<'a>(
        &'a self,
        lock: &'a LockOrder,
    ) -> BoxFuture<'a, Result<Result<u64, String>, String>> {
        async move {
            if let Some(why) = self.rests(&lock.url) {
                return Err(why);
            }
            let (fence, holder): (u64, Vec<u8>) = self.ask(TAKE, lock).await?;
            let holder = || String::from_utf8_lossy(&holder).into_owned();
            Ok(if fence > 0 { Ok(fence) } else { Err(holder()) })
        }
        .boxed()
    }

    fn renew<'a>(&'a self, lock: &'a LockOrder) -> BoxFuture<'a, Result<bool, String>> {
        async move { Ok(self.ask::<u64>(RENEW, lock).await? == 1) }.boxed()
    }

    fn free<'a>(&'a self, lock: &'a LockOrder) -> BoxFuture<'a, Result<(), String>> {
        async move { self.ask::<u64>(FREE, lock).await.map(drop) }.boxed()
    }
}
