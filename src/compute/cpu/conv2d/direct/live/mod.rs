//! Convolutions with few live weights: each is multiplied alone with the vectors of positions that read it. What is
//! masked costs nothing, and neither does a channel that no live weight reads.

mod backward;
mod terms;

use rayon::prelude::*;
use sparsevd_priors::Lane;

use super::forward;
use super::planes::{Planes, Results};
use super::shape::Shape;
use crate::compute::cpu::buffer::Buffer;
use crate::compute::cpu::unfold::Geometry;
use crate::compute::elem::Elem;
use terms::{Term, Terms, Vectors};

/// The vectors in a plane of results from which on the time of a weight is that of its products.
const PLANE: usize = 16;

/// A weight that is not masked.
#[derive(Clone, Copy)]
pub(in crate::compute::cpu::conv2d) struct Weight<E> {
    pub(in crate::compute::cpu::conv2d) output: usize,
    /// Its place among the weights of the output.
    pub(in crate::compute::cpu::conv2d) col: usize,
    /// Its mean and, with noise, its variance.
    pub(in crate::compute::cpu::conv2d) moments: [E; 2],
}

/// A convolution with the weights that are not masked, output by output.
pub(in crate::compute::cpu::conv2d) struct Live<'a, E> {
    pub(in crate::compute::cpu::conv2d) geometry: &'a Geometry,
    pub(in crate::compute::cpu::conv2d) outputs: usize,
    pub(in crate::compute::cpu::conv2d) weights: Vec<Weight<E>>,
}

impl<E: Elem> Live<'_, E> {
    /// Images side by side: so many that a row of results is whole vectors, and a plane some of them.
    fn side(&self) -> usize {
        let [height, width] = self.geometry.outputs;
        let lanes = E::Lanes::WIDTH;
        let fits = |side: &usize| {
            (side * width).is_multiple_of(lanes) && (side * width * height >= PLANE * lanes || *side >= lanes)
        };
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
    pub(in crate::compute::cpu::conv2d) fn forward(&self, bias: &[E], x: &[E], y: &mut [E], eps: Option<&mut [E]>) {
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
}
