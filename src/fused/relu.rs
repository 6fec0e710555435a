//! `max(x, 0)` on all threads.

use dfdx::prelude::*;
use rayon::prelude::*;

use super::acting::piece;
use super::gradient;
use super::memory::{numbers, tensor};
use crate::backend::Elem;

pub(super) fn relu<S: Shape, E: Elem, T: Tape<E, Cpu>>(
    x: Tensor<S, E, Cpu, T>,
) -> Result<Tensor<S, E, Cpu, T>, CpuError>
where
    Cpu: Device<E>,
{
    let (x, mut tape) = x.try_contiguous()?.split_tape();
    let zero = E::default();
    let y = tensor(x.device(), *x.shape(), |y| {
        let n = piece(y.len());
        y.par_chunks_mut(n).zip(numbers(&x).par_chunks(n)).for_each(|(y, x)| {
            y.iter_mut().zip(x).for_each(|(y, x)| *y = if *x < zero { zero } else { *x });
        });
    })?;
    let out = y.clone();
    tape.add_backward_op(move |grads| {
        let g = std::mem::take(gradient(grads, &out)?);
        let (d_x, n) = (gradient(grads, &x)?, piece(g.len()));
        d_x.par_chunks_mut(n).zip(g.par_chunks(n)).zip(numbers(&out).par_chunks(n)).for_each(|((d_x, g), y)| {
            d_x.iter_mut().zip(g).zip(y).for_each(|((to, g), y)| *to += if *y > zero { *g } else { zero });
        });
        *gradient(grads, &out)? = g; // back to the device's memory
        Ok(())
    });
    Ok(y.put_tape(tape))
}
