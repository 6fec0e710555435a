//! A variational layer, whatever its map, posterior and prior: what a network asks of it.

use dfdx::prelude::*;
use sparsevd_priors::{Moments, Normal, Prior, Shared};

use crate::backend::{Backend, Elem, Taped, overwrite, tensor_of};
use crate::describe::Description;
use crate::error::{Error, setting};
use crate::fused::noise;
use crate::layer::{Layer, Settings, SwitchOff, fill};
use crate::map::{Grid, Map};
use crate::posterior::{Noise, Posterior};
use crate::sound::log_most;

/// The weights that `forward` computes with, through [`Network::with_weights`](crate::Network::with_weights).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weights {
    /// The posterior means: the default.
    Mean,
    /// The posterior means, with those whose log alpha reaches this threshold set to zero.
    Pruned(f64),
    /// One draw from the posterior, the same for this seed. A layer with binary dropout draws one mask over its inputs,
    /// over the channels of a convolution. Means that a trained-in threshold switches off are drawn around all the
    /// same, unless whole weights are ([`SwitchOff::Weight`]).
    Sample(u64),
}

/// A variational layer, whatever its map, posterior and prior.
pub trait VariationalLayer<E: Elem, D: Backend<E>> {
    /// The weights seen as a matrix.
    fn grid(&self) -> Grid;
    /// The device.
    fn device(&self) -> D;
    /// The summed KL in nats, on a tape.
    #[allow(clippy::missing_errors_doc, reason = "the device's")]
    fn kl(&self) -> Result<Taped<Rank0, E, D>, Error>;
    /// The means, row by row of the [`grid`](VariationalLayer::grid).
    fn theta(&self) -> Vec<f64>;
    /// log alpha of every weight, in the same order.
    fn log_alpha(&self) -> Vec<f64>;
    /// Which weights pruning at this threshold on log alpha keeps, in the same order: those with log alpha below it and
    /// a mean that is not zero. Where the spread is not trained (binary and Gaussian dropout, an ordinary layer) log
    /// alpha says nothing about single weights, and the mean alone decides.
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
    /// Gives every weight the same spread (log sigma^2 or log alpha, as the posterior has it).
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
    /// The prior, to be downcast.
    fn prior(&mut self) -> &mut dyn std::any::Any;
    /// The prior's learned scales, as they are now: one for each output (of [`Shared::PerOutput`]), each input of all
    /// groups ([`Shared::PerInput`]), or one ([`Shared::PerLayer`]); empty where none is learned.
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
    fn posterior(&mut self) -> &mut dyn std::any::Any;
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

impl<M: Map, Q: Posterior, P: Prior, E: Elem, D: Backend<E>> VariationalLayer<E, D> for Layer<M, Q, P, E, D> {
    fn grid(&self) -> Grid {
        M::grid()
    }

    fn device(&self) -> D {
        self.theta.device().clone()
    }

    fn kl(&self) -> Result<Taped<Rank0, E, D>, Error> {
        let threshold = self.settings.threshold.unwrap_or(0.0);
        setting(!threshold.is_nan(), "trained-in threshold", threshold, "a number, or None")?;
        self.kl().map_err(Error::device)
    }

    fn theta(&self) -> Vec<f64> {
        floats(&self.theta)
    }

    fn log_alpha(&self) -> Vec<f64> {
        self.marginals().iter().map(Normal::log_alpha).collect()
    }

    fn kept(&self, threshold: f64) -> Vec<bool> {
        self.marginals().iter().map(|q| !self.prunes(q, threshold)).collect()
    }

    fn use_weights(&mut self, weights: Weights) -> Result<(), Error> {
        self.evaluated = match weights {
            Weights::Mean => None,
            Weights::Pruned(threshold) => {
                Some(self.weights_from(|_, q| if self.prunes(&q, threshold) { 0.0 } else { q.mean })?)
            }
            Weights::Sample(seed) => self.draw(seed)?,
        };
        Ok(())
    }

    fn use_means(&mut self) {
        self.evaluated = None;
    }

    fn set_theta(&mut self, theta: &[f64]) -> Result<(), Error> {
        let theta = theta.iter().map(|x| E::of(*x)).collect::<Vec<_>>();
        if theta.len() != M::grid().len() {
            let problem = format!("{} means for a layer of {} weights", theta.len(), M::grid().len());
            return Err(Error::Mismatch(vec![problem]));
        }
        overwrite(&mut self.theta, &theta).map_err(Error::device)
    }

    fn set_spread(&mut self, spread: f64) -> Result<(), Error> {
        setting(E::of(spread).is_finite(), Q::SPREAD, spread, "finite in the layer's precision")?;
        fill(&mut self.spread, spread).map_err(Error::device)
    }

    fn seed_noise(&mut self, seed: u64) {
        self.stream = Some(seed);
    }

    fn expect_data(&mut self, data: UniqueId) {
        self.data = Some(data);
    }

    fn gradients(&self, gradients: &mut Gradients<E, D>) -> Result<(Vec<f64>, Option<Vec<f64>>), Error> {
        let spread = if Q::TRAINED { Some(gradient(gradients, &self.spread)?) } else { None };
        Ok((gradient(gradients, &self.theta)?, spread))
    }

    fn settings(&mut self) -> &mut Settings {
        &mut self.settings
    }

    fn prior(&mut self) -> &mut dyn std::any::Any {
        &mut self.prior
    }

    fn prior_scales(&self) -> Vec<f64> {
        let (grid, shared) = (M::grid(), self.prior.shared());
        let mut sums: Vec<(f64, f64, usize)> = Vec::new();
        let gaussian = self.posterior.noise() == Noise::Gaussian;
        for (i, q) in self.marginals().iter().enumerate().filter(|_| gaussian) {
            let Some(group) = grid.sharing(shared, i / grid.cols, i % grid.cols) else { break };
            sums.resize(sums.len().max(group + 1), (0.0, 0.0, 0));
            let (first, second, count) = sums[group];
            sums[group] = (first + q.mean, second + q.mean * q.mean + q.var(), count + 1);
        }
        let fit = |(first, second, count): &(f64, f64, usize)| {
            let n = *count as f64;
            self.prior.fit(&Moments { first: first / n, second: second / n, count: *count })
        };
        sums.iter().map(fit).collect()
    }

    fn posterior(&mut self) -> &mut dyn std::any::Any {
        &mut self.posterior
    }

    fn not_finite(&self) -> Option<(&'static str, f64)> {
        let first = |name, values: Vec<f64>| values.into_iter().find(|x| !x.is_finite()).map(|x| (name, x));
        first("weight", floats(&self.theta))
            .or_else(|| first(Q::SPREAD, floats(&self.spread)))
            .or_else(|| first("bias", floats(&self.bias)))
    }

    fn unbounded<'a>(&self, of: &dyn Fn(&str) -> Option<&'a [E]>) -> Option<(&'static str, usize, f64)>
    where
        E: 'a,
    {
        let gaussian = self.posterior.noise() == Noise::Gaussian;
        let (theta, spread) = (of("weight").filter(|_| gaussian)?, of(Q::SPREAD)?);
        theta.iter().enumerate().find_map(|(i, theta)| {
            let at = sharing::<M, Q>(i);
            let spread = spread.get(at)?.f64();
            let within = self.posterior.q(theta.f64(), spread).log_var < log_most::<E>();
            (!within).then_some((Q::SPREAD, at, spread))
        })
    }

    fn describe(&self) -> Description {
        Description::of(&self.map, &self.posterior, &self.prior, self.settings)
    }
}

impl<M: Map, Q: Posterior, P: Prior, E: Elem, D: Backend<E>> Layer<M, Q, P, E, D> {
    /// Whether pruning at this threshold removes a weight. A spread that is not trained says nothing about single
    /// weights.
    pub(crate) fn prunes(&self, q: &Normal<f64>, threshold: f64) -> bool {
        q.mean == 0.0 || Q::TRAINED && q.log_alpha() >= threshold
    }

    /// The posterior of every weight, in `f64`.
    pub(crate) fn marginals(&self) -> Vec<Normal<f64>> {
        let spread = floats(&self.spread);
        let q = |(i, theta): (usize, f64)| self.posterior.q(theta, spread[sharing::<M, Q>(i)]);
        floats(&self.theta).into_iter().enumerate().map(q).collect()
    }

    /// Weights computed one by one from their posterior.
    fn weights_from(&self, f: impl Fn(usize, Normal<f64>) -> f64) -> Result<Tensor<M::Weight, E, D>, Error> {
        let weights: Vec<E> = self.marginals().into_iter().enumerate().map(|(i, q)| E::of(f(i, q))).collect();
        tensor_of(self.theta.device(), &weights, M::Weight::default()).map_err(Error::device)
    }

    /// One draw from the posterior; `None` where there is no noise.
    fn draw(&self, seed: u64) -> Result<Option<Tensor<M::Weight, E, D>>, Error> {
        let grid = M::grid();
        match self.posterior.noise() {
            Noise::None => Ok(None),
            Noise::Gaussian => {
                let mut eps = vec![0.0_f64; grid.len()];
                noise::fill(seed, &mut eps);
                let off = |q: &Normal<f64>| {
                    let Settings { threshold, switch_off, .. } = self.settings;
                    switch_off == SwitchOff::Weight && threshold.is_some_and(|threshold| self.prunes(q, threshold))
                };
                self.weights_from(|i, q| if off(&q) { 0.0 } else { q.mean + q.std() * eps[i] }).map(Some)
            }
            Noise::Dropout(rate) => {
                let mut keep = vec![0.0_f64; grid.all_inputs()];
                noise::fill_mask(seed, rate, &mut keep);
                self.weights_from(|i, q| q.mean * keep[grid.input(i)]).map(Some)
            }
        }
    }
}

/// Which number of the spread weight `i` has.
fn sharing<M: Map, Q: Posterior>(i: usize) -> usize {
    let cols = M::grid().cols;
    match Q::SHARED {
        Shared::None => i,
        Shared::PerOutput => i / cols,
        Shared::PerInput => i % cols,
        Shared::PerLayer => 0,
    }
}

pub(crate) fn floats<S: Shape, E: Elem, D: Backend<E>>(tensor: &Tensor<S, E, D>) -> Vec<f64> {
    tensor.as_vec().into_iter().map(Elem::f64).collect()
}

fn gradient<S: Shape, E: Elem, D: Backend<E>>(
    gradients: &mut Gradients<E, D>,
    of: &Tensor<S, E, D>,
) -> Result<Vec<f64>, Error> {
    gradients.get_or_alloc_mut(of).map_err(Error::device)?;
    Ok(floats(&gradients.get(of)))
}
