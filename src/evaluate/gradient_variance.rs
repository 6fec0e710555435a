//! The variance of the gradients of a training pass.

use dfdx::prelude::*;
use serde::{Deserialize, Serialize};

use crate::compute::seeds::Seed;
use crate::compute::{Backend, Elem, Taped};
use crate::error::{Error, setting};
use crate::model::Network;

/// The variance of one layer's gradients over passes on the same data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GradientVariance {
    /// The layer's path in the network.
    pub layer: String,
    /// The variance of the gradient of the means, θ.
    pub theta: Variance,
    /// The variance of the gradient of the second parameter, log σ² or log α; `None` if it is not trained.
    pub spread: Option<Variance>,
}

/// Variances of the elements of a gradient, in squared units of the objective: nats² for an ELBO in nats, per squared
/// unit of θ (log σ² has no unit).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variance {
    /// The mean over the parameters, to compare layers of different sizes.
    pub mean: f64,
    /// The sum over the parameters: the trace of the covariance, which bounds in stochastic optimisation use.
    pub sum: f64,
}

/// The variance of the gradients of `objective`, estimated from `passes` passes with fresh noise.
///
/// ```text
/// g_s = d objective / d w in pass s       Var g = sum_s (g_s - mean g)² / (passes - 1)       for each parameter w
/// ```
/// An estimate from S passes has a relative error of about `sqrt(2 / (S - 1))` for each parameter, and less on average
/// over many. Terms without noise, such as the KL in an ELBO, add nothing. A NaN in a gradient gives a NaN here.
///
/// `objective` runs one training pass, on the same data each time. The network's parameters stay as they are; its noise
/// continues from `seed`, and each pass moves the running moments of batch norms.
///
/// ```
/// use sparsevd::prelude::*;
/// use sparsevd::{Estimator, gradient_variance};
///
/// # fn main() -> Result<(), Error> {
/// let device = Cpu::seed_from_u64(0);
/// let mut net = device.build_module::<(SparseVdLinear<8, 20>, ReLU, SparseVdLinear<20, 2>), f32>();
/// net.layers_mut().into_iter().try_for_each(|(_, layer)| layer.set_spread(-4.0))?;
/// let x: Tensor<(usize, Const<8>), f32, _> = device.sample_normal_like(&(10, Const));
/// let labels = [0, 1, 0, 1, 0, 1, 0, 1, 0, 1];
///
/// for estimator in [Estimator::LocalReparameterisation, Estimator::Flipout, Estimator::WeightSampling] {
///     net.configure(Settings { estimator, ..Settings::default() });
///     let variances = gradient_variance(&mut net, 20, 1, |net| {
///         let x = net.input(x.clone());
///         categorical(net.forward_mut(x), &labels)
///     })?;
///     for of in variances {
///         println!("{estimator:?}, layer {}: {:.1e} nats² per mean", of.layer, of.theta.mean);
///     }
/// }
/// # Ok(()) }
/// ```
///
/// # Errors
/// [`Error::Setting`] for fewer than 2 passes; [`Error::NoLayer`]; what `objective` returns; the device's.
pub fn gradient_variance<N: Network<E, D>, E: Elem, D: Backend<E>>(
    network: &mut N,
    passes: usize,
    seed: u64,
    mut objective: impl FnMut(&mut N) -> Result<Taped<Rank0, E, D>, Error>,
) -> Result<Vec<GradientVariance>, Error> {
    setting(passes >= 2, "passes", passes as f64, "at least 2")?;
    if network.layers().is_empty() {
        return Err(Error::NoLayer);
    }
    let mut moments: Vec<[Moments; 2]> = network.layers().iter().map(|_| Default::default()).collect();
    for pass in 0..passes as u64 {
        for (i, (_, layer)) in network.layers_mut().into_iter().enumerate() {
            layer.seed_noise(Seed(seed).with(pass).with(i as u64).0);
        }
        let mut gradients = objective(network)?.try_backward().map_err(Error::device)?;
        for ((_, layer), [theta, spread]) in network.layers().into_iter().zip(&mut moments) {
            let of = layer.gradients(&mut gradients)?;
            theta.add(&of.0);
            spread.add(&of.1.unwrap_or_default());
        }
    }
    let layers = network.layers().into_iter().zip(&moments);
    let found = layers.map(|((layer, _), [theta, spread])| (layer, theta.variance(), spread.variance()));
    let no_theta = Variance { mean: 0.0, sum: 0.0 };
    let found =
        found.map(|(layer, theta, spread)| GradientVariance { layer, theta: theta.unwrap_or(no_theta), spread });
    Ok(found.collect())
}

/// Mean and summed squared deviation of several quantities, updated observation by observation (Welford 1962).
#[derive(Default)]
struct Moments {
    count: f64,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl Moments {
    fn add(&mut self, numbers: &[f64]) {
        self.count += 1.0;
        self.mean.resize(numbers.len(), 0.0);
        self.squares.resize(numbers.len(), 0.0);
        for ((mean, square), x) in self.mean.iter_mut().zip(&mut self.squares).zip(numbers) {
            let deviation = x - *mean;
            *mean += deviation / self.count;
            *square += deviation * (x - *mean);
        }
    }

    /// `None` if there are no quantities.
    fn variance(&self) -> Option<Variance> {
        let sum = self.squares.iter().sum::<f64>() / (self.count - 1.0);
        (!self.squares.is_empty()).then(|| Variance { mean: sum / self.squares.len() as f64, sum })
    }
}
