//! Visitors of a network's tensors. They are not generic over the network or a tensor's shape, so that they are
//! compiled once, not for every network of a program.

use std::cell::Cell;

use dfdx::nn::tensor_collection::*;
use dfdx::prelude::*;
use dfdx::tensor_ops::AdamConfig;
use num_traits::NumCast;

use super::backend::Backend;
use super::dfdx_tricks::{id, overwrite, set_gradient, without_gradient};
use super::elem::Elem;

/// A visitor that reads every tensor of a network, and every scalar that is not a tensor. dfdx's own visitors need four
/// associated types and two return values for it.
pub(crate) trait Visit<E: Elem, D: Backend<E>> {
    /// A tensor with its name, such as `2.0.weight`, and whether it is trained.
    fn tensor(&mut self, name: String, trained: bool, tensor: &dyn AnyTensor<E, D>) -> Result<(), D::Err>;

    /// A scalar with its name, value and default, and a test of whether its type can hold a number.
    fn scalar(&mut self, _name: String, _value: f64, _default: f64, _fits: fn(f64) -> bool) {}
}

/// A visitor that changes tensors and scalars.
pub(crate) trait VisitMut<E: Elem, D: Backend<E>> {
    /// A tensor with its name, and whether it is trained.
    fn tensor(&mut self, name: String, trained: bool, tensor: &mut dyn AnyTensorMut<E, D>) -> Result<(), D::Err>;

    /// The new value of a scalar; `None` leaves it as it is.
    fn scalar(&mut self, _name: &str) -> Option<f64> {
        None
    }
}

/// A tensor of any shape.
pub(crate) trait AnyTensor<E: Elem, D: Backend<E>> {
    /// Its identity.
    fn id(&self) -> UniqueId;

    /// Its shape.
    fn dims(&self) -> Vec<usize>;

    /// Its numbers.
    fn numbers(&self) -> Vec<E>;

    /// Its gradient; zeros if it has none.
    fn gradient(&self, gradients: &mut Gradients<E, D>) -> Result<Vec<E>, D::Err>;

    /// Sets its gradient.
    fn set_gradient(&self, gradients: &mut Gradients<E, D>, numbers: &[E]) -> Result<(), D::Err>;

    /// Sets its gradient to zero.
    fn clear_gradient(&self, gradients: &mut Gradients<E, D>) -> Result<(), D::Err>;

    /// The first NaN or infinity in its gradient.
    fn not_finite(&self, gradients: &mut Gradients<E, D>) -> Result<Option<f64>, D::Err>;
}

/// A tensor of any shape, to be changed.
pub(crate) trait AnyTensorMut<E: Elem, D: Backend<E>> {
    /// Overwrites its numbers.
    fn overwrite(&mut self, numbers: &[E]) -> Result<(), D::Err>;

    /// Adam's update at step 1, 2, .., with its two moments and its gradient.
    fn adam(
        &mut self,
        moments: &mut [Gradients<E, D>; 2],
        gradients: &mut Gradients<E, D>,
        config: &AdamConfig,
        step: i32,
    ) -> Result<(), D::Err>;

    /// True if it is trained and has no gradient.
    fn without_gradient(&mut self, gradients: &Gradients<E, D>) -> Result<bool, D::Err>;
}

impl<S: Shape, E: Elem, D: Backend<E>> AnyTensor<E, D> for Tensor<S, E, D> {
    fn id(&self) -> UniqueId {
        id(self)
    }

    fn dims(&self) -> Vec<usize> {
        self.shape().concrete().into_iter().collect()
    }

    fn numbers(&self) -> Vec<E> {
        self.as_vec()
    }

    fn gradient(&self, gradients: &mut Gradients<E, D>) -> Result<Vec<E>, D::Err> {
        gradients.try_alloc_for(self)?;
        Ok(gradients.get(self).as_vec())
    }

    fn set_gradient(&self, gradients: &mut Gradients<E, D>, numbers: &[E]) -> Result<(), D::Err> {
        set_gradient(gradients, self, numbers)
    }

    fn clear_gradient(&self, gradients: &mut Gradients<E, D>) -> Result<(), D::Err> {
        self.device().try_fill_with_zeros(gradients.get_or_alloc_mut(self)?)
    }

    fn not_finite(&self, gradients: &mut Gradients<E, D>) -> Result<Option<f64>, D::Err> {
        D::not_finite(self, gradients)
    }
}

/// A tensor with the options that dfdx's own visitors need.
struct Slot<'a, S: Shape, E: Elem, D: Backend<E>> {
    tensor: &'a mut Tensor<S, E, D>,
    options: Option<TensorOptions<S, E, D>>,
}

impl<S: Shape, E: Elem, D: Backend<E>> AnyTensorMut<E, D> for Slot<'_, S, E, D> {
    fn overwrite(&mut self, numbers: &[E]) -> Result<(), D::Err> {
        overwrite(self.tensor, numbers)
    }

    fn adam(
        &mut self,
        [m, v]: &mut [Gradients<E, D>; 2],
        gradients: &mut Gradients<E, D>,
        config: &AdamConfig,
        step: i32,
    ) -> Result<(), D::Err> {
        let moments = [m.get_or_alloc_mut(&*self.tensor)?, v.get_or_alloc_mut(&*self.tensor)?];
        let gradient = gradients.get_or_alloc_mut(&*self.tensor)?;
        D::adam(self.tensor, moments, gradient, config, step)
    }

    fn without_gradient(&mut self, gradients: &Gradients<E, D>) -> Result<bool, D::Err> {
        let Some(options) = self.options.take() else { return Ok(false) };
        without_gradient(self.tensor, options, gradients)
    }
}

/// The tensors and scalars of any network.
pub(crate) trait Tensors<E: Elem, D: Backend<E>> {
    /// Visits all of them, in order.
    fn read_with(&self, visitor: &mut dyn Visit<E, D>) -> Result<(), D::Err>;

    /// Visits all of them, in order, to change them.
    fn change_with(&mut self, visitor: &mut dyn VisitMut<E, D>) -> Result<(), D::Err>;
}

impl<N: TensorCollection<E, D>, E: Elem, D: Backend<E>> Tensors<E, D> for N {
    fn read_with(&self, visitor: &mut dyn Visit<E, D>) -> Result<(), D::Err> {
        N::iter_tensors(&mut RecursiveWalker { m: (self, String::new()), f: &mut Look(visitor) }).map(drop)
    }

    fn change_with(&mut self, visitor: &mut dyn VisitMut<E, D>) -> Result<(), D::Err> {
        N::iter_tensors(&mut RecursiveWalker { m: (self, String::new()), f: &mut Change(visitor) }).map(drop)
    }
}

struct Look<'a, E: Elem, D: Backend<E>>(&'a mut dyn Visit<E, D>);

impl<E: Elem, D: Backend<E>> TensorVisitor<E, D> for Look<'_, E, D> {
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

struct Change<'a, E: Elem, D: Backend<E>>(&'a mut dyn VisitMut<E, D>);

impl<E: Elem, D: Backend<E>> TensorVisitor<E, D> for Change<'_, E, D> {
    type Viewer = (ViewTensorMut, ViewTensorName);
    type Err = D::Err;
    type E2 = E;
    type D2 = D;

    fn visit<S: Shape>(
        &mut self,
        options: TensorOptions<S, E, D>,
        (tensor, name): (&mut Tensor<S, E, D>, String),
    ) -> Result<Option<Tensor<S, E, D>>, D::Err> {
        let trained = options.do_gradient_update;
        self.0.tensor(name, trained, &mut Slot { tensor, options: Some(options) }).map(|()| None)
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

/// Gradients of zero for all trained tensors; a backward pass drops those of other tensors at its end.
pub(crate) fn zero_gradients<E: Elem, D: Backend<E>>(network: &dyn Tensors<E, D>) -> Result<Gradients<E, D>, D::Err> {
    let mut gradients = Gradients::leaky();
    clear_gradients(network, &mut gradients)?;
    Ok(gradients)
}

/// Sets the gradients of all trained tensors to zero, and drops all others.
pub(crate) fn clear_gradients<E: Elem, D: Backend<E>>(
    network: &dyn Tensors<E, D>,
    gradients: &mut Gradients<E, D>,
) -> Result<(), D::Err> {
    struct Clear<'a, E: Elem, D: Backend<E>>(&'a mut Gradients<E, D>, Vec<UniqueId>);
    impl<E: Elem, D: Backend<E>> Visit<E, D> for Clear<'_, E, D> {
        fn tensor(&mut self, _: String, trained: bool, tensor: &dyn AnyTensor<E, D>) -> Result<(), D::Err> {
            if trained {
                tensor.clear_gradient(self.0)?;
                self.1.push(tensor.id());
            }
            Ok(())
        }
    }
    let mut clear = Clear(gradients, Vec::new());
    network.read_with(&mut clear)?;
    let Clear(gradients, trained) = clear;
    gradients.retain_leafs(&trained);
    Ok(())
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
pub(crate) fn count_layers<E: Elem, D: Backend<E>>(network: &dyn Tensors<E, D>) -> Result<usize, D::Err> {
    struct Nothing;
    impl<E: Elem, D: Backend<E>> Visit<E, D> for Nothing {
        fn tensor(&mut self, _: String, _: bool, _: &dyn AnyTensor<E, D>) -> Result<(), D::Err> {
            Ok(())
        }
    }
    let before = MET.get();
    network.read_with(&mut Nothing)?;
    Ok(MET.get() - before)
}
