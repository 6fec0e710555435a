//! `max(x, 0)` on all threads, in place if no other tensor shares x.

use dfdx::prelude::*;
use rayon::prelude::*;

use super::gradient::{gradient, with_gradient};
use super::memory::{alone, numbers, numbers_mut, tensor};
use crate::compute::elem::Elem;
use crate::compute::threads::piece;

pub(super) fn relu<S: Shape, E: Elem, T: Tape<E, Cpu>>(
    x: Tensor<S, E, Cpu, T>,
) -> Result<Tensor<S, E, Cpu, T>, CpuError>
where
    Cpu: Device<E>,
{
    let (mut x, mut tape) = x.try_contiguous()?.split_tape();
    let zero = E::default();
    let positive = |x: &mut [E]| x.iter_mut().for_each(|x| *x = if *x < zero { zero } else { *x });
    if alone(&mut x) {
        // The output overwrites x, and its gradient overwrites that of x. No later operation can read x: it would have
        // to share x now.
        let own = numbers_mut(&mut x);
        let n = piece(own.len());
        own.par_chunks_mut(n).for_each(positive);
        let y = x.clone();
        tape.add_backward_op(move |grads| {
            let g = gradient(grads, &y)?;
            let mask = |(g, y): (&mut [E], &[E])| {
                g.iter_mut().zip(y).for_each(|(g, y)| *g = if *y > zero { *g } else { zero })
            };
            g.par_chunks_mut(n).zip(numbers(&y).par_chunks(n)).for_each(mask);
            Ok(())
        });
        return Ok(x.put_tape(tape));
    }
    let y = tensor(x.device(), *x.shape(), |y| {
        y.copy_from_slice(numbers(&x));
        positive(y);
    })?;
    let out = y.clone();
    tape.add_backward_op(move |grads| {
        with_gradient(
            grads,
            |grads| grads.get_or_alloc_mut(&out),
            |g, grads| {
                let terms = g.iter().zip(numbers(&out));
                gradient(grads, &x)?
                    .iter_mut()
                    .zip(terms)
                    .for_each(|(to, (g, y))| *to += if *y > zero { *g } else { zero });
                Ok(())
            },
        )
    });
    Ok(y.put_tape(tape))
}
