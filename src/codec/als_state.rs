//! A fit of ALS that is under way: what a later try continues from.

use std::fs::{self, File};
use std::path::Path;

use super::CodecError;
use super::factors::{read_item_factors, read_user_factors, write_table};
use super::npz::{Reader, Writer};
use crate::models::als::AlsState;

/// Puts the state at `path` as a whole: a kill leaves the one before or this one.
///
/// # Errors
/// When the disk refuses.
pub fn write(path: &Path, state: &AlsState) -> Result<(), CodecError> {
    let unfinished = path.with_extension("unfinished");
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(CodecError::io("write", folder))?;
    }
    let mut writer = Writer::create(&unfinished)?;
    writer.array("done", &[], [state.done as i64])?;
    writer.array("loss", &[], [state.loss])?;
    write_table(&mut writer, "user_factors", &state.user_factors)?;
    write_table(&mut writer, "item_factors", &state.item_factors)?;
    writer.finish()?;
    File::open(&unfinished)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(&unfinished, path))
        .map_err(CodecError::io("write", path))
}

/// Reads a state; nothing where there is none.
///
/// # Errors
/// When the file is damaged.
pub fn read(path: &Path) -> Result<Option<AlsState>, CodecError> {
    if !path.exists() {
        return Ok(None);
    }
    let mut reader = Reader::open(path)?;
    let (done, loss) = (reader.array::<i64>("done")?.0, reader.array::<f64>("loss")?.0);
    let (&[done], &[loss]) = (done.as_slice(), loss.as_slice()) else {
        return Err(CodecError::Format {
            path: path.to_owned(),
            format: "npz",
            message: "the arrays `done` and `loss` do not hold one number each".to_owned(),
        });
    };
    Ok(Some(AlsState {
        done: usize::try_from(done).unwrap_or(0),
        loss,
        user_factors: read_user_factors(path)?,
        item_factors: read_item_factors(path)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::factors::Factors;

    #[test]
    fn a_state_survives_the_disk_and_a_damaged_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoints/state");
        assert_eq!(read(&path).unwrap(), None);
        let user_factors = Factors::new(2, 1, vec![1.0, -2.0]);
        let state =
            AlsState { done: 7, loss: 0.25, user_factors, item_factors: Factors::new(1, 1, vec![3.0]) };
        write(&path, &state).unwrap();
        assert_eq!(read(&path).unwrap(), Some(state));
        fs::write(&path, "cut off").unwrap();
        assert!(read(&path).is_err());
    }
}
