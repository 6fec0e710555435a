//! A network's scalars, its numbers that are not tensors: the epsilon of a norm, the rate of dfdx's dropout.
//!
//! dfdx's `TensorCollection` names scalars as it names tensors, so that files hold the scalars of a user's own module
//! without further code.

use std::collections::BTreeMap;

use sparsevd_infer::FileError;

use super::sound;
use crate::compute::visit::{AnyTensor, AnyTensorMut, Tensors, Visit, VisitMut};
use crate::compute::{Backend, Elem};
use crate::error::Error;

/// Scalars by name, such as `1.epsilon`, as files hold them.
pub(crate) type Scalars = BTreeMap<String, f64>;

/// A scalar of a network.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub(crate) name: String,
    pub(crate) value: f64,
    /// The value in a new network.
    default: f64,
    /// Tests whether the scalar's type can hold a number.
    fits: fn(f64) -> bool,
}

impl Scalar {
    /// True if a deterministic network has it, too: a norm's epsilon.
    pub(crate) fn is_mean(&self) -> bool {
        self.name.rsplit('.').next() == Some("epsilon")
    }
}

/// All scalars of a network, in order.
pub(crate) fn read<E: Elem, D: Backend<E>>(network: &dyn Tensors<E, D>) -> Result<Vec<Scalar>, Error> {
    let mut reader = Reader(Vec::new());
    network.read_with(&mut reader).map_err(Error::device)?;
    Ok(reader.0)
}

/// All scalars of a network by name, for a file.
///
/// # Errors
/// [`FileError::NotFinite`] and [`FileError::Range`] for a value that would be rejected when read; the device's.
pub(crate) fn to_file<E: Elem, D: Backend<E>>(network: &dyn Tensors<E, D>) -> Result<Scalars, Error> {
    let scalars = read(network)?;
    scalars.iter().try_for_each(|scalar| sound::scalar(&scalar.name, scalar.value))?;
    Ok(scalars.into_iter().map(|scalar| (scalar.name, scalar.value)).collect())
}

/// The file's value of each of the scalars `here`, to be [written](write). Older files hold no scalars: a scalar that
/// is not in the file stays as it is if it has its default. Everything that does not fit is added to `problems`.
///
/// # Errors
/// [`FileError::NotFinite`] and [`FileError::Range`] for a value out of range.
pub(crate) fn fit(here: &[Scalar], file: Option<&Scalars>, problems: &mut Vec<String>) -> Result<Scalars, FileError> {
    let mut found = Scalars::new();
    for scalar in here {
        let Scalar { name, value, default, fits } = scalar;
        match file.and_then(|file| file.get(name)) {
            Some(saved) => {
                sound::scalar(name, *saved)?;
                if !fits(*saved) {
                    return Err(sound::range(name, 0, *saved, "a number of its type"));
                }
                found.insert(name.clone(), *saved);
            }
            None if value == default => {}
            None => problems
                .push(format!("the file has no `{name}`, which means the default, {default:?}; here it is {value:?}")),
        }
    }
    let known = |name: &&String| here.iter().any(|scalar| scalar.name == **name);
    let superfluous = file.into_iter().flat_map(Scalars::keys).filter(|name| !known(name));
    problems.extend(superfluous.map(|name| format!("the network has no `{name}`")));
    Ok(found)
}

/// Sets scalars by name.
pub(crate) fn write<E: Elem, D: Backend<E>>(network: &mut dyn Tensors<E, D>, values: &Scalars) -> Result<(), Error> {
    network.change_with(&mut Writer(values)).map_err(Error::device)
}

struct Reader(Vec<Scalar>);

impl<E: Elem, D: Backend<E>> Visit<E, D> for Reader {
    fn tensor(&mut self, _name: String, _trained: bool, _tensor: &dyn AnyTensor<E, D>) -> Result<(), D::Err> {
        Ok(())
    }

    fn scalar(&mut self, name: String, value: f64, default: f64, fits: fn(f64) -> bool) {
        self.0.push(Scalar { name, value, default, fits });
    }
}

struct Writer<'a>(&'a Scalars);

impl<E: Elem, D: Backend<E>> VisitMut<E, D> for Writer<'_> {
    fn tensor(&mut self, _name: String, _trained: bool, _tensor: &mut dyn AnyTensorMut<E, D>) -> Result<(), D::Err> {
        Ok(())
    }

    fn scalar(&mut self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }
}
