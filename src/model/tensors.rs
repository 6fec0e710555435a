//! A network's tensors by name: read, and written back.

use std::collections::{BTreeMap, HashSet};

use dfdx::nn::tensor_collection::TensorCollection;
use dfdx::prelude::*;
use sparsevd_infer::{Entry, FileError};

use super::network::{Network, join_path};
use crate::compute::visit::{AnyTensor, AnyTensorMut, Tensors, Visit, VisitMut, count_layers};
use crate::compute::{Backend, Elem};
use crate::error::Error;

/// A network of any type, for code that is compiled once, not for each type.
pub(crate) trait AnyNetwork<E: Elem, D: Backend<E>>: Network<E, D> + Tensors<E, D> {}

impl<N: Network<E, D> + TensorCollection<E, D>, E: Elem, D: Backend<E>> AnyNetwork<E, D> for N {}

/// A tensor's name, such as `2.0.weight`, shape and numbers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Named<E> {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<E>,
    /// True if it is a parameter; the bias of a layer without one is not.
    pub(crate) trained: bool,
}

impl<E> Named<E> {
    /// The last part of the name, such as `weight`.
    pub(crate) fn role(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }

    /// True if a deterministic network has it, too: means of weights, a bias, or a tensor of a norm.
    pub(crate) fn is_mean(&self) -> bool {
        let norm = matches!(self.role(), "scale" | "running_mean" | "running_var" | "gamma" | "beta");
        norm || self.trained && matches!(self.role(), "weight" | "bias")
    }

    /// Its name and its numbers.
    pub(crate) fn numbers(&self) -> (&str, &[E]) {
        (&self.name, &self.values)
    }

    /// A parameter.
    pub(crate) fn trained(name: String, shape: Vec<usize>, values: Vec<E>) -> Self {
        Named { name, shape, values, trained: true }
    }
}

/// All tensors of a network, in order.
pub(crate) fn read<E: Elem, D: Backend<E>>(network: &dyn Tensors<E, D>) -> Result<Vec<Named<E>>, Error> {
    let mut reader = Reader(Vec::new());
    network.read_with(&mut reader).map_err(Error::device)?;
    Ok(reader.0)
}

struct Reader<E>(Vec<Named<E>>);

impl<E: Elem, D: Backend<E>> Visit<E, D> for Reader<E> {
    fn tensor(&mut self, name: String, trained: bool, tensor: &dyn AnyTensor<E, D>) -> Result<(), D::Err> {
        self.0.push(Named { name, shape: tensor.dims(), values: tensor.numbers(), trained });
        Ok(())
    }
}

/// The ids and names of the trained tensors, in order. A tensor that replaces another has an id of its own.
pub(crate) fn trained<E: Elem, D: Backend<E>>(network: &dyn Tensors<E, D>) -> Result<Vec<(UniqueId, String)>, Error> {
    let mut trained = Trained(Vec::new());
    network.read_with(&mut trained).map_err(Error::device)?;
    Ok(trained.0)
}

struct Trained(Vec<(UniqueId, String)>);

impl<E: Elem, D: Backend<E>> Visit<E, D> for Trained {
    fn tensor(&mut self, name: String, trained: bool, tensor: &dyn AnyTensor<E, D>) -> Result<(), D::Err> {
        if trained {
            self.0.push((tensor.id(), name));
        }
        Ok(())
    }
}

/// `Ok` if `visit` reaches each of the layers exactly once: a layer that it omits would be trained without its KL.
///
/// # Errors
/// [`Error::Input`].
pub(crate) fn all_visited<E: Elem, D: Backend<E>>(network: &dyn AnyNetwork<E, D>) -> Result<(), Error> {
    let layers = count_layers(network).map_err(Error::device)?;
    let visits = network.layers();
    let visited: HashSet<*const ()> = visits.iter().map(|(_, layer)| std::ptr::from_ref(*layer).cast()).collect();
    if visited.len() < layers || visited.len() < visits.len() {
        return Err(Error::Input(format!(
            "the network has {layers} layers of this library; `visit` reaches {} of them (visits: {}): in a module of \
             your own, call `visit` and `visit_mut` once for each field that has layers",
            visited.len(),
            visits.len()
        )));
    }
    Ok(())
}

/// The tensors of a network that go into files: all but unused ones, such as the bias of a layer without one.
pub(crate) fn parameters<E: Elem, D: Backend<E>>(network: &dyn AnyNetwork<E, D>) -> Result<Vec<Named<E>>, Error> {
    let idle = idle(network);
    Ok(read(network)?.into_iter().filter(|tensor| !idle.contains(&tensor.name)).collect())
}

/// The names of the unused tensors.
pub(crate) fn idle<E: Elem, D: Backend<E>>(network: &dyn Network<E, D>) -> HashSet<String> {
    let layers = network.layers().into_iter();
    layers.flat_map(|(path, layer)| layer.idle().into_iter().map(move |field| join_path(&path, field))).collect()
}

/// Overwrites each tensor for whose name `values` returns numbers, as many as the tensor holds.
pub(crate) fn write<E: Elem, D: Backend<E>>(
    network: &mut dyn Tensors<E, D>,
    values: impl FnMut(&str) -> Option<Vec<E>>,
) -> Result<(), Error> {
    network.change_with(&mut Writer(values)).map_err(Error::device)
}

struct Writer<F>(F);

impl<E: Elem, D: Backend<E>, F: FnMut(&str) -> Option<Vec<E>>> VisitMut<E, D> for Writer<F> {
    fn tensor(&mut self, name: String, _trained: bool, tensor: &mut dyn AnyTensorMut<E, D>) -> Result<(), D::Err> {
        (self.0)(&name).map_or(Ok(()), |values| tensor.overwrite(&values))
    }
}

/// Tensors as entries of files.
pub(crate) fn entries<E: Elem>(tensors: &[Named<E>]) -> Vec<Entry> {
    tensors.iter().map(|t| Entry::new(&t.name, &t.shape, &t.values)).collect()
}

/// The file's numbers for each of the tensors `wanted`, by name. Tensors that are missing, superfluous, or of another
/// shape or precision are added to `problems`.
pub(crate) fn fit<E: Elem>(
    wanted: &[Named<E>],
    file: &[Entry],
    problems: &mut Vec<String>,
) -> BTreeMap<String, Vec<E>> {
    let (mut found, mut other_precision) = (BTreeMap::new(), None);
    for Named { name, shape, .. } in wanted {
        match file.iter().find(|entry| entry.name == *name) {
            None => problems.push(format!("the file has no `{name}`")),
            Some(entry) if entry.shape != *shape => problems.push(wrong_shape(entry, shape)),
            Some(entry) => match entry.values() {
                Ok(values) => drop(found.insert(name.clone(), values)),
                Err(error) => {
                    other_precision = Some(entry.dtype);
                    problems.push(error.to_string());
                }
            },
        }
    }
    if let Some(precision) = other_precision {
        problems.push(format!(
            "a file of {precision} needs a network of that precision: convert it with `to_dtype`; `load_means` reads either"
        ));
    }
    let known = |entry: &&Entry| wanted.iter().any(|tensor| tensor.name == entry.name);
    problems.extend(file.iter().filter(|entry| !known(entry)).map(|e| format!("the network has no `{}`", e.name)));
    found
}

/// Numbers by name, as slices.
pub(crate) fn by_name<E>(values: &BTreeMap<String, Vec<E>>) -> Vec<(&str, &[E])> {
    values.iter().map(|(name, values)| (name.as_str(), values.as_slice())).collect()
}

/// Rejects a file that does not fit.
pub(crate) fn all_fit(problems: Vec<String>) -> Result<(), FileError> {
    if problems.is_empty() { Ok(()) } else { Err(FileError::Mismatch(problems)) }
}

/// The message for a tensor whose shape in a file differs from that here.
pub(crate) fn wrong_shape(entry: &Entry, here: &[usize]) -> String {
    format!("`{}` is {:?} in the file, {here:?} here", entry.name, entry.shape)
}

/// The first NaN or infinity, with its place.
pub(crate) fn not_finite(values: impl IntoIterator<Item = f64>) -> Option<(usize, f64)> {
    values.into_iter().enumerate().find(|(_, x)| !x.is_finite())
}

/// Rejects a NaN or an infinity among the numbers of a tensor.
pub(crate) fn finite<E: Elem>(tensor: &str, values: &[E]) -> Result<(), FileError> {
    match not_finite(values.iter().map(|x| x.f64())) {
        Some((index, value)) => Err(FileError::NotFinite { tensor: tensor.into(), index, value }),
        None => Ok(()),
    }
}
