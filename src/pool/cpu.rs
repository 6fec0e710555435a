//! Pooling on the CPU: one pass forward, one pass backward, one channel of one image at a time.

use std::ops::Range;

use dfdx::prelude::*;
use rayon::prelude::*;

use super::Pooling;
use crate::backend::Elem;
use crate::fused::tensor;
use crate::map::Window;
use crate::unfold::{Images, Sliding};

impl<E: Elem> Pooling<E> for Cpu
where
    Cpu: Device<E>,
{
    fn shape_error() -> CpuError {
        CpuError::WrongNumElements
    }

    fn max_pool2d<B: Dim, C: Dim, T: Tape<E, Self>>(
        x: Images<B, C, E, Self, T>,
        window: Window,
    ) -> Result<Images<B, C, E, Self, T>, CpuError> {
        let (plan, x) = Plan::new(x, window)?;
        let (x, mut tape) = x.split_tape();
        let mut from = vec![0_u32; plan.outputs()];
        let numbers = numbers(&x);
        let mut y = vec![E::default(); plan.outputs()];
        let (area, positions) = (plan.area(), plan.sliding.positions());
        let planes = y.par_chunks_mut(positions).zip(from.par_chunks_mut(positions)).zip(numbers.par_chunks(area));
        planes.with_min_len(plan.min_len()).for_each(|((y, from), x)| {
            for ((y, from), span) in y.iter_mut().zip(from).zip(plan.spans()) {
                let best = span.pixels().fold(span.first(), |best, p| if beats(x[p], x[best]) { p } else { best });
                (*y, *from) = (x[best], best as u32);
            }
        });
        let y = plan.output(&x, y)?;
        let out = y.clone();
        tape.add_backward_op(move |grads| {
            grads.try_alloc_for(&out)?;
            let g = self::numbers(&grads.get(&out));
            let to = gradient(grads, &x)?;
            let planes = to.par_chunks_mut(area).zip(from.par_chunks(positions)).zip(g.par_chunks(positions));
            planes.with_min_len(plan.min_len()).for_each(|((to, from), g)| {
                from.iter().zip(g).for_each(|(from, g)| to[*from as usize] += *g);
            });
            Ok(())
        });
        Ok(y.put_tape(tape))
    }

    fn avg_pool2d<B: Dim, C: Dim, T: Tape<E, Self>>(
        x: Images<B, C, E, Self, T>,
        window: Window,
    ) -> Result<Images<B, C, E, Self, T>, CpuError> {
        let (plan, x) = Plan::new(x, window)?;
        let (x, mut tape) = x.split_tape();
        let numbers = numbers(&x);
        let share = E::of(((window.kernel * window.kernel) as f64).recip());
        let mut y = vec![E::default(); plan.outputs()];
        let (area, positions) = (plan.area(), plan.sliding.positions());
        let planes = y.par_chunks_mut(positions).zip(numbers.par_chunks(area));
        planes.with_min_len(plan.min_len()).for_each(|(y, x)| {
            for (y, span) in y.iter_mut().zip(plan.spans()) {
                *y = share * span.pixels().fold(E::default(), |sum, p| sum + x[p]);
            }
        });
        let y = plan.output(&x, y)?;
        let out = y.clone();
        tape.add_backward_op(move |grads| {
            grads.try_alloc_for(&out)?;
            let g = self::numbers(&grads.get(&out));
            let to = gradient(grads, &x)?;
            let planes = to.par_chunks_mut(area).zip(g.par_chunks(positions));
            planes.with_min_len(plan.min_len()).for_each(|(to, g)| {
                for (g, span) in g.iter().zip(plan.spans()) {
                    span.pixels().for_each(|p| to[p] += share * *g);
                }
            });
            Ok(())
        });
        Ok(y.put_tape(tape))
    }
}

/// Whether a pixel takes the place of the best so far: it is larger, or the first NaN.
#[inline(always)]
fn beats<E: Elem>(next: E, best: E) -> bool {
    next > best || (next.is_nan() && !best.is_nan())
}

/// What a pool does to a batch of images.
#[derive(Clone, Copy)]
struct Plan {
    sliding: Sliding,
    batch: usize,
}

impl Plan {
    /// The plan, and the images in the order that it reads them.
    #[allow(clippy::type_complexity, reason = "a pair")]
    fn new<B: Dim, C: Dim, E: Elem, T: Tape<E, Cpu>>(
        x: Images<B, C, E, Cpu, T>,
        window: Window,
    ) -> Result<(Self, Images<B, C, E, Cpu, T>), CpuError>
    where
        Cpu: Device<E>,
    {
        let sliding = Sliding::new(window, x.shape()).ok_or(CpuError::WrongNumElements)?;
        Ok((Plan { sliding, batch: x.shape().0.size() }, x.try_contiguous()?))
    }

    fn area(&self) -> usize {
        self.sliding.size[0] * self.sliding.size[1]
    }

    /// How many outputs there are.
    fn outputs(&self) -> usize {
        self.batch * self.sliding.channels * self.sliding.positions()
    }

    /// Channels that a thread takes at least.
    fn min_len(&self) -> usize {
        (16_384 / self.area().max(1)).max(1)
    }

    /// What each output of a channel reads.
    #[inline(always)]
    fn spans(&self) -> impl Iterator<Item = Span> {
        let (window, [height, width]) = (self.sliding.window, self.sliding.size);
        let [rows, cols] = self.sliding.outputs;
        (0..rows).flat_map(move |i| {
            let rows = clip(window, i, height);
            (0..cols).map(move |j| Span { rows: rows.clone(), cols: clip(window, j, width), width })
        })
    }

    fn output<B: Dim, C: Dim, E: Elem>(
        &self,
        x: &Images<B, C, E, Cpu, NoneTape>,
        y: Vec<E>,
    ) -> Result<Images<B, C, E, Cpu, NoneTape>, CpuError>
    where
        Cpu: Device<E>,
    {
        let (batch, channels, ..) = *x.shape();
        let [height, width] = self.sliding.outputs;
        tensor(x.device(), (batch, channels, height, width), |to| to.copy_from_slice(&y))
    }
}

/// The pixels along one side that a window without gaps reads.
#[inline(always)]
fn clip(window: Window, output: usize, size: usize) -> Range<usize> {
    let start = output * window.stride;
    start.saturating_sub(window.pad)..(start + window.kernel - window.pad).min(size)
}

/// The pixels of one window.
struct Span {
    rows: Range<usize>,
    cols: Range<usize>,
    width: usize,
}

impl Span {
    #[inline(always)]
    fn first(&self) -> usize {
        self.rows.start * self.width + self.cols.start
    }

    #[inline(always)]
    fn pixels(&self) -> impl Iterator<Item = usize> {
        let (cols, width) = (self.cols.clone(), self.width);
        self.rows.clone().flat_map(move |row| (cols.start + row * width)..(cols.end + row * width))
    }
}

/// A contiguous tensor's numbers.
fn numbers<S: Shape, E: Elem>(tensor: &Tensor<S, E, Cpu>) -> Vec<E> {
    let mut numbers = vec![E::default(); tensor.shape().num_elements()];
    tensor.copy_into(&mut numbers);
    numbers
}

/// A tensor's gradient, as numbers to add to.
fn gradient<'a, S: Shape, E: Elem>(
    grads: &'a mut Gradients<E, Cpu>,
    of: &Tensor<S, E, Cpu>,
) -> Result<&'a mut [E], CpuError> {
    grads.get_or_alloc_mut(of).map(|numbers| &mut numbers[..])
}
