//! The built variational layer and its passes.

use std::cell::RefCell;

use dfdx::nn::modules::*;
use dfdx::prelude::*;
use rand_distr::Uniform;
use sparsevd_priors::{Noise, Prior};

use crate::compute::dfdx_tricks::{id, tensor_of};
use crate::compute::graph::sample::sampled;
use crate::compute::seeds::Seed;
use crate::compute::visit::layer_met;
use crate::compute::{Backend, Elem, LayerView, OnTape, Reads, Taped, affine, noise};
use crate::spec::{Family, Map, Settings, Spread};

/// A variational layer on a device: trained with `forward_mut`, evaluated with `forward`.
///
/// - `forward_mut` **samples** the output, on a tape, for training. Its input needs a tape: data get one from
///   [`Network::input`](crate::Network::input), which also skips their gradient; an activation that goes into several
///   layers keeps its tape for one of them and enters the others as `h.with_empty_tape()` or `h.retaped()`.
/// - `forward` is deterministic: it uses the posterior mean, or the weights that [`Evaluate`](crate::Evaluate) chooses.
///
/// A dense layer reads `(batch, inputs)`, a convolution `(batch, channels, height, width)` with height and width known
/// at run time:
///
/// ```
/// use sparsevd::Bernoulli;
/// use sparsevd::prelude::*;
///
/// # fn main() -> Result<(), Error> {
/// let dev = Cpu::seed_from_u64(0);
/// let mut net = dev.build_module::<(SparseVdConv2d<1, 4, 5>, ReLU, Flatten<2304>, DropoutLinear<2304, 10>), f32>();
/// net.0.set_spread(-8.0)?; // log σ², or log α, as the posterior has it
/// net.3.posterior = Bernoulli::new(0.2)?; // the settings of a posterior family; those of priors: `set_prior`
/// let x: Tensor<(usize, Const<1>, usize, usize), f32, Cpu> = dev.zeros_like(&(8, Const, 28, 28));
/// let x = net.input(x);
/// let y = net.forward_mut(x);
/// assert_eq!(*y.shape(), (8, Const::<10>));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Variational<M: Map, Q: Family, P, E: Dtype = f32, D: Storage<E> = Cpu> {
    /// θ, the means of the weights.
    pub theta: Tensor<M::Weight, E, D>,
    /// The posterior's second parameter: log σ², log α, or one unused number.
    pub spread: Tensor<Spread<M, Q>, E, D>,
    /// The bias: deterministic, without KL. Zero and untrained if the map has none.
    pub bias: Tensor<M::Bias, E, D>,
    /// The map.
    pub map: M,
    /// The posterior family, with its settings.
    pub posterior: Q,
    /// The prior, with its hyper-parameters.
    pub prior: P,
    /// The training settings.
    pub settings: Settings,
    /// True if the dfdx graph runs even if a fused kernel exists, as a reference.
    #[doc(hidden)]
    pub composed: bool,
    /// The seed of the next pass's noise; drawn from the device when it is first needed.
    pub(super) stream: Option<Seed>,
    /// The id of the tensor that is data in the next pass, whose gradient is not needed.
    pub(super) data: Option<UniqueId>,
    /// The weights that `forward` uses instead of θ.
    pub(super) evaluated: Option<Tensor<M::Weight, E, D>>,
}

/// The clone's `forward` uses the posterior means, even if the original's uses other weights.
impl<M: Map, Q: Family, P: Clone, E: Dtype, D: Storage<E>> Clone for Variational<M, Q, P, E, D> {
    fn clone(&self) -> Self {
        Variational {
            theta: self.theta.clone(),
            spread: self.spread.clone(),
            bias: self.bias.clone(),
            map: self.map.clone(),
            posterior: self.posterior.clone(),
            prior: self.prior.clone(),
            settings: self.settings,
            composed: self.composed,
            stream: self.stream,
            data: self.data,
            evaluated: None,
        }
    }
}

impl<M: Map, Q: Family, P: Prior + Default, E: Elem, D: Device<E>> TensorCollection<E, D>
    for Variational<M, Q, P, E, D>
{
    /// The layer on another device or in another precision, with the same posterior, prior and settings.
    type To<E2: Dtype, D2: Device<E2>> = Variational<M, Q, P, E2, D2>;

    fn iter_tensors<V: ModuleVisitor<Self, E, D>>(visitor: &mut V) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
        layer_met();
        let spread = |tensor: &mut Tensor<Spread<M, Q>, E, D>| fill(tensor, Q::INITIAL);
        let spread = if Q::TRAINED { TensorOptions::reset_with(spread) } else { TensorOptions::detached(spread) };
        let bias = |tensor: &mut Tensor<M::Bias, E, D>| if M::BIAS { fan_in::<M, _, _, _>(tensor) } else { Ok(()) };
        let bias = if M::BIAS { TensorOptions::reset_with(bias) } else { TensorOptions::detached(bias) };
        // A layer that is converted to another device or precision is seen with its first tensor; a new one has the
        // defaults.
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
                let (map, composed, stream, data, evaluated) = (M::default(), false, None, None, None);
                Variational { theta, spread, bias, map, posterior, prior, settings, composed, stream, data, evaluated }
            },
        )
    }
}

/// Fills a tensor with draws that are uniform on `±1 / sqrt(fan in)`, as dfdx and PyTorch initialise layers.
fn fan_in<M: Map, S: Shape, E: Elem, D: Device<E>>(tensor: &mut Tensor<S, E, D>) -> Result<(), D::Err> {
    let bound = E::of((M::grid().cols as f64).sqrt().recip());
    tensor.try_fill_with_distr(Uniform::new_inclusive(-bound, bound))
}

/// Fills a tensor with one number.
pub(crate) fn fill<S: Shape, E: Elem, D: Device<E>>(tensor: &mut Tensor<S, E, D>, x: f64) -> Result<(), D::Err> {
    tensor.try_fill_with_distr(Uniform::new_inclusive(E::of(x), E::of(x)))
}

impl<M: Map, Q: Family, P: Prior, E: Elem, D: Backend<E>> Variational<M, Q, P, E, D> {
    /// This layer with another prior, which needs no `Default`.
    ///
    /// ```
    /// # use sparsevd::prelude::*;
    /// use sparsevd::priors::{Flat, Laplace};
    ///
    /// # fn main() -> Result<(), Error> {
    /// let layer = Cpu::default().build_module::<VariationalLinear<4, 3, Flat>, f32>();
    /// let layer = layer.with_prior(Laplace::new(0.1)?);
    /// assert_eq!(layer.prior, Laplace::new(0.1)?);
    /// # Ok(()) }
    /// ```
    pub fn with_prior<P2: Prior>(self, prior: P2) -> Variational<M, Q, P2, E, D> {
        let Variational { theta, spread, bias, map, posterior, settings, composed, stream, data, evaluated, .. } = self;
        Variational { theta, spread, bias, map, posterior, prior, settings, composed, stream, data, evaluated }
    }

    /// The layer as a device sees it.
    pub(super) fn view(&self) -> LayerView<'_, M, Q, P, E, D> {
        let Variational { theta, spread, bias, posterior, prior, settings, .. } = self;
        LayerView { theta, spread, bias, posterior, prior, settings: *settings }
    }

    /// The weights that `forward` uses.
    fn weights(&self) -> Tensor<M::Weight, E, D> {
        self.evaluated.as_ref().unwrap_or(&self.theta).clone()
    }

    /// A seed for the noise of one pass.
    fn draw_seed(&mut self) -> Seed {
        let seed = self.stream.unwrap_or_else(|| Seed(self.theta.device().random_u64()));
        self.stream = Some(seed.next_pass());
        seed
    }
}

/// Evaluation: deterministic.
impl<X: Shape, M: Reads<X>, Q, P, E, D> Module<Tensor<X, E, D, NoneTape>> for Variational<M, Q, P, E, D>
where
    Q: Family,
    P: Prior,
    E: Elem,
    D: Backend<E>,
{
    type Output = Tensor<M::Output, E, D, NoneTape>;
    type Error = D::Err;

    fn try_forward(&self, x: Tensor<X, E, D, NoneTape>) -> Result<Self::Output, D::Err> {
        let weights = self.weights();
        if self.composed { affine(self.view(), x, weights) } else { M::evaluate(self.view(), x, weights) }
    }
}

/// Training: sampled.
impl<X: Shape, M: Reads<X>, Q, P, E, D, T> ModuleMut<Tensor<X, E, D, T>> for Variational<M, Q, P, E, D>
where
    Q: Family,
    P: Prior,
    E: Elem,
    D: Backend<E>,
    T: OnTape<E, D>,
{
    type Output = Taped<M::Output, E, D>;
    type Error = D::Err;

    fn try_forward_mut(&mut self, x: Tensor<X, E, D, T>) -> Result<Self::Output, D::Err> {
        let (seed, is_data) = (self.draw_seed(), self.data.take() == Some(id(&x)));
        self.evaluated = None; // in case a view was never dropped
        let x = drop_inputs(&self.posterior, T::on_tape(x), seed, is_data)?;
        if self.composed { sampled(self.view(), x, seed) } else { M::sample(self.view(), x, seed, !is_data) }
    }
}

/// Binary dropout of the inputs; other posteriors leave the inputs unchanged.
fn drop_inputs<S: Shape, Q: Family, E: Elem, D: Backend<E>>(
    posterior: &Q,
    x: Taped<S, E, D>,
    seed: Seed,
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
