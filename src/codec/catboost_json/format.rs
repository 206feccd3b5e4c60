//! The parts of the file, field by field, as the official package names them.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Number, Value};

#[derive(Serialize, Deserialize)]
pub(super) struct ModelFile {
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub ctr_data: BTreeMap<String, CtrData>,
    pub features_info: FeaturesInfo,
    #[serde(default)]
    pub model_info: Value,
    pub oblivious_trees: Vec<TreeEntry>,
    #[serde(default = "no_scale_and_bias")]
    pub scale_and_bias: (f64, Vec<f64>),
}

fn no_scale_and_bias() -> (f64, Vec<f64>) {
    (1.0, vec![0.0])
}

/// The package writes `null` for what is empty.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(value: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or_default())
}

#[derive(Serialize, Deserialize, Default)]
pub(super) struct FeaturesInfo {
    #[serde(default, deserialize_with = "or_default")]
    pub float_features: Vec<FloatEntry>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub categorical_features: Vec<CategoryEntry>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub cat_features_hash: Vec<HashEntry>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub ctrs: Vec<CtrEntry>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct FloatEntry {
    #[serde(default)]
    pub feature_id: String,
    pub feature_index: usize,
    pub flat_feature_index: usize,
    #[serde(default, deserialize_with = "or_default")]
    pub borders: Vec<f64>,
    pub has_nans: bool,
    pub nan_value_treatment: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct CategoryEntry {
    #[serde(default)]
    pub feature_id: String,
    pub feature_index: usize,
    pub flat_feature_index: usize,
    #[serde(default, deserialize_with = "or_default")]
    pub values: Vec<i32>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct HashEntry {
    pub hash: u32,
    pub value: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct CtrEntry {
    pub borders: Vec<f64>,
    pub ctr_type: String,
    pub elements: Vec<ElementEntry>,
    pub identifier: String,
    /// The package spells it so.
    pub prior_denomerator: f64,
    pub prior_numerator: f64,
    pub scale: f64,
    pub shift: f64,
    pub target_border_idx: usize,
}

/// In alphabetical order: this is also a part of the identifier.
#[derive(Serialize, Deserialize, Clone)]
pub(super) struct ElementEntry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub border: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cat_feature_index: Option<usize>,
    pub combination_element: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub float_feature_index: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<i32>,
}

/// What names a table.
#[derive(Serialize)]
pub(super) struct Identifier<'a> {
    pub identifier: &'a [ElementEntry],
    pub r#type: &'a str,
}

#[derive(Serialize, Deserialize)]
pub(super) struct CtrData {
    #[serde(default)]
    pub counter_denominator: f64,
    /// Key as text, its numbers, key, its numbers, …
    pub hash_map: Vec<KeyOrCount>,
    pub hash_stride: usize,
}

#[derive(Serialize, Deserialize, Clone)]
#[serde(untagged)]
pub(super) enum KeyOrCount {
    Key(String),
    Count(Number),
}

#[derive(Serialize, Deserialize)]
pub(super) struct TreeEntry {
    pub leaf_values: Vec<f64>,
    #[serde(default, deserialize_with = "or_default")]
    pub leaf_weights: Vec<f64>,
    #[serde(default, deserialize_with = "or_default")]
    pub splits: Vec<SplitEntry>,
}

#[derive(Serialize, Deserialize, Default)]
pub(super) struct SplitEntry {
    pub split_type: String,
    pub split_index: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub float_feature_index: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub border: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cat_feature_index: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ctr_target_border_idx: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<i32>,
}
