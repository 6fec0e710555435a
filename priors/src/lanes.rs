//! Sixteen numbers at a time.

use std::ops::{Add, Div, Mul, Neg, Sub};

use bytemuck::cast;
use wide::{f32x16, i32x16};

use crate::lane::Lane;
use crate::real::{Real, SQRT_FLOOR};

/// Sixteen `f32` computed together: SSE2, AVX, AVX-512, NEON or plain code, depending on the build's target.
///
/// Every function has the range of `f32`: it overflows to infinity, underflows to 0 and propagates NaN as `f32` does.
/// `exp` and `ln` are within 2 units in the last place, `exp` within 20 above 2.4e38. Results below 9e-39 may be
/// flushed to 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lanes(pub f32x16);

impl Lanes {
    #[inline(always)]
    fn map(self, f: impl Fn(f64) -> f64) -> Self {
        Lanes(f32x16::new(self.0.to_array().map(|x| f(f64::from(x)) as f32)))
    }
}

// The ends of slices are rare and out of line, so that the loop over full lanes keeps its registers. A function that is
// not inlined gets arrays of its own to read and write: a vector that one path returns through memory goes through memory
// on all, and each use of it then waits until the stores before it have retired.

#[cold]
#[inline(never)]
fn copy_part(to: &mut [f32], from: &[f32]) {
    let count = to.len().min(from.len());
    to[..count].copy_from_slice(&from[..count]);
}

impl Neg for Lanes {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Lanes(-self.0)
    }
}
impl Add for Lanes {
    type Output = Self;
    #[inline(always)]
    fn add(self, o: Self) -> Self {
        Lanes(self.0 + o.0)
    }
}
impl Sub for Lanes {
    type Output = Self;
    #[inline(always)]
    fn sub(self, o: Self) -> Self {
        Lanes(self.0 - o.0)
    }
}
impl Mul for Lanes {
    type Output = Self;
    #[inline(always)]
    fn mul(self, o: Self) -> Self {
        Lanes(self.0 * o.0)
    }
}
impl Div for Lanes {
    type Output = Self;
    #[inline(always)]
    fn div(self, o: Self) -> Self {
        Lanes(self.0 / o.0)
    }
}

#[inline(always)]
fn all(x: f32) -> f32x16 {
    f32x16::splat(x)
}

// Polynomials are summed pairwise (Estrin): a kernel waits for the longest chain, not for the number of operations.

/// `slope x + at_0`.
#[inline(always)]
fn line(x: f32x16, slope: f32, at_0: f32) -> f32x16 {
    all(slope).mul_add(x, all(at_0))
}

/// `high power + low`.
#[inline(always)]
fn join(power: f32x16, high: f32x16, low: f32x16) -> f32x16 {
    high.mul_add(power, low)
}

/// `1.5 * 2^23 + 127`: adding it rounds to an integer, and leaves that integer, as the exponent of a power of 2, in the
/// last bits.
const ROUND: f32 = 12_583_039.0;

/// `(2^n, e^r - 1)` with `x = n ln 2 + r`: a polynomial in `r` (Cephes `expf`).
#[inline(always)]
fn exp_parts(x: f32x16) -> (f32x16, f32x16) {
    // In this operand order the processor's max and min propagate NaN. Below -88 n is -127, whose power is 0. From
    // 88.38 on n stays 127 and r grows: up to ln 2, where the largest number is, and beyond it the product overflows.
    let x = all(-88.0).fast_max(x);
    let rounded = all(ROUND + 127.0).fast_min(x.mul_add(all(std::f32::consts::LOG2_E), all(ROUND)));
    let n = rounded - all(ROUND);
    let r = n.mul_add(all(2.121_944_4e-4), n.mul_add(all(-0.693_359_4), x));
    let r2 = r * r;
    let p = join(r2, line(r, 1.987_569_1e-4, 1.398_199_9e-3), line(r, 8.333_452e-3, 4.166_579_6e-2));
    let p = join(r2, p, line(r, 1.666_666_5e-1, 0.5));
    let power: i32x16 = cast::<f32x16, i32x16>(rounded) << 23;
    (cast(power), p.mul_add(r2, r))
}

#[inline(always)]
fn exp(x: f32x16) -> f32x16 {
    let (power, e) = exp_parts(x);
    e.mul_add(power, power)
}

/// `ln x` for positive, finite, normal `x = 2^n (1 + r)`, `1 + r` in `[sqrt(1/2), sqrt 2)`, as `n ln 2 + r + r² q(r)`.
/// The polynomial q has the smallest relative error in `ln (1 + r)` that nine coefficients allow, 4e-9.
#[inline(always)]
fn ln_of_ordinary(x: f32x16) -> f32x16 {
    let bits: i32x16 = cast(x);
    let sqrt_half = i32x16::splat(0x3f35_04f3);
    let n: i32x16 = (bits - sqrt_half) >> 23;
    let r = cast::<i32x16, f32x16>(bits - (n << 23)) - all(1.0);
    let n = f32x16::from_i32x16(n);
    let (r2, r4) = (r * r, r * r * (r * r));
    let high = join(r2, all(-7.623_17e-2), line(r, 1.291_472_9e-1, -1.324_75e-1));
    let high = join(r2, high, line(r, 1.418_059_6e-1, -1.660_843e-1));
    let low = join(r2, line(r, 2.000_201_3e-1, -2.500_161e-1), line(r, 3.333_332_5e-1, -4.999_998_8e-1));
    join(r4, high, low).mul_add(r2, n.mul_add(all(std::f32::consts::LN_2), r))
}

/// True if all lanes are positive, finite and normal: one comparison of their bits, moved so that these numbers come
/// first.
#[inline(always)]
fn ordinary(x: f32x16) -> bool {
    let [first, end] = [f32::MIN_POSITIVE, f32::INFINITY].map(|x| x.to_bits() as i32);
    let moved: i32x16 = cast::<f32x16, i32x16>(x) + i32x16::splat(i32::MIN.wrapping_sub(first));
    moved.simd_lt(i32x16::splat(i32::MIN.wrapping_sub(first).wrapping_add(end))).all()
}

// The rare vectors with a lane that is not ordinary are computed without a function call: around a call the whole loop
// would keep its vectors in memory.

#[inline(always)]
fn ln(x: f32x16) -> f32x16 {
    let y = ln_of_ordinary(x);
    if ordinary(x) {
        return y;
    }
    rare();
    let of_subnormal = ln_of_ordinary(x * all(8_388_608.0)) - all(23.0 * std::f32::consts::LN_2);
    ln_of_any(x, x.simd_lt(all(f32::MIN_POSITIVE)).select(of_subnormal, y))
}

/// `ln x`, which is `y` if x is positive and finite.
#[inline(always)]
fn ln_of_any(x: f32x16, y: f32x16) -> f32x16 {
    let y = x.simd_lt(all(f32::INFINITY)).select(y, x); // infinity and NaN are their own
    let y = x.simd_lt(all(0.0)).select(all(f32::NAN), y);
    x.simd_eq(all(0.0)).select(all(f32::NEG_INFINITY), y)
}

/// `1 / sqrt x` for positive, finite, normal `x`, without a root or a division, which take most of a short loop's time.
/// The halved bits, subtracted from a constant, are the first guess. A step of Newton's method, with constants that leave
/// the smallest error (6.5e-4; Kadlec 2010), and one of the third order follow.
#[inline(always)]
fn recip_root_of_ordinary(x: f32x16) -> f32x16 {
    let y: f32x16 = cast(i32x16::splat(0x5f1f_fff9) - (cast::<f32x16, i32x16>(x) >> 1));
    let y = y * all(0.703_952_25) * (x * y).mul_neg_add(y, all(2.389_244_6));
    let error = (x * y).mul_neg_add(y, all(1.0));
    (y * error).mul_add(line(error, 0.375, 0.5), y)
}

/// Tells the compiler that the branch is rare.
#[cold]
#[inline(always)]
fn rare() {}

/// `ln(1 + e)` for `e` in `[0, 1]`, as `2 atanh(e / (2 + e))`: a series in `z² <= 1/9`.
#[inline(always)]
fn ln_1p_of_fraction(e: f32x16) -> f32x16 {
    let z = e / (e + all(2.0));
    let z2 = z * z;
    let z4 = z2 * z2;
    let high = join(z4, all(2.0 / 15.0), line(z2, 2.0 / 13.0, 2.0 / 11.0));
    let low = join(z4, line(z2, 2.0 / 9.0, 2.0 / 7.0), line(z2, 2.0 / 5.0, 2.0 / 3.0));
    let p = join(z4 * z4, high, low);
    (p * z2).mul_add(z, z + z)
}

impl Real for Lanes {
    #[inline(always)]
    fn scale(self, factor: f64) -> Self {
        Lanes(self.0 * all(factor as f32))
    }
    #[inline(always)]
    fn shift(self, offset: f64) -> Self {
        Lanes(self.0 + all(offset as f32))
    }
    #[inline(always)]
    fn square(self) -> Self {
        Lanes(self.0 * self.0)
    }
    #[inline(always)]
    fn recip(self) -> Self {
        Lanes(all(1.0) / self.0)
    }
    #[inline(always)]
    fn abs(self) -> Self {
        Lanes(self.0.abs())
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Lanes((self.0 + all(SQRT_FLOOR as f32)).sqrt())
    }
    #[inline(always)]
    fn exp(self) -> Self {
        Lanes(exp(self.0))
    }
    /// `2^n (e^r - 1) + (2^n - 1)`: nothing cancels near 0, where n = 0.
    #[inline(always)]
    fn exp_m1(self) -> Self {
        let (power, e) = exp_parts(self.0);
        Lanes(e.mul_add(power, power - all(1.0)))
    }
    #[inline(always)]
    fn ln(self) -> Self {
        Lanes(ln(self.0))
    }
    /// `ln u + (x - (u - 1)) / u` with `u = 1 + x`; the second term corrects the rounding of the sum.
    #[inline(always)]
    fn ln_1p(self) -> Self {
        let u = self.0 + all(1.0);
        let y = (self.0 - (u - all(1.0))).mul_add(all(1.0) / u, ln_of_ordinary(u));
        if ordinary(u) {
            return Lanes(y);
        }
        rare();
        Lanes(ln_of_any(u, y))
    }
    #[inline(always)]
    fn sigmoid(self) -> Self {
        Lanes(all(1.0) / (exp(-self.0) + all(1.0)))
    }
    #[inline(always)]
    fn softplus(self) -> Self {
        Lanes(all(0.0).fast_max(self.0) + ln_1p_of_fraction(exp(-self.0.abs())))
    }
    #[inline(always)]
    fn at_least(self, floor: f64) -> Self {
        Lanes(all(floor as f32).fast_max(self.0))
    }
    #[inline(always)]
    fn lift(self, f: impl Fn(f64) -> (f64, f64)) -> Self {
        self.map(|x| f(x).0)
    }
    #[inline(always)]
    fn detached(self) -> Self {
        self
    }
}

impl Lane for Lanes {
    type Elem = f32;
    const WIDTH: usize = 16;

    #[inline(always)]
    fn splat(x: f64) -> Self {
        Lanes(all(x as f32))
    }
    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        match from.first_chunk::<16>() {
            Some(full) => Lanes(f32x16::new(*full)),
            None => {
                let mut part = [1.0; Self::WIDTH];
                copy_part(&mut part, from);
                Lanes(f32x16::new(part))
            }
        }
    }
    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        match to.first_chunk_mut::<16>() {
            Some(full) => *full = self.0.to_array(),
            None => copy_part(to, &self.0.to_array()),
        }
    }
    #[inline(always)]
    fn sum(self) -> f64 {
        f64::from(self.0.reduce_add())
    }
    #[inline(always)]
    fn first(self, count: usize) -> Self {
        if count >= Self::WIDTH {
            return self;
        }
        let mut part = [0.0; Self::WIDTH];
        copy_part(&mut part[..count], &self.0.to_array());
        Lanes(f32x16::new(part))
    }
    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        Lanes(self.0.mul_add(a.0, b.0))
    }
    #[inline(always)]
    fn root_and_recip(self) -> [Self; 2] {
        let recip = recip_root_of_ordinary(self.0);
        if ordinary(self.0) {
            return [Lanes(self.0 * recip), Lanes(recip)];
        }
        rare();
        let root = self.0.sqrt();
        [Lanes(root), Lanes(all(1.0) / root)]
    }
    #[inline(always)]
    fn sign(self) -> Self {
        // A lane that is neither greater nor less than 0 is 0 or NaN.
        let positive = self.0.simd_gt(all(0.0)).select(all(1.0), self.0);
        Lanes(self.0.simd_lt(all(0.0)).select(all(-1.0), positive))
    }
    #[inline(always)]
    fn above(self, floor: f64) -> Self {
        Lanes(self.0.simd_gt(all(floor as f32)).select(all(1.0), all(0.0)))
    }
    #[inline(always)]
    fn where_above(self, x: Self, floor: f64) -> Self {
        Lanes(x.0.simd_gt(all(floor as f32)).select(self.0, all(0.0)))
    }
    fn lift_with_slope(self, f: impl Fn(f64) -> (f64, f64)) -> (Self, Self) {
        let pairs = self.0.to_array().map(|x| f(f64::from(x)));
        (Lanes(f32x16::new(pairs.map(|p| p.0 as f32))), Lanes(f32x16::new(pairs.map(|p| p.1 as f32))))
    }
}

#[cfg(test)]
#[path = "lanes_tests.rs"]
mod tests;
