//! The one variational layer.

use std::cell::RefCell;
use std::marker::PhantomData;

use dfdx::nn::modules::*;
use dfdx::prelude::*;
use rand_distr::Uniform;
use sparsevd_priors::{Prior, Shared};

use crate::backend::{Backend, Elem, OnTape, Taped, tensor_of};
use crate::fused::noise;
use crate::graph::{self, Reads};
use crate::map::Map;
use crate::posterior::{Noise, Posterior};
use crate::tensors::id;

/// Added to the variance of an output under its square root; it keeps the gradient finite where all inputs are zero and
/// adds noise of standard deviation 1e-8.
pub const VARIANCE_FLOOR: f64 = 1e-16;

/// The specification of a variational layer: a map, a posterior family and a prior.
///
/// A network is an ordinary dfdx tuple of these and dfdx's own modules; `dev.build_module::<Net, f32>()` makes
/// [`Layer`]s of them. The aliases ([`SparseVdLinear`](crate::SparseVdLinear), [`ArdLinear`](crate::ArdLinear), ..)
/// name the usual points of this space. Layers are built with the default prior;
/// [`Network::set_prior`](crate::Network::set_prior) changes its hyper-parameters.
///
/// A batch of the wrong width does not compile:
///
/// ```compile_fail,E0277
/// # use sparsevd::prelude::*;
/// let dev = Cpu::default();
/// let mut layer = dev.build_module::<SparseVdLinear<16, 10>, f32>();
/// let x: Tensor<(usize, Const<32>), f32, Cpu> = dev.zeros_like(&(100, Const));
/// layer.forward_mut(x.leaky_trace()); // 16 columns are asked for, not 32
/// ```
///
/// Nor does training on an activation that has left its tape, whose gradient would be lost:
///
/// ```compile_fail,E0277
/// # use sparsevd::prelude::*;
/// let dev = Cpu::default();
/// let mut net = dev.build_module::<(SparseVdLinear<4, 4>, SparseVdLinear<4, 4>, SparseVdLinear<4, 4>), f32>();
/// let x: Tensor<(usize, Const<4>), f32, Cpu> = dev.zeros_like(&(100, Const));
/// let (h, tape) = net.0.forward_mut(x.leaky_trace()).split_tape();
/// let a = net.1.forward_mut(h.clone().put_tape(tape));
/// let b = net.2.forward_mut(h.clone()); // `h.retaped::<OwnedTape<_, _>>()` is on a tape of its own
/// ```
///
/// Nor does a prior without a formula, or the arguments in another order:
///
/// ```compile_fail,E0277
/// # use sparsevd::prelude::*;
/// #[derive(Clone, Debug, Default)]
/// struct Mine;
/// Cpu::default().build_module::<VariationalLinear<16, 10, Mine>, f32>(); // `Mine` is not a prior
/// ```
///
/// ```compile_fail,E0277
/// # use sparsevd::prelude::*;
/// Cpu::default().build_module::<Variational<LinearMap<16, 10>, LogUniform, Additive>, f32>();
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Variational<M: Map, Q: Posterior, P: Prior + Default>(PhantomData<(M, Q, P)>);

impl<M: Map, Q: Posterior, P: Prior + Default, E: Elem, D: Backend<E>> BuildOnDevice<D, E> for Variational<M, Q, P> {
    type Built = Layer<M, Q, P, E, D>;
}

/// How a training pass samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Estimator {
    /// Samples each output from its own Gaussian: least variance, and the default (Kingma et al. 2015).
    #[default]
    LocalReparameterisation,
    /// Samples the weights once for the whole batch: half the products, far more gradient variance.
    WeightSampling,
    /// Samples the weights once and gives each datum a copy of their noise with its own signs (Wen et al. 2018).
    ///
    /// ```text
    /// y_n = map(x_n, E w) + b + r_n o map(x_n o s_n, sigma o eps)
    /// ```
    /// with one `eps ~ N(0, 1)` per weight and batch, and signs, +1 or -1 with equal probability: `s_n` one per datum
    /// and input, `r_n` one per datum and output; for a convolution, one per channel, the same at all positions. The
    /// outputs of each datum are distributed as under [`WeightSampling`](Estimator::WeightSampling), positions of an
    /// image included, but those of different data are uncorrelated. Two products, as in local reparameterisation; on
    /// every device composed from dfdx's operations.
    Flipout,
}

/// What a trained-in threshold switches off. Either way the KL is that of all weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SwitchOff {
    /// The mean, as in the authors' released code; the noise stays, and what the data say of it can bring the weight
    /// back.
    #[default]
    Mean,
    /// The whole weight, as pruning will: mean and noise, also in draws from the posterior. Only the KL acts on it from
    /// then on. Training gets faster as the network gets sparser: a product with few weights left passes over these
    /// alone.
    Weight,
}

/// How a layer trains; the same for all layers of a network with [`Network::configure`](crate::Network::configure).
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Settings {
    /// How a training pass samples.
    pub estimator: Estimator,
    /// The trained-in threshold: while training, what `switch_off` says of the weights with log alpha at or above it is
    /// switched off. None by default.
    pub threshold: Option<f64>,
    /// What it switches off.
    #[serde(default)]
    pub switch_off: SwitchOff,
    /// Runs the dfdx graph even where a fused kernel exists: the reference that tests and benches compare with.
    pub composed: bool,
}

/// A variational layer on a device: trained with `forward_mut`, evaluated with `forward`.
///
/// - `forward_mut` **samples** the output, on a tape, for training. Its input is on a tape: data come from
///   [`Network::input`](crate::Network::input), which also spares their gradient; an activation that goes into several layers
///   keeps its tape in one of them and enters the others as `h.with_empty_tape()` or `h.retaped()`.
/// - `forward` is deterministic: it uses the posterior mean, or what [`Evaluate`](crate::Evaluate) put in its place.
///
/// A dense layer reads `(batch, inputs)`, a convolution `(batch, channels, height, width)` with both sides known when
/// it runs:
///
/// ```
/// use sparsevd::prelude::*;
///
/// # fn main() -> Result<(), Error> {
/// let dev = Cpu::seed_from_u64(0);
/// let mut net = dev.build_module::<(SparseVdConv2d<1, 4, 5>, ReLU, Flatten<2304>, DropoutLinear<2304, 10>), f32>();
/// net.0.set_spread(-8.0)?; // log sigma^2, or log alpha where that is what the posterior has
/// net.3.posterior = Bernoulli::new(0.2)?; // settings of a posterior family; of priors: `set_prior`
/// let x: Tensor<(usize, Const<1>, usize, usize), f32, Cpu> = dev.zeros_like(&(8, Const, 28, 28));
/// let x = net.input(x);
/// let y = net.forward_mut(x);
/// assert_eq!(*y.shape(), (8, Const::<10>));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Layer<M: Map, Q: Posterior, P, E: Dtype, D: Storage<E>> {
    /// The means of the weights, theta.
    pub theta: Tensor<M::Weight, E, D>,
    /// The posterior's second parameter: log sigma^2, log alpha, or one unused number.
    pub spread: Tensor<Q::Spread<M>, E, D>,
    /// The bias: deterministic, without KL. Zero and untrained where the map has none.
    pub bias: Tensor<M::Bias, E, D>,
    /// The map.
    pub map: M,
    /// The posterior family, with its settings.
    pub posterior: Q,
    /// The prior, with its hyper-parameters.
    pub prior: P,
    /// How it trains.
    pub settings: Settings,
    /// Where the next pass's noise comes from; drawn from the device when it is first needed.
    pub(crate) stream: Option<u64>,
    /// The tensor that is known to be data in the next pass: nobody needs its gradient.
    pub(crate) data: Option<UniqueId>,
    /// What `forward` uses instead of theta.
    pub(crate) evaluated: Option<Tensor<M::Weight, E, D>>,
}

/// Its `forward` computes with the posterior means, whatever that of the other does.
impl<M: Map, Q: Posterior, P: Clone, E: Dtype, D: Storage<E>> Clone for Layer<M, Q, P, E, D> {
    fn clone(&self) -> Self {
        Layer {
            theta: self.theta.clone(),
            spread: self.spread.clone(),
            bias: self.bias.clone(),
            map: self.map.clone(),
            posterior: self.posterior.clone(),
            prior: self.prior.clone(),
            settings: self.settings,
            stream: self.stream,
            data: self.data,
            evaluated: None,
        }
    }
}

impl<M: Map, Q: Posterior, P: Prior + Default, E: Elem, D: Device<E>> TensorCollection<E, D> for Layer<M, Q, P, E, D> {
    /// With the same posterior, prior and settings.
    type To<E2: Dtype, D2: Device<E2>> = Layer<M, Q, P, E2, D2>;

    fn iter_tensors<V: ModuleVisitor<Self, E, D>>(visitor: &mut V) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
        const { assert!(!matches!(Q::SHARED, Shared::PerInput), "no posterior shares its spread per input") };
        let spread = |tensor: &mut Tensor<Q::Spread<M>, E, D>| fill(tensor, Q::INITIAL);
        let spread = if Q::TRAINED { TensorOptions::reset_with(spread) } else { TensorOptions::detached(spread) };
        let bias = |tensor: &mut Tensor<M::Bias, E, D>| if M::BIAS { fan_in::<M, _, _, _>(tensor) } else { Ok(()) };
        let bias = if M::BIAS { TensorOptions::reset_with(bias) } else { TensorOptions::detached(bias) };
        // A layer that is taken to another device or precision is seen when its first tensor is; a new one has the defaults.
        let seen = RefCell::new((Q::default(), P::default(), Settings::default()));
        visitor.visit_fields(
            (
                Self::tensor(
                    "weight",
                    |s| {
                        seen.replace((s.posterior.clone(), s.prior.clone(), s.settings));
                        &s.theta
                    },
                    |s| &mut s.theta,
                    TensorOptions::reset_with(fan_in::<M, _, _, _>),
                ),
                Self::tensor(Q::SPREAD, |s| &s.spread, |s| &mut s.spread, spread),
                Self::tensor("bias", |s| &s.bias, |s| &mut s.bias, bias),
            ),
            |(theta, spread, bias)| {
                let (posterior, prior, settings) = seen.take();
                let (map, stream, data, evaluated) = (M::default(), None, None, None);
                Layer { theta, spread, bias, map, posterior, prior, settings, stream, data, evaluated }
            },
        )
    }
}

/// Uniform on `+-1 / sqrt(fan in)`, as dfdx and PyTorch start their layers.
fn fan_in<M: Map, S: Shape, E: Elem, D: Device<E>>(tensor: &mut Tensor<S, E, D>) -> Result<(), D::Err> {
    let bound = E::of((M::grid().cols as f64).sqrt().recip());
    tensor.try_fill_with_distr(Uniform::new_inclusive(-bound, bound))
}

/// The same number everywhere.
pub(crate) fn fill<S: Shape, E: Elem, D: Device<E>>(tensor: &mut Tensor<S, E, D>, x: f64) -> Result<(), D::Err> {
    tensor.try_fill_with_distr(Uniform::new_inclusive(E::of(x), E::of(x)))
}

impl<M: Map, Q: Posterior, P: Prior, E: Elem, D: Backend<E>> Layer<M, Q, P, E, D> {
    /// The summed KL of the layer's weights in nats, as the root of a tape that leads to theta and the spread.
    ///
    /// Zero for [`Delta`](crate::Delta) and [`Bernoulli`](crate::Bernoulli).
    ///
    /// # Errors
    /// The device's, when it is out of memory.
    pub fn kl(&self) -> Result<Taped<Rank0, E, D>, D::Err> {
        if self.posterior.noise() != Noise::Gaussian {
            let zero: Tensor<Rank0, E, D> = self.theta.device().try_zeros()?;
            return Ok(zero.put_tape(OwnedTape::default()));
        }
        if self.settings.composed { graph::kl(self) } else { D::kl(self) }
    }

    /// The weights that `forward` uses.
    fn weights(&self) -> Tensor<M::Weight, E, D> {
        self.evaluated.as_ref().unwrap_or(&self.theta).clone()
    }

    /// A seed for the noise of one pass.
    fn draw_seed(&mut self) -> u64 {
        let seed = self.stream.unwrap_or_else(|| self.theta.device().random_u64());
        self.stream = Some(seed.wrapping_add(0x9E37_79B9_7F4A_7C15));
        seed
    }
}

/// Evaluation: deterministic.
impl<X: Shape, M: Reads<X>, Q, P, E, D> Module<Tensor<X, E, D, NoneTape>> for Layer<M, Q, P, E, D>
where
    Q: Posterior,
    P: Prior,
    E: Elem,
    D: Backend<E>,
{
    type Output = Tensor<M::Output, E, D, NoneTape>;
    type Error = D::Err;

    fn try_forward(&self, x: Tensor<X, E, D, NoneTape>) -> Result<Self::Output, D::Err> {
        let weights = self.weights();
        if self.settings.composed { graph::affine(self, x, weights) } else { M::evaluate(self, x, weights) }
    }
}

/// Training: sampled.
impl<X: Shape, M: Reads<X>, Q, P, E, D, T> ModuleMut<Tensor<X, E, D, T>> for Layer<M, Q, P, E, D>
where
    Q: Posterior,
    P: Prior,
    E: Elem,
    D: Backend<E>,
    T: OnTape<E, D>,
{
    type Output = Taped<M::Output, E, D>;
    type Error = D::Err;

    fn try_forward_mut(&mut self, x: Tensor<X, E, D, T>) -> Result<Self::Output, D::Err> {
        let (seed, is_data) = (self.draw_seed(), self.data.take() == Some(id(&x)));
        self.evaluated = None; // should a view never have been dropped
        let x = drop_inputs(&self.posterior, T::on_tape(x), seed, is_data)?;
        if self.settings.composed { graph::sampled(self, x, seed) } else { M::sample(self, x, seed, !is_data) }
    }
}

/// Binary dropout of the inputs; any other posterior leaves them alone.
fn drop_inputs<S: Shape, Q: Posterior, E: Elem, D: Backend<E>>(
    posterior: &Q,
    x: Taped<S, E, D>,
    seed: u64,
    is_data: bool,
) -> Result<Taped<S, E, D>, D::Err> {
    let Noise::Dropout(rate) = posterior.noise() else { return Ok(x) };
    let (mut mask, shape) = (vec![E::default(); x.shape().num_elements()], *x.shape());
    noise::fill_mask(seed, rate, &mut mask);
    let mask = tensor_of(x.device(), &mask, shape)?;
    if !is_data {
        return x.try_mul(mask);
    }
    let (x, tape) = x.split_tape();
    Ok(x.try_mul(mask)?.put_tape(tape))
}
