//! A node of dfdx's autodiff graph as a `Real`, so that a prior's formula can be evaluated on the graph.

use std::cell::RefCell;
use std::ops::{Add, Div, Mul, Neg, Sub};
use std::rc::Rc;

use dfdx::prelude::*;
use sparsevd_priors::{Real, SQRT_FLOOR};

use crate::compute::backend::Backend;
use crate::compute::dfdx_tricks::tensor_of;
use crate::compute::elem::Elem;

/// The weights of a layer as a matrix: `(outputs, weights into each)`.
pub(crate) type Matrix = (usize, usize);
type Tensors<E, D, T> = Tensor<Matrix, E, D, T>;

/// The state that all nodes of one formula share: the tape they write to, and the first error of the device.
struct Context<E: Elem, D: Backend<E>, T> {
    tape: RefCell<T>,
    error: RefCell<Option<D::Err>>,
    element: std::marker::PhantomData<E>,
}

/// A graph node. A clone is the same node, so that `x.clone() * x` is computed as a square and not as a product of two
/// tensors with one id, which dfdx's backward pass rejects.
pub(crate) struct Node<E: Elem, D: Backend<E>, T: Tape<E, D>> {
    tensor: Tensor<Matrix, E, D>,
    context: Rc<Context<E, D, T>>,
    identity: Rc<()>,
}

impl<E: Elem, D: Backend<E>, T: Tape<E, D>> Clone for Node<E, D, T> {
    fn clone(&self) -> Self {
        Node { tensor: self.tensor.clone(), context: self.context.clone(), identity: self.identity.clone() }
    }
}

impl<E: Elem, D: Backend<E>, T: Tape<E, D>> Node<E, D, T> {
    /// The first node of a formula; it brings the tape.
    pub(crate) fn root(tensor: Tensors<E, D, T>) -> Self {
        let (tensor, tape) = tensor.split_tape();
        let context = Context { tape: RefCell::new(tape), error: RefCell::new(None), element: Default::default() };
        Node { tensor, context: Rc::new(context), identity: Rc::new(()) }
    }

    /// Another input of the same formula.
    pub(crate) fn join(&self, tensor: Tensors<E, D, T>) -> Self {
        let (tensor, tape) = tensor.split_tape();
        self.context.tape.replace_with(|all| std::mem::take(all).merge(tape));
        self.with(tensor)
    }

    /// The value with its tape, once the formula is complete.
    pub(crate) fn finish(self) -> Result<Tensors<E, D, T>, D::Err> {
        match self.context.error.take() {
            Some(error) => Err(error),
            None => Ok(self.tensor.put_tape(self.context.tape.take())),
        }
    }

    fn with(&self, tensor: Tensor<Matrix, E, D>) -> Self {
        Node { tensor, context: self.context.clone(), identity: Rc::new(()) }
    }

    /// Records one operation. After an error the formula runs on, unrecorded, and `finish` reports it.
    fn record(self, op: impl FnOnce(Tensors<E, D, T>) -> Result<Tensors<E, D, T>, D::Err>) -> Self {
        match op(self.tensor.clone().put_tape(T::default())) {
            Ok(result) => self.join(result),
            Err(error) => {
                self.context.error.borrow_mut().get_or_insert(error);
                self
            }
        }
    }

    fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.identity, &other.identity)
    }
}

impl<E: Elem, D: Backend<E>, T: Tape<E, D>> Neg for Node<E, D, T> {
    type Output = Self;
    fn neg(self) -> Self {
        self.record(|x| x.try_negate())
    }
}

impl<E: Elem, D: Backend<E>, T: Tape<E, D>> Add for Node<E, D, T> {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        if self.is(&o) { self.scale(2.0) } else { self.record(|x| x.try_add(o.tensor)) }
    }
}

impl<E: Elem, D: Backend<E>, T: Tape<E, D>> Sub for Node<E, D, T> {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        if self.is(&o) { self.scale(0.0) } else { self.record(|x| x.try_sub(o.tensor)) }
    }
}

impl<E: Elem, D: Backend<E>, T: Tape<E, D>> Mul for Node<E, D, T> {
    type Output = Self;
    fn mul(self, o: Self) -> Self {
        if self.is(&o) { self.square() } else { self.record(|x| x.try_mul(o.tensor)) }
    }
}

impl<E: Elem, D: Backend<E>, T: Tape<E, D>> Div for Node<E, D, T> {
    type Output = Self;
    fn div(self, o: Self) -> Self {
        if self.is(&o) { self.scale(0.0).shift(1.0) } else { self.record(|x| x.try_div(o.tensor)) }
    }
}

impl<E: Elem, D: Backend<E>, T: Tape<E, D>> Real for Node<E, D, T> {
    fn scale(self, factor: f64) -> Self {
        self.record(|x| x.try_mul(E::of(factor)))
    }
    fn shift(self, offset: f64) -> Self {
        self.record(|x| x.try_add(E::of(offset)))
    }
    fn square(self) -> Self {
        self.record(|x| x.try_square())
    }
    fn recip(self) -> Self {
        self.record(|x| x.try_recip())
    }
    fn abs(self) -> Self {
        self.record(|x| x.try_abs())
    }
    fn sqrt(self) -> Self {
        self.record(|x| x.try_add(E::of(SQRT_FLOOR))?.try_sqrt())
    }
    fn exp(self) -> Self {
        self.record(|x| x.try_exp())
    }
    /// `tanh(x/2) (e^x + 1)`, which does not cancel near 0.
    fn exp_m1(self) -> Self {
        let half = self.clone().scale(0.5).record(|x| x.try_tanh());
        half * self.exp().shift(1.0)
    }
    fn ln(self) -> Self {
        self.record(|x| x.try_ln())
    }
    /// `ln u + (x - (u - 1)) / u` with `u = 1 + x`; the second term corrects the rounding of the sum. It is computed
    /// with x clamped to [-1/2, 1e30]: beyond, it would become `0 / 0` and `inf - inf` at the ends of the range.
    fn ln_1p(self) -> Self {
        let held = self.clone().record(|x| x.try_clamp(-0.5, 1e30));
        let u = held.clone().shift(1.0);
        let lost = (held - u.clone().shift(-1.0)) / u;
        self.shift(1.0).ln() + lost
    }
    fn sigmoid(self) -> Self {
        self.record(|x| x.try_sigmoid())
    }
    /// `x/2 + |x|/2 + ln(1 + e^-|x|)`: unlike `max(x, 0)` it has the slope 1/2 at 0. x is clamped to at least -1e30,
    /// where the result is 0, to avoid `-inf + inf`.
    fn softplus(self) -> Self {
        let x = self.at_least(-1e30);
        let size = x.clone().abs();
        let tail = (-size.clone()).exp().ln_1p();
        (x + size).scale(0.5) + tail
    }
    fn at_least(self, floor: f64) -> Self {
        self.record(|x| x.try_clamp(floor, f64::INFINITY))
    }
    /// The same numbers under another id, which no gradient reaches.
    fn detached(self) -> Self {
        match self.tensor.clone().try_mul(E::ONE) {
            Ok(copy) => self.with(copy),
            Err(error) => {
                self.context.error.borrow_mut().get_or_insert(error);
                self
            }
        }
    }
    /// Computed on the host, as `y = f(x0) + f'(x0) (x - x0)`, whose value and derivative are right at `x0`.
    fn lift(self, f: impl Fn(f64) -> (f64, f64)) -> Self {
        let (mut values, mut slopes) = (Vec::new(), Vec::new());
        for x in self.tensor.as_vec() {
            let (value, slope) = f(x.f64());
            values.push(E::of(value - slope * x.f64()));
            slopes.push(E::of(slope));
        }
        let (device, shape) = (self.tensor.device().clone(), *self.tensor.shape());
        self.record(|x| {
            let slope = tensor_of(&device, &slopes, shape)?;
            x.try_mul(slope)?.try_add(tensor_of(&device, &values, shape)?)
        })
    }
}

#[cfg(test)]
#[path = "node_tests.rs"]
mod tests;
