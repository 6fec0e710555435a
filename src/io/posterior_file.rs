//! Posteriors in files, and means from any safetensors file.

use std::collections::BTreeMap;
use std::path::Path;

use dfdx::nn::tensor_collection::TensorCollection;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sparsevd_infer::{Container, Dtype, Entry, FileError, container, file};

use super::scalars::{self, Scalar, Scalars};
use super::sound;
use crate::compute::visit::Tensors;
use crate::compute::{Backend, Elem};
use crate::error::Error;
use crate::model::describe::{DFDX, Description, differences, other_kinds};
use crate::model::tensors::{self, AnyNetwork, Named, all_fit, by_name, entries, finite, fit, parameters, wrong_shape};
use crate::model::{ByPath, Network, kinds};

const KIND: &str = "posterior";
const VERSION: u32 = 2;

/// The metadata of a posterior file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PosteriorAbout {
    /// The version of dfdx.
    pub dfdx: String,
    /// The variational layers, each with its path.
    pub layers: ByPath<Description>,
    /// The parts without parameters (activations and pools), each with its path; `None` in older files, which do not
    /// store them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinds: Option<ByPath<String>>,
    /// The network's scalars, its numbers that are not tensors, by name, such as `1.epsilon` and `1.momentum` of a
    /// batch norm; `None` in older files, which do not store them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scalars: Option<BTreeMap<String, f64>>,
    /// The caller's own data; `null` if there are none.
    pub configuration: Value,
}

/// Writes a network's posterior to one safetensors file, atomically: on an error an existing file stays as it was.
///
/// | tensor | what it is | shape |
/// |---|---|---|
/// | `2.weight` | θ, the means of the weights of part 2 | `(outputs, inputs)`, or `(outputs, inputs, height, width)` |
/// | `2.log_sigma2` | log σ² of every weight, natural logarithm; [`Additive`](crate::Additive) | as the weights |
/// | `2.log_alpha` | log α = log(σ² / θ²); [`Multiplicative`](crate::Multiplicative) | as the weights, `(outputs)` or `(1)` |
/// | `2.bias` | the bias, if the layer has one | `(outputs)` |
/// | `1.scale`, `1.bias` | the factor and the shift of [`BatchNorm`](crate::BatchNorm) | `(channels)` |
/// | `1.log_noise` | ln s² of [`GaussianLikelihood`](crate::GaussianLikelihood) | `()` |
/// | `1.running_mean`, `1.running_var` | the moments with which a batch norm evaluates | `(channels)` |
///
/// A part inside another is `0.2.weight`; a network that is one layer has `weight`. Numbers have the network's
/// precision, `F32` or `F64`, and are stored row by row; weights are in the units of the network's inputs and outputs.
/// The metadata `sparsevd` is JSON: format, version, a checksum, and as `about` the fields of [`PosteriorAbout`]:
/// layers with priors and settings, activations and pools, and scalars, such as a norm's epsilon. In Python:
///
/// ```text
/// import numpy
/// from safetensors.numpy import load_file
/// q = load_file("posterior.safetensors")
/// theta, sigma = q["0.weight"], numpy.exp(0.5 * q["0.log_sigma2"])
/// ```
///
/// # Errors
/// [`Error::File`], naming the file, which then stays as it was: [`FileError::NotFinite`] for a NaN or an infinity and
/// [`FileError::Range`] for a negative variance or one beyond the network's precision, because such a file could not be
/// read again; [`FileError::Write`]; the device's.
pub fn save_posterior<N, E: Elem, D: Backend<E>>(network: &N, path: impl AsRef<Path>) -> Result<(), Error>
where
    N: Network<E, D> + TensorCollection<E, D>,
{
    save_posterior_with(network, path, &Value::Null)
}

/// [`save_posterior`] with data of your own in the file, such as the settings of the training run.
///
/// # Errors
/// As [`save_posterior`]; [`FileError::Structure`] if `configuration` cannot be JSON.
pub fn save_posterior_with<N, E: Elem, D: Backend<E>>(
    network: &N,
    path: impl AsRef<Path>,
    configuration: &impl Serialize,
) -> Result<(), Error>
where
    N: Network<E, D> + TensorCollection<E, D>,
{
    let path = path.as_ref();
    let bytes = posterior_to_bytes(network, configuration).map_err(|e| e.in_file(path))?;
    Ok(file::replace(path, &bytes).map_err(|source| FileError::Write { path: path.into(), source })?)
}

/// The bytes of [`save_posterior_with`]'s file; the same for the same posterior and configuration.
///
/// # Errors
/// [`FileError::NotFinite`] and [`FileError::Range`] for numbers that [`load_posterior`] would reject;
/// [`FileError::Structure`] if `configuration` cannot be JSON; the device's.
pub fn posterior_to_bytes<N, E: Elem, D: Backend<E>>(
    network: &N,
    configuration: &impl Serialize,
) -> Result<Vec<u8>, Error>
where
    N: Network<E, D> + TensorCollection<E, D>,
{
    let configuration = serde_json::to_value(configuration).map_err(|e| FileError::structure("configuration", e))?;
    let scalars = Some(scalars::to_file(network)?);
    let (layers, kinds) = (network.descriptions(), Some(kinds(network)));
    let about = PosteriorAbout { dfdx: DFDX.into(), layers, kinds, scalars, configuration };
    let tensors = parameters(network)?;
    sound::tensors(network, &tensors.iter().map(Named::numbers).collect::<Vec<_>>())?;
    Ok(Container::new(entries(&tensors), &about)?.to_bytes(KIND, VERSION)?)
}

/// Reads a file of [`save_posterior`] into a network of the same layers, exactly and in the same precision.
///
/// The scalars (a norm's epsilon and momentum, the rate of dfdx's dropout) are read, too; an older file without them
/// can be read if the network has the defaults. The training settings of the layers ([`Settings`](crate::Settings))
/// stay as they are, so that training can continue with others; draws from the posterior depend on them
/// ([`Masking::Weights`](crate::Masking::Weights)).
///
/// Layers are compared by the identifiers and parameters of their maps, posteriors and priors. Files of format 1, which
/// have no identifiers, can be read, too; their layers are compared by path, and their tensors by name and shape.
///
/// # Errors
/// [`Error::File`], naming the file: [`FileError::Mismatch`], which lists every tensor that is missing, superfluous, or
/// of another shape or precision, every layer with another posterior or prior (hyper-parameters included), and every
/// activation or pool that differs; [`FileError::NotFinite`] for a NaN or an infinity; [`FileError::Range`] for a
/// number out of range, such as a negative variance; those of [`Container::read`]. The network is then unchanged.
pub fn load_posterior<N, E: Elem, D: Backend<E>>(network: &mut N, path: impl AsRef<Path>) -> Result<(), Error>
where
    N: Network<E, D> + TensorCollection<E, D>,
{
    let path = path.as_ref();
    posterior_from_bytes(network, &container::read(path, container::MAX_BYTES)?).map_err(|e| e.in_file(path))
}

/// [`load_posterior`] from memory.
///
/// # Errors
/// As [`load_posterior`], without the name of a file.
pub fn posterior_from_bytes<N, E: Elem, D: Backend<E>>(network: &mut N, bytes: &[u8]) -> Result<(), Error>
where
    N: Network<E, D> + TensorCollection<E, D>,
{
    let file = Container::parse(KIND, VERSION, bytes)?;
    let about: PosteriorAbout = file.about()?;
    let mut problems = differences(&network.descriptions(), &about.layers, false);
    problems.extend(other_kinds(&kinds(network), about.kinds.as_ref()));
    let values = fit(&parameters(network)?, &file.tensors, &mut problems);
    let scalars = scalars::fit(&scalars::read(network)?, about.scalars.as_ref(), &mut problems)?;
    all_fit(problems)?;
    put(network, values, &scalars)
}

/// Reads the metadata of the posterior file at `path`.
///
/// # Errors
/// Those of [`Container::read`].
pub fn posterior_about(path: impl AsRef<Path>) -> Result<PosteriorAbout, Error> {
    let path = path.as_ref();
    Ok(Container::read(path, KIND, VERSION)?.about().map_err(|error| error.in_file(path))?)
}

/// Reads weights and biases from any safetensors file into the means of a network: a PyTorch state dict of the same
/// layers, or a file of this library. Returns the number of tensors read.
///
/// Tensors are matched by name, as in [`copy_means`](crate::copy_means); PyTorch's `weight` is `scale` in
/// [`BatchNorm`](crate::BatchNorm) and `gamma` in dfdx's layer norm, and its `bias` is `beta` in the latter. They may
/// be `F32` or `F64`, independent of the network's precision. Other tensors of the network (log σ²) stay as they are.
/// The file's `log_sigma2`, `log_alpha`, `log_noise`, `num_batches_tracked` and an optimiser's moments are ignored.
///
/// A file of this library also holds the epsilons of the norms. A PyTorch state dict does not. The default is 1e-5 in
/// PyTorch and here; if the PyTorch norm was built with another `eps`, set
/// [`modules::BatchNorm::epsilon`](crate::modules::BatchNorm::epsilon) to it.
///
/// # Errors
/// [`Error::File`], naming the file: [`FileError::Mismatch`], which lists every tensor that only one side has, or that
/// has another shape or type; [`FileError::NotFinite`]; [`FileError::Range`] for a negative variance;
/// [`FileError::NotSafetensors`]; [`FileError::Checksum`]. The network is then unchanged.
pub fn load_means<N, E: Elem, D: Backend<E>>(network: &mut N, path: impl AsRef<Path>) -> Result<usize, Error>
where
    N: Network<E, D> + TensorCollection<E, D>,
{
    let path = path.as_ref();
    means_from_bytes(network, &container::read(path, container::MAX_BYTES)?).map_err(|e| e.in_file(path))
}

/// [`load_means`] from memory.
///
/// # Errors
/// As [`load_means`], without the name of a file.
pub fn means_from_bytes<N, E: Elem, D: Backend<E>>(network: &mut N, bytes: &[u8]) -> Result<usize, Error>
where
    N: Network<E, D> + TensorCollection<E, D>,
{
    let (file, about) = container::any(bytes)?;
    let (means, others): (Vec<_>, Vec<_>) = tensors::read(network)?.into_iter().partition(Named::is_mean);
    let (mut problems, mut pairs) = (Vec::new(), Vec::new());
    for target in &means {
        match find(&file, target) {
            None => problems.push(format!("the file has no `{}`", target.name)),
            Some(entry) if entry.shape != target.shape => problems.push(wrong_shape(entry, &target.shape)),
            Some(entry) if !matches!(entry.dtype, Dtype::F32 | Dtype::F64) => {
                problems.push(format!("`{}` is {} in the file; convert it to F32 or F64", entry.name, entry.dtype));
            }
            Some(entry) => pairs.push((&target.name, entry)),
        }
    }
    let wanted = |entry: &Entry| means.iter().filter_map(|mean| find(&file, mean)).any(|e| e.name == entry.name);
    let idle = tensors::idle(network);
    let ours = |entry: &Entry| others.iter().any(|other| other.name == entry.name && !idle.contains(&other.name));
    let extra = file.iter().filter(|entry| !wanted(entry) && !ours(entry) && !is_no_mean(&entry.name));
    problems.extend(extra.map(|entry| format!("the network has no `{}`", entry.name)));
    let scalars = match about {
        None => Scalars::new(),
        Some(about) => norms(network, &about, &mut problems)?,
    };
    all_fit(problems)?;
    let convert = |(name, entry): (&String, &Entry)| {
        let numbers: Vec<E> = entry.floats()?.into_iter().map(E::of).collect();
        finite(&entry.name, &numbers).map(|()| (name.clone(), numbers))
    };
    let values: BTreeMap<_, _> = pairs.into_iter().map(convert).collect::<Result<_, FileError>>()?;
    put(network, values, &scalars)?;
    Ok(means.len())
}

/// The epsilons of a network's norms, from a file of this library.
fn norms<E: Elem, D: Backend<E>>(
    network: &dyn Tensors<E, D>,
    about: &str,
    problems: &mut Vec<String>,
) -> Result<Scalars, Error> {
    let wrong = |e| FileError::structure("about", e);
    let mut about: Value = serde_json::from_str(about).map_err(wrong)?;
    let scalars = about.get_mut("scalars").map_or(Value::Null, Value::take);
    let scalars: Option<Scalars> = serde_json::from_value(scalars).map_err(wrong)?;
    let here: Vec<Scalar> = scalars::read(network)?.into_iter().filter(Scalar::is_mean).collect();
    let known = |name: &String| here.iter().any(|scalar| scalar.name == *name);
    let file = scalars.map(|file| file.into_iter().filter(|(name, _)| known(name)).collect());
    Ok(scalars::fit(&here, file.as_ref(), problems)?)
}

/// A tensor in a file, by this library's name or PyTorch's.
fn find<'a, E>(file: &'a [Entry], tensor: &Named<E>) -> Option<&'a Entry> {
    let named = |name: &str| file.iter().find(|entry| entry.name == name);
    let theirs = || {
        let path = tensor.name.strip_suffix(tensor.role())?;
        let role = match tensor.role() {
            "scale" | "gamma" => "weight",
            "beta" => "bias",
            _ => return None,
        };
        named(&format!("{path}{role}"))
    };
    named(&tensor.name).or_else(theirs)
}

/// True if a tensor of this name in a file is no mean and can be ignored.
fn is_no_mean(name: &str) -> bool {
    let role = name.rsplit('.').next().unwrap_or(name);
    name.starts_with("adam.") || matches!(role, "log_sigma2" | "log_alpha" | "log_noise" | "num_batches_tracked")
}

/// Writes values whose names and shapes are checked into the network. If a number is out of range, it fails and leaves
/// the network unchanged.
fn put<E: Elem, D: Backend<E>>(
    network: &mut dyn AnyNetwork<E, D>,
    mut values: BTreeMap<String, Vec<E>>,
    scalars: &Scalars,
) -> Result<(), Error> {
    sound::tensors(network, &by_name(&values))?;
    tensors::write(network, |name| values.remove(name))?;
    scalars::write(network, scalars)
}
