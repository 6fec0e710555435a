//! A dense layer's sampled output as one operation. The products with the means and with the variances run side by side.

use dfdx::prelude::*;
use rayon::prelude::*;
use sparsevd_priors::Prior;

use super::buffer::Buffer;
use super::effective::{Effective, Factor};
use super::gradient::{Parameter, ordered, with_gradient};
use super::memory::{numbers, tensor};
use super::product::{Matrix, multiply, multiply_on_half};
use crate::compute::backend::{LayerView, Taped};
use crate::compute::elem::Elem;
use crate::compute::noise;
use crate::compute::seeds::Seed;
use crate::compute::threads::piece;
use crate::spec::{Family, LinearMap};

/// `y = x θᵀ + b + sqrt(x² vᵀ + floor) ε`, with `v = Var w`, on the tape.
pub(super) fn linear<B: Dim, Q: Family, P: Prior, E: Elem, const I: usize, const O: usize, const BIAS: bool>(
    layer: LayerView<'_, LinearMap<I, O, BIAS>, Q, P, E, Cpu>,
    x: Taped<(B, Const<I>), E, Cpu>,
    seed: Seed,
    input_grad: bool,
) -> Result<Taped<(B, Const<O>), E, Cpu>, CpuError>
where
    Cpu: Device<E>,
{
    let (x, mut tape) = x.try_contiguous()?.split_tape();
    let effective = Effective::of(layer, &mut tape)?;
    let bias = ordered(layer.bias, &mut tape)?;
    let rows = x.shape().0.size();
    let mut noisy = None;
    let y = tensor(x.device(), (x.shape().0, Const::<O>), |y| {
        let bias = if BIAS { numbers(&bias) } else { &[] };
        noisy = forward(&effective, Matrix::new(numbers(&x), rows, I), bias, y, seed);
    })?;

    let out = y.ghost();
    let bias: Option<Box<dyn Parameter<E>>> = if BIAS { Some(Box::new(bias)) } else { None };
    let pass = Pass { effective, noisy, x: Box::new(x), rows, bias };
    tape.add_backward_op(move |grads| {
        with_gradient(
            grads,
            |grads| grads.get_or_alloc_mut(&out),
            |g, grads| pass.backward(Matrix::new(&g[..], rows, O), input_grad, grads),
        )
    });
    Ok(y.put_tape(tape))
}

/// The data that the backward pass needs.
struct Pass<E: Elem> {
    effective: Effective<E>,
    noisy: Option<Noisy<E>>,
    x: Box<dyn Parameter<E>>,
    rows: usize,
    bias: Option<Box<dyn Parameter<E>>>,
}

impl<E: Elem> Pass<E> {
    /// Adds to all gradients, given the output's gradient `g`.
    fn backward(&self, g: Matrix<'_, E>, input_grad: bool, grads: &mut Gradients<E, Cpu>) -> Result<(), CpuError> {
        if let Some(bias) = &self.bias {
            let d_bias = bias.gradient(grads)?;
            g.numbers().chunks(g.cols()).for_each(|g| d_bias.iter_mut().zip(g).for_each(|(to, g)| *to += *g));
        }
        let x = Matrix::new(self.x.numbers(), self.rows, self.effective.grid.cols);
        let pull_back = |d_x: &mut [E], grads: &mut Gradients<E, Cpu>| {
            self.effective.pull_back_written(grads, |d_means, d_variance| {
                backward(&self.effective, self.noisy.as_ref(), [x, g], d_means, d_variance, d_x);
            })
        };
        if !input_grad {
            return pull_back(&mut [], grads);
        }
        with_gradient(grads, |grads| self.x.gradient(grads), |d_x, grads| pull_back(d_x, grads))
    }
}

/// Writes the output. Returns the terms of the noise for the backward pass, if there is noise.
fn forward<E: Elem>(
    effective: &Effective<E>,
    x: Matrix<'_, E>,
    bias: &[E],
    y: &mut [E],
    seed: Seed,
) -> Option<Noisy<E>> {
    let add_bias = |y: &mut [E]| {
        if !bias.is_empty() {
            y.chunks_mut(bias.len()).for_each(|y| y.iter_mut().zip(bias).for_each(|(y, b)| *y += *b));
        }
    };
    let means = effective.means(0..effective.grid.rows);
    let Some(variances) = effective.variances(0..effective.grid.rows) else {
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

/// Adds to the gradients of the means and, unless `d_x` is empty, of the input; writes that of the variances if there is
/// noise.
fn backward<E: Elem>(
    effective: &Effective<E>,
    noisy: Option<&Noisy<E>>,
    [x, g]: [Matrix<'_, E>; 2],
    d_means: &mut [E],
    d_variance: &mut [E],
    d_x: &mut [E],
) {
    let outputs = 0..effective.grid.rows;
    match (noisy, effective.variances(outputs.clone())) {
        (Some(noisy), Some(variances)) => {
            let of_means =
                |d_x: &mut [E]| effective.means(outputs).backward(multiply_on_half, true, x, g, d_means, d_x);
            noisy.backward(x, g, &variances, of_means, d_variance, d_x);
        }
        _ => effective.means(outputs).backward(multiply, true, x, g, d_means, d_x),
    }
}

/// One of the functions of [`product`](super::product).
type Multiply<E> = fn(&mut [E], bool, Matrix<'_, E>, Matrix<'_, E>);

impl<E: Elem> Factor<'_, E> {
    /// `y = x wᵀ`.
    fn forward(&self, multiply: Multiply<E>, x: Matrix<'_, E>, y: &mut [E]) {
        match self {
            Factor::Dense(w) => multiply(y, false, x, w.t()),
            Factor::Sparse(w) => w.forward(x, y),
        }
    }

    /// Writes the gradients of these weights and, unless it is empty, of the input, or adds to them if `add`.
    fn backward(
        &self,
        multiply: Multiply<E>,
        add: bool,
        x: Matrix<'_, E>,
        g: Matrix<'_, E>,
        d_weights: &mut [E],
        d_x: &mut [E],
    ) {
        match self {
            Factor::Sparse(w) => {
                if !add {
                    d_weights.fill(E::default());
                    d_x.fill(E::default());
                }
                w.backward(x, g, d_weights, d_x);
            }
            Factor::Dense(w) => {
                multiply(d_weights, add, g.t(), x);
                if !d_x.is_empty() {
                    multiply(d_x, add, g, *w);
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

/// The terms of a pass's noise that its backward pass needs.
struct Noisy<E: Elem> {
    x2: Buffer<E>,
    /// `ε / (2 std)`: the derivative of an output by its variance.
    slope: Buffer<E>,
}

impl<E: Elem> Noisy<E> {
    /// Writes the gradient of the variances and adds to that of the input, unless it is empty; `of_means` does so for the
    /// means.
    fn backward(
        &self,
        x: Matrix<'_, E>,
        g: Matrix<'_, E>,
        variances: &Factor<'_, E>,
        of_means: impl FnOnce(&mut [E]) + Send,
        d_variance: &mut [E],
        d_x: &mut [E],
    ) {
        let mut h = Buffer::any(g.numbers().len());
        let terms = g.numbers().iter().zip(self.slope.iter());
        h.iter_mut().zip(terms).for_each(|(h, (g, slope))| *h = *g * *slope);
        let (h, x2) = (Matrix::new(&h, g.rows(), g.cols()), Matrix::new(&self.x2, x.rows(), x.cols()));
        let mut d_x2 = Buffer::any(d_x.len());
        let of_variances = || variances.backward(multiply_on_half, false, x2, h, d_variance, &mut d_x2);
        rayon::join(|| of_means(d_x), of_variances);
        let two = E::of(2.0);
        d_x.iter_mut().zip(d_x2.iter()).zip(x.numbers()).for_each(|((to, d), x)| *to += two * *x * *d);
    }
}
