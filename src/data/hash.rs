//! Seeded choices that depend on ids alone: neither on the order of rows nor on threads.

/// A 64-bit mix of a seed and two ids.
///
/// # Source
/// The finaliser of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
pub fn mix(seed: u64, first: i64, second: i64) -> u64 {
    let step = |state: u64| {
        let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^ (state >> 31)
    };
    step(step(step(seed) ^ first as u64) ^ second as u64)
}

/// The same as a number in [0, 1), uniform over ids.
pub fn uniform(seed: u64, first: i64, second: i64) -> f64 {
    const BITS: u32 = f64::MANTISSA_DIGITS;
    (mix(seed, first, second) >> (u64::BITS - BITS)) as f64 / (1u64 << BITS) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_spread_evenly_and_depend_on_each_part() {
        let draws: Vec<f64> = (0..10_000).map(|id| uniform(1, id, 0)).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        assert!(draws.iter().all(|draw| (0.0..1.0).contains(draw)));
        assert_ne!(mix(1, 2, 3), mix(2, 2, 3));
        assert_ne!(mix(1, 2, 3), mix(1, 3, 2));
    }
}
