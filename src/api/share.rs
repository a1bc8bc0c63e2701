//! Places that callers share: each may take one while it holds fewer than are free. Alone a
//! caller gets half of them; however many it asks for, some are left for the next.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The places.
pub(super) struct Shares {
    most: usize,
    held: Mutex<HashMap<String, usize>>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// Nobody gets one.
    All,
    /// This caller has its share.
    Share,
}

/// A place, given back when dropped.
pub(super) struct Taken {
    shares: Arc<Shares>,
    key: String,
}

impl Shares {
    pub(super) fn new(most: usize) -> Arc<Shares> {
        Arc::new(Shares { most, held: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for `key`.
    pub(super) fn take(self: &Arc<Self>, key: &str) -> Result<Taken, Full> {
        let mut held = self.lock();
        let free = self.most.saturating_sub(held.values().sum());
        if free == 0 {
            return Err(Full::All);
        }
        if held.get(key).is_some_and(|own| *own >= free) {
            return Err(Full::Share);
        }
        *held.entry(key.to_owned()).or_default() += 1;
        Ok(Taken { shares: Arc::clone(self), key: key.to_owned() })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut held = self.shares.lock();
        if let Some(count) = held.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gets_a_share_and_none_gets_all() {
        let shares = Shares::new(100);
        let all = |key: &str| {
            let mut taken = Vec::new();
            while let Ok(one) = shares.take(key) {
                taken.push(one);
            }
            taken
        };
        let (a, b, c) = (all("a"), all("b"), all("c"));
        assert_eq!((a.len(), b.len(), c.len()), (50, 25, 13));
        assert_eq!(shares.take("a").err(), Some(Full::Share));
        drop(a);
        assert!(shares.take("b").is_ok());
        drop((b, c));
        assert!(shares.lock().is_empty());
        assert_eq!(Shares::new(0).take("a").err(), Some(Full::All));
    }
}
