//! Which fencing tokens were seen: a bit each, since they are numbered one by one.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::model::Fence;

const BITS: u64 = 65_536;
const WORDS: usize = 1_024;

/// Tokens of the whole cluster.
#[derive(Default)]
pub(super) struct Fences(Mutex<BTreeMap<u64, Box<[u64; WORDS]>>>);

impl Fences {
    /// Notes a token; false: it was there already.
    pub(super) fn is_new(&self, fence: Fence) -> bool {
        let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let part = parts.entry(fence / BITS).or_insert_with(|| Box::new([0; WORDS]));
        let (word, bit) = ((fence % BITS / 64) as usize, 1 << (fence % 64));
        let new = part[word] & bit == 0;
        part[word] |= bit;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_is_new_once() {
        let fences = Fences::default();
        for fence in [0, 1, 63, 64, 65_535, 65_536, 1 << 40, u64::MAX] {
            assert!(fences.is_new(fence), "{fence}");
        }
        for fence in [0, 64, 65_536, u64::MAX] {
            assert!(!fences.is_new(fence), "{fence}");
        }
    }
}
