//! Standard normal noise that does not depend on the number of threads.

use rayon::prelude::*;
use sparsevd_priors::{Lane, Lanes, Real};
use wide::{f32x16, u32x16};

use super::elem::Elem;
use super::seeds::Seed;
use super::threads::PARALLEL;
use crate::spec::VARIANCE_FLOOR;

/// The length of a block. Each block has its own generator, so that blocks can be drawn in any order.
pub(crate) const BLOCK: usize = 1024;

/// Fills `out` with draws from N(0, 1) that depend on `seed` alone.
///
/// Single precision throughout: 24 bits of resolution, `|ε| <= 6.0`.
pub(crate) fn fill<E: Elem>(seed: Seed, out: &mut [E]) {
    fill_pairs(seed, out, |generator| box_muller(unit(generator.next()), unit(generator.next())));
}

/// Fills `out` with a dropout mask: 0 with probability `rate`, otherwise `1 / (1 - rate)`.
pub(crate) fn fill_mask<E: Elem>(seed: Seed, rate: f64, out: &mut [E]) {
    let (rate, kept) = (f32x16::splat(rate as f32), f32x16::splat((1.0 - rate).recip() as f32));
    let keep = move |generator: &mut Xoshiro| unit(generator.next()).simd_gt(rate).select(kept, f32x16::splat(0.0));
    fill_pairs(seed, out, move |generator| [keep(generator), keep(generator)]);
}

/// `y += sqrt(var + floor) eps`; `eps` becomes `eps / (2 std)`.
pub(crate) fn add<E: Elem>(y: &mut [E], eps: &mut [E], var: &[E]) {
    let width = E::Lanes::WIDTH;
    for ((y, var), eps) in y.chunks_mut(width).zip(var.chunks(width)).zip(eps.chunks_mut(width)) {
        let [std, recip] = E::Lanes::load(var).shift(VARIANCE_FLOOR).root_and_recip();
        let noise = E::Lanes::load(eps);
        noise.mul_add(std, E::Lanes::load(y)).store(y);
        (noise.scale(0.5) * recip).store(eps);
    }
}

/// Fills `out` 32 numbers at a time.
fn fill_pairs<E: Elem>(seed: Seed, out: &mut [E], draw: impl Fn(&mut Xoshiro) -> [f32x16; 2] + Sync) {
    let block = |(index, block): (usize, &mut [E])| {
        let mut generator = Xoshiro::new(seed.of_block(index as u64));
        let (pairs, rest) = block.as_chunks_mut::<32>();
        for pair in pairs {
            let (first, second) = pair.split_at_mut(16);
            let [x, y] = draw(&mut generator);
            store(x, first);
            store(y, second);
        }
        let last = if rest.is_empty() { [f32x16::splat(0.0); 2] } else { draw(&mut generator) };
        rest.chunks_mut(16).zip(last).for_each(|(to, from)| store(from, to));
    };
    if out.len() < PARALLEL {
        out.chunks_mut(BLOCK).enumerate().for_each(block);
    } else {
        out.par_chunks_mut(BLOCK).with_min_len(4).enumerate().for_each(block);
    }
}

/// Stores as many numbers as there is room for.
#[inline(always)]
fn store<E: Elem>(from: f32x16, to: &mut [E]) {
    to.iter_mut().zip(from.as_array()).for_each(|(to, x)| *to = E::of(f64::from(*x)));
}

/// Sixteen xoshiro128+ generators side by side (Blackman and Vigna 2018).
struct Xoshiro([u32x16; 4]);

impl Xoshiro {
    fn new(seed: Seed) -> Self {
        let mut word = seed.words();
        let mut lanes = || u32x16::new(std::array::from_fn(|_| word()));
        Xoshiro([lanes(), lanes(), lanes(), lanes()])
    }

    #[inline(always)]
    fn next(&mut self) -> u32x16 {
        let [a, b, c, d] = self.0;
        let result = a + d;
        let (c, d) = (c ^ a, d ^ b);
        self.0 = [a ^ d, b ^ c, c ^ (b << 9), (d << 11) | (d >> 21)];
        result
    }
}

/// Two standard normals from two uniforms: `sqrt(-2 ln u) (cos φ, sin φ)` with `φ = 2π (v - 1/2)`.
#[inline(always)]
fn box_muller(u: f32x16, v: f32x16) -> [f32x16; 2] {
    let radius = (Lanes(u).ln().0 * f32x16::splat(-2.0)).sqrt();
    on_circle(radius, v - f32x16::splat(0.5))
}

/// `radius (cos φ, sin φ)` with `φ = 2π turns`, for at most half a turn either way.
///
/// Half turns change the sign of both. The polynomials, in the square of the rest, have the smallest largest error on a
/// quarter of a turn: 7e-9 and 2e-10.
#[inline(always)]
fn on_circle(radius: f32x16, turns: f32x16) -> [f32x16; 2] {
    let all = f32x16::splat;
    let to_integer = all(12_582_912.0); // 1.5 * 2^23: adding it rounds, and leaves the integer in the last bits
    let shifted = turns.mul_add(all(2.0), to_integer);
    let r = (shifted - to_integer).mul_add(all(-0.5), turns);
    let sign: f32x16 = bytemuck::cast(bytemuck::cast::<f32x16, u32x16>(shifted) << 31);
    let radius = radius ^ sign;
    let (r2, r4) = (r * r, r * r * (r * r));
    let line = |slope: f32, at_0: f32| all(slope).mul_add(r2, all(at_0));
    let cos =
        line(-24.982_237, 60.144_016).mul_add(r4, line(-85.453_57, 64.939_35)).mul_add(r4, line(-19.739_208, 1.0));
    let sin = all(39.761_616).mul_add(r4, line(-76.581_4, 81.602_486)).mul_add(r4, line(-41.341_682, 6.283_185_5));
    [radius * cos, radius * r * sin]
}

/// The upper 24 bits as a number in (0, 1]; the largest rounds to 1.
#[inline(always)]
fn unit(bits: u32x16) -> f32x16 {
    let whole = f32x16::from_i32x16(bytemuck::cast(bits >> 8));
    (whole + f32x16::splat(0.5)) * f32x16::splat(1.0 / 16_777_216.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use statrs::distribution::{ContinuousCDF, Normal};

    fn draws(seed: u64, n: usize) -> Vec<f64> {
        let mut out = vec![0.0; n];
        fill(Seed(seed), &mut out);
        out
    }

    /// Kolmogorov-Smirnov: `sqrt(n) D > 1.95` happens by chance once in 1,000 seeds; this seed is fixed.
    fn kolmogorov_smirnov(mut x: Vec<f64>) -> f64 {
        x.sort_by(f64::total_cmp);
        let (n, normal) = (x.len() as f64, Normal::standard());
        let gap = |(i, x): (usize, &f64)| {
            let p = normal.cdf(*x);
            (p - i as f64 / n).abs().max((p - (i + 1) as f64 / n).abs())
        };
        n.sqrt() * x.iter().enumerate().map(gap).fold(0.0, f64::max)
    }

    #[test]
    fn is_normal() {
        assert!(kolmogorov_smirnov(draws(1, 200_000)) < 1.95);
        // A wrong sampler is noticed: 2 % too wide, or shifted by 0.02.
        assert!(kolmogorov_smirnov(draws(1, 200_000).iter().map(|x| 1.02 * x).collect()) > 1.95);
        assert!(kolmogorov_smirnov(draws(1, 200_000).iter().map(|x| x + 0.02).collect()) > 1.95);
    }

    /// Correlations at any fixed lag have standard deviation `1 / sqrt(n)`; 4 of them: 6e-5 per lag.
    #[test]
    fn is_uncorrelated_within_and_across_blocks() {
        let x = draws(2, 300_000);
        for lag in [1, 7, 8, 9, 16, 1023, 1024, 1025] {
            let n = x.len() - lag;
            let correlation = (0..n).map(|i| x[i] * x[i + lag]).sum::<f64>() / n as f64;
            assert!(correlation.abs() < 4.0 / (n as f64).sqrt(), "lag {lag}: {correlation}");
        }
    }

    /// The numbers of a seed, at the start and at the end of a block of 1,024. They were computed outside of this
    /// crate, in double precision, from the definitions above. Logarithms, sines and roots round differently with the
    /// width of vectors, so five digits are pinned.
    ///
    /// If this fails, the same seed gives other noise, which needs a **Value-breaking** entry in CHANGELOG.md.
    #[test]
    fn the_stream_of_a_seed_is_pinned() {
        #[rustfmt::skip]
        let pinned = [
            (0, [1.444_013, -0.142_935, -0.417_008]), (15, [-0.168_994, 0.520_227, 0.663_728]),
            (31, [0.350_260, 0.761_067, -0.955_604]), (1023, [-0.027_288, -0.732_993, 0.683_413]),
        ];
        fn check<E: Elem>(pinned: &[(usize, [f64; 3])]) {
            let mut out = vec![E::default(); 1026];
            fill(Seed(7), &mut out);
            for (at, expected) in pinned.iter().flat_map(|(start, numbers)| (*start..).zip(numbers)) {
                let found = out[at].f64();
                assert!((found - expected).abs() < 1e-5, "number {at}: {found}, not {expected}");
            }
        }
        check::<f32>(&pinned);
        check::<f64>(&pinned);
    }

    /// Like the test of the normal numbers, but exact: the mask needs only arithmetic of 24 bits.
    #[test]
    fn the_masks_of_a_seed_are_pinned() {
        fn check<E: Elem>() {
            let mut out = vec![E::default(); 1026];
            fill_mask(Seed(7), 0.25, &mut out);
            let kept = |from: usize, to: usize| out[from..to].iter().map(|x| if x.f64() > 0.0 { '1' } else { '0' });
            assert_eq!(kept(0, 24).collect::<String>(), "111100111011011111111110");
            assert_eq!(kept(1023, 1026).collect::<String>(), "011");
            assert!(out.iter().all(|x| [0.0, f64::from(0.75_f32.recip())].contains(&x.f64())));
        }
        check::<f32>();
        check::<f64>();
    }

    #[test]
    fn does_not_depend_on_threads_or_length() {
        let whole = draws(3, 50_000);
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(whole, one.install(|| draws(3, 50_000)));
        assert_eq!(whole[..100], draws(3, 100));
        assert_ne!(whole[..100], draws(4, 100));
    }
}
