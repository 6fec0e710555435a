//! A dense layer's sampled output as one operation: two products, noise and bias forward; their pull-back backward.

use dfdx::prelude::*;
use rayon::prelude::*;
use sparsevd_priors::Prior;

use super::acting::{Acting, piece};
use super::conv2d::add_noise;
use super::memory::{Buffer, numbers, tensor};
use super::product::{Matrix, multiply};
use super::{gradient, noise};
use crate::backend::{Elem, Taped};
use crate::layer::Layer;
use crate::map::LinearMap;
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
    let input = Matrix::new(numbers(&x), x.shape().0.size(), I);
    let mut noise = None;
    let y = tensor(x.device(), (x.shape().0, Const::<O>), |y| {
        multiply(y, false, input, acting.means().t());
        if BIAS {
            y.chunks_mut(O).for_each(|y| y.iter_mut().zip(numbers(&layer.bias)).for_each(|(y, b)| *y += *b));
        }
        noise = acting.variance().map(|variance| Noisy::add(y, input, variance, seed));
    })?;

    let (bias, out) = (layer.bias.clone(), y.clone());
    tape.add_backward_op(move |grads| {
        let g = std::mem::take(gradient(grads, &out)?);
        let input = Matrix::new(numbers(&x), x.shape().0.size(), I);
        if BIAS {
            let d_bias = gradient(grads, &bias)?;
            g.chunks(O).for_each(|g| d_bias.iter_mut().zip(g).for_each(|(to, g)| *to += *g));
        }
        let noise = noise.as_ref().map(|noise| (noise, noise.variance_gradient(&g)));
        let of_output = |g| Matrix::new(g, x.shape().0.size(), O);
        let d_means = |d: &mut [E]| multiply(d, true, of_output(&g).t(), input);
        let d_variance = |d: &mut [E]| {
            if let Some((noise, h)) = &noise {
                multiply(d, false, of_output(h).t(), noise.squares(I));
            }
        };
        acting.pull_back(grads, d_means, d_variance)?;
        if input_grad {
            let d_x = gradient(grads, &x)?;
            multiply(d_x, true, of_output(&g), acting.means());
            if let (Some((_, h)), Some(variance)) = (&noise, acting.variance()) {
                let mut d_x2 = Buffer::any(d_x.len());
                multiply(&mut d_x2, false, of_output(h), variance);
                let two = E::of(2.0);
                d_x.iter_mut().zip(d_x2.iter()).zip(numbers(&x)).for_each(|((to, d), x)| *to += two * *x * *d);
            }
        }
        *gradient(grads, &out)? = g; // back to the device's memory
        Ok(())
    });
    Ok(y.put_tape(tape))
}

/// What the noise of one pass leaves for its backward pass.
struct Noisy<E: Elem> {
    x2: Buffer<E>,
    /// `eps / (2 std)`: the derivative of an output by its variance.
    slope: Buffer<E>,
}

impl<E: Elem> Noisy<E> {
    /// Adds `sqrt(x^2 v^T + floor) eps` to the outputs.
    fn add(y: &mut [E], x: Matrix<'_, E>, variance: Matrix<'_, E>, seed: u64) -> Self {
        let mut x2 = Buffer::any(x.numbers().len());
        let n = piece(x2.len());
        let square = |(to, x): (&mut [E], &[E])| to.iter_mut().zip(x).for_each(|(to, x)| *to = *x * *x);
        x2.par_chunks_mut(n).zip(x.numbers().par_chunks(n)).for_each(square);
        let mut var = Buffer::any(y.len());
        multiply(&mut var, false, Matrix::new(&x2, x.rows(), x.cols()), variance.t());
        let mut slope = Buffer::any(y.len());
        noise::fill(seed, &mut slope);
        let n = piece(y.len());
        let pieces = y.par_chunks_mut(n).zip(slope.par_chunks_mut(n)).zip(var.par_chunks(n));
        pieces.for_each(|((y, slope), var)| add_noise(y, slope, var));
        Noisy { x2, slope }
    }

    fn squares(&self, cols: usize) -> Matrix<'_, E> {
        Matrix::new(&self.x2, self.x2.len() / cols, cols)
    }

    /// The gradient with respect to the variance of each output.
    fn variance_gradient(&self, g: &[E]) -> Buffer<E> {
        let mut h = Buffer::copy(g);
        h.iter_mut().zip(self.slope.iter()).for_each(|(h, slope)| *h *= *slope);
        h
    }
}
