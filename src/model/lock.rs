//! The lock of a job: a key of Redis that one attempt at a time holds, in this cluster and in
//! others.
//!
//! It saves work that need not be done twice. It does not make twice impossible: Redis may forget
//! it, and who holds it may be slow to notice (M. Kleppmann, "How to do distributed locking",
//! 2016). What must not happen twice checks the fence where it writes.

use serde::{Deserialize, Serialize};

use super::address::Server;
use super::{Invalid, SecretRef, Setting, Span, limits};

/// A lock that is held while an attempt runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Its name, the same wherever it must hold. In Redis: `cronapi:lock:{key}`.
    #[schema(min_length = 1, max_length = 200)]
    pub key: String,
    /// The address, `redis://host:6379/0`, or `rediss://` with TLS; with a password in it as
    /// `{"secret": "name"}`. Without it: `REDIS_URL` of the node that runs the attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub redis: Option<Setting>,
    /// Redis frees it so long after the node was last heard of; renewed each third of it.
    /// Default: 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub ttl: Option<Span>,
    /// What a run does while another holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub on_busy: Option<OnBusy>,
}

/// What a run does while another holds the lock of its job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnBusy {
    /// It waits, and tries again.
    #[default]
    Wait,
    /// It is `skipped: lock_busy`. While Redis can't be asked it waits.
    Skip,
}

impl Lock {
    /// The time to live in force.
    pub fn ttl(&self) -> Span {
        self.ttl.unwrap_or(limits::LOCK_TTL_DEFAULT)
    }

    /// What a run does while another holds it.
    pub fn on_busy(&self) -> OnBusy {
        self.on_busy.unwrap_or_default()
    }

    /// The secret that it names.
    pub(in crate::model) fn secret(&self) -> Option<&SecretRef> {
        self.redis.as_ref().and_then(Setting::secret)
    }

    pub(in crate::model) fn check(&self, faults: &mut Vec<Invalid>) {
        let most = limits::LOCK_KEY_BYTES_MAX;
        if self.key.is_empty() || self.key.len() > most {
            faults.push(Invalid::new("lock/key", format!("must have from 1 to {most} bytes")));
        }
        if self.key.chars().any(|c| c.is_control() || c.is_whitespace()) {
            faults.push(Invalid::new("lock/key", "has a space or a control character in it"));
        }
        if let Some(url) = self.redis.as_ref().and_then(Setting::text) {
            Server::Redis.check(url, "lock/redis", faults);
        }
        let (least, most) = (limits::LOCK_TTL_MIN, limits::LOCK_TTL_MAX);
        if !(least..=most).contains(&self.ttl()) {
            faults.push(Invalid::new("lock/ttl", format!("must be from {least} to {most}")));
        }
    }
}
