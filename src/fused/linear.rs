//! A dense layer's sampled output as one operation. The products with the means and with the variances run side by side.

use dfdx::prelude::*;
use rayon::prelude::*;
use sparsevd_priors::Prior;

use super::acting::{Acting, Means, piece};
use super::memory::{Buffer, numbers, tensor};
use super::product::{Matrix, multiply, multiply_on_half};
use super::{gradient, noise, vec};
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
    let acting = Acting::of(layer)?;
    let rows = x.shape().0.size();
    let mut noisy = None;
    let y = tensor(x.device(), (x.shape().0, Const::<O>), |y| {
        let bias = if BIAS { numbers(&layer.bias) } else { &[] };
        noisy = forward(&acting, Matrix::new(numbers(&x), rows, I), bias, y, seed);
    })?;

    let (bias, out) = (layer.bias.clone(), y.ghost());
    tape.add_backward_op(move |grads| {
        let g = std::mem::take(vec(grads.get_or_alloc_mut(&out)?));
        if BIAS {
            let d_bias = gradient(grads, &bias)?;
            g.chunks(O).for_each(|g| d_bias.iter_mut().zip(g).for_each(|(to, g)| *to += *g));
        }
        let mut d_x = if input_grad { std::mem::take(gradient(grads, &x)?) } else { Vec::new() };
        acting.pull_back(grads, |d_means, d_variance| {
            let (x, g) = (Matrix::new(numbers(&x), rows, I), Matrix::new(&g[..], rows, O));
            match (&noisy, acting.variances()) {
                (Some(noisy), Some(variances)) => {
                    let of_means = |d_x: &mut [E]| acting.means().backward(multiply_on_half, x, g, d_means, d_x);
                    noisy.backward(x, g, variances, of_means, d_variance, &mut d_x);
                }
                _ => acting.means().backward(multiply, x, g, d_means, &mut d_x),
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
    let Some(variances) = acting.variances() else {
        acting.means().forward(multiply, x, y);
        add_bias(y);
        return None;
    };
    let (mut slope, mut var) = (Buffer::any(y.len()), Buffer::any(y.len()));
    let of_means = || {
        acting.means().forward(multiply_on_half, x, y);
        add_bias(y);
        noise::fill(seed, &mut slope);
    };
    let of_variances = || {
        let x2 = squares(x.numbers());
        multiply_on_half(&mut var, false, Matrix::new(&x2, x.rows(), x.cols()), variances.t());
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

impl<E: Elem> Means<'_, E> {
    /// `y = x w^T`.
    fn forward(&self, multiply: Multiply<E>, x: Matrix<'_, E>, y: &mut [E]) {
        match self {
            Means::All(means) => multiply(y, false, x, means.t()),
            Means::Few(few) => few.forward(x, y),
        }
    }

    /// Adds to the gradients of the means and, unless it is empty, of the input.
    fn backward(&self, multiply: Multiply<E>, x: Matrix<'_, E>, g: Matrix<'_, E>, d_means: &mut [E], d_x: &mut [E]) {
        match self {
            Means::Few(few) => few.backward(x, g, d_means, d_x),
            Means::All(means) => {
                multiply(d_means, true, g.t(), x);
                if !d_x.is_empty() {
                    multiply(d_x, true, g, *means);
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
    /// Writes the gradient of the variances and, unless it is empty, adds to that of the input; `of_means` does what the
    /// means ask for.
    fn backward(
        &self,
        x: Matrix<'_, E>,
        g: Matrix<'_, E>,
        variances: Matrix<'_, E>,
        of_means: impl FnOnce(&mut [E]) + Send,
        d_variance: &mut [E],
        d_x: &mut [E],
    ) {
        let mut h = Buffer::copy(g.numbers());
        h.iter_mut().zip(self.slope.iter()).for_each(|(h, slope)| *h *= *slope);
        let (h, x2) = (Matrix::new(&h, g.rows(), g.cols()), Matrix::new(&self.x2, x.rows(), x.cols()));
        let mut d_x2 = Buffer::any(d_x.len());
        let of_variances = || {
            multiply_on_half(d_variance, false, h.t(), x2);
            if !d_x2.is_empty() {
                multiply_on_half(&mut d_x2, false, h, variances);
            }
        };
        rayon::join(|| of_means(d_x), of_variances);
        let two = E::of(2.0);
        d_x.iter_mut().zip(d_x2.iter()).zip(x.numbers()).for_each(|((to, d), x)| *to += two * *x * *d);
    }
}
