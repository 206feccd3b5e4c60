//! CityHash64, version 1.0.2: how CatBoost turns the text of a category into a number.
//!
//! Later versions of CityHash give other numbers; a model file would load and score wrongly.
//!
//! # Source
//! Geoff Pike and Jyrki Alakuijala, *CityHash v1.0.2*, 2011 (MIT licence); the test holds values that
//! the official package wrote.

const K0: u64 = 0xc3a5_c85c_97cb_3127;
const K1: u64 = 0xb492_b66f_be98_f273;
const K2: u64 = 0x9ae1_6a3b_2f90_404f;
const K3: u64 = 0xc949_d7c7_509e_6557;

/// The hash of a category, as CatBoost compares it: the low 32 bits of CityHash64 of its UTF-8 text.
/// Integers are hashed as their decimal text.
pub fn category_hash(text: &str) -> u32 {
    city_hash_64(text.as_bytes()) as u32
}

fn city_hash_64(s: &[u8]) -> u64 {
    match s.len() {
        0..=16 => hash_to_16(s),
        17..=32 => hash_17_to_32(s),
        33..=64 => hash_33_to_64(s),
        _ => hash_long(s),
    }
}

fn hash_to_16(s: &[u8]) -> u64 {
    let len = s.len() as u64;
    match s.len() {
        0 => K2,
        1..=3 => {
            let y = u64::from(s[0]) + (u64::from(s[s.len() / 2]) << 8);
            let z = len + (u64::from(s[s.len() - 1]) << 2);
            shift_mix(y.wrapping_mul(K2) ^ z.wrapping_mul(K3)).wrapping_mul(K2)
        }
        4..=8 => mix(len.wrapping_add(word32(s, 0) << 3), word32(s, s.len() - 4)),
        _ => {
            let (a, b) = (word(s, 0), word(s, s.len() - 8));
            mix(a, b.wrapping_add(len).rotate_right(s.len() as u32)) ^ b
        }
    }
}

fn hash_17_to_32(s: &[u8]) -> u64 {
    let len = s.len();
    let a = word(s, 0).wrapping_mul(K1);
    let b = word(s, 8);
    let c = word(s, len - 8).wrapping_mul(K2);
    let d = word(s, len - 16).wrapping_mul(K0);
    mix(
        a.wrapping_sub(b).rotate_right(43).wrapping_add(c.rotate_right(30)).wrapping_add(d),
        a.wrapping_add((b ^ K3).rotate_right(20)).wrapping_sub(c).wrapping_add(len as u64),
    )
}

fn hash_33_to_64(s: &[u8]) -> u64 {
    let len = s.len();
    let half = |mut a: u64, z: u64, first: usize| {
        let mut b = a.wrapping_add(z).rotate_right(52);
        let mut c = a.rotate_right(37);
        a = a.wrapping_add(word(s, first));
        c = c.wrapping_add(a.rotate_right(7));
        a = a.wrapping_add(word(s, first + 8));
        b = b.wrapping_add(a.rotate_right(31)).wrapping_add(c);
        (a.wrapping_add(z), b)
    };
    let a = word(s, 0).wrapping_add((len as u64).wrapping_add(word(s, len - 16)).wrapping_mul(K0));
    let v = half(a, word(s, 24), 8);
    let w = half(word(s, 16).wrapping_add(word(s, len - 32)), word(s, len - 8), len - 24);
    let r = shift_mix(
        v.0.wrapping_add(w.1).wrapping_mul(K2).wrapping_add(w.0.wrapping_add(v.1).wrapping_mul(K0)),
    );
    shift_mix(r.wrapping_mul(K0).wrapping_add(v.1)).wrapping_mul(K2)
}

fn hash_long(s: &[u8]) -> u64 {
    let len = s.len();
    let mut x = word(s, 0);
    let mut y = word(s, len - 16) ^ K1;
    let mut z = word(s, len - 56) ^ K0;
    let mut v = weak_hash(s, len - 64, len as u64, y);
    let mut w = weak_hash(s, len - 32, (len as u64).wrapping_mul(K1), K0);
    z = z.wrapping_add(shift_mix(v.1).wrapping_mul(K1));
    x = z.wrapping_add(x).rotate_right(39).wrapping_mul(K1);
    y = y.rotate_right(33).wrapping_mul(K1);
    for at in (0..(len - 1) & !63).step_by(64) {
        x = x
            .wrapping_add(y)
            .wrapping_add(v.0)
            .wrapping_add(word(s, at + 16))
            .rotate_right(37)
            .wrapping_mul(K1);
        y = y.wrapping_add(v.1).wrapping_add(word(s, at + 48)).rotate_right(42).wrapping_mul(K1);
        x ^= w.1;
        y ^= v.0;
        z = (z ^ w.0).rotate_right(33);
        v = weak_hash(s, at, v.1.wrapping_mul(K1), x.wrapping_add(w.0));
        w = weak_hash(s, at + 32, z.wrapping_add(w.1), y);
        std::mem::swap(&mut z, &mut x);
    }
    mix(
        mix(v.0, w.0).wrapping_add(shift_mix(y).wrapping_mul(K1)).wrapping_add(z),
        mix(v.1, w.1).wrapping_add(x),
    )
}

/// Four words from `at` on, mixed into two.
fn weak_hash(s: &[u8], at: usize, mut a: u64, mut b: u64) -> (u64, u64) {
    let z = word(s, at + 24);
    a = a.wrapping_add(word(s, at));
    b = b.wrapping_add(a).wrapping_add(z).rotate_right(21);
    let c = a;
    a = a.wrapping_add(word(s, at + 8)).wrapping_add(word(s, at + 16));
    b = b.wrapping_add(a.rotate_right(44));
    (a.wrapping_add(z), b.wrapping_add(c))
}

fn mix(low: u64, high: u64) -> u64 {
    const MULTIPLIER: u64 = 0x9ddf_ea08_eb38_2d69;
    let mut a = (low ^ high).wrapping_mul(MULTIPLIER);
    a ^= a >> 47;
    let mut b = (high ^ a).wrapping_mul(MULTIPLIER);
    b ^= b >> 47;
    b.wrapping_mul(MULTIPLIER)
}

fn shift_mix(value: u64) -> u64 {
    value ^ (value >> 47)
}

fn word(s: &[u8], at: usize) -> u64 {
    s[at..at + 8].iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

fn word32(s: &[u8], at: usize) -> u64 {
    s[at..at + 4].iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::category_hash;

    #[test]
    fn categories_hash_as_in_the_official_package() {
        for (text, hash) in [
            ("", 797_982_799),
            ("a", 3_489_901_818),
            ("ab", 4_090_249_022),
            ("abc", 978_243_121),
            ("3", 593_172_586),
            ("-17", 2_313_877_035),
            ("rock", 2_818_209_257),
            ("jazz!", 1_436_758_683),
            ("electron", 1_061_302_605),
            ("indie rock", 1_243_793_846),
            ("Ünïcödé", 1_012_553_189),
            ("кириллица", 1_317_037_544),
            ("日本語の曲", 2_277_379_656),
            ("sixteen chars ok", 1_574_172_303),
            ("seventeen chars..", 111_842_465),
            ("soundtrack and more words here!!", 1_395_589_622),
            ("this string has exactly 33 chars..", 1_802_245_251),
            ("a text of about fifty characters, a bit more than that", 2_869_590_088),
            (&"x".repeat(64), 648_792_787),
            (&"y".repeat(65), 3_114_503_727),
            (&"z".repeat(128), 1_319_357_041),
            (&"w".repeat(129), 3_907_799_763),
        ] {
            assert_eq!(category_hash(text), hash, "{text}");
        }
    }
}
