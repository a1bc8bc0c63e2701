//! Chance that may be repeated: ids of nodes and clusters, patience with a leader.
//!
//! It comes from the system, unless a simulation gave this thread a seed. Whatever must stay
//! secret asks the system itself, and never this module.

use std::cell::Cell;

thread_local! {
    static SEEDED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// The system has no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system has no random bytes: {0}")]
pub struct NoChance(String);

/// From now on this thread draws what follows from `seed`: for a simulation, whose nodes share
/// one thread.
pub fn seed_this_thread(seed: u64) {
    SEEDED.set(Some(seed));
}

/// A number of which every bit is drawn.
///
/// # Errors
/// The system has no random bytes.
pub fn number() -> Result<u64, NoChance> {
    let Some(state) = SEEDED.get() else {
        return getrandom::u64().map_err(|error| NoChance(error.to_string()));
    };
    // SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    SEEDED.set(Some(state));
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    Ok(mixed ^ (mixed >> 31))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_what_is_drawn_and_only_on_its_thread() {
        let draw = |seed| {
            std::thread::spawn(move || {
                if let Some(seed) = seed {
                    seed_this_thread(seed);
                }
                [number().unwrap(), number().unwrap()]
            })
            .join()
            .unwrap()
        };
        assert_eq!(draw(Some(7)), draw(Some(7)));
        assert_ne!(draw(Some(7)), draw(Some(8)));
        assert_ne!(draw(None), draw(None));
    }
}
