//! Pooling on the CPU: one pass forward, one pass backward, one channel of one image at a time.

use std::ops::Range;

use dfdx::prelude::*;
use rayon::prelude::*;

use super::gradient::{gradient, with_gradient};
use super::memory::{numbers, tensor};
use crate::compute::elem::Elem;
use crate::compute::sliding::{Images, Sliding};
use crate::spec::Window;

/// The largest pixel of every window.
pub(super) fn max_pool2d<B: Dim, C: Dim, E: Elem, T: Tape<E, Cpu>>(
    x: Images<B, C, E, Cpu, T>,
    window: Window,
) -> Result<Images<B, C, E, Cpu, T>, CpuError>
where
    Cpu: Device<E>,
{
    let (plan, x) = Plan::new(x, window)?;
    let (x, mut tape) = x.split_tape();
    let (area, positions) = (plan.area(), plan.sliding.positions());
    let mut from = vec![0_u32; plan.outputs()];
    let y = tensor(x.device(), plan.shape(&x), |y| {
        let planes = y.par_chunks_mut(positions).zip(from.par_chunks_mut(positions));
        let planes = planes.zip(numbers(&x).par_chunks(area)).with_min_len(plan.min_len());
        planes.for_each(|((y, from), x)| plan.largest(x, y, from));
    })?;
    let out = y.ghost();
    tape.add_backward_op(move |grads| {
        with_gradient(
            grads,
            |grads| grads.get_or_alloc_mut(&out),
            |g, grads| {
                let planes = gradient(grads, &x)?.par_chunks_mut(area).zip(from.par_chunks(positions));
                planes.zip(g.par_chunks(positions)).with_min_len(plan.min_len()).for_each(|((to, from), g)| {
                    from.iter().zip(g).for_each(|(from, g)| to[*from as usize] += *g);
                });
                Ok(())
            },
        )
    });
    Ok(y.put_tape(tape))
}

/// The mean of every window.
pub(super) fn avg_pool2d<B: Dim, C: Dim, E: Elem, T: Tape<E, Cpu>>(
    x: Images<B, C, E, Cpu, T>,
    window: Window,
) -> Result<Images<B, C, E, Cpu, T>, CpuError>
where
    Cpu: Device<E>,
{
    let (plan, x) = Plan::new(x, window)?;
    let (x, mut tape) = x.split_tape();
    let (area, positions) = (plan.area(), plan.sliding.positions());
    let share = E::of(((window.kernel * window.kernel) as f64).recip());
    let y = tensor(x.device(), plan.shape(&x), |y| {
        let planes = y.par_chunks_mut(positions).zip(numbers(&x).par_chunks(area));
        planes.with_min_len(plan.min_len()).for_each(|(y, x)| {
            plan.for_lines(|line, rows, cols| {
                let y = &mut y[line * cols.len()..(line + 1) * cols.len()];
                for (y, cols) in y.iter_mut().zip(cols) {
                    let pixels = rows.clone().flat_map(|row| &x[row * plan.width()..][cols.clone()]);
                    *y = share * pixels.fold(E::default(), |sum, x| sum + *x);
                }
            });
        });
    })?;
    let out = y.ghost();
    tape.add_backward_op(move |grads| {
        with_gradient(
            grads,
            |grads| grads.get_or_alloc_mut(&out),
            |g, grads| {
                let planes = gradient(grads, &x)?.par_chunks_mut(area).zip(g.par_chunks(positions));
                planes.with_min_len(plan.min_len()).for_each(|(to, g)| {
                    plan.for_lines(|line, rows, cols| {
                        for (g, cols) in g[line * cols.len()..].iter().zip(cols) {
                            for row in rows.clone() {
                                to[row * plan.width()..][cols.clone()].iter_mut().for_each(|to| *to += share * *g);
                            }
                        }
                    });
                });
                Ok(())
            },
        )
    });
    Ok(y.put_tape(tape))
}

/// The larger of two pixels, each with its position. Of equal pixels the first is taken, and a NaN before any number.
#[inline(always)]
#[allow(clippy::neg_cmp_op_on_partial_ord, reason = "a NaN is not less either")]
fn larger<E: Elem>(best: (E, u32), next: (E, u32)) -> (E, u32) {
    // Without `||` and `&&`, which would be branches, and with two selections: a branch would often be mispredicted.
    let better = !(next.0 <= best.0) & !best.0.is_nan();
    (if better { next.0 } else { best.0 }, if better { next.1 } else { best.1 })
}

/// A line of outputs of a 2 × 2 pool.
struct Line<'a, E> {
    /// The pairs of pixels in the two rows that the outputs read.
    pixels: [&'a [[E; 2]]; 2],
    /// The position of the first pixel.
    start: u32,
    width: u32,
    y: &'a mut [E],
    from: &'a mut [u32],
}

impl<E: Elem> Line<'_, E> {
    /// Computes outputs, `N` at a time, until fewer are left. A loop of fixed length becomes vector instructions.
    #[inline(always)]
    fn take<const N: usize>(&mut self) {
        let [mut above, mut below] = self.pixels;
        while let (Some((a, after_a)), Some((b, after_b))) = (above.split_first_chunk(), below.split_first_chunk()) {
            let Some(y) = self.y.split_off_mut(..N).and_then(|y| y.first_chunk_mut::<N>()) else { break };
            let Some(from) = self.from.split_off_mut(..N).and_then(|from| from.first_chunk_mut::<N>()) else { break };
            self.largest(a, b, y, from);
            self.start += 2 * N as u32;
            (above, below) = (after_a, after_b);
        }
        self.pixels = [above, below];
    }

    #[inline(always)]
    fn largest<const N: usize>(&self, above: &[[E; 2]; N], below: &[[E; 2]; N], y: &mut [E; N], from: &mut [u32; N]) {
        for i in 0..N {
            let ([a, b], [c, d], at) = (above[i], below[i], self.start + 2 * i as u32);
            let best = larger(larger((a, at), (b, at + 1)), (c, at + self.width));
            (y[i], from[i]) = larger(best, (d, at + self.width + 1));
        }
    }
}

/// The geometry of a pool over a batch of images.
#[derive(Clone)]
struct Plan {
    sliding: Sliding,
    batch: usize,
    /// The pixels of a row that each output of a line reads.
    cols: Vec<Range<usize>>,
}

impl Plan {
    /// The plan, and the images as a contiguous tensor.
    #[allow(clippy::type_complexity, reason = "a pair")]
    fn new<B: Dim, C: Dim, E: Elem, T: Tape<E, Cpu>>(
        x: Images<B, C, E, Cpu, T>,
        window: Window,
    ) -> Result<(Self, Images<B, C, E, Cpu, T>), CpuError>
    where
        Cpu: Device<E>,
    {
        let sliding = Sliding::new(window, x.shape()).ok_or(CpuError::WrongNumElements)?;
        let cols = (0..sliding.outputs[1]).map(|j| window.inside(j, sliding.size[1])).collect();
        Ok((Plan { sliding, batch: x.shape().0.size(), cols }, x.try_contiguous()?))
    }

    fn width(&self) -> usize {
        self.sliding.size[1]
    }

    fn area(&self) -> usize {
        self.sliding.size[0] * self.width()
    }

    /// Number of outputs.
    fn outputs(&self) -> usize {
        self.batch * self.sliding.channels * self.sliding.positions()
    }

    /// The least number of channels per task.
    fn min_len(&self) -> usize {
        (16_384 / self.area().max(1)).max(1)
    }

    /// Calls `f(line, the rows that its outputs read, the columns that each reads)` for every line of a channel's outputs.
    #[inline(always)]
    fn for_lines(&self, mut f: impl FnMut(usize, Range<usize>, &[Range<usize>])) {
        for line in 0..self.sliding.outputs[0] {
            f(line, self.sliding.window.inside(line, self.sliding.size[0]), &self.cols);
        }
    }

    /// The largest pixel of each window of a channel, and its position.
    fn largest<E: Elem>(&self, x: &[E], y: &mut [E], from: &mut [u32]) {
        let Window { kernel, stride, pad, .. } = self.sliding.window;
        if (kernel, stride, pad) == (2, 2, 0) {
            return self.largest_of_four(x, y, from);
        }
        self.for_lines(|line, rows, cols| {
            let at = line * cols.len()..(line + 1) * cols.len();
            for ((y, from), cols) in y[at.clone()].iter_mut().zip(&mut from[at]).zip(cols) {
                let first = rows.start * self.width() + cols.start;
                let mut best = (x[first], first as u32);
                for row in rows.clone() {
                    let start = row * self.width() + cols.start;
                    for pixel in x[start..start + cols.len()].iter().copied().zip(start as u32..) {
                        best = larger(best, pixel);
                    }
                }
                (*y, *from) = best;
            }
        });
    }

    /// The same for the usual pool, 2 × 2 with stride 2, several outputs at a time.
    fn largest_of_four<E: Elem>(&self, x: &[E], y: &mut [E], from: &mut [u32]) {
        let (width, outputs) = (self.width(), self.cols.len());
        let lines = x.chunks_exact(2 * width).zip(y.chunks_exact_mut(outputs)).zip(from.chunks_exact_mut(outputs));
        for (line, ((x, y), from)) in lines.enumerate() {
            let (above, below) = x.split_at(width);
            let mut rest = Line {
                pixels: [above, below].map(|row| row.as_chunks().0),
                start: (2 * line * width) as u32,
                width: width as u32,
                y,
                from,
            };
            rest.take::<8>();
            rest.take::<4>();
            rest.take::<1>();
        }
    }

    /// The shape of the outputs.
    fn shape<B: Dim, C: Dim, E: Elem, T>(&self, x: &Images<B, C, E, Cpu, T>) -> (B, C, usize, usize) {
        let (batch, channels, ..) = *x.shape();
        (batch, channels, self.sliding.outputs[0], self.sliding.outputs[1])
    }
}
