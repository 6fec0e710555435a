//! Workarounds for what dfdx 0.13 does not offer, which each doc comment names.

use std::cell::Cell;

use dfdx::nn::tensor_collection::*;
use dfdx::optim::{Optimizer, OptimizerUpdateError, Sgd, SgdConfig, UnusedTensors};
use dfdx::prelude::*;
use num_traits::NumCast;

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

/// The trained tensors without a gradient. dfdx's optimisers report them, so this runs one with learning rate 0.
pub(crate) fn without_gradient<N: TensorCollection<E, D>, E: Elem, D: Backend<E>>(
    network: &mut N,
    gradients: &Gradients<E, D>,
) -> Result<Vec<UniqueId>, D::Err> {
    let mut still = Sgd::new(&*network, SgdConfig { lr: 0.0, ..SgdConfig::default() });
    match still.update(network, gradients) {
        Ok(()) => Ok(Vec::new()),
        Err(OptimizerUpdateError::DeviceError(error)) => Err(error),
        Err(OptimizerUpdateError::UnusedParams(unused)) => Ok(unused.ids),
    }
}

/// A visitor that reads every tensor of a network, and every scalar that is not a tensor. dfdx's own visitors need four
/// associated types and two return values for it.
pub(crate) trait Visit<E: Elem, D: Backend<E>> {
    /// A tensor with its name, such as `2.0.weight`, and whether it is trained.
    fn tensor<S: Shape>(&mut self, name: String, trained: bool, tensor: &Tensor<S, E, D>) -> Result<(), D::Err>;

    /// A scalar with its name, value and default, and a test of whether its type can hold a number.
    fn scalar(&mut self, _name: String, _value: f64, _default: f64, _fits: fn(f64) -> bool) {}
}

/// A visitor that changes tensors and scalars.
pub(crate) trait VisitMut<E: Elem, D: Backend<E>> {
    /// A tensor with its name, and whether it is trained.
    fn tensor<S: Shape>(&mut self, name: String, trained: bool, tensor: &mut Tensor<S, E, D>) -> Result<(), D::Err>;

    /// The new value of a scalar; `None` leaves it as it is.
    fn scalar(&mut self, _name: &str) -> Option<f64> {
        None
    }
}

/// Visits all tensors and scalars of a network, in order.
pub(crate) fn visit<N: TensorCollection<E, D>, E: Elem, D: Backend<E>>(
    network: &N,
    visitor: &mut impl Visit<E, D>,
) -> Result<(), D::Err> {
    N::iter_tensors(&mut RecursiveWalker { m: (network, String::new()), f: &mut Look(visitor) }).map(drop)
}

/// Visits all tensors and scalars of a network, in order, to change them.
pub(crate) fn visit_mut<N: TensorCollection<E, D>, E: Elem, D: Backend<E>>(
    network: &mut N,
    visitor: &mut impl VisitMut<E, D>,
) -> Result<(), D::Err> {
    N::iter_tensors(&mut RecursiveWalker { m: (network, String::new()), f: &mut Change(visitor) }).map(drop)
}

struct Look<'a, V>(&'a mut V);

impl<E: Elem, D: Backend<E>, V: Visit<E, D>> TensorVisitor<E, D> for Look<'_, V> {
    type Viewer = (ViewTensorRef, ViewTensorName);
    type Err = D::Err;
    type E2 = E;
    type D2 = D;

    fn visit<S: Shape>(
        &mut self,
        options: TensorOptions<S, E, D>,
        (tensor, name): (&Tensor<S, E, D>, String),
    ) -> Result<Option<Tensor<S, E, D>>, D::Err> {
        self.0.tensor(name, options.do_gradient_update, tensor).map(|()| None)
    }

    fn visit_scalar<N: NumCast>(
        &mut self,
        options: ScalarOptions<N>,
        (value, name): (&N, String),
    ) -> Result<Option<N>, D::Err> {
        let float = |x: &N| x.to_f64().unwrap_or(f64::NAN);
        self.0.scalar(name, float(value), float(&options.default), |x| <N as NumCast>::from(x).is_some());
        Ok(None)
    }
}

struct Change<'a, V>(&'a mut V);

impl<E: Elem, D: Backend<E>, V: VisitMut<E, D>> TensorVisitor<E, D> for Change<'_, V> {
    type Viewer = (ViewTensorMut, ViewTensorName);
    type Err = D::Err;
    type E2 = E;
    type D2 = D;

    fn visit<S: Shape>(
        &mut self,
        options: TensorOptions<S, E, D>,
        (tensor, name): (&mut Tensor<S, E, D>, String),
    ) -> Result<Option<Tensor<S, E, D>>, D::Err> {
        self.0.tensor(name, options.do_gradient_update, tensor).map(|()| None)
    }

    fn visit_scalar<N: NumCast>(
        &mut self,
        _options: ScalarOptions<N>,
        (value, name): (&mut N, String),
    ) -> Result<Option<N>, D::Err> {
        if let Some(new) = self.0.scalar(&name).and_then(<N as NumCast>::from) {
            *value = new;
        }
        Ok(None)
    }
}

thread_local! {
    /// The number of layers that [`count_layers`] has met.
    static MET: Cell<usize> = const { Cell::new(0) };
}

/// Called by a layer of this library when its tensors are visited.
pub(crate) fn layer_met() {
    MET.set(MET.get() + 1);
}

/// Counts the layers of this library in a network, including those that its `visit` omits. dfdx's visitors see tensors,
/// not modules, so each layer counts itself.
pub(crate) fn count_layers<N: TensorCollection<E, D>, E: Elem, D: Backend<E>>(network: &N) -> Result<usize, D::Err> {
    struct Nothing;
    impl<E: Elem, D: Backend<E>> Visit<E, D> for Nothing {
        fn tensor<S: Shape>(&mut self, _: String, _: bool, _: &Tensor<S, E, D>) -> Result<(), D::Err> {
            Ok(())
        }
    }
    let before = MET.get();
    visit(network, &mut Nothing)?;
    Ok(MET.get() - before)
}
