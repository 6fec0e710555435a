//! Evaluation: explicit about the weights it uses.

use dfdx::nn::tensor_collection::TensorCollection;
use dfdx::nn::{Module, ModuleMut};
use dfdx::prelude::*;

use crate::backend::{Backend, Elem, Taped};
use crate::data::Dataset;
use crate::error::{Error, setting};
use crate::metrics::Predictions;
use crate::network::{Network, Weights};

/// A network that maps `I` numbers to `C` class scores, on a device: everything that training and evaluating one needs.
/// Implemented by every module that can.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be trained as a classifier",
    note = "its first part must be a variational layer, each part must read as many numbers as the one before it gives, and the last gives `(batch, classes)` scores"
)]
pub trait Classifier<const I: usize, const C: usize, E: Elem, D: Backend<E>>:
    Network<E, D>
    + TensorCollection<E, D>
    + Module<Tensor<(usize, Const<I>), E, D>, Output = Tensor<(usize, Const<C>), E, D>>
    + ModuleMut<Tensor<(usize, Const<I>), E, D>, Output = Taped<(usize, Const<C>), E, D>>
{
}

impl<N, const I: usize, const C: usize, E: Elem, D: Backend<E>> Classifier<I, C, E, D> for N where
    N: Network<E, D>
        + TensorCollection<E, D>
        + Module<Tensor<(usize, Const<I>), E, D>, Output = Tensor<(usize, Const<C>), E, D>>
        + ModuleMut<Tensor<(usize, Const<I>), E, D>, Output = Taped<(usize, Const<C>), E, D>>
{
}

/// How to evaluate a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Evaluate {
    /// With the posterior means.
    Mean,
    /// With the means below this threshold on log alpha, the others set to zero.
    Pruned(f64),
    /// With the average prediction of several draws from the posterior.
    Samples {
        /// How many.
        count: usize,
        /// The draws are the same for the same seed.
        seed: u64,
    },
}

/// Data of a batch at a time, so that evaluation needs little memory.
const BATCH: usize = 1000;

/// The network's predictions for a data set. Afterwards `forward` uses the posterior means again.
///
/// # Errors
/// [`Error::Input`] if the images do not have `I` pixels; [`Error::Setting`] for a threshold of NaN or no samples;
/// [`Error::Metrics`] if an output is NaN; the device's.
pub fn predict<const I: usize, const C: usize, E: Elem, D: Backend<E>>(
    network: &mut impl Classifier<I, C, E, D>,
    data: &Dataset,
    how: Evaluate,
) -> Result<Predictions, Error> {
    let mut pass = |weights: Weights| {
        network.use_weights(weights)?;
        let logits = logits(network, data);
        network.use_weights(Weights::Mean)?;
        logits
    };
    match how {
        Evaluate::Mean => Ok(Predictions::from_logits(&pass(Weights::Mean)?, C)?),
        Evaluate::Pruned(threshold) => Ok(Predictions::from_logits(&pass(Weights::Pruned(threshold))?, C)?),
        Evaluate::Samples { count, seed } => {
            setting(count > 0, "number of posterior samples", 0.0, "at least 1")?;
            let draws = (0..count as u64).map(|i| pass(Weights::Sample(seed.wrapping_add(i << 48))));
            Ok(Predictions::average(draws.collect::<Result<_, _>>()?, C)?)
        }
    }
}

fn logits<const I: usize, const C: usize, E: Elem, D: Backend<E>>(
    network: &impl Classifier<I, C, E, D>,
    data: &Dataset,
) -> Result<Vec<f32>, Error> {
    let device = network.layers().first().ok_or(Error::NoLayer)?.1.device();
    let mut logits = Vec::with_capacity(data.len() * C);
    let all: Vec<usize> = (0..data.len()).collect();
    for batch in all.chunks(BATCH) {
        let out = network.try_forward(inputs(&device, data, batch)?).map_err(Error::device)?;
        logits.extend(out.as_vec().into_iter().map(|x| x.f64() as f32));
    }
    Ok(logits)
}

/// Some of the images, as a batch.
pub(crate) fn inputs<const I: usize, E: Elem, D: Backend<E>>(
    device: &D,
    data: &Dataset,
    which: &[usize],
) -> Result<Tensor<(usize, Const<I>), E, D>, Error> {
    if data.pixels() != I {
        let ([c, h, w], name) = (data.dims(), data.name());
        let pixels = data.pixels();
        return Err(Error::Input(format!(
            "the network reads {I} numbers, an image of {name} has {c} x {h} x {w} = {pixels}"
        )));
    }
    let numbers = which.iter().flat_map(|&i| data.input(i)).map(|x| E::of(f64::from(*x))).collect();
    device.try_tensor_from_vec(numbers, (which.len(), Const::<I>)).map_err(Error::device)
}
