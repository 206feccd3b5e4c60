//! How much each feature matters: CatBoost's `PredictionValuesChange`.
//!
//! For two leaves that differ only in one split, with values v₁, v₂ and training rows c₁, c₂, a change
//! of the answer moves the prediction by (v₁ − m)² c₁ + (v₂ − m)² c₂ = (v₁ − v₂)² c₁c₂ / (c₁ + c₂), where m
//! is their weighted mean. Summed over pairs, levels and trees per feature and scaled to 100 in all;
//! a combination of features shares out evenly.

use super::model::BoostedTrees;

impl BoostedTrees {
    /// One value per feature; together 100, or all 0 when no tree splits.
    pub fn importances(&self) -> Vec<f64> {
        let mut importances = vec![0.0; self.features.len()];
        for tree in &self.trees {
            for (bit, split) in tree.splits.iter().enumerate() {
                for low in (0..tree.leaf_values.len()).filter(|leaf| leaf >> bit & 1 == 0) {
                    let high = low | 1 << bit;
                    let (low_weight, high_weight) = (tree.leaf_weights[low], tree.leaf_weights[high]);
                    if low_weight + high_weight > 0.0 {
                        let change = tree.leaf_values[low] - tree.leaf_values[high];
                        let value = change * change * low_weight * high_weight / (low_weight + high_weight);
                        let features = self.features_of(*split);
                        for &feature in &features {
                            importances[feature] += value / features.len() as f64;
                        }
                    }
                }
            }
        }
        let total: f64 = importances.iter().sum();
        if total > 0.0 {
            importances.iter_mut().for_each(|value| *value *= 100.0 / total);
        }
        importances
    }
}
