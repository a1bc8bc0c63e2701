//! A stable number per name, to keep a thousand jobs from starting in the same second.

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// A number in `0..bound` that depends on `name` alone; 0 when `bound` is 0.
///
/// FNV-1a (64 bits) over the bytes of `name`, then the 64-bit finalizer of MurmurHash3 (FNV
/// alone leaves the low bits of similar names similar), then modulo. **Frozen**: `H` and jitter
/// of existing jobs move if this changes; the golden values in the tests guard it.
pub fn spread(name: &str, bound: u64) -> u64 {
    let mut hash = FNV_OFFSET;
    for byte in name.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^= hash >> 33;
    hash.checked_rem(bound).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn values_are_frozen() {
        let golden = [
            ("", 17_280_346_270_528_514_342),
            ("a", 9_413_272_369_427_828_315),
            ("backup", 1_948_135_342_040_390_262),
            ("backup#minute", 14_190_165_992_369_970_179),
            ("tägliche", 10_623_353_891_506_188_725),
        ];
        let now = golden.map(|(name, _)| (name, spread(name, u64::MAX)));
        assert_eq!(now, golden);
    }

    #[test]
    fn a_bound_of_zero_or_one_gives_zero() {
        assert_eq!((spread("x", 0), spread("x", 1)), (0, 0));
    }

    #[test]
    fn numbered_names_fill_an_hour_evenly() {
        let mut minutes = [0_u32; 60];
        for n in 0..6_000 {
            minutes[spread(&format!("job-{n}#minute"), 60) as usize] += 1;
        }
        assert!(minutes.iter().all(|&n| (60..=140).contains(&n)), "{minutes:?}");
    }
}
