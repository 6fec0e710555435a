//! Convolutions with few live weights: each is multiplied alone with the vectors of positions that read it. What is
//! masked costs nothing, and neither does a channel that no live weight reads.

use std::ops::Range;

use rayon::prelude::*;
use sparsevd_priors::Lane;

use super::planes::{Planes, Results};
use super::shape::Shape;
use super::{forward, input};
use crate::compute::cpu::buffer::Buffer;
use crate::compute::cpu::unfold::Geometry;
use crate::compute::cpu::weights::splat;
use crate::compute::elem::Elem;

/// The vectors of positions that are computed together.
const TOGETHER: usize = 4;

/// The vectors in a plane of results from which on the time of a weight is that of its products.
const PLANE: usize = 16;

/// A weight that is not masked.
#[derive(Clone, Copy)]
pub(in super::super) struct Weight<E> {
    pub(in super::super) output: usize,
    /// Its place among the weights of the output.
    pub(in super::super) col: usize,
    /// Its mean and, with noise, its variance.
    pub(in super::super) moments: [E; 2],
}

/// A convolution with the weights that are not masked, output by output.
pub(in super::super) struct Live<'a, E> {
    pub(in super::super) geometry: &'a Geometry,
    pub(in super::super) outputs: usize,
    pub(in super::super) weights: Vec<Weight<E>>,
}

/// A weight as the kernel reads it.
#[derive(Clone, Copy)]
struct Term<E> {
    /// The distance from a result to the number that the weight multiplies.
    offset: usize,
    moments: [E; 2],
}

/// The terms of every result, result by result.
struct Terms<E> {
    terms: Vec<Term<E>>,
    /// The range of every result.
    ranges: Vec<Range<usize>>,
    /// The largest offset.
    reach: usize,
}

impl<E: Elem> Terms<E> {
    /// Sorts terms by their result.
    fn new(results: usize, mut terms: Vec<(usize, Term<E>)>) -> Self {
        terms.sort_by_key(|(result, _)| *result);
        let before = |result: usize| terms.partition_point(|term| term.0 < result);
        let ranges = (0..results).map(|result| before(result)..before(result + 1)).collect();
        let reach = terms.iter().map(|(_, term)| term.offset).max().unwrap_or(0);
        Terms { ranges, reach, terms: terms.into_iter().map(|(_, term)| term).collect() }
    }

    fn of(&self, result: usize) -> &[Term<E>] {
        &self.terms[self.ranges[result].clone()]
    }
}

/// The vectors of a plane of results: the number that tap 0 reads, and the place among the results.
struct Vectors(Vec<[usize; 2]>);

impl Vectors {
    fn of<E: Elem>(shape: &Shape) -> Self {
        let row = |row: usize| {
            let vectors = (0..shape.side * shape.to[1]).step_by(E::Lanes::WIDTH);
            vectors.map(move |at| [row * shape.row() + at, row * shape.results::<E>() + at])
        };
        Vectors((0..shape.to[0]).flat_map(row).collect())
    }

    /// Computes the results of a channel: `from` are the numbers of the means and of the variances, which are the
    /// squares if they are not given.
    fn compute<E: Elem>(&self, noisy: bool, terms: &Terms<E>, result: usize, from: [&[E]; 2], to: &mut Results<E>) {
        let own = terms.of(result);
        for vectors in self.0.chunks(TOGETHER) {
            let last = vectors.len() - 1;
            let lines = std::array::from_fn(|m: usize| {
                let end = if from[m].is_empty() { 0 } else { terms.reach + E::Lanes::WIDTH };
                std::array::from_fn(|i: usize| {
                    let start = if end == 0 { 0 } else { vectors[i.min(last)][0] };
                    &from[m][start..start + end]
                })
            });
            let [mean, var] = match (noisy, from[1].is_empty()) {
                (false, _) => sums::<E, false, false>(own, lines),
                (true, true) => sums::<E, true, true>(own, lines),
                (true, false) => sums::<E, true, false>(own, lines),
            };
            for (i, [_, place]) in vectors.iter().enumerate() {
                mean[i].store(&mut to.means[*place..place + E::Lanes::WIDTH]);
                if noisy {
                    var[i].store(&mut to.variances[*place..place + E::Lanes::WIDTH]);
                }
            }
        }
    }
}

/// The sums of some terms at some vectors, of the means and of the variances.
#[inline(never)]
fn sums<E: Elem, const NOISY: bool, const SQUARE: bool>(
    terms: &[Term<E>],
    lines: [[&[E]; TOGETHER]; 2],
) -> [[E::Lanes; TOGETHER]; 2] {
    let [mut means, mut variances] = [[splat::<E>(E::default()); TOGETHER]; 2];
    for term in terms {
        let place = term.offset..term.offset + E::Lanes::WIDTH;
        let [mean, variance] = term.moments.map(splat::<E>);
        for v in 0..TOGETHER {
            let x = E::Lanes::load(&lines[0][v][place.clone()]);
            means[v] = mean.mul_add(x, means[v]);
            if NOISY {
                let s = if SQUARE { x * x } else { E::Lanes::load(&lines[1][v][place.clone()]) };
                variances[v] = variance.mul_add(s, variances[v]);
            }
        }
    }
    [means, variances]
}

impl<E: Elem> Live<'_, E> {
    /// Images side by side: so many that a row of results is whole vectors, and a plane some of them.
    fn side(&self) -> usize {
        let [height, width] = self.geometry.outputs;
        let lanes = E::Lanes::WIDTH;
        let fits =
            |side: &usize| side * width % lanes == 0 && (side * width * height >= PLANE * lanes || *side >= lanes);
        (0..).map(|power| 1 << power).find(fits).unwrap_or(1)
    }

    fn of_images(&self) -> Shape {
        Shape::of_images::<E>(self.geometry, 1).padded(self.side())
    }

    fn of_gradients(&self) -> Shape {
        Shape::of_gradients::<E>(self.geometry, self.outputs, 1).padded(self.side())
    }

    /// The channel that a weight reads, and the row and column of its tap.
    fn tap(&self, col: usize) -> (usize, [usize; 2]) {
        let kernel = self.geometry.window.kernel;
        (col / (kernel * kernel), [col / kernel % kernel, col % kernel])
    }

    /// The distance from an output to the pixel that a weight reads.
    fn offset(&self, shape: &Shape, col: usize) -> usize {
        let (channel, [y, x]) = self.tap(col);
        channel * shape.plane() + shape.dilation * (y * shape.row() + x * shape.side)
    }

    /// True for the channels that a live weight reads.
    fn channels(&self) -> Vec<bool> {
        let mut live = vec![false; self.geometry.channels];
        self.weights.iter().for_each(|weight| live[self.tap(weight.col).0] = true);
        live
    }

    /// Computes the output of a batch; `eps` becomes the derivative of the output by its variance.
    pub(in super::super) fn forward(&self, bias: &[E], x: &[E], y: &mut [E], eps: Option<&mut [E]>) {
        let (pixels, positions, outputs) = (self.geometry.pixels(), self.geometry.positions(), self.outputs);
        let (shape, live) = (self.of_images(), self.channels());
        let term = |weight: &Weight<E>| {
            (weight.output, Term { offset: self.offset(&shape, weight.col), moments: weight.moments })
        };
        let terms = Terms::new(outputs, self.weights.iter().map(term).collect());
        let (vectors, noisy) = (Vectors::of::<E>(&shape), eps.is_some());
        let (n_in, n_out) = (shape.side * pixels, shape.side * outputs * positions);
        let eps: Vec<&mut [E]> = match eps {
            Some(eps) => eps.chunks_mut(n_out).collect(),
            None => x.chunks(n_in).map(|_| &mut [][..]).collect(),
        };
        let zeros = Buffer::zeros(shape.side * positions);
        let room = || {
            let [mean, var] = [0; 2].map(|_| Buffer::any(shape.side * positions));
            (Planes::zeros(shape, false), Results::any(shape, 1, noisy), mean, var)
        };
        let groups = x.par_chunks(n_in).zip(y.par_chunks_mut(n_out)).zip(eps);
        groups.for_each_init(room, |(planes, results, mean, var), ((x, y), eps)| {
            planes.fill_some(x, None, |channel| live[channel]);
            for output in 0..outputs {
                let [mean, var]: [&[E]; 2] = if terms.of(output).is_empty() {
                    [&zeros, &zeros]
                } else {
                    vectors.compute(noisy, &terms, output, planes.both(), results);
                    let var = if noisy { results.images(&results.variances, 0, var) } else { &[] };
                    [results.images(&results.means, 0, mean), var]
                };
                let var = if noisy { var } else { &[] };
                forward::finish(output, bias, [mean, var], [&mut *y, &mut *eps], [outputs, positions]);
            }
        });
    }

    /// True for the outputs that have a live weight.
    fn used(&self) -> Vec<bool> {
        let mut used = vec![false; self.outputs];
        self.weights.iter().for_each(|weight| used[weight.output] = true);
        used
    }

    /// Adds to the gradient of the batch, unless it is `None`, and returns those of the weights: of the means, weight by
    /// weight, and with noise of the variances. The batch is cut into at most `parts`, whose sums are added in order.
    pub(in super::super) fn backward(
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
