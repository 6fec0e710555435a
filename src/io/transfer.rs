//! Copies of means from one network into another.

use std::collections::HashMap;

use dfdx::nn::tensor_collection::TensorCollection;

use super::scalars::{self, Scalar};
use crate::compute::{Backend, Elem};
use crate::error::Error;
use crate::model::tensors::{self, Named};

/// Copies the weights and biases of one network into another of the same shape, and the parameters, running moments and
/// epsilons of its norms: from a deterministic network into the means of a variational one, or the reverse. Returns the
/// number of tensors copied.
///
/// Tensors are matched by name, `"0.weight"` to `"0.weight"`, which dfdx's `Linear` and this library's layers share.
/// The tensors copied are `weight` and `bias` of any part, and those of norms; tensors with other names in a module of
/// your own are ignored. Layers without a bias neither give nor take one. Other tensors of the target (log σ²) stay as
/// they are; set log σ² with [`Layer::set_spread`](crate::Layer::set_spread).
///
/// # Errors
/// [`Error::Mismatch`] naming every tensor that the source lacks or has in another shape; the target is then unchanged.
pub fn copy_means<E, D, E2, D2>(
    from: &impl TensorCollection<E, D>,
    to: &mut impl TensorCollection<E2, D2>,
) -> Result<usize, Error>
where
    E: Elem,
    D: Backend<E>,
    E2: Elem,
    D2: Backend<E2>,
{
    let source: Vec<Named<E>> = tensors::read(from)?.into_iter().filter(Named::is_mean).collect();
    let mut problems = Vec::new();
    let mut means = HashMap::new();
    for target in tensors::read(to)?.into_iter().filter(Named::is_mean) {
        match source.iter().find(|s| s.name == target.name) {
            None => problems.push(format!("the source has no `{}`", target.name)),
            Some(s) if s.shape != target.shape => {
                problems.push(format!("`{}` is {:?} in the source, {:?} in the target", s.name, s.shape, target.shape));
            }
            Some(s) => {
                means.insert(target.name, s.values.iter().map(|x| E2::of(x.f64())).collect::<Vec<E2>>());
            }
        }
    }
    if !problems.is_empty() {
        return Err(Error::Mismatch(problems));
    }
    let count = means.len();
    let epsilons = scalars::read(from)?.into_iter().filter(Scalar::is_mean);
    let epsilons = epsilons.map(|scalar| (scalar.name, scalar.value)).collect();
    tensors::write(to, |name| means.remove(name))?;
    scalars::write(to, &epsilons)?;
    Ok(count)
}
