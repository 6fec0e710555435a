//! Gradients as slices that kernels write to.

use dfdx::prelude::*;
use rayon::prelude::*;

use super::memory::numbers;
use crate::compute::backend::Numbers;
use crate::compute::elem::Elem;
use crate::compute::threads::{CHUNK, PARALLEL};

/// A contiguous tensor of any shape: code that uses it is compiled once, not for every layer of a network.
pub(super) trait Parameter<E: Elem>: Send + Sync {
    /// Its numbers.
    fn numbers(&self) -> &[E];

    /// Its gradient, to add to.
    fn gradient<'a>(&self, grads: &'a mut Gradients<E, Cpu>) -> Result<&'a mut Numbers<E, Cpu>, CpuError>;
}

impl<S: Shape, E: Elem> Parameter<E> for Tensor<S, E, Cpu> {
    fn numbers(&self) -> &[E] {
        numbers(self)
    }

    fn gradient<'a>(&self, grads: &'a mut Gradients<E, Cpu>) -> Result<&'a mut Numbers<E, Cpu>, CpuError> {
        grads.get_or_alloc_mut(self)
    }
}

/// A tensor's gradient, to add to.
pub(super) fn gradient<'a, S: Shape, E: Elem>(
    grads: &'a mut Gradients<E, Cpu>,
    of: &Tensor<S, E, Cpu>,
) -> Result<&'a mut Vec<E>, CpuError> {
    grads.get_or_alloc_mut(of).map(|numbers| &mut **numbers)
}

/// Takes one gradient out of the store, runs `f`, which can write to the others meanwhile, and puts it back, even if
/// `f` fails.
///
/// `find` is `|grads| grads.get_or_alloc_mut(&tensor)`. An operation finds the gradient of its output by a ghost. A
/// ghost does not hold the output's memory, so that the next operation can write over it.
pub(super) fn with_gradient<E: Elem, T>(
    grads: &mut Gradients<E, Cpu>,
    find: impl for<'a> Fn(&'a mut Gradients<E, Cpu>) -> Result<&'a mut Numbers<E, Cpu>, CpuError>,
    f: impl FnOnce(&mut Vec<E>, &mut Gradients<E, Cpu>) -> Result<T, CpuError>,
) -> Result<T, CpuError> {
    let mut own: Vec<E> = std::mem::take(&mut **find(grads)?);
    let done = f(&mut own, grads);
    **find(grads)? = own;
    done
}

/// Sets a gradient to zero.
pub(super) fn clear<E: Elem>(gradient: &mut Numbers<E, Cpu>) {
    gradient.fill(E::default());
}

/// A parameter as a contiguous tensor. One that was transposed or broadcast is copied, and the tape records how the
/// copy's gradient reaches the parameter.
pub(super) fn ordered<S: Shape, E: Elem>(
    parameter: &Tensor<S, E, Cpu>,
    tape: &mut OwnedTape<E, Cpu>,
) -> Result<Tensor<S, E, Cpu>, CpuError>
where
    Cpu: Device<E>,
{
    let (ordered, way_back) = parameter.retaped::<OwnedTape<E, Cpu>>().try_contiguous()?.split_tape();
    *tape = std::mem::take(tape).merge(way_back);
    Ok(ordered)
}

/// `to += f(from)`, in parallel if the slices are long.
pub(super) fn accumulate<E: Elem>(to: &mut [E], from: &[E], f: impl Fn(E) -> E + Sync) {
    let add = |to: &mut [E], from: &[E]| to.iter_mut().zip(from).for_each(|(to, from)| *to += f(*from));
    if to.len() < PARALLEL {
        add(to, from);
    } else {
        to.par_chunks_mut(CHUNK).zip(from.par_chunks(CHUNK)).for_each(|(to, from)| add(to, from));
    }
}
