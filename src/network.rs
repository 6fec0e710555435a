//! Networks: any module in which variational layers can be found.

use dfdx::prelude::*;
use sparsevd_infer::Op;
use sparsevd_priors::{Normal, Prior};

use crate::backend::{Backend, Elem, Taped, overwrite, tensor_of};
use crate::describe::Description;
use crate::error::{Error, setting};
use crate::fused::noise;
use crate::layer::{Layer, Settings, SwitchOff, fill};
use crate::map::{Grid, Map};
use crate::parts::misfit;
use crate::posterior::{Noise, Posterior};
use crate::sparsity::Sparsity;

/// Which weights a network's `forward` computes with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weights {
    /// The posterior means: the default.
    Mean,
    /// The posterior means, with those whose log alpha reaches this threshold set to zero.
    Pruned(f64),
    /// One draw from the posterior, the same for this seed. A layer with binary dropout draws one mask over its inputs, over the
    /// channels of a convolution. Means that a trained-in threshold switches off are drawn around all the same, unless whole weights
    /// are ([`SwitchOff::Weight`]).
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
    /// Chooses the weights of `forward`.
    #[allow(clippy::missing_errors_doc, reason = "the device's")]
    fn use_weights(&mut self, weights: Weights) -> Result<(), Error>;
    /// Replaces the means; `forward` uses them from then on.
    #[allow(clippy::missing_errors_doc, reason = "the device's")]
    fn set_theta(&mut self, theta: &[f64]) -> Result<(), Error>;
    /// Gives every weight the same spread (log sigma^2 or log alpha, as the posterior has it).
    #[allow(clippy::missing_errors_doc, reason = "the device's")]
    fn set_spread(&mut self, spread: f64) -> Result<(), Error>;
    /// Fixes the noise of the training passes that follow.
    fn seed_noise(&mut self, seed: u64);
    /// The gradients of the means and of the spread, where that is trained; zeros where no gradient arrived.
    #[allow(clippy::missing_errors_doc, reason = "the device's")]
    #[allow(clippy::type_complexity, reason = "a pair")]
    fn gradients(&self, gradients: &mut Gradients<E, D>) -> Result<(Vec<f64>, Option<Vec<f64>>), Error>;
    /// How the layer trains.
    fn settings(&mut self) -> &mut Settings;
    /// The prior, to be downcast.
    fn prior(&mut self) -> &mut dyn std::any::Any;
    /// The posterior family with its settings, to be downcast.
    fn posterior(&mut self) -> &mut dyn std::any::Any;
    /// The first parameter that holds a NaN or an infinity, with it.
    fn not_finite(&self) -> Option<(&'static str, f64)>;
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
        self.kl().map_err(Error::device)
    }

    fn theta(&self) -> Vec<f64> {
        floats(&self.theta)
    }

    fn log_alpha(&self) -> Vec<f64> {
        self.marginals().iter().map(Normal::log_alpha).collect()
    }

    fn use_weights(&mut self, weights: Weights) -> Result<(), Error> {
        self.use_weights(weights)
    }

    fn set_theta(&mut self, theta: &[f64]) -> Result<(), Error> {
        let theta = theta.iter().map(|x| E::of(*x)).collect::<Vec<_>>();
        if theta.len() != M::grid().len() {
            let problem = format!("{} means for a layer of {} weights", theta.len(), M::grid().len());
            return Err(Error::Mismatch(vec![problem]));
        }
        self.evaluated = None;
        overwrite(&mut self.theta, &theta).map_err(Error::device)
    }

    fn set_spread(&mut self, spread: f64) -> Result<(), Error> {
        setting(E::of(spread).is_finite(), Q::SPREAD, spread, "finite in the layer's precision")?;
        fill(&mut self.spread, spread).map_err(Error::device)
    }

    fn seed_noise(&mut self, seed: u64) {
        self.stream = Some(seed);
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

    fn posterior(&mut self) -> &mut dyn std::any::Any {
        &mut self.posterior
    }

    fn not_finite(&self) -> Option<(&'static str, f64)> {
        let first = |name, values: Vec<f64>| values.into_iter().find(|x| !x.is_finite()).map(|x| (name, x));
        first("weight", floats(&self.theta))
            .or_else(|| first(Q::SPREAD, floats(&self.spread)))
            .or_else(|| first("bias", floats(&self.bias)))
    }

    fn describe(&self) -> Description {
        Description::of(&self.map, &self.posterior, &self.prior, self.settings)
    }
}

impl<M: Map, Q: Posterior, P: Prior, E: Elem, D: Backend<E>> Layer<M, Q, P, E, D> {
    /// Chooses the weights that `forward` computes with, as [`Network::use_weights`] does for all layers of a network.
    ///
    /// # Errors
    /// [`Error::Setting`] for a threshold that is NaN; the device's.
    pub fn use_weights(&mut self, weights: Weights) -> Result<(), Error> {
        self.evaluated = match weights {
            Weights::Mean => None,
            Weights::Pruned(threshold) => {
                setting(!threshold.is_nan(), "threshold", threshold, "a number")?;
                Some(self.weights_from(|_, q| if q.log_alpha() < threshold { q.mean } else { 0.0 })?)
            }
            Weights::Sample(seed) => self.draw(seed)?,
        };
        Ok(())
    }

    /// The posterior of every weight, in `f64`.
    pub(crate) fn marginals(&self) -> Vec<Normal<f64>> {
        let (spread, grid) = (floats(&self.spread), M::grid());
        let of = |i: usize| match Q::SHARED {
            sparsevd_priors::Shared::None => spread[i],
            sparsevd_priors::Shared::PerOutput => spread[i / grid.cols],
            sparsevd_priors::Shared::PerInput => spread[i % grid.cols],
            sparsevd_priors::Shared::PerLayer => spread[0],
        };
        floats(&self.theta).into_iter().enumerate().map(|(i, theta)| self.posterior.q(theta, of(i))).collect()
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
                    switch_off == SwitchOff::Weight && threshold.is_some_and(|threshold| q.log_alpha() >= threshold)
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

/// The layers of a network, each with its path, such as `"0"` or `"2.0"`.
pub type Layers<'a, E, D> = Vec<(String, &'a dyn VariationalLayer<E, D>)>;
/// The same, to change them.
pub type LayersMut<'a, E, D> = Vec<(String, &'a mut dyn VariationalLayer<E, D>)>;

/// The parts of a network in plain numbers, each with its path.
pub type Plain = Vec<(String, Op)>;

/// A module in which variational layers can be found: a layer, a tuple of up to six parts (nest them for more), your own, or
/// of dfdx's modules `Linear`, batch and layer norms, dropout, activations, global pools, `Residual`, `GeneralizedResidual`
/// and `Repeated`.
///
/// A module of yours with layers inside hands the visit on to each of its fields that has any, both times, under a path of
/// its own; a training of one that does not is refused. A module without layers needs nothing:
///
/// ```
/// # use sparsevd::prelude::*;
/// # use sparsevd::{Layers, LayersMut};
/// struct Two<A, B> {
///     first: A,
///     second: B,
/// }
/// impl<A: Network<E, D>, B: Network<E, D>, E: Elem, D: Backend<E>> Network<E, D> for Two<A, B> {
///     fn visit<'a>(&'a self, path: &str, found: &mut Layers<'a, E, D>) {
///         self.first.visit(&format!("{path}.first"), found);
///         self.second.visit(&format!("{path}.second"), found);
///     }
///     fn visit_mut<'a>(&'a mut self, path: &str, found: &mut LayersMut<'a, E, D>) {
///         self.first.visit_mut(&format!("{path}.first"), found);
///         self.second.visit_mut(&format!("{path}.second"), found);
///     }
/// }
///
/// struct Scale(f64);
/// impl<E: Elem, D: Backend<E>> Network<E, D> for Scale {}
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not known as part of a network",
    note = "a module without variational layers says so with `impl<E: Elem, D: Backend<E>> Network<E, D> for {Self} {{}}`",
    note = "one with layers hands `visit` and `visit_mut` on to each of its fields",
    note = "where the type is not yours, wrap it in a struct that is"
)]
pub trait Network<E: Elem, D: Backend<E>> {
    /// Adds the layers inside to `found`, in order, their paths starting with `path`.
    fn visit<'a>(&'a self, _path: &str, _found: &mut Layers<'a, E, D>) {}

    /// The same, to change them.
    fn visit_mut<'a>(&'a mut self, _path: &str, _found: &mut LayersMut<'a, E, D>) {}

    /// The shape of the output for one datum of shape `input`, without running anything: what a training checks first,
    /// so that an image of the wrong size is a sentence that names the layer. `None`, the default, where it is not
    /// known; nothing after it is checked then.
    ///
    /// # Shapes
    /// Without the batch: `[features]`, or `[channels, height, width]`. `path` is the path of this part, `""` at the top.
    ///
    /// # Errors
    /// [`Error::Shape`].
    fn output_shape(&self, _path: &str, _input: &[usize]) -> Result<Option<Vec<usize>>, Error> {
        Ok(None)
    }

    /// What this part computes at evaluation with the posterior means pruned at `threshold`, in plain numbers, for
    /// [`compact`](crate::compact). A part of yours that changes nothing at evaluation gives `Ok(())`.
    ///
    /// # Errors
    /// [`Error::Compact`]: the default, for a part that does not say.
    fn plain(&self, path: &str, _threshold: f64, _found: &mut Plain) -> Result<(), Error> {
        let problem = "this kind of part has no compact form".into();
        Err(Error::Compact { part: path.into(), problem })
    }

    /// The variational layers, in order.
    fn layers(&self) -> Layers<'_, E, D> {
        let mut found = Vec::new();
        self.visit("", &mut found);
        found
    }

    /// The same, to change them.
    fn layers_mut(&mut self) -> LayersMut<'_, E, D> {
        let mut found = Vec::new();
        self.visit_mut("", &mut found);
        found
    }

    /// What the layers are, with their paths, for files.
    fn descriptions(&self) -> Vec<(String, Description)> {
        self.layers().into_iter().map(|(path, layer)| (path, layer.describe())).collect()
    }

    /// The summed KL of all layers, in nats, on a tape.
    ///
    /// # Errors
    /// [`Error::NoLayer`], or the device's.
    fn kl(&self) -> Result<Taped<Rank0, E, D>, Error> {
        let mut layers = self.layers().into_iter().map(|(_, layer)| layer.kl());
        let first = layers.next().ok_or(Error::NoLayer)??;
        layers.try_fold(first, |sum, kl| sum.try_add(kl?).map_err(Error::device))
    }

    /// Chooses the weights that `forward` computes with, until it is called again. Training does not look at them, and
    /// they do not follow it.
    ///
    /// # Errors
    /// [`Error::Setting`] for a threshold that is NaN; the device's.
    fn use_weights(&mut self, weights: Weights) -> Result<(), Error> {
        if let Weights::Pruned(threshold) = weights {
            setting(!threshold.is_nan(), "threshold", threshold, "a number")?;
        }
        for (i, (_, layer)) in self.layers_mut().into_iter().enumerate() {
            layer.use_weights(match weights {
                Weights::Sample(seed) => Weights::Sample(seed.wrapping_add((i as u64) << 32)),
                other => other,
            })?;
        }
        Ok(())
    }

    /// Sets how every layer trains. Another device or precision starts from the default again, as for
    /// [`set_prior`](Network::set_prior).
    fn configure(&mut self, settings: Settings) {
        self.layers_mut().into_iter().for_each(|(_, layer)| *layer.settings() = settings);
    }

    /// Gives all layers with a prior of this type the hyper-parameters of `prior`; returns how many there were. Another
    /// device or precision (dfdx's `to_device`, `to_dtype`) starts from the default again.
    ///
    /// # Errors
    /// [`Error::NoPrior`] if there is none: a network's type says which priors its layers have.
    fn set_prior<P: Prior>(&mut self, prior: P) -> Result<usize, Error>
    where
        Self: Sized,
    {
        let (mut count, mut found) = (0, Vec::new());
        for (_, layer) in self.layers_mut() {
            found.push(layer.describe().prior);
            if let Some(to) = layer.prior().downcast_mut() {
                *to = prior.clone();
                count += 1;
            }
        }
        found.sort();
        found.dedup();
        let none = || Error::NoPrior { prior: format!("{prior:?}"), found: found.join(", ") };
        if count == 0 { Err(none()) } else { Ok(count) }
    }

    /// What pruning at this threshold on log alpha keeps, layer by layer. The paper prunes at 3.
    ///
    /// # Errors
    /// [`Error::Setting`] for a threshold that is NaN; [`Error::NoLayer`].
    fn sparsity(&self, threshold: f64) -> Result<Sparsity, Error> {
        Sparsity::of(self.layers(), threshold)
    }
}

impl<M: Map, Q: Posterior, P: Prior, E: Elem, D: Backend<E>> Network<E, D> for Layer<M, Q, P, E, D> {
    fn output_shape(&self, path: &str, input: &[usize]) -> Result<Option<Vec<usize>>, Error> {
        M::output_shape(input).map(Some).map_err(|expected| misfit(path, expected, input))
    }
    fn plain(&self, path: &str, threshold: f64, found: &mut Plain) -> Result<(), Error> {
        if let Some((name, value)) = self.not_finite() {
            return Err(Error::Compact { part: path.into(), problem: format!("its {name} holds {value}") });
        }
        let (mut kept, mut precision) = (0, 0.0);
        let mut pruned = |q: Normal<f64>| {
            if q.log_alpha() >= threshold || q.mean == 0.0 {
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
    fn visit<'a>(&'a self, path: &str, found: &mut Layers<'a, E, D>) {
        found.push((path.to_string(), self));
    }
    fn visit_mut<'a>(&'a mut self, path: &str, found: &mut LayersMut<'a, E, D>) {
        found.push((path.to_string(), self));
    }
}
