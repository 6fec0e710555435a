//! Predictions with explicitly chosen weights.

use dfdx::nn::tensor_collection::TensorCollection;
use dfdx::nn::{Module, ModuleMut};
use dfdx::prelude::*;

use crate::compute::dfdx_tricks::tensor_of;
use crate::compute::seeds::Seed;
use crate::compute::{Backend, Elem, Taped};
use crate::data::{Dataset, Layout, Vectors};
use crate::error::{Error, setting};
use crate::metrics::Predictions;
use crate::model::tensors;
use crate::model::{Network, Weights};

/// A network that maps `I` features, or images of `I` channels, to `C` class scores: the bounds that training and
/// evaluating a classifier need. It is implemented for every such module.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be trained as a classifier",
    note = "each part must read as many numbers as the one before it gives, and the last gives `(batch, classes)` scores",
    note = "a convolutional network reads images: give it `split.images()`"
)]
pub trait Classifier<const I: usize, const C: usize, E: Elem = f32, D: Backend<E> = Cpu, L: Layout = Vectors>:
    Network<E, D>
    + TensorCollection<E, D>
    + Module<Tensor<L::Shape<I>, E, D>, Output = Tensor<(usize, Const<C>), E, D>>
    + ModuleMut<Taped<L::Shape<I>, E, D>, Output = Taped<(usize, Const<C>), E, D>>
{
}

impl<N, const I: usize, const C: usize, E: Elem, D: Backend<E>, L: Layout> Classifier<I, C, E, D, L> for N where
    N: Network<E, D>
        + TensorCollection<E, D>
        + Module<Tensor<L::Shape<I>, E, D>, Output = Tensor<(usize, Const<C>), E, D>>
        + ModuleMut<Taped<L::Shape<I>, E, D>, Output = Taped<(usize, Const<C>), E, D>>
{
}

/// The weights that an evaluation uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Evaluate {
    /// The posterior means.
    Mean,
    /// The posterior means of weights with log α below this threshold; the other weights are zero.
    Pruned(f64),
    /// Several draws from the posterior, whose predictions are averaged.
    Samples {
        /// The number of draws.
        count: usize,
        /// The seed of the draws: the same seed gives the same draws.
        seed: u64,
    },
}

/// The examples per batch: few, so that evaluation needs little memory.
const BATCH: usize = 100;

/// The network's predictions for a data set.
///
/// # Errors
/// [`Error::Input`] if the images do not have `I` pixels, or channels, or if a module's [`visit`](Network::visit) or
/// `visit_mut` leaves out layers that it has; [`Error::Shape`] if a later part of the network cannot read its input;
/// [`Error::Setting`] for a threshold of NaN or no samples; [`Error::Metrics`] if an output is NaN; the device's.
pub fn predict<const I: usize, const C: usize, E: Elem, D: Backend<E>, L: Layout>(
    network: &mut impl Classifier<I, C, E, D, L>,
    data: &Dataset<L>,
    how: Evaluate,
) -> Result<Predictions, Error> {
    fits(network, data)?;
    let mut pass = |weights: Weights| logits(&*network.with_weights(weights)?, data);
    match how {
        Evaluate::Mean => Ok(Predictions::from_logits(&pass(Weights::Mean)?, C)?),
        Evaluate::Pruned(threshold) => Ok(Predictions::from_logits(&pass(Weights::Pruned(threshold))?, C)?),
        Evaluate::Samples { count, seed } => {
            let draws = "from 1 to 65,536: beyond, the draws of a seed repeat";
            setting((1..=1 << 16).contains(&count), "number of posterior samples", count as f64, draws)?;
            let draws = (0..count as u64).map(|i| pass(Weights::Sample(Seed(seed).of_draw(i).0)));
            Ok(Predictions::average(draws.collect::<Result<_, _>>()?, C)?)
        }
    }
}

fn logits<const I: usize, const C: usize, E: Elem, D: Backend<E>, L: Layout>(
    network: &impl Classifier<I, C, E, D, L>,
    data: &Dataset<L>,
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

/// `Ok` if every part of the network can read its input, from these data to the output.
pub(crate) fn fits<const I: usize, const C: usize, E: Elem, D: Backend<E>, L: Layout>(
    network: &mut impl Classifier<I, C, E, D, L>,
    data: &Dataset<L>,
) -> Result<(), Error> {
    shape::<I, L>(data, 1)?;
    network.output_shape("", &L::dims(data.dims()))?;
    tensors::all_visited(network)?;
    let (visited, changed) = (network.layers().len(), network.layers_mut().len());
    if changed != visited {
        return Err(Error::Input(format!(
            "`visit` reaches {visited} of the network's layers, `visit_mut` reaches {changed}: in a module of your own, \
             call both for each field that has layers"
        )));
    }
    Ok(())
}

/// The shape of a batch.
fn shape<const I: usize, L: Layout>(data: &Dataset<L>, batch: usize) -> Result<L::Shape<I>, Error> {
    L::shape(batch, data.dims()).ok_or_else(|| {
        let ([c, h, w], name, pixels, reads) = (data.dims(), data.name(), data.pixels(), L::reads(I));
        let sides = if [h, w] == [1, 1] { String::new() } else { format!(" ({c} x {h} x {w})") };
        Error::Input(format!("the network reads {reads}, an example of {name} has {pixels} numbers{sides}"))
    })
}

/// Some of the images, as a batch.
pub(crate) fn inputs<const I: usize, E: Elem, D: Backend<E>, L: Layout>(
    device: &D,
    data: &Dataset<L>,
    which: &[usize],
) -> Result<Tensor<L::Shape<I>, E, D>, Error> {
    batch(device, data, which.iter().flat_map(|&i| data.input(i)))
}

/// Pixels of images like those of `data`, as a batch.
pub(crate) fn batch<'a, const I: usize, E: Elem, D: Backend<E>, L: Layout>(
    device: &D,
    data: &Dataset<L>,
    pixels: impl Iterator<Item = &'a f32>,
) -> Result<Tensor<L::Shape<I>, E, D>, Error> {
    let numbers: Vec<E> = pixels.map(|x| E::of(f64::from(*x))).collect();
    tensor_of(device, &numbers, shape::<I, L>(data, numbers.len() / data.pixels())?).map_err(Error::device)
}
