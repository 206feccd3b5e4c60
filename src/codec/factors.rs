//! Factor models as the library `implicit` saves them: the `load` of its `AlternatingLeastSquares` and its
//! `BayesianPersonalizedRanking` open the files.
//!
//! Four entries are ours and harmless there: `format_version`; `weighting`, since `implicit` itself knows
//! only weights that are proportional to the counts; `unobserved_weight` and `regularization_exponent`,
//! which are 1 and 0 there.

use std::path::Path;

use super::CodecError;
use super::npz::{Reader, Writer, npy_string};
use crate::models::als::{Als, AlsModel, Solver};
use crate::models::bpr::{Bpr, BprModel};
use crate::models::factors::Factors;
use crate::models::item2item::Item2ItemModel;
use crate::models::weighting::Weighting;

/// Raised when entries change their meaning.
const FORMAT_VERSION: i64 = 1;

/// Writes an ALS model and the parameters it was fitted with.
///
/// # Errors
/// When the disk refuses.
pub fn write_als(path: &Path, parameters: &Als, model: &AlsModel) -> Result<(), CodecError> {
    let mut writer = Writer::create(path)?;
    write_table(&mut writer, "user_factors", &model.user_factors)?;
    write_table(&mut writer, "item_factors", &model.item_factors)?;
    writer.array("regularization", &[], [parameters.regularization])?;
    writer.array("factors", &[], [parameters.factors as i64])?;
    writer.array("num_threads", &[], [0i64])?;
    writer.array("iterations", &[], [parameters.iterations as i64])?;
    writer.array("use_native", &[], [true])?;
    writer.array("use_cg", &[], [parameters.solver == Solver::Cg])?;
    writer.array("cg_steps", &[], [parameters.cg_steps as i64])?;
    writer.array("calculate_training_loss", &[], [false])?;
    writer.raw("dtype", &text("float32"))?;
    writer.array("random_state", &[], [parameters.seed])?;
    writer.array("alpha", &[], [parameters.alpha])?;
    writer.raw("weighting", &text(parameters.weighting.name()))?;
    writer.array("unobserved_weight", &[], [parameters.unobserved_weight])?;
    writer.array("regularization_exponent", &[], [parameters.regularization_exponent])?;
    writer.array("format_version", &[], [FORMAT_VERSION])?;
    writer.finish()
}

/// Reads the vectors of the items of an ALS model and what its users are solved with, for folding in; a
/// model that `implicit` saved will do.
///
/// # Errors
/// When the file cannot be read, is no ALS model, or the factors are not finite numbers.
pub fn read_als(path: &Path) -> Result<(Als, Factors), CodecError> {
    let mut reader = Reader::open(path)?;
    let missing = |name: &str| CodecError::Format {
        path: path.to_owned(),
        format: "npz",
        message: format!("it has no array `{name}`, so it is no model of `als`"),
    };
    let regularization = reader.number("regularization")?.ok_or_else(|| missing("regularization"))?;
    let alpha = reader.number("alpha")?.ok_or_else(|| missing("alpha"))?;
    let usual = Als::default();
    let weighting = reader.text("weighting")?;
    let weighting = weighting.map_or(Ok(usual.weighting), |name| {
        let known = Weighting::ALL.into_iter().find(|weighting| weighting.name() == name);
        known.ok_or_else(|| CodecError::Format {
            path: path.to_owned(),
            format: "npz",
            message: format!("it has the unknown weighting `{name}`"),
        })
    })?;
    let unobserved_weight = reader.number("unobserved_weight")?.unwrap_or(1.0);
    let regularization_exponent = reader.number("regularization_exponent")?.unwrap_or(0.0);
    drop(reader);
    let item_factors = read_item_factors(path)?;
    let factors = item_factors.n_factors();
    let parameters = Als {
        factors,
        regularization,
        alpha,
        weighting,
        unobserved_weight,
        regularization_exponent,
        ..usual
    };
    Ok((parameters, item_factors))
}

/// Writes a BPR model and the parameters it was fitted with, for `BayesianPersonalizedRanking.load`.
///
/// # Errors
/// When the disk refuses.
pub fn write_bpr(path: &Path, parameters: &Bpr, model: &BprModel) -> Result<(), CodecError> {
    let mut writer = Writer::create(path)?;
    write_table(&mut writer, "user_factors", &model.user_factors)?;
    write_table(&mut writer, "item_factors", &model.item_factors)?;
    writer.array("regularization", &[], [parameters.regularization])?;
    writer.array("factors", &[], [parameters.factors as i64])?;
    writer.array("learning_rate", &[], [parameters.learning_rate])?;
    writer.array("verify_negative_samples", &[], [parameters.verify_negatives])?;
    writer.array("num_threads", &[], [0i64])?;
    writer.array("iterations", &[], [parameters.iterations as i64])?;
    writer.raw("dtype", &text("float32"))?;
    writer.array("random_state", &[], [parameters.seed])?;
    writer.array("format_version", &[], [FORMAT_VERSION])?;
    writer.finish()
}

/// Writes the vectors of a content model; `user_factors` are those of its users.
///
/// # Errors
/// When the disk refuses.
pub fn write_item2item(
    path: &Path,
    model: &Item2ItemModel,
    user_factors: &Factors,
) -> Result<(), CodecError> {
    let mut writer = Writer::create(path)?;
    write_table(&mut writer, "user_factors", user_factors)?;
    write_table(&mut writer, "item_factors", &model.item_factors)?;
    let n_values = model.singular_values.len() as u64;
    writer.array("singular_values", &[n_values], model.singular_values.iter().copied())?;
    writer.array("format_version", &[], [FORMAT_VERSION])?;
    writer.finish()
}

pub(super) fn write_table(writer: &mut Writer<'_>, name: &str, factors: &Factors) -> Result<(), CodecError> {
    let shape = [factors.n_rows() as u64, factors.n_factors() as u64];
    writer.array(name, &shape, factors.values().iter().copied())
}

/// A `.npy` file with a text as NumPy's `str` (UTF-32).
fn text(text: &str) -> Vec<u8> {
    let bytes: Vec<u8> = text.chars().flat_map(|letter| u32::from(letter).to_le_bytes()).collect();
    npy_string(format!("<U{}", text.chars().count()).as_bytes(), &bytes)
}

/// Vectors of the users of any factor model, `n_users × n_factors`.
///
/// # Errors
/// When the file cannot be read or the factors are not finite numbers.
pub fn read_user_factors(path: &Path) -> Result<Factors, CodecError> {
    read_table(path, "user_factors")
}

/// Vectors of the items of any factor model, `n_items × n_factors`.
///
/// # Errors
/// When the file cannot be read or the factors are not finite numbers.
pub fn read_item_factors(path: &Path) -> Result<Factors, CodecError> {
    read_table(path, "item_factors")
}

fn read_table(path: &Path, name: &str) -> Result<Factors, CodecError> {
    let (values, shape) = Reader::open(path)?.array::<f32>(name)?;
    let error = |message| CodecError::Format { path: path.to_owned(), format: "npz", message };
    let &[n_rows, n_factors] = shape.as_slice() else {
        return Err(error(format!("array `{name}` has {} dimensions, expected 2", shape.len())));
    };
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) => {
            Err(error(format!("array `{name}`, row {}, holds {}", at as u64 / n_factors, values[at])))
        }
        None => Ok(Factors::new(n_rows as usize, n_factors as usize, values)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_survive_the_disk_and_equal_models_are_equal_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let model = AlsModel {
            user_factors: Factors::new(2, 3, vec![1.0, -2.0, 0.5, 0.0, 0.0, 0.0]),
            item_factors: Factors::new(1, 3, vec![0.25, 4.0, -8.0]),
            loss: 0.5,
        };
        let (a, b) = (folder.path().join("a.npz"), folder.path().join("b.npz"));
        write_als(&a, &Als::default(), &model).unwrap();
        write_als(&b, &Als::default(), &model).unwrap();
        assert_eq!(read_user_factors(&a).unwrap(), model.user_factors);
        assert_eq!(read_item_factors(&a).unwrap(), model.item_factors);
        assert_eq!(std::fs::read(a).unwrap(), std::fs::read(b).unwrap());
    }

    #[test]
    fn what_users_are_solved_with_survives_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.npz");
        let item_factors = Factors::new(1, 3, vec![0.25, 4.0, -8.0]);
        let model = AlsModel {
            user_factors: Factors::new(0, 3, vec![]),
            item_factors: item_factors.clone(),
            loss: 0.5,
        };
        for weighting in Weighting::ALL {
            let parameters = Als {
                factors: 3,
                regularization: 0.25,
                alpha: 7.5,
                weighting,
                unobserved_weight: 0.5,
                regularization_exponent: 1.0,
                ..Als::default()
            };
            write_als(&path, &parameters, &model).unwrap();
            assert_eq!(read_als(&path).unwrap(), (parameters, item_factors.clone()));
        }
        write_bpr(&path, &Bpr::default(), &BprModel { user_factors: model.user_factors, item_factors })
            .unwrap();
        let message = read_als(&path).unwrap_err().to_string();
        assert!(message.contains("it has no array `alpha`, so it is no model of `als`"), "{message}");
    }

    #[test]
    fn a_factor_that_is_no_number_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.npz");
        let mut writer = Writer::create(&path).unwrap();
        writer.array("item_factors", &[2, 2], [1.0f32, 2.0, 3.0, f32::NAN]).unwrap();
        writer.finish().unwrap();
        let message = read_item_factors(&path).unwrap_err().to_string();
        assert!(message.contains("array `item_factors`, row 1, holds NaN"), "{message}");
    }
}
