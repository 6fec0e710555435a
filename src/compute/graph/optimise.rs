//! The search for NaN and infinity in gradients, on any device.

use dfdx::prelude::*;

use crate::compute::backend::Backend;
use crate::compute::elem::Elem;

/// The first NaN or infinity in a tensor's gradient.
pub(crate) fn not_finite<S: Shape, E: Elem, D: Backend<E>>(
    tensor: &Tensor<S, E, D>,
    gradients: &mut Gradients<E, D>,
) -> Result<Option<f64>, D::Err> {
    gradients.get_or_alloc_mut(tensor)?;
    let gradient = gradients.get(tensor);
    // On the device: zero times x is zero, unless x is NaN or infinite.
    let sum = gradient.clone().try_mul(E::default())?.try_sum::<Rank0, S::AllAxes>()?.as_vec();
    if sum.iter().all(|x| x.f64() == 0.0) {
        return Ok(None);
    }
    Ok(gradient.as_vec().into_iter().map(Elem::f64).find(|x| !x.is_finite()))
}
