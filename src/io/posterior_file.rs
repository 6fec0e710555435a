//! Posteriors in files, and means out of anybody's.

use std::collections::BTreeMap;
use std::path::Path;

use dfdx::nn::tensor_collection::TensorCollection;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sparsevd_infer::{Container, Dtype, Entry, FileError, container, file};

use super::scalars::{self, Scalar, Scalars};
use super::sound;
use crate::compute::{Backend, Elem};
use crate::error::Error;
use crate::model::describe::{DFDX, Description, differences, other_kinds};
use crate::model::tensors::{self, Named, all_fit, by_name, entries, finite, fit, parameters, wrong_shape};
use crate::model::{ByPath, Network, kinds};

const KIND: &str = "posterior";
const VERSION: u32 = 2;

/// What a posterior's file says besides its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PosteriorAbout {
    /// The version of dfdx.
    pub dfdx: String,
    /// The variational layers, each with its path.
    pub layers: ByPath<Description>,
    /// The parts that compute without parameters, activations and pools, each with its path; `None` in files from
    /// before they were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinds: Option<ByPath<String>>,
    /// The network's numbers that are not tensors, by name, such as `1.epsilon` and `1.momentum` of a batch norm;
    /// `None` in files from before they were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scalars: Option<BTreeMap<String, f64>>,
    /// What the caller added; `null` if nothing.
    pub configuration: Value,
}

/// Writes a network's posterior: one safetensors file, which is replaced as a whole or not at all.
///
/// | tensor | what it is | shape |
/// |---|---|---|
/// | `2.weight` | theta, the means of the weights of part 2 | `(outputs, inputs)`, or `(outputs, inputs, height, width)` |
/// | `2.log_sigma2` | log sigma^2 of every weight, natural logarithm; [`Additive`](crate::Additive) | as the weights |
/// | `2.log_alpha` | log alpha = log(sigma^2 / theta^2); [`Multiplicative`](crate::Multiplicative) | as the weights, `(outputs)` or `(1)` |
/// | `2.bias` | the bias, where the layer has one | `(outputs)` |
/// | `1.scale`, `1.bias` | what [`BatchNorm`](crate::BatchNorm) multiplies with, and adds | `(channels)` |
/// | `1.log_noise` | ln s^2 of [`GaussianLikelihood`](crate::GaussianLikelihood) | `()` |
/// | `1.running_mean`, `1.running_var` | the moments that its evaluation uses | `(channels)` |
///
/// A part inside another is `0.2.weight`; a network that is one layer has `weight`. Numbers are as the network has
/// them, `F32` or `F64`, row by row; weights are in the units of the network's inputs and outputs. The metadata
/// `sparsevd` is JSON: format, version, a checksum, and as `about` what [`PosteriorAbout`] says: layers with priors and
/// settings, activations and pools, and numbers that are not tensors, such as a norm's epsilon. In Python:
///
/// ```text
/// import numpy
/// from safetensors.numpy import load_file
/// q = load_file("posterior.safetensors")
/// theta, sigma = q["0.weight"], numpy.exp(0.5 * q["0.log_sigma2"])
/// ```
///
/// # Errors
/// [`Error::File`], naming the file, which is then as it was: [`FileError::NotFinite`] for a NaN or an infinity and
/// [`FileError::Range`] for a negative variance or one beyond the network's precision, which could not be read again;
/// [`FileError::Write`]; the device's.
pub fn save_posterior<N, E: Elem, D: Backend<E>>(network: &N, path: impl AsRef<Path>) -> Result<(), Error>
where
    N: Network<E, D> + TensorCollection<E, D>,
{
    save_posterior_with(network, path, &Value::Null)
}

/// [`save_posterior`] with something of yours in the file, such as how the network was trained.
///
/// # Errors
/// As [`save_posterior`]; [`FileError::Structure`] if it cannot be JSON.
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
/// [`FileError::NotFinite`] and [`FileError::Range`] for numbers that could not be read again; [`FileError::Structure`]
/// if `configuration` cannot be JSON; the device's.
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

/// Reads what [`save_posterior`] wrote into a network of the same layers: exactly, in the same precision.
///
/// Numbers that are not tensors (a norm's epsilon and momentum, the rate of dfdx's dropout) become the file's; a file
/// from before they were kept is read where the network has the defaults. How the layers train
/// ([`Settings`](crate::Settings)) is left as it is, so that training can go on in another way; draws from the
/// posterior look at it ([`Masking::Weights`](crate::Masking::Weights)).
///
/// Layers are compared by the identifiers and parameters of their maps, posteriors and priors. Files of format 1, from
/// before there were identifiers, are read, too; their layers are compared by paths, and tensors by names and shapes.
///
/// # Errors
/// [`Error::File`], naming the file: [`FileError::Mismatch`] with every tensor that is missing, superfluous, or of
/// another shape or precision, every layer of another posterior or prior, hyper-parameters included, and every other
/// activation or pool; [`FileError::NotFinite`] for a NaN or an infinity; [`FileError::Range`] for a number that cannot
/// be, such as a negative variance; those of [`Container::read`]. The network is then unchanged.
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

/// What the posterior's file at `path` says besides its tensors.
///
/// # Errors
/// Those of [`Container::read`].
pub fn posterior_about(path: impl AsRef<Path>) -> Result<PosteriorAbout, Error> {
    let path = path.as_ref();
    Ok(Container::read(path, KIND, VERSION)?.about().map_err(|error| error.in_file(path))?)
}

/// Reads weights and biases from any safetensors file into the means of a network: PyTorch's state dict of the same
/// layers, or a file of this library. Returns how many tensors were read.
///
/// Tensors are matched by name, as in [`copy_means`](crate::copy_means); what PyTorch calls `weight` is `scale` in
/// [`BatchNorm`](crate::BatchNorm) and `gamma` in dfdx's layer norm, whose `beta` it calls `bias`. They may be
/// `F32` or `F64`, whatever the network's precision. What else a network has (log sigma^2) stays; what only the file
/// has of `log_sigma2`, `log_alpha`, `log_noise`,
/// `num_batches_tracked` and an optimiser's moments is passed over.
///
/// A file of this library brings the epsilons of the norms along. PyTorch's state dict has none: its norms and this
/// library's start with 1e-5, and where PyTorch's was built with another `eps`, set
/// [`modules::BatchNorm::epsilon`](crate::modules::BatchNorm::epsilon) to it.
///
/// # Errors
/// [`Error::File`], naming the file: [`FileError::Mismatch`] with every tensor that only one side has, or in another
/// shape or type; [`FileError::NotFinite`]; [`FileError::Range`] for a negative variance;
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

/// What besides tensors the norms of a network compute with, from a file of this library.
fn norms<N: TensorCollection<E, D>, E: Elem, D: Backend<E>>(
    network: &N,
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

/// A tensor in a file, by our name or PyTorch's.
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

/// Whether a tensor in a file has nothing to do with the means.
fn is_no_mean(name: &str) -> bool {
    let role = name.rsplit('.').next().unwrap_or(name);
    name.starts_with("adam.") || matches!(role, "log_sigma2" | "log_alpha" | "log_noise" | "num_batches_tracked")
}

/// Numbers that fit, into the network, which then evaluates with its means; unless one of them cannot be.
fn put<N, E: Elem, D: Backend<E>>(
    network: &mut N,
    mut values: BTreeMap<String, Vec<E>>,
    scalars: &Scalars,
) -> Result<(), Error>
where
    N: Network<E, D> + TensorCollection<E, D>,
{
    sound::tensors(network, &by_name(&values))?;
    tensors::write(network, |name| values.remove(name))?;
    scalars::write(network, scalars)
}
