//! Integers as decimal digits, written many at a time.
//!
//! The room for all of them is made once, and the digits of each are written where they stay: to put them together
//! elsewhere and copy them would cost more than to find them.

/// The most digits that a number has, with its sign.
const MOST: usize = 20;
/// The digits of 0 to 99.
const PAIRS: [[u8; 2]; 100] = pairs();

/// Writes a number.
pub fn push(text: &mut Vec<u8>, number: i64) {
    push_all(text, &[number]);
    text.pop();
}

/// Writes numbers, each with a comma after it.
pub fn push_all(text: &mut Vec<u8>, numbers: &[i64]) {
    let mut end = text.len();
    text.resize(end + numbers.len() * (MOST + 1), b',');
    for &number in numbers {
        let place = text[end..].first_chunk_mut().expect("there is room for the longest number");
        end += digits(place, number);
    }
    text.truncate(end);
}

/// Writes the digits of a number and a comma; how many bytes they take.
#[inline]
fn digits(place: &mut [u8; MOST + 1], number: i64) -> usize {
    let mut rest = number.unsigned_abs();
    let sign = usize::from(number < 0);
    place[0] = b'-';
    let len = sign + rest.checked_ilog10().map_or(1, |power| power as usize + 1);
    place[len] = b',';
    let mut end = len;
    while rest >= 100 {
        end -= 2;
        place[end..end + 2].copy_from_slice(&PAIRS[(rest % 100) as usize]);
        rest /= 100;
    }
    let last = PAIRS[rest as usize];
    place[end - 1] = last[1];
    if rest >= 10 {
        place[end - 2] = last[0];
    }
    len + 1
}

const fn pairs() -> [[u8; 2]; 100] {
    let (mut pairs, mut number) = ([[0; 2]; 100], 0);
    while number < 100 {
        pairs[number] = [b'0' + number as u8 / 10, b'0' + number as u8 % 10];
        number += 1;
    }
    pairs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_are_written_as_everywhere(
            numbers in prop::collection::vec(prop_oneof![any::<i64>(), -200i64..200, 0..10_000_000i64], 0..20),
        ) {
            let (mut one, mut all) = (Vec::new(), b"[".to_vec());
            for &number in &numbers {
                push(&mut one, number);
                one.push(b',');
            }
            push_all(&mut all, &numbers);
            let expected: String = numbers.iter().map(|number| format!("{number},")).collect();
            prop_assert_eq!(String::from_utf8(one).unwrap(), expected.clone());
            prop_assert_eq!(String::from_utf8(all).unwrap(), format!("[{expected}"));
        }
    }

    #[test]
    fn the_longest_number_fits() {
        let mut text = Vec::new();
        push_all(&mut text, &[i64::MIN, i64::MAX, 0]);
        assert_eq!(text, b"-9223372036854775808,9223372036854775807,0,");
    }
}
