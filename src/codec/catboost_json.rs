//! Boosted trees in CatBoost's JSON format, both ways.
//!
//! The official package opens what is written here (`CatBoost().load_model(path, format="json")`), and
//! models that it exported are scored here, as long as their categories are one-hot.
//!
//! # Format
//! `features_info.float_features[]` (borders) and `.categorical_features[]` (hashes as signed 32-bit
//! numbers) list every binary feature that a tree may ask for; they are numbered through, borders first, in
//! the order of the features. `oblivious_trees[].splits[].split_index` is that number, and it alone decides:
//! the border or value beside it is for readers. A file in which the two contradict each other scores
//! wrongly without a word in other readers, so it is refused here. `scale_and_bias` is `[scale, [bias]]`.
//! `features_info.cat_features_hash[]` keeps the texts of the hashes, for people.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{CodecError, json};
use crate::models::boosting::{BoostedTrees, FeatureInfo, FeatureKind, Loss, Missing, Split, Tree};

/// Written into `model_info`; raised when the format of our files changes.
const FORMAT_VERSION: &str = "1";

#[derive(Serialize, Deserialize)]
struct ModelFile {
    features_info: FeaturesInfo,
    #[serde(default)]
    model_info: Value,
    oblivious_trees: Vec<TreeEntry>,
    #[serde(default = "no_scale_and_bias")]
    scale_and_bias: (f64, Vec<f64>),
}

fn no_scale_and_bias() -> (f64, Vec<f64>) {
    (1.0, vec![0.0])
}

#[derive(Serialize, Deserialize, Default)]
struct FeaturesInfo {
    #[serde(default)]
    float_features: Vec<FloatEntry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    categorical_features: Vec<CategoryEntry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    cat_features_hash: Vec<HashEntry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ctrs: Vec<Value>,
}

#[derive(Serialize, Deserialize)]
struct FloatEntry {
    #[serde(default)]
    feature_id: String,
    feature_index: usize,
    flat_feature_index: usize,
    #[serde(default)]
    borders: Vec<f64>,
    has_nans: bool,
    nan_value_treatment: String,
}

#[derive(Serialize, Deserialize)]
struct CategoryEntry {
    #[serde(default)]
    feature_id: String,
    feature_index: usize,
    flat_feature_index: usize,
    #[serde(default)]
    values: Vec<i32>,
}

#[derive(Serialize, Deserialize)]
struct HashEntry {
    hash: u32,
    value: String,
}

#[derive(Serialize, Deserialize)]
struct TreeEntry {
    leaf_values: Vec<f64>,
    #[serde(default)]
    leaf_weights: Vec<f64>,
    #[serde(default)]
    splits: Vec<SplitEntry>,
}

#[derive(Serialize, Deserialize)]
struct SplitEntry {
    split_type: String,
    split_index: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    float_feature_index: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    border: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cat_feature_index: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<i32>,
}

/// Writes a model.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, model: &BoostedTrees) -> Result<(), CodecError> {
    json::write(path, &encode(model))
}

/// Reads a model of ours or of the official package.
///
/// # Errors
/// When the file cannot be read, is not such a model, contradicts itself, or has features that cannot be
/// scored here (target statistics, text, embeddings).
pub fn read(path: &Path) -> Result<BoostedTrees, CodecError> {
    decode(json::read(path)?).map_err(|message| CodecError::Format {
        path: path.to_owned(),
        format: "CatBoost JSON",
        message,
    })
}

fn encode(model: &BoostedTrees) -> ModelFile {
    let splits = || model.trees.iter().flat_map(|tree| &tree.splits);
    let mut info = FeaturesInfo::default();
    let mut binary: Vec<Split> = Vec::new();
    let mut one_hot: Vec<Split> = Vec::new();
    let mut position = vec![0; model.features.len()];
    let mut names = BTreeMap::new();
    for (column, feature) in model.features.iter().enumerate() {
        match &feature.kind {
            FeatureKind::Real(missing) => {
                let mut borders: Vec<f32> = splits()
                    .filter_map(|&split| match split {
                        Split::Above { feature, border } if feature == column => Some(border),
                        _ => None,
                    })
                    .collect();
                borders.sort_by(f32::total_cmp);
                borders.dedup();
                binary.extend(borders.iter().map(|&border| Split::Above { feature: column, border }));
                position[column] = info.float_features.len();
                info.float_features.push(FloatEntry {
                    feature_id: feature.name.clone(),
                    feature_index: position[column],
                    flat_feature_index: column,
                    borders: borders.into_iter().map(f64::from).collect(),
                    has_nans: *missing != Missing::Unseen,
                    nan_value_treatment: treatment(*missing).to_owned(),
                });
            }
            FeatureKind::Category(texts) => {
                let values: BTreeSet<i32> = splits()
                    .filter_map(|&split| match split {
                        Split::Is { feature, value } if feature == column => Some(value as i32),
                        _ => None,
                    })
                    .collect();
                one_hot.extend(values.iter().map(|&v| Split::Is { feature: column, value: v as u32 }));
                position[column] = info.categorical_features.len();
                info.categorical_features.push(CategoryEntry {
                    feature_id: feature.name.clone(),
                    feature_index: position[column],
                    flat_feature_index: column,
                    values: values.into_iter().collect(),
                });
                names.extend(texts.iter().map(|(&hash, text)| (hash, text.clone())));
            }
        }
    }
    binary.extend(one_hot);
    info.cat_features_hash = names.into_iter().map(|(hash, value)| HashEntry { hash, value }).collect();
    let split_index = |wanted: Split| {
        binary.iter().position(|&split| split == wanted).expect("every split of a tree was listed above")
    };
    let entry = |&split: &Split| {
        let column = Some(position[split.feature()]);
        let split_index = split_index(split);
        match split {
            Split::Above { border, .. } => SplitEntry {
                split_type: "FloatFeature".to_owned(),
                split_index,
                float_feature_index: column,
                border: Some(border.into()),
                cat_feature_index: None,
                value: None,
            },
            Split::Is { value, .. } => SplitEntry {
                split_type: "OneHotFeature".to_owned(),
                split_index,
                float_feature_index: None,
                border: None,
                cat_feature_index: column,
                value: Some(value as i32),
            },
        }
    };
    let trees = model.trees.iter().map(|tree| TreeEntry {
        leaf_values: tree.leaf_values.clone(),
        leaf_weights: tree.leaf_weights.clone(),
        splits: tree.splits.iter().map(entry).collect(),
    });
    let mut model_info = json!({ "recsys_format_version": FORMAT_VERSION });
    if let Some(loss) = model.loss {
        model_info["params"] = json!({ "loss_function": { "type": loss.catboost_name() } });
    }
    ModelFile {
        features_info: info,
        model_info,
        oblivious_trees: trees.collect(),
        scale_and_bias: (model.scale, vec![model.bias]),
    }
}

fn decode(file: ModelFile) -> Result<BoostedTrees, String> {
    let info = file.features_info;
    if !info.ctrs.is_empty() {
        return Err("it uses target statistics of categories (`ctrs`); train it with a larger \
                    `one_hot_max_size`, so that categories are one-hot"
            .to_owned());
    }
    let &[bias] = &file.scale_and_bias.1[..] else {
        return Err(format!("expected one bias in `scale_and_bias`, found {}", file.scale_and_bias.1.len()));
    };
    let texts: Arc<BTreeMap<u32, String>> =
        Arc::new(info.cat_features_hash.into_iter().map(|entry| (entry.hash, entry.value)).collect());
    let mut features: BTreeMap<usize, FeatureInfo> = BTreeMap::new();
    let mut binary = Vec::new();
    for entry in info.float_features {
        let feature = entry.flat_feature_index;
        binary.extend(entry.borders.iter().map(|&border| Split::Above { feature, border: border as f32 }));
        let kind = FeatureKind::Real(missing(&entry.nan_value_treatment)?);
        features.insert(feature, FeatureInfo { name: entry.feature_id, kind });
    }
    for entry in info.categorical_features {
        let feature = entry.flat_feature_index;
        binary.extend(entry.values.iter().map(|&value| Split::Is { feature, value: value as u32 }));
        let kind = FeatureKind::Category(texts.clone());
        features.insert(feature, FeatureInfo { name: entry.feature_id, kind });
    }
    if features.keys().copied().ne(0..features.len()) {
        return Err("the features are not numbered 0, 1, 2, … by `flat_feature_index`; \
                    text and embedding features cannot be scored"
            .to_owned());
    }
    let trees = file.oblivious_trees.into_iter().enumerate();
    let trees: Result<Vec<Tree>, String> = trees
        .map(|(number, tree)| {
            decode_tree(tree, &binary).map_err(|message| format!("tree {number}: {message}"))
        })
        .collect();
    let loss = file.model_info.pointer("/params/loss_function/type").and_then(Value::as_str);
    Ok(BoostedTrees {
        features: features.into_values().collect(),
        trees: trees?,
        scale: file.scale_and_bias.0,
        bias,
        loss: [Loss::Logloss, Loss::QuerySoftMax].into_iter().find(|l| Some(l.catboost_name()) == loss),
    })
}

fn decode_tree(tree: TreeEntry, binary: &[Split]) -> Result<Tree, String> {
    let splits: Result<Vec<Split>, String> = tree
        .splits
        .iter()
        .map(|entry| {
            let index = entry.split_index;
            let split = *binary.get(index).ok_or_else(|| {
                format!("`split_index` is {index}, but the features list {} splits", binary.len())
            })?;
            let agrees = match split {
                Split::Above { border, .. } => entry.border.is_none_or(|found| found as f32 == border),
                Split::Is { value, .. } => entry.value.is_none_or(|found| found as u32 == value),
            };
            if agrees {
                Ok(split)
            } else {
                Err(format!("split {index} is not the one listed under features"))
            }
        })
        .collect();
    let splits = splits?;
    let n_leaves = u32::try_from(splits.len()).ok().and_then(|depth| 1usize.checked_shl(depth));
    if splits.len() > 16 || n_leaves != Some(tree.leaf_values.len()) {
        return Err(format!("{} splits, but {} leaf values", splits.len(), tree.leaf_values.len()));
    }
    let mut leaf_weights = tree.leaf_weights;
    leaf_weights.resize(tree.leaf_values.len(), 0.0);
    Ok(Tree { splits, leaf_values: tree.leaf_values, leaf_weights })
}

const fn treatment(missing: Missing) -> &'static str {
    match missing {
        Missing::Unseen => "AsIs",
        Missing::Low => "AsFalse",
        Missing::High => "AsTrue",
    }
}

fn missing(treatment: &str) -> Result<Missing, String> {
    match treatment {
        "AsIs" => Ok(Missing::Unseen),
        "AsFalse" => Ok(Missing::Low),
        "AsTrue" => Ok(Missing::High),
        other => Err(format!("unknown `nan_value_treatment`: `{other}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::boosting::{Feature, Features, Values, category_hash};

    fn model() -> BoostedTrees {
        let rock = category_hash("rock");
        let real =
            |name: &str, missing| FeatureInfo { name: name.to_owned(), kind: FeatureKind::Real(missing) };
        let category = FeatureKind::Category(Arc::new([(rock, "rock".to_owned())].into()));
        BoostedTrees {
            features: vec![
                real("a", Missing::Low),
                FeatureInfo { name: "genre".to_owned(), kind: category },
                real("b", Missing::Unseen),
            ],
            trees: vec![
                Tree {
                    splits: vec![
                        Split::Above { feature: 2, border: 0.1 },
                        Split::Is { feature: 1, value: rock },
                        Split::Above { feature: 0, border: f32::MIN },
                    ],
                    leaf_values: (0..8).map(|leaf| f64::from(leaf) * 0.1).collect(),
                    leaf_weights: vec![1.0; 8],
                },
                Tree { splits: vec![], leaf_values: vec![0.25], leaf_weights: vec![8.0] },
            ],
            scale: 1.0,
            bias: -3.5,
            loss: Some(Loss::Logloss),
        }
    }

    #[test]
    fn a_model_reads_back_as_it_was_and_scores_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.json");
        write(&path, &model()).unwrap();
        let read = read(&path).unwrap();
        assert_eq!(read, model());
        let hashes = ["rock", "jazz", "rock"].map(category_hash).to_vec();
        let features = Features::new(vec![
            Feature::real("a", vec![f32::NAN, 0.0, 3.0]),
            Feature { name: "genre".to_owned(), values: Values::Category { hashes, names: Arc::default() } },
            Feature::real("b", vec![0.1, 0.2, f32::NAN]),
        ]);
        // Leaves: genre only = 2; b and a = 1 + 4; genre and a = 2 + 4.
        let expected = [0.2, 0.5, 0.6].map(|leaf| leaf + 0.25 - 3.5);
        for (score, expected) in read.score(&features).unwrap().into_iter().zip(expected) {
            assert!((score - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn splits_are_numbered_borders_first() {
        let file = encode(&model());
        let indices: Vec<usize> = file.oblivious_trees[0].splits.iter().map(|s| s.split_index).collect();
        assert_eq!(indices, [1, 2, 0]);
        assert_eq!(file.features_info.categorical_features[0].values, [2_818_209_257_u32 as i32]);
    }

    #[test]
    fn a_file_that_contradicts_itself_is_refused() {
        let mut file = encode(&model());
        file.oblivious_trees[0].splits[0].split_index = 0;
        assert_eq!(decode(file).unwrap_err(), "tree 0: split 0 is not the one listed under features");
        let mut file = encode(&model());
        file.oblivious_trees[0].splits[0].split_index = 3;
        assert_eq!(decode(file).unwrap_err(), "tree 0: `split_index` is 3, but the features list 3 splits");
        let mut file = encode(&model());
        file.oblivious_trees[1].leaf_values.pop();
        assert_eq!(decode(file).unwrap_err(), "tree 1: 0 splits, but 0 leaf values");
        let mut file = encode(&model());
        file.features_info.ctrs.push(Value::Null);
        assert!(decode(file).unwrap_err().contains("target statistics"));
    }

    #[test]
    fn a_truncated_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.json");
        write(&path, &model()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &text[..text.len() / 2]).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("model.json"));
    }
}
