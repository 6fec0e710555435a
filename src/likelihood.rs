//! Likelihoods: the negative log-likelihood of a batch, in nats per datum.

use dfdx::nn::modules::*;
use dfdx::prelude::*;

use crate::backend::{Backend, Elem, Taped, tensor_of};
use crate::error::Error;
use crate::layer::fill;
use crate::network::{Network, Plain};

/// The categorical likelihood of classification: `-ln softmax(logits)[label]`, averaged over the batch.
///
/// # Shapes
/// logits `(batch, C)`, labels `batch` numbers below `C`.
///
/// # Errors
/// [`Error::Input`] for an empty batch, a label out of range, or counts that differ; the device's.
pub fn categorical<const C: usize, B: Dim, E: Elem, D: Backend<E>>(
    logits: Taped<(B, Const<C>), E, D>,
    labels: &[usize],
) -> Result<Taped<Rank0, E, D>, Error> {
    let batch = logits.shape().0.size();
    if batch == 0 || labels.len() != batch {
        return Err(Error::Input(format!("a batch of {batch} outputs with {} labels", labels.len())));
    }
    let mut one_hot = vec![E::default(); batch * C];
    for (i, &label) in labels.iter().enumerate() {
        if label >= C {
            return Err(Error::Input(format!(
                "label {label} of datum {i}; the network has {C} outputs, 0 to {}",
                C - 1
            )));
        }
        one_hot[i * C + label] = E::ONE;
    }
    let run = || {
        let target = tensor_of(logits.device(), &one_hot, *logits.shape())?;
        let chosen = logits.try_log_softmax::<Axis<1>>()?.try_mul(target)?;
        chosen.try_sum::<Rank0, _>()?.try_mul(E::of(-1.0 / batch as f64))
    };
    run().map_err(|e: D::Err| Error::device(e))
}

/// The specification of [`GaussianNoise`]. Regression with a training loop of your own:
///
/// ```
/// # use sparsevd::prelude::*;
/// # fn main() -> Result<(), Error> {
/// let dev = Cpu::seed_from_u64(0);
/// let mut net = dev.build_module::<(SparseVdLinear<3, 1>, GaussianLikelihood), f32>(); // the second part is no layer
/// let x: Tensor<(usize, Const<3>), f32, Cpu> = dev.sample_normal_like(&(100, Const));
/// let y: Tensor<(usize, Const<1>), f32, Cpu> = dev.sample_normal_like(&(100, Const));
/// let (elbo, mut adam) = (Elbo::new(100)?.warm_up(0.0, 5.0)?, Adam::new(1e-2));
/// for epoch in 0..10 {
///     let inputs = net.input(x.clone());
///     let nll = net.1.nll(net.0.forward_mut(inputs), y.clone())?;
///     let loss = elbo.loss(&net, nll, f64::from(epoch))?;
///     adam.step(&mut net, loss.objective)?;
/// }
/// let predicted = net.0.forward(x); // posterior means
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct GaussianLikelihood;

/// The Gaussian likelihood of regression, with a noise variance that is trained along.
///
/// ```text
/// -ln p = (y - f)^2 / (2 s^2) + ln s + ln(2 pi) / 2,   log_noise = ln s^2        nats, one output of one datum
/// ```
#[derive(Clone, Debug)]
pub struct GaussianNoise<E: Dtype, D: Storage<E>> {
    /// `ln s^2`; starts at 0.
    pub log_noise: Tensor<Rank0, E, D>,
}

impl<E: Elem, D: Backend<E>> BuildOnDevice<D, E> for GaussianLikelihood {
    type Built = GaussianNoise<E, D>;
}

impl<E: Elem, D: Device<E>> TensorCollection<E, D> for GaussianNoise<E, D> {
    type To<E2: Dtype, D2: Device<E2>> = GaussianNoise<E2, D2>;

    fn iter_tensors<V: ModuleVisitor<Self, E, D>>(visitor: &mut V) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
        let options = TensorOptions::reset_with(|t| fill(t, 0.0));
        let field = Self::tensor("log_noise", |s| &s.log_noise, |s| &mut s.log_noise, options);
        visitor.visit_fields(field, |log_noise| GaussianNoise { log_noise })
    }
}

impl<E: Elem, D: Backend<E>> Network<E, D> for GaussianNoise<E, D> {
    /// Nothing: outputs are means.
    fn plain(&self, _path: &str, _threshold: f64, _found: &mut Plain) -> Result<(), Error> {
        Ok(())
    }
}

impl<E: Elem, D: Backend<E>> GaussianNoise<E, D> {
    /// The negative log-likelihood in nats, averaged over the batch and summed over the outputs of a datum.
    ///
    /// # Shapes
    /// outputs and targets `(batch, O)`.
    ///
    /// # Errors
    /// [`Error::Input`] for an empty batch or batches that differ; the device's.
    pub fn nll<const O: usize, B: Dim>(
        &self,
        outputs: Taped<(B, Const<O>), E, D>,
        targets: Tensor<(B, Const<O>), E, D>,
    ) -> Result<Taped<Rank0, E, D>, Error> {
        let (batch, given) = (outputs.shape().0.size(), targets.shape().0.size());
        if batch == 0 || given != batch {
            return Err(Error::Input(format!("a batch of {batch} outputs with {given} targets")));
        }
        let run = || {
            let log_noise = self.log_noise.retaped::<OwnedTape<E, D>>();
            let squares = outputs.try_sub(targets)?.try_square()?.try_sum::<Rank0, _>()?;
            let scaled = squares.try_mul(log_noise.with_empty_tape().try_negate()?.try_exp()?)?;
            let scaled = scaled.try_mul(E::of(0.5 / batch as f64))?;
            let constant = E::of(0.5 * O as f64 * std::f64::consts::TAU.ln());
            scaled.try_add(log_noise.try_mul(E::of(0.5 * O as f64))?.try_add(constant)?)
        };
        run().map_err(|e: D::Err| Error::device(e))
    }
}
