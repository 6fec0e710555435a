//! The built variational layer as a [`Layer`] and as a [`Network`].

use std::any::Any;

use dfdx::prelude::*;
use sparsevd_infer::Op;
use sparsevd_priors::{Dual, Noise, Normal, Prior, Shared, shared};

use super::describe::ByPath;
use super::describe::Description;
use super::layer::{Layer, Weights};
use super::network::Network;
use super::tensors::not_finite;
use super::variational::{Variational, fill};
use crate::compute::dfdx_tricks::{floats, overwrite, tensor_of};
use crate::compute::seeds::Seed;
use crate::compute::{Backend, Elem, LearnedScales, Taped, graph, noise};
use crate::error::{Error, setting};
use crate::spec::{Family, Grid, Map, Settings};

impl<M: Map, Q: Family, P: Prior, E: Elem, D: Backend<E>> Layer<E, D> for Variational<M, Q, P, E, D> {
    fn grid(&self) -> Grid {
        M::grid()
    }

    fn device(&self) -> D {
        self.theta.device().clone()
    }

    fn own_kl(&self) -> Result<Taped<Rank0, E, D>, Error> {
        let threshold = self.settings.masking.threshold().unwrap_or(0.0);
        setting(!threshold.is_nan(), "threshold of masking", threshold, "a number")?;
        if self.posterior.noise() != Noise::Gaussian {
            let zero: Tensor<Rank0, E, D> = self.theta.device().try_zeros().map_err(Error::device)?;
            return Ok(zero.put_tape(OwnedTape::default()));
        }
        let kl = if self.composed { graph::kl::kl(self.view()) } else { D::kl(self.view()) };
        kl.map_err(Error::device)
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

    fn set_log_alpha(&mut self, log_alpha: f64) -> Result<(), Error> {
        setting(log_alpha.is_finite(), "log_alpha", log_alpha, "finite")?;
        if self.posterior.noise() != Noise::Gaussian {
            return Ok(());
        }
        let count = floats(&self.spread).len();
        let mut sums = vec![(0.0, 0.0); count];
        for (i, theta) in floats(&self.theta).into_iter().enumerate() {
            let spread = spread_with::<Q, E>(&self.posterior, theta, log_alpha);
            let spread = spread.ok_or_else(|| Error::Setting {
                name: "log_alpha",
                value: log_alpha,
                range: format!("one that the posterior {} can have in the layer's precision", Q::ID).into(),
            })?;
            let (sum, n) = &mut sums[sharing::<M, Q>(i)];
            (*sum, *n) = (*sum + spread, *n + 1.0);
        }
        let spread: Vec<E> = sums.into_iter().map(|(sum, n)| E::of(sum / n)).collect();
        overwrite(&mut self.spread, &spread).map_err(Error::device)
    }

    fn seed_noise(&mut self, seed: u64) {
        self.stream = Some(Seed(seed));
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

    fn compose(&mut self, composed: bool) {
        self.composed = composed;
    }

    fn idle(&self) -> Vec<&'static str> {
        let idle = [(!Q::USED).then_some(Q::SPREAD), (!M::BIAS).then_some("bias")];
        idle.into_iter().flatten().collect()
    }

    fn prior(&mut self) -> &mut dyn Any {
        &mut self.prior
    }

    fn prior_scales(&self) -> Vec<f64> {
        if self.posterior.noise() != Noise::Gaussian {
            return Vec::new();
        }
        let grid = M::grid();
        let fitted = LearnedScales::fit(&self.prior, grid, |sums| {
            for (i, q) in self.marginals().iter().enumerate() {
                sums.add(i / grid.cols, i % grid.cols, [q.mean, q.mean * q.mean + q.var()]);
            }
        });
        fitted.map_or_else(Vec::new, |fitted| fitted.values)
    }

    fn posterior(&mut self) -> &mut dyn Any {
        &mut self.posterior
    }

    fn not_finite(&self) -> Option<(&'static str, f64)> {
        let first = |name, values: Vec<f64>| not_finite(values).map(|(_, x)| (name, x));
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

impl<M: Map, Q: Family, P: Prior, E: Elem, D: Backend<E>> Variational<M, Q, P, E, D> {
    /// True if pruning at this threshold removes a weight. Log α counts only if the second parameter is trained.
    pub(super) fn prunes(&self, q: &Normal<f64>, threshold: f64) -> bool {
        q.mean == 0.0 || Q::TRAINED && q.log_alpha() >= threshold
    }

    /// The posterior of every weight, in `f64`.
    pub(super) fn marginals(&self) -> Vec<Normal<f64>> {
        let spread = floats(&self.spread);
        let q = |(i, theta): (usize, f64)| self.posterior.q(theta, spread[sharing::<M, Q>(i)]);
        floats(&self.theta).into_iter().enumerate().map(q).collect()
    }

    /// Weights computed one by one from their posterior.
    fn weights_from(&self, f: impl Fn(usize, Normal<f64>) -> f64) -> Result<Tensor<M::Weight, E, D>, Error> {
        let weights: Vec<E> = self.marginals().into_iter().enumerate().map(|(i, q)| E::of(f(i, q))).collect();
        tensor_of(self.theta.device(), &weights, M::Weight::default()).map_err(Error::device)
    }

    /// One draw from the posterior; `None` if there is no noise.
    fn draw(&self, seed: u64) -> Result<Option<Tensor<M::Weight, E, D>>, Error> {
        let grid = M::grid();
        match self.posterior.noise() {
            Noise::None => Ok(None),
            Noise::Gaussian => {
                let mut eps = vec![0.0_f64; grid.len()];
                noise::fill(Seed(seed), &mut eps);
                let off = |q: &Normal<f64>| {
                    let masking = self.settings.masking;
                    masking.whole() && masking.threshold().is_some_and(|threshold| self.prunes(q, threshold))
                };
                self.weights_from(|i, q| if off(&q) { 0.0 } else { q.mean + q.std() * eps[i] }).map(Some)
            }
            Noise::Dropout(rate) => {
                let mut keep = vec![0.0_f64; grid.all_inputs()];
                noise::fill_mask(Seed(seed), rate, &mut keep);
                self.weights_from(|i, q| q.mean * keep[grid.input(i)]).map(Some)
            }
        }
    }
}

/// The second parameter of a weight with this mean and log α, by Newton's method; `None` if there is none.
fn spread_with<Q: Family, E: Elem>(posterior: &Q, theta: f64, log_alpha: f64) -> Option<f64> {
    let theta = if theta.abs() < 1e-8 { 1e-8 } else { theta };
    let (target, mut spread) = (log_alpha + 2.0 * theta.abs().ln(), Q::INITIAL);
    for _ in 0..100 {
        let (theta, at) = Dual::inputs(theta, spread);
        let log_var = posterior.q(theta, at).log_var;
        let off = log_var.value - target;
        if off.abs() < 1e-9 {
            return Some(spread).filter(|spread| E::of(*spread).is_finite() && target < log_most::<E>());
        }
        spread -= off / log_var.grad[1];
    }
    None
}

/// The index of the second parameter of weight `i`.
fn sharing<M: Map, Q: Family>(i: usize) -> usize {
    let cols = M::grid().cols;
    match shared::<Q>() {
        Shared::None => i,
        Shared::PerOutput => i / cols,
        Shared::PerInput => i % cols,
        Shared::PerLayer => 0,
    }
}

/// The logarithm of the largest finite number.
pub(crate) fn log_most<E: Elem>() -> f64 {
    E::max_value().f64().ln()
}

fn gradient<S: Shape, E: Elem, D: Backend<E>>(
    gradients: &mut Gradients<E, D>,
    of: &Tensor<S, E, D>,
) -> Result<Vec<f64>, Error> {
    gradients.get_or_alloc_mut(of).map_err(Error::device)?;
    Ok(floats(&gradients.get(of)))
}

impl<M: Map, Q: Family, P: Prior, E: Elem, D: Backend<E>> Network<E, D> for Variational<M, Q, P, E, D> {
    fn output_shape(&self, path: &str, input: &[usize]) -> Result<Option<Vec<usize>>, Error> {
        M::output_shape(input).map(Some).map_err(|expected| Error::misfit(path, expected, input))
    }

    fn kl(&self) -> Result<Taped<Rank0, E, D>, Error> {
        self.own_kl()
    }

    fn plain(&self, path: &str, threshold: f64, found: &mut ByPath<Op>) -> Result<(), Error> {
        if let Some((name, value)) = self.not_finite() {
            return Err(Error::Compact { part: path.into(), problem: format!("its {name} holds {value}") });
        }
        let (mut kept, mut precision) = (0, 0.0);
        let mut pruned = |q: Normal<f64>| {
            if self.prunes(&q, threshold) {
                return 0.0;
            }
            (kept, precision) = (kept + 1, precision + 1.0 / q.var());
            q.mean
        };
        let weights = self.marginals().into_iter().map(&mut pruned).collect();
        let known = self.posterior.noise() == Noise::Gaussian && kept > 0;
        let sigma = known.then(|| (f64::from(kept) / precision).sqrt());
        found.push((path.to_string(), M::op(weights, floats(&self.bias), sigma)));
        Ok(())
    }

    fn visit<'a>(&'a self, path: &str, found: &mut ByPath<&'a dyn Layer<E, D>>) {
        found.push((path.to_string(), self));
    }

    fn visit_mut<'a>(&'a mut self, path: &str, found: &mut ByPath<&'a mut dyn Layer<E, D>>) {
        found.push((path.to_string(), self));
    }
}
