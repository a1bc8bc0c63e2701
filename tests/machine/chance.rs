//! Seeded chance (SplitMix64), and the seed of a run: printed on failure, repeated with
//! `CRONAPI_SEED=<n>`.

/// A source of chance.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `bound` - 1.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// Once in `n`.
    pub fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }
}

/// Runs `test` for the seeds, or for the one that the environment names; a failure says
/// which seed it was.
pub fn each_seed(what: &str, seeds: std::ops::Range<u64>, test: impl Fn(u64)) {
    struct Told<'a>(&'a str, u64);
    impl Drop for Told<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("{}: repeat it with CRONAPI_SEED={}", self.0, self.1);
            }
        }
    }
    let wanted = std::env::var("CRONAPI_SEED").ok().and_then(|text| text.parse().ok());
    for seed in wanted.map_or(seeds, |seed: u64| seed..seed + 1) {
        let told = Told(what, seed);
        test(seed);
        drop(told);
    }
}
