//! `Layer`: what a network asks of a built variational layer, whatever its map, posterior and prior.

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
    /// The posterior means, with those whose log alpha reaches this threshold set to zero.
    Pruned(f64),
    /// One draw from the posterior, the same for this seed. A layer with binary dropout draws one mask over its inputs,
    /// over the channels of a convolution. Means that training masks are drawn around all the same, unless whole weights
    /// are masked ([`Masking::Weights`](crate::Masking::Weights)).
    Sample(u64),
}

/// A built variational layer, whatever its map, posterior and prior; [`Network::layers`](crate::Network::layers) gives
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
    /// log alpha of every weight, in the same order.
    fn log_alpha(&self) -> Vec<f64>;
    /// Which weights pruning at this threshold on log alpha keeps, in the same order: those with log alpha below it and
    /// a mean that is not zero. Where log α is not trained (binary and Gaussian dropout, an ordinary layer) it
    /// says nothing about single weights, and the mean alone decides.
    fn kept(&self, threshold: f64) -> Vec<bool>;
    /// Chooses the weights of `forward`, for a [`View`](crate::View).
    #[doc(hidden)]
    fn use_weights(&mut self, weights: Weights) -> Result<(), Error>;
    /// The posterior means again.
    #[doc(hidden)]
    fn use_means(&mut self);
    /// Replaces the means.
    #[allow(clippy::missing_errors_doc, reason = "the device's")]
    fn set_theta(&mut self, theta: &[f64]) -> Result<(), Error>;
    /// Gives every weight the same log-variance, or log α where the posterior has that.
    #[allow(clippy::missing_errors_doc, reason = "the device's")]
    fn set_spread(&mut self, spread: f64) -> Result<(), Error>;
    /// Fixes the noise of the training passes that follow.
    fn seed_noise(&mut self, seed: u64);
    /// Notes that the tensor with this identity is data, whose gradient nobody needs.
    #[doc(hidden)]
    fn expect_data(&mut self, data: UniqueId);
    /// The gradients of the means and of the spread, where that is trained; zeros where no gradient arrived.
    #[allow(clippy::missing_errors_doc, reason = "the device's")]
    #[allow(clippy::type_complexity, reason = "a pair")]
    fn gradients(&self, gradients: &mut Gradients<E, D>) -> Result<(Vec<f64>, Option<Vec<f64>>), Error>;
    /// How the layer trains.
    fn settings(&mut self) -> &mut Settings;
    /// Runs the dfdx graph even where a fused kernel exists: the reference that tests and benches compare with.
    #[doc(hidden)]
    fn compose(&mut self, composed: bool);
    /// The fields that mean nothing: the log-variance of a posterior without one, the bias of a map without one.
    #[doc(hidden)]
    fn idle(&self) -> Vec<&'static str>;
    /// The prior, to be downcast.
    fn prior(&mut self) -> &mut dyn Any;
    /// The prior's learned scales, as they are now: one for each output (of [`Shared::PerOutput`](crate::priors::Shared::PerOutput)), each input of all
    /// groups (`PerInput`), or one (`PerLayer`); empty where none is learned.
    ///
    /// ```
    /// # use sparsevd::prelude::*;
    /// # fn main() -> Result<(), Error> {
    /// let mut net = Cpu::seed_from_u64(0).build_module::<(ArdLinear<64, 30>, ReLU, ArdLinear<30, 10>), f32>();
    /// net.set_prior(Ard::per_output())?;
    /// let relevance = net.layers()[0].1.prior_scales();       // of each neuron: the fitted deviation of its prior
    /// assert_eq!(relevance.len(), 30);
    /// # Ok(()) }
    /// ```
    fn prior_scales(&self) -> Vec<f64>;
    /// The posterior family with its settings, to be downcast.
    fn posterior(&mut self) -> &mut dyn Any;
    /// The first parameter that holds a NaN or an infinity, with it.
    fn not_finite(&self) -> Option<(&'static str, f64)>;
    /// The first weight whose variance would be beyond the layer's precision, if its parameters were those of `of`, by
    /// the names of their fields: the field of its spread, where it is there, and its value.
    #[doc(hidden)]
    fn unbounded<'a>(&self, of: &dyn Fn(&str) -> Option<&'a [E]>) -> Option<(&'static str, usize, f64)>
    where
        E: 'a;
    /// What the layer is, for files.
    fn describe(&self) -> Description;
}
