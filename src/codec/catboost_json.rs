//! Boosted trees in CatBoost's JSON format, both ways.
//!
//! The official package opens what is written here (`CatBoost().load_model(path, format="json")`), and
//! models that it exported are scored here.
//!
//! # Format
//! `features_info.float_features[]` (borders), `.categorical_features[]` (hashes as signed 32-bit
//! numbers) and `.ctrs[]` (borders) list every binary feature that a tree may ask for; they are numbered
//! through in this order. `oblivious_trees[].splits[].split_index` is that number, and it alone decides:
//! the border or value beside it is for readers. A file in which the two contradict each other scores
//! wrongly without a word in other readers, so it is refused here. `scale_and_bias` is `[scale, [bias]]`.
//! `features_info.cat_features_hash[]` keeps the texts of the hashes, for people. `ctr_data` has the counts
//! behind target statistics by key.

mod ctrs;
mod format;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use self::format::{CategoryEntry, FeaturesInfo, FloatEntry, HashEntry, ModelFile, SplitEntry, TreeEntry};
use super::{CodecError, json};
use crate::models::boosting::{BoostedTrees, FeatureInfo, FeatureKind, Loss, Missing, Split, Tree};

/// Written into `model_info`; raised when the format of our files changes.
const FORMAT_VERSION: &str = "1";

/// Levels of a tree, at most, as in the official package.
const MAX_DEPTH: usize = 16;

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
/// scored here (text, embeddings).
pub fn read(path: &Path) -> Result<BoostedTrees, CodecError> {
    decode(json::read(path)?).map_err(|message| CodecError::Format {
        path: path.to_owned(),
        format: "CatBoost JSON",
        message,
    })
}

/// The borders that the model's trees compare with, rising.
fn borders(model: &BoostedTrees, of: impl Fn(Split) -> Option<f32>) -> Vec<f32> {
    let splits = model.trees.iter().flat_map(|tree| &tree.splits);
    let mut borders: Vec<f32> = splits.filter_map(|&split| of(split)).collect();
    borders.sort_by(f32::total_cmp);
    borders.dedup();
    borders
}

/// What tells splits apart.
fn identity(split: Split) -> (u8, usize, u32) {
    match split {
        Split::Above { feature, border } => (0, feature, border.to_bits()),
        Split::Is { feature, value } => (1, feature, value),
        Split::Ctr { ctr, border } => (2, ctr, border.to_bits()),
    }
}

fn encode(model: &BoostedTrees) -> ModelFile {
    let mut info = FeaturesInfo::default();
    let mut binary: Vec<Split> = Vec::new();
    let mut one_hot: Vec<Split> = Vec::new();
    let mut position = vec![0; model.features.len()];
    let mut names = BTreeMap::new();
    for (column, feature) in model.features.iter().enumerate() {
        match &feature.kind {
            FeatureKind::Real(missing) => {
                let borders = borders(model, |split| match split {
                    Split::Above { feature, border } if feature == column => Some(border),
                    _ => None,
                });
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
                let splits = model.trees.iter().flat_map(|tree| &tree.splits);
                let values: BTreeSet<i32> = splits
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
    let mut ctr_data = BTreeMap::new();
    for (number, ctr) in model.ctrs.iter().enumerate() {
        let borders = borders(model, |split| match split {
            Split::Ctr { ctr, border } if ctr == number => Some(border),
            _ => None,
        });
        binary.extend(borders.iter().map(|&border| Split::Ctr { ctr: number, border }));
        let borders = borders.into_iter().map(f64::from).collect();
        info.ctrs.push(ctrs::encode(ctr, borders, &position, &mut ctr_data));
    }
    info.cat_features_hash = names.into_iter().map(|(hash, value)| HashEntry { hash, value }).collect();
    let numbers: BTreeMap<_, usize> =
        binary.iter().enumerate().map(|(number, &split)| (identity(split), number)).collect();
    let entry = |&split: &Split| {
        let split_index = numbers[&identity(split)];
        match split {
            Split::Above { feature, border } => SplitEntry {
                split_type: "FloatFeature".to_owned(),
                split_index,
                float_feature_index: Some(position[feature]),
                border: Some(border.into()),
                ..SplitEntry::default()
            },
            Split::Is { feature, value } => SplitEntry {
                split_type: "OneHotFeature".to_owned(),
                split_index,
                cat_feature_index: Some(position[feature]),
                value: Some(value as i32),
                ..SplitEntry::default()
            },
            Split::Ctr { ctr, border } => SplitEntry {
                split_type: "OnlineCtr".to_owned(),
                split_index,
                border: Some(border.into()),
                ctr_target_border_idx: Some(model.ctrs[ctr].target_border),
                ..SplitEntry::default()
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
        ctr_data,
        features_info: info,
        model_info,
        oblivious_trees: trees.collect(),
        scale_and_bias: (model.scale, vec![model.bias]),
    }
}

fn decode(file: ModelFile) -> Result<BoostedTrees, String> {
    let info = file.features_info;
    if let Some(version) = file.model_info.get("recsys_format_version").filter(|v| *v != FORMAT_VERSION) {
        return Err(format!(
            "its `recsys_format_version` is {version}, this program reads \"{FORMAT_VERSION}\""
        ));
    }
    let &[bias] = &file.scale_and_bias.1[..] else {
        return Err(format!("expected one bias in `scale_and_bias`, found {}", file.scale_and_bias.1.len()));
    };
    let texts: Arc<BTreeMap<u32, String>> =
        Arc::new(info.cat_features_hash.into_iter().map(|entry| (entry.hash, entry.value)).collect());
    let mut features: BTreeMap<usize, FeatureInfo> = BTreeMap::new();
    let mut binary = Vec::new();
    let (mut floats, mut categories) = (Vec::new(), Vec::new());
    for entry in info.float_features {
        let feature = entry.flat_feature_index;
        binary.extend(entry.borders.iter().map(|&border| Split::Above { feature, border: border as f32 }));
        let kind = FeatureKind::Real(missing(&entry.nan_value_treatment)?);
        features.insert(feature, FeatureInfo { name: entry.feature_id, kind });
        floats.push(feature);
    }
    for entry in info.categorical_features {
        let feature = entry.flat_feature_index;
        binary.extend(entry.values.iter().map(|&value| Split::Is { feature, value: value as u32 }));
        let kind = FeatureKind::Category(texts.clone());
        features.insert(feature, FeatureInfo { name: entry.feature_id, kind });
        categories.push(feature);
    }
    if features.keys().copied().ne(0..features.len()) {
        return Err("the features are not numbered 0, 1, 2, … by `flat_feature_index`; \
                    text and embedding features cannot be scored"
            .to_owned());
    }
    let tables = ctrs::decode_tables(file.ctr_data)?;
    let mut ctrs = Vec::with_capacity(info.ctrs.len());
    for (number, entry) in info.ctrs.iter().enumerate() {
        let ctr = ctrs::decode(entry, &tables, &floats, &categories);
        ctrs.push(ctr.map_err(|message| format!("target statistic {number}: {message}"))?);
        let borders = entry.borders.iter();
        binary.extend(borders.map(|&border| Split::Ctr { ctr: number, border: border as f32 }));
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
        ctrs,
        trees: trees?,
        scale: file.scale_and_bias.0,
        bias,
        loss: Loss::ALL.into_iter().find(|l| Some(l.catboost_name()) == loss),
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
                Split::Above { border, .. } | Split::Ctr { border, .. } => {
                    entry.border.is_none_or(|found| found as f32 == border)
                }
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
    if splits.len() > MAX_DEPTH || tree.leaf_values.len() != 1 << splits.len() {
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
            ctrs: vec![],
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
        file.model_info["recsys_format_version"] = "9".into();
        assert!(decode(file).unwrap_err().contains("this program reads \"1\""));
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
