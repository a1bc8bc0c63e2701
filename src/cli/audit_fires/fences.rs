//! Which fencing tokens were seen: a bit each, since they are numbered one by one.

use std::collections::BTreeMap;

use crate::model::Fence;

use super::gathered::Held;
use super::report::{Findings, rule};

const BITS: u64 = 65_536;
const WORDS: usize = 1_024;

/// Tokens of the whole cluster.
#[derive(Default)]
pub(super) struct Fences(BTreeMap<u64, Box<[u64; WORDS]>>);

impl Fences {
    /// Holds the tokens of a job against those of all others.
    pub(super) fn check(&mut self, found: &mut Findings) {
        for Held { fence, run, attempt } in std::mem::take(&mut found.fences) {
            if !self.is_new(fence) {
                let name = format!("attempt {attempt} of run {run}");
                let text = format!("{name} has fence {fence}, which another attempt had");
                found.add(rule::FENCES, text);
            }
        }
    }

    /// Notes a token; false: it was there already.
    fn is_new(&mut self, fence: Fence) -> bool {
        let part = self.0.entry(fence / BITS).or_insert_with(|| Box::new([0; WORDS]));
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
        let mut fences = Fences::default();
        for fence in [0, 1, 63, 64, 65_535, 65_536, 1 << 40, u64::MAX] {
            assert!(fences.is_new(fence), "{fence}");
        }
        for fence in [0, 64, 65_536, u64::MAX] {
            assert!(!fences.is_new(fence), "{fence}");
        }
    }
}
