//! A network's tensors by name: read, and written back.

use std::collections::{BTreeMap, HashSet};

use dfdx::nn::tensor_collection::*;
use dfdx::optim::UnusedTensors;
use dfdx::prelude::*;
use sparsevd_infer::{Entry, FileError};

use crate::backend::{Backend, Elem, overwrite};
use crate::error::Error;
use crate::network::Network;

/// A tensor's name, such as `2.0.weight`, shape and numbers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Named<E> {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<E>,
    /// Whether it is a parameter; the bias of a layer without one is not.
    pub(crate) trained: bool,
    /// Whether it stands for nothing: the spread of a posterior without one, the bias of a layer without one.
    pub(crate) idle: bool,
}

impl<E> Named<E> {
    /// The last part of the name, such as `weight`.
    pub(crate) fn role(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }

    /// Whether a deterministic network has it, too: means of weights, a bias, or what a norm computes with.
    pub(crate) fn is_mean(&self) -> bool {
        let norm = matches!(self.role(), "scale" | "running_mean" | "running_var" | "gamma" | "beta");
        norm || self.trained && matches!(self.role(), "weight" | "bias")
    }

    /// Its numbers by name.
    pub(crate) fn numbers(&self) -> (&str, &[E]) {
        (&self.name, &self.values)
    }

    /// A parameter.
    pub(crate) fn trained(name: String, shape: Vec<usize>, values: Vec<E>) -> Self {
        Named { name, shape, values, trained: true, idle: false }
    }
}

/// All tensors of a network, in order.
pub(crate) fn read<N: TensorCollection<E, D>, E: Elem, D: Backend<E>>(network: &N) -> Result<Vec<Named<E>>, Error> {
    let mut reader = Reader(Vec::new());
    N::iter_tensors(&mut RecursiveWalker { m: (network, String::new()), f: &mut reader })
        .map_err(|error: D::Err| Error::device(error))?;
    let mut found = reader.0;
    for i in 2..found.len() {
        if let [weight, spread, bias] = &mut found[i - 2..=i]
            && is_layer([&weight.name, &spread.name, &bias.name])
        {
            (spread.idle, bias.idle) = (spread.role() == "unused", !bias.trained);
        }
    }
    Ok(found)
}

/// Whether these three tensors in a row are a layer of this library, by their names.
fn is_layer([weight, spread, bias]: [&str; 3]) -> bool {
    let Some(path) = weight.strip_suffix("weight") else { return false };
    let rest = [spread, bias].map(|name| name.strip_prefix(path));
    matches!(rest, [Some("log_sigma2" | "log_alpha" | "unused"), Some("bias")])
}

/// The names of all tensors, in order; with `ids`, of those alone.
fn names<N: TensorCollection<E, D>, E: Elem, D: Backend<E>>(
    network: &N,
    ids: Option<&[UniqueId]>,
) -> Result<Vec<String>, Error> {
    let mut names = Names { ids, found: Vec::new() };
    N::iter_tensors(&mut RecursiveWalker { m: (network, String::new()), f: &mut names })
        .map_err(|error: D::Err| Error::device(error))?;
    Ok(names.found)
}

/// The names of these tensors.
pub(crate) fn names_of<N: TensorCollection<E, D>, E: Elem, D: Backend<E>>(
    network: &N,
    ids: &[UniqueId],
) -> Result<Vec<String>, Error> {
    names(network, Some(ids))
}

/// Whether `visit` comes to each of the layers once, as far as the names of their tensors tell which there are: one
/// that it passes over would be trained without its KL.
///
/// # Errors
/// [`Error::Input`].
pub(crate) fn all_visited<N, E: Elem, D: Backend<E>>(network: &N) -> Result<(), Error>
where
    N: Network<E, D> + TensorCollection<E, D>,
{
    let names = names(network, None)?;
    let layers = names.windows(3).filter(|three| is_layer([&three[0], &three[1], &three[2]])).count();
    let visits = network.layers();
    let visited: HashSet<*const ()> = visits.iter().map(|(_, layer)| std::ptr::from_ref(*layer).cast()).collect();
    if visited.len() < layers || visited.len() < visits.len() {
        return Err(Error::Input(format!(
            "the network has {layers} layers of this library; `visit` comes to {} of them (visits: {}): a module of yours hands \
             `visit` and `visit_mut` on to each of its fields that has layers, once",
            visited.len(),
            visits.len()
        )));
    }
    Ok(())
}

/// What of a network goes into files: all tensors but those that stand for nothing.
pub(crate) fn parameters<N: TensorCollection<E, D>, E: Elem, D: Backend<E>>(
    network: &N,
) -> Result<Vec<Named<E>>, Error> {
    Ok(read(network)?.into_iter().filter(|tensor| !tensor.idle).collect())
}

/// Overwrites tensors by name with as many numbers as they hold, those that `values` has any for.
pub(crate) fn write<N: TensorCollection<E, D>, E: Elem, D: Backend<E>>(
    network: &mut N,
    values: impl FnMut(&str) -> Option<Vec<E>>,
) -> Result<(), Error> {
    N::iter_tensors(&mut RecursiveWalker { m: (network, String::new()), f: &mut Writer(values) })
        .map(|_| ())
        .map_err(|error: D::Err| Error::device(error))
}

struct Reader<E>(Vec<Named<E>>);

impl<E: Elem, D: Backend<E>> TensorVisitor<E, D> for Reader<E> {
    type Viewer = (ViewTensorRef, ViewTensorName);
    type Err = D::Err;
    type E2 = E;
    type D2 = D;

    fn visit<S: Shape>(
        &mut self,
        options: TensorOptions<S, E, D>,
        (tensor, name): (&Tensor<S, E, D>, String),
    ) -> Result<Option<Tensor<S, E, D>>, D::Err> {
        let shape = tensor.shape().concrete().into_iter().collect();
        let trained = options.do_gradient_update;
        self.0.push(Named { name, shape, values: tensor.as_vec(), trained, idle: false });
        Ok(None)
    }
}

/// What tells tensors apart; dfdx gives it out only here.
pub(crate) fn id<S: Shape, E: Elem, D: Backend<E>, T>(tensor: &Tensor<S, E, D, T>) -> UniqueId {
    let mut one = UnusedTensors::default();
    one.add(tensor);
    one.ids[0]
}

/// The identities of the tensors that are trained, in order. A tensor that is put in the place of another has its own.
pub(crate) fn trained_ids<N: TensorCollection<E, D>, E: Elem, D: Backend<E>>(
    network: &N,
) -> Result<Vec<UniqueId>, Error> {
    let mut ids = TrainedIds(Vec::new());
    N::iter_tensors(&mut RecursiveWalker { m: network, f: &mut ids }).map_err(|error: D::Err| Error::device(error))?;
    Ok(ids.0)
}

struct TrainedIds(Vec<UniqueId>);

impl<E: Elem, D: Backend<E>> TensorVisitor<E, D> for TrainedIds {
    type Viewer = ViewTensorRef;
    type Err = D::Err;
    type E2 = E;
    type D2 = D;

    fn visit<S: Shape>(
        &mut self,
        options: TensorOptions<S, E, D>,
        tensor: &Tensor<S, E, D>,
    ) -> Result<Option<Tensor<S, E, D>>, D::Err> {
        if options.do_gradient_update {
            self.0.push(id(tensor));
        }
        Ok(None)
    }
}

struct Names<'a> {
    ids: Option<&'a [UniqueId]>,
    found: Vec<String>,
}

impl<E: Elem, D: Backend<E>> TensorVisitor<E, D> for Names<'_> {
    type Viewer = (ViewTensorRef, ViewTensorName);
    type Err = D::Err;
    type E2 = E;
    type D2 = D;

    fn visit<S: Shape>(
        &mut self,
        _options: TensorOptions<S, E, D>,
        (tensor, name): (&Tensor<S, E, D>, String),
    ) -> Result<Option<Tensor<S, E, D>>, D::Err> {
        if self.ids.is_none_or(|ids| ids.contains(&id(tensor))) {
            self.found.push(name);
        }
        Ok(None)
    }
}

struct Writer<F>(F);

impl<E: Elem, D: Backend<E>, F: FnMut(&str) -> Option<Vec<E>>> TensorVisitor<E, D> for Writer<F> {
    type Viewer = (ViewTensorMut, ViewTensorName);
    type Err = D::Err;
    type E2 = E;
    type D2 = D;

    fn visit<S: Shape>(
        &mut self,
        _options: TensorOptions<S, E, D>,
        (tensor, name): (&mut Tensor<S, E, D>, String),
    ) -> Result<Option<Tensor<S, E, D>>, D::Err> {
        if let Some(values) = (self.0)(&name) {
            overwrite(tensor, &values)?;
        }
        Ok(None)
    }
}

/// Tensors as they are kept in files.
pub(crate) fn entries<E: Elem>(tensors: &[Named<E>]) -> Vec<Entry> {
    tensors.iter().map(|t| Entry::new(&t.name, &t.shape, &t.values)).collect()
}

/// The numbers that a file holds for each of the tensors `wanted`, by name. All that does not fit goes to `problems`:
/// what the file lacks, has besides, or has in another shape or precision.
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
            "a file of {precision} is read by a network of that precision, which `to_dtype` converts; `load_means` reads either"
        ));
    }
    let known = |entry: &&Entry| wanted.iter().any(|tensor| tensor.name == entry.name);
    problems.extend(file.iter().filter(|entry| !known(entry)).map(|e| format!("the network has no `{}`", e.name)));
    found
}

/// Numbers by name, to be looked at.
pub(crate) fn by_name<E>(values: &BTreeMap<String, Vec<E>>) -> Vec<(&str, &[E])> {
    values.iter().map(|(name, values)| (name.as_str(), values.as_slice())).collect()
}

/// Refuses a file of which something does not fit.
pub(crate) fn all_fit(problems: Vec<String>) -> Result<(), FileError> {
    if problems.is_empty() { Ok(()) } else { Err(FileError::Mismatch(problems)) }
}

/// A tensor of a file that has another shape than here.
pub(crate) fn wrong_shape(entry: &Entry, here: &[usize]) -> String {
    format!("`{}` is {:?} in the file, {here:?} here", entry.name, entry.shape)
}

/// Refuses a NaN or an infinity among the numbers of a tensor.
pub(crate) fn finite<E: Elem>(tensor: &str, values: &[E]) -> Result<(), FileError> {
    match values.iter().position(|x| !x.is_finite()) {
        Some(index) => Err(FileError::NotFinite { tensor: tensor.into(), index, value: values[index].f64() }),
        None => Ok(()),
    }
}
