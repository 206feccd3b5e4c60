//! The best `k` candidates of every item, while candidates come in any order.
//!
//! A candidate is one integer that orders by similarity and then by item, so the outcome does not depend
//! on the order in which candidates come.

/// A similarity above zero and the item that has it: greater is better, equal ones by the smaller item.
pub fn key(item: u32, similarity: f32) -> u64 {
    u64::from(similarity.to_bits()) << 32 | u64::from(!item)
}

/// The item and similarity behind a key.
pub fn entry(key: u64) -> (u32, f32) {
    (!(key as u32), f32::from_bits((key >> 32) as u32))
}

/// The least similarity that may enter a heap with this root.
pub fn threshold(root: u64) -> f32 {
    entry(root).1.max(f32::MIN_POSITIVE)
}

/// Puts a key in place of the worst one of a heap, if it is better. The heap starts as zeros, which are
/// worse than any key.
#[inline]
pub fn push(heap: &mut [u64], key: u64) {
    if key <= heap[0] {
        return;
    }
    let mut at = 0;
    loop {
        let left = 2 * at + 1;
        let Some(mut child) = heap.get(left).map(|_| left) else { break };
        if heap.get(left + 1).is_some_and(|&right| right < heap[left]) {
            child = left + 1;
        }
        if heap[child] >= key {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = key;
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64;

    use super::*;

    #[test]
    fn a_heap_keeps_the_best_whatever_the_order() {
        let mut random = Pcg64::seed_from_u64(2);
        for k in [1, 2, 3, 20] {
            let mut keys: Vec<u64> =
                (0..100).map(|item| key(item, random.random_range(1..9) as f32)).collect();
            let mut heap = vec![0; k];
            for _ in 0..50 {
                let a = random.random_range(0..100);
                keys.swap(a, 7);
            }
            keys.iter().for_each(|&key| push(&mut heap, key));
            keys.sort_unstable_by(|a, b| b.cmp(a));
            assert_eq!(threshold(heap[0]), entry(keys[k - 1]).1);
            heap.sort_unstable_by(|a, b| b.cmp(a));
            assert_eq!(heap, keys[..k]);
        }
    }

    #[test]
    fn equal_similarities_go_to_the_smaller_item() {
        assert!(key(3, 0.5) > key(4, 0.5) && key(9, 0.6) > key(3, 0.5));
        assert_eq!(entry(key(77, 0.25)), (77, 0.25));
        assert_eq!(threshold(0), f32::MIN_POSITIVE);
    }
}
