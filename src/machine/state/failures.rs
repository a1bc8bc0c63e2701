//! Logins that failed lately, on any node, by account and by network.

use std::net::{IpAddr, Ipv6Addr};

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use crate::model::limits::LOGIN_FAILURES_MAX;
use crate::model::rate::Rate;
use crate::model::{Span, Timestamp};

/// The bucket of an account.
pub fn failures_of_user(name: &str) -> String {
    format!("u:{name}")
}

/// The bucket of an address: of IPv6 that of its /64, which one host has all of.
pub fn failures_of_address(address: &str) -> String {
    match address.parse() {
        Ok(IpAddr::V6(v6)) if v6.to_ipv4_mapped().is_none() => {
            let [a, b, c, d, ..] = v6.segments();
            format!("a:{}/64", Ipv6Addr::from([a, b, c, d, 0, 0, 0, 0]))
        }
        Ok(other) => format!("a:{}", other.to_canonical()),
        Err(_) => format!("a:{address}"),
    }
}

/// When each bucket of failures is full again; those that are full are not kept for long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Failures {
    full_at: OrdMap<String, Timestamp>,
}

impl Failures {
    /// How many are kept.
    pub fn len(&self) -> usize {
        self.full_at.len()
    }

    /// Whether nothing failed lately.
    pub fn is_empty(&self) -> bool {
        self.full_at.is_empty()
    }

    /// Whether one more try is allowed.
    ///
    /// # Errors
    /// It is not, for so long.
    pub fn check(&self, key: &str, rate: Rate, now: Timestamp) -> Result<(), Span> {
        rate.take(self.full_at.get(key).copied(), now).map(drop)
    }

    /// Counts a failure. When there is no room, the bucket that is nearest to full goes: to
    /// push one out takes as many failures under each of many other names.
    pub(in crate::machine) fn add(&mut self, key: String, rate: Rate, at: Timestamp) {
        let before = self.full_at.get(&key).copied();
        let full_at = rate.take(before, at).unwrap_or_else(|_| at.plus(rate.depth()));
        if before.is_none() && self.full_at.len() >= LOGIN_FAILURES_MAX {
            let over: Vec<String> = self
                .full_at
                .iter()
                .filter(|(_, end)| **end <= at)
                .map(|(k, _)| k.clone())
                .collect();
            for key in &over {
                self.full_at.remove(key);
            }
            let least = self.full_at.iter().min_by_key(|(_, end)| **end).map(|(k, _)| k.clone());
            if let Some(least) = least.filter(|_| over.is_empty()) {
                self.full_at.remove(&least);
            }
        }
        self.full_at.insert(key, full_at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_with_many_addresses_has_one_bucket() {
        assert_eq!(failures_of_address("2001:db8:1:2:3::4"), "a:2001:db8:1:2::/64");
        assert_eq!(failures_of_address("::ffff:10.0.0.1"), failures_of_address("10.0.0.1"));
        assert_ne!(failures_of_address("10.0.0.1"), failures_of_address("10.0.0.2"));
    }

    #[test]
    fn failures_add_up_fade_and_are_bounded() {
        let rate = Rate { burst: 2, every: Span::from_secs(10) };
        let mut failures = Failures::default();
        let now = Timestamp::from_secs(1_800_000_000);
        for _ in 0..5 {
            failures.add("u:ann".into(), rate, now);
        }
        assert_eq!(failures.check("u:ann", rate, now), Err(Span::from_secs(10)));
        assert_eq!(failures.check("u:bob", rate, now), Ok(()));
        assert_eq!(failures.check("u:ann", rate, now.plus(Span::from_secs(10))), Ok(()));
        for n in 0..2 * LOGIN_FAILURES_MAX {
            failures.add(format!("u:{n}"), rate, now);
        }
        assert_eq!(failures.len(), LOGIN_FAILURES_MAX);
        assert!(failures.check("u:ann", rate, now).is_err(), "others do not push it out");
    }
}
