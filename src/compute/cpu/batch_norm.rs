//! Batch normalisation: two passes over the batch forward, two backward, on all threads.

use dfdx::prelude::*;
use rayon::prelude::*;
use sparsevd_priors::Lane;

use super::gradient::{gradient, ordered, with_gradient};
use super::memory::{numbers, numbers_mut, zeros_while};
use crate::compute::backend::{NormMoments, NormView, Taped};
use crate::compute::elem::Elem;
use crate::compute::threads::CHUNK;

/// `y = scale (x - mean) / sqrt(variance + epsilon) + bias`, with the moments of each channel in this batch. Returns
/// the moments, too.
#[allow(clippy::type_complexity, reason = "dfdx's types are long")]
pub(super) fn batch_norm<const C: usize, S: Shape, E: Elem>(
    norm: NormView<'_, C, E, Cpu>,
    x: Taped<S, E, Cpu>,
) -> Result<(Taped<S, E, Cpu>, Vec<NormMoments>), CpuError>
where
    Cpu: Device<E>,
{
    let (x, mut tape) = x.try_contiguous()?.split_tape();
    let planes = Planes { channels: C, area: x.shape().concrete().into_iter().skip(2).product() };
    let (mut y, moments) = zeros_while(x.device(), *x.shape(), || planes.moments(numbers(&x)))?;
    let (scale, bias) = (ordered(norm.scale, &mut tape)?, ordered(norm.bias, &mut tape)?);
    let inverse: Vec<f64> = moments.iter().map(|m| (m.variance + norm.epsilon).sqrt().recip()).collect();
    let slopes: Vec<E> = numbers(&scale).iter().zip(&inverse).map(|(scale, i)| *scale * E::of(*i)).collect();
    let biases = numbers(&bias);
    planes.each(numbers_mut(&mut y), [numbers(&x), numbers(&x)], |c, y, [x, _]| {
        let (mean, slope, bias) = (E::of(moments[c].mean), slopes[c], biases[c]);
        y.iter_mut().zip(x).for_each(|(y, x)| *y = slope * (*x - mean) + bias);
    });

    let (out, means) = (y.ghost(), moments.iter().map(|m| E::of(m.mean)).collect::<Vec<_>>());
    tape.add_backward_op(move |grads| {
        with_gradient(
            grads,
            |grads| grads.get_or_alloc_mut(&out),
            |g, grads| {
                // Over the batch, the sums of g and of g (x - mean).
                let sums = || planes.sums([g, numbers(&x)], |c, g, x| [g, g * (x - E::Lanes::splat(means[c].f64()))]);
                // dfdx clears the memory for the gradient of x meanwhile.
                let (cleared, sums) = rayon::join(|| gradient(grads, &x).map(drop), sums);
                cleared?;
                gradient(grads, &bias)?.iter_mut().zip(&sums).for_each(|(to, [g, _])| *to += E::of(*g));
                let d_scale = sums.iter().zip(&inverse).map(|([_, gx], inverse)| E::of(gx * inverse));
                gradient(grads, &scale)?.iter_mut().zip(d_scale).for_each(|(to, d)| *to += d);
                let count = g.len() as f64 / C as f64;
                planes.each(gradient(grads, &x)?, [g, numbers(&x)], |c, to, [g, x]| {
                    let slope = slopes[c];
                    let (shift, tilt) = (E::of(sums[c][0] / count), E::of(sums[c][1] * inverse[c].powi(2) / count));
                    to.iter_mut().zip(g.iter().zip(x)).for_each(|(to, (g, x))| {
                        *to += slope * (*g - shift - tilt * (*x - means[c]));
                    });
                });
                Ok(())
            },
        )
    });
    Ok((y.put_tape(tape), moments))
}

/// The memory layout of a batch: `(batch, channels, area)`.
#[derive(Clone, Copy)]
struct Planes {
    channels: usize,
    area: usize,
}

impl Planes {
    /// Calls `f(channel, its numbers in out, and in each of from)` for every channel of every example.
    fn each<E: Elem>(self, out: &mut [E], from: [&[E]; 2], f: impl Fn(usize, &mut [E], [&[E]; 2]) + Sync) {
        let (area, example) = (self.area.max(1), (self.channels * self.area).max(1));
        let n = example * (CHUNK / example).max(1);
        let pieces = out.par_chunks_mut(n).zip(from[0].par_chunks(n)).zip(from[1].par_chunks(n));
        pieces.for_each(|((out, a), b)| {
            for (i, (out, (a, b))) in out.chunks_mut(area).zip(a.chunks(area).zip(b.chunks(area))).enumerate() {
                f(i % self.channels, out, [a, b]);
            }
        });
    }

    /// The sums of `f(channel, a, b)` over the batch, for every channel.
    fn sums<E: Elem>(
        self,
        [a, b]: [&[E]; 2],
        f: impl Fn(usize, E::Lanes, E::Lanes) -> [E::Lanes; 2] + Sync,
    ) -> Vec<[f64; 2]> {
        let (area, example) = (self.area.max(1), (self.channels * self.area).max(1));
        let of_channel = |c: usize| {
            let own = c * area..(c + 1) * area;
            let mut total = [0.0; 2];
            for (a, b) in a.chunks(example).zip(b.chunks(example)) {
                let (a, b) = (&a[own.clone()], &b[own.clone()]);
                let mut sums = [E::Lanes::splat(0.0); 2];
                for i in (0..area).step_by(E::Lanes::WIDTH) {
                    let terms = f(c, E::Lanes::load(&a[i..]), E::Lanes::load(&b[i..]));
                    sums = [0, 1].map(|k| sums[k] + terms[k].first(area - i));
                }
                total = [0, 1].map(|k| total[k] + sums[k].sum());
            }
            total
        };
        (0..self.channels).into_par_iter().map(of_channel).collect()
    }

    fn moments<E: Elem>(self, x: &[E]) -> Vec<NormMoments> {
        // Deviations from the channel's first number: with squares around zero, a large mean would cancel the variance.
        let around = |c: usize| x.get(c * self.area).map_or(0.0, |x| x.f64());
        let sums = self.sums([x, x], |c, x, _| {
            let d = x - E::Lanes::splat(around(c));
            [d, d * d]
        });
        let count = x.len() as f64 / self.channels as f64;
        let moments = sums.iter().enumerate().map(|(c, [sum, squares])| {
            let mean = sum / count;
            NormMoments { mean: around(c) + mean, variance: (squares / count - mean * mean).max(0.0), count }
        });
        moments.collect()
    }
}
