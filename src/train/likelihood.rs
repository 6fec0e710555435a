//! Likelihoods: the negative log-likelihood of a batch, in nats per example.

use dfdx::nn::modules::*;
use dfdx::prelude::*;

use crate::compute::dfdx_tricks::tensor_of;
use crate::compute::{Backend, Elem, Taped};
use crate::error::Error;

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
        return Err(Error::Input(format!(
            "a batch of {batch} outputs with {} labels; give at least one output, and a label for each",
            labels.len()
        )));
    }
    let mut one_hot = vec![E::default(); batch * C];
    for (i, &label) in labels.iter().enumerate() {
        if label >= C {
            return Err(Error::Input(format!(
                "label {label} of example {i}; the network has {C} outputs, 0 to {}",
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

/// The Gaussian likelihood of regression, with a noise variance that is trained, too; its formula is that of
/// [`modules::GaussianLikelihood`](crate::modules::GaussianLikelihood). Regression with a training loop of your own:
///
/// ```
/// # use sparsevd::GaussianLikelihood;
/// # use sparsevd::prelude::*;
/// # fn main() -> Result<(), Error> {
/// let dev = Cpu::seed_from_u64(0);
/// let mut net = dev.build_module::<(SparseVdLinear<3, 1>, GaussianLikelihood), f32>(); // the second part has no weights
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

impl<E: Elem, D: Backend<E>> BuildOnDevice<D, E> for GaussianLikelihood {
    type Built = super::gaussian::GaussianLikelihood<E, D>;
}
