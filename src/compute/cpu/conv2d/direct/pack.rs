//! The weights in the order in which the kernel reads them.

use super::turn::turn;
use crate::compute::cpu::buffer::Buffer;
use crate::compute::elem::Elem;

/// The most results in a block.
pub(super) const BLOCK: usize = 12;

/// Packed weights: a block of results after the other. In a block lie the means, for every channel and tap those of all
/// its results, and then, if there are any, the variances.
pub(super) struct Packed<E: Elem> {
    numbers: Buffer<E>,
    /// Channels times taps.
    depth: usize,
    results: usize,
    /// 2 with variances, otherwise 1.
    moments: usize,
}

/// Some results that the kernel computes together.
pub(super) struct Block<'a, E> {
    pub(super) first: usize,
    /// Number of results, rounded up to an even one.
    pub(super) size: usize,
    /// The means, and the variances if there are any.
    pub(super) moments: [&'a [E]; 2],
}

/// The order of the weights that are packed.
pub(super) struct Source {
    pub(super) results: usize,
    pub(super) channels: usize,
    pub(super) taps: usize,
    /// True for the weights of the transpose: a row per channel instead of one per result, and the taps in the opposite
    /// order.
    pub(super) turned: bool,
}

impl<E: Elem> Packed<E> {
    /// Packs means and, unless they are empty, variances.
    pub(super) fn of(source: &Source, [means, variances]: [&[E]; 2]) -> Self {
        let (results, depth) = (source.results, source.channels * source.taps);
        let moments = if variances.is_empty() { 1 } else { 2 };
        let mut numbers = Buffer::any(moments * depth * blocks(results).map(|(_, size)| size).sum::<usize>());
        for (first, size) in blocks(results) {
            let to = &mut numbers[moments * depth * first..][..moments * depth * size];
            for (to, weights) in to.chunks_exact_mut(depth * size).zip([means, variances]) {
                source.pack(weights, first, size, to);
            }
        }
        Packed { numbers, depth, results, moments }
    }

    pub(super) fn blocks(&self) -> impl Iterator<Item = Block<'_, E>> {
        let each = self.moments * self.depth;
        blocks(self.results).map(move |(first, size)| {
            let numbers = &self.numbers[each * first..][..each * size];
            let (means, variances) = numbers.split_at(self.depth * size);
            Block { first, size, moments: [means, variances] }
        })
    }
}

impl Source {
    /// Packs one moment of `size` results; the weights of those that are missing are zero.
    fn pack<E: Elem>(&self, from: &[E], first: usize, size: usize, to: &mut [E]) {
        let Source { results, channels, taps, turned } = *self;
        let rows = size.min(results - first);
        if rows < size {
            to.fill(E::default());
        }
        if turned {
            let places: Vec<_> = (0..taps).rev().map(|tap| tap * size).collect();
            for (channel, to) in to.chunks_exact_mut(taps * size).enumerate() {
                turn(&from[(channel * results + first) * taps..], taps, rows, &places, to);
            }
        } else {
            let places: Vec<_> = (0..channels * taps).map(|i| i * size).collect();
            turn(&from[first * places.len()..], places.len(), rows, &places, to);
        }
    }
}

/// The first result and the size of every block, an even number. The sizes differ by at most 2.
fn blocks(results: usize) -> impl Iterator<Item = (usize, usize)> {
    let (pairs, count) = (results.div_ceil(2), results.div_ceil(BLOCK));
    (0..count).map(move |i| (2 * (pairs * i / count), 2 * (pairs * (i + 1) / count - pairs * i / count)))
}
