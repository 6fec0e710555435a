//! Batch normalisation: two passes over the batch forward, two backward, on all threads.

use dfdx::prelude::*;

use super::buffer::Buffer;
use super::gradient::{Parameter, accumulate, ordered, with_gradient};
use super::memory::{alone, numbers, numbers_mut, tensor};
use super::planes::{Constants, Planes};
use crate::compute::backend::{NormMoments, NormView, Taped};
use crate::compute::elem::Elem;

/// `y = scale (x - mean) / sqrt(variance + epsilon) + bias`, with the moments of each channel in this batch. Returns
/// the moments, too.
///
/// If no other tensor shares x, the output overwrites it, and its gradient overwrites that of x, as in
/// [`relu`](super::relu).
#[allow(clippy::type_complexity, reason = "dfdx's types are long")]
pub(super) fn batch_norm<const C: usize, S: Shape, E: Elem>(
    norm: NormView<'_, C, E, Cpu>,
    x: Taped<S, E, Cpu>,
) -> Result<(Taped<S, E, Cpu>, Vec<NormMoments>), CpuError>
where
    Cpu: Device<E>,
{
    let (mut x, mut tape) = x.try_contiguous()?.split_tape();
    let planes = Planes::of(C, x.shape());
    let moments = moments(planes, numbers(&x));
    let (scale, bias) = (ordered(norm.scale, &mut tape)?, ordered(norm.bias, &mut tape)?);
    let inverse: Vec<f64> = moments.iter().map(|m| (m.variance + norm.epsilon).sqrt().recip()).collect();
    let slopes = planes.constants(|c| numbers(&scale)[c] * E::of(inverse[c]));
    let centred = Buffer::any(x.shape().num_elements());
    let mut pass = Pass { planes, scale: Box::new(scale), bias: Box::new(bias), inverse, slopes, centred };
    if alone(&mut x) {
        pass.forward(&moments, numbers_mut(&mut x));
        let out = x.ghost();
        tape.add_backward_op(move |grads| {
            with_gradient(grads, |grads| grads.get_or_alloc_mut(&out), |g, grads| pass.backward(g, grads))
        });
        return Ok((x.put_tape(tape), moments));
    }
    let y = tensor(x.device(), *x.shape(), |y| {
        y.copy_from_slice(numbers(&x));
        pass.forward(&moments, y);
    })?;
    let (x, out) = (x.ghost(), y.ghost());
    tape.add_backward_op(move |grads| {
        with_gradient(
            grads,
            |grads| grads.get_or_alloc_mut(&out),
            |g, grads| {
                let mut d = Buffer::copy(g);
                pass.backward(&mut d, grads)?;
                with_gradient(
                    grads,
                    |grads| grads.get_or_alloc_mut(&x),
                    |to, _| {
                        accumulate(to, &d, |d| d);
                        Ok(())
                    },
                )
            },
        )
    });
    Ok((y.put_tape(tape), moments))
}

/// `slope (x - mean) + bias` for every channel, off the tape; in place if no other tensor shares x.
pub(super) fn normalise<const C: usize, S: Shape, E: Elem>(
    x: Tensor<S, E, Cpu>,
    mean: Tensor<Rank1<C>, E, Cpu>,
    slope: Tensor<Rank1<C>, E, Cpu>,
    bias: Tensor<Rank1<C>, E, Cpu>,
) -> Result<Tensor<S, E, Cpu>, CpuError>
where
    Cpu: Device<E>,
{
    let mut x = x.try_contiguous()?;
    let planes = Planes::of(C, x.shape());
    let [mean, slope, bias] = [mean, slope, bias].map(|t| t.try_contiguous());
    let (mean, slope, bias) = (mean?, slope?, bias?);
    let constants = [&mean, &slope, &bias].map(|t| planes.constants(|c| numbers(t)[c]));
    let write = |x: &mut [E]| {
        let mut nothing = vec![(); x.len()];
        planes.change(constants.each_ref(), x, &mut nothing, |[mean, slope, bias], x, ()| {
            *x = slope * (*x - mean) + bias;
        });
    };
    if alone(&mut x) {
        write(numbers_mut(&mut x));
        return Ok(x);
    }
    tensor(x.device(), *x.shape(), |y| {
        y.copy_from_slice(numbers(&x));
        write(y);
    })
}

/// Mean and variance of every channel.
fn moments<E: Elem>(planes: Planes, x: &[E]) -> Vec<NormMoments> {
    // Deviations from the channel's first number: with squares around zero, a large mean would cancel the variance.
    let first = |c: usize| x.get(c * planes.area).copied().unwrap_or_default();
    let sums = planes.sums(&planes.constants(first), [x, x], |first, x, _| {
        let d = x - first;
        [d, d * d]
    });
    let count = x.len() as f64 / planes.channels as f64;
    let moments = sums.iter().enumerate().map(|(c, [sum, squares])| {
        let mean = sum / count;
        NormMoments { mean: first(c).f64() + mean, variance: (squares / count - mean * mean).max(0.0), count }
    });
    moments.collect()
}

/// The data that the backward pass needs.
struct Pass<E: Elem> {
    planes: Planes,
    scale: Box<dyn Parameter<E>>,
    bias: Box<dyn Parameter<E>>,
    /// `1 / sqrt(variance + epsilon)` of every channel.
    inverse: Vec<f64>,
    /// `scale / sqrt(variance + epsilon)`.
    slopes: Constants<E>,
    /// `x - mean`.
    centred: Buffer<E>,
}

impl<E: Elem> Pass<E> {
    /// Turns the input into the output, and keeps what the backward pass needs.
    fn forward(&mut self, moments: &[NormMoments], x: &mut [E]) {
        let means = self.planes.constants(|c| E::of(moments[c].mean));
        let biases = self.planes.constants(|c| self.bias.numbers()[c]);
        let constants = [&means, &self.slopes, &biases];
        self.planes.change(constants, x, &mut self.centred, |[mean, slope, bias], x, centred| {
            *centred = *x - mean;
            *x = slope * *centred + bias;
        });
    }

    /// Adds to the gradients of the parameters; turns the output's gradient `g` into that of the input.
    fn backward(mut self, g: &mut [E], grads: &mut Gradients<E, Cpu>) -> Result<(), CpuError> {
        let planes = self.planes;
        // Over the batch, the sums of g and of g (x - mean).
        let sums = planes.sums(&self.slopes, [g, &self.centred], |_, g, d| [g, g * d]);
        self.bias.gradient(grads)?.iter_mut().zip(&sums).for_each(|(to, [g, _])| *to += E::of(*g));
        let d_scale = sums.iter().zip(&self.inverse).map(|([_, gx], inverse)| E::of(gx * inverse));
        self.scale.gradient(grads)?.iter_mut().zip(d_scale).for_each(|(to, d)| *to += d);
        let count = g.len() as f64 / planes.channels as f64;
        let shifts = planes.constants(|c| E::of(sums[c][0] / count));
        let tilts = planes.constants(|c| E::of(sums[c][1] * self.inverse[c].powi(2) / count));
        planes.change([&self.slopes, &shifts, &tilts], g, &mut self.centred, |[slope, shift, tilt], g, d| {
            *g = slope * (*g - shift - tilt * *d);
        });
        Ok(())
    }
}
