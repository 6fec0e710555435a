//! Workarounds for what dfdx 0.13 does not offer, which each doc comment names.

use dfdx::nn::tensor_collection::{TensorOptions, TensorVisitor};
use dfdx::optim::{Sgd, SgdConfig, UnusedTensors};
use dfdx::prelude::*;

use super::backend::{Backend, Taped};
use super::elem::Elem;

/// A tensor of these numbers, in the device's own memory. A tensor made of a `Vec` would add its memory to the device's
/// cache at every step of a training run, and the cache never shrinks.
pub(crate) fn tensor_of<S: Shape, E: Elem, D: Backend<E>>(
    device: &D,
    numbers: &[E],
    shape: S,
) -> Result<Tensor<S, E, D>, D::Err> {
    let mut tensor: Tensor<S, E, D> = device.try_zeros_like(&shape)?;
    tensor.copy_from(numbers);
    Ok(tensor)
}

/// Overwrites a tensor's numbers. A tensor that may be transposed or broadcast is replaced by a contiguous one.
pub(crate) fn overwrite<S: Shape, E: Elem, D: Backend<E>>(
    tensor: &mut Tensor<S, E, D>,
    numbers: &[E],
) -> Result<(), D::Err> {
    if D::in_order(tensor) {
        tensor.copy_from(numbers);
    } else {
        *tensor = tensor_of(tensor.device(), numbers, *tensor.shape())?;
    }
    Ok(())
}

/// The numbers of a tensor in `f64`.
pub(crate) fn floats<S: Shape, E: Elem, D: Backend<E>>(tensor: &Tensor<S, E, D>) -> Vec<f64> {
    tensor.as_vec().into_iter().map(Elem::f64).collect()
}

/// The id of a tensor; dfdx reveals ids only in its list of unused tensors.
pub(crate) fn id<S: Shape, E: Elem, D: Backend<E>, T>(tensor: &Tensor<S, E, D, T>) -> UniqueId {
    let mut one = UnusedTensors::default();
    one.add(tensor);
    one.ids[0]
}

/// Adds the gradient of `objective` to `memory`: dfdx has no backward pass into existing gradients. A zero whose tape
/// carries the memory hands it to the objective's tape.
pub(crate) fn backward_into<E: Elem, D: Backend<E>>(
    objective: Taped<Rank0, E, D>,
    memory: Gradients<E, D>,
) -> Result<Gradients<E, D>, D::Err> {
    let zero: Tensor<Rank0, E, D> = objective.device().try_zeros()?;
    objective.try_add(zero.traced(memory))?.try_backward()
}

/// Sets a tensor's gradient to `values`, by differentiating `sum(values x)`: dfdx gives no other way to write one.
pub(crate) fn set_gradient<S: Shape, E: Elem, D: Backend<E>>(
    gradients: &mut Gradients<E, D>,
    tensor: &Tensor<S, E, D>,
    values: &[E],
) -> Result<(), D::Err> {
    let x = tensor.trace(std::mem::replace(gradients, Gradients::leaky()));
    let values = tensor_of(tensor.device(), values, *tensor.shape())?;
    *gradients = x.try_mul(values)?.try_sum::<Rank0, S::AllAxes>()?.try_backward()?;
    Ok(())
}

/// True if a tensor is trained and has no gradient. dfdx's optimisers report that, so this runs one with learning rate
/// 0.
pub(crate) fn without_gradient<S: Shape, E: Elem, D: Backend<E>>(
    tensor: &mut Tensor<S, E, D>,
    options: TensorOptions<S, E, D>,
    gradients: &Gradients<E, D>,
) -> Result<bool, D::Err> {
    let mut still = Sgd::new(&(), SgdConfig { lr: 0.0, ..SgdConfig::default() });
    let mut step = (&mut still, gradients, UnusedTensors::default());
    step.visit(options, tensor)?;
    Ok(!step.2.is_empty())
}
