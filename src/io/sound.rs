//! The ranges of a network's numbers and of Adam's moments. A file with a number out of range is neither written nor
//! read.

use sparsevd_infer::FileError;

use crate::compute::{Backend, Elem};
use crate::model::tensors::finite;
use crate::model::{Network, join_path, log_most};

/// Rejects tensors with a number out of range: one that is not finite; a negative variance, of a norm or in Adam; a
/// log-variance whose variance is beyond the network's precision.
pub(crate) fn tensors<E: Elem, D: Backend<E>>(
    network: &dyn Network<E, D>,
    tensors: &[(&str, &[E])],
) -> Result<(), FileError> {
    for (name, values) in tensors {
        finite(name, values)?;
        if name.starts_with("adam.v.") || name.rsplit('.').next() == Some("running_var") {
            every(name, values, |x| x >= 0.0, "at least 0: it is a mean of squares")?;
        } else if !name.starts_with("adam.") && name.rsplit('.').next() == Some("log_noise") {
            every(
                name,
                values,
                |x| x.abs() < log_most::<E>(),
                "the logarithm of a variance within the network's precision",
            )?;
        }
    }
    for (path, layer) in network.layers() {
        let of =
            |field: &str| tensors.iter().find(|(name, _)| *name == join_path(&path, field)).map(|(_, values)| *values);
        if let Some((field, index, value)) = layer.unbounded(&of) {
            let least = "so small that every variance is within the network's precision";
            return Err(range(&join_path(&path, field), index, value, least));
        }
    }
    Ok(())
}

/// Rejects a scalar out of range.
pub(crate) fn scalar(name: &str, value: f64) -> Result<(), FileError> {
    finite(name, &[value])?;
    match name.rsplit('.').next() {
        Some("epsilon") => every(name, &[value], |x| x >= 0.0, "at least 0: it is added to a variance"),
        Some("momentum") => every(name, &[value], |x| (0.0..=1.0).contains(&x), "between 0 and 1"),
        _ => Ok(()),
    }
}

fn every<E: Elem>(name: &str, values: &[E], ok: fn(f64) -> bool, must_be: &'static str) -> Result<(), FileError> {
    match values.iter().position(|x| !ok(x.f64())) {
        Some(index) => Err(range(name, index, values[index].f64(), must_be)),
        None => Ok(()),
    }
}

pub(crate) fn range(name: &str, index: usize, value: f64, must_be: &'static str) -> FileError {
    FileError::Range { tensor: name.into(), index, value, must_be }
}
