//! The output.

use rayon::prelude::*;

use super::super::Noise;
use super::Pair;
use super::pack::{BLOCK, Packed, Source};
use super::planes::{Planes, Results};
use super::shape::Shape;
use super::tile;
use crate::compute::cpu::buffer::Buffer;
use crate::compute::cpu::unfold::Geometry;
use crate::compute::elem::Elem;
use crate::compute::noise;

/// True if the outputs of the images that are computed together have whole blocks of noise, which can be drawn alone.
pub(in super::super) fn draws<E: Elem>(geometry: &Geometry, outputs: usize, images: usize) -> bool {
    let side = Shape::of_images::<E>(geometry, images).side;
    (side * outputs * geometry.positions()).is_multiple_of(noise::BLOCK)
}

/// Computes the output of a batch. The weights have a row per output; without noise there are no variances. A seed is
/// only for what [`draws`].
pub(in super::super) fn forward<E: Elem>(
    geometry: &Geometry,
    outputs: usize,
    weights: Pair<'_, E>,
    bias: &[E],
    x: &[E],
    y: &mut [E],
    noise: Option<Noise<'_, E>>,
) {
    let (pixels, positions) = (geometry.pixels(), geometry.positions());
    let shape = Shape::of_images::<E>(geometry, x.len() / pixels);
    let (noisy, seed) = (noise.is_some(), noise.as_ref().and_then(|noise| noise.seed));
    let taps = geometry.window.kernel * geometry.window.kernel;
    let source = Source { results: outputs, channels: geometry.channels, taps, turned: false };
    let packed = Packed::of(&source, weights);
    let (n_in, n_out) = (shape.side * pixels, shape.side * outputs * positions);
    let eps: Vec<&mut [E]> = match noise {
        Some(noise) => noise.eps.chunks_mut(n_out).collect(),
        None => x.chunks(n_in).map(|_| &mut [][..]).collect(),
    };
    let room = || {
        let [mean, var] = [0; 2].map(|_| Buffer::any(shape.side * positions));
        (Planes::zeros(shape, noisy), Results::any(shape, BLOCK, noisy), mean, var)
    };
    let groups = x.par_chunks(n_in).zip(y.par_chunks_mut(n_out)).zip(eps).enumerate();
    groups.for_each_init(room, |(planes, results, mean, var), (group, ((x, y), eps))| {
        if let Some(seed) = seed {
            let first = group * n_out / noise::BLOCK;
            let blocks = eps.chunks_mut(noise::BLOCK).enumerate();
            blocks.for_each(|(i, eps)| noise::fill(seed.of_block((first + i) as u64), eps));
        }
        planes.fill(x, noisy.then_some(x));
        for block in packed.blocks() {
            tile::block(&shape, &block, planes.both(), results);
            for (own, output) in (block.first..outputs.min(block.first + block.size)).enumerate() {
                let mean = results.images(&results.means, own, mean);
                let var = if noisy { results.images(&results.variances, own, var) } else { &[] };
                finish(output, bias, [mean, var], [&mut *y, &mut *eps], [outputs, positions]);
            }
        }
    });
}

/// Writes an output channel of some images: the mean, the bias and, if there are variances, the noise.
pub(super) fn finish<E: Elem>(
    output: usize,
    bias: &[E],
    [mean, var]: Pair<'_, E>,
    [y, eps]: [&mut [E]; 2],
    [outputs, positions]: [usize; 2],
) {
    let b = bias.get(output).copied().unwrap_or_default();
    for image in 0..y.len() / (outputs * positions) {
        let at = (image * outputs + output) * positions..(image * outputs + output + 1) * positions;
        let own = image * positions..(image + 1) * positions;
        y[at.clone()].iter_mut().zip(&mean[own.clone()]).for_each(|(y, mean)| *y = *mean + b);
        if !var.is_empty() {
            noise::add(&mut y[at.clone()], &mut eps[at], &var[own]);
        }
    }
}
