//! A dense layer's sampled output as one operation. The products with the means and with the variances run side by side.

use dfdx::prelude::*;
use rayon::prelude::*;
use sparsevd_priors::Prior;

use super::acting::{Acting, Factor, piece};
use super::memory::{Buffer, numbers, tensor};
use super::product::{Matrix, multiply, multiply_on_half};
use super::{gradient, noise, ordered, vec};
use crate::backend::{Elem, Taped};
use crate::layer::Layer;
use crate::map::{LinearMap, Map};
use crate::posterior::Posterior;

/// `y = x theta^T + b + sqrt(x^2 v^T + floor) eps`, with `v = Var w`, on the tape.
pub(super) fn linear<B: Dim, Q: Posterior, P: Prior, E: Elem, const I: usize, const O: usize, const BIAS: bool>(
    layer: &Layer<LinearMap<I, O, BIAS>, Q, P, E, Cpu>,
    x: Taped<(B, Const<I>), E, Cpu>,
    seed: u64,
    input_grad: bool,
) -> Result<Taped<(B, Const<O>), E, Cpu>, CpuError>
where
    Cpu: Device<E>,
{
    let (x, mut tape) = x.try_contiguous()?.split_tape();
    let acting = Acting::of(layer, &mut tape)?;
    let bias = ordered(&layer.bias, &mut tape)?;
    let rows = x.shape().0.size();
    let mut noisy = None;
    let y = tensor(x.device(), (x.shape().0, Const::<O>), |y| {
        let bias = if BIAS { numbers(&bias) } else { &[] };
        noisy = forward(&acting, Matrix::new(numbers(&x), rows, I), bias, y, seed);
    })?;

    let out = y.ghost();
    tape.add_backward_op(move |grads| {
        let g = std::mem::take(vec(grads.get_or_alloc_mut(&out)?));
        if BIAS {
            let d_bias = gradient(grads, &bias)?;
            g.chunks(O).for_each(|g| d_bias.iter_mut().zip(g).for_each(|(to, g)| *to += *g));
        }
        let mut d_x = if input_grad { std::mem::take(gradient(grads, &x)?) } else { Vec::new() };
        acting.pull_back(grads, |d_means, d_variance| {
            let (x, g) = (Matrix::new(numbers(&x), rows, I), Matrix::new(&g[..], rows, O));
            match (&noisy, acting.variances(0..O)) {
                (Some(noisy), Some(variances)) => {
                    let of_means = |d_x: &mut [E]| acting.means(0..O).backward(multiply_on_half, x, g, d_means, d_x);
                    noisy.backward(x, g, &variances, of_means, d_variance, &mut d_x);
                }
                _ => acting.means(0..O).backward(multiply, x, g, d_means, &mut d_x),
            }
        })?;
        if input_grad {
            *gradient(grads, &x)? = d_x;
        }
        *vec(grads.get_or_alloc_mut(&out)?) = g; // back to the device's memory
        Ok(())
    });
    Ok(y.put_tape(tape))
}

/// Writes the output; returns what the backward pass needs of the noise, if there is any.
fn forward<M: Map, Q: Posterior, E: Elem>(
    acting: &Acting<M, Q, E>,
    x: Matrix<'_, E>,
    bias: &[E],
    y: &mut [E],
    seed: u64,
) -> Option<Noisy<E>>
where
    Cpu: Device<E>,
{
    let add_bias = |y: &mut [E]| {
        if !bias.is_empty() {
            y.chunks_mut(bias.len()).for_each(|y| y.iter_mut().zip(bias).for_each(|(y, b)| *y += *b));
        }
    };
    let means = acting.means(0..acting.grid.rows);
    let Some(variances) = acting.variances(0..acting.grid.rows) else {
        means.forward(multiply, x, y);
        add_bias(y);
        return None;
    };
    let (mut slope, mut var) = (Buffer::any(y.len()), Buffer::any(y.len()));
    let of_means = || {
        means.forward(multiply_on_half, x, y);
        add_bias(y);
        noise::fill(seed, &mut slope);
    };
    let of_variances = || {
        let x2 = squares(x.numbers());
        variances.forward(multiply_on_half, Matrix::new(&x2, x.rows(), x.cols()), &mut var);
        x2
    };
    let ((), x2) = rayon::join(of_means, of_variances);
    let n = piece(y.len());
    let pieces = y.par_chunks_mut(n).zip(slope.par_chunks_mut(n)).zip(var.par_chunks(n));
    pieces.for_each(|((y, slope), var)| noise::add(y, slope, var));
    Some(Noisy { x2, slope })
}

/// A product of [`product`](super::product).
type Multiply<E> = fn(&mut [E], bool, Matrix<'_, E>, Matrix<'_, E>);

impl<E: Elem> Factor<'_, E> {
    /// `y = x w^T`.
    fn forward(&self, multiply: Multiply<E>, x: Matrix<'_, E>, y: &mut [E]) {
        match self {
            Factor::All(w) => multiply(y, false, x, w.t()),
            Factor::Few(w) => w.forward(x, y),
        }
    }

    /// Adds to the gradients of these weights and, unless it is empty, of the input.
    fn backward(&self, multiply: Multiply<E>, x: Matrix<'_, E>, g: Matrix<'_, E>, d_weights: &mut [E], d_x: &mut [E]) {
        match self {
            Factor::Few(w) => w.backward(x, g, d_weights, d_x),
            Factor::All(w) => {
                multiply(d_weights, true, g.t(), x);
                if !d_x.is_empty() {
                    multiply(d_x, true, g, *w);
                }
            }
        }
    }
}

fn squares<E: Elem>(x: &[E]) -> Buffer<E> {
    let mut x2 = Buffer::any(x.len());
    x2.iter_mut().zip(x).for_each(|(to, x)| *to = *x * *x);
    x2
}

/// What the noise of one pass leaves for its backward pass.
struct Noisy<E: Elem> {
    x2: Buffer<E>,
    /// `eps / (2 std)`: the derivative of an output by its variance.
    slope: Buffer<E>,
}

impl<E: Elem> Noisy<E> {
    /// Adds to the gradients of the variances and, unless it is empty, of the input; `of_means` does so for the means.
    fn backward(
        &self,
        x: Matrix<'_, E>,
        g: Matrix<'_, E>,
        variances: &Factor<'_, E>,
        of_means: impl FnOnce(&mut [E]) + Send,
        d_variance: &mut [E],
        d_x: &mut [E],
    ) {
        let mut h = Buffer::copy(g.numbers());
        h.iter_mut().zip(self.slope.iter()).for_each(|(h, slope)| *h *= *slope);
        let (h, x2) = (Matrix::new(&h, g.rows(), g.cols()), Matrix::new(&self.x2, x.rows(), x.cols()));
        let mut d_x2 = Buffer::zeros(d_x.len());
        let of_variances = || variances.backward(multiply_on_half, x2, h, d_variance, &mut d_x2);
        rayon::join(|| of_means(d_x), of_variances);
        let two = E::of(2.0);
        d_x.iter_mut().zip(d_x2.iter()).zip(x.numbers()).for_each(|((to, d), x)| *to += two * *x * *d);
    }
}
