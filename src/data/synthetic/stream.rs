//! Seeded randomness that does not depend on who asks first.
//!
//! Every user, song and name has a generator of its own, made from the seed, a room and an index, so
//! that any part can be made alone, in any order, on any thread, with the same result.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// What a generator is for; two rooms never share a stream.
#[derive(Debug, Clone, Copy)]
pub enum Room {
    /// How the catalogue is built.
    Catalogue = 1,
    /// How many listens each user has.
    Activity,
    /// What each user listens to.
    Listens,
    /// The title of a song.
    Song,
    /// The name of an artist.
    Artist,
    /// The name of an album.
    Album,
    /// What a track has besides its song: dirt in the name, further albums and genres.
    Track,
}

/// The generator of entity `index` in `room`.
pub fn generator(seed: u64, room: Room, index: u64) -> Pcg64Mcg {
    Pcg64Mcg::seed_from_u64(mix(mix(seed ^ mix(room as u64)) ^ index))
}

/// The finaliser of SplitMix64: a bijection whose outputs look independent.
///
/// # Source
/// Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014.
pub fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// One of a non-empty list.
pub fn pick<'a, T: ?Sized>(rng: &mut Pcg64Mcg, from: &[&'a T]) -> &'a T {
    from[rng.random_range(0..from.len())]
}

/// A position in `0..n`, low ones likelier: `n · u^power`.
pub fn skewed(rng: &mut Pcg64Mcg, n: usize, power: f64) -> usize {
    ((n as f64 * rng.random::<f64>().powf(power)) as usize).min(n - 1)
}
