//! The Gaussian likelihood on a device.

use dfdx::nn::tensor_collection::*;
use dfdx::prelude::*;
use sparsevd_infer::Op;

use crate::compute::{Backend, Elem, Taped};
use crate::error::Error;
use crate::model::{ByPath, Network, fill};

/// The Gaussian likelihood of regression, with a noise variance that is trained, too.
///
/// ```text
/// -ln p = (y - f)² / (2 s²) + ln s + ln(2π) / 2,   log_noise = ln s²        nats, one output of one example
/// ```
#[derive(Clone, Debug)]
pub struct GaussianLikelihood<E: Dtype = f32, D: Storage<E> = Cpu> {
    /// ln s²; 0 in a new likelihood.
    pub log_noise: Tensor<Rank0, E, D>,
}

impl<E: Elem, D: Device<E>> TensorCollection<E, D> for GaussianLikelihood<E, D> {
    type To<E2: Dtype, D2: Device<E2>> = GaussianLikelihood<E2, D2>;

    fn iter_tensors<V: ModuleVisitor<Self, E, D>>(visitor: &mut V) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
        let options = TensorOptions::reset_with(|t| fill(t, 0.0));
        let field = Self::tensor("log_noise", |s| &s.log_noise, |s| &mut s.log_noise, options);
        visitor.visit_fields(field, |log_noise| GaussianLikelihood { log_noise })
    }
}

impl<E: Elem, D: Backend<E>> Network<E, D> for GaussianLikelihood<E, D> {
    /// Adds nothing: the outputs are the means.
    fn plain(&self, _path: &str, _threshold: f64, _found: &mut ByPath<Op>) -> Result<(), Error> {
        Ok(())
    }
}

impl<E: Elem, D: Backend<E>> GaussianLikelihood<E, D> {
    /// The negative log-likelihood in nats, averaged over the batch and summed over the outputs of an example.
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
            return Err(Error::Input(format!(
                "a batch of {batch} outputs with {given} targets; give at least one output, and a target for each"
            )));
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
