//! Token buckets in memory, of bounded number: how often one may try.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::model::rate::Rate;
use crate::model::{Span, Timestamp};

/// Buckets at a time. Past it, those who have none of their own share one.
const BUCKETS_MAX: usize = 10_000;

/// When a bucket will be full again says all about it (GCRA).
pub(in crate::service) struct Throttle {
    rate: Rate,
    full_at: Mutex<HashMap<String, Timestamp>>,
}

impl Throttle {
    pub(in crate::service) fn new(rate: Rate) -> Self {
        Throttle { rate, full_at: Mutex::default() }
    }

    /// Takes one try from the bucket of `key`.
    ///
    /// # Errors
    /// It is empty; the time until it is not.
    pub(in crate::service) fn take(&self, key: &str, now: Timestamp) -> Result<(), Span> {
        let mut buckets = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let key = room(&mut buckets, key, now);
        let then = self.rate.take(buckets.get(key).copied(), now)?;
        buckets.insert(key.to_owned(), then);
        Ok(())
    }

    /// Puts one try back: it was a good one.
    pub(in crate::service) fn give_back(&self, key: &str, now: Timestamp) {
        let mut buckets = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(full_at) = buckets.get_mut(key) {
            *full_at = full_at.minus(self.rate.every);
            if *full_at <= now {
                buckets.remove(key);
            }
        }
    }
}

/// The key to use: the shared one when there is no room for another bucket.
fn room<'a>(buckets: &mut HashMap<String, Timestamp>, key: &'a str, now: Timestamp) -> &'a str {
    if buckets.len() < BUCKETS_MAX || buckets.contains_key(key) {
        return key;
    }
    buckets.retain(|_, full_at| *full_at > now);
    if buckets.len() < BUCKETS_MAX { key } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_refills_and_takes_back() {
        let throttle = Throttle::new(Rate { burst: 3, every: Span::from_secs(10) });
        let now = Timestamp::from_secs(1_800_000_000);
        for _ in 0..3 {
            assert_eq!(throttle.take("a", now), Ok(()));
        }
        assert_eq!(throttle.take("a", now), Err(Span::from_secs(10)));
        assert_eq!(throttle.take("b", now), Ok(()), "each has its own");
        let later = now.plus(Span::from_secs(10));
        assert_eq!(throttle.take("a", later), Ok(()));
        assert!(throttle.take("a", later).is_err());
        throttle.give_back("a", later);
        assert_eq!(throttle.take("a", later), Ok(()));
        let before = now.minus(Span::from_secs(86_400));
        assert!(throttle.take("a", before).is_err_and(|wait| wait <= Span::from_secs(10)));
    }

    #[test]
    fn the_number_of_buckets_is_bounded() {
        let throttle = Throttle::new(Rate { burst: 2, every: Span::from_secs(10) });
        let now = Timestamp::from_secs(1_800_000_000);
        let refused = (0..BUCKETS_MAX + 10).filter(|n| throttle.take(&n.to_string(), now).is_err());
        assert_eq!(refused.count(), 8, "those past the bound share one bucket");
        assert!(throttle.full_at.lock().unwrap().len() <= BUCKETS_MAX + 1);
    }
}
