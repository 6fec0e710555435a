//! The gradient of the images.

use rayon::prelude::*;

use super::Pair;
use super::pack::{BLOCK, Packed, Source};
use super::planes::{Planes, Results};
use super::shape::Shape;
use super::tile;
use crate::compute::cpu::buffer::Buffer;
use crate::compute::cpu::unfold::Geometry;
use crate::compute::elem::Elem;

/// Adds to `d_x` the gradient of a batch, given that of the output, `g`, and with noise the derivative of each output by
/// its variance.
pub(in super::super) fn add_input_gradient<E: Elem>(
    geometry: &Geometry,
    outputs: usize,
    weights: Pair<'_, E>,
    [x, g]: Pair<'_, E>,
    slope: Option<&[E]>,
    d_x: &mut [E],
) {
    let (pixels, positions) = (geometry.pixels(), geometry.positions());
    let area = geometry.window.kernel * geometry.window.kernel;
    let shape = Shape::of_gradients::<E>(geometry, outputs, x.len() / pixels);
    let source = Source { results: geometry.channels, channels: outputs, taps: area, turned: true };
    let packed = Packed::of(&source, weights);
    let (n_in, n_out) = (shape.side * pixels, shape.side * outputs * positions);
    let slopes: Vec<_> = match slope {
        Some(slope) => slope.chunks(n_out).map(Some).collect(),
        None => x.chunks(n_in).map(|_| None).collect(),
    };
    let (noisy, plane) = (slope.is_some(), pixels / geometry.channels);
    let room = || {
        let [mean, var] = [0; 2].map(|_| Buffer::any(shape.side * plane));
        (Planes::zeros(shape, noisy), Results::any(shape, BLOCK, noisy), mean, var)
    };
    let groups = x.par_chunks(n_in).zip(g.par_chunks(n_out)).zip(slopes).zip(d_x.par_chunks_mut(n_in));
    groups.for_each_init(room, |(planes, results, mean, var), (((x, g), slope), d_x)| {
        planes.fill(g, slope);
        for block in packed.blocks() {
            tile::block(&shape, &block, planes.both(), results);
            for (own, channel) in (block.first..geometry.channels.min(block.first + block.size)).enumerate() {
                let mean = results.images(&results.means, own, mean);
                let var = if noisy { results.images(&results.variances, own, var) } else { &[] };
                finish(channel, [mean, var], x, d_x, [geometry.channels, plane]);
            }
        }
    });
}

/// Adds to a channel of some images the gradient by way of the means and, if there are any, of the variances.
pub(super) fn finish<E: Elem>(
    channel: usize,
    [mean, var]: Pair<'_, E>,
    x: &[E],
    d_x: &mut [E],
    [channels, plane]: [usize; 2],
) {
    let two = E::of(2.0);
    for image in 0..x.len() / (channels * plane) {
        let (at, own) = ((image * channels + channel) * plane, image * plane..(image + 1) * plane);
        let d_x = d_x[at..at + plane].iter_mut().zip(&mean[own.clone()]);
        if var.is_empty() {
            d_x.for_each(|(to, mean)| *to += *mean);
        } else {
            let var = x[at..at + plane].iter().zip(&var[own]);
            d_x.zip(var).for_each(|((to, mean), (x, var))| *to += *mean + two * *x * *var);
        }
    }
}
