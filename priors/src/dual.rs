//! Forward-mode gradients: a value with its two partial derivatives.

use std::ops::{Add, Div, Mul, Neg, Sub};

use crate::lane::Lane;
use crate::real::Real;

/// A value and its partial derivatives with respect to two inputs, usually a posterior's two parameters.
///
/// ```
/// use sparsevd_priors::{Dual, Real};
/// let (x, y) = Dual::inputs(3.0, 2.0);
/// let z = x.square() * y.exp();              // d/dx = 2 x e^y, d/dy = x^2 e^y
/// assert_eq!(z.grad, [6.0 * 2_f64.exp(), 9.0 * 2_f64.exp()]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dual<T> {
    /// The value.
    pub value: T,
    /// The derivatives with respect to the first and the second input.
    pub grad: [T; 2],
}

impl<T: Lane> Dual<T> {
    /// The two inputs of a formula, each with derivative 1 with respect to itself.
    #[inline(always)]
    pub fn inputs(a: T, b: T) -> (Self, Self) {
        let (zero, one) = (T::splat(0.0), T::splat(1.0));
        (Dual { value: a, grad: [one, zero] }, Dual { value: b, grad: [zero, one] })
    }

    /// The chain rule: `value = f(self)`, `slope = f'(self)`.
    #[inline(always)]
    fn chain(self, value: T, slope: T) -> Self {
        Dual { value, grad: [self.grad[0] * slope, self.grad[1] * slope] }
    }
}

impl<T: Lane> Neg for Dual<T> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Dual { value: -self.value, grad: [-self.grad[0], -self.grad[1]] }
    }
}

impl<T: Lane> Add for Dual<T> {
    type Output = Self;
    #[inline(always)]
    fn add(self, o: Self) -> Self {
        Dual { value: self.value + o.value, grad: [self.grad[0] + o.grad[0], self.grad[1] + o.grad[1]] }
    }
}

impl<T: Lane> Sub for Dual<T> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, o: Self) -> Self {
        Dual { value: self.value - o.value, grad: [self.grad[0] - o.grad[0], self.grad[1] - o.grad[1]] }
    }
}

impl<T: Lane> Mul for Dual<T> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, o: Self) -> Self {
        let partial = |i: usize| self.grad[i].mul_add(o.value, self.value * o.grad[i]);
        Dual { value: self.value * o.value, grad: [partial(0), partial(1)] }
    }
}

impl<T: Lane> Div for Dual<T> {
    type Output = Self;
    #[expect(clippy::suspicious_arithmetic_impl, reason = "one division serves value and gradient")]
    #[inline(always)]
    fn div(self, o: Self) -> Self {
        // No 1 / o², which leaves the range of f32 long before the quotient does.
        let recip = o.value.recip();
        let value = self.value * recip;
        let partial = |i: usize| (-value).mul_add(o.grad[i], self.grad[i]) * recip;
        Dual { value, grad: [partial(0), partial(1)] }
    }
}

impl<T: Lane> Real for Dual<T> {
    #[inline(always)]
    fn scale(self, factor: f64) -> Self {
        self.chain(self.value.scale(factor), T::splat(factor))
    }
    #[inline(always)]
    fn shift(self, offset: f64) -> Self {
        Dual { value: self.value.shift(offset), grad: self.grad }
    }
    #[inline(always)]
    fn square(self) -> Self {
        self.chain(self.value.square(), self.value + self.value)
    }
    #[inline(always)]
    fn recip(self) -> Self {
        // One factor at a time, since 1 / x² leaves the range of f32 long before the derivative does.
        let r = self.value.recip();
        Dual { value: r, grad: self.grad.map(|partial| -(partial * r) * r) }
    }
    #[inline(always)]
    fn abs(self) -> Self {
        self.chain(self.value.abs(), self.value.sign())
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        let root = self.value.sqrt();
        self.chain(root, root.recip().scale(0.5))
    }
    #[inline(always)]
    fn exp(self) -> Self {
        let e = self.value.exp();
        self.chain(e, e)
    }
    #[inline(always)]
    fn exp_m1(self) -> Self {
        let e = self.value.exp_m1();
        self.chain(e, e.shift(1.0))
    }
    #[inline(always)]
    fn ln(self) -> Self {
        self.chain(self.value.ln(), self.value.recip())
    }
    #[inline(always)]
    fn ln_1p(self) -> Self {
        self.chain(self.value.ln_1p(), self.value.shift(1.0).recip())
    }
    #[inline(always)]
    fn sigmoid(self) -> Self {
        let s = self.value.sigmoid();
        self.chain(s, s * s.scale(-1.0).shift(1.0))
    }
    #[inline(always)]
    fn softplus(self) -> Self {
        self.chain(self.value.softplus(), self.value.sigmoid())
    }
    #[inline(always)]
    fn at_least(self, floor: f64) -> Self {
        // Not a slope of 0, which would make NaN of an infinite gradient below the floor.
        let grad = self.grad.map(|partial| partial.where_above(self.value, floor));
        Dual { value: self.value.at_least(floor), grad }
    }
    #[inline(always)]
    fn lift(self, f: impl Fn(f64) -> (f64, f64)) -> Self {
        let (value, slope) = self.value.lift_with_slope(f);
        self.chain(value, slope)
    }
    #[inline(always)]
    fn apply(self, f: impl FnOnce(Self) -> Self) -> Self {
        let Dual { value, grad: [slope, _] } = f(Dual::inputs(self.value, self.value).0);
        self.chain(value, slope)
    }
    #[inline(always)]
    fn detached(self) -> Self {
        Dual { value: self.value, grad: [T::splat(0.0); 2] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slope(f: impl Fn(f64) -> f64, x: f64) -> f64 {
        let h = 1e-6 * x.abs().max(1e-3);
        (f(x + h) - f(x - h)) / (2.0 * h)
    }

    proptest! {
        #[test]
        fn every_operation_has_the_derivative_of_its_value(x in 0.05_f64..4.0, sign in prop::bool::ANY) {
            let y = if sign { -x } else { x };
            macro_rules! holds {
                ($at:expr, $f:expr) => {{
                    let exact = { let f = $f; f(Dual::inputs($at, 0.0).0).grad[0] };
                    let f = $f;
                    let numeric = slope(|x| f(Dual::inputs(x, 0.0).0).value, $at);
                    prop_assert!((exact - numeric).abs() < 1e-6 * (1.0 + exact.abs()), "{exact} {numeric} {}", stringify!($f));
                }};
            }
            holds!(y, |x: Dual<f64>| x.scale(3.0).shift(2.0));
            holds!(y, |x: Dual<f64>| x.square());
            holds!(y, |x: Dual<f64>| x.recip());
            holds!(y, |x: Dual<f64>| x.abs());
            holds!(x, |x: Dual<f64>| x.sqrt());
            holds!(y, |x: Dual<f64>| x.exp());
            holds!(y, |x: Dual<f64>| x.exp_m1());
            holds!(x, |x: Dual<f64>| x.ln());
            holds!(x, |x: Dual<f64>| x.ln_1p());
            holds!(y, |x: Dual<f64>| x.sigmoid());
            holds!(y, |x: Dual<f64>| x.softplus());
            holds!(y, |x: Dual<f64>| x.at_least(0.0));
            holds!(y, |x: Dual<f64>| x.erf());
            holds!(y, |x: Dual<f64>| -x * x.exp() - x / x.shift(9.0));
            holds!(y, |x: Dual<f64>| x.square().apply(|x| x * x.exp()));
        }
    }

    fn gradient<T: Lane>(x: f64, f: impl Fn(Dual<T>) -> Dual<T>) -> [f64; 3] {
        let out = f(Dual::inputs(T::splat(x), T::splat(0.0)).0);
        [out.value, out.grad[0], out.grad[1]].map(|part| part.first(1).sum())
    }

    /// If value and derivative are finite in `f32`, so are the dual's, even where an intermediate result could
    /// overflow.
    #[test]
    fn gradients_are_finite_where_their_limits_are() {
        macro_rules! finite {
            ($x:expr, $expected:expr, $f:expr) => {{
                let found = [gradient::<f32>($x, $f), gradient::<crate::Lanes>($x, $f), gradient::<f64>($x, $f)];
                for found in found {
                    for (found, expected) in found.into_iter().zip($expected) {
                        let size: f64 = f64::max(1e-40, f64::abs(expected));
                        assert!(
                            (found - expected).abs() <= 1e-6 * size,
                            "{}: {found:e}, not {expected:e}",
                            stringify!($f)
                        );
                    }
                }
            }};
        }
        // 1 / x² is not a number of f32, x / x² is.
        finite!(1.0, [1e22, -1e22, 0.0], |x| x.scale(1e-22).recip());
        finite!(10.0, [1e-28, -2e-29, 0.0], |x| x.scale(1e13).square().recip());
        finite!(1e-22, [0.5, 2.5e21, 0.0], |x| x / x.shift(1e-22));
        finite!(1e-25, [1e-5, 1e20, 0.0], |x| x / x.scale(0.0).shift(1e-20));
        // Below a floor nothing matters, an infinite slope included.
        finite!(0.0, [-50.0, 0.0, 0.0], |x| x.ln().at_least(-50.0));
        finite!(0.0, [1e-10, 0.0, 0.0], |x| x.square().ln().exp().at_least(1e-10));
        finite!(-200.0, [0.0, 0.0, 0.0], |x| x.exp());
        finite!(-200.0, [-1.0, 0.0, 0.0], |x| x.exp_m1());
        finite!(-200.0, [0.0, 0.0, 0.0], |x| x.sigmoid());
        finite!(200.0, [200.0, 1.0, 0.0], |x| x.softplus());
        finite!(1e30, [f64::ln(1e30), 1e-30, 0.0], |x| x.ln_1p());
    }

    #[test]
    fn square_roots_have_a_finite_slope_at_zero() {
        let (x, _) = Dual::inputs(0.0_f32, 0.0);
        assert!(x.sqrt().grad[0].is_finite());
    }
}
