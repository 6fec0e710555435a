//! Passes over a batch with one set of constants per channel. They go through memory in order, an example at a time.

use dfdx::prelude::Shape;
use rayon::prelude::*;

use crate::compute::elem::Elem;
use crate::compute::threads::CHUNK;

/// The numbers that are summed side by side.
const WIDTH: usize = 32;
/// From this area on, the passes loop over the numbers of a channel, otherwise over those of an example.
const BY_CHANNEL: usize = 64;
/// The most numbers that are summed in the precision of the batch before they are added to a sum in `f64`.
const TERMS: usize = 64;

/// The memory layout of a batch: `(batch, channels, area)`.
#[derive(Clone, Copy)]
pub(super) struct Planes {
    pub(super) channels: usize,
    /// The numbers of a channel in one example.
    pub(super) area: usize,
}

/// One number per channel, or per number of an example if a channel has too few of them for a loop of its own.
pub(super) struct Constants<E>(Vec<E>);

impl Planes {
    /// The layout of a tensor with this shape.
    pub(super) fn of<S: Shape>(channels: usize, shape: &S) -> Self {
        Planes { channels, area: shape.concrete().into_iter().skip(2).product() }
    }

    /// True if the passes loop over channels; false if they loop over a whole example, with written-out constants.
    fn by_channel(self) -> bool {
        self.area >= BY_CHANNEL
    }

    /// The numbers of an example.
    fn example(self) -> usize {
        self.channels * self.area
    }

    /// The numbers of a task: whole examples.
    fn piece(self) -> usize {
        let example = self.example().max(1);
        example * (CHUNK / example).max(1)
    }

    /// `of(channel)` for every channel.
    pub(super) fn constants<E: Elem>(self, of: impl Fn(usize) -> E) -> Constants<E> {
        if self.by_channel() {
            Constants((0..self.channels).map(of).collect())
        } else {
            Constants((0..self.example()).map(|i| of(i / self.area)).collect())
        }
    }

    /// Runs `f(the channel's constants, a number of a, the number of b at the same place)` for all numbers.
    pub(super) fn change<E: Elem, B: Send, const K: usize>(
        self,
        constants: [&Constants<E>; K],
        a: &mut [E],
        b: &mut [B],
        f: impl Fn([E; K], &mut E, &mut B) + Sync,
    ) {
        let n = self.piece();
        a.par_chunks_mut(n).zip(b.par_chunks_mut(n)).for_each(|(a, b)| {
            if self.by_channel() {
                for (i, (a, b)) in a.chunks_mut(self.area).zip(b.chunks_mut(self.area)).enumerate() {
                    let k = constants.map(|k| k.0[i % self.channels]);
                    a.iter_mut().zip(b).for_each(|(a, b)| f(k, a, b));
                }
            } else {
                for (a, b) in a.chunks_mut(self.example()).zip(b.chunks_mut(self.example())) {
                    let constants = constants.map(|k| &k.0[..a.len()]);
                    let b = &mut b[..a.len()];
                    for i in 0..a.len() {
                        f(constants.map(|k| k[i]), &mut a[i], &mut b[i]);
                    }
                }
            }
        });
    }

    /// The sums of `f(the channel's constant, a number of a, the number of b at the same place)` over each channel.
    pub(super) fn sums<E: Elem>(
        self,
        constants: &Constants<E>,
        [a, b]: [&[E]; 2],
        f: impl Fn(E, E, E) -> [E; 2] + Sync,
    ) -> Vec<[f64; 2]> {
        let n = self.piece();
        let of_piece = |(a, b): (&[E], &[E])| {
            let mut sums = vec![[0.0; 2]; self.channels];
            if self.by_channel() {
                for (i, (a, b)) in a.chunks(self.area).zip(b.chunks(self.area)).enumerate() {
                    let c = i % self.channels;
                    add(&mut sums[c], of_plane(a, b, |a, b| f(constants.0[c], a, b)));
                }
            } else {
                let mut rows = [vec![E::default(); self.example()], vec![E::default(); self.example()]];
                for (a, b) in a.chunks(TERMS * self.example()).zip(b.chunks(TERMS * self.example())) {
                    rows.iter_mut().for_each(|row| row.fill(E::default()));
                    let [s, t] = &mut rows;
                    for (a, b) in a.chunks(self.example()).zip(b.chunks(self.example())) {
                        let terms = constants.0.iter().zip(a.iter().zip(b)).map(|(k, (a, b))| f(*k, *a, *b));
                        s.iter_mut().zip(t.iter_mut()).zip(terms).for_each(|((s, t), [a, b])| {
                            *s += a;
                            *t += b;
                        });
                    }
                    let rows = s.chunks(self.area).zip(t.chunks(self.area));
                    sums.iter_mut().zip(rows).for_each(|(sums, (s, t))| add(sums, [s, t].map(total)));
                }
            }
            sums
        };
        let pieces: Vec<_> = a.par_chunks(n).zip(b.par_chunks(n)).map(of_piece).collect();
        let mut total = vec![[0.0; 2]; self.channels];
        pieces.iter().for_each(|sums| total.iter_mut().zip(sums).for_each(|(to, sums)| add(to, *sums)));
        total
    }
}

fn add(to: &mut [f64; 2], sums: [f64; 2]) {
    *to = [to[0] + sums[0], to[1] + sums[1]];
}

/// The sum, of eight numbers at a time so that few additions wait for each other.
fn total<E: Elem>(numbers: &[E]) -> f64 {
    let (eights, rest) = numbers.as_chunks::<8>();
    let mut sums = [0.0; 8];
    eights.iter().for_each(|eight| sums.iter_mut().zip(eight).for_each(|(sum, x)| *sum += x.f64()));
    let [a, b, c, d, e, f, g, h] = sums;
    let sum = ((a + b) + (c + d)) + ((e + f) + (g + h));
    rest.iter().fold(sum, |sum, x| sum + x.f64())
}

/// The sums of `f` over two slices of the same length.
#[inline(always)]
fn of_plane<E: Elem>(a: &[E], b: &[E], f: impl Fn(E, E) -> [E; 2]) -> [f64; 2] {
    let mut total = [0.0; 2];
    for (a, b) in a.chunks(TERMS * WIDTH).zip(b.chunks(TERMS * WIDTH)) {
        let (a, a_rest) = a.as_chunks::<WIDTH>();
        let (b, b_rest) = b.as_chunks::<WIDTH>();
        let mut sums = [[E::default(); WIDTH]; 2];
        for (a, b) in a.iter().zip(b) {
            for i in 0..WIDTH {
                let [s, t] = f(a[i], b[i]);
                sums[0][i] += s;
                sums[1][i] += t;
            }
        }
        add(&mut total, sums.map(|sums| self::total(&sums)));
        a_rest.iter().zip(b_rest).for_each(|(a, b)| add(&mut total, f(*a, *b).map(Elem::f64)));
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In both kinds of loops, with remainders, and in more data than one task has.
    #[test]
    fn every_number_meets_the_constants_of_its_channel() {
        for (channels, area, batch) in [(3, 1, 5), (5, 9, 2000), (2, 63, 7), (2, 64, 200), (3, 1101, 11)] {
            let planes = Planes { channels, area };
            let channel = |i: usize| i / area % channels;
            let x: Vec<f64> = (0..batch * channels * area).map(|i| (i as f64).sin()).collect();
            let constants = planes.constants(|c| 1.0 + c as f64);
            let mut sums = vec![[0.0; 2]; channels];
            x.iter().enumerate().for_each(|(i, x)| add(&mut sums[channel(i)], [*x, (1.0 + channel(i) as f64) * x * x]));
            let found = planes.sums(&constants, [&x, &x], |k, a, b| [a, k * a * b]);
            let near = |(a, b): (&[f64; 2], &[f64; 2])| (0..2).all(|i| (a[i] - b[i]).abs() < 1e-9);
            assert!(found.iter().zip(&sums).all(near), "{channels} x {area}: {found:?} {sums:?}");

            let (mut a, mut b) = (x.clone(), vec![0.0; x.len()]);
            planes.change([&constants], &mut a, &mut b, |[k], a, b| {
                *b = *a;
                *a += k;
            });
            assert_eq!(b, x);
            assert!((0..x.len()).all(|i| a[i] == x[i] + (1.0 + channel(i) as f64)));
        }
    }

    /// Sums in single precision are those in double to rounding, also over many examples.
    #[test]
    fn single_precision_sums_do_not_drift() {
        for (channels, area, batch) in [(1, 1, 100_000), (2, 16, 5000), (1, 40_000, 3)] {
            let planes = Planes { channels, area };
            let x = vec![0.1_f32; channels * area * batch];
            let sums = planes.sums(&planes.constants(|_| 0.0), [&x, &x], |_, x, _| [x, -x]);
            let exact = f64::from(0.1_f32) * (area * batch) as f64;
            assert!(sums.iter().flatten().all(|sum| (sum.abs() / exact - 1.0).abs() < 2e-6), "{sums:?} {exact}");
        }
    }
}
