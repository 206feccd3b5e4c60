//! LambdaMART: pairs of a group pull each other apart, each as strongly as NDCG would change if they swapped.
//!
//! For rows i, j of a group with labels y_i > y_j and ranks r by score:
//! Δ = (y_i − y_j) · |1/log₂(1 + r_i) − 1/log₂(1 + r_j)| / ideal DCG, ρ = 1 / (1 + e^(s_i − s_j)); the slope
//! of i falls by ρΔ, that of j rises by it, and the curvature of both rises by ρ(1 − ρ)Δ.
//!
//! # Source
//! C. Burges: *From RankNet to LambdaRank to LambdaMART: an overview*, MSR-TR-2010-82.

/// 1 − NDCG of one group and weight 1, or nothing when all labels are equal; the derivatives of its rows.
pub(super) fn group(scores: &[f64], labels: &[f32], derivatives: &mut [[f32; 2]]) -> [f64; 2] {
    derivatives.fill([0.0; 2]);
    let mut by_label: Vec<f32> = labels.to_vec();
    by_label.sort_unstable_by(|a, b| b.total_cmp(a));
    if by_label.first() == by_label.last() {
        return [0.0; 2];
    }
    // Equal scores stand as they came.
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let discounts: Vec<f64> = (0..scores.len()).map(|rank| 1.0 / (rank as f64 + 2.0).log2()).collect();
    let ideal: f64 = by_label.iter().zip(&discounts).map(|(&y, discount)| f64::from(y) * discount).sum();
    let reached: f64 = order.iter().zip(&discounts).map(|(&row, d)| f64::from(labels[row]) * d).sum();

    let mut sums = vec![[0.0f64; 2]; scores.len()];
    for (better_rank, &better) in order.iter().enumerate() {
        if labels[better] <= 0.0 {
            continue;
        }
        for (worse_rank, &worse) in order.iter().enumerate() {
            let gain = f64::from(labels[better]) - f64::from(labels[worse]);
            if gain <= 0.0 {
                continue;
            }
            let change = gain * (discounts[better_rank] - discounts[worse_rank]).abs() / ideal;
            let rho = 1.0 / (1.0 + (scores[better] - scores[worse]).exp());
            let curvature = rho * (1.0 - rho) * change;
            sums[better] = [sums[better][0] - rho * change, sums[better][1] + curvature];
            sums[worse] = [sums[worse][0] + rho * change, sums[worse][1] + curvature];
        }
    }
    for (derivatives, [g, h]) in derivatives.iter_mut().zip(sums) {
        *derivatives = [g as f32, h as f32];
    }
    [1.0 - reached / ideal, 1.0]
}

#[cfg(test)]
mod tests {
    use super::group;

    #[test]
    fn a_pair_in_the_wrong_order_is_pulled_apart() {
        let mut derivatives = [[0.0; 2]; 3];
        let [loss, weight] = group(&[0.0, 1.0, -9.0], &[1.0, 0.0, 0.0], &mut derivatives);
        // The positive stands second: DCG 1/log₂ 3.
        let second = 1.0 / 3f64.log2();
        assert!((loss - (1.0 - second)).abs() < 1e-12);
        assert_eq!(weight, 1.0);
        let rho = 1.0 / (1.0 + (-1.0f64).exp());
        assert!((f64::from(derivatives[1][0]) - rho * (1.0 - second)).abs() < 1e-7);
        let total: f32 = derivatives.iter().map(|d| d[0]).sum();
        assert!(total.abs() < 1e-7);
        assert!(derivatives.iter().all(|d| d[1] > 0.0));
    }

    #[test]
    fn groups_without_a_choice_say_nothing() {
        for labels in [[0.0, 0.0], [1.0, 1.0]] {
            let mut derivatives = [[7.0; 2]; 2];
            assert_eq!(group(&[0.0, 1.0], &labels, &mut derivatives), [0.0; 2]);
            assert_eq!(derivatives, [[0.0; 2]; 2]);
        }
        assert_eq!(group(&[0.0], &[1.0], &mut [[7.0; 2]]), [0.0; 2]);
    }
}
