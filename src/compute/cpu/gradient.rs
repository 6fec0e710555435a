//! Gradients as numbers that kernels write to.

use dfdx::prelude::*;
use rayon::prelude::*;

use crate::compute::backend::Numbers;
use crate::compute::elem::Elem;
use crate::compute::threads::{CHUNK, PARALLEL};

/// A tensor's gradient, as numbers to add to.
pub(super) fn gradient<'a, S: Shape, E: Elem>(
    grads: &'a mut Gradients<E, Cpu>,
    of: &Tensor<S, E, Cpu>,
) -> Result<&'a mut Vec<E>, CpuError> {
    grads.get_or_alloc_mut(of).map(|numbers| &mut **numbers)
}

/// Runs `f` with one gradient out of the store, so that others can be written meanwhile, and puts it back, also where
/// `f` fails.
///
/// `find` is `|grads| grads.get_or_alloc_mut(&tensor)`. An operation finds the gradient of its output under a ghost,
/// which does not hold the output's memory, so that the next operation can write over it.
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

/// A parameter with its numbers in order. Where they are not, after a transposition or a broadcast, it is a copy, and
/// the way of its gradient back to the parameter goes onto the tape.
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

/// `to += f(from)`, in parallel where it pays.
pub(super) fn accumulate<E: Elem>(to: &mut [E], from: &[E], f: impl Fn(E) -> E + Sync) {
    let add = |to: &mut [E], from: &[E]| to.iter_mut().zip(from).for_each(|(to, from)| *to += f(*from));
    if to.len() < PARALLEL {
        add(to, from);
    } else {
        to.par_chunks_mut(CHUNK).zip(from.par_chunks(CHUNK)).for_each(|(to, from)| add(to, from));
    }
}
