//! The gradients of a convolution with few live weights.

use rayon::prelude::*;
use sparsevd_priors::Lane;

use super::super::input;
use super::super::planes::{Planes, Results};
use super::super::shape::Shape;
use super::terms::{Term, Terms, Vectors};
use super::{Live, Weight};
use crate::compute::cpu::buffer::Buffer;
use crate::compute::cpu::weights::splat;
use crate::compute::elem::Elem;

impl<E: Elem> Live<'_, E> {
    /// True for the outputs that have a live weight.
    fn used(&self) -> Vec<bool> {
        let mut used = vec![false; self.outputs];
        self.weights.iter().for_each(|weight| used[weight.output] = true);
        used
    }

    /// Adds to the gradient of the batch, unless it is `None`, and returns those of the weights: of the means, weight by
    /// weight, and with noise of the variances. The batch is cut into at most `parts`, whose sums are added in order.
    pub(in crate::compute::cpu::conv2d) fn backward(
        &self,
        [x, g]: [&[E]; 2],
        slope: Option<&[E]>,
        d_x: Option<&mut [E]>,
        parts: usize,
    ) -> [Buffer<E>; 2] {
        let pass = Backward::new(self, slope.is_some());
        let (n_in, n_out) = (self.geometry.pixels(), self.outputs * self.geometry.positions());
        let images = (x.len() / n_in).div_ceil(self.side()).div_ceil(parts).max(1) * self.side();
        let (n_in, n_out) = (images * n_in, images * n_out);
        let slopes: Vec<_> = match slope {
            Some(slope) => slope.chunks(n_out).map(Some).collect(),
            None => g.chunks(n_out).map(|_| None).collect(),
        };
        let d_x: Vec<_> = match d_x {
            Some(d_x) => d_x.chunks_mut(n_in).map(Some).collect(),
            None => x.chunks(n_in).map(|_| None).collect(),
        };
        let batch = x.par_chunks(n_in).zip(g.par_chunks(n_out)).zip(slopes).zip(d_x);
        let sums: Vec<Vec<[E::Lanes; 2]>> = batch
            .map_init(|| pass.room(), |room, (((x, g), slope), d_x)| pass.part(room, [x, g], slope, d_x))
            .collect();
        [0, 1].map(|m| {
            let mut to = Buffer::zeros(if m == 0 || slope.is_some() { self.weights.len() } else { 0 });
            for part in &sums {
                to.iter_mut().zip(part).for_each(|(to, sums)| *to += E::of(sums[m].sum()));
            }
            to
        })
    }
}

/// A backward pass.
struct Backward<'a, E: Elem> {
    live: &'a Live<'a, E>,
    noisy: bool,
    /// The convolution, and its transpose.
    shapes: [Shape; 2],
    /// The terms and the vectors of the transpose.
    terms: Terms<E>,
    vectors: Vectors,
    /// The channels that a live weight reads, and the outputs that have one.
    channels: Vec<bool>,
    used: Vec<bool>,
}

/// The buffers of a thread.
struct Room<E: Elem> {
    pixels: Planes<E>,
    gradients: Planes<E>,
    results: Results<E>,
    mean: Buffer<E>,
    var: Buffer<E>,
}

impl<'a, E: Elem> Backward<'a, E> {
    fn new(live: &'a Live<'a, E>, noisy: bool) -> Self {
        let (back, kernel) = (live.of_gradients(), live.geometry.window.kernel);
        let turned = |weight: &Weight<E>| {
            let (channel, [y, x]) = live.tap(weight.col);
            let (y, x) = (kernel - 1 - y, kernel - 1 - x);
            let offset = weight.output * back.plane() + back.dilation * (y * back.row() + x * back.side);
            (channel, Term { offset, moments: weight.moments })
        };
        Backward {
            live,
            noisy,
            shapes: [live.of_images(), back],
            terms: Terms::new(live.geometry.channels, live.weights.iter().map(turned).collect()),
            vectors: Vectors::of::<E>(&back),
            channels: live.channels(),
            used: live.used(),
        }
    }

    fn room(&self) -> Room<E> {
        let [shape, back] = self.shapes;
        let [mean, var] = [0; 2].map(|_| Buffer::any(back.side * back.to[0] * back.to[1]));
        Room {
            pixels: Planes::zeros(shape, false),
            gradients: Planes::zeros(back, self.noisy),
            results: Results::any(back, 1, self.noisy),
            mean,
            var,
        }
    }

    /// Adds to the gradient of some images, and returns those of the weights as vectors to sum.
    fn part(
        &self,
        room: &mut Room<E>,
        [x, g]: [&[E]; 2],
        slope: Option<&[E]>,
        mut d_x: Option<&mut [E]>,
    ) -> Vec<[E::Lanes; 2]> {
        let ([shape, back], geometry) = (self.shapes, self.live.geometry);
        let n_in = shape.side * geometry.pixels();
        let n_out = shape.side * self.live.outputs * geometry.positions();
        let mut sums = vec![[splat::<E>(E::default()); 2]; self.live.weights.len()];
        let Room { pixels, gradients, results, mean, var } = room;
        for (i, (x, g)) in x.chunks(n_in).zip(g.chunks(n_out)).enumerate() {
            if x.len() < n_in {
                gradients.clear(); // those of missing images are zero
            }
            pixels.fill_some(x, None, |channel| self.channels[channel]);
            let slope = slope.map(|slope| &slope[i * n_out..][..g.len()]);
            gradients.fill_some(g, slope, |output| self.used[output]);
            let ([pixels, _], both) = (pixels.both(), gradients.both());
            for (weight, sums) in self.live.weights.iter().zip(&mut sums) {
                let start = weight.output * back.plane() + back.first();
                let both = both.map(|numbers| numbers.get(start..).unwrap_or_default());
                let pixels = &pixels[self.live.offset(&shape, weight.col)..];
                dots(pixels, both, [shape.row(), back.row()], [shape.to[0], shape.side * shape.to[1]], sums);
            }
            let Some(d_x) = &mut d_x else { continue };
            let d_x = &mut d_x[i * n_in..][..x.len()];
            for channel in (0..geometry.channels).filter(|channel| self.channels[*channel]) {
                self.vectors.compute(self.noisy, &self.terms, channel, both, results);
                let mean = results.images(&results.means, 0, mean);
                let var = if self.noisy { results.images(&results.variances, 0, var) } else { &[] };
                input::finish(channel, [mean, var], x, d_x, [geometry.channels, back.to[0] * back.to[1]]);
            }
        }
        sums
    }
}

/// Adds the products of planes' rows of `width` numbers, which is whole vectors: of `x` with `g` and, unless it is empty,
/// of `x²` with `h`.
#[inline(never)]
fn dots<E: Elem>(
    x: &[E],
    [g, h]: [&[E]; 2],
    steps: [usize; 2],
    [height, width]: [usize; 2],
    [mean, variance]: &mut [E::Lanes; 2],
) {
    let lanes = E::Lanes::WIDTH;
    let mut means = [splat::<E>(E::default()); 2];
    let mut variances = means;
    for row in 0..height {
        let x = x[row * steps[0]..][..width].chunks_exact(lanes);
        let g = g[row * steps[1]..][..width].chunks_exact(lanes);
        if h.is_empty() {
            for (x, g) in x.zip(g) {
                means = [means[1], E::Lanes::load(x).mul_add(E::Lanes::load(g), means[0])];
            }
            continue;
        }
        let h = h[row * steps[1]..][..width].chunks_exact(lanes);
        for (x, (g, h)) in x.zip(g.zip(h)) {
            let x = E::Lanes::load(x);
            means = [means[1], x.mul_add(E::Lanes::load(g), means[0])];
            variances = [variances[1], (x * x).mul_add(E::Lanes::load(h), variances[0])];
        }
    }
    *mean = *mean + means[0] + means[1];
    *variance = *variance + variances[0] + variances[1];
}
