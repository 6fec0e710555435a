//! The trait `Real`: the number type that formulas are written over.

use std::ops::{Add, Div, Mul, Neg, Sub};

use libm::erf;

/// Added under every [`Real::sqrt`], so that its derivative at zero is large but finite.
pub const SQRT_FLOOR: f64 = 1e-30;

/// A number that a prior's formula can be computed with.
///
/// The same formula is then evaluated in `f64`, differentiated exactly ([`Dual`](crate::Dual)), compiled to a SIMD
/// kernel (a `Dual` of [`Lanes`](crate::Lanes)) and recorded on an autodiff graph. A graph node is not `Copy`, so use
/// `clone()` if a value is used twice (it is free); constants enter as plain `f64` through [`scale`](Real::scale) and
/// [`shift`](Real::shift):
///
/// ```
/// use sparsevd_priors::Real;
///
/// /// ln p(w) of a standard normal, in nats.
/// fn ln_pdf<R: Real>(w: R) -> R {
///     w.square().scale(-0.5).shift(-0.918_938_533_204_672_8)
/// }
/// assert!((ln_pdf(1.0) - (-1.418_938_533)).abs() < 1e-9);
/// ```
///
/// | instead of | write | or rustc says |
/// |---|---|---|
/// | `2.0 * x`, `x * 2.0` | `x.scale(2.0)` | cannot multiply `{float}` by `R`; expected type parameter `R` |
/// | `x + 1.0` | `x.shift(1.0)` | expected type parameter `R`, found floating-point number |
/// | `x * x` | `x.square()` | use of moved value (do not follow its advice to ask for `Copy`) |
///
/// There are no comparisons: a formula must mean the same thing for one number, for sixteen lanes at once and for a
/// tensor. [`abs`](Real::abs), [`at_least`](Real::at_least) and [`softplus`](Real::softplus) express the usual
/// branches.
#[diagnostic::on_unimplemented(
    message = "a prior's formula cannot be computed with `{Self}`",
    label = "not a `Real`",
    note = "`Real` is implemented by `f32`, `f64`, `Lanes`, `Dual<_>` and the graph node of the `sparsevd` crate",
    note = "constants enter a formula through `x.scale(2.0)` and `x.shift(1.0)`, not through `2.0 * x`"
)]
pub trait Real:
    Sized + Clone + Neg<Output = Self> + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// `factor * x`.
    fn scale(self, factor: f64) -> Self;
    /// `x + offset`.
    fn shift(self, offset: f64) -> Self;
    /// `x²`.
    fn square(self) -> Self;
    /// `1 / x`.
    fn recip(self) -> Self;
    /// `|x|`; its derivative at 0 is taken as 0.
    fn abs(self) -> Self;
    /// `sqrt(x + SQRT_FLOOR)`: exact to 1e-15, and differentiable at 0. See [`SQRT_FLOOR`].
    fn sqrt(self) -> Self;
    /// `e^x`.
    fn exp(self) -> Self;
    /// `e^x - 1`, accurate near 0.
    fn exp_m1(self) -> Self;
    /// `ln x`; `-inf` at 0, so [`shift`](Real::shift) first if zero can occur.
    fn ln(self) -> Self;
    /// `ln(1 + x)`, accurate near 0.
    fn ln_1p(self) -> Self;
    /// `1 / (1 + e^-x)`, without overflow on either side.
    fn sigmoid(self) -> Self;
    /// `ln(1 + e^x)`, without overflow on either side.
    fn softplus(self) -> Self;
    /// `max(x, floor)`; its derivative is 0 below the floor.
    fn at_least(self, floor: f64) -> Self;

    /// Any other scalar function, given as `f(x) = (value, derivative)` in `f64`.
    ///
    /// It is evaluated number by number, so it is slower than the operations above in a kernel, and on a GPU it is
    /// computed on the host.
    ///
    /// ```
    /// use sparsevd_priors::Real;
    /// let sin = |x: f64| (x.sin(), x.cos());
    /// assert_eq!(1.5_f64.lift(sin), 1.5_f64.sin());
    /// ```
    fn lift(self, f: impl Fn(f64) -> (f64, f64)) -> Self;

    /// `f(x)`, for a formula of several operations in which x is the only variable. The derivative is the same without
    /// it; a [`Dual`](crate::Dual) with it carries one derivative through the formula, instead of two.
    fn apply(self, f: impl FnOnce(Self) -> Self) -> Self {
        f(self)
    }

    /// The same number, taken as a constant: its derivative is 0.
    fn detached(self) -> Self {
        self.lift(|x| (x, 0.0))
    }

    /// The error function, `2/sqrt(π) int_0^x e^(-t²) dt`.
    fn erf(self) -> Self {
        self.lift(|x| (erf(x), std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp()))
    }
}

/// `f32` and `f64`, or any other [`num_traits::Float`].
impl<F: num_traits::Float> Real for F {
    fn scale(self, factor: f64) -> Self {
        self * constant(factor)
    }
    fn shift(self, offset: f64) -> Self {
        self + constant(offset)
    }
    fn square(self) -> Self {
        self * self
    }
    fn recip(self) -> Self {
        F::recip(self)
    }
    fn abs(self) -> Self {
        F::abs(self)
    }
    fn sqrt(self) -> Self {
        F::sqrt(self + constant(SQRT_FLOOR))
    }
    fn exp(self) -> Self {
        F::exp(self)
    }
    fn exp_m1(self) -> Self {
        F::exp_m1(self)
    }
    fn ln(self) -> Self {
        F::ln(self)
    }
    fn ln_1p(self) -> Self {
        F::ln_1p(self)
    }
    fn sigmoid(self) -> Self {
        let e = F::exp(-F::abs(self));
        (if self > F::zero() { F::one() } else { e }) / (F::one() + e)
    }
    fn softplus(self) -> Self {
        F::max(self, F::zero()) + F::ln_1p(F::exp(-F::abs(self)))
    }
    fn at_least(self, floor: f64) -> Self {
        // Not `max`, which would turn a NaN into the floor.
        if self < constant(floor) { constant(floor) } else { self }
    }
    fn lift(self, f: impl Fn(f64) -> (f64, f64)) -> Self {
        constant(f(self.to_f64().unwrap_or(f64::NAN)).0)
    }
    fn detached(self) -> Self {
        self
    }
}

fn constant<F: num_traits::Float>(x: f64) -> F {
    F::from(x).unwrap_or_else(F::nan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sigmoid_and_softplus_hold_at_both_ends() {
        assert_eq!(Real::sigmoid(-1000.0_f64), 0.0);
        assert_eq!(Real::sigmoid(1000.0_f64), 1.0);
        assert_eq!(Real::softplus(-1000.0_f64), 0.0);
        assert_eq!(Real::softplus(1000.0_f64), 1000.0);
        assert!((Real::softplus(-40.0_f64) / (-40.0_f64).exp() - 1.0).abs() < 1e-12);
        assert!(Real::sigmoid(f64::NAN).is_nan() && Real::softplus(f64::NAN).is_nan());
    }

    /// `2 / sqrt(π) e^(-x²) sum_n 2^n x^(2n + 1) / (2n + 1)!!`, which has no negative term.
    fn erf_by_series(x: f64) -> f64 {
        let (mut term, mut sum) = (x, 0.0);
        for n in 1..200 {
            sum += term;
            term *= 2.0 * x * x / f64::from(2 * n + 1);
        }
        std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
    }

    /// To rounding; statrs's own erf is good to 5e-11.
    #[test]
    fn the_error_function_is_exact() {
        let worst = |other: fn(f64) -> f64| {
            let gap = |i: i32| (Real::erf(0.01 * f64::from(i)) - other(0.01 * f64::from(i))).abs();
            (-600..=600).map(gap).fold(0.0, f64::max)
        };
        let (series, statrs) = (worst(erf_by_series), worst(statrs::function::erf::erf));
        println!("largest distance to the series: {series:.1e}, to statrs: {statrs:.1e}");
        assert!(series < 2e-15 && statrs < 1e-10, "{series:e} {statrs:e}");
        assert!(Real::erf(f64::NAN).is_nan());
    }

    #[test]
    fn a_nan_stays_one() {
        assert!(f32::NAN.at_least(0.0).is_nan());
    }
}
