//! The weights in the order in which the kernel reads them.

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

/// The place of the weights of every result: `channels` runs of `taps` weights.
pub(super) struct Source {
    pub(super) results: usize,
    pub(super) channels: usize,
    pub(super) taps: usize,
    /// The distances from one result to the next, and from one channel to the next.
    pub(super) steps: [usize; 2],
    /// True if the taps are in the opposite order.
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
                let weights = &weights[first * source.steps[0]..];
                match if results < first + size { 0 } else { size } {
                    2 => source.pack::<E, 2>(weights, to),
                    4 => source.pack::<E, 4>(weights, to),
                    6 => source.pack::<E, 6>(weights, to),
                    8 => source.pack::<E, 8>(weights, to),
                    10 => source.pack::<E, 10>(weights, to),
                    12 => source.pack::<E, 12>(weights, to),
                    _ => source.pack_some(weights, results - first, size, to),
                }
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
    /// Packs one moment of `B` results.
    fn pack<E: Elem, const B: usize>(&self, from: &[E], to: &mut [E]) {
        let channels = to.chunks_exact_mut(self.taps * B).enumerate();
        for (channel, to) in channels {
            let lines: [&[E]; B] =
                std::array::from_fn(|b| &from[channel * self.steps[1] + b * self.steps[0]..][..self.taps]);
            let to = to.as_chunks_mut::<B>().0.iter_mut();
            let put = |(tap, to): (usize, &mut [E; B])| (0..B).for_each(|b| to[b] = lines[b][tap]);
            if self.turned { to.rev().enumerate().for_each(put) } else { to.enumerate().for_each(put) }
        }
    }

    /// The same for the last results, one fewer than the block has; the weights of what is missing are zero.
    fn pack_some<E: Elem>(&self, from: &[E], left: usize, size: usize, to: &mut [E]) {
        for (i, to) in to.chunks_exact_mut(size).enumerate() {
            let (channel, tap) = (i / self.taps, i % self.taps);
            let tap = if self.turned { self.taps - 1 - tap } else { tap };
            for (result, to) in to.iter_mut().enumerate() {
                let at = channel * self.steps[1] + result * self.steps[0] + tap;
                *to = if result < left { from[at] } else { E::default() };
            }
        }
    }
}

/// The first result and the size of every block, an even number. The sizes differ by at most 2.
fn blocks(results: usize) -> impl Iterator<Item = (usize, usize)> {
    let (pairs, count) = (results.div_ceil(2), results.div_ceil(BLOCK));
    (0..count).map(move |i| (2 * (pairs * i / count), 2 * (pairs * (i + 1) / count - pairs * i / count)))
}
