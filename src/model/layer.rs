//! The trait `Layer`: the interface of a built variational layer with any map, posterior and prior.

use std::any::Any;

use dfdx::prelude::*;

use super::describe::Description;
use crate::compute::{Backend, Elem, Taped};
use crate::error::Error;
use crate::spec::{Grid, Settings};

/// The weights that `forward` computes with, through [`Network::with_weights`](crate::Network::with_weights).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weights {
    /// The posterior means: the default.
    Mean,
    /// The posterior means; those with log α at or above this threshold are zero.
    Pruned(f64),
    /// One draw from the posterior; the same seed gives the same draw. A layer with binary dropout draws one mask over
    /// its inputs, for a convolution over its input channels. Weights whose means are masked during training are drawn
    /// around their means nevertheless, unless whole weights are masked
    /// ([`Masking::Weights`](crate::Masking::Weights)).
    Sample(u64),
}

/// A built variational layer with any map, posterior and prior; [`Network::layers`](crate::Network::layers) returns
/// those of a network.
pub trait Layer<E: Elem = f32, D: Backend<E> = Cpu> {
    /// The weights seen as a matrix.
    fn grid(&self) -> Grid;
    /// The device.
    fn device(&self) -> D;
    /// The summed KL of this layer in nats, on a tape: a part of [`Network::kl`](crate::Network::kl).
    #[doc(hidden)]
    fn own_kl(&self) -> Result<Taped<Rank0, E, D>, Error>;
    /// The means, row by row of the [`grid`](Layer::grid).
    fn theta(&self) -> Vec<f64>;
    /// log α of every weight, in the same order.
    fn log_alpha(&self) -> Vec<f64>;
    /// True for each weight that pruning at this threshold on log α keeps, in the same order: those with log α below it
    /// and a mean that is not zero. If log α is not trained (binary and Gaussian dropout, an ordinary layer), it says
    /// nothing about single weights, and only the mean decides.
    fn kept(&self, threshold: f64) -> Vec<bool>;
    /// Chooses the weights of `forward`, for a [`View`](crate::View).
    #[doc(hidden)]
    fn use_weights(&mut self, weights: Weights) -> Result<(), Error>;
    /// Makes `forward` use the posterior means again.
    #[doc(hidden)]
    fn use_means(&mut self);
    /// Replaces the means.
    #[allow(clippy::missing_errors_doc, reason = "the device's")]
    fn set_theta(&mut self, theta: &[f64]) -> Result<(), Error>;
    /// Sets the second parameter of every weight, log σ² or log α as the posterior has it, to the same number.
    #[allow(clippy::missing_errors_doc, reason = "the device's")]
    fn set_spread(&mut self, spread: f64) -> Result<(), Error>;
    /// Sets the second parameter so that every weight has this log α, whatever its mean; means below 1e-8 count as 1e-8.
    /// If weights share their second parameter, they share the mean of what each needs. A posterior without Gaussian
    /// noise is left as it is.
    ///
    /// A trained network that becomes variational keeps what it has learned if log α is small; one log σ² for all of its
    /// weights makes noise of the small ones at once.
    ///
    /// # Errors
    /// [`Error::Setting`] for a log α that is not finite, or that the posterior cannot have; the device's.
    fn set_log_alpha(&mut self, log_alpha: f64) -> Result<(), Error>;
    /// Fixes the noise of the training passes that follow.
    fn seed_noise(&mut self, seed: u64);
    /// Marks the tensor with this id as data, whose gradient is not needed.
    #[doc(hidden)]
    fn expect_data(&mut self, data: UniqueId);
    /// The gradients of the means and of the second parameter, `None` if that is not trained; zeros if no gradient
    /// arrived.
    #[allow(clippy::missing_errors_doc, reason = "the device's")]
    #[allow(clippy::type_complexity, reason = "a pair")]
    fn gradients(&self, gradients: &mut Gradients<E, D>) -> Result<(Vec<f64>, Option<Vec<f64>>), Error>;
    /// The training settings.
    fn settings(&mut self) -> &mut Settings;
    /// Chooses the dfdx graph even if a fused kernel exists: the reference for tests and benches.
    #[doc(hidden)]
    fn compose(&mut self, composed: bool);
    /// The unused fields: the second parameter of a posterior without one, the bias of a map without one.
    #[doc(hidden)]
    fn idle(&self) -> Vec<&'static str>;
    /// The prior, to be downcast.
    fn prior(&mut self) -> &mut dyn Any;
    /// The prior's learned scales, fitted to the current weights: one for each output
    /// ([`Shared::PerOutput`](crate::priors::Shared::PerOutput)), each input over all groups (`PerInput`), or one
    /// (`PerLayer`); empty if the prior has no learned scale.
    ///
    /// ```
    /// # use sparsevd::prelude::*;
    /// # fn main() -> Result<(), Error> {
    /// let mut net = Cpu::seed_from_u64(0).build_module::<(ArdLinear<64, 30>, ReLU, ArdLinear<30, 10>), f32>();
    /// net.set_prior(Ard::per_output())?;
    /// let relevance = net.layers()[0].1.prior_scales();       // the standard deviation of each neuron's prior
    /// assert_eq!(relevance.len(), 30);
    /// # Ok(()) }
    /// ```
    fn prior_scales(&self) -> Vec<f64>;
    /// The posterior family with its settings, to be downcast.
    fn posterior(&mut self) -> &mut dyn Any;
    /// The name of the first parameter that holds a NaN or an infinity, and that number.
    fn not_finite(&self) -> Option<(&'static str, f64)>;
    /// Checks the parameters that `of` returns for the names of fields. For the first weight whose variance would be
    /// beyond the layer's precision, it returns its second parameter: the name of the field, the index and the number.
    #[doc(hidden)]
    fn unbounded<'a>(&self, of: &dyn Fn(&str) -> Option<&'a [E]>) -> Option<(&'static str, usize, f64)>
    where
        E: 'a;
    /// The description of the layer, for files.
    fn describe(&self) -> Description;
}
